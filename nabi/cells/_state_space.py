"""State space models in the form of a step: every channel has a small linear system of its own."""

import dataclasses
from functools import lru_cache
from math import log, pi
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._matrix import STEPS, MatrixCell
from nabi.cells._width import as_wide
from nabi.errors import ArgumentError
from nabi.ir import Node, initial
from nabi.ir.functions import (
    cos,
    exp,
    flat,
    join,
    outer,
    part,
    read,
    sigmoid,
    silu,
    sin,
    softplus,
    split,
    total,
)

__all__ = ["DSS", "S4D", "Longhorn", "Mamba", "Mamba3"]


class S4D(MatrixCell):
    """Diagonal state space model, S4D, in its step form (Gu, Gupta, Goel and Ré 2022).

    Good for long range and audio; a nonlinear layer belongs behind it. Every channel is a complex system of
    its own: `keys` modes, which stand for themselves and their conjugates, with eigenvalues that start at
    `-1/2 + iπn` (S4D-Lin) and a time step that starts log-uniformly. An input of another width than the units
    is multiplied by a matrix first.

    Args:
        keys: modes of a channel; as many as units by default, 32 in the paper.
        smallest_step, largest_step: of the time steps at the start, positive; 0.001 and 0.1 by default.
    """

    smallest_step: float = dataclasses.field(default=0.001, kw_only=True)
    largest_step: float = dataclasses.field(default=0.1, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("re", "im")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("heads", _checks.whole("heads", self.heads, 1, 1))
        self._keep("smallest_step", _checks.real("smallest_step", self.smallest_step, above=0))
        least = self.smallest_step
        self._keep("largest_step", _checks.real("largest_step", self.largest_step, least=least))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return 1 × modes × channels for both parts."""
        return (1, self.rows, self.units) if name in self.states else ()

    def modes(self, name: str, init: Any) -> Node:
        """Return learned numbers, one for each mode of each channel."""
        return split(self.parameter(name, self.rows * self.units, init=init), 1, self.rows, self.units)

    def step(self, x: Node, re: Node, im: Node) -> Any:
        """`s_t = e^{ΔA} s_{t-1} + (e^{ΔA} - 1) / A x_t`; the output is `2 Re(C s_t) + D x_t`."""
        frequencies = tuple(pi * mode for mode in range(self.rows) for _ in range(self.units))
        steps = initial.Uniform(log(self.smallest_step), log(self.largest_step))
        delta = split(exp(self.parameter("log_step", init=steps)), 1, 1, self.units)
        decay, angle = -exp(self.modes("log_A", log(0.5))) * delta, self.modes("A_im", frequencies) * delta
        bar_re, bar_im = exp(decay) * cos(angle), exp(decay) * sin(angle)
        # (e^{ΔA} - 1) / A, multiplied by the conjugate of ΔA above and below.
        size = decay**2 + angle**2
        in_re = delta * ((bar_re - 1) * decay + bar_im * angle) / size
        in_im = delta * (bar_im * decay - (bar_re - 1) * angle) / size
        u = as_wide(self, "s", x)
        re_t = bar_re * re - bar_im * im + in_re * split(u, 1, 1, self.units)
        im_t = bar_im * re + bar_re * im + in_im * split(u, 1, 1, self.units)
        start = initial.Normal(0, 0.5**0.5)
        y = 2 * total(self.modes("C_re", start) * re_t - self.modes("C_im", start) * im_t, 1)
        return flat(y) + self.diagonal("y", "x", u, init=initial.Normal()), re_t, im_t


class DSS(S4D):
    """Diagonal state spaces, in their step form (Gupta, Gu and Berant 2022).

    Good for long range; a nonlinear layer belongs behind it. Eigenvalues are shared by all channels, which
    differ in their time steps and in what they read. The real parts start at -1/2 and stay negative, the
    imaginary ones start at those of the antisymmetric part of HiPPO's matrix. An input of another width than
    the units is multiplied by a matrix first.

    Args:
        keys: modes of a channel; as many as units by default, 64 in the paper.
        length: steps of a sequence, over which the exponentials of a mode are normalised to a sum of 1, the
            paper's softmax; None, the default, for the exponentials themselves, its DSS-EXP. A longer
            sequence goes on with the same weights.
        smallest_step, largest_step: of the time steps at the start, positive; 0.001 and 0.1 by default.
    """

    length: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length is not None:
            self._keep("length", _checks.whole("length", self.length, otherwise=" or None"))

    def step(self, x: Node, re: Node, im: Node) -> Any:
        """`s_t = e^{ΔΛ} s_{t-1} + x_t`; the output is `Re(W (e^{ΔΛ} - 1) / Λ s_t) + D x_t`."""
        steps = initial.Uniform(log(self.smallest_step), log(self.largest_step))
        delta = exp(split(self.parameter("log_step", init=steps), 1, 1, self.units))
        decay = -exp(split(self.parameter("log_A", self.rows, init=log(0.5)), 1, self.rows, 1)) * delta
        angle = split(self.parameter("A_im", self.rows, init=_hippo(self.rows)), 1, self.rows, 1) * delta
        bar_re, bar_im = exp(decay) * cos(angle), exp(decay) * sin(angle)
        # (e^{ΔΛ} - 1) / Λ, multiplied by the conjugate of ΔΛ above and below.
        size = decay**2 + angle**2
        in_re = delta * ((bar_re - 1) * decay + bar_im * angle) / size
        in_im = delta * (bar_im * decay - (bar_re - 1) * angle) / size
        if self.length is not None:
            far = exp(self.length * decay)
            sum_re, sum_im = far * cos(self.length * angle) - 1, far * sin(self.length * angle)
            least = sum_re**2 + sum_im**2 + 1e-12
            in_re, in_im = (
                (in_re * sum_re + in_im * sum_im) / least,
                (in_im * sum_re - in_re * sum_im) / least,
            )
        u = as_wide(self, "s", x)
        re_t = bar_re * re - bar_im * im + split(u, 1, 1, self.units)
        im_t = bar_im * re + bar_re * im
        W = {part: self.modes(f"W_{part}", initial.Normal()) for part in ("re", "im")}
        out_re, out_im = W["re"] * in_re - W["im"] * in_im, W["re"] * in_im + W["im"] * in_re
        y = total(out_re * re_t - out_im * im_t, 1)
        return flat(y) + self.diagonal("y", "x", u, init=initial.Normal()), re_t, im_t


@lru_cache(maxsize=16)
def _hippo(modes: int) -> initial.Values:
    """Return the positive eigenvalues, over i, of the antisymmetric part of HiPPO's matrix, largest first."""
    import torch

    weights = (2 * torch.arange(2 * modes, dtype=torch.float64) + 1).sqrt()
    below = torch.outer(weights, weights).tril(-1) / 2
    values = torch.linalg.eigvalsh(torch.complex(torch.zeros_like(below), below.T - below))
    return initial.Values(values.flip(0)[:modes].tolist())


class Mamba(MatrixCell):
    """Selective state space model, S6 of Mamba (Gu and Dao 2023), step by step.

    Good for language, genomes and audio: what a channel keeps depends on the input. Of Mamba's block it has
    everything but the last matrix.

    Args:
        keys: numbers that a channel keeps; 16 by default.
        convolution: steps that the short convolution in front reads, 4 by default, as in the paper; 1 for
            none.
        rank: width between the two matrices of the time steps; 1/16 of the units by default, as in the paper.
    """

    keys: int | None = dataclasses.field(default=16, kw_only=True)
    convolution: int = dataclasses.field(default=4, kw_only=True)
    rank: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("heads", _checks.whole("heads", self.heads, 1, 1))
        self._keep("convolution", _checks.whole("convolution", self.convolution))
        if self.rank is not None:
            self._keep("rank", _checks.whole("rank", self.rank, otherwise=" or None"))

    def convolved(self, x: Node) -> Any:
        """Return the convolution over time of the channels, each by itself."""
        if self.convolution == 1:
            return self.linear("u", "v", x)
        drawn = initial.Uniform(-(self.convolution**-0.5), self.convolution**-0.5)
        found: Any = self.parameter("b_u", init=drawn) if self.use_bias else 0.0
        for steps in range(self.convolution):
            x = self.previous(x) if steps else x
            found = found + self.gain(f"c{steps}", "u", init=drawn) * self.linear("u", "v", x)
        return found

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = exp(Δ A) ∘ S_{t-1} + B ⊗ (Δ u)`, `y = (Sᵀ C + D u) silu(z)`."""
        u = silu(self.convolved(x))
        low = self.linear("r", "r", u, units=self.rank or -(-self.units // 16))
        delta = softplus(self.affine("d", bias="d", init={"b": STEPS} if self.use_bias else None, d=low))
        B, C = (split(self.linear(gate, "k", u, units=self.rows), 1, self.rows) for gate in ("B", "C"))
        speeds = tuple(log(row + 1) for row in range(self.rows) for _ in range(self.units))
        A = split(
            -exp(self.parameter("log_A", self.rows * self.units, init=speeds)), 1, self.rows, self.units
        )
        S_t = exp(split(delta, 1, 1, self.units) * A) * S + outer(B, split(delta * u, 1, self.units))
        y = flat(read(S_t, C)) + self.gain("D", "d") * u
        return y * silu(self.linear("z", "v", x)), S_t


class Mamba3(MatrixCell):
    """Mamba-3, with one input and one output for every head (Lahoti et al. 2026).

    Good for language models that are to track states, parity for instance, as well. A step adds what the one
    before it and its own input give, by the trapezoidal rule, and queries and keys turn by angles that add up
    over time, which makes the states complex. Queries and keys are normalised and have biases; they serve all
    heads.

    Args:
        keys: rows of the matrix of a head, an even number.
    """

    keys: int | None = dataclasses.field(default=16, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("S", "k", "v", "t")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows % 2:
            raise ArgumentError(f"keys: expected an even number, got {self.rows}")

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return the axes of S, of the last keys and values of the heads, and of their angles."""
        shapes = {"k": (self.heads, self.rows), "v": (self.heads, self.values)}
        return {**shapes, "t": (self.heads, self.rows // 2)}.get(name, super().state_shape(name))

    def normalised(self, gate: str, x: Node) -> Node:
        """Return queries or keys of mean square 1, with a bias for every head."""
        row = split(self.linear(gate, "k", x, units=self.rows), 1, self.rows)
        row = row / (total(row * row, -1) * (1 / self.rows) + 1e-5) ** 0.5
        bias = split(self.gain(gate, "k", self.heads * self.rows), self.heads, self.rows)
        return row + bias

    def turned(self, a: Node, angle: Node) -> Node:
        """Turn pairs of numbers, each of one half."""
        half = self.rows // 2
        one, two = part(a, 0, half), part(a, half, self.rows)
        return join(one * cos(angle) - two * sin(angle), one * sin(angle) + two * cos(angle))

    def step(self, x: Node, S: Node, k: Node, v: Node, t: Node) -> Any:
        """`S_t = α S_{t-1} + (1 - λ) Δ α (k ⊗ v)_{t-1} + λ Δ (k ⊗ v)_t` with `α = e^{ΔA}`, `A < 0`."""
        delta, share = softplus(self.of_head("d", x, bias=STEPS)), sigmoid(self.of_head("l", x))
        alpha = exp(-softplus(self.of_head("A", x)) * delta)
        speeds = split(self.linear("t", "t", x, units=self.rows // 2), 1, self.rows // 2)
        t_t = t + delta * speeds
        q, new_k = self.normalised("q", x), self.normalised("k", x)
        q_t, k_t = self.turned(q, t_t), self.turned(new_k, t_t)
        v_t = self.value("v", x)
        S_t = alpha * S + outer((1 - share) * delta * alpha * k, v) + outer(share * delta * k_t, v_t)
        y = read(S_t, q_t) + self.gain("D", "d", self.heads) * v_t
        return flat(y) * silu(self.linear("o", "v", x)), S_t, k_t, v_t, t_t


class Longhorn(MatrixCell):
    """Longhorn: a step solves a regression on the newest key and value (Liu et al. 2024).

    Good as a selective state space model that needs no gate to forget: what it writes says what is forgotten.

    Args:
        keys: numbers that a channel keeps; 16 by default.
    """

    keys: int | None = dataclasses.field(default=16, kw_only=True)

    def step(self, x: Node, S: Node) -> Any:
        """`S_t = (1 - k² ⊗ ε) ∘ S_{t-1} + k ⊗ (ε u)` with `ε = β / (1 + β k · k)`."""
        q, k, u = self.key("q", x), self.key("k", x), self.value("v", x)
        beta = split(sigmoid(self.affine("b", x)), self.heads, self.values)
        step = beta / (1 + beta * total(k * k, -1))
        S_t = (1 - outer(k * k, step)) * S + outer(k, step * u)
        return flat(read(S_t, q)), S_t
