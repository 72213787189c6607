"""Cells that correct what a matrix state holds under a key, instead of adding to it: the delta rule."""

import dataclasses
from typing import Any

from nabi import _checks
from nabi.cells._matrix import SPEEDS, STEPS, MatrixCell, unit
from nabi.ir import Node
from nabi.ir.functions import exp, flat, outer, read, sigmoid, silu, softplus, split

__all__ = ["KDA", "DeltaNet", "GatedDeltaNet"]


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
