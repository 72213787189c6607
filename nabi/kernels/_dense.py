"""A small dense layer in native code: one call where torch needs several.

For small layers, the number of calls dominates the cost. Large layers, or those that native code does not
support, are left to torch: the function returns None.
"""

from typing import Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native
from nabi.native.bound import BoundPass

__all__ = ["SmallDense", "small_dense"]

# Beyond, torch's packed and multithreaded products are faster.
_MULTIPLY_ADDS = 1 << 18
_KERNEL = 1 << 13


class SmallDense(Protocol):
    """`activation(x · kernel + bias)` for a fixed number of rows; `forward`, then `backward`, repeatedly.

    The results are in the same memory every time.
    """

    kernel_gradient: Tensor
    bias_gradient: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs `[rows, units]` for contiguous `[rows, inputs]`; `x` must not change."""

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """Compute `kernel_gradient` and `bias_gradient`; return the gradient of the input if needed.

        Args:
            cotangent: cotangent of the outputs `[rows, units]`, contiguous.
            need_input: whether the gradient of the input is needed.
        """

    def bound(self, need_input: bool) -> BoundPass:
        """Return the last step, forward and backward, as two runs; `need_input` as it was in this step."""


def small_dense(kernel: Tensor, bias: Tensor | None, activation: str, rows: int) -> SmallDense | None:
    """Return the passes of a dense layer over `rows` rows; None if torch must be used.

    Args:
        kernel: `[inputs, units]`, contiguous. Weights may change, but not move.
        bias: `[units]` or None.
        activation: "linear", "relu", "sigmoid" or "tanh".
        rows: number of rows of the input.
    """
    if not 0 < rows * kernel.numel() <= _MULTIPLY_ADDS or kernel.numel() > _KERNEL:
        return None
    if not runs_native(kernel, *(() if bias is None else (bias,))):
        return None
    from nabi.kernels._code._dense import NativeDense

    return made_natively("dense", "dense layers", lambda: NativeDense(kernel, bias, activation, rows))
