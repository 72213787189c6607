"""Weights that are computed from what is learned, once for every call.

`self.linear` takes one of these as `derived`, and `self.affine` takes them by letter. The matrix of the step
is then computed by torch from other tensors, the *sources*, before the steps begin, and its gradient goes
back to them through torch's autograd. Equations read the matrix as any other; a layer holds the sources.

They are plain values that compare and can be dictionary keys. Sources are called after the matrix: `V_hh` for
`W_hh`.

>>> from nabi.ir import Cell, derived
>>> from nabi.ir.functions import tanh
>>> class Antisymmetric(Cell):
...     def step(self, x, h):
...         return h + 0.1 * tanh(self.affine("h", x, h, derived={"h": derived.Antisymmetric(0.01)}))
>>> print(*Antisymmetric(2).program(3).equations, sep="\\n")
W_hh = V_hh - V_hhᵀ - 0.01 I
h_t = h_{t-1} + 0.1 tanh(W_xh x_t + W_hh h_{t-1} + b_h)
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nabi import _checks
from nabi.errors import ArgumentError, unknown_name
from nabi.ir.initial import (
    InitialValue,
    as_initial,
    from_config as initial_value,
    to_config as initial_config,
)

__all__ = [
    "Antisymmetric",
    "Cayley",
    "Computed",
    "Derived",
    "Dropped",
    "Exponential",
    "LowRank",
    "Masked",
    "Normalised",
    "Source",
    "SpectralRadius",
    "from_config",
    "skew_exponential",
    "to_config",
]


@dataclasses.dataclass(frozen=True)
class Source:
    """A tensor that a weight is computed from.

    Attributes:
        letter: what its name begins with.
        shape: its shape.
        initial: its initial value, None to leave it to the layer.
        trained: whether it is learned, if the weight is.
    """

    letter: str
    shape: tuple[int, ...]
    initial: InitialValue | None = None
    trained: bool = True


@dataclasses.dataclass(frozen=True)
class Derived:
    """Base class of the ways in this module to compute a weight."""

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return what a weight of a shape is computed from; a matrix `V` of the shape itself by default.

        Raises:
            ArgumentError: there is no such weight of this shape.
        """
        return (Source("V", shape),)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute the weight from its sources; `mask` is what `rate` asks for in training."""
        raise NotImplementedError(f"{type(self).__name__} must define compute(*tensors, mask=None)")

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return the right side of the weight's equation, with these names of the sources."""
        raise NotImplementedError(f"{type(self).__name__} must define formula(names)")

    @property
    def rate(self) -> float:
        """Share of the weight's numbers that training leaves out at random, one draw for a call."""
        return 0.0

    def _real(self, name: str, **limits: Any) -> None:
        object.__setattr__(self, name, _checks.real(name, getattr(self, name), **limits))


def _square(shape: tuple[int, ...], what: str) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ArgumentError(f"derived: {what} needs a square matrix, got shape {shape}")


def _turned(name: str, is_latex: bool) -> str:
    return rf"{name}^\top" if is_latex else f"{name}ᵀ"


def _skew(name: str, is_latex: bool) -> str:
    return f"{name} - {_turned(name, is_latex)}"


@dataclasses.dataclass(frozen=True)
class Antisymmetric(Derived):
    """`V - Vᵀ - damping · I`: eigenvalues on the line -damping + iℝ (Chang et al. 2019)."""

    damping: float = 0.0

    def __post_init__(self) -> None:
        self._real("damping")

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return `V`, square."""
        _square(shape, "Antisymmetric")
        return super().sources(shape)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        import torch

        (v,) = tensors
        skew = v - v.T
        if not self.damping:
            return skew
        return skew - self.damping * torch.eye(len(v), dtype=v.dtype, device=v.device)

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        skew = _skew(names[0], is_latex)
        if not self.damping:
            return skew
        return f"{skew} - {self.damping:g} I" if not is_latex else rf"{skew} - {self.damping:g} \, I"


def skew_exponential(v: Any) -> Any:
    """Return the matrix exponential of `V - Vᵀ`, which is orthogonal, for functions of `Computed`.

    As `torch.linalg.matrix_exp(v - v.mT)`, with a derivative that takes less time on a CPU and is more exact:
    from the eigenvalues, which this matrix has on a line (Daleckii and Krein 1965). It can be differentiated
    any number of times, and by `torch.func`.

    Args:
        v: a square matrix, or several, `(..., n, n)`, of float32 or float64.

    >>> import torch
    >>> from nabi.ir import derived
    >>> derived.skew_exponential(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    from nabi.ir._skew_exponential import exponential

    return exponential(v - v.mT)


@dataclasses.dataclass(frozen=True)
class Exponential(Derived):
    """The matrix exponential of `V - Vᵀ`, an orthogonal matrix (Lezcano-Casado, Martínez-Rubio 2019)."""

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return `V`, square."""
        _square(shape, "Exponential")
        return super().sources(shape)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        return skew_exponential(tensors[0])

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        skew = _skew(names[0], is_latex)
        return rf"\exp({skew})" if is_latex else f"expm({skew})"


@dataclasses.dataclass(frozen=True)
class Cayley(Derived):
    """`(I + A)⁻¹ (I - A) D` with `A = V - Vᵀ`, an orthogonal matrix (scoRNN, Helfrich et al. 2018).

    `D` is diagonal, with -1 in its first `negative` places and 1 in the others.
    """

    negative: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "negative", _checks.whole("negative", self.negative, 0))

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return `V`, square."""
        _square(shape, "Cayley")
        _checks.whole("negative", self.negative, 0, shape[0])
        return super().sources(shape)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        import torch

        (v,) = tensors
        skew, one = v - v.T, torch.eye(len(v), dtype=v.dtype, device=v.device)
        found = torch.linalg.solve(one + skew, one - skew)
        if self.negative:
            signs = torch.ones(len(v), dtype=v.dtype, device=v.device)
            signs[: self.negative] = -1.0
            found = found * signs
        return found

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        skew = _skew(names[0], is_latex)
        last = " D" if self.negative else ""
        if is_latex:
            return rf"(I + ({skew}))^{{-1}} (I - ({skew})){last}"
        return f"(I + ({skew}))⁻¹ (I - ({skew})){last}"


@dataclasses.dataclass(frozen=True)
class LowRank(Derived):
    """`P Q` with `P` rows × rank and `Q` rank × columns: fewer numbers than the matrix has (FastGRNN)."""

    rank: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", _checks.whole("rank", self.rank))

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return `P` and `Q`."""
        if len(shape) != 2:
            raise ArgumentError(f"derived: LowRank needs a matrix, got shape {shape}")
        return Source("P", (shape[0], self.rank)), Source("Q", (self.rank, shape[1]))

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        return tensors[0] @ tensors[1]

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        return (r" \, " if is_latex else " ").join(names)


@dataclasses.dataclass(frozen=True)
class Masked(Derived):
    """`M ∘ V` with a fixed `M`: where `M` is 0 nothing is learned (Clockwork, sparse and wired networks)."""

    mask: InitialValue

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", as_initial(self.mask, "mask"))

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return `V` and the fixed `M`."""
        return Source("V", shape), Source("M", shape, self.mask, trained=False)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        return tensors[0] * tensors[1]

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        return (r" \circ " if is_latex else " ∘ ").join(reversed(names))


@dataclasses.dataclass(frozen=True)
class Dropped(Derived):
    """Weight drop: a share `p` of `V` is left out in training, the rest divided by `1 - p`.

    Source: Merity et al. 2018.

    One draw serves all sequences and steps of a call. At inference it is `V`.
    """

    p: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", _checks.rate("p", self.p))

    @property
    def rate(self) -> float:
        """The share that is left out."""
        return self.p

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        return tensors[0] if mask is None else tensors[0] * mask

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        return rf"\mathrm{{drop}}({names[0]})" if is_latex else f"drop({names[0]})"


@dataclasses.dataclass(frozen=True)
class Normalised(Derived):
    """`s ∘ V / ‖V‖`: the rows have the lengths `s`, which start at 1 (Salimans and Kingma 2016)."""

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return `V` and the lengths `s` of its rows."""
        if len(shape) != 2:
            raise ArgumentError(f"derived: Normalised needs a matrix, got shape {shape}")
        return Source("V", shape), Source("s", shape[:1], as_initial(1.0, "s"))

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        v, s = tensors
        return v * (s / v.norm(dim=1))[:, None]

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        v, s = names
        return rf"{s} \circ {v} / \lVert {v} \rVert" if is_latex else f"{s} ∘ {v} / ‖{v}‖"


@dataclasses.dataclass(frozen=True)
class SpectralRadius(Derived):
    """`radius · V / ρ(V)`, with ρ the largest absolute value of an eigenvalue.

    The eigenvalues are computed at every call, which takes longer than many a layer; a matrix that is not
    trained is better scaled at the beginning, by `initial.SpectralRadius`.
    """

    radius: float

    def __post_init__(self) -> None:
        self._real("radius", above=0)

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return `V`, square."""
        _square(shape, "SpectralRadius")
        return super().sources(shape)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        import torch

        (v,) = tensors
        return v * (self.radius / torch.linalg.eigvals(v).abs().max())

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        name = names[0]
        if is_latex:
            return rf"{self.radius:g} \, {name} / \rho({name})"
        return f"{self.radius:g} {name} / ρ({name})"


@dataclasses.dataclass(frozen=True)
class Computed(Derived):
    """What a function of yours makes of tensors: `function(*sources)`, plain differentiable torch operations.

    Args:
        function: takes the sources as tensors and returns the weight, with its shape.
        given: the sources; one matrix `V` of the weight's shape where there are none.

    Example:
        >>> from nabi.ir import derived
        >>> def symmetric(v):
        ...     return (v + v.T) / 2
        >>> derived.Computed(symmetric).formula(["V_hh"])
        'symmetric(V_hh)'
    """

    function: Callable[..., Any]
    given: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ArgumentError(
                f"function: expected a function of tensors, got {_checks.short(self.function)}"
            )
        object.__setattr__(self, "given", tuple(self.given))
        if not all(isinstance(one, Source) for one in self.given):
            raise ArgumentError(f"given: expected objects of derived.Source, got {_checks.short(self.given)}")

    def sources(self, shape: tuple[int, ...]) -> tuple[Source, ...]:
        """Return the given sources."""
        return self.given or super().sources(shape)

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        return self.function(*tensors)

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        name = getattr(self.function, "__name__", "f")
        if is_latex:
            name = r"\mathrm{" + name.replace("_", r"\_") + "}"
        return f"{name}({', '.join(names)})"


_KINDS: dict[str, type[Derived]] = {
    kind.__name__: kind
    for kind in (Antisymmetric, Cayley, Dropped, Exponential, LowRank, Masked, Normalised, SpectralRadius)
}


def to_config(value: Derived) -> dict[str, Any]:
    """Describe a way to compute a weight as JSON can hold it.

    Raises:
        ArgumentError: a function cannot be stored.

    >>> to_config(LowRank(3))
    {'derived': 'LowRank', 'rank': 3}
    """
    name = type(value).__name__
    if _KINDS.get(name) is not type(value):
        raise ArgumentError(
            f"derived: a configuration cannot hold {_checks.short(value)}; use it in the step of a cell class"
        )
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    plain = {
        key: one if not isinstance(one, InitialValue) else initial_config(one) for key, one in fields.items()
    }
    return {"derived": name, **plain}


def from_config(config: Mapping[str, Any]) -> Derived:
    """Return what `to_config` described.

    Raises:
        ArgumentError: it describes none.
        UnknownNameError: it names an unknown one.
    """
    fields = dict(config)
    name = fields.pop("derived", None)
    if not isinstance(name, str) or name not in _KINDS:
        raise unknown_name("derived", name, _KINDS)
    made = {key: initial_value(one) if isinstance(one, Mapping) else one for key, one in fields.items()}
    try:
        return _KINDS[name](**made)
    except TypeError:
        raise ArgumentError(f"derived: {name} does not take {_checks.short(fields)}") from None
