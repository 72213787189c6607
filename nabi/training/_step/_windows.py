"""Forward and backward passes of convolution and pooling over time; see `nabi.training._step._chain`."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi.layers import Conv1D, GlobalMaxPooling1D, MaxPooling1D, Windows
from nabi.training._step._core import DirectActivation, is_known

__all__ = [
    "Padding",
    "as_image",
    "as_steps",
    "direct_convolution",
    "direct_global_max_pooling",
    "direct_max_pooling",
]

Shape = tuple[int, ...]
_aten: Any = torch.ops.aten


def direct_convolution(layer: Conv1D) -> "DirectConvolution | None":
    """The passes of a convolution whose activation has a derivative here."""
    return DirectConvolution(layer) if is_known(layer.activation) else None


def direct_max_pooling(layer: MaxPooling1D) -> "DirectMaxPooling":
    """The passes of the largest values of windows."""
    return DirectMaxPooling(layer)


def direct_global_max_pooling(layer: GlobalMaxPooling1D) -> "DirectGlobalMaxPooling":
    """The passes of the largest values over all steps."""
    return DirectGlobalMaxPooling(layer)


class Padding:
    """The steps that windows need around those that there are."""

    def __init__(self, windows: Windows, fill: float) -> None:
        self._windows, self._fill = windows, fill
        self._around = (0, 0)

    def image(self, x: Tensor) -> Tensor:
        """`[B, T, D]` with its padding, as an image."""
        self._around = self._windows.around(x.shape[1])
        if any(self._around):
            x = functional.pad(x, (0, 0, *self._around), value=self._fill)
        return as_image(x)

    def without(self, image: Tensor) -> Tensor:
        """The steps `[B, T, D]` of an image, without those of the padding."""
        before, after = self._around
        steps = as_steps(image)
        return steps[:, before : steps.shape[1] - after] if before or after else steps


class Masks:
    """Which steps count before windows go over them, and which windows do; both None without a mask.

    The steps that count come first in their rows.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self.able = not windows.moves_steps
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


def only(mask: Tensor | None, x: Tensor, otherwise: float = 0.0) -> Tensor:
    """`[B, T, D]` where a mask `[B, T, 1]` is set, another number elsewhere."""
    if mask is None:
        return x
    # Five times faster than `where`, which looks up the mask for every number.
    rows = mask.reshape(-1).logical_not().nonzero().squeeze(1)
    return x.reshape(-1, x.shape[-1]).index_fill(0, rows, otherwise).view(x.shape)


def as_image(x: Tensor) -> Tensor:
    """`[B, T, D]` as `[B, D, 1, T]`, an image in the layout that torch is fastest with.

    Torch knows as "channels last" what is nothing but `[B, T, D]` in memory.
    """
    return x.contiguous().unsqueeze(1).permute(0, 3, 1, 2)


def as_steps(image: Tensor) -> Tensor:
    """The image `[B, D, 1, T]` as `[B, T, D]` again."""
    return image.permute(0, 2, 3, 1).squeeze(1)


class DirectConvolution:
    """`activation(convolution(x) + bias)`."""

    def __init__(self, layer: Conv1D) -> None:
        self._layer, self._windows = layer, layer._windows
        self._padding, self._masks = Padding(self._windows, 0.0), Masks(self._windows)
        self._inputs = layer.kernel.shape[1] * layer.groups
        self._weights = layer.kernel.detach().permute(2, 1, 0).unsqueeze(2)
        self._activation = DirectActivation(layer.activation)
        self._strides, self._dilation = (1, layer.strides[0]), (1, layer.dilation_rate[0])
        self._image: Tensor | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` of the width of the weights, with steps enough for a window."""
        if len(shape) != 3 or shape[2] != self._inputs or shape[1] < self._windows.least or 0 in shape:
            return None
        return (shape[0], self._windows.count(shape[1]), self._layer.filters)

    @property
    def takes_masks(self) -> bool:
        """Whether rows may have masked steps behind the others."""
        return self._masks.able

    def masked(self, mask: Tensor | None) -> Tensor | None:
        """Take the mask of the next batch."""
        return self._masks.take(mask)

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[B, T, D]`."""
        self._image = image = self._padding.image(only(self._masks.steps, x))
        y = functional.conv2d(
            image, self._weights, self._layer.bias, self._strides, 0, self._dilation, self._layer.groups
        )
        return only(self._masks.found, self._activation.forward(as_steps(y)))

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of kernel and bias."""
        image, self._image = self._image, None
        assert image is not None
        kernel, bias = self._layer.kernel, self._layer.bias
        cotangent = only(self._masks.found, cotangent)
        needed = [need_input, kernel.requires_grad, bias is not None and bias.requires_grad]
        dx, d_kernel, d_bias = _aten.convolution_backward(
            as_image(self._activation.backward(cotangent, True)), image, self._weights,
            [self._layer.filters], self._strides, (0, 0), self._dilation, False, (0, 0), self._layer.groups,
            needed,
        )  # fmt: skip
        if needed[1]:
            kernel.grad = d_kernel.squeeze(2).permute(2, 1, 0).contiguous()
        if bias is not None and needed[2]:
            bias.grad = d_bias
        return only(self._masks.steps, self._padding.without(dx)) if need_input else None


class DirectMaxPooling:
    """The largest value of each window over time."""

    def __init__(self, layer: MaxPooling1D) -> None:
        self._windows = layer._windows
        self._padding, self._masks = Padding(self._windows, float("-inf")), Masks(self._windows)
        self._sizes = (1, layer.pool_size[0]), (1, layer.strides[0])
        self._saved: tuple[Tensor, Tensor] | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with steps enough for a window."""
        if len(shape) != 3 or shape[1] < self._windows.least or 0 in shape:
            return None
        return (shape[0], self._windows.count(shape[1]), shape[2])

    @property
    def takes_masks(self) -> bool:
        """Whether rows may have masked steps behind the others."""
        return self._masks.able

    def masked(self, mask: Tensor | None) -> Tensor | None:
        """Take the mask of the next batch."""
        return self._masks.take(mask)

    def forward(self, x: Tensor) -> Tensor:
        """The largest values."""
        image = self._padding.image(only(self._masks.steps, x, float("-inf")))
        largest, places = _aten.max_pool2d_with_indices(image, *self._sizes)
        self._saved = image, places
        return only(self._masks.found, as_steps(largest))

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor:
        """The cotangent at the place in each window that had the largest value, the first of equal ones."""
        assert self._saved is not None
        (image, places), self._saved = self._saved, None
        cotangent = only(self._masks.found, cotangent)
        found = _aten.max_pool2d_with_indices_backward(
            as_image(cotangent), image, *self._sizes, (0, 0), (1, 1), False, places
        )
        return self._padding.without(found)


class DirectGlobalMaxPooling:
    """The largest value over all steps."""

    ends_mask = True

    def __init__(self, layer: GlobalMaxPooling1D) -> None:
        self._keeps = layer.keepdims
        self._mask: Tensor | None = None
        self._saved: tuple[Tensor, Tensor] | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with a step."""
        if len(shape) != 3 or 0 in shape:
            return None
        return (shape[0], 1, shape[2]) if self._keeps else (shape[0], shape[2])

    def masked(self, mask: Tensor | None) -> None:
        """Take the mask of the next batch; no steps are left for one afterwards."""
        self._mask = mask

    def forward(self, x: Tensor) -> Tensor:
        """The largest values; 0 for a row without a step that counts."""
        x = only(self._mask, x, float("-inf"))
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
