"""Values that the parameters of a cell start with, said where the cell is written.

`self.affine`, `linear`, `diagonal`, `bias`, `gain` and `parameter` take one of these as `init`; `nabi.nn.RNN`
and the layers take them as `initial_values`, by the name of a parameter. They are plain values: they compare,
can be dictionary keys, and hold no numbers that were drawn. `nabi.nn` draws.

A number is short for `Constant`, a tuple of numbers for `Values`, a function for `Drawn`, and the names in
`NAMES` for objects without arguments.

>>> from nabi.ir import initial
>>> initial.as_initial(-3) == initial.Constant(-3.0), initial.as_initial("orthogonal")
(True, Orthogonal(gain=1.0))
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nabi import _checks
from nabi.errors import ArgumentError, unknown_name

__all__ = [
    "NAMES",
    "Chrono",
    "Constant",
    "Drawn",
    "Glorot",
    "Identity",
    "InitialValue",
    "Learned",
    "Linspace",
    "LogUniform",
    "Normal",
    "Opposite",
    "Orthogonal",
    "SpectralRadius",
    "Uniform",
    "Values",
    "as_initial",
    "from_config",
    "to_config",
]


@dataclasses.dataclass(frozen=True)
class InitialValue:
    """Base class of the values in this module.

    Fields are checked: they are finite numbers unless a class says otherwise.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self._keep(field.name, _checks.real(field.name, getattr(self, field.name)))

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True)
class Constant(InitialValue):
    """The same number everywhere; infinities are allowed."""

    value: float = 0.0

    def __post_init__(self) -> None:
        value = _checks.as_real(self.value)
        if value is None or value != value:
            raise ArgumentError(f"value: expected a number, got {_checks.short(self.value)}")
        self._keep("value", float(value))


@dataclasses.dataclass(frozen=True)
class Values(InitialValue):
    """These numbers: a tuple for a vector, a tuple of rows for a matrix (rows are outputs)."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        self._keep("values", _as_tuples(self.values))


@dataclasses.dataclass(frozen=True)
class Uniform(InitialValue):
    """Uniform between `low` and `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low > self.high:
            raise ArgumentError(f"low: expected at most high={self.high}, got {self.low}")


@dataclasses.dataclass(frozen=True)
class LogUniform(Uniform):
    """Numbers whose logarithm is uniform between the logarithms of `low` and `high`, both positive."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.real("low", self.low, above=0)


@dataclasses.dataclass(frozen=True)
class Normal(InitialValue):
    """Normal, with this mean and standard deviation."""

    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.real("deviation", self.deviation, least=0)


@dataclasses.dataclass(frozen=True)
class Glorot(InitialValue):
    """Uniform in ±gain · sqrt(6 / (inputs + outputs)) of one gate's matrix (Glorot and Bengio 2010)."""

    gain: float = 1.0


@dataclasses.dataclass(frozen=True)
class Identity(InitialValue):
    """The identity matrix times `gain`, also of a matrix that is not square (Le et al. 2015)."""

    gain: float = 1.0


@dataclasses.dataclass(frozen=True)
class Orthogonal(InitialValue):
    """Orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al. 2014)."""

    gain: float = 1.0


@dataclasses.dataclass(frozen=True)
class Linspace(InitialValue):
    """Evenly spaced over the units, from `first` to `last`, both included; a single unit gets `first`."""

    first: float
    last: float


@dataclasses.dataclass(frozen=True)
class Chrono(InitialValue):
    """`log U(1, longest - 1)`: gates that remember for 1 to `longest` steps (Tallec and Ollivier 2018).

    For the bias of a forget gate, with `Opposite` of it for the input gate's.
    Raises `ArgumentError` unless `longest` is at least 2.
    """

    longest: float

    def __post_init__(self) -> None:
        self._keep("longest", _checks.real("longest", self.longest, least=2))


@dataclasses.dataclass(frozen=True)
class Opposite(InitialValue):
    """Minus the initial value of another parameter of the same shape: `Opposite("b_f")`."""

    parameter: str

    def __post_init__(self) -> None:
        if not isinstance(self.parameter, str) or not self.parameter:
            raise ArgumentError(
                f"parameter: expected the name of a parameter such as 'b_f', got {self.parameter!r}"
            )


@dataclasses.dataclass(frozen=True)
class SpectralRadius(InitialValue):
    """A square matrix drawn as `of` says and scaled so that the largest absolute eigenvalue is `radius`.

    As for a reservoir, whose matrix is not trained (Jaeger 2001).
    """

    radius: float
    of: InitialValue = Normal()

    def __post_init__(self) -> None:
        self._keep("radius", _checks.real("radius", self.radius, above=0))
        self._keep("of", as_initial(self.of, "of"))


@dataclasses.dataclass(frozen=True)
class Learned(InitialValue):
    """Of a state: it starts as a vector that is learned, which itself starts as `start` says."""

    start: InitialValue = Constant(0.0)

    def __post_init__(self) -> None:
        self._keep("start", as_initial(self.start, "start"))


@dataclasses.dataclass(frozen=True)
class Drawn(InitialValue):
    """What `function(shape, generator)` returns: a tensor, an array or nested lists of this shape.

    Args:
        function: takes the shape as a tuple, rows being outputs, and the `torch.Generator` to draw with. Two
            values are equal if they hold the same function.
    """

    function: Callable[..., Any]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ArgumentError(
                "function: expected a function of a shape and a generator, got "
                f"{_checks.short(self.function)}"
            )


NAMES: dict[str, InitialValue] = {
    "glorot": Glorot(),
    "identity": Identity(),
    "ones": Constant(1.0),
    "orthogonal": Orthogonal(),
    "zeros": Constant(0.0),
}
"""Values by name."""

_KINDS: dict[str, type[InitialValue]] = {
    kind.__name__: kind
    for kind in (
        Chrono, Constant, Drawn, Glorot, Identity, Learned, Linspace, LogUniform, Normal, Opposite,
        Orthogonal, SpectralRadius, Uniform, Values,
    )
}  # fmt: skip


def as_initial(given: Any, argument: str = "init") -> InitialValue:
    """Return the value that an object, a number, a tuple or list of numbers, a name or a function stands for.

    Raises:
        ArgumentError: for anything else; the message names `argument`.
        UnknownNameError: for an unknown name.
    """
    if isinstance(given, InitialValue):
        return given
    if isinstance(given, str):
        if given not in NAMES:
            raise unknown_name(argument, given, NAMES)
        return NAMES[given]
    if isinstance(given, tuple | list):
        return Values(given)  # type: ignore[arg-type]
    if _checks.as_real(given) is not None:
        return Constant(given)
    if callable(given) and not isinstance(given, type):
        return Drawn(given)
    raise ArgumentError(
        f"{argument}: expected an initial value: a number, a tuple of numbers, a function of a shape and a "
        f"generator, an object of nabi.ir.initial or one of {', '.join(NAMES)}; got {_checks.short(given)}"
    )


def to_config(value: InitialValue) -> dict[str, Any]:
    """Describe a value as JSON can hold it.

    Raises:
        ArgumentError: a function cannot be stored.

    >>> to_config(Chrono(100))
    {'initial': 'Chrono', 'longest': 100.0}
    """
    if isinstance(value, Drawn):
        raise ArgumentError(
            f"initial value: {_checks.short(value.function)} is a function, which a configuration cannot "
            "hold; use it in the step of a cell class, or store the model with its weights alone"
        )
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    plain = {name: to_config(one) if isinstance(one, InitialValue) else one for name, one in fields.items()}
    return {"initial": type(value).__name__, **plain}


def from_config(config: Mapping[str, Any]) -> InitialValue:
    """Return the value that `to_config` described.

    Raises:
        ArgumentError: it describes none.
        UnknownNameError: it names an unknown one.
    """
    fields = dict(config)
    name = fields.pop("initial", None)
    if not isinstance(name, str) or name not in _KINDS or name == "Drawn":
        raise unknown_name("initial", name, _KINDS)
    made = {key: from_config(one) if isinstance(one, Mapping) else one for key, one in fields.items()}
    try:
        return _KINDS[name](**made)
    except TypeError:
        raise ArgumentError(f"initial: {name} does not take {_checks.short(fields)}") from None


def _as_tuples(given: Any) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list) or not given:
        raise ArgumentError(f"values: expected a tuple of numbers or of rows, got {_checks.short(given)}")
    if all(isinstance(row, tuple | list) for row in given):
        rows = tuple(tuple(_checks.real("values", number) for number in row) for row in given)
        if len({len(row) for row in rows}) > 1:
            raise ArgumentError(f"values: expected rows of one length, got {_checks.short(given)}")
        return rows
    return tuple(_checks.real("values", number) for number in given)
