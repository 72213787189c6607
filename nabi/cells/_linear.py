"""Cells that are linear in the state, or read it only unit by unit: no matrix in the loop over time."""

import dataclasses
from math import exp as exponential, sqrt as square_root
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._width import as_wide
from nabi.ir import Cell, Node
from nabi.ir.functions import exp, select, sigmoid, softplus, sqrt, tanh

__all__ = ["GILR", "GILRLSTM", "RGLRU", "SRU", "MinGRU", "MinLSTM", "TypedRNN"]


class TypedRNN(Cell):
    """Strongly typed simple network (Balduzzi and Ghifary 2016, T-RNN).

    Good as the smallest gated unit: states are only averaged, so they keep their meaning over time.
    """

    def step(self, x: Node, h: Node) -> Any:
        """f is the share of the old state."""
        f_t = sigmoid(self.affine("f", x))
        return f_t * h + (1 - f_t) * self.affine("z", x)


class SRU(Cell):
    """Simple recurrent unit: gates see the cell unit by unit; a highway passes the input (Lei et al. 2018).

    Good as a fast encoder of text. An input of another width than the units is multiplied by a matrix first.

    Args:
        highway_bias: what the bias of the gate r starts at; 0 by default. The input is scaled by
            `sqrt(1 + 2 exp(highway_bias))`, so that its variance is kept. Weights on the cell start at zero.
    """

    highway_bias: float = dataclasses.field(default=0.0, kw_only=True)

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("c",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("highway_bias", _checks.real("highway_bias", self.highway_bias, most=50))

    def step(self, x: Node, c: Node) -> Any:
        """f is the share of the old cell, r that of the new one in the output; both see the old cell."""
        f_t = sigmoid(self.affine("f", x) + self.diagonal("f", "c", c, init=0.0))
        start = {"b": self.highway_bias}
        r_t = sigmoid(self.affine("r", x, init=start) + self.diagonal("r", "c", c, init=0.0))
        c_t = f_t * c + (1 - f_t) * self.linear("c", "x", x)
        alpha = square_root(1 + 2 * exponential(self.highway_bias))
        return r_t * c_t + (1 - r_t) * (alpha * as_wide(self, "s", x)), c_t


class GILR(Cell):
    """Gated impulse linear recurrence (Martin and Cundy 2018).

    Good for long signals: a gate and a candidate, both from the input.
    """

    def step(self, x: Node, h: Node) -> Any:
        """g is the share of the old state."""
        g_t = sigmoid(self.affine("g", x))
        return g_t * h + (1 - g_t) * tanh(self.affine("i", x))


class GILRLSTM(Cell):
    """LSTM whose gates read a gated impulse linear recurrence in place of h (Martin and Cundy 2018).

    Good for long signals: both states are linear in themselves.
    """

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("c", "s")

    def step(self, x: Node, c: Node, s: Node) -> Any:
        """s is the linear surrogate of the output; the gates read its old value."""
        g_t = sigmoid(self.affine("g", x))
        s_t = g_t * s + (1 - g_t) * tanh(self.affine("s", x))
        f_t = sigmoid(self.affine("f", x, s))
        i_t = sigmoid(self.affine("i", x, s))
        c_t = f_t * c + i_t * tanh(self.affine("c", x, s))
        return sigmoid(self.affine("o", x, s)) * c_t, c_t, s_t


class MinGRU(Cell):
    """Minimal GRU: nothing reads the state but the average (Feng et al. 2024).

    Good as a fast baseline of today.

    Args:
        positive: whether the candidate goes through `x + 1/2` where positive, else the sigmoid, which keeps
            states positive (the paper's form for training in log space; the default), or is linear.
    """

    positive: bool = dataclasses.field(default=True, kw_only=True)

    def candidate(self, x: Node) -> Any:
        """Return the candidate."""
        v_t = self.affine("h", x)
        return select(v_t >= 0, v_t + 0.5, sigmoid(v_t)) if self.positive else v_t

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the candidate."""
        z_t = sigmoid(self.affine("z", x))
        n_t = self.candidate(x)
        return (1 - z_t) * h + z_t * n_t


class MinLSTM(MinGRU):
    """Minimal LSTM: two gates from the input, normalised to a sum of one (Feng et al. 2024)."""

    def step(self, x: Node, h: Node) -> Any:
        """f and i are divided by their sum."""
        f_t = sigmoid(self.affine("f", x))
        i_t = sigmoid(self.affine("i", x))
        n_t = self.candidate(x)
        return (f_t * h + i_t * n_t) / (f_t + i_t)


def _griffin_decay(shape: tuple[int, ...], generator: Any) -> Any:
    """Draw Λ so that an open gate keeps 0.9 to 0.999, its square uniform, in 1 / exponent of a step."""
    import torch

    squares = torch.empty(shape, dtype=torch.float64).uniform_(0.9**2, 0.999**2, generator=generator)
    return squares.pow(-0.5).sub(1).log()  # softplus of this is minus the logarithm of the root


class RGLRU(Cell):
    """Real-gated linear recurrent unit of Griffin and Hawk (De et al. 2024).

    Good for language models on one processor. In Griffin a short convolution stands before it. An input of
    another width than the units is multiplied by a matrix first; the gates' matrices are full.

    Args:
        exponent: c, how fast an open recurrence gate forgets, positive; 8 by default.
    """

    exponent: float = dataclasses.field(default=8.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("exponent", _checks.real("exponent", self.exponent, above=0))

    def step(self, x: Node, h: Node) -> Any:
        """`a = exp(-c softplus(Λ) r)`; the input is scaled by `sqrt(1 - a²)`."""
        r_t = sigmoid(self.affine("a", x))
        i_t = sigmoid(self.affine("i", x))
        u_t = self.exponent * softplus(self.parameter("Lambda", init=_griffin_decay)) * r_t
        # 1 - exp(-2u) without cancellation, where a is close to one.
        rest = 2 * tanh(u_t) / (1 + tanh(u_t))
        return exp(-u_t) * h + sqrt(rest) * (i_t * as_wide(self, "s", x))
