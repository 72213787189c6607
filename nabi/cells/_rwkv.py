"""The cells of RWKV with matrix states, with the mix of input and previous input or without it."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._matrix import MatrixCell, unit
from nabi.ir import Node, initial
from nabi.ir.functions import exp, flat, norm, outer, read, sigmoid, silu, split, tanh, total

__all__ = ["RWKV5", "RWKV6", "RWKV7"]


SPREAD = initial.Linspace(-6.0, -1.0)
"""Of the logarithm of a decay: rows that keep 0.998 a step to rows that keep 0.69."""


class RWKV5(MatrixCell):
    """RWKV-5, Eagle (Peng et al. 2024): rows decay at learned speeds.

    The product of a step counts in its own output by a learned share `u`. Its channel mixing, a layer without
    a state, stands behind it. For language models that run on processors.

    Args:
        token_shift: whether keys, values and the rest read a mix of the input and the one before it, as
            in the paper, whose shares start as in the authors' first layer; False by default, for inputs that
            a layer in front mixes.
    """

    token_shift: bool = dataclasses.field(default=False, kw_only=True)

    mixes: ClassVar[dict[str, float]] = {"r": 0.5, "k": 1.0, "v": 1.0, "g": 0.5}
    """Powers of a feature's place in the input: what its own share in a mix starts with."""

    def shares(self, gate: str, x: Node) -> Node:
        """Return the learned shares of the input before in a mix."""
        width = x.width or 1
        start = tuple(1 - (place / width) ** self.mixes[gate] for place in range(width))
        return self.parameter(f"mu_{gate}", width, init=start)

    def mixed(self, gate: str, x: Node) -> Node:
        """Return the mix of the input and the one before it that a gate reads."""
        return x + (self.previous(x) - x) * self.shares(gate, x) if self.token_shift else x

    def weight(self, gate: str, letter: str, init: Any = None) -> Node:
        """Return learned numbers of heads × keys, which start with `init`, or one."""
        return split(self.gain(gate, letter, self.heads * self.rows, init=init), self.heads, self.rows)

    def decay(self, x: Node) -> Node:
        """Return what every row keeps: `exp(-exp(w))`."""
        return exp(-exp(self.weight("w", "k", SPREAD)))

    def step(self, x: Node, S: Node) -> Any:
        """`y = (S_{t-1} + (u ∘ k) ⊗ v)ᵀ r`, `S_t = diag(w) S_{t-1} + k ⊗ v`."""
        r, k, v = (self.mixed(gate, x) for gate in "rkv")
        r, k, v = self.key("r", r), self.key("k", k), self.value("v", v)
        w = self.decay(x)
        y = read(S, r) + total(r * self.weight("u", "k") * k, -1) * v
        S_t = w * S + outer(k, v)
        return self.gated(y, self.mixed("g", x)), S_t


class RWKV6(RWKV5):
    """RWKV-6, Finch (Peng et al. 2024): as RWKV-5, with speeds that the input changes.

    Args:
        token_shift: as for RWKV-5; here the shares in a mix depend on a mix themselves.
        rank: width between the two matrices of the speeds, and of the shares.
    """

    mixes: ClassVar[dict[str, float]] = {"x": 1.0, "w": 1.0, **RWKV5.mixes}

    rank: int = dataclasses.field(default=16, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rank", _checks.whole("rank", self.rank))

    def mixed(self, gate: str, x: Node) -> Node:
        """Return the mix that a gate reads: its shares are `mu + B tanh(A m)`, m being another mix."""
        if not self.token_shift:
            return x
        change = self.previous(x) - x
        low = tanh(self.linear(gate, "m", x + change * self.shares("x", x), units=self.rank, init=0.0))
        drawn = initial.Uniform(-0.01, 0.01)
        return x + change * (self.shares(gate, x) + self.linear(gate, "n", low, units=x.width, init=drawn))

    def decay(self, x: Node) -> Node:
        """Return what every row keeps: `exp(-exp(w + B tanh(A x)))`."""
        low = tanh(self.linear("r", "r", self.mixed("w", x), units=self.rank))
        speed = split(self.linear("w", "a", low, units=self.heads * self.rows), self.heads, self.rows)
        return exp(-exp(self.weight("w", "k", SPREAD) + speed))


class RWKV7(RWKV5):
    """RWKV-7, Goose (Peng et al. 2025): rows decay, and what a key reads is removed.

    For language models; it tracks states that RWKV-6 cannot.

    Args:
        token_shift: as for RWKV-5.
    """

    mixes: ClassVar[dict[str, float]] = {"r": 0.2, "w": 0.9, "k": 0.7, "v": 0.7, "a": 0.9, "g": 0.2}

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = diag(w) S - (a ∘ κ) ⊗ (Sᵀ κ) + k ⊗ v`, `y = S_tᵀ r + (r · (ρ ∘ k)) v`."""
        r, w, k, v, a = (self.mixed(gate, x) for gate in "rwkva")
        r, k, v = self.key("r", r), self.key("k", k), self.value("v", v)
        w, a = exp(-0.6065306597 * sigmoid(self.of_rows("w", w))), sigmoid(self.of_rows("a", a))
        kappa = unit(k * self.weight("x", "k"))
        k_t = k * (1 + (a - 1) * self.weight("a", "k"))
        S_t = w * S - outer(a * kappa, read(S, kappa)) + outer(k_t, v)
        y = flat(norm(read(S_t, r), -1)) + flat(total(r * self.weight("r", "k") * k_t, -1) * v)
        return y * silu(self.linear("o", "v", self.mixed("g", x))), S_t
