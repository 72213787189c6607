"""Running the step of one cell within a trace: as a whole program, or as a part of another cell's step.

`Composing` has what a cell is made of others with: cells inside, older states and inputs, changed products.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from math import prod
from typing import Any, ClassVar

from nabi.errors import CellError
from nabi.ir._further_inputs import ReadingInputs, named_by_step
from nabi.ir._graph._nodes import Change, Node, Part, Trace, current_trace
from nabi.ir.derived import Derived

__all__ = ["Composing", "delayed", "of_delayed_too", "run_step", "undelayed"]

_DELAYED = re.compile(r"(.+)_([1-9]\d*)")


def delayed(states: tuple[str, ...], delays: dict[str, int]) -> tuple[str, ...]:
    """Return the states with those that older values are kept in: `h_2` for the state h of two steps ago."""
    return (*states, *(f"{name}_{back}" for name, steps in delays.items() for back in range(2, steps + 1)))


def undelayed(name: str, delays: dict[str, int]) -> str:
    """Return the state whose older value is kept under a name."""
    found = _DELAYED.fullmatch(name)
    if found and 2 <= int(found[2]) <= delays.get(found[1], 0):
        return found[1]
    return name


def run_step(
    trace: Trace, cell: "Composing", x: Node, states: list[Node], further: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Call the step of a cell, and return what it returns, with the new states of its delays at the end.

    `further` are the inputs beside `x`, by name.
    """
    delays = cell.delays()
    by_name = dict(zip(cell.states, states, strict=True))
    own = [by_name[name] for name in cell.present_states]
    lines = {name: [by_name[name], *(by_name[f"{name}_{back}"] for back in range(2, steps + 1))]
             for name, steps in delays.items()}  # fmt: skip
    if trace.part.cell is None:
        trace.older = {f"{name}_{back}": (name, back)
                       for name, steps in delays.items() for back in range(2, steps + 1)}  # fmt: skip
    before, trace.part = trace.part, Part(cell, trace.part.prefix, lines, further)
    try:
        result = cell.step(x, *own, **named_by_step(cell, further))
    finally:
        trace.part = before
    outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(outputs) != len(own) + bool(cell.output):
        return outputs
    # Each older value moves on by one step; the newest of them is the state before this step.
    return (*outputs, *(value for line in lines.values() for value in line[:-1]))


def _run_part(
    trace: Trace, cell: "Composing", x: Node, states: tuple[Node, ...], name: str, further: Mapping[str, Any]
) -> Any:
    """Run a cell's step within that of another; see `Cell.inner`."""
    kind, names = type(cell).__name__, cell.states
    if len(states) != len(names):
        raise CellError(
            f"{trace.where()}: inner: {kind} has the states {', '.join(names)}, got {len(states)} values"
        )
    for letter, value in zip(("x", *names), (x, *states), strict=True):
        width = None if letter == "x" else cell.state_width(letter)
        if not isinstance(value, Node) or value.width is None or width not in (None, value.width):
            of = "with units" if width is None else f"of {width} units"
            raise CellError(
                f"{trace.where()}: inner: {letter} of {kind}: expected a value {of}, got {value!r}"
            )
    trace.note_frames()
    before = trace.part
    trace.part = Part(before.cell, "_".join(filter(None, (before.prefix, name))), before.lines)
    try:
        given = [replace(value, letter=letter) for letter, value in zip(names, states, strict=True)]
        outputs = run_step(trace, cell, replace(x, letter="x"), given, further)
    finally:
        trace.part = before
    results = (cell.output, *names) if cell.output else names
    if len(outputs) != len(results):
        raise CellError(
            f"{trace.where()}: inner: {kind} returned {len(outputs)} values for {', '.join(results)}"
        )
    for state, value in zip(results, outputs, strict=True):
        if not isinstance(value, Node) or value.width != cell.state_width(state):
            raise CellError(
                f"{trace.where()}: inner: the new {state} of {kind} is {value!r}, expected a value of "
                f"{cell.state_width(state)} units"
            )
    found = tuple(trace.nodes[value.index] for value in outputs)
    return found if len(found) > 1 else found[0]


def of_delayed_too(about: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that tells something of a state, and the same of older values of it."""

    @functools.wraps(about)
    def told(self: Composing, name: str) -> Any:
        return about(self, undelayed(name, self.delays()))

    return told


@contextmanager
def _changing(trace: Trace, change: Change) -> Iterator[None]:
    trace.changes.append(change)
    try:
        yield
    finally:
        trace.changes.pop()


class Composing(ReadingInputs):
    """The methods of a cell that is made of others, and what they need of it."""

    states: ClassVar[tuple[str, ...]]

    def step(self, x: Node, *states: Any, **inputs: Any) -> Any:
        """Compute the new states from the input and the states; defined by each cell."""
        raise NotImplementedError

    def state_width(self, name: str) -> int:
        """Return the width of a state."""
        raise NotImplementedError

    def delays(self) -> dict[str, int]:
        """Return how many steps back the step reads each state with `delay`; nothing unless overridden."""
        return {}

    @property
    def present_states(self) -> tuple[str, ...]:
        """The states without the older values of them that `delays` says, which the step is not given."""
        return tuple(name for name in self.states if undelayed(name, self.delays()) == name)

    def inner(self, cell: "Composing", x: Node, *states: Node, name: str = "", **further: Any) -> Any:
        """Return the new states of another cell, whose step becomes a part of this one.

        Its weights are those of its own step, with `name` in their names after the letter: `W_inner_xf`.
        What it calls x and by the names of its states are the values given here; a state that it keeps from
        step to step is a state of this cell too.

        Args:
            cell: the other cell.
            x: its input, any value with units.
            *states: its states, in the order of `cell.states`.
            name: the name of this use of it; without one, its weights keep their names.
            **further: what it reads beside `x`, any values and numbers.

        Returns:
            Its new states as a tuple, or one value if it has one state. An output that is no state comes
            before them.

        Raises:
            CellError: `cell` is no cell, `name` is no word, or a state is missing or has another width.

        Example:
            >>> from nabi.cells import GRU
            >>> from nabi.ir import Cell
            >>> class Twice(Cell):
            ...     def step(self, x, h):
            ...         h = self.inner(GRU(self.units), x, h, name="first")
            ...         return self.inner(GRU(self.units), h, h, name="second")
            >>> Twice(2).program(3).equations[0]
            'z_first_t = σ(W_first_xz x_t + W_first_hz h_{t-1} + b_first_xz + b_first_hz)'
        """
        trace = self._trace()
        if not isinstance(cell, Composing):
            raise CellError(f"{trace.where()}: inner: expected a cell such as GRU(4), got {cell!r}")
        if not isinstance(name, str) or (
            name and (not name.isidentifier() or "__" in name or name[0] == "_")
        ):
            raise CellError(f"{trace.where()}: name: expected a word, got {name!r}")
        kind, known = type(cell).__name__, cell.step_inputs()
        needed = {one for one in cell.inputs_to_give if one not in further}
        if needed:
            raise CellError(f"{trace.where()}: inner: {kind} needs {sorted(needed)[0]}=...")
        unknown = sorted(set(further).difference(known))
        if unknown:
            raise CellError(
                f"{trace.where()}: inner: {kind} reads {', '.join(known) or 'no further inputs'}, got "
                f"{unknown[0]}=..."
            )
        return _run_part(trace, cell, x, states, name.rstrip("_"), further)

    def delay(self, state: Node, steps: int) -> Node:
        """Return the value that a state had `steps` steps ago; 1 is the state itself.

        `delays` says how many steps back a state is read. The older values are states of the cell, `h_2` for
        the state h of two steps ago, and so on: lengths, masks, resets and the direction hold for them too.

        Args:
            state: a state, as the step was given it.
            steps: how many steps back, from 1 to what `delays` says.

        Raises:
            CellError: the state has no such delay.

        Example:
            >>> from nabi.ir import Cell
            >>> from nabi.ir.functions import tanh
            >>> class Remembering(Cell):
            ...     def delays(self):
            ...         return {"h": 3}
            ...
            ...     def step(self, x, h):
            ...         return tanh(self.affine("h", x, d=self.delay(h, 3)))
            >>> Remembering(2).states
            ('h', 'h_2', 'h_3')
        """
        trace = self._trace()
        name = state.letter or state.name if isinstance(state, Node) else ""
        line = trace.part.lines.get(name) or ([state] if isinstance(state, Node) else [])
        if not isinstance(steps, int) or not 1 <= steps <= len(line):
            raise CellError(
                f"{trace.where()}: delay: expected a state and a number of steps from 1 to what delays() "
                f"says ({len(line)} for {state!r}), got {steps!r}"
            )
        return line[steps - 1]

    def previous(self, value: Node) -> Node:
        """Return the input of the step before: `x_{t-1}`, zero at the first step.

        The cell gets one more state for it, `x1`, so a sequence that is cut in two gives the same numbers as
        the whole: the second part goes on from the states of the first. `previous(previous(x))` is the input
        two steps before, with the state `x2`. Products with it do not wait for the other states: they are
        computed before the loop.

        Args:
            value: the input of the step, or what `previous` returned.

        Raises:
            CellError: it is another value, or the cell has a state of that name.

        Example:
            >>> from nabi.ir import Cell
            >>> from nabi.ir.functions import tanh
            >>> class Difference(Cell):
            ...     def step(self, x, h):
            ...         return 0.9 * h + tanh(self.affine("h", x, self.previous(x)))
            >>> program = Difference(units=2).program(input_size=3)
            >>> program.state_names, program.equations
            (('h', 'x1'), ('h_t = 0.9 h_{t-1} + tanh(W_xh x_t + W_x1h x_{t-1} + b_h)',))
        """
        trace = self._trace()
        is_input = isinstance(value, Node) and (value.operation == "input" or value.name in trace.delays)
        if not is_input or value.width is None:
            raise CellError(
                f"{trace.where()}: previous: expected the input of the step, or an earlier one, got {value!r}"
            )
        found, stride = value, prod(change.stride for change in trace.changes)
        for _ in range(stride):
            found = trace.delayed(found)
        if found.name in (*self.states, self.output, *trace.inputs):
            raise CellError(
                f"{trace.where()}: previous: expected no state or input named {found.name}, which would hold "
                f"{value!r} of the step before; give yours another name"
            )
        # The weights keep the names that they have without a stride.
        source, steps = trace.source(found)
        return found if stride == 1 else replace(found, letter=f"{source.name}{steps // stride}")

    def changing(
        self,
        *,
        operand: Callable[[str, str, Node], Node] | None = None,
        product: Callable[[str, str, Node], Node] | None = None,
        weight: Derived | None = None,
        only_states: bool = False,
        stride: int = 1,
    ) -> AbstractContextManager[None]:
        """Change the products of the cells that are called within: for cells that wrap others.

        Args:
            operand: called with the gate, the letter and the value that a matrix is to be multiplied with;
                returns the value to take instead.
            product: the same with the product; returns what takes its place.
            weight: how matrices are computed from what is learned, where the cell does not say it.
            only_states: whether `weight` holds only for matrices on values that depend on states.
            stride: how many steps lie between an input and the one that is called the input before it.
        """
        return _changing(self._trace(), Change(operand, product, weight, only_states, stride))

    def _trace(self) -> Trace:
        trace = current_trace.get()
        if trace is None:
            raise CellError(f"{type(self).__name__}: equations can only be used inside step()")
        return trace
