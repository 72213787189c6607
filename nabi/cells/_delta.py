"""Cells that correct what a matrix state holds under a key, instead of adding to it: the delta rule."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._matrix import SPEEDS, STEPS, MatrixCell, unit
from nabi.ir import Node, initial
from nabi.ir.functions import exp, flat, maximum, outer, read, sigmoid, silu, softmax, softplus, split, tanh

__all__ = [
    "KDA",
    "Comba",
    "DeltaNet",
    "GatedDeltaNet",
    "GatedDeltaNet2",
    "MomentumDeltaNet",
    "RecurrentDeltaNet",
]


class DeltaNet(MatrixCell):
    """Delta rule (Schlag et al. 2021; Yang et al. 2024): a step moves what a key reads towards a new value.

    Args:
        negative: whether the step may be up to 2, so that what lies under a key can change its sign
            (Grazzi et al. 2024); lets the cell track parity.

    For recall, and for memory that is written over.
    """

    negative: bool = dataclasses.field(default=False, kw_only=True)

    def decayed(self, S: Node, x: Node) -> Node:
        """Return what is kept of the state; all of it."""
        return S

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = T + β k ⊗ (v - Tᵀ k)`, where `T` is what is kept of the state."""
        q, k = (unit(silu(self.key(gate, x))) for gate in ("q", "k"))
        v, beta = silu(self.value("v", x)), sigmoid(self.of_head("b", x)) * (2 if self.negative else 1)
        T = self.decayed(S, x)
        S_t = T + outer(k, beta * (v - read(T, k)))
        return flat(read(S_t, q)) * self.rows**-0.5, S_t


class GatedDeltaNet(DeltaNet):
    """Gated delta rule (Yang, Kautz and Hatamizadeh 2025): the matrix of a head decays first.

    For language models beside attention, where recall and forgetting both matter.
    """

    def decayed(self, S: Node, x: Node) -> Node:
        """`α S` with `α = exp(-exp(A) softplus(W x + b))`, one number a head."""
        speed = exp(self.gain("A", "d", self.heads, init=SPEEDS))
        alpha = exp(-speed * softplus(self.of_head("a", x, bias=STEPS)))
        return alpha * S


class KDA(DeltaNet):
    """Kimi delta attention (Kimi Team 2025): the gated delta rule with a decay of every row.

    Args:
        rank: width between the two matrices of the decay.

    For language models beside attention.
    """

    rank: int = dataclasses.field(default=16, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rank", _checks.whole("rank", self.rank))

    def decayed(self, S: Node, x: Node) -> Node:
        """`diag(α) S` with `α = exp(-exp(A) softplus(W₂ W₁ x + b))`."""
        low = self.linear("r", "r", x, units=self.rank)
        init = {"b": STEPS} if self.use_bias else None
        rows = self.affine("a", units=self.heads * self.rows, bias="a", init=init, a=low)
        speed = softplus(split(rows, self.heads, self.rows))
        return exp(-exp(self.gain("A", "d", self.heads, init=SPEEDS)) * speed) * S


class GatedDeltaNet2(KDA):
    """Gated delta rule with separate gates for erasing and for writing (2026, arXiv 2605.22791).

    For language models beside attention. A step erases, row by row, what lies under a key, and writes, number
    by number, a new value. Where both gates are one number a head, this is Kimi delta attention.
    """

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = T + k ⊗ (w ∘ v - Tᵀ (b ∘ k))`, where `T` is what is kept of the state."""
        q, k = (unit(silu(self.key(gate, x))) for gate in ("q", "k"))
        v, w = silu(self.value("v", x)), sigmoid(self.value("w", x))
        b = sigmoid(self.key("b", x)) * (2 if self.negative else 1)
        T = self.decayed(S, x)
        S_t = T + outer(k, w * v - read(T, b * k))
        return flat(read(S_t, q)) * self.rows**-0.5, S_t


class Comba(GatedDeltaNet):
    """Comba: a delta rule with feedback from the state and from the output (2025, arXiv 2506.02475).

    For language models beside attention. What a key reads comes back with a factor of its own, and before the
    matrix decays; a query is corrected by the key, which reads the newest value less.

    Args:
        correction: D, which the key is multiplied with in the query at the start; 1 by default; for
            small models, flash-linear-attention's layer advises to try 0.02 as well.
    """

    correction: float = dataclasses.field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("correction", _checks.real("correction", self.correction, least=0))

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = α S + β k ⊗ (v - Sᵀ p)` and `y = S_tᵀ (q - D p)` with `p = sigmoid(d) k`."""
        q, k, v = silu(self.key("q", x)), silu(self.key("k", x)), silu(self.value("v", x))
        d = sigmoid(self.gain("p", "d", self.heads))
        q = unit(q - self.gain("D", "d", self.heads, init=self.correction) * d * k)
        k = unit(k)
        beta = sigmoid(self.linear("b", "g", x, units=self.heads)) * (2 if self.negative else 1)
        S_t = self.decayed(S, x) + outer(k, beta * (v - read(S, d * k)))
        return flat(read(S_t, q)) * self.rows**-0.5, S_t


class MomentumDeltaNet(MatrixCell):
    """Delta rule with momentum (2026, arXiv 2605.05838): a second matrix adds up the corrections.

    For language models beside attention: as in gradient descent with momentum, corrections that agree grow.
    How much a step corrects and how much it forgets are tied, `β ≤ z² / (1 + z²)` and `α ≤ 1 / (1 + z²)`.
    Equations and ranges of initial values are those of flash-linear-attention's layer.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "M")

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × keys × values for the memory and its momentum."""
        return super().state_shape("S") if name == "M" else super().state_shape(name)

    def rate(self, gate: str, x: Node) -> Node:
        """Return `exp(A) softplus(W x + b)`, one number a head: how fast something fades."""
        speed = exp(self.gain(gate, "s", self.heads, init=SPEEDS))
        return speed * softplus(self.of_head(gate, x, bias=STEPS))

    def step(self, x: Node, S: Node, M: Node) -> Any:
        """`M_t = μ M + η k ⊗ (α Sᵀ k - v)`, `S_t = α S - β M_t`, `y = S_tᵀ (q - D k)`."""
        q, k, v = silu(self.key("q", x)), silu(self.key("k", x)), silu(self.value("v", x))
        q = unit(q - self.gain("D", "d", self.heads, init=initial.Uniform(0.0, 1.0)) * k)
        k = unit(k)
        mu = exp(maximum(-self.rate("m", x), -2.0))
        eta = 1 + tanh(self.linear("e", "g", x, units=self.heads) * (x.width or 1) ** -0.5)
        z = eta * self.gain("f", "d", self.heads, init=initial.Uniform(0.0, 4.0))
        beta = z * z / (1 + z * z) * sigmoid(self.linear("b", "g", x, units=self.heads))
        alpha = exp(-self.rate("a", x)) / (1 + z * z)
        M_t = mu * M + outer(eta * k, alpha * read(S, k) - v)
        S_t = alpha * S - beta * M_t
        return flat(read(S_t, q)) * self.rows**-0.5, S_t, M_t


class RecurrentDeltaNet(MatrixCell):
    """Recurrent delta network: keys, values and queries read the last output (Irie et al. 2021).

    For algorithms and small language models: a delta rule that is nonlinear in time, so that it can count and
    follow states, at the cost of products in the loop, one block of weights a head.
    """

    output: ClassVar[str] = ""
    states: ClassVar[tuple[str, ...]] = ("h", "S")

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × values for the output."""
        return (self.heads, self.values) if name == "h" else super().state_shape(name)

    def step(self, x: Node, h: Node, S: Node) -> Any:
        """`S_t = S_{t-1} + β k ⊗ (v - S_{t-1}ᵀ k)`, `h_t = S_tᵀ q`; q, k, v and β read x and tanh(h)."""
        old = tanh(h)
        q, k = (softmax(self.key(one, x) + self.blocks(one, "h", old, self.rows), -1) for one in "qk")
        v = self.value("v", x) + self.blocks("v", "h", old)
        beta = sigmoid(self.linear("b", "g", x, units=self.heads) + flat(self.blocks("b", "h", old, 1)))
        S_t = S + outer(k, beta * (v - read(S, k)))
        return read(S_t, q), S_t
