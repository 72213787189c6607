"""Linear cells that read the input of the step before as well: convolutions and mixes of width two."""

import dataclasses
from math import log
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node
from nabi.ir.functions import exp, maximum, sigmoid, tanh

__all__ = ["QRNN", "RWKV4", "TypedGRU", "TypedLSTM"]


class TypedGRU(Cell):
    """Strongly typed GRU: gates from the input and the one before (Balduzzi and Ghifary 2016, T-GRU).

    Good where states are to keep their meaning over time; nothing in the loop is a product. The weights on
    the input before are called W_u.
    """

    def step(self, x: Node, h: Node) -> Any:
        """f is the share of the old state; z is written through o."""
        before = self.previous(x)
        f_t = sigmoid(self.affine("f", x, u=before))
        o_t = tanh(self.affine("o", x, u=before))
        return f_t * h + self.affine("z", x, u=before) * o_t


class TypedLSTM(Cell):
    """Strongly typed LSTM: gates from the input and the one before (Balduzzi and Ghifary 2016, T-LSTM).

    The weights on the input before are called W_u.
    """

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("c",)

    def step(self, x: Node, c: Node) -> Any:
        """f is the share of the old cell; o reads the new one."""
        before = self.previous(x)
        f_t = sigmoid(self.affine("f", x, u=before))
        c_t = f_t * c + (1 - f_t) * self.affine("z", x, u=before)
        o_t = tanh(self.affine("o", x, u=before))
        return c_t * o_t, c_t


class QRNN(Cell):
    """Quasi-recurrent network: gates are convolutions over time, states are pooled (Bradbury et al. 2017).

    Good for language models and speech, where an LSTM is too slow. The convolutions read two inputs; the
    pooling is fo. The weights on the input before are called W_u.
    """

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("c",)

    def step(self, x: Node, c: Node) -> Any:
        """z is the candidate; f is the share of the old cell."""
        before = self.previous(x)
        z_t = tanh(self.affine("z", x, u=before))
        f_t = sigmoid(self.affine("f", x, u=before))
        o_t = sigmoid(self.affine("o", x, u=before))
        c_t = f_t * c + (1 - f_t) * z_t
        return o_t * c_t, c_t


class RWKV4(Cell):
    """Time mixing of RWKV-4: a decaying softmax over keys, with a bonus for the newest (Peng et al. 2023).

    Good for language models on processors. Its channel mixing, a layer without a state, stands behind it.
    Decays w, bonuses u and mixes mu start by unit and by the layer's place in a stack, as the authors'.

    Args:
        layer: the place in the stack, from 0, the default.
        layers: how many layers the stack has; 1 by default.
    """

    layer: int = dataclasses.field(default=0, kw_only=True)
    layers: int = dataclasses.field(default=1, kw_only=True)

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("a", "b", "p")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("layers", _checks.whole("layers", self.layers))
        self._keep("layer", _checks.whole("layer", self.layer, 0, self.layers - 1))

    def initial_state(self, name: str) -> Any:
        """Return a number that no key is below for the largest exponent p, 0 for the others."""
        return -1e30 if name == "p" else 0.0

    def mixed(self, gate: str, x: Node, power: float, more: float = 0.0) -> Node:
        """Return the product with a mix of the input and the one before it."""
        width = x.width or 1
        start = tuple((unit / width) ** power + more for unit in range(width))
        share = self.parameter(f"mu_{gate}", width, init=start)
        return self.linear(gate, "x", share * x + (1 - share) * self.previous(x))

    def spread(self, place: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the logarithms of the decays and the bonuses at the start, from unit to unit."""
        units = [unit / max(self.units - 1, 1) for unit in range(self.units)]
        decays = tuple(-5 + 8 * unit ** (0.7 + 1.3 * place) for unit in units)
        return decays, tuple(log(0.3) + 0.5 * ((unit + 1) % 3 - 1) for unit in range(self.units))

    def step(self, x: Node, a: Node, b: Node, p: Node) -> Any:
        """a and b are the sums of values and of weights, both divided by exp(p)."""
        place, left = self.layer / max(self.layers - 1, 1), 1 - self.layer / self.layers
        k_t, v_t = self.mixed("k", x, left), self.mixed("v", x, left, 0.3 * place)
        r_t = sigmoid(self.mixed("r", x, left / 2))
        decays, bonuses = self.spread(place)
        w, u = exp(self.parameter("w", init=decays)), self.parameter("u", init=bonuses)
        q_t = maximum(p, u + k_t)
        old, new = exp(p - q_t), exp(u + k_t - q_t)
        o_t = (old * a + new * v_t) / (old * b + new)
        p_t = maximum(p - w, k_t)
        keep, add = exp(p - w - p_t), exp(k_t - p_t)
        y_t = self.linear("y", "o", r_t * o_t)
        return y_t, keep * a + add * v_t, keep * b + add, p_t
