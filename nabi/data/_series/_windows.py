"""Windows over a sequence, each with the step that follows."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ShapeError

__all__ = ["windows"]


@public
def windows(sequence: npt.ArrayLike, length: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Cut a sequence into all its windows of `length` steps, each with the step that follows it.

    A sequence `[T]` gives inputs `[T - length, length]` and next `[T - length]`; one with features `[T, D]`
    gives `[T - length, length, D]` and `[T - length, D]`. Both are copies, of the sequence's dtype.

    Raises `ArgumentError` if `length` is not a positive integer, `ShapeError` if the sequence has no time
    axis or is not longer than a window.

    >>> inputs, following = windows([0, 1, 2, 3, 4], 3)
    >>> inputs
    array([[0, 1, 2],
           [1, 2, 3]])
    >>> following
    array([3, 4])
    """
    length = _checks.whole("length", length)
    steps: npt.NDArray[Any] = np.asarray(sequence)
    if steps.ndim == 0:
        raise ShapeError("sequence: expected an array [T] or [T, D], got a single value")
    if len(steps) <= length:
        raise ShapeError(f"sequence: expected more than length={length} steps, got {len(steps)}")
    views = np.lib.stride_tricks.sliding_window_view(steps[:-1], length, axis=0)
    # NumPy puts the window's axis last; time belongs before the features.
    return np.moveaxis(views, -1, 1).copy(), steps[length:].copy()
