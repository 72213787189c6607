"""Checks of numbers, flags and names for all of nabi, with uniform error messages.

Each check takes the name and the value of an argument and returns a plain Python value: an int, a float, a
bool, a text. So NumPy numbers and tensors with one number and no axis are accepted wherever a number is, and
what a layer or a model stores can be written as JSON. True, False, NaN and infinities are not numbers.

This module imports neither NumPy nor torch, so the equations and the command line can use it too.
"""

import math
import numbers
import operator
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nabi._shown import short
from nabi.errors import ArgumentError, MissingFileError, NabiError, unknown_name

__all__ = ["as_real", "as_whole", "choice", "flag", "path", "rate", "real", "seed", "short", "whole"]


def whole(
    name: str,
    value: Any,
    least: int | None = 1,
    most: int | None = None,
    *,
    otherwise: str = "",
    floats: bool = False,
) -> int:
    """Return a whole number as an int.

    Args:
        name: name of the argument.
        value: the given value.
        least: the smallest valid number; None for no bound.
        most: the largest valid number; None for no bound.
        otherwise: what else is valid, for the message: " or None".
        floats: whether to accept floats without a fraction.

    Raises:
        ArgumentError: for anything else.

    >>> import numpy as np
    >>> whole("units", np.int64(3))
    3
    >>> whole("units", 0)
    Traceback (most recent call last):
        ...
    nabi.errors.ArgumentError: units: expected a whole number of at least 1, got 0
    """
    if type(value) is int:
        number: int | None = value
    else:
        number = as_whole(value, floats)
    if number is not None and (least is None or number >= least) and (most is None or number <= most):
        return number
    raise ArgumentError(f"{name}: expected a whole number{_span(least, most)}{otherwise}, got {short(value)}")


def real(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    otherwise: str = "",
    what: str = "number",
) -> float:
    """Return a finite number as a float.

    Args:
        name: name of the argument.
        value: the given value.
        least, above: the lower bound, inclusive or exclusive.
        most, below: the upper bound, inclusive or exclusive.
        otherwise: what else is valid, for the message: " or None".
        what: the number's name in the message.

    Raises:
        ArgumentError: for anything else.

    >>> real("learning_rate", 1, least=0)
    1.0
    >>> real("clipnorm", float("nan"), above=0)
    Traceback (most recent call last):
        ...
    nabi.errors.ArgumentError: clipnorm: expected a number above 0, got nan
    """
    number = value if type(value) is float else as_real(value)
    if (
        number is not None
        and math.isfinite(number)
        and (least is None or number >= least)
        and (above is None or number > above)
        and (most is None or number <= most)
        and (below is None or number < below)
    ):
        return number
    raise ArgumentError(
        f"{name}: expected a {what}{_range(least, above, most, below)}{otherwise}, got {short(value)}"
    )


def rate(name: str, value: Any, *, up_to_one: bool = False) -> float:
    """Return a rate as a float: at least 0 and below 1, or at most 1 with `up_to_one`.

    >>> rate("dropout", 0.25)
    0.25
    """
    if up_to_one:
        return real(name, value, least=0, most=1, what="rate")
    return real(name, value, least=0, below=1, what="rate")


def flag(name: str, value: Any, *, otherwise: str = "") -> bool:
    """Return True or False as a bool; NumPy's are accepted, numbers are not."""
    if isinstance(value, bool):
        return value
    plain = _without_axes(value)
    if isinstance(plain, bool):
        return plain
    raise ArgumentError(f"{name}: expected True or False{otherwise}, got {short(value)}")


def choice(name: str, value: Any, known: Collection[str]) -> str:
    """Return a known name; for an unknown one, raise `UnknownNameError` with the nearest known name."""
    if isinstance(value, str) and value in known:
        return str(value)
    raise unknown_name(name, value, known)


def seed(name: str, value: Any, *, negative: bool = False, bits: int = 63, otherwise: str = "") -> int:
    """Return the seed of a generator as an int.

    Args:
        name: name of the argument.
        value: the given value.
        negative: whether the generator accepts negative seeds, as torch's do.
        bits: the maximum number of bits; NumPy's global generator takes 32.
        otherwise: what else is valid, for the message: " or None".
    """
    number = as_whole(value, floats=False)
    least = -(2**bits) if negative else 0
    if number is not None and least <= number < 2**bits:
        return number
    first = f"-2**{bits}" if negative else "0"
    raise ArgumentError(
        f"{name}: expected a whole number from {first} to 2**{bits} - 1{otherwise}, got {short(value)}"
    )


def path(name: str, value: Any, hint: str = "", wrong: type[NabiError] = MissingFileError) -> Path:
    """Return a path that the system can look up.

    Args:
        name: name of the argument.
        value: the given value.
        hint: what else is valid, for the message.
        wrong: the error for a text that is not a path: a missing file, or a file that can't be written.

    Raises:
        ArgumentError: if the value is neither a text nor a path.
        MissingFileError: for a text that can't be looked up: empty, with a NUL, or too long for a path, such
            as a text given instead of its file.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(text := os.fspath(value), str):
        raise ArgumentError(f"{name}: expected a path{hint}, got {short(value)}")
    if not _can_be_looked_up(text):
        what = "there is no file" if wrong is MissingFileError else "cannot write"
        raise wrong(f"{name}: {what} {short(text)}; expected a path{hint}")
    return Path(text)


_LONGEST_PATH = 4095
_LONGEST_NAME = 255


def _can_be_looked_up(text: str) -> bool:
    if not text.strip() or "\0" in text:
        return False
    try:
        content = os.fsencode(text)
    except UnicodeEncodeError:
        return False
    parts = content.replace(os.fsencode(os.sep), b"/").split(b"/")
    return len(content) <= _LONGEST_PATH and max(map(len, parts)) <= _LONGEST_NAME


def _without_axes(value: Any) -> Any:
    """Convert a NumPy number or bool, or a tensor without axes, to Python's; return others unchanged."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        try:
            return value.item()
        except (TypeError, ValueError, RuntimeError):  # a tensor without values
            return None
    return value


def as_whole(value: Any, floats: bool) -> int | None:
    """Return a whole number as an int, else None; with `floats`, accept a float without a fraction."""
    value = _without_axes(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if floats and value.is_integer() else None
    if getattr(value, "ndim", 0) != 0:  # torch treats a tensor [1] as a number; here it is an array
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def as_real(value: Any) -> float | None:
    """Return a real number as a float, else None."""
    if type(value) is float:
        return value
    value = _without_axes(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return None


def _span(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    return f" of at most {most}" if most is not None else ""


def _range(least: float | None, above: float | None, most: float | None, below: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if above is not None and below is not None:
        return f" between {above} and {below}"
    low = f" of at least {least}" if least is not None else f" above {above}" if above is not None else ""
    high = f"at most {most}" if most is not None else f"below {below}" if below is not None else ""
    if low and high:
        return f"{low} and {high}"
    return low or (f" {'of ' if most is not None else ''}{high}" if high else "")
