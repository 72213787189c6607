"""Linear cells whose states turn: the parts of a complex number, or a position and a velocity."""

import dataclasses
from math import log, pi, sqrt as square_root
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import cos, exp, mean, relu, sigmoid, silu, sin, sqrt

__all__ = ["HGRN", "LRU", "S5", "LinOSS"]

_GOLDEN = (square_root(5) - 1) / 2


def _feed_through(cell: Cell, x: Node) -> Node:
    """Return `D ∘ x`, or the product `D x` where the input has another width than the units."""
    if x.width == cell.units:
        return cell.diagonal("y", "x", x, init=initial.Normal())
    return cell.linear("y", "x", x)


def _turn(re: Node, im: Node, cosine: Node, sine: Node) -> tuple[Node, Node]:
    """Return the parts of a complex product."""
    return cosine * re - sine * im, sine * re + cosine * im


class LRU(Cell):
    """Linear recurrent unit: a complex, diagonal, stable recurrence (Orvieto et al. 2023).

    Good for very long series; a nonlinear layer belongs behind it. The eigenvalues start evenly over a ring.

    Args:
        smallest, largest: moduli of the eigenvalues at the start, between 0 and 1; 0.9 and 0.999 by default.
        phase: the largest angle of an eigenvalue at the start, positive; 2π by default, small for series
            where only slow changes matter.
    """

    smallest: float = dataclasses.field(default=0.9, kw_only=True)
    largest: float = dataclasses.field(default=0.999, kw_only=True)
    phase: float = dataclasses.field(default=2 * pi, kw_only=True)

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("re", "im")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("largest", _checks.real("largest", self.largest, above=0, below=1))
        self._keep("smallest", _checks.real("smallest", self.smallest, least=0, below=self.largest))
        self._keep("phase", _checks.real("phase", self.phase, above=0))

    def ring(self) -> tuple[initial.Values, initial.Values, initial.Values]:
        """Return nu, theta and gamma of eigenvalues spread over the ring: its area and angles evenly."""
        share = [(unit + 0.5) / self.units for unit in range(self.units)]
        squares = [self.smallest**2 + u * (self.largest**2 - self.smallest**2) for u in share]
        angles = [self.phase * ((unit + 1) * _GOLDEN % 1) for unit in range(self.units)]
        nu = tuple(log(-0.5 * log(square)) for square in squares)
        gamma = tuple(0.5 * log(1 - square) for square in squares)
        return initial.Values(nu), initial.Values(tuple(map(log, angles))), initial.Values(gamma)

    def step(self, x: Node, re: Node, im: Node) -> Any:
        """`s_t = λ s_{t-1} + γ B x_t` with `λ = exp(-e^ν + i e^θ)`; the output is `Re(C s_t) + D x_t`."""
        nu, theta, gamma = (
            self.parameter(name, init=value)
            for name, value in zip(("nu", "theta", "gamma"), self.ring(), strict=True)
        )
        modulus, angle = exp(-exp(nu)), exp(theta)
        turned = _turn(re, im, modulus * cos(angle), modulus * sin(angle))
        start = initial.Normal(0, 1 / square_root(2 * (x.width or 1)))
        re_t = turned[0] + exp(gamma) * self.linear("re", "x", x, init=start)
        im_t = turned[1] + exp(gamma) * self.linear("im", "x", x, init=start)
        out = initial.Normal(0, 1 / square_root(self.units))
        read = self.linear("y", "re", re_t, init=out) - self.linear("y", "im", im_t, init=out)
        return read + _feed_through(self, x), re_t, im_t


class S5(Cell):
    """S5 in its step form: a diagonal state space model with one input map (Smith et al. 2023).

    Good for long range and audio; a nonlinear layer belongs behind it. The eigenvalues start as those of
    HiPPO's normal matrix, the time steps log-uniformly.

    Args:
        smallest_step, largest_step: of the time steps at the start, positive; 0.001 and 0.1 by default.
    """

    smallest_step: float = dataclasses.field(default=0.001, kw_only=True)
    largest_step: float = dataclasses.field(default=0.1, kw_only=True)

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("re", "im")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("smallest_step", _checks.real("smallest_step", self.smallest_step, above=0))
        least = self.smallest_step
        self._keep("largest_step", _checks.real("largest_step", self.largest_step, least=least))

    def step(self, x: Node, re: Node, im: Node) -> Any:
        """`s_t = e^{ΛΔ} s_{t-1} + Λ⁻¹ (e^{ΛΔ} - 1) B x_t`; the output is `Re(C s_t) + D x_t`."""
        steps = initial.Uniform(log(self.smallest_step), log(self.largest_step))
        real = self.parameter("Lambda_re", init=-0.5)
        imaginary = self.parameter("Lambda_im", init=_hippo_frequencies)
        delta = exp(self.parameter("log_step", init=steps))
        grow, angle = exp(real * delta), imaginary * delta
        bar_re, bar_im = grow * cos(angle), grow * sin(angle)
        # (Λ̄ - 1) / Λ, multiplied by the conjugate of Λ above and below.
        size = real**2 + imaginary**2
        scale_re = ((bar_re - 1) * real + bar_im * imaginary) / size
        scale_im = (bar_im * real - (bar_re - 1) * imaginary) / size
        start = initial.Normal(0, 1 / square_root(2 * (x.width or 1)))
        b_re, b_im = self.linear("re", "x", x, init=start), self.linear("im", "x", x, init=start)
        new = _turn(b_re, b_im, scale_re, scale_im)
        old = _turn(re, im, bar_re, bar_im)
        re_t, im_t = old[0] + new[0], old[1] + new[1]
        out = initial.Normal(0, 1 / square_root(2 * self.units))
        read = self.linear("y", "re", re_t, init=out) - self.linear("y", "im", im_t, init=out)
        return read + _feed_through(self, x), re_t, im_t


def _hippo_frequencies(shape: tuple[int, ...], generator: Any) -> Any:
    """Return the imaginary parts of the eigenvalues of HiPPO-LegS' normal part; the real parts are -1/2."""
    import torch

    roots = (2 * torch.arange(shape[0], dtype=torch.float64) + 1).sqrt()
    skew = 0.5 * torch.outer(roots, roots)
    skew = skew.triu(1) - skew.tril(-1)
    return torch.linalg.eigvalsh(1j * skew)


class HGRN(Cell):
    """Hierarchically gated unit: complex, with a lower bound of the forget gate (Qin, Yang and Zhong 2023).

    Good for language models at low cost. In a stack the lower bound grows from layer to layer.

    Args:
        lower_bound: what the forget gate keeps at least, from 0, the default, to below 1.
    """

    lower_bound: float = dataclasses.field(default=0.0, kw_only=True)

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("re", "im")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("lower_bound", _checks.real("lower_bound", self.lower_bound, least=0, below=1))

    def step(self, x: Node, re: Node, im: Node) -> Any:
        """f is the share of the turned old state; the output reads both parts, normalised and gated."""
        theta = self.parameter("theta", init=_rotary_angles)
        f_t = self.lower_bound + (1 - self.lower_bound) * sigmoid(self.affine("f", x))
        old = _turn(re, im, f_t * cos(theta), f_t * sin(theta))
        re_t = old[0] + (1 - f_t) * silu(self.affine("re", x))
        im_t = old[1] + (1 - f_t) * silu(self.affine("im", x))
        centre = (mean(re_t) + mean(im_t)) / 2
        spread = (mean((re_t - centre) ** 2) + mean((im_t - centre) ** 2)) / 2
        n, g = [], []
        for part, value in (("re", re_t), ("im", im_t)):
            normal = (value - centre) / sqrt(spread + 1e-5)
            n.append(self.gain(part, "n") * normal + self.bias(part, "n"))
            g.append(silu(self.affine(f"g{part}", x)))
        read = self.linear("y", "re", n[0] * g[0]) + self.linear("y", "im", n[1] * g[1])
        return read + self.bias("y"), re_t, im_t


def _rotary_angles(shape: tuple[int, ...], generator: Any) -> Any:
    """Return 10000^(-2k / units) for unit k."""
    import torch

    return 10000 ** (-2 / shape[0] * torch.arange(shape[0], dtype=torch.float64))


class LinOSS(Cell):
    """Linear oscillators: position u and velocity z of springs that the input drives (Rusch and Rus 2025).

    Good for very long series; a nonlinear layer belongs behind it.

    Args:
        implicit: whether a step is solved implicitly, which damps (LinOSS-IM, the default), or half
            explicitly, which keeps the energy (LinOSS-IMEX).
    """

    implicit: bool = dataclasses.field(default=True, kw_only=True)

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("u", "z")

    def step(self, x: Node, u: Node, z: Node) -> Any:
        """The velocity changes by the input less the springs' force; the output is `C u_t + D x_t`."""
        stiffness = relu(self.parameter("a", init=initial.Uniform(0, 1)))
        delta = sigmoid(self.parameter("delta", init=initial.Uniform(0, 1)))
        z_t = z + delta * (self.linear("u", "x", x) - stiffness * u)
        if self.implicit:
            z_t = z_t / (1 + delta**2 * stiffness)
        u_t = u + delta * z_t
        return self.linear("y", "u", u_t) + _feed_through(self, x), u_t, z_t
