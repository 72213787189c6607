"""Cells with exponential gates or weights, kept within range by a running maximum."""

from typing import Any, ClassVar

from nabi.ir import Cell, Node, initial
from nabi.ir.functions import exp, maximum, select, sigmoid, softplus, tanh, total

__all__ = ["SLSTM", "Aaren"]


class Aaren(Cell):
    """Attention as a recurrent network: a running softmax over all that was read (Feng et al. 2024).

    Good for streaming attention: the output is that of attention with one learned query over the sequence so
    far, with a state of fixed size. One head.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "a", "c", "m")

    def state_width(self, name: str) -> int:
        """Return 1 for the sum of weights c and the largest score m."""
        return 1 if name in "cm" else self.units

    def step(self, x: Node, h: Node, a: Node, c: Node, m: Node) -> Any:
        """a is the weighted sum of values, c that of the weights; m keeps both in range."""
        score = self.diagonal("q", "k", self.linear("k", "x", x))
        e_t = total(score) / self.units**0.5
        # Before the first step there is no largest score.
        m_t = select(c == 0, e_t, maximum(m, e_t))
        keep, new = exp(total(m - m_t)), exp(e_t - total(m_t))
        a_t = keep * a + new * self.linear("v", "x", x)
        c_t = total(c) * keep + new
        return a_t / c_t, a_t, c_t, m_t


class SLSTM(Cell):
    """sLSTM of the xLSTM: exponential input gate, normaliser, stabiliser (Beck et al. 2024).

    Good for state tracking and forecasting. One head: the matrices on the state are full. They start at zero;
    the biases of the forget gates are spread evenly over 3 to 6.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c", "n", "m")

    def step(self, x: Node, h: Node, c: Node, n: Node, m: Node) -> Any:
        """The logarithm of the forget gate, and i, are kept below one by m."""
        start = {"h": 0.0}
        i_t = self.affine("i", x, h, init=start)
        log_f = -softplus(-self.affine("f", x, h, init=start | {"b": initial.Linspace(3.0, 6.0)}))
        # Before the first step nothing has been summed, and i alone is the largest.
        m_t = select(n == 0, i_t, maximum(log_f + m, i_t))
        keep, new = exp(log_f + m - m_t), exp(i_t - m_t)
        c_t = keep * c + new * tanh(self.affine("z", x, h, init=start))
        n_t = keep * n + new
        o_t = sigmoid(self.affine("o", x, h, init=start))
        return o_t * (c_t / n_t), c_t, n_t, m_t
