"""Losses of few outputs in native code: one call where torch needs several.

For small outputs, the number of calls dominates the cost. Large outputs, or those that native code does not
support, are left to torch: the function returns None.
"""

from typing import Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native
from nabi.native.bound import BoundLoss

__all__ = ["SmallLoss", "small_loss"]

# Beyond, torch is faster.
_OUTPUTS = 1 << 14


class SmallLoss(Protocol):
    """A loss, the mean over its rows or elements; the gradient is in the same memory every time."""

    def __call__(self, y: Tensor, outputs: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient for the outputs; both tensors have one shape, dtype and layout."""

    def bound(self) -> BoundLoss:
        """Return the last call as a run."""


def small_loss(kind: str, like: Tensor) -> SmallLoss | None:
    """Return a loss for outputs like `like`; None if torch must be used.

    Args:
        kind: "softmax_crossentropy" or "sigmoid_crossentropy", both of logits, or "squared_error".
        like: a tensor with the shape and dtype of the outputs.
    """
    if not 0 < like.numel() <= _OUTPUTS or like.dim() == 0 or not runs_native(like):
        return None
    from nabi.kernels._code._losses import NativeLoss

    return made_natively("losses", "losses", lambda: NativeLoss(kind, like))
