"""A small dense layer in native code: one call where torch needs several.

With little to compute it is the number of calls that costs. What is large, or not for native code, is left to
torch: then there is None.
"""

from typing import Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native

__all__ = ["SmallDense", "small_dense"]

# Torch's products, packed and shared out among threads, are faster beyond.
_MULTIPLY_ADDS = 1 << 18
_KERNEL = 1 << 13


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


def small_dense(kernel: Tensor, bias: Tensor | None, activation: str, rows: int) -> SmallDense | None:
    """Return the passes of a dense layer over `rows` rows; None where torch has to do it.

    Args:
        kernel: `[inputs, units]`, contiguous. Weights may be written to, but not lie elsewhere.
        bias: `[units]` or None.
        activation: "linear", "relu", "sigmoid" or "tanh".
        rows: of its input.
    """
    if not 0 < rows * kernel.numel() <= _MULTIPLY_ADDS or kernel.numel() > _KERNEL:
        return None
    if not runs_native(kernel, *(() if bias is None else (bias,))):
        return None
    from nabi.kernels._code._dense import NativeDense

    return made_natively("dense", "dense layers", lambda: NativeDense(kernel, bias, activation, rows))
