"""Convolution and the max pooling after it in one pass; see `nabi.training._step._chain`.

Pooling hands the gradient of a window to one step of it. A convolution by itself would go over all steps,
though most of what it is given is then zero.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nabi import activations
from nabi.kernels import PooledConvolution, pooled_convolution
from nabi.layers import Conv1D, MaxPooling1D
from nabi.training._step._core import DirectActivation
from nabi.training._step._windows import Masks, Padding, as_image, as_steps, only

__all__ = ["direct_pooled_convolution"]

Shape = tuple[int, ...]
# The largest value of these functions is the function of the largest value, and at the same step.
_MONOTONE = (activations.linear, activations.relu)


def direct_pooled_convolution(layer: Conv1D, pooling: MaxPooling1D) -> "DirectPooledConvolution | None":
    """The passes of both, each of which has passes of its own; None where these do as well."""
    if layer.groups > 1 or pooling.padding != "valid" or pooling.strides[0] < 2:
        return None
    if not any(layer.activation is known for known in _MONOTONE):
        return None
    gradients = pooled_convolution(layer.kernel, layer.strides[0], layer.dilation_rate[0])
    return None if gradients is None else DirectPooledConvolution(layer, pooling, gradients)


class DirectPooledConvolution:
    """The largest values of `activation(convolution(x) + bias)`."""

    def __init__(self, layer: Conv1D, pooling: MaxPooling1D, gradients: PooledConvolution) -> None:
        self._layer, self._gradients = layer, gradients
        self._windows, self._pools = layer._windows, pooling._windows
        self._padding, self._masks = Padding(self._windows, 0.0), Masks(self._windows)
        self._pool_masks = Masks(self._pools)
        self._inputs = layer.kernel.shape[1]
        self._weights = layer.kernel.detach().permute(2, 1, 0).unsqueeze(2)
        self._activation = DirectActivation(layer.activation)
        self._strides, self._dilation = (1, layer.strides[0]), (1, layer.dilation_rate[0])
        self._sizes = (1, pooling.pool_size[0]), (1, pooling.strides[0])
        self._saved: tuple[Tensor, Tensor] | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` of the width of the weights, with steps enough for a window of both."""
        if len(shape) != 3 or shape[2] != self._inputs or shape[1] < self._windows.least or 0 in shape:
            return None
        steps = self._windows.count(shape[1])
        if steps < self._pools.least:
            return None
        return (shape[0], self._pools.count(steps), self._layer.filters)

    @property
    def takes_masks(self) -> bool:
        """Whether rows may have masked steps behind the others."""
        return self._masks.able and self._pool_masks.able

    def masked(self, mask: Tensor | None) -> Tensor | None:
        """Take the mask of the next batch."""
        return self._pool_masks.take(self._masks.take(mask))

    def forward(self, x: Tensor) -> Tensor:
        """The largest values for `[B, T, D]`."""
        image = self._padding.image(only(self._masks.steps, x))
        y = functional.conv2d(image, self._weights, self._layer.bias, self._strides, 0, self._dilation)
        if self._masks.found is not None:
            as_steps(y).masked_fill_(~self._masks.found, float("-inf"))
        largest, places = torch.ops.aten.max_pool2d_with_indices(y, *self._sizes)
        self._saved = image, as_steps(places)
        return only(self._pool_masks.found, self._activation.forward(as_steps(largest)))

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of kernel and bias."""
        assert self._saved is not None
        (image, places), self._saved = self._saved, None
        kernel, bias = self._layer.kernel, self._layer.bias
        cotangent = only(self._pool_masks.found, cotangent)
        given = self._activation.backward(cotangent, True).contiguous()
        if kernel.requires_grad:
            kernel.grad = self._gradients.kernel_gradient(as_steps(image), given, places)
        if bias is not None and bias.requires_grad:
            bias.grad = given.sum((0, 1))
        if not need_input:
            return None
        found = as_image(self._gradients.input_gradient(image.shape[3], given, places))
        return only(self._masks.steps, self._padding.without(found))
