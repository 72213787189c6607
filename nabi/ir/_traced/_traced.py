"""A traced step as plain data: its nodes, parameters and names, before anything is worked out from it."""

import hashlib
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Protocol

from nabi._once import cached_property
from nabi.ir._graph._nodes import LEAVES, Family, Input, Node, Noise, Parameter, Trace
from nabi.ir._graph._operations import OPERATIONS

__all__ = ["CellLike", "Traced"]


class CellLike(Protocol):
    """What a traced step knows of the cell that it was traced from: `Cell`, which makes it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def units(self) -> int:
        """Width of every state, unless the cell says otherwise."""

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states."""

    @property
    def output(self) -> str:
        """Name of an output that is no state, or nothing."""

    def state_width(self, name: str) -> int:
        """Return the width of a state, or of the output."""

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return the axes of a state; none where it has one axis."""

    def step(self, x: Node, *states: Any, **inputs: Any) -> Any:
        """Compute the new states."""

    def program(self, input_size: int, training: bool = False, values: tuple[str, ...] = ()) -> Any:
        """Trace the step."""


@dataclass(frozen=True, eq=False)
class Traced:
    """The step of one cell for one input width, as it was traced.

    Attributes:
        cell: the cell it was traced from.
        training: whether its random inputs are drawn.
        input_size: width of the input.
        state_names, state_widths: the states in order; the first is the output unless `readout` is another.
        families: the tensors that a caller passes, in order.
        parameters: the weights of each gate that are kept, in the order in which the equations use them.
        noises: random inputs, drawn outside the step.
        inputs: what the step reads from outside; `x` is the first.
        nodes: every node in an order in which it can be computed.
        outputs: the new states.
        readout: an output that is no state, or None.
        names: the names that the step gave to values, by node index.
        initial: for each state the number that it starts with, or the name of a parameter.
        is_lowered: whether it is what another program is run as, see `nabi.ir._traced._lowering`.
    """

    cell: CellLike
    training: bool
    input_size: int
    state_names: tuple[str, ...]
    state_widths: tuple[int, ...]
    families: tuple[Family, ...]
    parameters: tuple[Parameter, ...]
    noises: tuple[Noise, ...]
    inputs: tuple[Input, ...]
    trace: Trace = field(repr=False)
    nodes: tuple[Node, ...] = field(repr=False)
    outputs: tuple[Node, ...] = field(repr=False)
    readout: Node | None = field(repr=False)
    names: dict[int, str] = field(repr=False)
    initial: tuple[float | str, ...] = field(repr=False)
    is_lowered: bool = field(default=False, repr=False)

    @cached_property
    def key(self) -> str:
        """A name by which an operator finds the program again: the cell and a digest of the nodes."""
        # Operations that users add: the same name may mean something else in another process.
        used = {
            node.operation: OPERATIONS[node.operation].definition
            for node in self.nodes
            if node.operation in OPERATIONS
        }
        added = "".join(f" {name}: {text}" for name, text in sorted(used.items()) if text)
        kind = " lowered" if self.is_lowered else ""
        digest = hashlib.sha256(f"{self.cell!r} {self}{added}{kind}".encode()).hexdigest()[:16]
        return f"{type(self.cell).__name__}-{digest}"

    @property
    def results(self) -> dict[str, Node]:
        """What a step returns, by name: an output that is no state, then the new states."""
        states = dict(zip(self.state_names, self.outputs, strict=True))
        return states if self.readout is None else {self.cell.output: self.readout, **states}

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the values that are returned beside the states, as the last of them."""
        return tuple(self.trace.shown)

    @property
    def output_width(self) -> int:
        """Width of the output."""
        node = self.outputs[0] if self.readout is None else self.readout
        return node.width or 1

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The axes of every state."""
        return tuple(output.axes for output in self.outputs)

    @cached_property
    def has_axes(self) -> bool:
        """Whether a value has more axes than one, or is a part of another."""
        return any(len(node.axes) > 1 or node.details for node in self.nodes)

    @property
    def row_size(self) -> int:
        """Width of a row of all inputs, which kernels read; `input_size` if there is only `x`."""
        last = self.inputs[-1]
        return last.start + (last.width or 1)

    @property
    def starts_with_zeros(self) -> bool:
        """Whether every state is zero before the first step."""
        return not any(self.initial)

    @property
    def derived(self) -> tuple[Parameter, ...]:
        """The weights that are computed from others, in the order of use."""
        return tuple(one for one in self.trace.parameters.values() if one.derived is not None)

    @property
    def parameter_count(self) -> int:
        """How many numbers the cell learns."""
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @cached_property
    def parameter_sum(self) -> str:
        """The sum behind the count, for instance `4 × (2 + 3 + 1) × 2 = 48`.

        For each kind of gate: how many gates × (what a unit of it reads, + 1 for each vector) × units; states
        before the input, as `(units + inputs + 1) × units` is usually written.
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
        lines = [f"{type(self.cell).__name__}: {', '.join(f'{i.name}[{i.width or 1}]' for i in self.inputs)}"]
        for node in self.nodes:
            if node.operation not in LEAVES:
                label = f"  # {self.names[node.index]}" if node.index in self.names else ""
                arguments = ", ".join(repr(argument) for argument in node.arguments)
                lines.append(f"  {node!r} = {node.operation}({arguments}){label}")
        if self.readout is not None:
            lines.append(f"  output {self.cell.output}: {self.readout!r}")
        returned = ", ".join(f"{n}: {o!r}" for n, o in zip(self.state_names, self.outputs, strict=True))
        return "\n".join([*lines, f"  return {returned}"])
