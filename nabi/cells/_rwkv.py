"""The cells of RWKV with matrix states; the mix with the previous input is a layer in front of them."""

import dataclasses
from typing import Any

from nabi import _checks
from nabi.cells._matrix import MatrixCell, unit
from nabi.ir import Node, initial
from nabi.ir.functions import exp, flat, norm, outer, read, sigmoid, silu, split, tanh, total

__all__ = ["RWKV5", "RWKV6", "RWKV7"]


SPREAD = initial.Linspace(-6.0, -1.0)
"""Of the logarithm of a decay: rows that keep 0.998 a step to rows that keep 0.69."""


class RWKV5(MatrixCell):
    """RWKV-5, Eagle (Peng et al. 2024, equations 5 and 6): rows decay at learned speeds.

    The product of a step counts in its own output by a learned share `u`.

    For language models that run on processors.
    """

    def weight(self, gate: str, letter: str, init: Any = None) -> Node:
        """Return learned numbers of heads × keys, which start with `init`, or one."""
        return split(self.gain(gate, letter, self.heads * self.rows, init=init), self.heads, self.rows)

    def decay(self, x: Node) -> Node:
        """Return what every row keeps: `exp(-exp(w))`."""
        return exp(-exp(self.weight("w", "k", SPREAD)))

    def step(self, x: Node, S: Node) -> Any:
        """`y = (S_{t-1} + (u ∘ k) ⊗ v)ᵀ r`, `S_t = diag(w) S_{t-1} + k ⊗ v`."""
        r, k, v = self.key("r", x), self.key("k", x), self.value("v", x)
        w = self.decay(x)
        y = read(S, r) + total(r * self.weight("u", "k") * k, -1) * v
        S_t = w * S + outer(k, v)
        return self.gated(y, x), S_t


class RWKV6(RWKV5):
    """RWKV-6, Finch (Peng et al. 2024, equation 18): as RWKV-5, with speeds that the input changes.

    Args:
        rank: width between the two matrices of the speeds.
    """

    rank: int = dataclasses.field(default=16, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rank", _checks.whole("rank", self.rank))

    def decay(self, x: Node) -> Node:
        """Return what every row keeps: `exp(-exp(w + B tanh(A x)))`."""
        low = tanh(self.linear("r", "r", x, units=self.rank))
        speed = split(self.linear("w", "a", low, units=self.heads * self.rows), self.heads, self.rows)
        return exp(-exp(self.weight("w", "k", SPREAD) + speed))


class RWKV7(RWKV5):
    """RWKV-7, Goose (Peng et al. 2025, equations 15 to 19): rows decay, and what a key reads is removed.

    For language models; it tracks states that RWKV-6 cannot.
    """

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = diag(w) S - (a ∘ κ) ⊗ (Sᵀ κ) + k ⊗ v`, `y = S_tᵀ r + (r · (ρ ∘ k)) v`."""
        r, k, v = self.key("r", x), self.key("k", x), self.value("v", x)
        w, a = exp(-0.6065306597 * sigmoid(self.of_rows("w", x))), sigmoid(self.of_rows("a", x))
        kappa = unit(k * self.weight("x", "k"))
        k_t = k * (1 + (a - 1) * self.weight("a", "k"))
        S_t = w * S - outer(a * kappa, read(S, kappa)) + outer(k_t, v)
        y = flat(norm(read(S_t, r), -1)) + flat(total(r * self.weight("r", "k") * k_t, -1) * v)
        return y * silu(self.linear("o", "v", x)), S_t
