"""What the equations of papers are made of, in numpy, and the tables that hold one twin for each cell."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Array = np.ndarray
Weights = dict[str, Array]
States = tuple[Array, ...]


class Twin(NamedTuple):
    """A cell's equations typed a second time, and its number of weights for h units and d inputs."""

    step: Callable[..., States]
    count: Callable[[int, int], int]


def sigma(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


def relu(v: Array) -> Array:
    return np.maximum(v, 0)


def softplus(v: Array) -> Array:
    return np.log1p(np.exp(v))


def hard_sigma(v: Array) -> Array:
    return np.clip(v / 6 + 0.5, 0, 1)


def total(w: Weights, gate: str, bias: str | None = "b_", **values: Array) -> Array:
    """`W_x x + U h + b` of one gate: the letters name the matrices, None leaves the bias away."""
    found = sum(v @ w[f"W_{letter}{gate}"].T for letter, v in values.items())
    return found if bias is None else found + w[f"{bias}{gate}"]


def lstm_output(c: Array, o: Array) -> Array:
    return sigma(o) * np.tanh(c)
