"""Pooling over time: the largest value or the average of windows or of all steps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape, check_one_of, one_positive_integer
from nabi.layers._layer._base import Layer
from nabi.layers._layer._shapes import check_mask, check_rank
from nabi.layers._windows._windows import AXES, WindowedLayer, Windows, all_count

__all__ = [
    "AveragePooling1D",
    "AvgPool1D",
    "GlobalAveragePooling1D",
    "GlobalAvgPool1D",
    "GlobalMaxPool1D",
    "GlobalMaxPooling1D",
    "MaxPool1D",
    "MaxPooling1D",
]


class _Pooling1D(WindowedLayer):
    """Base class of pooling over windows."""

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        _check_data_format(data_format)
        kwargs_length = kwargs.pop("pool_length", None)  # Keras 1's name, still used in lecture code
        super().__init__(**kwargs)
        size = pool_size if kwargs_length is None else kwargs_length
        self.pool_size = (one_positive_integer("pool_size", size),)
        self.strides = self.pool_size if strides is None else (one_positive_integer("strides", strides),)
        check_one_of("padding", str(padding).lower(), ["valid", "same"])
        self.padding = str(padding).lower()

    @property
    def windows(self) -> Windows:
        return Windows(self.pool_size[0], self.strides[0], self.padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch, windows, features."""
        check_rank(self, input_shape, 3, AXES)
        return (input_shape[0], self._steps(input_shape), input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
        }


class MaxPooling1D(_Pooling1D):
    """The largest value of each window over time: `[B, T, D]` to `[B, T', D]`.

    Arguments: `pool_size=2`, `strides=None` (as `pool_size`), `padding="valid"` or `"same"`.
    Raises `ShapeError` for inputs shorter than the window and for a mask of the wrong shape.

    Call argument: `mask` `[B, T]`. Masked steps are removed: each row yields the output of its unmasked steps
    alone, followed by masked zeros. A row with too few steps for one window has one over the steps it has.
    (Keras drops the mask and warns.)

    >>> import torch
    >>> MaxPooling1D(4)(torch.zeros(2, 10, 3)).shape
    torch.Size([2, 2, 3])
    """

    _fill = float("-inf")

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the largest values of the windows."""
        check_rank(self, inputs.shape, 3, AXES)
        return self._over_windows(inputs, None if mask is None else check_mask(self, mask, inputs))

    def _slide(self, channels: Tensor) -> Tensor:
        # In two dimensions for speed, as in Conv1D.
        pools = functional.max_pool2d(channels.unsqueeze(2), (1, self.pool_size[0]), (1, self.strides[0]))
        return pools.squeeze(2).transpose(1, 2)


class AveragePooling1D(_Pooling1D):
    """The average of each window over time: `[B, T, D]` to `[B, T', D]`.

    Arguments: `pool_size=2`, `strides=None` (as `pool_size`), `padding="valid"` or `"same"`; averages exclude
    the padding. Raises `ShapeError` for inputs shorter than the window and for a mask of the wrong shape.

    Call argument: `mask` `[B, T]`. Masked steps are removed: each row yields the output of its unmasked steps
    alone, followed by masked zeros. A row with too few steps for one window has the average of the steps it
    has. (Keras drops the mask and warns.)

    >>> import torch
    >>> AveragePooling1D(2)(torch.tensor([[[1.0], [3.0], [6.0], [8.0]]])).flatten().tolist()
    [2.0, 7.0]
    """

    _casts_integers = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the averages of the windows."""
        check_rank(self, inputs.shape, 3, AXES)
        if mask is not None:
            mask = check_mask(self, mask, inputs)
        averages = self._over_windows(inputs, mask)
        if mask is None and self.padding == "valid":
            return averages
        steps = inputs.shape[1]
        lengths = torch.tensor([steps], device=inputs.device) if mask is None else mask.sum(1)
        held = self.windows.held(lengths, steps).clamp(min=1)
        share = self.pool_size[0] / held.to(averages.dtype)
        if mask is not None and self.windows.keeps_steps:
            share = share.gather(1, (mask.cumsum(1) - 1).clamp(min=0))
        return averages * share.unsqueeze(-1)

    def _slide(self, channels: Tensor) -> Tensor:
        return functional.avg_pool1d(channels, self.pool_size[0], self.strides[0]).transpose(1, 2)


class _GlobalPooling1D(Layer):
    """Base class of pooling over all steps."""

    supports_masking = True
    _makes_mask = False

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        _check_data_format(data_format)
        super().__init__(**kwargs)
        self.keepdims = bool(keepdims)

    def _counted(self, inputs: Tensor, mask: Tensor | None) -> Tensor | None:
        """Check the inputs; return the mask as bool `[B, T]`, None if no step is masked."""
        check_rank(self, inputs.shape, 3, AXES)
        if not inputs.shape[1]:
            raise ShapeError(
                f"inputs: {self.name} expected at least one time step, got {tuple(inputs.shape)}"
            )
        if mask is None:
            return None
        mask = check_mask(self, mask, inputs)
        return None if all_count(mask) else mask

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: the output has no steps."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch and features."""
        check_rank(self, input_shape, 3, AXES)
        return (input_shape[0], *([1] if self.keepdims else []), input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest value over all time: `[B, T, D]` to `[B, D]`, or `[B, 1, D]` with `keepdims=True`.

    Call argument: `mask` `[B, T]`. Masked steps are excluded (Keras includes them); a fully masked row yields
    0. Raises `ShapeError` for inputs without steps and for a mask of the wrong shape.

    >>> import torch
    >>> GlobalMaxPooling1D()(torch.tensor([[[1.0], [3.0], [2.0]]]))
    tensor([[3.]])
    """

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the largest values over time."""
        mask = self._counted(inputs, mask)
        if mask is None:
            return inputs.amax(1, keepdim=self.keepdims)
        mask = mask.unsqueeze(-1)
        least = float("-inf") if inputs.is_floating_point() else torch.iinfo(inputs.dtype).min
        largest = torch.where(mask, inputs, least).amax(1, keepdim=self.keepdims)
        return torch.where(mask.any(1, keepdim=self.keepdims), largest, 0)


class GlobalAveragePooling1D(_GlobalPooling1D):
    """The average over all time: `[B, T, D]` to `[B, D]`, or `[B, 1, D]` with `keepdims=True`.

    Call argument: `mask` `[B, T]`. Masked steps are excluded, as in Keras, but here they may be NaN; a fully
    masked row yields 0. Raises `ShapeError` for inputs without steps and for a mask of the wrong shape.

    >>> import torch
    >>> mask = torch.tensor([[True, True, False]])
    >>> GlobalAveragePooling1D()(torch.tensor([[[1.0], [3.0], [9.0]]]), mask=mask)
    tensor([[2.]])
    """

    _casts_integers = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the averages over time."""
        mask = self._counted(inputs, mask)
        if mask is None:
            return inputs.mean(1, keepdim=self.keepdims)
        mask = mask.unsqueeze(-1)
        total = torch.where(mask, inputs, 0.0).sum(1, keepdim=self.keepdims)
        return total / mask.sum(1, keepdim=self.keepdims).clamp(min=1).to(total.dtype)


def _check_data_format(data_format: str | None) -> None:
    if data_format not in (None, "channels_last"):
        raise ArgumentError(f"data_format: expected 'channels_last', got {data_format!r}")


# Keras' other names.
AvgPool1D = AveragePooling1D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalMaxPool1D = GlobalMaxPooling1D
MaxPool1D = MaxPooling1D
