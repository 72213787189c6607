"""Layers that normalize to mean 0 and variance 1, or to length 1."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer import _regularizers
from nabi.layers._layer._arguments import Shape, check_no_constraint
from nabi.layers._layer._base import Layer
from nabi.nn import initializers

__all__ = ["BatchNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"]


def _axes(axes: Any) -> list[int]:
    several = axes if isinstance(axes, list | tuple) and axes else [axes]
    return [_checks.whole("axis", one, None, floats=True) for one in several]


def _places(layer: Layer, axes: Sequence[int], shape: Sequence[int | None]) -> list[int]:
    """Return the axes counted from 0; `ShapeError` if inputs of the shape do not have one."""
    for axis in axes:
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"inputs: {layer.name} ({type(layer).__name__}) normalizes over axis {axis}, "
                f"got shape {tuple(shape)}, which has no such axis"
            )
    return sorted({axis % len(shape) for axis in axes})


def _sizes(layer: Layer, places: Sequence[int], shape: Sequence[int | None]) -> tuple[int, ...]:
    """Return the sizes of the axes; `ShapeError` if one is open, since weights need it."""
    sizes = [shape[place] for place in places]
    known = tuple(size for size in sizes if size is not None)
    if len(known) < len(sizes):
        raise ShapeError(
            f"input_shape: {layer.name} ({type(layer).__name__}) needs the sizes of the axes {list(places)} "
            f"to create its weights, got {tuple(shape)}"
        )
    return known


class _Affine(Layer):
    """Base class of normalizations with a factor `gamma` and an offset `beta`."""

    supports_masking = True
    _makes_mask = False
    _casts_integers = True

    def __init__(
        self,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer, "beta_initializer")
        self.gamma_initializer = initializers.get(gamma_initializer, "gamma_initializer")
        self.beta_regularizer = _regularizers.get(beta_regularizer, "beta_regularizer")
        self.gamma_regularizer = _regularizers.get(gamma_regularizer, "gamma_regularizer")
        self.gamma: torch.nn.Parameter | None = None
        self.beta: torch.nn.Parameter | None = None

    def _add_affine(self, sizes: tuple[int, ...]) -> None:
        if self.scale:
            self.gamma = self.add_weight(
                sizes, self.gamma_initializer, "gamma", regularizer=self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_weight(
                sizes, self.beta_initializer, "beta", regularizer=self.beta_regularizer
            )

    def _check_sizes(self, places: Sequence[int], shape: Sequence[int | None]) -> None:
        """Raise `ShapeError` for inputs of sizes that the weights do not match."""
        weight = next((one for one in self._parameters.values() if one is not None), None)
        if weight is not None and tuple(shape[place] for place in places) != tuple(weight.shape):
            raise ShapeError(
                f"inputs: {self.name} ({type(self).__name__}) was built for the sizes {tuple(weight.shape)} "
                f"on the axes {list(places)}, got shape {tuple(shape)}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": _regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": _regularizers.serialize(self.gamma_regularizer),
        }


class BatchNormalization(_Affine):
    """Normalizes each feature to mean 0 and variance 1 over the batch, times `gamma`, plus `beta`.

    In training, the mean and variance are those of the batch (over all axes but `axis`), and their moving
    averages are updated: `average · momentum + batch · (1 - momentum)`. Otherwise the moving averages are
    used. With `trainable=False` they are always used and never updated, as in Keras. Masked steps are
    excluded from the mean and the variance.

    Arguments as in Keras: `axis=-1` (the features), `momentum=0.99`, `epsilon=0.001` (added to the variance),
    `center=True` (have `beta`), `scale=True` (have `gamma`), initializers and regularizers. Weights, each
    `(features,)`: `gamma`, `beta`, and the untrained `moving_mean` and `moving_variance`.
    Raises `ShapeError` for inputs of a width it was not built for. Source: Ioffe and Szegedy 2015.

    >>> import torch
    >>> layer = BatchNormalization()
    >>> layer(torch.tensor([[1.0], [3.0]]), training=True).round(decimals=2).tolist()
    [[-1.0], [1.0]]
    >>> layer.moving_mean.tolist(), len(layer.trainable_weights), len(layer.non_trainable_weights)
    ([0.019999999552965164], 2, 2)
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: None = None,
        gamma_constraint: None = None,
        synchronized: bool = False,
        renorm: bool = False,
        **kwargs: Any,
    ) -> None:
        check_no_constraint(beta_constraint=beta_constraint, gamma_constraint=gamma_constraint)
        for argument, asked in (("synchronized", synchronized), ("renorm", renorm)):
            if asked:
                raise ArgumentError(f"{argument}: expected False, the only supported value, got {asked!r}")
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, **kwargs
        )
        axes = _axes(axis)  # Keras 2 wrote a list of one into its configs
        if len(axes) > 1:
            raise ArgumentError(f"axis: expected one axis, got {_checks.short(axis)}")
        self.axis = axes[0]
        self.momentum = _checks.real("momentum", momentum, least=0, most=1)
        self.epsilon = _checks.real("epsilon", epsilon, least=0)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer, "moving_mean_initializer")
        self.moving_variance_initializer = initializers.get(
            moving_variance_initializer, "moving_variance_initializer"
        )

    def build(self, input_shape: Shape) -> None:
        """Create `gamma`, `beta`, `moving_mean` and `moving_variance`."""
        sizes = _sizes(self, _places(self, [self.axis], input_shape), input_shape)
        self._add_affine(sizes)
        self.moving_mean = self.add_weight(
            sizes, self.moving_mean_initializer, "moving_mean", trainable=False
        )
        self.moving_variance = self.add_weight(
            sizes, self.moving_variance_initializer, "moving_variance", trainable=False
        )

    def call(self, inputs: Tensor, training: bool = False, mask: Tensor | None = None) -> Tensor:
        """Return the normalized inputs; in training, update the moving averages."""
        places = _places(self, [self.axis], inputs.shape)
        self._check_sizes(places, inputs.shape)
        # Half precision has too few digits for a sum of squares.
        half = inputs.dtype in (torch.float16, torch.bfloat16)
        x = inputs.float() if half else inputs
        shape = [1] * x.dim()
        shape[places[0]] = -1
        mean: Tensor
        variance: Tensor
        if training and self._trainable:
            others = [axis for axis in range(x.dim()) if axis != places[0]]
            mean, variance = self._moments(x, others, mask)
            with torch.no_grad():
                for average, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                    average.lerp_(now.to(average.dtype), 1.0 - self.momentum)
        else:
            mean, variance = self.moving_mean.to(x.dtype), self.moving_variance.to(x.dtype)
        factor = (variance + self.epsilon).rsqrt()
        if self.gamma is not None:
            factor = factor * self.gamma
        result = (x - mean.reshape(shape)) * factor.reshape(shape)
        if self.beta is not None:
            result = result + self.beta.reshape(shape)
        return result.to(inputs.dtype) if half else result

    @staticmethod
    def _moments(x: Tensor, axes: list[int], mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mean and the variance of each feature over the unmasked steps."""
        if mask is None:
            variance, mean = torch.var_mean(x, axes, correction=0)
            return mean, variance
        if mask.shape != x.shape[: mask.dim()]:
            raise ShapeError(
                f"mask: expected the first axes of the inputs {tuple(x.shape)}, got {tuple(mask.shape)}"
            )
        counts = mask.to(torch.bool).reshape(*mask.shape, *(1,) * (x.dim() - mask.dim())).expand_as(x)
        # Masked values may be NaN, so they are replaced, not multiplied by zero.
        number = counts.sum(axes, keepdim=True).clamp(min=1)
        mean = torch.where(counts, x, 0.0).sum(axes, keepdim=True) / number
        variance = torch.where(counts, x - mean, 0.0).square().sum(axes, keepdim=True) / number
        return mean.flatten(), variance.flatten()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }


class LayerNormalization(_Affine):
    """Normalizes each sample or step to mean 0 and variance 1 along `axis`, then `· gamma + beta`.

    Arguments as in Keras: `axis=-1` (the features) or a list of axes, `epsilon=0.001` (added to the
    variance), `center=True`, `scale=True`, initializers and regularizers. Weights: `gamma` and `beta`, of
    the sizes of the axes. Raises `ShapeError` for inputs of sizes it was not built for.
    Source: Ba, Kiros and Hinton 2016.

    >>> import torch
    >>> LayerNormalization()(torch.tensor([[1.0, 3.0]])).round(decimals=2).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: None = None,
        gamma_constraint: None = None,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        check_no_constraint(beta_constraint=beta_constraint, gamma_constraint=gamma_constraint)
        if rms_scaling:
            raise ArgumentError("rms_scaling: expected False, got True; use RMSNormalization")
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, **kwargs
        )
        self.axis = _axes(axis)
        self.epsilon = _checks.real("epsilon", epsilon, least=0)

    def build(self, input_shape: Shape) -> None:
        """Create `gamma` and `beta`."""
        self._add_affine(_sizes(self, _places(self, self.axis, input_shape), input_shape))

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        places = _places(self, self.axis, inputs.shape)
        self._check_sizes(places, inputs.shape)
        last = list(range(inputs.dim() - len(places), inputs.dim()))
        x = inputs if places == last else inputs.movedim(places, last)
        sizes = x.shape[-len(places) :]
        result = functional.layer_norm(x, sizes, self.gamma, self.beta, self.epsilon)
        return result if places == last else result.movedim(last, places)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        axis = self.axis[0] if len(self.axis) == 1 else list(self.axis)
        return {**super().get_config(), "axis": axis, "epsilon": self.epsilon}


class RMSNormalization(Layer):
    """Divides each sample or step by its root mean square along `axis`, times `scale`.

    Arguments as in Keras: `axis=-1` or a list of axes, `epsilon=1e-6` (added to the mean square). Weight:
    `scale`, initially ones, of the sizes of the axes. Source: Zhang and Sennrich 2019.

    >>> import torch
    >>> RMSNormalization()(torch.tensor([[1.0, 7.0]])).detach()
    tensor([[0.2000, 1.4000]])
    """

    supports_masking = True
    _makes_mask = False
    _casts_integers = True

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _axes(axis)
        self.epsilon = _checks.real("epsilon", epsilon, least=0)

    def build(self, input_shape: Shape) -> None:
        """Create `scale`."""
        sizes = _sizes(self, _places(self, self.axis, input_shape), input_shape)
        self.scale = self.add_weight(sizes, "ones", "scale")

    def call(self, inputs: Tensor) -> Tensor:
        """Return the normalized inputs."""
        places = _places(self, self.axis, inputs.shape)
        last = list(range(inputs.dim() - len(places), inputs.dim()))
        x = inputs if places == last else inputs.movedim(places, last)
        sizes = x.shape[-len(places) :]
        if sizes != self.scale.shape:
            raise ShapeError(
                f"inputs: {self.name} (RMSNormalization) was built for the sizes "
                f"{tuple(self.scale.shape)} on "
                f"the axes {places}, got shape {tuple(inputs.shape)}"
            )
        result = functional.rms_norm(x, list(sizes), self.scale, self.epsilon)
        return result if places == last else result.movedim(last, places)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        axis = self.axis[0] if len(self.axis) == 1 else list(self.axis)
        return {**super().get_config(), "axis": axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """Divides vectors along `axis` (-1 by default, or a list of axes) by their length.

    >>> import torch
    >>> UnitNormalization()(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    supports_masking = True
    _makes_mask = False
    _casts_integers = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = _axes(axis)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs scaled to length 1."""
        places = _places(self, self.axis, inputs.shape)
        # The square is clamped, not the length, as in Keras; the two differ only near zero.
        squares = inputs.square().sum(places, keepdim=True)
        return inputs * squares.clamp(min=1e-12).rsqrt()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        _places(self, self.axis, input_shape)
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        axis = self.axis[0] if len(self.axis) == 1 else list(self.axis)
        return {**super().get_config(), "axis": axis}
