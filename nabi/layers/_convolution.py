"""Convolution and pooling over time."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi.errors import ArgumentError, ShapeError
from nabi.layers import _activations, _regularizers
from nabi.layers._arguments import Shape, check_no_constraint, check_one_of, positive_integer
from nabi.layers._base import Layer
from nabi.layers._shapes import check_rank, check_width, last_width
from nabi.nn import initializers

__all__ = ["Conv1D", "GlobalMaxPooling1D", "MaxPooling1D"]

_AXES = "(batch, time, features)"


def _one(argument: str, value: Any) -> int:
    """Return a size that Keras lets be a number or a tuple of one number."""
    if isinstance(value, Sequence) and len(value) == 1:
        value = value[0]
    return positive_integer(argument, value)


def _windows(layer: Layer, shape: Shape, width: int, stride: int, padding: str) -> int | None:
    """Count the windows that fit into the time steps; None for an open number of them."""
    length = shape[1]
    if length is None:
        return None
    least = width if padding == "valid" else 1
    if length < least:
        raise ShapeError(
            f"inputs: {layer.name} ({type(layer).__name__}) expected at least {least} time steps for its "
            f"window; got {length}, shape {tuple(shape)}"
        )
    return (length - width) // stride + 1 if padding == "valid" else -(-length // stride)


def _pad_for(length: int, width: int, stride: int, padding: str) -> tuple[int, int]:
    """Return the padding before and after; where it is odd, "same" has the larger half after."""
    if padding == "valid":
        return (0, 0)
    if padding == "causal":
        return (width - 1, 0)
    total = max(0, (-(-length // stride) - 1) * stride + width - length)
    return (total // 2, total - total // 2)


class Conv1D(Layer):
    """Convolution over time: `[B, T, D]` to `[B, T', filters]`.

    Arguments as in Keras: `filters`, `kernel_size`, `strides=1`, `padding="valid"` (or `"same"`,
    `"causal"`), `dilation_rate=1`, `groups=1`, `activation=None`, `use_bias=True`, initializers and
    regularizers. Weights: `kernel` `(kernel_size, D / groups, filters)`, `bias` `(filters,)`.
    It drops masks, as in Keras. Raises `ShapeError` for inputs that are too short or of another width.

    >>> import torch
    >>> convolution = Conv1D(64, 5, activation="relu")
    >>> convolution(torch.zeros(2, 10, 32)).shape, convolution.parameter_sum()
    (torch.Size([2, 6, 64]), '(5 × 32 + 1) × 64 = 10,304')
    """

    _casts_integers = True
    _reads_sequences = True

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
            raise ArgumentError(f"data_format: expected 'channels_last'; got {data_format!r}")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_integer("filters", filters)
        self.kernel_size = (_one("kernel_size", kernel_size),)
        self.strides = (_one("strides", strides),)
        self.dilation_rate = (_one("dilation_rate", dilation_rate),)
        self.groups = positive_integer("groups", groups)
        check_one_of("padding", str(padding).lower(), ["valid", "same", "causal"])
        self.padding = str(padding).lower()
        if self.filters % self.groups:
            raise ArgumentError(
                f"filters: {self.filters} filters cannot be divided among groups={self.groups}"
            )
        if self.strides[0] > 1 and self.dilation_rate[0] > 1:
            raise ArgumentError(
                f"strides: {strides} together with dilation_rate={dilation_rate}; one must be 1"
            )
        self.activation = _activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.kernel_regularizer = _regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = _regularizers.get(bias_regularizer, "bias_regularizer")
        self.bias: torch.nn.Parameter | None = None

    @property
    def _reach(self) -> int:
        """How many steps one window covers, dilation included."""
        return (self.kernel_size[0] - 1) * self.dilation_rate[0] + 1

    def build(self, input_shape: Shape) -> None:
        """Create `kernel` and `bias`."""
        check_rank(self, input_shape, 3, _AXES)
        width = last_width(self, input_shape)
        if width % self.groups:
            raise ShapeError(f"inputs: {width} features cannot be divided among groups={self.groups}")
        self.kernel = self.add_weight(
            (self.kernel_size[0], width // self.groups, self.filters),
            self.kernel_initializer,
            "kernel",
            regularizer=self.kernel_regularizer,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.filters,), self.bias_initializer, "bias", regularizer=self.bias_regularizer
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Return the convolution of `[B, T, D]`."""
        check_rank(self, inputs.shape, 3, _AXES)
        check_width(self, inputs.shape, self.kernel.shape[1] * self.groups)
        _windows(self, inputs.shape, self._reach, self.strides[0], self.padding)
        padding = _pad_for(inputs.shape[1], self._reach, self.strides[0], self.padding)
        channels = inputs.transpose(1, 2)
        if any(padding):
            channels = functional.pad(channels, padding)
        result = functional.conv1d(
            channels,
            self.kernel.permute(2, 1, 0),
            self.bias,
            stride=self.strides[0],
            dilation=self.dilation_rate[0],
            groups=self.groups,
        )
        return self.activation(result.transpose(1, 2))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch, windows, filters."""
        check_rank(self, input_shape, 3, _AXES)
        steps = _windows(self, input_shape, self._reach, self.strides[0], self.padding)
        return (input_shape[0], steps, self.filters)

    def parameter_sum(self) -> str:
        """Return `(kernel_size × inputs + 1) × filters = count`."""
        if not self.built:
            return ""
        window = f"{self.kernel.shape[0]} × {self.kernel.shape[1]}"
        window = f"({window} + 1)" if self.use_bias else window
        return f"{window} × {self.filters} = {self.count_params():,}"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same layer again."""
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


class MaxPooling1D(Layer):
    """The largest value of each window over time: `[B, T, D]` to `[B, T', D]`.

    Arguments: `pool_size=2`, `strides=None` (as `pool_size`), `padding="valid"` or `"same"`.
    It drops masks, as in Keras. Raises `ShapeError` for inputs that are shorter than the window.

    >>> import torch
    >>> MaxPooling1D(4)(torch.zeros(2, 10, 3)).shape
    torch.Size([2, 2, 3])
    """

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        if data_format not in (None, "channels_last"):
            raise ArgumentError(f"data_format: expected 'channels_last'; got {data_format!r}")
        kwargs_length = kwargs.pop("pool_length", None)  # Keras 1's name, still in lecture code
        super().__init__(**kwargs)
        self.pool_size = (_one("pool_size", pool_size if kwargs_length is None else kwargs_length),)
        self.strides = self.pool_size if strides is None else (_one("strides", strides),)
        check_one_of("padding", str(padding).lower(), ["valid", "same"])
        self.padding = str(padding).lower()

    def call(self, inputs: Tensor) -> Tensor:
        """Return the largest values of the windows."""
        check_rank(self, inputs.shape, 3, _AXES)
        _windows(self, inputs.shape, self.pool_size[0], self.strides[0], self.padding)
        padding = _pad_for(inputs.shape[1], self.pool_size[0], self.strides[0], self.padding)
        channels = inputs.transpose(1, 2)
        if any(padding):
            channels = functional.pad(channels, padding, value=float("-inf"))
        return functional.max_pool1d(channels, self.pool_size[0], self.strides[0]).transpose(1, 2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch, windows, features."""
        check_rank(self, input_shape, 3, _AXES)
        steps = _windows(self, input_shape, self.pool_size[0], self.strides[0], self.padding)
        return (input_shape[0], steps, input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same layer again."""
        return {
            **super().get_config(),
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
        }


class GlobalMaxPooling1D(Layer):
    """The largest value over all time: `[B, T, D]` to `[B, D]`, or `[B, 1, D]` with `keepdims=True`.

    It looks at masked steps too and drops the mask, as in Keras.

    >>> import torch
    >>> GlobalMaxPooling1D()(torch.tensor([[[1.0], [3.0], [2.0]]]))
    tensor([[3.]])
    """

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        if data_format not in (None, "channels_last"):
            raise ArgumentError(f"data_format: expected 'channels_last'; got {data_format!r}")
        super().__init__(**kwargs)
        self.keepdims = bool(keepdims)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the largest values over time."""
        check_rank(self, inputs.shape, 3, _AXES)
        if not inputs.shape[1]:
            raise ShapeError(
                f"inputs: {self.name} expected at least one time step; got {tuple(inputs.shape)}"
            )
        return inputs.amax(1, keepdim=self.keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return batch and features."""
        check_rank(self, input_shape, 3, _AXES)
        return (input_shape[0], *([1] if self.keepdims else []), input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same layer again."""
        return {**super().get_config(), "keepdims": self.keepdims}
