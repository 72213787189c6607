"""Checks and conversions of arguments that many layers share."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from nabi import _checks
from nabi._dtypes import as_dtype
from nabi._named import snake_case
from nabi._public import unknown_argument
from nabi.errors import ArgumentError, ShapeError, unknown_name

__all__ = [
    "Shape",
    "check_no_constraint",
    "check_one_of",
    "check_shape",
    "declared_shape",
    "dtype_named",
    "keyword_arguments",
    "one_positive_integer",
    "positive_integer",
    "positive_integers",
    "rate",
    "reset_names",
    "unique_name",
    "unknown_arguments",
]

Shape = tuple[int | None, ...]

_LARGEST_SIZE = 2**63 - 1  # torch's limit

_names_given: dict[str, int] = {}


def unique_name(class_name: str) -> str:
    """Name a layer after its class: `lstm`, then `lstm_1`, `lstm_2`."""
    name = snake_case(class_name).lstrip("_")
    count = _names_given.get(name, 0)
    _names_given[name] = count + 1
    return f"{name}_{count}" if count else name


def reset_names() -> None:
    """Restart the automatic names of layers."""
    _names_given.clear()


def dtype_named(dtype: "str | torch.dtype | None", argument: str = "dtype") -> torch.dtype:
    """Return the torch dtype for a name such as `"float32"`; `None` is torch's default dtype."""
    return as_dtype(dtype, argument)


def positive_integer(argument: str, value: Any) -> int:
    """Return `value` as an int; `ArgumentError` unless it is a whole number above 0."""
    return _checks.whole(argument, value, floats=True)


def one_positive_integer(argument: str, value: Any) -> int:
    """Return a size given as a number or, as Keras allows, a tuple of one number."""
    return positive_integers(argument, value, 1)[0]


def positive_integers(argument: str, value: Any, count: int) -> tuple[int, ...]:
    """Return sizes along `count` axes, given as one number for all or as a tuple with one for each."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
        return (positive_integer(argument, value),) * count
    if len(value) != count:
        numbers = "" if count == 1 else f", or {count} of them"
        raise ArgumentError(f"{argument}: expected a whole number of at least 1{numbers}, got {value!r}")
    return tuple(positive_integer(argument, one) for one in value)


def rate(argument: str, value: Any) -> float:
    """Return a dropout rate as a float; `ArgumentError` unless it is between 0 and 1."""
    return _checks.rate(argument, value, up_to_one=True)


def check_one_of(argument: str, value: object, known: Sequence[object]) -> None:
    """Raise `UnknownNameError` unless `value` is one of the known names."""
    try:
        if value in known:
            return
    except (TypeError, ValueError, RuntimeError):  # an array or tensor can't be compared with a name
        pass
    raise unknown_name(argument, value, [str(one) for one in known])


def check_no_constraint(**constraints: object) -> None:
    """Raise `ArgumentError` unless all of Keras' constraint arguments are None."""
    for argument, value in constraints.items():
        if value is not None:
            given = _checks.short(value)
            raise ArgumentError(
                f"{argument}: expected None, got {given}; constraints on weights are not supported"
            )


def unknown_arguments(class_name: str, given: Mapping[str, object], known: Sequence[str]) -> ArgumentError:
    """Build the error for keyword arguments that a layer does not have."""
    return unknown_argument(f"{class_name}(...)", next(iter(given)), known)


@functools.cache
def keyword_arguments(kind: Any) -> frozenset[str]:
    """Return the names of all arguments that a class and its base classes take."""
    names: set[str] = set()
    for one in kind.__mro__:
        if "__init__" in vars(one) and one.__module__.split(".")[0] != "torch":
            for name, parameter in inspect.signature(vars(one)["__init__"]).parameters.items():
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                    names.add(name)
    if hasattr(kind, "use_cudnn"):  # Keras' LSTM and GRU take it
        names.add("use_cudnn")
    return frozenset(names - {"self"})


def _dimensions(argument: str, shape: Any) -> Shape:
    if hasattr(shape, "__index__") and getattr(shape, "ndim", 0) == 0:
        shape = (shape,)
    if isinstance(shape, np.ndarray | torch.Tensor):
        shape = shape.tolist()
    if not isinstance(shape, Sequence | torch.Size) or isinstance(shape, str | bytes | bytearray):
        given = _checks.short(shape)
        raise ShapeError(f"{argument}: expected a list or tuple of whole numbers or None, got {given}")
    dimensions: list[int | None] = []
    for size in shape:
        if size is None:
            dimensions.append(None)
            continue
        try:
            dimensions.append(_checks.whole(argument, size, 0, _LARGEST_SIZE, floats=True))
        except ArgumentError:
            large = (_checks.as_whole(size, floats=True) or 0) > _LARGEST_SIZE
            bound = " of at most 63 bits" if large else ""
            given = f"{_checks.short(size)} in {_checks.short(tuple(shape))}"
            raise ShapeError(f"{argument}: expected whole numbers{bound} or None, got {given}") from None
    return tuple(dimensions)


def check_shape(shape: Any, may_be_none: bool = False) -> None:
    """Check that a value is the full shape of an input, or of several inputs.

    Raises:
        ShapeError: for anything other than sizes.
    """
    parts = list(shape.values()) if isinstance(shape, Mapping) else [shape]
    for part in parts:
        several = isinstance(part, list | tuple) and any(isinstance(one, list | tuple) for one in part)
        for one in part if several else [part]:
            if not (one is None and (may_be_none or several)) and not _is_shape(one):
                raise ShapeError(
                    "input_shape: expected sizes, the batch first, such as (None, 4, 1), got "
                    f"{_checks.short(shape)}"
                )


def _is_shape(shape: Any) -> bool:
    if not isinstance(shape, list | tuple):
        return False
    if any(isinstance(size, str) for size in shape):
        return False
    # A SymInt is a size that torch determines later.
    return all(
        size is None or isinstance(size, torch.SymInt) or (_checks.as_whole(size, floats=False) or 0) >= 0
        for size in shape
    )


def declared_shape(
    *,
    input_shape: Any = None,
    input_dim: Any = None,
    input_length: Any = None,
    batch_input_shape: Any = None,
    batch_size: Any = None,
    sequence: bool = False,
) -> Shape | None:
    """Combine Keras' arguments for the input shape into one full shape, batch first.

    `sequence`: the layer reads `[B, T, D]`, so `input_dim=D` alone leaves the length open.

    >>> declared_shape(input_shape=[4, 1])
    (None, 4, 1)
    >>> declared_shape(batch_input_shape=(1, 4, 1))
    (1, 4, 1)
    >>> declared_shape(input_dim=3, sequence=True)
    (None, None, 3)
    """
    given = {
        "batch_input_shape": batch_input_shape,
        "input_shape": input_shape,
        "input_dim": input_dim,
    }
    used = [name for name, value in given.items() if value is not None]
    if len(used) > 1:
        raise ArgumentError(f"{used[1]}: the input shape is already given by {used[0]}={given[used[0]]!r}")
    if batch_input_shape is not None:
        shape = _dimensions("batch_input_shape", batch_input_shape)
        if not shape:
            raise ShapeError("batch_input_shape: expected at least the batch size, got ()")
        return shape
    batch = None if batch_size is None else positive_integer("batch_size", batch_size)
    if input_shape is not None:
        return (batch, *_dimensions("input_shape", input_shape))
    if input_dim is not None:
        width = positive_integer("input_dim", input_dim)
        if input_length is not None:
            return (batch, positive_integer("input_length", input_length), width)
        if sequence:
            return (batch, None, width)
        return (batch, width)
    return None
