"""The backward pass of max pooling after a convolution in native code, if available."""

from torch import Tensor

from nabi.native import made_natively, runs_native

__all__ = ["PooledConvolution", "pooled_convolution"]


class PooledConvolution:
    """The gradients of a convolution whose outputs are read only by max pooling."""

    def __init__(self, kernel: Tensor, stride: int, dilation: int) -> None:
        from nabi.kernels._code import _pooled_convolution

        size, width = kernel.shape[:2]
        self._native = _pooled_convolution
        self._shape = _pooled_convolution.Shape(size, width, dilation, str(kernel.dtype).rpartition(".")[2])
        self._kernel, self._stride = kernel, stride

    def make_ready(self) -> None:
        """Compile the kernels if needed."""
        self._native.make_ready(self._shape)

    def kernel_gradient(self, x: Tensor, given: Tensor, places: Tensor) -> Tensor:
        """Return the gradient of the kernel `[kernel_size, D, filters]`.

        Args:
            x: input of the convolution, with padding, `[B, T, D]`.
            given: gradients of the pooling windows, `[B, P, filters]`.
            places: the step of the convolution's output with the largest value of each window,
                `[B, P, filters]`.
        """
        found = self._native.kernel_gradient(
            self._shape, x.contiguous(), given.contiguous(), places.contiguous(), self._stride
        )
        return found.permute(1, 2, 0).contiguous()

    def input_gradient(self, steps: int, given: Tensor, places: Tensor) -> Tensor:
        """Return the gradient of the input, with padding, `[B, steps, D]`."""
        kernel = self._kernel.detach().permute(2, 0, 1).contiguous()
        return self._native.input_gradient(
            self._shape, kernel, given.contiguous(), places.contiguous(), steps, self._stride
        )


def pooled_convolution(kernel: Tensor, stride: int, dilation: int) -> PooledConvolution | None:
    """Return an object that computes the gradients of a convolution, None if torch must be used.

    Args:
        kernel: `[kernel_size, D, filters]`.
        stride: steps between windows of the convolution.
        dilation: steps between the rows of its kernel.
    """
    if not runs_native(kernel) or 0 in kernel.shape:
        return None
    from nabi.kernels._code import _pooled_convolution

    if kernel.shape[0] * kernel.shape[1] > _pooled_convolution.MOST_NUMBERS:
        return None
    shape = tuple(kernel.shape)

    def make() -> PooledConvolution:
        made = PooledConvolution(kernel, stride, dilation)
        made.make_ready()
        return made

    return made_natively(("pooled convolution", shape, dilation), f"a convolution of {shape}", make)
