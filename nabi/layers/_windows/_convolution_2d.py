"""Convolution over pictures."""

from torch import Tensor
from torch.nn import functional

from nabi.layers._layer._arguments import Shape
from nabi.layers._windows._convolution import Convolution
from nabi.layers._windows._windows_2d import PICTURE_AXES, Windows2D

__all__ = [
    "Conv2D",
    "Convolution2D",
]


class Conv2D(Convolution):
    """Convolution over pictures: `[B, height, width, channels]` to `[B, height', width', filters]`.

    Arguments as in Keras: `filters`, `kernel_size`, `strides=1`, `padding="valid"` (or `"same"`),
    `dilation_rate=1`, `groups=1`, `activation=None`, `use_bias=True`, initializers and regularizers; sizes
    are a number, or two for height and width. Weights: `kernel`
    `(height, width, channels / groups, filters)`, `bias` `(filters,)`.
    Raises `ShapeError` for pictures that are too small or have another number of channels.

    >>> import torch
    >>> convolution = Conv2D(16, 3, padding="same", activation="relu")
    >>> convolution(torch.zeros(2, 32, 48, 3)).shape, convolution.parameter_sum()
    (torch.Size([2, 32, 48, 16]), '(3 × 3 × 3 + 1) × 16 = 448')
    """

    _axes = PICTURE_AXES

    @property
    def windows(self) -> Windows2D:
        return Windows2D.of(self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the convolution of `[B, height, width, channels]`."""
        self._check_inputs(inputs.shape)
        channels = self.windows.pad(self, inputs, 0.0)
        result = functional.conv2d(
            channels,
            self.kernel.permute(3, 2, 0, 1),
            self.bias,
            stride=self.strides,
            dilation=self.dilation_rate,
            groups=self.groups,
        )
        return self.activation(result.permute(0, 2, 3, 1))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch, height, width, filters."""
        self._check_inputs(input_shape)
        return (input_shape[0], *self.windows.counts(self, input_shape), self.filters)


# Keras' other names.
Convolution2D = Conv2D
