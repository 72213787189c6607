"""Networks whose matrix on the state has a structure: antisymmetric, orthogonal, bounded, never trained."""

import dataclasses
from collections.abc import Sequence
from math import pi
from typing import Any

from nabi import _checks
from nabi.ir import Cell, Node, derived, initial
from nabi.ir.functions import (
    absolute,
    activation,
    flat,
    maximum,
    outer,
    relu,
    select,
    sigmoid,
    split,
    sqrt,
    tanh,
    total,
)

__all__ = [
    "GORU",
    "RUM",
    "AntisymmetricRNN",
    "EchoState",
    "ExpRNN",
    "GatedAntisymmetricRNN",
    "HouseholderRNN",
    "LipschitzRNN",
    "ScoRNN",
    "all_angles",
    "modrelu",
]


class AntisymmetricRNN(Cell):
    """Network of an antisymmetric matrix, one Euler step at a time (Chang et al. 2019).

    Good for long memory: signals neither grow nor fade. The matrix is `V - Vᵀ - γ I`, where γ damps.

    Args:
        step_size: of the Euler step, positive; 0.1 by default.
        damping: γ, at least 0; 0.01 by default.
    """

    step_size: float = dataclasses.field(default=0.1, kw_only=True)
    damping: float = dataclasses.field(default=0.01, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("step_size", _checks.real("step_size", self.step_size, above=0))
        self._keep("damping", _checks.real("damping", self.damping, least=0))

    def turned(self, h: Node) -> Node:
        """Return the product with the antisymmetric matrix; V starts normal, smaller where units are many."""
        start = initial.Normal(0, self.units**-0.5)
        return self.linear("h", "h", h, init=start, derived=derived.Antisymmetric(self.damping))

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = h_{t-1} + ε tanh((V - Vᵀ - γ I) h_{t-1} + W x_t + b)`."""
        return h + self.step_size * tanh(self.affine("h", x) + self.turned(h))


class GatedAntisymmetricRNN(AntisymmetricRNN):
    """Antisymmetric network whose gate controls the step size (Chang et al. 2019).

    Good where some inputs are to be skipped. The gate reads the same product with the state.
    """

    def step(self, x: Node, h: Node) -> Any:
        """z scales each unit's step."""
        s_t = self.turned(h)
        z_t = sigmoid(self.affine("z", x) + s_t)
        return h + self.step_size * (z_t * tanh(self.affine("h", x) + s_t))


@dataclasses.dataclass(frozen=True)
class _Lipschitz(derived.Derived):
    """`β (M - Mᵀ) + (1 - β) (M + Mᵀ) - γ I`."""

    beta: float
    gamma: float

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        import torch

        (m,) = tensors
        one = torch.eye(len(m), dtype=m.dtype, device=m.device)
        return self.beta * (m - m.T) + (1 - self.beta) * (m + m.T) - self.gamma * one

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        name, turned = names[0], rf"{names[0]}^\top" if is_latex else f"{names[0]}ᵀ"
        space = r" \, " if is_latex else " "
        skew = f"{self.beta:g}{space}({name} - {turned})"
        return f"{skew} + {1 - self.beta:g}{space}({name} + {turned}) - {self.gamma:g}{space}I"


class LipschitzRNN(Cell):
    """Network of a linear and a bounded part, both with structured matrices (Erichson et al. 2021).

    Good for long memory that noise in the input does not upset. Both matrices are
    `β (M - Mᵀ) + (1 - β) (M + Mᵀ) - γ I`.

    Args:
        step_size: of the Euler step, positive; 0.03 by default.
        beta: β, between symmetric (0) and antisymmetric (1); 0.75 by default.
        gamma: γ, at least 0; 0.001 by default.
    """

    step_size: float = dataclasses.field(default=0.03, kw_only=True)
    beta: float = dataclasses.field(default=0.75, kw_only=True)
    gamma: float = dataclasses.field(default=0.001, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("step_size", _checks.real("step_size", self.step_size, above=0))
        self._keep("beta", _checks.real("beta", self.beta, least=0, most=1))
        self._keep("gamma", _checks.real("gamma", self.gamma, least=0))

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = h_{t-1} + ε (A h_{t-1} + tanh(W h_{t-1} + U x_t + b))`."""
        how, start = _Lipschitz(self.beta, self.gamma), initial.Normal(0, self.units**-0.5)
        linear = self.linear("a", "h", h, init=start, derived=how)
        bounded = self.affine("h", x, h, init={"h": start}, derived={"h": how})
        return h + self.step_size * (linear + tanh(bounded))


def modrelu(z: Node, b: Node | float) -> Node:
    """Return z shortened or lengthened by b, with its sign (Arjovsky, Shah and Bengio 2016)."""
    length = relu(absolute(z) + b)
    return select(z >= 0, length, -length)


def _rotations(shape: tuple[int, ...], generator: Any, largest: float, cayley: bool) -> Any:
    """Return V so that `V - Vᵀ` turns pairs of units, by angles that are drawn."""
    import torch

    found = torch.zeros(shape, dtype=torch.float64)
    pairs = torch.arange(0, shape[0] - 1, 2)
    angles = torch.empty(len(pairs), dtype=torch.float64).uniform_(0, largest, generator=generator)
    if cayley:
        angles = -((1 - angles.cos()) / (1 + angles.cos())).sqrt()
    else:
        angles = 2 * angles - largest
    found[pairs, pairs + 1] = angles
    return found


def all_angles(shape: tuple[int, ...], generator: Any) -> Any:
    """Draw angles from -π to π (Henaff, Szlam and LeCun 2016)."""
    return _rotations(shape, generator, pi, cayley=False)


def _right_angles(shape: tuple[int, ...], generator: Any) -> Any:
    """Draw angles from 0 to π/2, through Cayley's transform (Helfrich, Willmott and Ye 2018)."""
    return _rotations(shape, generator, pi / 2, cayley=True)


class ExpRNN(Cell):
    """Network of an orthogonal matrix, an exponential of an antisymmetric one (Lezcano-Casado et al. 2019).

    Good for copying over long lags: the product keeps lengths exactly. The matrix is `exp(V - Vᵀ)`; V starts
    with rotations of pairs of units. Train V at a tenth of the other weights' rate.
    """

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = modrelu(exp(V - Vᵀ) h_{t-1} + W x_t)`, with b in modrelu."""
        turned = self.linear("h", "h", h, init=all_angles, derived=derived.Exponential())
        z_t = self.linear("h", "x", x) + turned
        return modrelu(z_t, self.bias("h", init=initial.Uniform(-0.01, 0.01)))


class ScoRNN(Cell):
    """Network of an orthogonal matrix by the scaled Cayley transform (Helfrich, Willmott and Ye 2018).

    Good for copying over long lags. The matrix is `(I + A)⁻¹ (I - A) D` with `A = V - Vᵀ`.

    Args:
        negative: how many places of the diagonal D are -1, from 0, the default, to the number of units.
    """

    negative: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("negative", _checks.whole("negative", self.negative, 0, self.units))

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = modrelu(Q h_{t-1} + W x_t)`, with b in modrelu."""
        how = derived.Cayley(self.negative)
        z_t = self.linear("h", "x", x) + self.linear("h", "h", h, init=_right_angles, derived=how)
        return modrelu(z_t, self.bias("h", init=initial.Uniform(-0.01, 0.01)))


class GORU(Cell):
    """Gated orthogonal unit: a GRU whose candidate turns the state (Jing et al. 2019).

    Good for copying and forgetting. The orthogonal matrix is `exp(V - Vᵀ)`.
    """

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the old state; r gates the turned state."""
        z_t = sigmoid(self.affine("z", x, h))
        r_t = sigmoid(self.affine("r", x, h))
        turned = self.linear("q", "h", h, init=all_angles, derived=derived.Exponential())
        s_t = self.linear("h", "x", x) + r_t * turned
        n_t = modrelu(s_t, self.bias("h"))
        return z_t * h + (1 - z_t) * n_t


class RUM(Cell):
    """Rotational unit of memory: the state turns in the plane of two vectors (Dangovski et al. 2019).

    Good for recall and copying. The rotation takes the embedded input towards a target, and has no weights.

    Args:
        associative: whether rotations add up, in a matrix `R` of units × units that starts as the identity
            (the paper's λ = 1); by default the rotation is made anew at every step (λ = 0).
        length: η, the length that the state is given after every step, positive; None, the default, leaves
            it as it is.
    """

    associative: bool = dataclasses.field(default=False, kw_only=True)
    length: float | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._keep("associative", _checks.flag("associative", self.associative))
        if self.length is not None:
            self._keep("length", _checks.real("length", self.length, above=0, otherwise=" or None"))
        self._keep("states", ("h", "R") if self.associative else ("h",))
        super().__post_init__()

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return units × units for R, as one head."""
        return (1, self.units, self.units) if name == "R" else ()

    def initial_state(self, name: str) -> Any:
        """Return no rotation for R."""
        if name != "R":
            return 0.0
        n = self.units
        return initial.Values(tuple(float(row == column) for row in range(n) for column in range(n)))

    def step(self, x: Node, h: Node, *R: Node) -> Any:
        """e is the embedded input, q the target; u is the share of the old state."""
        e_t = self.affine("e", x)
        q_t = self.affine("q", x, h)
        u_t = sigmoid(self.affine("u", x, h))
        # An orthonormal basis a, b of the plane; the cosine and sine of the angle from e to q.
        a = e_t / sqrt(maximum(total(e_t * e_t), 1e-12))
        along = total(a * q_t)
        across = q_t - along * a
        rest = sqrt(maximum(total(across * across), 1e-12))
        b = across / rest
        length = sqrt(maximum(along * along + rest * rest, 1e-12))
        cosine, sine = along / length, rest / length
        if self.associative:
            # R times the rotation, which is I + a ⊗ (cos - 1, -sin) + b ⊗ (sin, cos - 1) in the basis.
            on_a, on_b = (cosine - 1) * a - sine * b, sine * a + (cosine - 1) * b
            R_t = R[0] + self.moved(R[0], a, on_a) + self.moved(R[0], b, on_b)
            turned = flat(total(R_t * split(h, 1, 1, self.units), -1))
        else:
            on_a, on_b = total(a * h), total(b * h)
            turned = h + ((cosine - 1) * on_a - sine * on_b) * a + (sine * on_a + (cosine - 1) * on_b) * b
        n_t = relu(e_t + turned)
        h_t = new = u_t * h + (1 - u_t) * n_t
        if self.length is not None:
            h_t = self.length * new / sqrt(maximum(total(new * new), 1e-12))
        return (h_t, R_t) if self.associative else h_t

    def moved(self, R: Node, a: Node, by: Node) -> Node:
        """Return `R a ⊗ by`."""
        n = self.units
        return outer(total(R * split(a, 1, 1, n), -1), split(by, 1, n))


class HouseholderRNN(Cell):
    """Network of an orthogonal matrix, a product of reflections (Mhammedi, Hellicar, Rahman and Bailey 2017).

    Good for copying over long lags at little cost: `reflections` vectors take the place of the matrix.

    Args:
        reflections: how many, from 1 to the number of units, which reach every such matrix; 4 by default, or
            as many as units where these are fewer.
    """

    reflections: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reflections is not None:
            reflections = _checks.whole("reflections", self.reflections, 1, self.units, otherwise=" or None")
            self._keep("reflections", reflections)

    def step(self, x: Node, h: Node) -> Any:
        """`h_t = leaky_relu(H_1 ... H_m h_{t-1} + W x_t + b)` with `H = I - 2 u uᵀ / (u · u)`."""
        return activation("leaky_relu")(self.affine("h", x) + self.reflected(h, "h"))

    def reflected(self, h: Node, letter: str) -> Node:
        """Return the product with the reflections whose vectors have this letter."""
        r = [h]
        for reflection in range(self.reflections or min(self.units, 4), 0, -1):
            u = self.gain(f"u{reflection}", letter, init=initial.Normal())
            r.append(r[-1] - (2 * total(u * r[-1]) / total(u * u)) * u)
        return r[-1]


class EchoState(Cell):
    """Echo state network: nothing in the loop is trained (Jaeger 2001; leaky: Jaeger et al. 2007).

    Good for chaotic series, and as a baseline: only what reads the states is trained, a Dense layer or a
    ridge regression. Weights are drawn once, uniform; those on the state are scaled to a spectral radius.

    Args:
        leak: what a step takes from the new value, above 0, at most 1; 1 by default.
        radius: the largest modulus of an eigenvalue of the matrix on the state, positive; 0.9 by default.
        input_scale: the largest weight on the input and the largest bias, positive; 1 by default.
        activation: tanh by default.
    """

    leak: float = dataclasses.field(default=1.0, kw_only=True)
    radius: float = dataclasses.field(default=0.9, kw_only=True)
    input_scale: float = dataclasses.field(default=1.0, kw_only=True)
    activation: str = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("leak", _checks.real("leak", self.leak, above=0, most=1))
        for name in ("radius", "input_scale"):
            self._keep(name, _checks.real(name, getattr(self, name), above=0))

    def step(self, x: Node, h: Node) -> Any:
        """The state leaks towards a layer's output."""
        drawn = initial.Uniform(-self.input_scale, self.input_scale)
        start = {"x": drawn, "h": initial.SpectralRadius(self.radius, initial.Uniform(-1, 1)), "b": drawn}
        new = activation(self.activation)(self.affine("h", x, h, init=start, trained=False))
        return new if self.leak == 1 else (1 - self.leak) * h + self.leak * new
