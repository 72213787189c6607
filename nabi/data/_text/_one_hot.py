"""One-hot encoding."""

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError

__all__ = ["one_hot"]


@public
def one_hot(
    codes: npt.ArrayLike, width: int | None = None, *, argument: str = "codes"
) -> npt.NDArray[np.float32]:
    """One-hot encode integer codes of any shape `[...]`, `[..., width]` of float32.

    `width` is the largest code + 1 by default. Raises `ArgumentError` if the codes are not integers, are
    negative, or do not fit into `width`; the message refers to them as `argument`.

    >>> one_hot([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if width is not None:
        width = _checks.whole("width", width, 0, otherwise=" or None")
    indices = np.asarray(codes)
    if indices.size and not np.issubdtype(indices.dtype, np.integer):
        raise ArgumentError(f"{argument}: expected integers, got an array of {indices.dtype}")
    indices = indices.astype(np.int64)
    smallest, largest = (int(indices.min()), int(indices.max())) if indices.size else (0, -1)
    if width is None:
        width = largest + 1
    if smallest < 0 or largest >= width:
        expected = "no negative ones" if largest < width else f"0 to {width - 1}"
        raise ArgumentError(f"{argument}: expected {expected}, got {smallest} to {largest}")
    encoded: npt.NDArray[np.float32] = np.zeros((*indices.shape, width), dtype=np.float32)
    np.put_along_axis(encoded, indices[..., None], 1.0, axis=-1)
    return encoded
