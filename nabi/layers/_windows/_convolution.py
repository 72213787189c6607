"""Convolution over time, and the base class it shares with convolution over pictures."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer import _activations, _regularizers
from nabi.layers._layer._arguments import (
    Shape,
    check_no_constraint,
    check_one_of,
    positive_integer,
    positive_integers,
)
from nabi.layers._layer._base import Layer
from nabi.layers._layer._shapes import check_mask, check_rank, check_width, last_width
from nabi.layers._windows._windows import AXES, WindowedLayer, Windows
from nabi.nn import initializers

__all__ = [
    "Conv1D",
    "Convolution",
    "Convolution1D",
]


class Convolution(Layer):
    """Base class of convolutions over any number of axes: arguments, weights, configuration."""

    _casts_integers = True
    _axes: ClassVar[str]
    """Names of the axes of the inputs; windows slide over all but the first and the last."""
    _paddings: ClassVar[tuple[str, ...]] = ("valid", "same")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: None = None,
        bias_constraint: None = None,
        **kwargs: Any,
    ) -> None:
        check_no_constraint(kernel_constraint=kernel_constraint, bias_constraint=bias_constraint)
        if data_format not in (None, "channels_last"):
            raise ArgumentError(f"data_format: expected 'channels_last', got {data_format!r}")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        over = self._rank - 2
        self.filters = positive_integer("filters", filters)
        self.kernel_size = positive_integers("kernel_size", kernel_size, over)
        self.strides = positive_integers("strides", strides, over)
        self.dilation_rate = positive_integers("dilation_rate", dilation_rate, over)
        self.groups = positive_integer("groups", groups)
        check_one_of("padding", str(padding).lower(), self._paddings)
        self.padding = str(padding).lower()
        if self.filters % self.groups:
            raise ArgumentError(f"filters: expected a multiple of groups={self.groups}, got {self.filters}")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                f"strides: expected 1 together with dilation_rate={dilation_rate}, got {strides}"
            )
        self.activation = _activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.kernel_regularizer = _regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = _regularizers.get(bias_regularizer, "bias_regularizer")
        self.bias: torch.nn.Parameter | None = None

    @property
    def _rank(self) -> int:
        return self._axes.count(",") + 1

    def build(self, input_shape: Shape) -> None:
        """Create `kernel` and `bias`."""
        check_rank(self, input_shape, self._rank, self._axes)
        width = last_width(self, input_shape)
        if width % self.groups:
            raise ShapeError(f"inputs: expected a multiple of groups={self.groups} features, got {width}")
        self.kernel = self.add_weight(
            (*self.kernel_size, width // self.groups, self.filters),
            self.kernel_initializer,
            "kernel",
            regularizer=self.kernel_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,), self.bias_initializer, "bias", regularizer=self.bias_regularizer
            )

    def matrices(self) -> dict[str, int]:
        """Return the name of the kernel, with the axis of its outputs."""
        return {"kernel": self._rank - 1}

    def _check_inputs(self, shape: Sequence[int | None]) -> None:
        check_rank(self, shape, self._rank, self._axes)
        if self.built and shape[-1] is not None:
            check_width(self, shape, self.kernel.shape[-2] * self.groups)

    def parameter_sum(self) -> str:
        """Return `(kernel_size × inputs + 1) × filters = count`."""
        if not self.built:
            return ""
        window = " × ".join(map(str, self.kernel.shape[:-1]))
        window = f"({window} + 1)" if self.use_bias else window
        return f"{window} × {self.filters} = {self.count_params():,}"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "dilation_rate": list(self.dilation_rate),
            "groups": self.groups,
            "activation": _activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": _regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": _regularizers.serialize(self.bias_regularizer),
        }


class Conv1D(Convolution, WindowedLayer):
    """Convolution over time: `[B, T, D]` to `[B, T', filters]`.

    Arguments as in Keras: `filters`, `kernel_size`, `strides=1`, `padding="valid"` (or `"same"`,
    `"causal"`), `dilation_rate=1`, `groups=1`, `activation=None`, `use_bias=True`, initializers and
    regularizers. Weights: `kernel` `(kernel_size, D / groups, filters)`, `bias` `(filters,)`.
    Raises `ShapeError` for inputs that are too short or of another width, and for a mask of the wrong shape.

    Call argument: `mask` `[B, T]`. Masked steps are removed: each row yields the output of its unmasked steps
    alone, with the `"same"` padding for that number of steps, followed by masked zeros. A row with too few
    steps for one window still has one, filled up with 0. If there is one output per step, each stays at its
    step. (Keras drops the mask and warns.)

    >>> import torch
    >>> convolution = Conv1D(64, 5, activation="relu")
    >>> convolution(torch.zeros(2, 10, 32)).shape, convolution.parameter_sum()
    (torch.Size([2, 6, 64]), '(5 × 32 + 1) × 64 = 10,304')
    """

    _reads_sequences = True
    _axes = AXES
    _paddings = ("valid", "same", "causal")

    @property
    def windows(self) -> Windows:
        reach = (self.kernel_size[0] - 1) * self.dilation_rate[0] + 1
        return Windows(reach, self.strides[0], self.padding)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the convolution of `[B, T, D]`."""
        self._check_inputs(inputs.shape)
        return self._over_windows(inputs, None if mask is None else check_mask(self, mask, inputs))

    def _slide(self, channels: Tensor) -> Tensor:
        # In two dimensions, one of size 1, torch detects that the features are already contiguous in memory,
        # its fastest layout; in one dimension it would transpose everything first.
        result = functional.conv2d(
            channels.unsqueeze(2),
            self.kernel.permute(2, 1, 0).unsqueeze(2),
            self.bias,
            stride=(1, self.strides[0]),
            dilation=(1, self.dilation_rate[0]),
            groups=self.groups,
        )
        return self.activation(result.squeeze(2).transpose(1, 2))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch, windows, filters."""
        self._check_inputs(input_shape)
        return (input_shape[0], self._steps(input_shape), self.filters)


# Keras' other names.
Convolution1D = Conv1D
