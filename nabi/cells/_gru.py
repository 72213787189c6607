"""Gated recurrent units: three definitions that go by one name."""

import dataclasses
from typing import Any

from nabi.ir import Cell, Node
from nabi.ir.functions import activation

__all__ = ["GRU", "GRU2014", "GRULecture"]


class GRU(Cell):
    """Gated recurrent unit, reset after the product, as Keras, torch and cuDNN define it.

    Args:
        activation: of the candidate; tanh by default.
        recurrent_activation: of the gates; sigmoid by default.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the old state; r weakens the product of the old state, its bias included."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.affine("z", x, bias="x") + self.affine("z", h, bias="h"))
        r_t = gate(self.affine("r", x, bias="x") + self.affine("r", h, bias="h"))
        n_t = f(self.affine("h", x, bias="x") + r_t * self.affine("h", h, bias="h"))
        return z_t * h + (1 - z_t) * n_t


class GRU2014(GRU):
    """Gated recurrent unit, reset before the product (Cho et al. 2014; Keras' `reset_after=False`)."""

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the old state; r weakens the old state itself."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.affine("z", x, h))
        r_t = gate(self.affine("r", x, h))
        n_t = f(self.affine("h", x, h=r_t * h))
        return z_t * h + (1 - z_t) * n_t


class GRULecture(GRU):
    """Gated recurrent unit as lectures draw it: reset before the product, no bias, z on the candidate."""

    use_bias: bool = dataclasses.field(default=False, kw_only=True)

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the candidate."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.affine("z", x, h))
        r_t = gate(self.affine("r", x, h))
        n_t = f(self.affine("h", x, h=r_t * h))
        return (1 - z_t) * h + z_t * n_t
