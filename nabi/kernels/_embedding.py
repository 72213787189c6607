"""Embeddings of few places in native code, with results in the same memory every time.

Large ones, or those that native code does not support, are left to torch: the function returns None.
"""

from typing import Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native
from nabi.native.bound import BoundPass

__all__ = ["SmallEmbedding", "small_embedding"]

# Numbers of the vectors, and of all places: beyond, memory decides.
_WEIGHTS, _OUTPUTS = 1 << 20, 1 << 16


class SmallEmbedding(Protocol):
    """Vectors of whole numbers, forward and backward.

    Attributes:
        gradient: the gradient of the vectors.
    """

    gradient: Tensor

    def forward(self, indices: Tensor) -> Tensor:
        """Return the vectors `[count, width]` of numbers in int64, contiguous, all of which have one."""

    def backward(self, cotangent: Tensor) -> None:
        """Set `gradient`: for each vector the sum over its places, in their order."""

    def bound(self) -> BoundPass:
        """Return the last step, forward and backward, as runs."""


def small_embedding(weight: Tensor, count: int) -> SmallEmbedding | None:
    """Return an embedding for so many places; None if torch must be used.

    Args:
        weight: the vectors `[numbers, width]`; they must not move.
        count: the number of places.
    """
    outputs = count * weight.shape[1]
    if weight.numel() > _WEIGHTS or not 0 < outputs <= _OUTPUTS or not runs_native(weight):
        return None
    from nabi.kernels._code._embedding import NativeEmbedding

    return made_natively("embedding", "embedding", lambda: NativeEmbedding(weight, count))
