"""Running the step of one cell within a trace: as a whole program, or as a part of another cell's step."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from nabi.errors import CellError
from nabi.ir._graph._nodes import Change, Node, Part, Trace

__all__ = ["changing", "delayed", "run_part", "run_step", "undelayed"]

_DELAYED = re.compile(r"(.+)_([1-9]\d*)")


class Steps(Protocol):
    """What is known here of a cell."""

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, those of delays among them."""

    def state_width(self, name: str) -> int:
        """Return the width of a state."""

    def delays(self) -> dict[str, int]:
        """Return how many steps back a step reads a state."""

    def step(self, x: Node, *states: Any) -> Any:
        """Compute the new states."""


def delayed(states: tuple[str, ...], delays: dict[str, int]) -> tuple[str, ...]:
    """Return the states with those that older values are kept in: `h_2` for the state h of two steps ago."""
    return (*states, *(f"{name}_{back}" for name, steps in delays.items() for back in range(2, steps + 1)))


def undelayed(name: str, delays: dict[str, int]) -> str:
    """Return the state whose older value is kept under a name."""
    found = _DELAYED.fullmatch(name)
    if found and 2 <= int(found[2]) <= delays.get(found[1], 0):
        return found[1]
    return name


def run_step(trace: Trace, cell: Steps, x: Node, states: list[Node]) -> tuple[Any, ...]:
    """Call the step of a cell, and return the new states, those of its delays among them."""
    delays = cell.delays()
    by_name = dict(zip(cell.states, states, strict=True))
    own = [by_name[name] for name in cell.states if undelayed(name, delays) == name]
    lines = {name: [by_name[name], *(by_name[f"{name}_{back}"] for back in range(2, steps + 1))]
             for name, steps in delays.items()}  # fmt: skip
    if trace.part.cell is None:
        trace.older = {f"{name}_{back}": (name, back)
                       for name, steps in delays.items() for back in range(2, steps + 1)}  # fmt: skip
    before, trace.part = trace.part, Part(cell, trace.part.prefix, lines)
    try:
        result = cell.step(x, *own)
    finally:
        trace.part = before
    outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(outputs) != len(own):
        return outputs
    # Each older value moves on by one step; the newest of them is the state before this step.
    return (*outputs, *(value for line in lines.values() for value in line[:-1]))


def run_part(trace: Trace, cell: Steps, x: Node, states: tuple[Node, ...], name: str) -> Any:
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
        outputs = run_step(trace, cell, replace(x, letter="x"), given)
    finally:
        trace.part = before
    if len(outputs) != len(names):
        raise CellError(
            f"{trace.where()}: inner: {kind} returned {len(outputs)} values for {len(names)} states"
        )
    for state, value in zip(names, outputs, strict=True):
        if not isinstance(value, Node) or value.width != cell.state_width(state):
            raise CellError(
                f"{trace.where()}: inner: the new {state} of {kind} is {value!r}, expected a value of "
                f"{cell.state_width(state)} units"
            )
    found = tuple(trace.nodes[value.index] for value in outputs)
    return found if len(found) > 1 else found[0]


@contextmanager
def changing(trace: Trace, change: Change) -> Iterator[None]:
    """Change the products of the cells whose steps are called within."""
    trace.changes.append(change)
    try:
        yield
    finally:
        trace.changes.pop()
