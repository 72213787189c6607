"""Checks and small conversions of the arguments that many layers share."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.nn._named import snake_case

__all__ = [
    "Shape",
    "check_no_constraint",
    "check_one_of",
    "check_switches",
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

_DTYPES = {
    "float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64,
    "int8": torch.int8, "int16": torch.int16, "int32": torch.int32, "int64": torch.int64,
    "uint8": torch.uint8, "bool": torch.bool,
}  # fmt: skip
_names_given: dict[str, int] = {}


def unique_name(class_name: str) -> str:
    """Name a layer after its class: `lstm`, then `lstm_1`, `lstm_2`."""
    name = snake_case(class_name).lstrip("_")
    count = _names_given.get(name, 0)
    _names_given[name] = count + 1
    return f"{name}_{count}" if count else name


def reset_names() -> None:
    """Start the automatic names of layers again from the first one."""
    _names_given.clear()


def dtype_named(dtype: "str | torch.dtype | None", argument: str = "dtype") -> torch.dtype:
    """Return a torch dtype for a name as `"float32"`; `None` is torch's default dtype."""
    if dtype is None:
        return torch.get_default_dtype()
    if isinstance(dtype, torch.dtype):
        return dtype
    name = str(dtype)
    if name not in _DTYPES:
        raise unknown_name(argument, name, _DTYPES)
    return _DTYPES[name]


def positive_integer(argument: str, value: Any) -> int:
    """Return `value` as an int; `ArgumentError` unless it is a whole number above 0."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if isinstance(value, bool) or number <= 0 or number != value:
        raise ArgumentError(f"{argument}: expected a whole number above 0; got {value!r}")
    return number


def one_positive_integer(argument: str, value: Any) -> int:
    """Return a size that Keras lets be a number or a tuple of one number."""
    return positive_integers(argument, value, 1)[0]


def positive_integers(argument: str, value: Any, count: int) -> tuple[int, ...]:
    """Return sizes along `count` axes, which Keras lets be a number for all or a tuple of one for each."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return (positive_integer(argument, value),) * count
    if len(value) != count:
        numbers = "a whole number above 0" if count == 1 else f"a whole number above 0, or {count} of them"
        raise ArgumentError(f"{argument}: expected {numbers}; got {value!r}")
    return tuple(positive_integer(argument, one) for one in value)


def rate(argument: str, value: Any) -> float:
    """Return a dropout rate as a float; `ArgumentError` unless it is between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ArgumentError(f"{argument}: expected a rate between 0 and 1; got {value!r}")
    return float(value)


def check_one_of(argument: str, value: object, known: Sequence[object]) -> None:
    """Raise `UnknownNameError` unless `value` is one of the known ones."""
    if value not in known:
        raise unknown_name(argument, value, [str(one) for one in known])


def check_no_constraint(**constraints: object) -> None:
    """Keras' constraint arguments are accepted, as long as none is asked for."""
    for argument, value in constraints.items():
        if value is not None:
            raise ArgumentError(
                f"{argument}: constraints on weights are not offered; got {value!r}, expected None"
            )


def unknown_arguments(class_name: str, given: Mapping[str, object], known: Sequence[str]) -> ArgumentError:
    """Build the error for keyword arguments that a layer does not have."""
    first = next(iter(given))
    error = unknown_name(f"{class_name}(...)", first, known)
    return ArgumentError(str(error).replace("is not known", "is not an argument of this layer", 1))


@functools.cache
def _switches(kind: type) -> frozenset[str]:
    """The arguments of nabi's layers that are True or False, by their defaults."""
    found: set[str] = set()
    for one in kind.__mro__:
        if "__init__" in vars(one) and one.__module__.split(".")[0] == "nabi":
            parameters = inspect.signature(vars(one)["__init__"]).parameters.values()
            found.update(parameter.name for parameter in parameters if isinstance(parameter.default, bool))
    return frozenset(found)


def check_switches(kind: type, given: Mapping[str, object]) -> None:
    """Raise `ArgumentError` for a keyword argument that should be True or False and is something else."""
    for name in given:
        if name in _switches(kind):
            value = given[name]
            if not isinstance(value, bool | int | np.bool_) or value not in (0, 1):
                raise ArgumentError(f"{name}: expected True or False, got {value!r}")


def keyword_arguments(kind: type) -> list[str]:
    """Return the names of all arguments that a class and the classes it is made from take."""
    names: set[str] = set()
    for one in kind.__mro__:
        if "__init__" in vars(one) and one.__module__.split(".")[0] != "torch":
            for name, parameter in inspect.signature(vars(one)["__init__"]).parameters.items():
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                    names.add(name)
    return sorted(names - {"self"})


def _dimensions(argument: str, shape: Any) -> Shape:
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(shape, Sequence | torch.Size) or isinstance(shape, str):
        raise ShapeError(f"{argument}: expected a list or tuple of whole numbers or None; got {shape!r}")
    dimensions: list[int | None] = []
    for size in shape:
        if size is None:
            dimensions.append(None)
            continue
        try:
            number = int(size)
        except (TypeError, ValueError):
            number = -1
        if number < 0 or number != size:
            raise ShapeError(f"{argument}: expected whole numbers or None; got {size!r} in {tuple(shape)}")
        dimensions.append(number)
    return tuple(dimensions)


def declared_shape(
    *,
    input_shape: Any = None,
    input_dim: Any = None,
    input_length: Any = None,
    batch_input_shape: Any = None,
    batch_size: Any = None,
    sequence: bool = False,
) -> Shape | None:
    """Join Keras' ways of saying the input shape into one full shape, batch first.

    `sequence`: the layer reads `[B, T, D]`, so that `input_dim=D` alone leaves the length open.

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
            raise ShapeError("batch_input_shape: expected at least the batch size; got ()")
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
