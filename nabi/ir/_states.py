"""What a cell says of its states, and of an output that is none of them: names, widths and axes."""

from keyword import iskeyword
from math import prod
from typing import Any, Protocol

from nabi import _checks
from nabi.errors import ArgumentError, CellError

__all__ = ["check_width", "state_widths"]


class _HasStates(Protocol):
    @property
    def states(self) -> tuple[str, ...]: ...

    @property
    def output(self) -> str: ...

    def state_width(self, name: str) -> int: ...

    def state_shape(self, name: str) -> tuple[int, ...]: ...


def state_widths(cell: _HasStates) -> list[int]:
    """Return the widths of the states, checked with their names and axes.

    Raises:
        CellError: they are not different words, or one of them is `x`; a width is not positive, or not that
            of the axes.
    """
    name = type(cell).__name__
    _check_names(name, cell.states, cell.output)
    found = []
    for state in cell.states:
        width = check_width(f"{name}: state_width({state!r})", cell.state_width(state))
        shape = cell.state_shape(state)
        sizes = isinstance(shape, tuple) and all(isinstance(size, int) and size > 0 for size in shape)
        if not sizes or (shape and prod(shape) != width):
            raise CellError(
                f"{name}: state_shape({state!r}): expected a tuple of positive sizes whose product is the "
                f"width, {width}, got {shape!r}"
            )
        found.append(width)
    return found


def check_width(where: str, value: Any) -> int:
    """Return a width that a cell gives, which has to be a positive whole number."""
    try:
        return _checks.whole(where, value)
    except ArgumentError as problem:
        raise CellError(str(problem)) from None


def _check_names(cell: str, states: Any, output: Any) -> None:
    """Check the names of states and of an output, empty for none."""
    if not isinstance(states, tuple) or not states or not all(isinstance(state, str) for state in states):
        raise CellError(f'{cell}: states: expected a tuple of names such as ("h",), got {states!r}')
    if not isinstance(output, str) or (output and not _is_word(output)):
        raise CellError(f"{cell}: output: expected a word that names it, got {output!r}")
    if output in (*states, "x"):
        raise CellError(f"{cell}: output: expected another name than x and those of states, got {output!r}")
    if len(set(states)) < len(states) or "x" in states or not all(map(_is_word, states)):
        raise CellError(
            f"{cell}: states: expected different names, each a word without leading or double underscores "
            f"and none of them x, got {states!r}"
        )


def _is_word(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name) and name[0] != "_" and "__" not in name
