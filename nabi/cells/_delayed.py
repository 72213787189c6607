"""Cells that read their states of some steps ago."""

import dataclasses
from typing import Any

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node
from nabi.ir.functions import activation, part, sigmoid, softmax, tanh, total

__all__ = ["MIST", "NARX", "TauGRU"]


class TauGRU(Cell):
    """GRU with a weighted feedback from some steps ago (Erichson, Lim and Mahoney 2022, τ-GRU).

    The delay shortens the path of gradients, and suits systems that answer late.

    Args:
        delay_steps: how many steps back the feedback is, at least 1.
    """

    delay_steps: int = dataclasses.field(default=5, kw_only=True)

    def __post_init__(self) -> None:
        self._keep("delay_steps", _checks.whole("delay_steps", self.delay_steps))
        super().__post_init__()

    def delays(self) -> dict[str, int]:
        """The state is read `delay_steps` steps back."""
        return {"h": self.delay_steps}

    def step(self, x: Node, h: Node) -> Any:
        """Mix the old state, a new one and the delayed feedback."""
        u = tanh(self.affine("u", x, h))
        z = tanh(self.affine("z", x, d=self.delay(h, self.delay_steps)))
        g = sigmoid(self.affine("g", x, h))
        a = sigmoid(self.affine("a", x, h))
        return (1 - g) * h + g * (u + a * z)


class NARX(Cell):
    """Nonlinear autoregressive RNN with several delays (Lin, Horne, Tino and Giles 1996).

    Every lag has its own weights, so a gradient goes back over many steps in few jumps.

    Args:
        lags: the steps back that are read, different whole numbers from 1 on.
        activation: tanh by default.
    """

    lags: tuple[int, ...] = dataclasses.field(default=(1, 2, 4), kw_only=True)
    activation: str = dataclasses.field(default="tanh", kw_only=True)

    def __post_init__(self) -> None:
        given = tuple(self.lags) if isinstance(self.lags, (tuple, list)) else ()
        lags = tuple(_checks.whole("lags", lag) for lag in given)
        if not lags or len(set(lags)) < len(lags):
            raise ArgumentError(f"lags: expected different numbers of steps, got {_checks.short(self.lags)}")
        self._keep("lags", lags)
        super().__post_init__()

    def delays(self) -> dict[str, int]:
        """The state is read back to the longest lag."""
        return {"h": max(self.lags)}

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = φ(W x_t + Σ U_k h_{t-k} + b)`."""
        past: dict[str, Any] = {f"h{lag}": self.delay(h, lag) for lag in self.lags}
        return activation(self.activation)(self.affine("h", x, **past))


class MIST(NARX):
    """Network with a mixed history (DiPietro, Rupprecht, Navab and Hager 2017): attention over a few delays.

    For long lags: as in NARX, a gradient goes back over many steps in few jumps, but all lags share their
    weights, and the input says which one is read.

    Args:
        lags: the steps back that are read, different whole numbers from 1 on; the powers of 2 up to 16 by
            default. In the authors' code they go on to 128, which as many states hold.
    """

    lags: tuple[int, ...] = dataclasses.field(default=(1, 2, 4, 8, 16), kw_only=True)

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = φ(W x_t + U (r ∘ Σ a_k h_{t-k}) + b)`, with a the softmax of a layer that reads x and h."""
        a = softmax(self.affine("a", x, h, units=len(self.lags), bias="a"))
        mixed: Any = 0.0
        for place, lag in enumerate(self.lags):
            mixed = mixed + total(part(a, place, place + 1)) * self.delay(h, lag)
        r = sigmoid(self.affine("r", x, h))
        return activation(self.activation)(self.affine("h", x, h=r * mixed))
