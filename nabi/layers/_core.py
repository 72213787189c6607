"""Layers that are not specific to time: Input, Dense, Activation, Dropout, SpatialDropout1D, Flatten."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi._public import public
from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.kernels import Kept
from nabi.layers._layer import _activations, _regularizers
from nabi.layers._layer._arguments import Shape, check_no_constraint, positive_integer, rate as check_rate
from nabi.layers._layer._base import Layer
from nabi.layers._layer._seeds import SeedGenerator
from nabi.layers._layer._shapes import check_rank, check_width, last_width
from nabi.layers._layer._symbolic import Call, SymbolicTensor
from nabi.nn import initializers, small_linear
from nabi.small_weights import SmallWeight

__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "SpatialDropout1D"]


class InputLayer(Layer):
    """The entry point of data: it has a shape and returns its input. `Input` makes one.

    Arguments: `shape` without the batch or `batch_shape` with it; `batch_size`, `dtype`, `name`.
    `input_shape` and `batch_input_shape` are the older spellings.

    >>> InputLayer(shape=(4, 1), batch_size=2).declared_input_shape
    (2, 4, 1)
    """

    supports_masking = True

    def __init__(self, shape: Sequence[int | None] | None = None, **kwargs: Any) -> None:
        if shape is not None:
            kwargs["input_shape"] = shape
        super().__init__(**kwargs)
        if self.declared_input_shape is None:
            raise ArgumentError("shape: expected shape=... or batch_shape=..., got neither")
        self.built = True

    @property
    def batch_shape(self) -> Shape:
        """The full shape, batch first."""
        assert self.declared_input_shape is not None
        return self.declared_input_shape

    def symbol(self) -> SymbolicTensor:
        """Return the symbolic tensor of the data, to call layers on."""
        if self._first_call is None:
            self._first_call = Call(self, (), {})
            self._first_call.give(self.batch_shape, self.dtype)
        symbol: SymbolicTensor = self._first_call.outputs
        return symbol

    def call(self, inputs: Any) -> Any:
        """Return the inputs."""
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return super().get_config()


@public
def Input(  # noqa: N802 - Keras' name
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | torch.dtype | None = None,
    name: str | None = None,
    batch_shape: Sequence[int | None] | None = None,
) -> SymbolicTensor:
    """Return a symbolic tensor for data of a shape; call layers on it to write a functional model.

    It may also come first in a `Sequential`. Arguments: `shape` without the batch, None for an axis of any
    size; `batch_size`, or `batch_shape` with the batch; `dtype`; `name`, the key of the data in dictionaries
    passed to `fit` and `predict`. Raises `ArgumentError` without a shape.

    >>> from nabi import layers, models
    >>> x = Input((4, 1), name="x")
    >>> x
    <symbolic tensor (None, 4, 1) float32 of x>
    >>> models.Model(x, layers.Dense(2)(layers.LSTM(3)(x))).count_params()
    68
    """
    layer = InputLayer(shape, batch_size=batch_size, dtype=dtype, name=name, batch_shape=batch_shape)
    return layer.symbol()


class Dense(Layer):
    """`activation(x · kernel + bias)` on the last axis: `[..., inputs]` to `[..., units]`.

    Arguments as in Keras: `units`, `activation=None` (linear), `use_bias=True`, initializers and
    regularizers for kernel (Glorot's uniform by default) and bias (zeros). Weights: `kernel`
    `(inputs, units)`, `bias` `(units,)`. Raises `ShapeError` for inputs of a width it was not built for.

    >>> import torch
    >>> dense = Dense(2, activation="softmax")
    >>> dense(torch.ones(5, 3)).shape, dense.count_params(), dense.parameter_sum()
    (torch.Size([5, 2]), 8, '(3 + 1) × 2 = 8')
    """

    supports_masking = True
    _casts_integers = True

    def __init__(
        self,
        units: int,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_integer("units", units)
        self.activation: _activations.Activation = _activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.kernel_regularizer = _regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = _regularizers.get(bias_regularizer, "bias_regularizer")
        self.bias: torch.nn.Parameter | None = None

    def build(self, input_shape: Shape) -> None:
        """Create `kernel` and `bias`."""
        if len(input_shape) < 2:
            raise ShapeError(
                f"inputs: {self.name} (Dense) expected 2 axes or more (batch, ..., features), "
                f"got shape {tuple(input_shape)}"
            )
        inputs = last_width(self, input_shape)
        self.kernel = self.add_weight(
            (inputs, self.units), self.kernel_initializer, "kernel", regularizer=self.kernel_regularizer
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,), self.bias_initializer, "bias", regularizer=self.bias_regularizer
            )

    def matrices(self) -> dict[str, int]:
        """Return the name of the kernel, with the axis of its outputs."""
        return {"kernel": 1}

    def call(self, inputs: Tensor) -> Tensor:
        """Return the output for `[..., inputs]`."""
        kernel = self.kernel
        if inputs.dim() < 2 or inputs.shape[-1] != kernel.shape[0]:
            check_width(self, inputs.shape, kernel.shape[0])
            raise ShapeError(
                f"inputs: {self.name} (Dense) expected 2 axes or more, got {tuple(inputs.shape)}"
            )
        linear = small_linear if isinstance(kernel, SmallWeight) else functional.linear
        return self.activation(linear(inputs, kernel.T, self.bias))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape with `units` in the last axis."""
        if self.built and input_shape[-1] is not None:
            check_width(self, input_shape, self.kernel.shape[0])
        return (*input_shape[:-1], self.units)

    def parameter_sum(self) -> str:
        """Return `(inputs + 1) × units = count`."""
        if not self.built:
            return ""
        inputs = f"({self.kernel.shape[0]} + 1)" if self.use_bias else f"{self.kernel.shape[0]}"
        return f"{inputs} × {self.units} = {self.count_params():,}"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": _activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": _regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": _regularizers.serialize(self.bias_regularizer),
        }


class Activation(Layer):
    """An activation function as a layer.

    >>> import torch
    >>> Activation("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    supports_masking = True
    _casts_integers = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation: _activations.Activation = _activations.get(activation)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the function to the inputs."""
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "activation": _activations.serialize(self.activation)}


class Dropout(Layer):
    """In training, sets each element to 0 with probability `rate` and scales the others by 1 / (1 - rate).

    Axes of size 1 in `noise_shape` share one draw, as in Keras. With `seed`, the layer has its own random
    generator. Source: Srivastava et al. 2014.

    >>> import torch
    >>> Dropout(0.5)(torch.ones(3))
    tensor([1., 1., 1.])
    """

    supports_masking = True

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = check_rate("rate", rate)
        if noise_shape is not None:
            if not isinstance(noise_shape, list | tuple):
                raise ArgumentError(f"noise_shape: expected a list or None, got {short(noise_shape)}")
            sizes = [None if one is None else positive_integer("noise_shape", one) for one in noise_shape]
        self.noise_shape = None if noise_shape is None else tuple(sizes)
        self.seed_generator = SeedGenerator(seed)
        self.seed = self.seed_generator.seed

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, with dropout in training."""
        kept = self.kept(inputs) if training else None
        return inputs if kept is None else inputs * kept

    def kept(self, inputs: Tensor) -> Tensor | None:
        """Draw the factors of the inputs, 0 or 1 / (1 - rate); None if nothing is dropped."""
        return self.seed_generator.keep(self._noise_like(inputs), self.rate) if self.rate else None

    def draw(self, inputs: Tensor) -> Kept | None:
        """Draw the same as `kept` in less memory; None if nothing is dropped."""
        if not self.rate:
            return None
        if self.noise_shape is None:
            return self.seed_generator.draw(inputs, self.rate)
        return Kept(self.seed_generator.keep(self._noise_like(inputs), self.rate), None, 1.0)

    def _noise_like(self, inputs: Tensor) -> Tensor:
        if self.noise_shape is None:
            return inputs
        wanted, there = self.noise_shape, tuple(inputs.shape)
        # Each axis has the size of the inputs, or 1 to share one draw along it.
        if len(wanted) != len(there) or any(
            one not in (None, 1, full) for one, full in zip(wanted, there, strict=True)
        ):
            raise ShapeError(
                f"noise_shape: {self.name} (Dropout) expected sizes of 1 or those of its inputs {there}, "
                f"got {wanted}"
            )
        return inputs.new_empty(
            [full if one is None else one for one, full in zip(wanted, there, strict=True)]
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return {**super().get_config(), "rate": self.rate, "noise_shape": shape, "seed": self.seed}


class SpatialDropout1D(Dropout):
    """In training, sets whole features of `[B, T, D]` to 0 at all steps of a row and scales the others.

    Each feature of each row is dropped with probability `rate`; the others are scaled by 1 / (1 - rate).
    Neighbouring steps are similar, so dropping single elements would remove little information.
    With `seed`, the layer has its own random generator. Raises `ShapeError` unless the inputs have 3 axes.
    Source: Tompson et al. 2015, section 3.2.

    >>> import torch
    >>> dropped = SpatialDropout1D(0.5, seed=0)(torch.ones(1, 3, 4), training=True)
    >>> bool((dropped == dropped[:, :1]).all())
    True
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, (None, 1, None), seed, **kwargs)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, with features dropped in training."""
        check_rank(self, inputs.shape, 3, "(batch, time, features)")
        return super().call(inputs, training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        config = super().get_config()
        del config["noise_shape"]
        return config


class Flatten(Layer):
    """Merges all axes after the batch into one: `[B, ...]` to `[B, product]`. Masks are dropped, as in Keras.

    >>> import torch
    >>> Flatten()(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 12])
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        if data_format not in (None, "channels_last"):
            raise ArgumentError(f"data_format: expected 'channels_last', got {data_format!r}")
        super().__init__(**kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs as `[B, product]`."""
        return inputs.reshape(inputs.shape[0], -1) if inputs.numel() else inputs.flatten(1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the batch and the product of the other axes, None if one of them is open."""
        size = 1
        for one in input_shape[1:]:
            if one is None:
                return (input_shape[0], None)
            size *= one
        return (input_shape[0], size)
