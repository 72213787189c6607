"""A traced step: its nodes, its parameters, and everything derived from them before running."""

import hashlib
import inspect
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from nabi._once import cached_property
from nabi.errors import CellError
from nabi.ir._nodes import LEAVES, Family, Node, Noise, Parameter, Trace

if TYPE_CHECKING:
    from nabi.ir._cell import Cell
    from nabi.ir._derivative import Derivative
    from nabi.ir._plan import Plan

__all__ = ["Program", "find_program"]

_programs: dict[str, "Program"] = {}


@dataclass(frozen=True, eq=False)
class Program:
    """The step of one cell for one input width.

    Attributes:
        cell: the traced cell.
        training: whether its random inputs are drawn.
        input_size: width of the input.
        state_names, state_widths: the states in order; the first is the output.
        families: the tensors that a caller passes, in order.
        parameters: the weights of each gate, in the order of use in the equations.
        noises: random inputs, drawn outside the step.
        nodes: all nodes in order of computation.
        outputs: the new states.
        names: the variable names of values in the step, by node index.
    """

    cell: "Cell"
    training: bool
    input_size: int
    state_names: tuple[str, ...]
    state_widths: tuple[int, ...]
    families: tuple[Family, ...]
    parameters: tuple[Parameter, ...]
    noises: tuple[Noise, ...]
    trace: Trace = field(repr=False)
    nodes: tuple[Node, ...] = field(repr=False)
    outputs: tuple[Node, ...] = field(repr=False)
    names: dict[int, str] = field(repr=False)

    @staticmethod
    def make(
        cell: "Cell",
        trace: Trace,
        input_size: int,
        states: list[Node],
        outputs: tuple[Any, ...],
        names: dict[int, str],
    ) -> "Program":
        """Check the result of a step and build the program.

        Raises:
            CellError: the number or the width of the new states is wrong, or one is not a value of the step.
        """
        outputs = _new_states(cell, trace, states, outputs)
        parameters = tuple(trace.parameters.values())
        program = Program(
            cell=cell,
            training=trace.training,
            input_size=input_size,
            state_names=tuple(cell.states),
            state_widths=tuple(cell.state_width(name) for name in cell.states),
            families=_families(parameters),
            parameters=parameters,
            noises=tuple(trace.noises.values()),
            trace=trace,
            nodes=needed(outputs),
            outputs=outputs,
            names=names,
        )
        from nabi.ir._verify import verify

        verify(program)
        _programs[program.key] = _programs[program.recipe] = program
        return program

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles store the origin of the program, which is traced again or found in the cache.
        return self.cell.program, (self.input_size, self.training)

    @cached_property
    def key(self) -> str:
        """The key by which an operator finds the program: the cell and a digest of the nodes."""
        digest = hashlib.sha256(f"{self.cell!r} {self}".encode()).hexdigest()[:16]
        return f"{type(self.cell).__name__}-{digest}"

    @cached_property
    def recipe(self) -> str:
        """The recipe by which an operator in another process recreates the program."""
        from nabi.ir._recipe import recipe_of

        return recipe_of(self)

    @cached_property
    def derivative(self) -> "Derivative":
        """The derivative of the step, in the same language."""
        from nabi.ir._derivative import differentiate

        return differentiate(self)

    @cached_property
    def plan(self) -> "Plan":
        """The plan for computing the step over time."""
        from nabi.ir._plan import make_plan

        return make_plan(self)

    @cached_property
    def equations(self) -> tuple[str, ...]:
        """The equations as plain text, one per line, as written in the step."""
        from nabi.ir._equations import TEXT, equations

        return equations(self, TEXT)

    @property
    def parameter_count(self) -> int:
        """Number of learned numbers of the cell."""
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @cached_property
    def parameter_sum(self) -> str:
        """The formula of the count, for example `4 × (2 + 3 + 1) × 2 = 48`.

        For each kind of gate: number of gates × (inputs of a unit, + 1 for each vector) × units; states come
        before the input, as in the usual `(units + inputs + 1) × units`.
        """
        gates: dict[tuple[str, int], list[int]] = {}
        order = {"recurrent": 0, "input": 1}
        for parameter in sorted(self.parameters, key=lambda parameter: order.get(parameter.role, 2)):
            columns = parameter.shape[1] if len(parameter.shape) == 2 else 1
            gates.setdefault((parameter.gate, parameter.shape[0]), []).append(columns)
        shapes: dict[tuple[tuple[int, ...], int], int] = {}
        for (_, units), columns_list in gates.items():
            key = (tuple(columns_list), units)
            shapes[key] = shapes.get(key, 0) + 1
        terms = []
        for (columns_tuple, units), count in shapes.items():
            inner = " + ".join(str(columns) for columns in columns_tuple)
            inner = f"({inner})" if len(columns_tuple) > 1 else inner
            terms.append(f"{count} × {inner} × {units}" if count > 1 else f"{inner} × {units}")
        return f"{' + '.join(terms) or '0'} = {self.parameter_count:,}"

    def family_of(self, parameter: str) -> tuple[int, slice]:
        """Return the index of the family tensor and the rows that hold a parameter."""
        found = self.trace.parameters[parameter]
        for index, family in enumerate(self.families):
            if family.name == found.family:
                return index, family.rows(found.gate)
        raise KeyError(parameter)

    def __str__(self) -> str:
        lines = [f"{type(self.cell).__name__}: x[{self.input_size}]"]
        for node in self.nodes:
            if node.operation not in LEAVES:
                label = f"  # {self.names[node.index]}" if node.index in self.names else ""
                arguments = ", ".join(repr(argument) for argument in node.arguments)
                lines.append(f"  {node!r} = {node.operation}({arguments}){label}")
        returned = ", ".join(f"{n}: {o!r}" for n, o in zip(self.state_names, self.outputs, strict=True))
        return "\n".join([*lines, f"  return {returned}"])


def _new_states(cell: "Cell", trace: Trace, states: list[Node], outputs: tuple[Any, ...]) -> tuple[Node, ...]:
    """Check the result of a step."""
    names = ", ".join(cell.states)
    where = _where_it_returns(cell)
    if len(outputs) == 1 and outputs[0] is None:
        raise CellError(f"{where}: step returned nothing; end it with return and the new states: {names}")
    if len(outputs) != len(states):
        raise CellError(f"{where}: step returned {len(outputs)} values for the states {names}")
    found: list[Node] = []
    for state, new in zip(states, outputs, strict=True):
        if not isinstance(new, Node):
            raise CellError(
                f"{where}: the new {state.name} is {type(new).__name__}, not a value of the step; step "
                f"returns the new states as values, in the order {names}"
            )
        if new.trace is not trace:
            raise CellError(f"{where}: the new {state.name} is a value of another step")
        if new.width is None and state.width == 1 and new.operation != "constant":
            new = trace.spread(new, 1)
        if new.width is None:
            raise CellError(
                f"{where}: the new {state.name} is a scalar, one number for all units; the state has "
                f"{state.width} units"
            )
        if new.width != state.width:
            raise CellError(
                f"{where}: the new {state.name} has width {new.width}, the state has {state.width}"
            )
        found.append(new)
    return tuple(found)


def _where_it_returns(cell: "Cell") -> str:
    """Return the cell and the return line of its step, if there is only one, for error messages."""
    name = type(cell).__name__
    try:
        lines, first = inspect.getsourcelines(type(cell).step)
    except (OSError, TypeError):
        return name
    found = [
        (first + place, line.strip())
        for place, line in enumerate(lines)
        if line.strip().startswith("return ")
    ]
    return f"{name}, line {found[0][0]}: «{found[0][1]}»" if len(found) == 1 else name


def needed(outputs: "tuple[Node | None, ...] | list[Node]") -> tuple[Node, ...]:
    """Return the nodes that the outputs depend on, in order."""
    found: dict[int, Node] = {}
    waiting = [node for node in outputs if node is not None]
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting.extend(node.arguments)
    return tuple(found[index] for index in sorted(found))


def find_program(name: str) -> Program:
    """Return the program with this key or recipe; a recipe creates it if it is not known yet.

    Raises:
        CellError: no cell with this key has been built in this process, or it cannot be created.
    """
    if name not in _programs:
        from nabi.ir._recipe import make_again

        return make_again(name)
    return _programs[name]


def _families(parameters: tuple[Parameter, ...]) -> tuple[Family, ...]:
    members: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        members.setdefault(parameter.family, []).append(parameter)
    families = []
    for name, found in members.items():
        shape = found[0].shape
        stacked = (shape[0] * len(found), *shape[1:])
        families.append(Family(name, tuple(p.gate for p in found), stacked, found[0].role))
    # Matrices first, regardless of the order of the equations: callers can rely on W_x, W_h, then vectors.
    return tuple(sorted(families, key=lambda family: -len(family.shape)))
