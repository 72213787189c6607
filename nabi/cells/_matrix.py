"""Cells with a matrix a head as their state, to which every step adds a product of two vectors.

A step writes a value `v` under a key `k`, `S_t = a ∘ S_{t-1} + k ⊗ v`, and reads with a query, `y = Sᵀ q`.
The cells differ in what decays: nothing, a head, a row, or what lies under the same key.
"""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import (
    cos,
    elu,
    exp,
    flat,
    join,
    maximum,
    norm,
    outer,
    part,
    read,
    sigmoid,
    silu,
    sin,
    softplus,
    split,
    tanh,
    total,
    vector,
)

__all__ = [
    "GLA",
    "HGRN2",
    "M2RNN",
    "SPEEDS",
    "STEPS",
    "LinearTransformer",
    "Mamba2",
    "MatrixCell",
    "MatrixLSTM",
    "RetNet",
    "unit",
]


SPEEDS = initial.Chrono(17.0)
"""Of the logarithm of a decay: the decay is uniform between 1 and 16, as in Mamba-2."""

STEPS = initial.Uniform(-6.907, -2.252)
"""Of a bias before softplus: steps between 0.001 and 0.1, uniform in their logarithm, as in Mamba-2."""


class MatrixCell(Cell):
    """The base of cells whose state `S` is a matrix of keys × values for every head.

    Args:
        heads: divides `units`; every head has `units / heads` values.
        keys: rows of the matrix of a head; as many as values by default.

    Raises:
        ArgumentError: `heads` does not divide `units`.
    """

    heads: int = dataclasses.field(default=1, kw_only=True)
    keys: int | None = dataclasses.field(default=None, kw_only=True)

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("S",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("heads", _checks.whole("heads", self.heads))
        if self.units % self.heads:
            raise ArgumentError(f"heads: expected a divisor of {self.units} units, got {self.heads}")
        keys = self.units // self.heads if self.keys is None else self.keys
        self._keep("keys", _checks.whole("keys", keys))

    @property
    def rows(self) -> int:
        """Rows of the matrix of a head: `keys`."""
        return self.keys or 1

    @property
    def values(self) -> int:
        """Columns of the matrix of a head."""
        return self.units // self.heads

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × keys × values for S, heads × keys for sums of keys, and heads for single numbers."""
        shapes = {"S": (self.heads, self.rows, self.values), "n": (self.heads, self.rows)}
        return {**shapes, "m": (self.heads,), "t": (self.heads,)}.get(name, ())

    def key(self, gate: str, x: Node) -> Node:
        """Return `W_kgate x`, divided into heads × keys."""
        return split(self.linear(gate, "k", x, units=self.heads * self.rows), self.heads, self.rows)

    def value(self, gate: str, x: Node) -> Node:
        """Return `W_vgate x`, divided into heads × values."""
        return split(self.linear(gate, "v", x), self.heads, self.values)

    def of_head(self, gate: str, x: Node, *, weights: Any = None, bias: Any = None) -> Node:
        """Return one number a head, `W_ggate x + b_ggate`.

        Args:
            gate: the gate's name.
            x: the input.
            weights, bias: what they start with; None for what the layer says.
        """
        init = {"g": weights, "b": bias if self.use_bias else None}
        said = {letter: value for letter, value in init.items() if value is not None}
        return self.affine(gate, units=self.heads, bias="g", init=said, g=x)

    def of_rows(self, gate: str, x: Node) -> Node:
        """Return heads × keys numbers, `W_kgate x + b_kgate`."""
        rows = self.affine(gate, units=self.heads * self.rows, bias="k", k=x)
        return split(rows, self.heads, self.rows)

    def gated(self, y: Node, x: Node) -> Node:
        """Return the output: what was read, normalised head by head, times `silu(W_vo x)`."""
        return flat(norm(y, -1)) * silu(self.linear("o", "v", x))


def unit(a: Node) -> Node:
    """Return vectors of the last axis with length 1."""
    return a / (total(a * a, -1) + 1e-6) ** 0.5


class LinearTransformer(MatrixCell):
    """Linear transformer as a recurrent network (Katharopoulos et al. 2020).

    The plainest of the family: what was written stays. For short sequences, and to compare others with.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "n")

    def step(self, x: Node, S: Node, n: Node) -> Any:
        """`S_t = S_{t-1} + k ⊗ v`, `n_t = n_{t-1} + k`, `y = Sᵀ q / (n · q)` with `q, k = elu(·) + 1`."""
        q, k, v = elu(self.key("q", x)) + 1, elu(self.key("k", x)) + 1, self.value("v", x)
        S_t = S + outer(k, v)
        n_t = n + k
        return flat(read(S_t, q) / (total(n_t * q, -1) + 1e-6)), S_t, n_t


class RetNet(MatrixCell):
    """Retention (Sun et al. 2023): head `i` decays by `1 - 2^(-5-i)` a step.

    Queries and keys turn with the position, which the state `t` counts; xPos' growth of the numbers is left
    out. For language models with a fixed memory length in every head.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "t")

    def step(self, x: Node, S: Node, t: Node) -> Any:
        """`S_t = γ S_{t-1} + k ⊗ v`, the output normalised head by head and gated."""
        half = self.rows // 2
        q, k, v = self.key("q", x), self.rows**-0.5 * self.key("k", x), self.value("v", x)
        if half:
            speeds = split(vector(*[10000 ** (-i / half) for i in range(half)]), 1, half)
            q, k = self._turned(q, t * speeds), self._turned(k, t * speeds)
        decay = vector(*[1 - 2.0 ** (-5 - head) for head in range(self.heads)])
        S_t = decay * S + outer(k, v)
        return self.gated(read(S_t, q), x), S_t, t + 1

    def _turned(self, a: Node, angle: Node) -> Node:
        """Turn pairs of numbers, each of one half; an odd last number stays."""
        half = self.rows // 2
        one, two, rest = part(a, 0, half), part(a, half, 2 * half), self.rows - 2 * half
        turned = [one * cos(angle) - two * sin(angle), one * sin(angle) + two * cos(angle)]
        return join(*turned, *([part(a, 2 * half, 2 * half + 1)] if rest else []))


class GLA(MatrixCell):
    """Gated linear attention (Yang et al. 2024): every row decays by a gate of the input.

    Args:
        rank: width between the two matrices of the gate.
        sharpness: the gate is a sigmoid to the power of one over this, 16 in the paper.

    For language models; what is kept depends on the input.
    """

    rank: int = dataclasses.field(default=16, kw_only=True)
    sharpness: float = dataclasses.field(default=16.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rank", _checks.whole("rank", self.rank))
        self._keep("sharpness", _checks.real("sharpness", self.sharpness, above=0))

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = diag(α) S_{t-1} + k ⊗ v`."""
        q, k, v = self.key("q", x), self.rows**-0.5 * self.key("k", x), self.value("v", x)
        low = self.linear("r", "r", x, units=self.rank)
        rows = self.affine("a", units=self.heads * self.rows, bias="a", a=low)
        # σ to a power, without the logarithm of a small number.
        alpha = split(exp(softplus(-rows) * (-1 / self.sharpness)), self.heads, self.rows)
        S_t = alpha * S + outer(k, v)
        return self.gated(read(S_t, q), x), S_t


class HGRN2(MatrixCell):
    """Gated linear recurrence with a wider state (Qin et al. 2024): the key is what the forget gate leaves.

    Args:
        bound: the least that a forget gate keeps; grows from layer to layer in the paper.

    For language models, with fewer weights than gated linear attention.
    """

    bound: float = dataclasses.field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("bound", _checks.real("bound", self.bound, least=0, below=1))

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = diag(f) S_{t-1} + (1 - f) ⊗ i`."""
        q, f = silu(self.key("q", x)), self.bound + (1 - self.bound) * sigmoid(self.key("f", x))
        i = silu(self.value("i", x))
        S_t = f * S + outer(1 - f, i)
        return flat(norm(read(S_t, q), -1)), S_t


class Mamba2(MatrixCell):
    """State space duality, Mamba-2 (Dao and Gu 2024), step by step: one decay a head, keys for all heads.

    Values, keys and queries go through a short convolution over time; the state `u` holds the earlier ones.
    For language models beside attention.

    Args:
        convolution: steps that the convolution reads, 4 by default, as in the paper; 1 for none.
    """

    convolution: int = dataclasses.field(default=4, kw_only=True)

    def __post_init__(self) -> None:
        self._keep("convolution", _checks.whole("convolution", self.convolution))
        self._keep("states", ("S", "u") if self.convolution > 1 else ("S",))
        super().__post_init__()

    def state_width(self, name: str) -> int:
        """Return the width of values, keys and queries for u."""
        return self.units + 2 * self.rows if name == "u" else super().state_width(name)

    def delays(self) -> dict[str, int]:
        """What goes into the convolution is kept for some steps."""
        return {"u": self.convolution - 1} if self.convolution > 1 else {}

    def convolved(self, new: Node, *u: Node) -> Any:
        """Return the convolution over time, number by number, of what is new and of the past."""
        past = [self.delay(u[0], steps) for steps in range(1, self.convolution)] if u else []
        drawn = initial.Uniform(-(self.convolution**-0.5), self.convolution**-0.5)
        if not past:
            return new
        found: Any = self.parameter("b_u", new.width, init=drawn) if self.use_bias else 0.0
        for steps, value in enumerate([new, *past]):
            found = found + self.gain(f"c{steps}", "u", new.width, init=drawn) * value
        return found

    def step(self, x: Node, S: Node, *u: Node) -> Any:
        """`S_t = a S_{t-1} + B ⊗ (Δ v)` with `a = exp(-exp(A) Δ)`, `y = Sᵀ C + D v`."""
        keys, stop = (self.linear(g, "k", x, units=self.rows) for g in ("B", "C")), self.units + self.rows
        new = join(self.linear("v", "v", x), *keys)
        c = silu(self.convolved(new, *u))
        v = split(part(c, 0, self.units), self.heads, self.values)
        B, C = (split(part(c, at, at + self.rows), 1, self.rows) for at in (self.units, stop))
        delta = softplus(self.of_head("d", x, bias=STEPS))
        a = exp(-exp(self.gain("A", "d", self.heads, init=SPEEDS)) * delta)
        S_t = a * S + outer(B, delta * v)
        y = read(S_t, C) + self.gain("D", "d", self.heads) * v
        # One number a row, so that the gated output has mean square 1 over all units.
        y = flat(y) * silu(self.linear("o", "v", x))
        y = self.gain("o", "v") * (y / (total(y * y) * (1 / self.units) + 1e-5) ** 0.5)
        return y, S_t, *([new] if u else [])


class MatrixLSTM(MatrixCell):
    """Matrix LSTM of the xLSTM (Beck et al. 2024): exponential gates, kept in range by m.

    The gates start without weights, forget gates open. For language models and tasks that store pairs; it has
    no product with its own output, so it cannot count.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "n", "m")

    def step(self, x: Node, S: Node, n: Node, m: Node) -> Any:
        """`S_t = f S_{t-1} + i k ⊗ v`, `h = σ(o) ∘ Sᵀ q / max(|n · q|, e^-m)`."""
        q, k, v = self.key("q", x), self.rows**-0.5 * self.key("k", x), self.value("v", x)
        log_i = self.of_head("i", x, weights=0.0, bias=initial.Normal(0.0, 0.1))
        log_f = -softplus(-self.of_head("f", x, weights=0.0, bias=initial.Linspace(3.0, 6.0)))
        m_t = maximum(log_f + m, log_i)
        f, i = exp(log_f + m - m_t), exp(log_i - m_t)
        S_t = f * S + outer(i * k, v)
        n_t = f * n + i * k
        y = read(S_t, q) / (maximum(abs(total(n_t * q, -1)), exp(-m_t)) + 1e-6)
        return sigmoid(self.affine("o", bias="v", v=x)) * flat(y), S_t, n_t, m_t


class M2RNN(MatrixCell):
    """Matrix-to-matrix network (Mishra et al. 2026): the matrix of a head passes through weights and tanh.

    Not linear in its state, so it tracks states where the others cannot.
    """

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = f S_{t-1} + (1 - f) tanh(S_{t-1} W + k ⊗ v)`."""
        q, k, v = self.key("q", x), self.key("k", x), self.value("v", x)
        f = sigmoid(self.of_head("f", x))
        S_t = f * S + (1 - f) * tanh(self.blocks("S", "S", S) + outer(k, v))
        return self.gated(read(S_t, q), x), S_t
