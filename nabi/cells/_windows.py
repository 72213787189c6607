"""Memories with fixed weights: a window of the past, or a network that is not trained."""

import dataclasses
from functools import lru_cache
from math import sqrt
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import activation, sigmoid, tanh, total

__all__ = ["LMU", "HiPPO"]


class LMU(Cell):
    """Legendre memory unit: a fixed memory of a window, and a network that reads it (Voelker et al. 2019).

    Good for exact windows of long inputs: with few numbers the memory holds the last steps of one signal, as
    coefficients of Legendre polynomials. Its matrices are not trained.

    Args:
        order: the number of coefficients, width of the memory m; 8 by default.
        window: how many steps back the memory reaches, positive; 64 by default.
        activation: of the network; tanh by default.
    """

    order: int = dataclasses.field(default=8, kw_only=True)
    window: float = dataclasses.field(default=64.0, kw_only=True)
    activation: str = "tanh"

    states: ClassVar[tuple[str, ...]] = ("h", "m")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("order", _checks.whole("order", self.order))
        self._keep("window", _checks.real("window", self.window, above=0))

    def state_width(self, name: str) -> int:
        """Return `order` for the memory m, `units` for h."""
        return self.order if name == "m" else self.units

    def step(self, x: Node, h: Node, m: Node) -> Any:
        """The signal s, one number, enters the memory; the network reads input, state and memory."""
        a, b = _legendre(self.order, self.window)
        s_t = self.affine("s", x, h, m, bias=False, units=1, init={"m": 0.0})
        m_t = self.linear("m", "m", m, units=self.order, init=a, trained=False)
        m_t = m_t + self.linear("m", "s", s_t, units=self.order, init=b, trained=False)
        return activation(self.activation)(self.affine("h", x, h, m=m_t)), m_t


class HiPPO(Cell):
    """HiPPO-LegS: a fixed memory of the whole past, and a gated network that reads it (Gu et al. 2020).

    Good for long inputs whose length is not known: the memory holds the coefficients of Legendre polynomials
    over all steps so far, whatever their number. Its matrices are not trained. The memory moves by the
    paper's own step, whose first steps overshoot the more the larger the order is.

    Args:
        order: the number of coefficients, width of the memory m; 8 by default.
    """

    order: int = dataclasses.field(default=8, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "m", "n")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("order", _checks.whole("order", self.order))

    def state_width(self, name: str) -> int:
        """Return `order` for the memory m, 1 for the number of steps n, `units` for h."""
        return {"m": self.order, "n": 1}.get(name, self.units)

    def step(self, x: Node, h: Node, m: Node, n: Node) -> Any:
        """The network reads input, state and memory; the signal s, one number of it, enters the memory."""
        a, b = _scaled_legendre(self.order)
        g_t = sigmoid(self.affine("g", x, h, m))
        h_t = (1 - g_t) * h + g_t * tanh(self.affine("h", x, h, m))
        s_t = self.affine("s", h=h_t, units=1)
        n_t = n + 1
        change = self.linear("m", "s", s_t, units=self.order, init=b, trained=False)
        change = change - self.linear("m", "m", m, units=self.order, init=a, trained=False)
        return h_t, m + change / total(n_t), n_t


@lru_cache(maxsize=16)
def _scaled_legendre(order: int) -> tuple[initial.Values, initial.Values]:
    """Return the matrices of theorem 2."""

    def at(row: int, column: int) -> float:
        return row + 1.0 if row == column else sqrt((2 * row + 1) * (2 * column + 1)) * (row > column)

    a = tuple(tuple(at(row, column) for column in range(order)) for row in range(order))
    return initial.Values(a), initial.Values(tuple((sqrt(2 * row + 1),) for row in range(order)))


@lru_cache(maxsize=16)
def _legendre(order: int, window: float) -> tuple[initial.Values, initial.Values]:
    """Return the matrices of the delay system, its input held over a step."""
    import torch

    rows = torch.arange(order, dtype=torch.float64)[:, None]
    columns = rows.T
    sign = torch.where(rows < columns, -1.0, (-1.0) ** (rows - columns + 1))
    scale = (2 * rows + 1) / window
    # The exponential of the system and its input together gives both discrete matrices.
    both = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    both[:order, :order] = scale * sign
    both[:order, order:] = scale * (-1.0) ** rows
    found = torch.linalg.matrix_exp(both)
    return initial.Values(found[:order, :order].tolist()), initial.Values(found[:order, order:].tolist())
