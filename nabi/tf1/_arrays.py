"""Conversion between NumPy arrays and torch tensors, and TensorFlow's array functions for both."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError

__all__ = [
    "as_dtype",
    "as_tensor",
    "float16",
    "float32",
    "float64",
    "int32",
    "int64",
    "stack",
    "to_numpy",
    "transpose",
    "unstack",
]

float16 = torch.float16
float32 = torch.float32
float64 = torch.float64
int32 = torch.int32
int64 = torch.int64


def as_dtype(dtype: Any, argument: str = "dtype") -> torch.dtype:
    """Return the torch type for one of `tf.float32`, `numpy.float32`, `"float32"`, `float`.

    Raises:
        ArgumentError: it is not a floating-point type.
    """
    found = dtype
    if not isinstance(found, torch.dtype):
        try:
            found = torch.from_numpy(np.zeros(0, dtype=dtype)).dtype
        except TypeError as error:
            raise ArgumentError(
                f"{argument}: expected a type such as tf.float32 or 'float32', got {dtype!r}"
            ) from error
    if not found.is_floating_point:
        raise ArgumentError(f"{argument}: expected a floating-point type such as tf.float32, got {dtype!r}")
    return found


def as_tensor(value: Any, dtype: torch.dtype | None, argument: str, rank: int | None = None) -> Tensor:
    """Return a value as a tensor of the type and rank; a tensor stays in the autograd graph.

    Raises:
        ArgumentError: the value is not an array of numbers.
        ShapeError: its rank is not `rank`.
    """
    if isinstance(value, Tensor):
        tensor = value
    else:
        try:
            array = np.ascontiguousarray(value)
            # ascontiguousarray adds an axis to a scalar; torch shares memory only with writeable arrays.
            array = array.reshape(np.shape(value))
            tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"{argument}: expected an array of numbers, got {type(value).__name__}"
            ) from error
    if rank is not None and tensor.dim() != rank:
        axes = {2: "[batch, width]", 3: "[batch, time steps, width]"}.get(rank, f"{rank} axes")
        raise ShapeError(f"{argument}: expected {axes}, got the shape {list(tensor.shape)}")
    return tensor if dtype is None else tensor.to(dtype)


def to_numpy(structure: Any) -> Any:
    """Replace every tensor in tuples and lists by a NumPy array, preserving named tuples."""
    if isinstance(structure, Tensor):
        return structure.detach().cpu().numpy()
    members = [to_numpy(member) for member in structure]
    if isinstance(structure, list):
        return members
    return type(structure)(*members) if hasattr(structure, "_fields") else tuple(members)


def unstack(value: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """Divide an array along an axis into the list of its members, as `tf.unstack`.

    Args:
        value: array or tensor.
        num: the number of members; checked if given.
        axis: the axis to remove, the first by default.

    Raises:
        ShapeError: there is no such axis, or it does not have `num` members.

    Example:
        >>> import numpy as np
        >>> [part.tolist() for part in unstack(np.array([[1, 2], [3, 4]]), axis=1)]
        [[1, 3], [2, 4]]
    """
    array = value if isinstance(value, Tensor) else np.asarray(value)
    _check_axis(array.ndim, axis, array.shape)
    if num is not None and num != array.shape[axis]:
        raise ShapeError(f"num: expected {array.shape[axis]}, the members of axis {axis} of value, got {num}")
    if isinstance(array, Tensor):
        return list(array.unbind(axis))
    return [np.take(array, index, axis=axis) for index in range(array.shape[axis])]


def stack(values: Sequence[Any], axis: int = 0) -> Any:
    """Join arrays of one shape along a new axis, as `tf.stack`.

    Raises:
        ShapeError: there are none, or their shapes differ.

    Example:
        >>> import numpy as np
        >>> stack([np.array([1, 2]), np.array([3, 4])], axis=1).tolist()
        [[1, 3], [2, 4]]
    """
    shapes = {tuple(np.shape(value)) for value in values}
    if len(shapes) != 1:
        listed = ", ".join(str(list(shape)) for shape in sorted(shapes)) or "none"
        raise ShapeError(f"values: expected arrays of one shape, got {listed}")
    _check_axis(len(next(iter(shapes))) + 1, axis, next(iter(shapes)))
    if any(isinstance(value, Tensor) for value in values):
        return torch.stack([torch.as_tensor(value) for value in values], dim=axis)
    return np.stack(values, axis=axis)


def transpose(a: Any, perm: Iterable[int] | None = None) -> Any:
    """Reorder the axes, all reversed by default, as `tf.transpose`.

    Raises:
        ShapeError: `perm` is not an order of the axes.

    Example:
        >>> import numpy as np
        >>> transpose(np.zeros([4, 2, 3]), perm=[1, 0, 2]).shape
        (2, 4, 3)
    """
    array = a if isinstance(a, Tensor) else np.asarray(a)
    order = list(reversed(range(array.ndim))) if perm is None else [int(axis) for axis in perm]
    if sorted(order) != list(range(array.ndim)):
        raise ShapeError(f"perm: expected an order of the axes 0 to {array.ndim - 1}, got {order}")
    return array.permute(order) if isinstance(array, Tensor) else array.transpose(order)


def _check_axis(rank: int, axis: int, shape: Sequence[int]) -> None:
    if not -rank <= axis < rank:
        raise ShapeError(f"axis: expected an axis of the shape {list(shape)}, got {axis}")
