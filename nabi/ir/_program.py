"""A cell's step for one input width, with all that is known of it before anything runs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nabi._once import cached_property
from nabi.errors import CellError
from nabi.ir._graph._axes import show_shape
from nabi.ir._graph._nodes import Family, Node, Parameter, Trace, needed
from nabi.ir._recipe import recipe_of
from nabi.ir._traced._derivative import Derivative, differentiate
from nabi.ir._traced._equations import TEXT, equations
from nabi.ir._traced._lowering import Made, rewrite
from nabi.ir._traced._per_sequence import of_sequences, without_sequences
from nabi.ir._traced._plan import Plan, make_plan
from nabi.ir._traced._traced import CellLike, Traced
from nabi.ir._traced._verify import verify

__all__ = ["PROGRAMS", "Lowered", "Program"]

PROGRAMS: dict[str, "Program"] = {}
"""The programs of this process by their keys and recipes."""


@dataclass(frozen=True, eq=False)
class Lowered:
    """What a program is run as: what is computed once a call, then another program over time.

    Attributes:
        program: the program that runs over time.
        weights: for each of its families where the tensor comes from: the place among the families of the
            original program, or how it is made.
        run: computes the tensors from those of the original program and its random inputs; set by the target
            that does so, before anything runs, as torch.compile can trace it but not its making.
    """

    program: "Program"
    weights: "tuple[int | Made, ...]"
    run: Callable[..., tuple[Any, ...]] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Program(Traced):
    """The step of one cell for one input width.

    Attributes:
        cell: the traced cell.
        training: whether its random inputs are drawn.
        input_size: width of the input.
        state_names, state_widths: the states in order; the first is the output unless `readout` is another.
        families: the tensors that a caller passes, in order.
        parameters: the weights of each gate that are kept, in the order of use in the equations.
        noises: random inputs, drawn outside the step.
        inputs: what the step reads from outside; `x` is the first.
        nodes: all nodes in order of computation.
        outputs: the new states.
        readout: an output that is no state, or None.
        names: the variable names of values in the step, by node index.
        initial: for each state the number that it starts with, or the name of a parameter.
        is_lowered: whether it is what another program is run as.
        whole: the program that `as_states` or `at_every_step` made this one of; None for others.
    """

    whole: "Program | None" = None

    @staticmethod
    def make(
        cell: CellLike,
        trace: Trace,
        input_size: int,
        states: list[Node],
        outputs: tuple[Any, ...],
        names: dict[int, str],
        initial: tuple[float | str, ...],
        is_lowered: bool = False,
    ) -> "Program":
        """Check the result of a step and build the program.

        Raises:
            CellError: the number or the width of the new states is wrong, or one is not a value of the step.
        """
        readout = None
        if cell.output:
            readout, outputs = _readout(cell, trace, outputs)
        found = _new_states(cell, trace, states[: len(cell.states)], outputs)
        outputs = (*found, *trace.delays.values(), *trace.shown.values())
        # An earlier input is zero before the first one; what is shown is read by nothing.
        initial = (*initial, *[0.0] * (len(states) - len(initial)))
        kept = [parameter for parameter in trace.parameters.values() if parameter.derived is None]
        parameters = _grouped(tuple(kept))
        trace.parameters.update({parameter.name: parameter for parameter in parameters})
        program = Program(
            cell=cell,
            training=trace.training,
            input_size=input_size,
            state_names=tuple(state.name for state in states),
            state_widths=tuple(state.width or 1 for state in states),
            families=_families(parameters),
            parameters=parameters,
            noises=tuple(trace.noises.values()),
            inputs=tuple(trace.inputs.values()),
            trace=trace,
            nodes=needed(outputs if readout is None else (readout, *outputs)),
            outputs=outputs,
            readout=readout,
            names=names,
            initial=initial,
            is_lowered=is_lowered,
        )
        return program._registered()

    def _registered(self) -> "Program":
        verify(self)
        PROGRAMS[self.key] = PROGRAMS[self.recipe] = self
        # Found out and made here: torch.compile reads these, and cannot trace how they are made.
        assert self.is_plain or not self.is_lowered
        assert self.as_states.readout is None
        return self

    @property
    def readouts(self) -> int:
        """How many outputs there are that are no states: 0 or 1."""
        return 0 if self.readout is None else 1

    @property
    def shows_readout(self) -> bool:
        """Whether it is what `as_states` made: its first state is an output that is no state of the cell."""
        return self.readout is None and bool(self.cell.output)

    @property
    def is_part(self) -> bool:
        """Whether it is what `at_every_step` made of a program, perhaps with a readout as a state."""
        if self.whole is None:
            return False
        return self.whole.is_part if self.shows_readout else True

    @cached_property
    def as_states(self) -> "Program":
        """The program whose first state is the output, for what runs programs: itself if that is so already.

        A readout becomes a state that nothing reads, in front of the others.
        """
        if self.readout is None:
            return self
        width = self.readout.width
        assert width is not None
        program = replace(
            self, state_names=(self.cell.output, *self.state_names), state_widths=(width, *self.state_widths),
            outputs=(self.readout, *self.outputs), readout=None, whole=self, initial=(0.0, *self.initial),
        )  # fmt: skip
        return program._registered()

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles store the origin of the program, which is traced again or found in the cache.
        if self.whole is not None:
            return getattr, (self.whole, "as_states" if self.shows_readout else "at_every_step")
        made = _lowered_program if self.is_lowered else type(self.cell).program
        return made, (self.cell, self.input_size, self.training, self.values)

    @cached_property
    def family_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each family."""
        return tuple(family.shape for family in self.families)

    @cached_property
    def family_lines(self) -> tuple[int, ...]:
        """For each family, contiguous in memory, how far two outputs' weights lie apart."""
        return tuple(shape[-1] for shape in self.family_shapes)

    @cached_property
    def turned_shapes(self) -> tuple[tuple[int, ...], ...]:
        """As `family_shapes`, with the inputs of a matrix first, as Keras lays weights out."""
        return tuple(shape[::-1] if len(shape) == 2 else shape for shape in self.family_shapes)

    @cached_property
    def turned_lines(self) -> tuple[int, ...]:
        """For each family of these shapes, how far two inputs' weights lie apart."""
        return tuple(shape[-1] for shape in self.turned_shapes)

    @cached_property
    def is_plain(self) -> bool:
        """Whether it runs as it is: nothing is computed once a call, and states start with zeros."""
        return self.is_lowered or (self.lowered is None and self.starts_with_zeros)

    @cached_property
    def once_size(self) -> int:
        """How many numbers are computed once a call, for values that a step could compute as well."""
        return sum(node.width or 1 for node in self.nodes if node.arguments and not node.has_rows)

    @property
    def needs_autograd(self) -> bool:
        """Whether it has weights that are computed from others, or learned initial states."""
        return bool(self.derived) or any(isinstance(one, str) for one in self.initial)

    @cached_property
    def lowered(self) -> Lowered | None:
        """What is computed once a call, and the program that runs after it; None where there is nothing."""
        found = None if self.is_lowered or self.whole is not None else rewrite(self)
        if found is None:
            return None
        program = Program.make(
            self.cell, found.trace, self.input_size, found.states, found.outputs, found.names, self.initial,
            is_lowered=True,
        )  # fmt: skip
        places = {family.name: number for number, family in enumerate(self.families)}
        weights = [found.made.get(family.name, places.get(family.name)) for family in program.families]
        return Lowered(program, tuple(one for one in weights if one is not None))

    @cached_property
    def sequence_values(self) -> tuple[Node, ...]:
        """The values that inputs given once for a sequence lead to; `at_every_step` reads them."""
        if not any(given.per_sequence for given in self.inputs):
            return ()
        return of_sequences(self)

    @cached_property
    def at_every_step(self) -> "Program":
        """The program that runs at every step: itself, unless something is given once for a sequence.

        Its inputs are then `x`, the others of a step, and one for each of `sequence_values`.
        """
        if not any(given.per_sequence for given in self.inputs):
            return self
        if self.whole is not None and self.shows_readout:
            return self.whole.at_every_step.as_states
        trace, readout, outputs, names = without_sequences(self, self.sequence_values)
        nodes = needed(outputs if readout is None else (readout, *outputs))
        drawn = {node.name for node in nodes if node.operation == "noise"}
        parameters = tuple(trace.parameters.values())
        program = replace(
            self, families=_families(parameters), parameters=parameters, inputs=tuple(trace.inputs.values()),
            noises=tuple(noise for noise in self.noises if noise.name in drawn), trace=trace, nodes=nodes,
            outputs=outputs, readout=readout, names=names, whole=self, initial=(0.0,) * len(self.state_names),
        )  # fmt: skip
        return program._registered()

    @cached_property
    def recipe(self) -> str:
        """The recipe by which an operator in another process recreates the program."""
        return recipe_of(self, is_part=self.is_part)

    @cached_property
    def derivative(self) -> Derivative:
        """The derivative of the step, in the same language."""
        return differentiate(self)

    @cached_property
    def plan(self) -> Plan:
        """The plan for computing the step over time."""
        return make_plan(self, self.derivative)

    @cached_property
    def equations(self) -> tuple[str, ...]:
        """The equations as plain text, one per line, as written in the step."""
        return equations(self, TEXT)


def _lowered_program(
    cell: CellLike, input_size: int, training: bool, values: tuple[str, ...] = ()
) -> Program:
    found: Program = cell.program(input_size, training, values).lowered.program
    return found


def _new_states(
    cell: CellLike, trace: Trace, states: list[Node], outputs: tuple[Any, ...]
) -> tuple[Node, ...]:
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
        if new.axes != state.axes and max(len(new.axes), len(state.axes)) > 1:
            raise CellError(
                f"{where}: the new {state.name} has the axes {show_shape(new.axes)}, the state has "
                f"{show_shape(state.axes)}; split(a, heads, keys) and flat(a) change them"
            )
        if new.width != state.width:
            raise CellError(
                f"{where}: the new {state.name} has width {new.width}, the state has {state.width}"
            )
        found.append(new)
    return tuple(found)


def _readout(cell: CellLike, trace: Trace, outputs: tuple[Any, ...]) -> tuple[Node, tuple[Any, ...]]:
    """Check the output of a step that is no state; return it and what follows it."""
    where, name = _where_it_returns(cell), cell.output
    if len(outputs) == len(cell.states) + 1:
        readout = outputs[0]
        width = cell.state_width(name)
        if not isinstance(readout, Node) or readout.trace is not trace:
            raise CellError(
                f"{where}: the output {name} is {type(readout).__name__}, not a value of the step"
            )
        if readout.width is None and width == 1 and readout.operation != "constant":
            readout = trace.spread(readout, 1)
        if readout.width != width:
            given = "a scalar" if readout.width is None else f"of width {readout.width}"
            raise CellError(f"{where}: the output {name} is {given}, state_width({name!r}) says {width}")
        return readout, outputs[1:]
    raise CellError(
        f"{where}: step returned {len(outputs)} values for the output {name} and the states "
        f"{', '.join(cell.states)}"
    )


def _where_it_returns(cell: CellLike) -> str:
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


def _grouped(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Give parameters of one letter that cannot share a tensor different families.

    One tensor holds gates of one shape that are all trained or all fixed. The first such group of a letter is
    called as the letter, the others after their gates as well: `W_h` and `W_h_z`.
    """
    groups: dict[tuple[str, tuple[int, ...], bool], list[Parameter]] = {}
    for parameter in parameters:
        groups.setdefault((parameter.family, parameter.shape, parameter.trained), []).append(parameter)
    names: dict[tuple[str, tuple[int, ...], bool], str] = {}
    taken = {parameter.family for parameter in parameters}
    first = dict.fromkeys(taken, True)
    for key, members in groups.items():
        letter = key[0]
        if first[letter]:
            first[letter], names[key] = False, letter
            continue
        name = "_".join([letter, *(member.gate for member in members)])
        while name in taken:
            name += "_"
        taken.add(name)
        names[key] = name
    return tuple(
        one
        if (name := names[one.family, one.shape, one.trained]) == one.family
        else replace(one, family=name, letter=one.family)
        for one in parameters
    )


def _families(parameters: tuple[Parameter, ...]) -> tuple[Family, ...]:
    members: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        members.setdefault(parameter.family, []).append(parameter)
    families = []
    for name, found in members.items():
        shape = found[0].shape
        stacked = (shape[0] * len(found), *shape[1:])
        gates = tuple(p.gate for p in found)
        families.append(Family(name, gates, stacked, found[0].role, found[0].trained))
    # Matrices first, regardless of the order of the equations: callers can rely on W_x, W_h, then vectors.
    return tuple(sorted(families, key=lambda family: -len(family.shape)))
