"""One column per code."""

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
    """Turn integer codes of any shape `[...]` into ones in zeros, `[..., width]` of float32.

    `width` is the largest code + 1 by default. Raises `ArgumentError` if the codes are not integers, are
    negative, or do not fit into `width`; its message calls them `argument`.

    >>> one_hot([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if width is not None:
        width = _checks.whole("width", width, 0, otherwise=" or None")
    indices = np.asarray(codes)
    if indices.size and not np.issubdtype(indices.dtype, np.integer):
        raise ArgumentError(f"{argument}: an array of {indices.dtype} was given, integers are expected")
    indices = indices.astype(np.int64)
    smallest, largest = (int(indices.min()), int(indices.max())) if indices.size else (0, -1)
    if width is None:
        width = largest + 1
    if smallest < 0 or largest >= width:
        expected = "no negative ones are" if largest < width else f"0 to {width - 1} are"
        raise ArgumentError(f"{argument}: {smallest} to {largest} were given, {expected} expected")
    encoded: npt.NDArray[np.float32] = np.zeros((*indices.shape, width), dtype=np.float32)
    np.put_along_axis(encoded, indices[..., None], 1.0, axis=-1)
    return encoded
