"""Units that can keep a value for ever, and small units with learned scalars for small devices."""

import dataclasses
from typing import Any

from nabi import _checks
from nabi.ir import Cell, Node, derived
from nabi.ir.functions import activation, sigmoid, tanh

__all__ = ["BRC", "NBRC", "FastGRNN", "FastRNN"]


class BRC(Cell):
    """Bistable recurrent cell: each unit feeds back only to itself (Vecoven, Ernst and Drion 2021).

    Good for memories of thousands of steps: a unit whose feedback a is above 1 has two stable states. The
    weights on the state start at one.
    """

    def feedback(self, gate: str, x: Node, h: Node) -> Node:
        """Return a gate's sum, with a diagonal weight on the state."""
        return self.affine(gate, x) + self.diagonal(gate, "h", h, init=1.0)

    def step(self, x: Node, h: Node) -> Any:
        """a is the feedback, between 0 and 2; c the share of the old state."""
        a_t = 1 + tanh(self.feedback("a", x, h))
        c_t = sigmoid(self.feedback("c", x, h))
        return c_t * h + (1 - c_t) * tanh(self.affine("h", x) + a_t * h)


class NBRC(BRC):
    """Neuromodulated bistable cell: all units modulate the feedback of each (Vecoven et al. 2021)."""

    def feedback(self, gate: str, x: Node, h: Node) -> Node:
        """Return a gate's sum, with a matrix on the state."""
        return self.affine(gate, x, h)


class FastRNN(Cell):
    """FastRNN: a simple network with a weighted residual connection (Kusupati et al. 2018).

    Good for tiny devices: two numbers more than a simple network, and it trains. The weight of the candidate
    starts at σ(-3), that of the state at σ(3).

    Args:
        activation: tanh by default.
    """

    activation: str = "tanh"

    def step(self, x: Node, h: Node) -> Any:
        """alpha is the weight of the candidate, beta that of the old state."""
        alpha, beta = self.parameter("alpha", (), init=-3.0), self.parameter("beta", (), init=3.0)
        n_t = activation(self.activation)(self.affine("h", x, h))
        return sigmoid(alpha) * n_t + sigmoid(beta) * h


class FastGRNN(Cell):
    """FastGRNN: one matrix on the input and one on the state serve gate and candidate (Kusupati et al. 2018).

    Good for tiny devices, such as listening for a word: as small as a simple network. zeta starts at 1, nu at
    -4.

    Args:
        activation: of the candidate; tanh by default.
        recurrent_activation: of the gate; sigmoid by default.
        rank: None, the default, for full matrices; else each is a product of two with this inner width, at
            least 1: fewer numbers for smaller devices.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    rank: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank is not None:
            self._keep("rank", _checks.whole("rank", self.rank))

    def step(self, x: Node, h: Node) -> Any:
        """zeta and nu scale the candidate; gate and candidate differ in their biases only."""
        small = None if self.rank is None else dict.fromkeys("xh", derived.LowRank(self.rank))
        s_t = self.affine("h", x, h, bias=False, derived=small)
        z_t = activation(self.recurrent_activation)(s_t + self.bias("z"))
        n_t = activation(self.activation)(s_t + self.bias("h"))
        zeta, nu = self.parameter("zeta", (), init=1.0), self.parameter("nu", (), init=-4.0)
        return (sigmoid(zeta) * (1 - z_t) + sigmoid(nu)) * n_t + z_t * h
