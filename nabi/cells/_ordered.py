"""Neurons in an order, which gates open up to a place in."""

import dataclasses
from typing import Any

from nabi import _checks
from nabi.cells._lstm import LSTM
from nabi.errors import ArgumentError
from nabi.ir import Node
from nabi.ir.functions import activation, cumulative_sum, repeat, softmax

__all__ = ["ONLSTM"]


class ONLSTM(LSTM):
    """Ordered-neurons LSTM (Shen, Tan, Sordoni and Courville 2019).

    Master gates open all neurons above or below a place: high ones keep what lasts, low ones change often.
    The places turn out to follow the syntax of sentences.

    Args:
        chunk: how many neurons share a master gate; `units` is a whole number of chunks.

    Raises:
        ArgumentError: `units` is no whole number of chunks.
    """

    chunk: int = dataclasses.field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("chunk", _checks.whole("chunk", self.chunk))
        if self.units % self.chunk:
            raise ArgumentError(f"chunk: expected a divisor of units={self.units}, got {self.chunk}")

    def cumax(self, gate: str, x: Node, h: Node) -> Node:
        """Return the cumulative sum of a softmax: a step from 0 to 1 at a soft place."""
        places = self.affine(gate, m=x, n=h, units=self.units // self.chunk)
        opened = cumulative_sum(softmax(places))
        return opened if self.chunk == 1 else repeat(opened, self.chunk)

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """Write, keep and read the cell `c` of an LSTM, between the places of the two master gates."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        F_t = self.cumax("F", x, h)
        I_t = 1 - self.cumax("I", x, h)
        i_t, f_t, o_t = (gate(self.affine(name, x, h)) for name in "ifo")
        g_t = f(self.affine("c", x, h))
        w_t = F_t * I_t
        c_t = (f_t * w_t + (F_t - w_t)) * c + (i_t * w_t + (I_t - w_t)) * g_t
        return o_t * f(c_t), c_t
