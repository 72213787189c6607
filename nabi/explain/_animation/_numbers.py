"""Sequences of numbers and of characters, as a cell reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError, FileFormatError

__all__ = ["as_numbers", "is_file", "read_sequence"]

Numbers = npt.NDArray[np.float64]
_SEPARATORS = str.maketrans({",": " ", ";": " ", "\t": " "})


def as_numbers(data: Any) -> Numbers:
    """Return a sequence of numbers `[T, D]`.

    Args:
        data: an array `[T]` or `[T, D]`; the path of a .npy file or of a text with a step in each line; or
            such a text itself, of which numbers in one line are steps of one number.

    Raises:
        ArgumentError: for what is no such sequence.
        FileFormatError: for a file that holds none.
    """
    if isinstance(data, str | Path):
        found = _of_text(data)
    else:
        try:
            found = np.asarray(data, dtype=np.float64)
        except (TypeError, ValueError):
            raise ArgumentError(f"data: expected numbers, got {type(data).__name__}") from None
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2 or not found.size:
        raise ArgumentError(f"data: expected numbers [T] or [T, D], got the shape {found.shape}")
    if not np.isfinite(found).all():
        raise ArgumentError("data: expected finite numbers, got NaN or infinity")
    return found


def read_sequence(data: Any) -> tuple[Numbers, tuple[str, ...] | None]:
    """Return what a cell reads, `[T, D]`: numbers as `as_numbers` takes them, or the characters of a text.

    Characters are one-hot vectors of those that the text has. Also returns the names of the steps, if they
    have any.

    >>> numbers, labels = read_sequence("hello")
    >>> numbers.shape, labels
    ((5, 4), ('h', 'e', 'l', 'l', 'o'))
    >>> read_sequence("0.5 1")[0].tolist()
    [[0.5], [1.0]]
    """
    try:
        numbers = as_numbers(data)
    except ArgumentError:
        is_text = isinstance(data, str) and data and not is_file(data)
        if not is_text or _are_numbers(data.translate(_SEPARATORS).split()):
            raise
        known = sorted(set(data))
        return np.eye(len(known))[[known.index(one) for one in data]], tuple(data)
    return numbers, tuple(f"{value:g}" for value in numbers[:, 0]) if numbers.shape[1] == 1 else None


def is_file(data: str | Path) -> bool:
    """Return whether a text is the path of a file, rather than what is read."""
    try:
        return isinstance(data, Path) or ("\n" not in data and Path(data).is_file())
    except (OSError, ValueError):  # too long for a name
        return False


def _of_text(data: str | Path) -> Numbers:
    text, from_file = str(data), is_file(data)
    if from_file and Path(text).suffix.lower() == ".npy":
        try:
            return np.asarray(np.load(text, allow_pickle=False), dtype=np.float64)
        except (OSError, ValueError, TypeError) as problem:
            raise FileFormatError(f"data: {text}: it holds no array of numbers ({problem})") from problem
    if from_file:
        text = Path(text).read_text(encoding="utf-8", errors="replace")
    lines = [line.translate(_SEPARATORS).split() for line in text.splitlines() if line.strip()]
    if from_file and len(lines) > 1 and not _are_numbers(lines[0]):
        lines = lines[1:]  # the names of columns
    if not lines or not all(map(_are_numbers, lines)) or len(set(map(len, lines))) > 1:
        raise ArgumentError(
            "data: expected numbers such as '0.1 0.2 0.3', or a file with a step in each line, got "
            f"{text[:60]!r}"
        )
    found = np.array([[float(one) for one in line] for line in lines])
    return found.T if len(found) == 1 else found


def _are_numbers(words: list[str]) -> bool:
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True
