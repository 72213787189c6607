"""Layers that add noise in training or penalise their outputs."""

import math
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.layers._layer import _regularizers
from nabi.layers._layer._arguments import Shape, rate as check_rate
from nabi.layers._layer._base import Layer
from nabi.layers._layer._seeds import SeedGenerator

__all__ = ["ActivityRegularization", "GaussianDropout", "GaussianNoise"]


class _Noisy(Layer):
    supports_masking = True

    def __init__(self, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def _normal(self, like: Tensor) -> Tensor:
        generator = self.seed_generator.generator(like.device)
        dtype = like.dtype if like.is_floating_point() else self._dtype
        return torch.empty_like(like, dtype=dtype).normal_(generator=generator)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)


class GaussianNoise(_Noisy):
    """In training, adds normal noise of mean 0 and standard deviation `stddev` (0 to 1).

    With `seed`, the layer has its own random generator.

    >>> import torch
    >>> noise = GaussianNoise(0.1, seed=0)
    >>> noise(torch.ones(3)), bool((noise(torch.ones(3), training=True) != 1).all())
    (tensor([1., 1., 1.]), True)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = check_rate("stddev", stddev)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, with noise in training."""
        return inputs + self._normal(inputs) * self.stddev if training and self.stddev else inputs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(_Noisy):
    """In training, multiplies by normal noise of mean 1 and the variance `rate / (1 - rate)` of dropout.

    `0 <= rate < 1`. With `seed`, the layer has its own random generator. Source: Srivastava et al. 2014.

    >>> import torch
    >>> GaussianDropout(0.5)(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = _checks.rate("rate", rate)  # a rate of 1 would mean infinite noise

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs, multiplied by noise in training."""
        if not training or not self.rate:
            return inputs
        return inputs * (1.0 + self._normal(inputs) * math.sqrt(self.rate / (1.0 - self.rate)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class ActivityRegularization(Layer):
    """Returns its inputs and penalises them by `l1 · Σ|x| + l2 · Σx²`, like any `activity_regularizer`.

    >>> import torch
    >>> ActivityRegularization(l2=0.5)(torch.ones(2))
    tensor([1., 1.])
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=_regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Tensor) -> Tensor:
        """Return the inputs."""
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape` unchanged."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        config = super().get_config()
        del config["activity_regularizer"]
        return {**config, "l1": self.l1, "l2": self.l2}
