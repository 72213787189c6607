"""Classes and functions of a user's own that old files name: a cell, layers, a model, a loss, a start value.

It stands alone, so that the command line can be given it as `--cell FILE.py:Class`.
"""

from typing import Any

import torch

from nabi import initializers, layers, models
from nabi.cells import Cell
from nabi.ir.functions import sigmoid, tanh


class MinimalGatedUnit(Cell):
    """One gate that both forgets and resets."""

    keep: float = 1.0
    states = ("h",)

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        candidate = tanh(self.affine("h", x, h=f * h))
        return self.keep * (1 - f) * h + f * candidate


class AddingCell(layers.Layer):
    """A Keras-style cell: a matrix on the input, and half of what was there."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def call(self, inputs: Any, states: Any) -> Any:
        new = inputs @ self.kernel + 0.5 * states[0]
        return new, [new]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class Twice(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return 2 * inputs


class Doubled(models.Model):
    def __init__(self, units: int = 2) -> None:
        super().__init__()
        self.memory = layers.LSTM(units)
        self.readout = layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return 2 * self.readout(self.memory(inputs))


class Falling(initializers.Initializer):
    def __call__(self, shape: Any, dtype: Any = None) -> torch.Tensor:
        count = torch.Size(shape).numel()
        return torch.linspace(1, -1, count, dtype=dtype or torch.float32).reshape(tuple(shape))


def far(y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
    return (y_true - y_pred).abs().mean(-1)


def halved(inputs: torch.Tensor) -> torch.Tensor:
    return inputs / 2


OWN = {one.__name__: one for one in (MinimalGatedUnit, AddingCell, Twice, Doubled, Falling, far, halved)}
