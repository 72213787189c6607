"""The checks of numbers, flags and names that every part of nabi makes, and the one wording of their errors.

Each check takes the name of the argument and what was given, and returns a plain Python value: an int, a
float, a bool, a text. So a number of NumPy, or a tensor with one number and no axis, is taken wherever a
number may stand, and what a layer or a model keeps can be written as JSON. True and False are no numbers; nor
are NaN and the infinities.

This module loads neither NumPy nor torch, so that the equations and the command line can use it too.
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
        name: of the argument.
        value: what was given.
        least: the smallest number that is right; None for no bound.
        most: the largest number that is right; None for no bound.
        otherwise: what else is right, for the message: " or None".
        floats: take a float without a fraction too.

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
        name: of the argument.
        value: what was given.
        least, above: the bound below, which is right itself or is not.
        most, below: the bound above, which is right itself or is not.
        otherwise: what else is right, for the message: " or None".
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
    """Return a rate or share, which is at least 0 and below 1, or at most 1 with `up_to_one`, as a float.

    >>> rate("dropout", 0.25)
    0.25
    """
    if up_to_one:
        return real(name, value, least=0, most=1, what="rate")
    return real(name, value, least=0, below=1, what="rate")


def flag(name: str, value: Any, *, otherwise: str = "") -> bool:
    """Return True or False as a bool; NumPy's are taken, numbers are not."""
    if isinstance(value, bool):
        return value
    plain = _without_axes(value)
    if isinstance(plain, bool):
        return plain
    raise ArgumentError(f"{name}: expected True or False{otherwise}, got {short(value)}")


def choice(name: str, value: Any, known: Collection[str]) -> str:
    """Return a name that is among the known ones; else an `UnknownNameError` says the nearest right one."""
    if isinstance(value, str) and value in known:
        return str(value)
    raise unknown_name(name, value, known)


def seed(name: str, value: Any, *, negative: bool = False, bits: int = 63, otherwise: str = "") -> int:
    """Return the seed of a generator as an int.

    Args:
        name: of the argument.
        value: what was given.
        negative: whether the generator takes negative seeds, as torch's do.
        bits: how many a seed may have: NumPy's global generator takes 32.
        otherwise: what else is right, for the message: " or None".
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
    """Return a path that a system can look up.

    Args:
        name: of the argument.
        value: what was given.
        hint: what else is right, for the message.
        wrong: the error for a text that is no path: that there is no such file, or that none can be written.

    Raises:
        ArgumentError: for what is neither a text nor a path.
        MissingFileError: for a text that no system could look up: nothing, one with a NUL in it, or one that
            is longer than a path may be; such is a text that was given in the place of its file.
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
    """A number or bool of NumPy's, or of a tensor without axes, as Python's; anything else as it is."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        try:
            return value.item()
        except (TypeError, ValueError, RuntimeError):  # a tensor without values
            return None
    return value


def as_whole(value: Any, floats: bool) -> int | None:
    """Return a whole number as an int, None for anything else; `floats`: also a float without a fraction."""
    value = _without_axes(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if floats and value.is_integer() else None
    if getattr(value, "ndim", 0) != 0:  # torch takes a tensor [1] for a number; here it is an array
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def as_real(value: Any) -> float | None:
    """Return a real number as a float, None for anything else."""
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
