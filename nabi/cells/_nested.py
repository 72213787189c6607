"""Cells that have other cells inside."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._lstm import LSTM
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node
from nabi.ir.functions import activation, norm, sigmoid, tanh

__all__ = ["FSRNN", "HyperLSTM", "NestedLSTM"]


class NestedLSTM(LSTM):
    """LSTM whose cell state is the output of an inner LSTM (Moniz and Krueger 2017).

    The inner memory `d` changes more slowly: a hierarchy of time scales.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c", "d")

    def step(self, x: Node, h: Node, c: Node, d: Node) -> Any:  # type: ignore[override]
        """Compute an LSTM step with `c_t` from an inner LSTM of input `i ∘ g` and state `f ∘ c`."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_t, f_t, o_t = (gate(self.affine(name, x, h)) for name in "ifo")
        g_t = f(self.affine("c", x, h))
        inner = LSTM(self.units, self.activation, self.recurrent_activation, use_bias=self.use_bias)
        c_t, d_t = self.inner(inner, i_t * g_t, f_t * c, d, name="inner")
        return o_t * f(c_t), c_t, d_t


class FSRNN(Cell):
    """Fast-slow RNN (Mujika, Meier and Steger 2017).

    Within a step, fast cells run one after the other, and a slow cell between the first and the second.

    Args:
        units: of the fast cells, whose states are one.
        layers: how many fast cells, at least 2. From the third on their input is zero.
        fast: what the fast cells are; `LSTM(units)` by default.
        slow: what the slow cell is; the same by default.

    Raises:
        ArgumentError: `fast` is not `units` wide, or has states of the same name as `slow` with `_slow`.

    Example:
        >>> from nabi.cells import FSRNN, GRU
        >>> FSRNN(4, fast=GRU(4), slow=GRU(2)).states
        ('h', 'h_slow')
    """

    layers: int = dataclasses.field(default=2, kw_only=True)
    fast: Cell | None = dataclasses.field(default=None, kw_only=True)
    slow: Cell | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._keep("units", _checks.whole("units", self.units))
        self._keep("layers", _checks.whole("layers", self.layers, least=2))
        for name in ("fast", "slow"):
            cell = (
                LSTM(self.units, use_bias=self.use_bias)
                if getattr(self, name) is None
                else getattr(self, name)
            )
            if not isinstance(cell, Cell):
                raise ArgumentError(f"{name}: expected a cell such as LSTM(64), got {_checks.short(cell)}")
            self._keep(name, cell)
        if self.fast.output_width != self.units:  # type: ignore[union-attr]
            raise ArgumentError(f"fast: expected a cell of {self.units} units, got {self.fast!r}")
        names = self.fast.states, self.slow.states  # type: ignore[union-attr]
        self._keep("states", (*names[0], *(f"{name}_slow" for name in names[1])))
        super().__post_init__()

    def state_width(self, name: str) -> int:
        """Return the width that a state has in its cell."""
        slow = name.removesuffix("_slow")
        cell = self.fast if slow == name else self.slow
        return cell.state_width(slow)  # type: ignore[union-attr]

    def initial_state(self, name: str) -> Any:
        """Return what its cell starts a state with."""
        slow = name.removesuffix("_slow")
        return (self.fast if slow == name else self.slow).initial_state(slow)  # type: ignore[union-attr]

    def step(self, x: Node, *states: Node) -> Any:
        """`f1 = F1(x, f)`, `s' = S(f1, s)`, `f2 = F2(s', f1)`, and so on."""
        assert self.fast is not None
        assert self.slow is not None
        count = len(self.fast.states)
        fast = _tuple(self.inner(self.fast, x, *states[:count], name="fast1"))
        slow = _tuple(self.inner(self.slow, fast[0], *states[count:], name="slow"))
        for layer in range(2, self.layers + 1):
            given = slow[0] if layer == 2 else 0 * fast[0]
            fast = _tuple(self.inner(self.fast, given, *fast, name=f"fast{layer}"))
        return *fast, *slow


class HyperLSTM(LSTM):
    """LSTM whose weights are scaled by a smaller LSTM at every step (Ha, Dai and Le 2017).

    The small LSTM, of state `p` and cell `q`, reads the input and `h`. For each gate it gives an embedding
    `z`, and from that factors for the rows of both matrices and a bias. Sums and the cell output are
    normalised.

    Args:
        hyper: units of the small LSTM.
        embedding: width of the embedding of each gate.
    """

    hyper: int = dataclasses.field(default=16, kw_only=True)
    embedding: int = dataclasses.field(default=4, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c", "p", "q")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hyper", "embedding"):
            self._keep(name, _checks.whole(name, getattr(self, name)))

    def state_width(self, name: str) -> int:
        """Return `hyper` for p and q, `units` for h and c."""
        return self.hyper if name in ("p", "q") else self.units

    def scaled(self, gate: str, x: Node, h: Node, p: Node) -> Node:
        """Return a gate's sum with its rows scaled, normalised."""
        start = 0.1 / self.embedding
        factors = []
        for letter, bias in (("x", 1.0), ("h", 1.0), ("b", 0.0)):
            z = self.affine(
                f"{gate}{letter}", bias="z", p=p, units=self.embedding, init={"p": 0.0, "b": bias}
            )
            factors.append(self.linear(f"{gate}{letter}", "z", z, init=start if bias else 0.0))
        d_x, d_h, d_b = factors
        total = d_x * self.linear(gate, "x", x) + d_h * self.linear(gate, "h", h) + d_b + self.bias(gate)
        return self.gain(gate, "n") * norm(total) + self.bias(gate, "n")

    def step(self, x: Node, h: Node, c: Node, p: Node, q: Node) -> Any:  # type: ignore[override]
        """Compute a step of the small LSTM, then one of the LSTM that it scales."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        i_p, f_p, o_p = (sigmoid(self.affine(f"p{name}", x, h=h, p=p, units=self.hyper)) for name in "ifo")
        q_t = f_p * q + i_p * tanh(self.affine("pc", x, h=h, p=p, units=self.hyper))
        p_t = o_p * tanh(q_t)
        i_t, f_t, o_t = (gate(self.scaled(name, x, h, p_t)) for name in "ifo")
        g_t = f(self.scaled("c", x, h, p_t))
        c_t = f_t * c + i_t * g_t
        return o_t * f(self.gain("c", "c") * norm(c_t) + self.bias("c", "c")), c_t, p_t, q_t


def _tuple(states: Node | tuple[Node, ...]) -> tuple[Node, ...]:
    return states if isinstance(states, tuple) else (states,)
