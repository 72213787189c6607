"""Linear cells that read the input of the step before as well: convolutions and mixes of width two.

A state is not as wide as an input, so these cells hand on the products with the earlier input, not the input
itself. The products are then computed before the loop over time, as the others are.
"""

import dataclasses
from math import log
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node
from nabi.ir.functions import exp, maximum, sigmoid, tanh

__all__ = ["QRNN", "RWKV4", "TypedGRU", "TypedLSTM"]


class TypedGRU(Cell):
    """Strongly typed GRU: gates from the input and the one before (Balduzzi and Ghifary 2016, T-GRU).

    Good where states are to keep their meaning over time; nothing in the loop is a product. The products with
    the input before, called W_u, are states.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "qf", "qz", "qo")

    def step(self, x: Node, h: Node, qf: Node, qz: Node, qo: Node) -> Any:
        """f is the share of the old state; z is written through o."""
        f_t = sigmoid(self.affine("f", x) + qf)
        o_t = tanh(self.affine("o", x) + qo)
        h_t = f_t * h + (self.affine("z", x) + qz) * o_t
        return h_t, *(self.linear(gate, "u", x) for gate in "fzo")


class TypedLSTM(Cell):
    """Strongly typed LSTM: gates from the input and the one before (Balduzzi and Ghifary 2016, T-LSTM).

    The products with the input before, called W_u, are states.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c", "qf", "qz", "qo")

    def step(self, x: Node, h: Node, c: Node, qf: Node, qz: Node, qo: Node) -> Any:
        """f is the share of the old cell; o reads the new one."""
        f_t = sigmoid(self.affine("f", x) + qf)
        c_t = f_t * c + (1 - f_t) * (self.affine("z", x) + qz)
        o_t = tanh(self.affine("o", x) + qo)
        return c_t * o_t, c_t, *(self.linear(gate, "u", x) for gate in "fzo")


class QRNN(Cell):
    """Quasi-recurrent network: gates are convolutions over time, states are pooled (Bradbury et al. 2017).

    Good for language models and speech, where an LSTM is too slow. The convolutions read two inputs; the
    pooling is fo. The products with the input before, called W_u, are states.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c", "qz", "qf", "qo")

    def step(self, x: Node, h: Node, c: Node, qz: Node, qf: Node, qo: Node) -> Any:
        """z is the candidate; f is the share of the old cell."""
        z_t = tanh(self.affine("z", x) + qz)
        f_t = sigmoid(self.affine("f", x) + qf)
        o_t = sigmoid(self.affine("o", x) + qo)
        c_t = f_t * c + (1 - f_t) * z_t
        return o_t * c_t, c_t, *(self.linear(gate, "u", x) for gate in "zfo")


class RWKV4(Cell):
    """Time mixing of RWKV-4: a decaying softmax over keys, with a bonus for the newest (Peng et al. 2023).

    Good for language models on processors. Its channel mixing, a layer without a state, stands behind it.
    Decays w, bonuses u and mixes mu start by unit and by the layer's place in a stack, as the authors'. The
    shares of the input before in keys, values and receptances are states.

    Args:
        layer: the place in the stack, from 0, the default.
        layers: how many layers the stack has; 1 by default.
    """

    layer: int = dataclasses.field(default=0, kw_only=True)
    layers: int = dataclasses.field(default=1, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("y", "a", "b", "p", "qk", "qv", "qr")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("layers", _checks.whole("layers", self.layers))
        self._keep("layer", _checks.whole("layer", self.layer, 0, self.layers - 1))

    def initial_state(self, name: str) -> Any:
        """Return a number that no key is below for the largest exponent p, 0 for the others."""
        return -1e30 if name == "p" else 0.0

    def mixed(self, gate: str, x: Node, power: float, more: float = 0.0) -> tuple[Node, Node]:
        """Return the product of the input's own share, and of what it leaves to the step after."""
        width = x.width or 1
        start = tuple((unit / width) ** power + more for unit in range(width))
        share = self.parameter(f"mu_{gate}", width, init=start)
        return self.linear(gate, "x", share * x), self.linear(gate, "x", (1 - share) * x)

    def spread(self, place: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the logarithms of the decays and the bonuses at the start, from unit to unit."""
        units = [unit / max(self.units - 1, 1) for unit in range(self.units)]
        decays = tuple(-5 + 8 * unit ** (0.7 + 1.3 * place) for unit in units)
        return decays, tuple(log(0.3) + 0.5 * ((unit + 1) % 3 - 1) for unit in range(self.units))

    def step(self, x: Node, y: Node, a: Node, b: Node, p: Node, qk: Node, qv: Node, qr: Node) -> Any:
        """a and b are the sums of values and of weights, both divided by exp(p)."""
        place, left = self.layer / max(self.layers - 1, 1), 1 - self.layer / self.layers
        (own_k, next_k), (own_v, next_v) = self.mixed("k", x, left), self.mixed("v", x, left, 0.3 * place)
        own_r, next_r = self.mixed("r", x, left / 2)
        k_t, v_t, r_t = own_k + qk, own_v + qv, sigmoid(own_r + qr)
        decays, bonuses = self.spread(place)
        w, u = exp(self.parameter("w", init=decays)), self.parameter("u", init=bonuses)
        q_t = maximum(p, u + k_t)
        old, new = exp(p - q_t), exp(u + k_t - q_t)
        o_t = (old * a + new * v_t) / (old * b + new)
        p_t = maximum(p - w, k_t)
        keep, add = exp(p - w - p_t), exp(k_t - p_t)
        y_t = self.linear("y", "o", r_t * o_t)
        return y_t, keep * a + add * v_t, keep * b + add, p_t, next_k, next_v, next_r
