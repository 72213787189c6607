"""Matrix states as learners and as slots: more than one write a step, steps of a gradient, other reads."""

import dataclasses
from math import pi
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._matrix import MatrixCell, unit
from nabi.ir import Node
from nabi.ir.functions import (
    cos,
    exp,
    flat,
    norm,
    outer,
    read,
    sigmoid,
    silu,
    sin,
    softmax,
    softplus,
    split,
    total,
)

__all__ = ["FFM", "GSA", "TTT", "DeltaProduct", "GateLoop", "Titans"]


class DeltaProduct(MatrixCell):
    """Several steps of the delta rule for every input (Siems et al. 2025).

    Good for tracking states that one step of the delta rule cannot, such as permutations: a step of the cell
    multiplies its matrix by a product of `writes` reflections.

    Args:
        writes: how many keys and values an input is read as; 2 by default.
    """

    writes: int = dataclasses.field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("writes", _checks.whole("writes", self.writes))

    def step(self, x: Node, S: Node) -> Any:
        """`S ← S + β k ⊗ (v - Sᵀ k)` for every key and value, β being between 0 and 2."""
        q, s = unit(silu(self.key("q", x))), [S]
        for write in range(1, self.writes + 1):
            k, v = unit(silu(self.key(f"k{write}", x))), silu(self.value(f"v{write}", x))
            beta = 2 * sigmoid(self.of_head(f"b{write}", x))
            s.append(s[-1] + outer(k, beta * (v - read(s[-1], k))))
        return flat(read(s[-1], q)) * self.rows**-0.5, s[-1]


class GSA(MatrixCell):
    """Gated slot attention: attention over a few slots, which forget (Zhang et al. 2024).

    Good for recall at a small state: keys and values are kept in slots, and read by a softmax over them.

    Args:
        slots: how many; 64 by default.
        sharpness: the gate is a sigmoid to the power of one over this, 8 in the paper.
    """

    slots: int = dataclasses.field(default=64, kw_only=True)
    sharpness: float = dataclasses.field(default=8.0, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("S", "V")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("slots", _checks.whole("slots", self.slots))
        self._keep("sharpness", _checks.real("sharpness", self.sharpness, above=0))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × keys × slots for the keys S, heads × slots × values for the values V."""
        shapes = {"S": (self.heads, self.rows, self.slots), "V": (self.heads, self.slots, self.values)}
        return shapes.get(name, ())

    def step(self, x: Node, S: Node, V: Node) -> Any:
        """`S_t = S_{t-1} diag(α) + k ⊗ (1 - α)`, `V_t = diag(α) V_{t-1} + (1 - α) ⊗ v`; read by a softmax."""
        q, k = silu(self.key("q", x)) * self.rows**-0.5, silu(self.key("k", x))
        v = silu(self.value("v", x))
        gates = self.affine("a", units=self.heads * self.slots, bias="a", a=x)
        alpha = split(exp(softplus(-gates) * (-1 / self.sharpness)), self.heads, self.slots)
        S_t = split(alpha, self.heads, 1, self.slots) * S + outer(k, 1 - alpha)
        V_t = alpha * V + outer(1 - alpha, v)
        return flat(read(V_t, softmax(read(S_t, q), -1))), S_t, V_t


class Titans(MatrixCell):
    """Neural memory of Titans, a matrix (Behrouz, Zhong and Mirrokni 2025).

    Good for long contexts: a step of gradient descent with momentum stores a value under a key, and a gate
    forgets. What surprises, that is, what is far from what the key reads, is stored most.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "M")

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × keys × values for the memory and its momentum."""
        return super().state_shape("S") if name == "M" else super().state_shape(name)

    def step(self, x: Node, S: Node, M: Node) -> Any:
        """`M_t = η M_{t-1} - θ k ⊗ (Sᵀ k - v)`, `S_t = (1 - α) S_{t-1} + M_t`."""
        q, k, v = unit(silu(self.key("q", x))), unit(silu(self.key("k", x))), silu(self.value("v", x))
        eta, theta, alpha = (sigmoid(self.of_head(gate, x)) for gate in ("e", "l", "a"))
        M_t = eta * M - outer(k, theta * (read(S, k) - v))
        S_t = (1 - alpha) * S + M_t
        return flat(read(S_t, q)), S_t, M_t


class TTT(MatrixCell):
    """Test-time training with a linear model, TTT-Linear, one step at a time (Sun et al. 2024).

    Good for long contexts: the state is a model that learns from the sequence. A step is one of gradient
    descent on half the squared error of `k + LN(Sᵀ k + n)` as a guess of v, where LN has weights of its own.

    Args:
        rate: what the learned rate of the descent is multiplied by; 1 by default, as in the paper.
    """

    rate: float = dataclasses.field(default=1.0, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("S", "n")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rate", _checks.real("rate", self.rate, above=0))
        self._keep("keys", _checks.whole("keys", self.rows, self.values, self.values))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × values × values for the model's matrix, heads × values for its bias."""
        return (self.heads, self.values) if name == "n" else super().state_shape(name)

    def scale(self) -> Node:
        """Return the gains of LN."""
        return split(self.gain("n", "v"), self.heads, self.values)

    def shift(self) -> Node:
        """Return the biases of LN."""
        return split(self.parameter("b_vn", init=0.0), self.heads, self.values)

    def step(self, x: Node, S: Node, n: Node) -> Any:
        """`S_t = S_{t-1} - η k ⊗ g`, `n_t = n_{t-1} - η g` with the gradient g of what goes into LN."""
        q, k, v = self.key("q", x), self.key("k", x), self.value("v", x)
        eta = sigmoid(self.of_head("e", x)) * (self.rate / self.values)
        z = read(S, k) + n
        centred = z - total(z, -1) * (1 / self.values)
        size = (total(centred * centred, -1) * (1 / self.values) + 1e-5) ** 0.5
        hat = centred / size
        # The derivative of the normalisation, from that of its result.
        d = self.scale() * (self.scale() * hat + self.shift() + k - v)
        means = total(d, -1) * (1 / self.values), total(d * hat, -1) * (1 / self.values)
        g = (d - means[0] - hat * means[1]) / size
        S_t = S - outer(k, eta * g)
        n_t = n - eta * g
        return flat(q + self.scale() * norm(read(S_t, q) + n_t, -1) + self.shift()), S_t, n_t


class GateLoop(MatrixCell):
    """GateLoop: linear attention whose rows decay and turn as the input says (Katsch 2023).

    Good for language models; decay and angle are a complex gate.
    """

    states: ClassVar[tuple[str, ...]] = ("S", "I")

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return heads × keys × values for the real part S and the imaginary part I."""
        return super().state_shape("S") if name == "I" else super().state_shape(name)

    def step(self, x: Node, S: Node, I: Node) -> Any:  # noqa: E741
        """`S_t = a S_{t-1} + k ⊗ v` with `a = σ(α) e^{iβ}`; the output reads the real part, gated."""
        q, k, v = self.key("q", x), self.key("k", x), self.value("v", x)
        size, angle = sigmoid(self.of_rows("a", x)), self.of_rows("b", x)
        real, imaginary = size * cos(angle), size * sin(angle)
        S_t = real * S - imaginary * I + outer(k, v)
        I_t = imaginary * S + real * I
        return self.gated(read(S_t, q), x), S_t, I_t


class FFM(MatrixCell):
    """Fast and forgetful memory (Morad, Kortvelesy, Liwicki and Prorok 2023).

    Good for partially observed reinforcement learning: traces of the input decay and turn at rates of their
    own, decays and frequencies of all pairs.

    Args:
        memory: how many traces, each with a decay; 32 by default.
        context: how many frequencies; 4 by default.
        horizon: a trace is forgotten, to 0.01 of itself, after 1 to so many steps at the start; 1024 by
            default. Frequencies start with periods of 1 to so many steps.
    """

    memory: int = dataclasses.field(default=32, kw_only=True)
    context: int = dataclasses.field(default=4, kw_only=True)
    horizon: float = dataclasses.field(default=1024.0, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("re", "im")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("memory", "context"):
            self._keep(name, _checks.whole(name, getattr(self, name)))
        self._keep("horizon", _checks.real("horizon", self.horizon, least=1))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return 1 × frequencies × traces for both parts."""
        return (1, self.context, self.memory) if name in self.states else ()

    def spread(self, count: int) -> list[float]:
        """Return evenly spaced numbers of steps, from 1 to the horizon."""
        return [1 + (self.horizon - 1) * one / max(count - 1, 1) for one in range(count)]

    def step(self, x: Node, re: Node, im: Node) -> Any:
        """`S_t = e^{-|α|} e^{iω} S_{t-1} + u`, then a normalised layer on both parts, and a gate."""
        decays = tuple(4.60517 / steps for steps in self.spread(self.memory))
        turns = tuple(2 * pi / steps for steps in self.spread(self.context))
        a = split(exp(-abs(self.parameter("alpha", self.memory, init=decays))), 1, 1, self.memory)
        omega = self.parameter("omega", self.context, init=turns)
        cosine, sine = (split(part, 1, self.context, 1) for part in (cos(omega), sin(omega)))
        gate = sigmoid(self.affine("i", units=self.memory, bias="m", m=x))
        u = split(self.affine("u", units=self.memory, bias="m", m=x) * gate, 1, 1, self.memory)
        re_t = a * (cosine * re - sine * im) + u
        im_t = a * (sine * re + cosine * im)
        z = norm(self.affine("z", r=flat(re_t), i=flat(im_t)))
        o = sigmoid(self.affine("o", x))
        return o * z + (1 - o) * self.affine("s", x), re_t, im_t
