"""Cells with exponential gates or weights, kept within range by a running maximum."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node, derived, initial
from nabi.ir.functions import exp, maximum, select, sigmoid, softplus, tanh, total

__all__ = ["SLSTM", "Aaren"]


class Aaren(Cell):
    """Attention as a recurrent network: a running softmax over all that was read (Feng et al. 2024).

    Good for streaming attention: the output is that of attention with one learned query over the sequence so
    far, with a state of fixed size. One head.
    """

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("a", "c", "m")

    def state_width(self, name: str) -> int:
        """Return 1 for the sum of weights c and the largest score m."""
        return 1 if name in "cm" else self.units

    def step(self, x: Node, a: Node, c: Node, m: Node) -> Any:
        """a is the weighted sum of values, c that of the weights; m keeps both in range."""
        score = self.diagonal("q", "k", self.linear("k", "x", x))
        e_t = total(score) / self.units**0.5
        # Before the first step there is no largest score.
        m_t = select(c == 0, e_t, maximum(m, e_t))
        keep, new = exp(total(m - m_t)), exp(e_t - total(m_t))
        a_t = keep * a + new * self.linear("v", "x", x)
        c_t = total(c) * keep + new
        return a_t / c_t, a_t, c_t, m_t


@cache
def _blocks(heads: int) -> Callable[..., Any]:
    """Return the function that makes the mask of so many heads, always the same one."""

    def blocks(shape: tuple[int, ...], generator: Any) -> Any:
        import torch

        return torch.block_diag(*[torch.ones(shape[0] // heads, shape[1] // heads)] * heads)

    return blocks


class SLSTM(Cell):
    """sLSTM of the xLSTM: exponential input gate, normaliser, stabiliser (Beck et al. 2024).

    Good for state tracking and forecasting. Matrices on the state start at zero; the biases of the forget
    gates are spread evenly over 3 to 6. In the xLSTM a convolution stands before it, and a norm of each head
    behind it.

    Args:
        heads: parts of the units that read only their own states, a divisor of `units`; 1 by default. With
            more, the matrices on the state are block-diagonal: full ones that a mask holds at 0 elsewhere.
    """

    heads: int = dataclasses.field(default=1, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c", "n", "m")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("heads", _checks.whole("heads", self.heads))
        if self.units % self.heads:
            raise ArgumentError(f"heads: expected a divisor of units={self.units}, got {self.heads}")

    def gate(self, gate: str, x: Node, h: Node, bias: Any = None) -> Node:
        """Return a gate's sum; the heads do not read each other's states."""
        start = {"h": 0.0} if bias is None else {"h": 0.0, "b": bias}
        apart = {"h": derived.Masked(initial.Drawn(_blocks(self.heads)))} if self.heads > 1 else None
        return self.affine(gate, x, h, init=start, derived=apart)

    def step(self, x: Node, h: Node, c: Node, n: Node, m: Node) -> Any:
        """The logarithm of the forget gate, and i, are kept below one by m."""
        i_t = self.gate("i", x, h)
        log_f = -softplus(-self.gate("f", x, h, initial.Linspace(3.0, 6.0)))
        # Before the first step nothing has been summed, and i alone is the largest.
        m_t = select(n == 0, i_t, maximum(log_f + m, i_t))
        keep, new = exp(log_f + m - m_t), exp(i_t - m_t)
        c_t = keep * c + new * tanh(self.gate("z", x, h))
        n_t = keep * n + new
        o_t = sigmoid(self.gate("o", x, h))
        return o_t * (c_t / n_t), c_t, n_t, m_t
