"""Associative memories: matrices that are calibrated, solved with, in slots, or fast beside slow ones."""

import dataclasses
import math
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._matrix import MatrixCell, unit
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import (
    absolute,
    exp,
    flat,
    linear,
    log,
    maximum,
    norm,
    outer,
    read,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    split,
    tanh,
    total,
)

__all__ = ["ABC", "NRU", "SHM", "FastWeights", "MesaNet"]


class ABC(MatrixCell):
    """Attention with bounded memory: keys and values are averaged in slots (Peng et al. 2022).

    Good for recall at a small state: as gated slot attention, but what is written weighs as the input says,
    and is never forgotten.

    Args:
        slots: how many; 64 by default.
    """

    slots: int = dataclasses.field(default=64, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("S", "V", "z")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("slots", _checks.whole("slots", self.slots))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × keys × slots for S, heads × slots × values for V, heads × slots for z."""
        shapes = {"S": (self.heads, self.rows, self.slots), "V": (self.heads, self.slots, self.values)}
        return {**shapes, "z": (self.heads, self.slots)}.get(name, ())

    def initial_state(self, name: str) -> Any:
        """Return the logarithm of no weight for z."""
        return float("-inf") if name == "z" else 0.0

    def step(self, x: Node, S: Node, V: Node, z: Node) -> Any:
        """`z = log Σ exp(φ)`, and S and V are means of keys and values with weights `exp(φ)`."""
        q, k, v = self.key("q", x) * self.rows**-0.5, self.key("k", x), self.value("v", x)
        phi = split(self.linear("p", "p", x, units=self.heads * self.slots), self.heads, self.slots)
        most = maximum(z, phi)
        z_t = most + log(exp(z - most) + exp(phi - most))
        keep, share = exp(z - z_t), exp(phi - z_t)
        S_t = split(keep, self.heads, 1, self.slots) * S + outer(k, share)
        V_t = keep * V + outer(share, v)
        return flat(read(V_t, softmax(read(S_t, q), -1))), S_t, V_t, z_t


class SHM(MatrixCell):
    """Stable Hadamard memory: every number of a matrix is calibrated at every step (Le et al. 2024).

    Good for partially observed reinforcement learning: a step weakens or strengthens what it finds, by up to
    twice. As in the authors' code, keys and queries are shares that sum to 1. In training the paper draws θ
    from 128 vectors at every step; here there is one, which starts like one of those.
    """

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = (1 + tanh(c ⊗ θ)) ∘ S_{t-1} + k ⊗ η v`, `y = S_tᵀ q`."""
        q, k = (relu(self.key(gate, x)) for gate in "qk")
        q, k = q / (1e-5 + total(q, -1)), k / (1e-5 + total(k, -1))
        c, v = self.key("c", x), self.value("v", x)
        eta = sigmoid(self.linear("e", "g", x, units=self.heads))
        most = (6 / (128 + self.values)) ** 0.5
        theta = self.gain("t", "v", init=initial.Uniform(-most, most))
        S_t = (1 + tanh(outer(c, split(theta, self.heads, self.values)))) * S + outer(k, eta * v)
        return flat(read(S_t, q)), S_t


class MesaNet(MatrixCell):
    """Mesa layer: an output solves a regression on all keys and values so far (von Oswald et al. 2025).

    Good for recall and for learning in context; costs some products with a matrix at every step, since the
    regression is solved by conjugate gradients, from `q / λ` on. `λ` is at least 1/4 and starts at 1.

    Args:
        iterations: of conjugate gradients; 4 by default, 30 in flash-linear-attention's layer, whose initial
            values these are. As many as keys solve it exactly.
    """

    iterations: int = dataclasses.field(default=4, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("S", "G")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("iterations", _checks.whole("iterations", self.iterations))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × keys × keys for G."""
        return (self.heads, self.rows, self.rows) if name == "G" else super().state_shape(name)

    def step(self, x: Node, S: Node, G: Node) -> Any:
        """`G_t = γ G + β k ⊗ k`, `S_t = γ S + β k ⊗ v`, `y = S_tᵀ (G_t + Λ)⁻¹ q`."""
        q, k = unit(silu(self.key("q", x))), unit(silu(self.key("k", x)))
        gamma, beta = sigmoid(self.of_head("g", x)), sigmoid(self.of_head("b", x))
        G_t = gamma * G + outer(k, beta * k)
        S_t = gamma * S + outer(k, beta * self.value("v", x))
        free = self.gain("l", "k", self.heads * self.rows, init=math.log(math.expm1(0.75)))
        lam = 0.25 + softplus(split(free, self.heads, self.rows))
        u, r = [q / lam], [q - read(G_t, q / lam) - q]
        p = [r[0]]
        for _ in range(self.iterations):
            turned, size = read(G_t, p[-1]) + lam * p[-1], total(r[-1] * r[-1], -1)
            step = size / (total(p[-1] * turned, -1) + 1e-12)
            u.append(u[-1] + step * p[-1])
            r.append(r[-1] - step * turned)
            p.append(r[-1] + total(r[-1] * r[-1], -1) / (size + 1e-12) * p[-1])
        return flat(read(S_t, u[-1])), S_t, G_t


class FastWeights(Cell):
    """Network with fast weights: a state attends to its recent past (Ba et al. 2016).

    Good for recall over short times: a matrix of products of states decays, and pulls a new state towards
    earlier ones before it is final.

    Args:
        decay: of the fast weights, from 0 to 1; 0.95 by default.
        rate: at which they learn, positive; 0.5 by default.
        loops: how many times a new state is pulled; 1 by default.
    """

    decay: float = dataclasses.field(default=0.95, kw_only=True)
    rate: float = dataclasses.field(default=0.5, kw_only=True)
    loops: int = dataclasses.field(default=1, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "A")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("decay", _checks.real("decay", self.decay, least=0, most=1))
        self._keep("rate", _checks.real("rate", self.rate, above=0))
        self._keep("loops", _checks.whole("loops", self.loops))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return units × units for A."""
        return (1, self.units, self.units) if name == "A" else ()

    def step(self, x: Node, h: Node, A: Node) -> Any:
        """`A_t = λ A + η h ⊗ h`; then `h_t ← relu(LN(W h + C x + A_t h_t))`, some times."""
        old = split(h, 1, self.units)
        A_t = self.decay * A + self.rate * outer(old, old)
        slow = self.affine("h", x, h)
        s = [relu(slow)]
        for _ in range(self.loops):
            pulled = slow + flat(read(A_t, split(s[-1], 1, self.units)))
            s.append(relu(self.gain("h", "n") * norm(pulled) + self.parameter("b_n", init=0.0)))
        return s[-1], A_t


class NRU(Cell):
    """Non-saturating unit: a memory that is added to and subtracted from (Chandar et al. 2019).

    Good for long lags: without gates, nothing saturates, so gradients neither fade nor explode soon. What is
    written are pieces of the product of two vectors, each scaled to length 1 in the norm of the fifth powers,
    and of these the mean, as in the authors' code.

    Args:
        side: the memory has side × side numbers; 8 by default.
        writes: how many pieces are added, and as many subtracted, a square number; 4 by default.
        positive: whether weights and pieces are cut off below 0; not by default.
    """

    side: int = dataclasses.field(default=8, kw_only=True)
    writes: int = dataclasses.field(default=4, kw_only=True)
    positive: bool = dataclasses.field(default=False, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "m")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("side", _checks.whole("side", self.side))
        self._keep("writes", _checks.whole("writes", self.writes))
        if math.isqrt(self.writes) ** 2 != self.writes:
            raise ArgumentError(f"writes: expected a square number such as 1, 4 or 9, got {self.writes}")

    def state_width(self, name: str) -> int:
        """Return side × side for m."""
        return self.side**2 if name == "m" else self.units

    def change(self, gate: str, h: Node, m: Node) -> Node:
        """Return the mean of the pieces, each with a weight."""
        n, width = self.writes, self.side * math.isqrt(self.writes)
        cut = relu if self.positive else linear
        weights = cut(self.affine(gate, h=h, m=m, units=n, bias="w"))
        one, two = (self.affine(f"{gate}{k}", h=h, m=m, units=width, bias="v") for k in "ab")
        both = cut(split(flat(outer(split(one, 1, width), split(two, 1, width))), n, self.side**2))
        length = (total(absolute(both) ** 5, -1) + 1e-12) ** 0.2
        return flat(total(weights / length * both, 0)) / n

    def step(self, x: Node, h: Node, m: Node) -> Any:
        """The state reads the memory; then it says what is added to it, and what is taken away."""
        h_t = relu(self.affine("h", x, h, m=m))
        return h_t, m + self.change("p", h_t, m) - self.change("e", h_t, m)
