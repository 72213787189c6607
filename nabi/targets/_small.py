"""A small dense layer and a loss of few outputs in native code: one call where torch needs several.

With little to compute it is the number of calls that costs. What is large, or not for native code, is left to
torch: then there is None.
"""

import warnings
from typing import Protocol

from torch import Tensor

from nabi.targets._native import runs_native

__all__ = ["SmallDense", "SmallLoss", "small_dense", "small_loss"]

# Torch's products, packed and shared out among threads, are faster beyond.
_MULTIPLY_ADDS = 1 << 18
_KERNEL = 1 << 13
_OUTPUTS = 1 << 14

_failed = False


class SmallDense(Protocol):
    """`activation(x · kernel + bias)` for so many rows; `forward`, then `backward`, again and again.

    What they return lies in the same memory every time.
    """

    kernel_gradient: Tensor
    bias_gradient: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs `[rows, units]` for `[rows, inputs]`, contiguous; `x` must stay as it is."""

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """Form `kernel_gradient` and `bias_gradient`, return the gradient of the input if it is needed.

        Args:
            cotangent: of the outputs `[rows, units]`, contiguous.
            need_input: whether the gradient of the input is needed.
        """


class SmallLoss(Protocol):
    """A loss, the mean over its rows or elements; the gradient lies in the same memory every time."""

    def __call__(self, y: Tensor, outputs: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient for the outputs; both are contiguous and of one shape and type."""


def small_dense(kernel: Tensor, bias: Tensor | None, activation: str, rows: int) -> SmallDense | None:
    """Return the passes of a dense layer over `rows` rows; None where torch has to do it.

    Args:
        kernel: `[inputs, units]`, contiguous. Weights may be written to, but not lie elsewhere.
        bias: `[units]` or None.
        activation: "linear", "relu", "sigmoid" or "tanh".
        rows: of its input.
    """
    if not 0 < rows * kernel.numel() <= _MULTIPLY_ADDS or kernel.numel() > _KERNEL or _failed:
        return None
    if not runs_native(kernel, *(() if bias is None else (bias,))):
        return None
    from nabi.targets.llvm._dense import NativeDense
    from nabi.targets.llvm._machine import NativeError

    try:
        return NativeDense(kernel, bias, activation, rows)
    except NativeError as problem:
        _give_up("dense layers", problem)
        return None


def small_loss(kind: str, like: Tensor) -> SmallLoss | None:
    """Return a loss for outputs as these; None where torch has to do it.

    Args:
        kind: "softmax_crossentropy" or "sigmoid_crossentropy", both of logits, or "squared_error".
        like: has the shape and type of the outputs.
    """
    if _failed or not 0 < like.numel() <= _OUTPUTS or like.dim() == 0 or not runs_native(like):
        return None
    from nabi.targets.llvm._losses import NativeLoss
    from nabi.targets.llvm._machine import NativeError

    try:
        return NativeLoss(kind, like)
    except NativeError as problem:
        _give_up("losses", problem)
        return None


def _give_up(what: str, problem: Exception) -> None:
    global _failed
    _failed = True
    warnings.warn(f"no native code for {what}, they run slower: {problem}", RuntimeWarning, stacklevel=3)
