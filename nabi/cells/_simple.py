"""Cells with one product and no gates."""

from typing import Any

from nabi.ir import Cell, Node
from nabi.ir.functions import activation

__all__ = ["IndRNN", "SimpleRNN"]


class SimpleRNN(Cell):
    """Simple recurrent network (Elman 1990): the state is fed back through one layer.

    Args:
        activation: any activation by name; tanh by default.
    """

    activation: str = "tanh"

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = f(W_xh x_t + W_hh h_{t-1} + b_h)`."""
        return activation(self.activation)(self.affine("h", x, h))


class IndRNN(Cell):
    """Independently recurrent network (Li et al. 2018): each unit reads only its own state.

    Args:
        activation: relu by default, as in the paper.
    """

    activation: str = "relu"

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = f(W_xh x_t + b_h + w_hh ∘ h_{t-1})`."""
        return activation(self.activation)(self.affine("h", x) + self.diagonal("h", "h", h))
