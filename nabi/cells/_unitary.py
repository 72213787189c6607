"""Networks whose matrix on the state is made of rotations, of phases, or of both and something beside them.

The matrices are computed by torch, once a call, from angles and other numbers.
"""

import dataclasses
from collections.abc import Sequence
from math import log, pi
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._structured import HouseholderRNN, all_angles, modrelu
from nabi.ir import Cell, Node, derived, initial
from nabi.ir.derived import skew_exponential
from nabi.ir.functions import activation, exp, flat, relu, sigmoid, split, sqrt, total

__all__ = ["EUNN", "NNRNN", "SVDRNN", "URNN", "RotRNN"]


def rotations(v: Any, theta: Any) -> Any:
    """Return `P Θ Pᵀ` with `P = exp(V - Vᵀ)`: Θ turns pairs of units, and an odd last one stays."""
    p, pairs = skew_exponential(v), len(v) // 2
    one, two, rest = p[:, 0 : 2 * pairs : 2], p[:, 1 : 2 * pairs : 2], p[:, 2 * pairs :]
    c, s = theta[:pairs].cos(), theta[:pairs].sin()
    return (one * c + two * s) @ one.T + (two * c - one * s) @ two.T + rest @ rest.T


def schur(v: Any, theta: Any, gamma: Any, t: Any) -> Any:
    """Return `P (γ Θ + T) Pᵀ`, T being what of it lies above the blocks of Θ."""
    import torch

    p, pairs = skew_exponential(v), len(v) // 2
    one, two, rest = p[:, 0 : 2 * pairs : 2], p[:, 1 : 2 * pairs : 2], p[:, 2 * pairs :]
    c, s = gamma[:pairs] * theta[:pairs].cos(), gamma[:pairs] * theta[:pairs].sin()
    turned = (one * c + two * s) @ one.T + (two * c - one * s) @ two.T + rest @ rest.T
    block = torch.arange(len(v), device=v.device) // 2
    return turned + p @ (t * (block[:, None] < block)) @ p.T


def mirrored(m: Any, re: Any, im: Any) -> Any:
    """Return the product of a reflection at the complex vector `re + i im` and a matrix."""
    import torch

    u = torch.complex(re, im)
    return m - torch.outer(u, u.conj() @ m) * (2 / (re @ re + im @ im))


def unitary(phases: Any, mirrors: Any) -> Any:
    """Return `D₃ R₂ F⁻¹ D₂ Π R₁ F D₁` as a real matrix, which acts on real parts and imaginary ones below."""
    import torch

    count = phases.shape[1]
    turns = torch.polar(torch.ones_like(phases), phases)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(count))
    m = mirrored(torch.fft.fft(torch.diag(turns[0]), dim=0, norm="ortho"), mirrors[0], mirrors[1])
    m = torch.fft.ifft(turns[1][:, None] * m[order.to(m.device)], dim=0, norm="ortho")
    m = turns[2][:, None] * mirrored(m, mirrors[2], mirrors[3])
    return torch.cat([torch.cat([m.real, -m.imag], 1), torch.cat([m.imag, m.real], 1)])


def scaled(v: Any) -> Any:
    """Return a matrix divided by the length of all of its numbers taken together."""
    return v / v.norm()


@dataclasses.dataclass(frozen=True)
class _Mesh(derived.Derived):
    """Layers of rotations of neighbouring units; every other layer begins at the second unit."""

    units: int
    layers: int

    def sources(self, shape: tuple[int, ...]) -> tuple[derived.Source, ...]:
        """Return the angles of the first, third, ... layer, and those of the layers between them."""
        sizes = ("theta", self.layers - self.layers // 2, 0), ("phi", self.layers // 2, 1)
        start = initial.Uniform(-pi, pi)
        found = [derived.Source(one, (n, (self.units - skip) // 2), start) for one, n, skip in sizes]
        return tuple(one for one in found if 0 not in one.shape) or (derived.Source("theta", (1, 1), start),)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        import torch

        # The angle of a single unit turns nothing, so its gradient is 0.
        m = torch.eye(self.units, dtype=tensors[0].dtype, device=tensors[0].device) + 0 * tensors[0].sum()
        for layer in range(self.layers):
            skip, pairs = layer % 2, (self.units - layer % 2) // 2
            if pairs:
                angles = tensors[skip][layer // 2, :, None]
                one, two = m[skip : skip + 2 * pairs : 2], m[skip + 1 : skip + 2 * pairs : 2]
                c, s = angles.cos(), angles.sin()
                both = torch.stack([c * one - s * two, s * one + c * two], 1).flatten(0, 1)
                m = torch.cat([m[:skip], both, m[skip + 2 * pairs :]])
        return m

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        return rf"\mathrm{{mesh}}({', '.join(names)})" if is_latex else f"mesh({', '.join(names)})"


class URNN(Cell):
    """Unitary network: a complex state that keeps its length (Arjovsky, Shah and Bengio 2016).

    Good for copying over long lags with few weights: the matrix on the state is a product of phases,
    reflections, a fixed permutation and Fourier transforms, with 7 weights a unit. The state holds real
    parts, then imaginary ones; it starts with numbers that are learned, whose length is about 1. The output
    is a layer that reads both.
    """

    output: ClassVar[str] = "y"

    def initial_state(self, name: str) -> Any:
        """Return learned numbers, of length 1 in the mean of the squares, as in the paper."""
        most = (3 / (2 * self.units)) ** 0.5
        return initial.Learned(initial.Uniform(-most, most))

    def state_width(self, name: str) -> int:
        """Return two numbers a unit for the state."""
        return 2 * self.units if name == "h" else self.units

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = modrelu(D₃ R₂ F⁻¹ D₂ Π R₁ F D₁ h_{t-1} + V x_t)`, with b in modrelu."""
        turns = derived.Source("theta", (3, self.units), initial.Uniform(-pi, pi))
        mirrors = derived.Source("u", (4, self.units), initial.Uniform(-1.0, 1.0))
        how = derived.Computed(unitary, (turns, mirrors))
        turned = self.linear("h", "h", h, units=2 * self.units, derived=how)
        z_t = split(self.linear("h", "x", x, units=2 * self.units) + turned, 2, self.units)
        size = sqrt(total(z_t * z_t, 0) + 1e-12)
        h_t = flat(z_t * split(relu(size + self.bias("h")) / size, 1, self.units))
        return self.affine("y", r=h_t), h_t


class EUNN(Cell):
    """Network of an orthogonal matrix of few rotations (Jing et al. 2017, tunable, in real numbers).

    Good for copying over long lags: a layer turns every unit with its neighbour, the next one with the other
    neighbour, where units at the ends have none. So the number of layers says how far units are mixed, and
    there is about half a weight a unit in each.

    Args:
        layers: of rotations, the capacity of the authors' code; 2 by default, as there.
    """

    layers: int = dataclasses.field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("layers", _checks.whole("layers", self.layers))

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = modrelu(Q h_{t-1} + W x_t)`, with b in modrelu."""
        how = _Mesh(self.units, self.layers)
        z_t = self.linear("h", "x", x) + self.linear("h", "h", h, derived=how)
        return modrelu(z_t, self.bias("h", init=initial.Uniform(-0.01, 0.01)))


class NNRNN(Cell):
    """Non-normal network: a matrix with eigenvalues near 1 that is not orthogonal (Kerg et al. 2019).

    Good for long lags where an orthogonal matrix expresses too little. The matrix is `P (γ Θ + T) Pᵀ`, its
    Schur form: P orthogonal, Θ rotations of pairs, T above them. It starts orthogonal, with γ = 1 and T = 0,
    and P as in exp-rnn. In the authors' code T has a number inside each pair too, and a penalty holds γ.
    """

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = modrelu(P (γ Θ + T) Pᵀ h_{t-1} + W x_t)`, with b in modrelu."""
        n, pairs = self.units, max(self.units // 2, 1)
        given = (
            derived.Source("V", (n, n)),
            derived.Source("theta", (pairs,), initial.Uniform(-pi, pi)),
            derived.Source("gamma", (pairs,), initial.Constant(1.0)),
            derived.Source("T", (n, n), initial.Constant(0.0)),
        )
        how = derived.Computed(schur, given)
        z_t = self.linear("h", "x", x) + self.linear("h", "h", h, init=all_angles, derived=how)
        return modrelu(z_t, self.bias("h", init=initial.Uniform(-0.01, 0.01)))


class SVDRNN(HouseholderRNN):
    """Network of a matrix by its singular values, all near 1 (Zhang, Lei and Dhillon 2018, spectral RNN).

    Good for long lags: nothing explodes or fades by more than the radius says. Both orthogonal matrices are
    products of `reflections`.

    Args:
        radius: how far singular values may be from 1, from 0 to 1; 0.01 by default, as in the authors' code.
        activation: `"relu"` by default, as in the authors' code.
    """

    radius: float = dataclasses.field(default=0.01, kw_only=True)
    activation: str = dataclasses.field(default="relu", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("radius", _checks.real("radius", self.radius, least=0, most=1))

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = φ(U Σ Vᵀ h_{t-1} + W x_t + b)` with `σ = 1 + radius (2 sigmoid(s) - 1)`."""
        values = 1 + self.radius * (2 * sigmoid(self.parameter("s", init=0.0)) - 1)
        scaled = values * self.reflected(h, "v")
        return activation(self.activation)(self.affine("h", x) + self.reflected(scaled, "h"))


class RotRNN(Cell):
    """Linear recurrence of a rotation that decays (Biegun et al. 2024), with one head.

    Good for long range; a nonlinear layer belongs behind it. The rotation is `P Θ Pᵀ`, P being orthogonal and
    Θ turning pairs of units. B is divided by its length, `√trace(Bᵀ B)`, and the input is scaled so that the
    length of the state stays about 1. In the paper D is a diagonal.

    Args:
        decay: γ, what a step keeps at the start, between 0 and 1; 0.99 by default.
    """

    decay: float = dataclasses.field(default=0.99, kw_only=True)

    output: ClassVar[str] = "y"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("decay", _checks.real("decay", self.decay, above=0, below=1))

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = γ P Θ Pᵀ h_{t-1} + sqrt(1 - γ²) B / ‖B‖ x_t`, `y = C h_t + D x_t`."""
        n, width = self.units, x.width or 1
        angles = derived.Source("theta", (max(n // 2, 1),), initial.Uniform(0.0, 2 * pi))
        how = derived.Computed(rotations, (derived.Source("V", (n, n)), angles))
        gamma = exp(-exp(self.parameter("gamma", (), init=log(-log(self.decay)))))
        turned = self.linear("h", "h", h, init=initial.Normal(), derived=how)
        spread = initial.Normal(0, (n + width) ** -0.5)
        new = self.linear("h", "x", x, init=spread, derived=derived.Computed(scaled))
        h_t = gamma * turned + sqrt(1 - gamma * gamma) * new
        return self.linear("y", "r", h_t, init=spread) + self.linear("y", "x", x), h_t
