"""The parts of convolution and pooling over time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi import activations
from nabi.kernels import PooledConvolution, pooled_convolution
from nabi.layers import Conv1D, GlobalMaxPooling1D, Layer, MaxPooling1D, Windows
from nabi.training._step._core import ActivationPass, Pass, Shape, is_known

__all__ = [
    "KINDS",
    "ConvolutionPass",
    "GlobalMaxPoolingPass",
    "MaxPoolingPass",
    "PooledConvolutionPass",
    "in_pairs",
]

_aten: Any = torch.ops.aten
# The largest value of these functions is the function of the largest value, and at the same step.
_MONOTONE = (activations.linear, activations.relu)


class _Padding:
    """The steps that windows need around those that there are."""

    def __init__(self, windows: Windows, fill: float) -> None:
        self._windows, self._fill = windows, fill
        self._around = (0, 0)

    def image(self, x: Tensor) -> Tensor:
        """`[B, T, D]` with its padding, as an image."""
        self._around = self._windows.around(x.shape[1])
        if any(self._around):
            x = functional.pad(x, (0, 0, *self._around), value=self._fill)
        return _as_image(x)

    def without(self, image: Tensor) -> Tensor:
        """The steps `[B, T, D]` of an image, without those of the padding."""
        before, after = self._around
        steps = _as_steps(image)
        return steps[:, before : steps.shape[1] - after] if before or after else steps


class _Masks:
    """Which steps count before windows go over them, and which windows do; both None without a mask.

    The steps that count come first in their rows.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self.steps: Tensor | None = None
        self.found: Tensor | None = None

    def take(self, mask: Tensor | None) -> Tensor | None:
        """Keep the mask of the steps `[B, T, 1]` of the next batch; returns that of the windows."""
        windows = self._windows
        self.steps = self.found = mask
        if mask is not None and not windows.keeps_steps:
            numbers = torch.arange(windows.count(mask.shape[1]))
            self.found = (numbers < windows.counts(mask.squeeze(-1).sum(1, keepdim=True))).unsqueeze(-1)
        return self.found


def _only(mask: Tensor | None, x: Tensor, otherwise: float = 0.0) -> Tensor:
    """`[B, T, D]` where a mask `[B, T, 1]` is set, another number elsewhere."""
    if mask is None:
        return x
    # Five times faster than `where`, which looks up the mask for every number.
    rows = mask.reshape(-1).logical_not().nonzero().squeeze(1)
    return x.reshape(-1, x.shape[-1]).index_fill(0, rows, otherwise).view(x.shape)


def _as_image(x: Tensor) -> Tensor:
    """`[B, T, D]` as `[B, D, 1, T]`, an image in the layout that torch is fastest with.

    Torch knows as "channels last" what is nothing but `[B, T, D]` in memory.
    """
    return x.contiguous().unsqueeze(1).permute(0, 3, 1, 2)


def _as_steps(image: Tensor) -> Tensor:
    """The image `[B, D, 1, T]` as `[B, T, D]` again."""
    return image.permute(0, 2, 3, 1).squeeze(1)


class _WindowedPass(Pass):
    """Windows that slide over steps: those that count lie side by side, before the masked ones."""

    needs_padding_last = True

    def __init__(self, windows: Windows, fill: float) -> None:
        self._windows = windows
        self._padding, self._masks = _Padding(windows, fill), _Masks(windows)
        self.takes_masks = not windows.moves_steps

    def mask(self, mask: Tensor | None) -> Tensor | None:
        """Keep the mask for the next batch."""
        return self._masks.take(mask)


class ConvolutionPass(_WindowedPass):
    """`activation(convolution(x) + bias)`."""

    @classmethod
    def of(cls, layer: Conv1D) -> "ConvolutionPass | None":
        """The part of a layer, None where the derivative of its activation is not known."""
        return cls(layer) if is_known(layer.activation) else None

    def __init__(self, layer: Conv1D) -> None:
        super().__init__(layer.windows, 0.0)
        self._layer = layer
        self._inputs = layer.kernel.shape[1] * layer.groups
        self._weights = layer.kernel.detach().permute(2, 1, 0).unsqueeze(2)
        self._activation = ActivationPass(layer.activation)
        self._strides, self._dilation = (1, layer.strides[0]), (1, layer.dilation_rate[0])
        self._image: Tensor | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` of the width of the weights, with steps enough for a window."""
        if len(shape) != 3 or shape[2] != self._inputs or shape[1] < self._windows.least or 0 in shape:
            return None
        return (shape[0], self._windows.count(shape[1]), self._layer.filters)

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[B, T, D]`."""
        self._image = image = self._padding.image(_only(self._masks.steps, x))
        y = functional.conv2d(
            image, self._weights, self._layer.bias, self._strides, 0, self._dilation, self._layer.groups
        )
        return _only(self._masks.found, self._activation.forward(_as_steps(y)))

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of kernel and bias."""
        image, self._image = self._image, None
        assert image is not None
        kernel, bias = self._layer.kernel, self._layer.bias
        cotangent = _only(self._masks.found, cotangent)
        needed = [need_input, kernel.requires_grad, bias is not None and bias.requires_grad]
        dx, d_kernel, d_bias = _aten.convolution_backward(
            _as_image(self._activation.backward(cotangent, True)), image, self._weights,
            [self._layer.filters], self._strides, (0, 0), self._dilation, False, (0, 0), self._layer.groups,
            needed,
        )  # fmt: skip
        if needed[1]:
            kernel.grad = d_kernel.squeeze(2).permute(2, 1, 0).contiguous()
        if bias is not None and needed[2]:
            bias.grad = d_bias
        return _only(self._masks.steps, self._padding.without(dx)) if need_input else None


class MaxPoolingPass(_WindowedPass):
    """The largest value of each window over time."""

    def __init__(self, layer: MaxPooling1D) -> None:
        super().__init__(layer.windows, float("-inf"))
        self._sizes = (1, layer.pool_size[0]), (1, layer.strides[0])
        self._saved: tuple[Tensor, Tensor] | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with steps enough for a window."""
        if len(shape) != 3 or shape[1] < self._windows.least or 0 in shape:
            return None
        return (shape[0], self._windows.count(shape[1]), shape[2])

    def forward(self, x: Tensor) -> Tensor:
        """The largest values."""
        image = self._padding.image(_only(self._masks.steps, x, float("-inf")))
        largest, places = _aten.max_pool2d_with_indices(image, *self._sizes)
        self._saved = image, places
        return _only(self._masks.found, _as_steps(largest))

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor:
        """The cotangent at the place in each window that had the largest value, the first of equal ones."""
        assert self._saved is not None
        (image, places), self._saved = self._saved, None
        cotangent = _only(self._masks.found, cotangent)
        found = _aten.max_pool2d_with_indices_backward(
            _as_image(cotangent), image, *self._sizes, (0, 0), (1, 1), False, places
        )
        return self._padding.without(found)


class GlobalMaxPoolingPass(Pass):
    """The largest value over all steps."""

    takes_masks = True
    ends_masks = True

    def __init__(self, layer: GlobalMaxPooling1D) -> None:
        self._keeps = layer.keepdims
        self._mask: Tensor | None = None
        self._saved: tuple[Tensor, Tensor] | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with a step."""
        if len(shape) != 3 or 0 in shape:
            return None
        return (shape[0], 1, shape[2]) if self._keeps else (shape[0], shape[2])

    def mask(self, mask: Tensor | None) -> None:
        """Keep the mask for the next batch; no steps are left for one afterwards."""
        self._mask = mask

    def forward(self, x: Tensor) -> Tensor:
        """The largest values; 0 for a row without a step that counts."""
        x = _only(self._mask, x, float("-inf"))
        largest = x.amax(1, keepdim=True)
        self._saved = x, largest
        if self._mask is not None:
            largest = torch.where(self._mask.any(1, keepdim=True), largest, 0.0)
        return largest if self._keeps else largest.squeeze(1)

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor:
        """The cotangent at the step that had the largest value; equal ones share it, as in autograd."""
        assert self._saved is not None
        (x, largest), self._saved = self._saved, None
        cotangent = cotangent if self._keeps else cotangent.unsqueeze(1)
        if self._mask is not None:
            cotangent = torch.where(self._mask.any(1, keepdim=True), cotangent, 0.0)
        # Flags as numbers of the same type: sums and products of others take ten times as long.
        hits = torch.eq(x, largest, out=torch.empty_like(x))
        return hits.mul_(cotangent / hits.sum(1, keepdim=True))


class PooledConvolutionPass(_WindowedPass):
    """The largest values of `activation(convolution(x) + bias)`: a convolution and the pooling after it.

    Pooling hands the gradient of a window to one step of it. A convolution by itself would go over all
    steps, though most of what it is given is then zero.
    """

    @classmethod
    def of(cls, layer: Conv1D, pooling: MaxPooling1D) -> "PooledConvolutionPass | None":
        """The part of two layers, each of which has one of its own; None where these do as well."""
        if layer.groups > 1 or pooling.padding != "valid" or pooling.strides[0] < 2:
            return None
        if not any(layer.activation is known for known in _MONOTONE):
            return None
        gradients = pooled_convolution(layer.kernel, layer.strides[0], layer.dilation_rate[0])
        return None if gradients is None else cls(layer, pooling, gradients)

    def __init__(self, layer: Conv1D, pooling: MaxPooling1D, gradients: PooledConvolution) -> None:
        super().__init__(layer.windows, 0.0)
        self._layer, self._gradients, self._pools = layer, gradients, pooling.windows
        self._pool_masks = _Masks(self._pools)
        self.takes_masks = self.takes_masks and not self._pools.moves_steps
        self._inputs = layer.kernel.shape[1]
        self._weights = layer.kernel.detach().permute(2, 1, 0).unsqueeze(2)
        self._activation = ActivationPass(layer.activation)
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

    def mask(self, mask: Tensor | None) -> Tensor | None:
        """Keep the masks for the next batch."""
        return self._pool_masks.take(self._masks.take(mask))

    def forward(self, x: Tensor) -> Tensor:
        """The largest values for `[B, T, D]`."""
        image = self._padding.image(_only(self._masks.steps, x))
        y = functional.conv2d(image, self._weights, self._layer.bias, self._strides, 0, self._dilation)
        if self._masks.found is not None:
            _as_steps(y).masked_fill_(~self._masks.found, float("-inf"))
        largest, places = torch.ops.aten.max_pool2d_with_indices(y, *self._sizes)
        self._saved = image, _as_steps(places)
        return _only(self._pool_masks.found, self._activation.forward(_as_steps(largest)))

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of kernel and bias."""
        assert self._saved is not None
        (image, places), self._saved = self._saved, None
        kernel, bias = self._layer.kernel, self._layer.bias
        cotangent = _only(self._pool_masks.found, cotangent)
        given = self._activation.backward(cotangent, True).contiguous()
        if kernel.requires_grad:
            kernel.grad = self._gradients.kernel_gradient(_as_steps(image), given, places)
        if bias is not None and bias.requires_grad:
            bias.grad = given.sum((0, 1))
        if not need_input:
            return None
        found = _as_image(self._gradients.input_gradient(image.shape[3], given, places))
        return _only(self._masks.steps, self._padding.without(found))


KINDS: dict[type[Layer], Callable[[Any], Pass | None]] = {
    Conv1D: ConvolutionPass.of,
    GlobalMaxPooling1D: GlobalMaxPoolingPass,
    MaxPooling1D: MaxPoolingPass,
}
"""How the part of each of these layers is made."""


def in_pairs(parts: list[tuple[Layer, Pass]]) -> list[tuple[Layer, Pass]]:
    """The parts, those of two layers in one where that is faster: then the first stands for both."""
    found: list[tuple[Layer, Pass]] = []
    for layer, own in parts:
        before = found[-1] if found else None
        if before is not None and type(before[1]) is ConvolutionPass and type(own) is MaxPoolingPass:
            assert isinstance(before[0], Conv1D)
            assert isinstance(layer, MaxPooling1D)
            pair = PooledConvolutionPass.of(before[0], layer)
            if pair is not None:
                found[-1] = (before[0], pair)
                continue
        found.append((layer, own))
    return found
