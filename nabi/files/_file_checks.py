"""Checks shared by all readers of model files.

A file may be damaged or malicious. Its tensors reach native code by address, so the shape and type of each
are compared with what is expected before use.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from nabi.errors import ArgumentError, FileFormatError, NabiError

__all__ = ["check_counter", "check_figures", "check_tensors", "part", "reading"]

_LONGEST_REASON = 500
Value = TypeVar("Value")


@contextmanager
def reading(path: Path, result: str, *, of_own_classes: bool = False) -> Iterator[None]:
    """Turn errors raised inside into errors that say that the file is damaged.

    Args:
        path: of the file.
        result: the consequence, such as "it cannot be loaded as a captioner".
        of_own_classes: whether an `ArgumentError` may mean that `custom_objects` lacks a class; it is then
            raised again with a hint.

    Raises:
        FileFormatError: for every other exception, except those that exit the program.
    """
    try:
        yield
    except FileFormatError as problem:
        if str(path) in str(problem):
            raise
        raise _damaged(path, result, problem) from problem
    except ArgumentError as problem:
        if not of_own_classes:
            raise _damaged(path, result, problem) from problem
        why = _shortened(str(problem))
        raise type(problem)(f"{why} (in the model file {path}; see custom_objects)") from problem
    except Exception as problem:
        raise _damaged(path, result, problem) from problem
    except BaseException as problem:
        # Libraries written in Rust report panics like this.
        if type(problem).__name__ != "PanicException":
            raise
        raise _damaged(path, result, problem) from problem


def _damaged(path: Path, result: str, problem: BaseException) -> FileFormatError:
    why = str(problem) if isinstance(problem, NabiError) else f"{type(problem).__name__}: {problem}"
    return FileFormatError(f"path: {path} is damaged: {result} ({_shortened(why)})")


def _shortened(text: str) -> str:
    """Return a message cut to a limit: it may quote the file, at any length."""
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."


def part(tensors: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str = "") -> None:
    """Check that the tensors of a file have the expected names, shapes and types.

    Floating-point types of another width are accepted, since they can be converted.

    Args:
        found: in the file.
        expected: the tensors to fill; may be on the device "meta".
        prefix: of the names in messages.

    Raises:
        FileFormatError: for a tensor that is missing, unexpected, or of the wrong shape or type.
    """
    for name in sorted(expected.keys() | found.keys()):
        own, there = expected.get(name), found.get(name)
        if own is not None and there is not None and own.shape == there.shape:
            if _converts(there.dtype, own.dtype):
                continue
            wanted, got = _type(own), _type(there)
        else:
            wanted = "no tensor of this name" if own is None else f"shape {tuple(own.shape)}"
            got = "none" if there is None else f"shape {tuple(there.shape)}"
        raise FileFormatError(f"{prefix}{name}: expected {wanted}, got {got}")


def _converts(found: torch.dtype, wanted: torch.dtype) -> bool:
    if found is wanted:
        return True
    both = found.is_floating_point and wanted.is_floating_point
    return both and found.itemsize != wanted.itemsize


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def check_counter(name: str, value: Any, most: float = 2**62) -> int:
    """Return a counter as an int: a whole number from 0, plain or in a scalar tensor.

    Raises:
        FileFormatError: for anything else.
    """
    number = value.item() if isinstance(value, Tensor) and value.dim() == 0 else value
    plain = isinstance(number, int | float) and not isinstance(number, bool)
    if not plain or not math.isfinite(number) or number != int(number) or not 0 <= number <= most:
        shown = repr(number)[:60]
        limit = "" if most > 2**52 else f" to {int(most)}"
        raise FileFormatError(f"{name}: expected a whole number from 0{limit}, got {shown}")
    return int(number)


def check_figures(name: str, value: Any) -> dict[str, list[float]]:
    """Return named lists of numbers, one number for each epoch.

    Raises:
        FileFormatError: for anything else.
    """
    if not isinstance(value, Mapping) or not all(
        isinstance(figures, list)
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in figures)
        for figures in value.values()
    ):
        raise FileFormatError(f"{name}: expected lists of numbers by name, got {repr(value)[:60]}")
    return {str(label): [float(one) for one in figures] for label, figures in value.items()}
