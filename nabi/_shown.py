"""Short descriptions of values for messages."""

from typing import Any

__all__ = ["short"]

_MOST = 80


def short(value: Any) -> str:
    """Return a value for a message: its repr, on one line and truncated if it is long.

    >>> short("a text\\nof two lines")
    "'a text\\\\nof two lines'"
    >>> short(list(range(1000)))
    '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 2 ...'
    """
    if type(value).__module__.partition(".")[0] in ("numpy", "torch") and getattr(value, "shape", ()) != ():
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    try:
        said = " ".join(repr(value).split())
    except ValueError:  # Python prints no integer with more than 4,300 digits
        return f"a number of {value.bit_length():,} bits"
    return said if len(said) <= _MOST else f"{said[: _MOST - 4]} ..."
