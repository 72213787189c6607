"""Pooling over pictures: the largest value or the average of windows or of all positions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape, check_one_of, positive_integers
from nabi.layers._layer._base import Layer
from nabi.layers._layer._shapes import check_rank
from nabi.layers._windows._windows_2d import PICTURE_AXES, Windows2D

__all__ = [
    "AveragePooling2D",
    "AvgPool2D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "MaxPool2D",
    "MaxPooling2D",
]


class _Pooling2D(Layer):
    """Base class of pooling over windows."""

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        _check_data_format(data_format)
        super().__init__(**kwargs)
        self.pool_size = positive_integers("pool_size", pool_size, 2)
        self.strides = self.pool_size if strides is None else positive_integers("strides", strides, 2)
        check_one_of("padding", str(padding).lower(), ["valid", "same"])
        self.padding = str(padding).lower()

    @property
    def windows(self) -> Windows2D:
        return Windows2D.of(self.pool_size, self.strides, self.padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch, height, width, channels."""
        check_rank(self, input_shape, 4, PICTURE_AXES)
        return (input_shape[0], *self.windows.counts(self, input_shape), input_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
        }


class MaxPooling2D(_Pooling2D):
    """The largest value of each window over pictures: `[B, H, W, C]` to `[B, H', W', C]`.

    Arguments: `pool_size=2`, `strides=None` (as `pool_size`), each a number, or two for height and width;
    `padding="valid"` or `"same"`. Raises `ShapeError` for pictures smaller than the window.

    >>> import torch
    >>> MaxPooling2D(2)(torch.zeros(2, 32, 48, 3)).shape
    torch.Size([2, 16, 24, 3])
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Return the largest values of the windows."""
        check_rank(self, inputs.shape, 4, PICTURE_AXES)
        least = float("-inf") if inputs.is_floating_point() else torch.iinfo(inputs.dtype).min
        channels = self.windows.pad(self, inputs, least)
        return functional.max_pool2d(channels, self.pool_size, self.strides).permute(0, 2, 3, 1)


class AveragePooling2D(_Pooling2D):
    """The average of each window over pictures: `[B, H, W, C]` to `[B, H', W', C]`.

    Arguments: `pool_size=2`, `strides=None` (as `pool_size`), each a number, or two for height and width;
    `padding="valid"` or `"same"`; averages exclude the padding. Raises `ShapeError` for pictures smaller than
    the window.

    >>> import torch
    >>> AveragePooling2D(2)(torch.tensor([[[[1.0], [3.0]], [[6.0], [8.0]]]])).flatten().tolist()
    [4.5]
    """

    _casts_integers = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return the averages of the windows."""
        check_rank(self, inputs.shape, 4, PICTURE_AXES)
        channels = self.windows.pad(self, inputs, 0.0)
        averages = functional.avg_pool2d(channels, self.pool_size, self.strides)
        if self.padding == "same":
            averages = averages / self._held(inputs.shape, averages)
        return averages.permute(0, 2, 3, 1)

    def _held(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Return the share of each window `[H', W']` that is not padding."""
        height, width = (
            windows.held(torch.tensor([size], device=like.device), size)[0].to(like.dtype) / windows.reach
            for size, windows in zip(shape[1:3], self.windows, strict=True)
        )
        return height[:, None] * width


class _GlobalPooling2D(Layer):
    """Base class of pooling over all positions."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        _check_data_format(data_format)
        super().__init__(**kwargs)
        self.keepdims = bool(keepdims)

    def _check(self, inputs: Tensor) -> None:
        check_rank(self, inputs.shape, 4, PICTURE_AXES)
        if not inputs.shape[1] or not inputs.shape[2]:
            raise ShapeError(f"inputs: {self.name} expected at least one pixel, got {tuple(inputs.shape)}")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch and channels."""
        check_rank(self, input_shape, 4, PICTURE_AXES)
        return (input_shape[0], *([1, 1] if self.keepdims else []), input_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of a picture: `[B, H, W, C]` to `[B, C]`, or `[B, 1, 1, C]` with `keepdims=True`.

    Raises `ShapeError` for pictures without pixels.

    >>> import torch
    >>> GlobalMaxPooling2D()(torch.tensor([[[[1.0], [3.0]], [[6.0], [8.0]]]]))
    tensor([[8.]])
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Return the largest values."""
        self._check(inputs)
        return inputs.amax((1, 2), keepdim=self.keepdims)


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The average of a picture: `[B, H, W, C]` to `[B, C]`, or `[B, 1, 1, C]` with `keepdims=True`.

    Raises `ShapeError` for pictures without pixels.

    >>> import torch
    >>> GlobalAveragePooling2D()(torch.tensor([[[[1.0], [3.0]], [[6.0], [8.0]]]]))
    tensor([[4.5000]])
    """

    _casts_integers = True

    def call(self, inputs: Tensor) -> Tensor:
        """Return the averages."""
        self._check(inputs)
        return inputs.mean((1, 2), keepdim=self.keepdims)


def _check_data_format(data_format: str | None) -> None:
    if data_format not in (None, "channels_last"):
        raise ArgumentError(f"data_format: expected 'channels_last', got {data_format!r}")


# Keras' other names.
AvgPool2D = AveragePooling2D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D
MaxPool2D = MaxPooling2D
