"""A loss of few outputs in native code: one call where torch needs several.

With little to compute it is the number of calls that costs. What is large, or not for native code, is left to
torch: then there is None.
"""

from typing import Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native

__all__ = ["SmallLoss", "small_loss"]

# Torch is faster beyond.
_OUTPUTS = 1 << 14


class SmallLoss(Protocol):
    """A loss, the mean over its rows or elements; the gradient lies in the same memory every time."""

    def __call__(self, y: Tensor, outputs: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient for the outputs; both are contiguous and of one shape and type."""


def small_loss(kind: str, like: Tensor) -> SmallLoss | None:
    """Return a loss for outputs as these; None where torch has to do it.

    Args:
        kind: "softmax_crossentropy" or "sigmoid_crossentropy", both of logits, or "squared_error".
        like: has the shape and type of the outputs.
    """
    if not 0 < like.numel() <= _OUTPUTS or like.dim() == 0 or not runs_native(like):
        return None
    from nabi.kernels._code._losses import NativeLoss

    return made_natively("losses", "losses", lambda: NativeLoss(kind, like))
