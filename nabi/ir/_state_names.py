"""The names that a cell gives to its states and to an output that is none of them."""

from keyword import iskeyword
from typing import Any

from nabi.errors import CellError

__all__ = ["check_names"]


def check_names(cell: str, states: Any, output: Any) -> None:
    """Check the names of states and of an output, empty for none.

    Raises:
        CellError: they are not different words, or one of them is `x`.
    """
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
