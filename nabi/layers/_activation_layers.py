"""Activation functions with parameters, as layers: ReLU, LeakyReLU, ELU, PReLU."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nabi._checks import real, whole
from nabi.errors import ShapeError
from nabi.layers._layer import _regularizers
from nabi.layers._layer._arguments import Shape, check_no_constraint
from nabi.layers._layer._base import Layer
from nabi.nn import initializers

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU"]


class _Elementwise(Layer):
    """Base class of elementwise functions."""

    supports_masking = True
    _casts_integers = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)


class ReLU(_Elementwise):
    """`x` above `threshold`, capped at `max_value`; `negative_slope · (x - threshold)` below.

    Defaults: no `max_value`, `negative_slope=0`, `threshold=0`, so `max(x, 0)`. Raises `ArgumentError` for
    negative numbers.

    >>> import torch
    >>> ReLU(max_value=2.0, negative_slope=0.5)(torch.tensor([-1.0, 1.0, 3.0]))
    tensor([-0.5000,  1.0000,  2.0000])
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None:
            max_value = real("max_value", max_value, least=0, otherwise=" or None")
        self.max_value = max_value
        self.negative_slope = real("negative_slope", negative_slope, least=0)
        self.threshold = real("threshold", threshold, least=0)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the function to the inputs."""
        if not self.negative_slope and not self.threshold:
            return inputs.relu() if self.max_value is None else inputs.clamp(0.0, self.max_value)
        above = inputs if self.max_value is None else inputs.clamp(max=self.max_value)
        below = self.negative_slope * (inputs - self.threshold)
        return torch.where(inputs > self.threshold, above, below)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(_Elementwise):
    """`x` where positive, `negative_slope · x` elsewhere; the slope is 0.3 by default, as in Keras.

    `alpha` is Keras 2's name for the slope. Raises `ArgumentError` if it is negative.

    >>> import torch
    >>> LeakyReLU(0.5)(torch.tensor([-1.0, 1.0]))
    tensor([-0.5000,  1.0000])
    """

    def __init__(self, negative_slope: float = 0.3, *, alpha: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = real("negative_slope", negative_slope if alpha is None else alpha, least=0)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the function to the inputs."""
        return functional.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_Elementwise):
    """`x` where positive, `alpha · (exp(x) - 1)` elsewhere (Clevert et al. 2016); `alpha=1`.

    >>> import torch
    >>> ELU()(torch.tensor([-100.0, 1.0]))
    tensor([-1.,  1.])
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = real("alpha", alpha)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the function to the inputs."""
        return functional.elu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "alpha": self.alpha}


class PReLU(_Elementwise):
    """`x` where positive, `alpha · x` elsewhere; `alpha` is learned (He et al. 2015).

    Arguments: `alpha_initializer="zeros"`, `alpha_regularizer`, and `shared_axes`, counted from 1: the axes
    that share one number, such as `[1]` for the steps. Weight: `alpha`, of the shape of one sample.

    >>> import torch
    >>> PReLU(shared_axes=[1])(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: None = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        check_no_constraint(alpha_constraint=alpha_constraint)
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer, "alpha_initializer")
        self.alpha_regularizer = _regularizers.get(alpha_regularizer, "alpha_regularizer")
        axes: Any = [] if shared_axes is None else shared_axes
        several = axes if isinstance(axes, list | tuple) else [axes]
        self.shared_axes = [whole("shared_axes", axis) for axis in several]

    def build(self, input_shape: Shape) -> None:
        """Create `alpha`."""
        sizes = []
        for axis, size in enumerate(input_shape[1:], 1):
            if size is None and axis not in self.shared_axes:
                raise ShapeError(
                    f"input_shape: {self.name} (PReLU) needs the size of axis {axis}, or "
                    f"shared_axes=[{axis}], "
                    f"got {tuple(input_shape)}"
                )
            sizes.append(1 if axis in self.shared_axes or size is None else size)
        if any(axis > len(sizes) for axis in self.shared_axes):
            raise ShapeError(
                f"inputs: {self.name} (PReLU) shares the axes {self.shared_axes}, got {tuple(input_shape)}"
            )
        self.alpha = self.add_weight(
            sizes, self.alpha_initializer, "alpha", regularizer=self.alpha_regularizer
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the function to the inputs."""
        shape = tuple(self.alpha.shape)
        sizes = tuple(inputs.shape[1:])
        if len(sizes) != len(shape) or any(a not in (b, 1) for a, b in zip(shape, sizes, strict=True)):
            raise ShapeError(
                f"inputs: {self.name} (PReLU) was built for samples of shape {shape} (1: any size), "
                f"got shape {tuple(inputs.shape)}"
            )
        return torch.where(inputs > 0, inputs, self.alpha * inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": _regularizers.serialize(self.alpha_regularizer),
            "shared_axes": list(self.shared_axes) or None,
        }
