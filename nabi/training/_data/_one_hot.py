"""One-hot labels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nabi._public import public
from nabi._shown import short
from nabi.errors import ArgumentError

__all__ = ["to_categorical"]


@public
def to_categorical(
    x: npt.ArrayLike, num_classes: int | None = None, dtype: npt.DTypeLike = "float32"
) -> npt.NDArray[Any]:
    """Convert labels `[...]` or `[..., 1]` to one-hot vectors `[..., num_classes]`.

    Args:
        x: whole numbers from 0, possibly stored as floats.
        num_classes: the number of classes (default: the largest label + 1).
        dtype: dtype of the result.

    Raises:
        ArgumentError: for labels that are not whole numbers, negative, or not below `num_classes`.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    from nabi.data import one_hot

    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError):
        raise ArgumentError(f"dtype: expected a NumPy dtype, got {short(dtype)}") from None
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels.reshape(labels.shape[:-1])
    if not np.issubdtype(labels.dtype, np.integer):
        with np.errstate(invalid="ignore"):
            whole = labels.astype(np.int64) if labels.dtype.kind in "fb" else None
        if whole is None or not np.array_equal(whole, labels):
            raise ArgumentError(f"x: expected whole numbers as labels, got other {labels.dtype} values")
        labels = whole
    if not labels.size and num_classes is None:
        raise ArgumentError("x: expected at least one label, got none; without labels, pass num_classes")
    return one_hot(labels, num_classes, argument="x").astype(kind, copy=False)
