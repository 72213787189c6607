"""Drawing what `nabi.ir.initial` describes, and setting declared values in weights."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.ir import Program, initial

__all__ = ["as_initial_values", "draw", "set_declared_values"]


def as_initial_values(
    given: Any, programs: Iterable[Program], argument: str = "initial_values"
) -> dict[str, initial.InitialValue]:
    """Check initial values by the name of a parameter (`b_f`) or of all of one letter (`b`).

    Raises:
        ArgumentError: not a dictionary, or a value is none.
        UnknownNameError: no program has a parameter of the name.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"{argument}: expected a dictionary from parameters to values such as {{'b_f': 1.0}}, got "
            f"{_checks.short(given)}"
        )
    known = list(dict.fromkeys(n for program in programs for one in program.parameters for n in _names(one)))
    for name in given:
        if known and name not in known:
            raise unknown_name(argument, name, known)
    return {str(name): initial.as_initial(value, f"{argument}[{name!r}]") for name, value in given.items()}


def set_declared_values(
    program: Program,
    tensors: Sequence[Tensor],
    given: Mapping[str, initial.InitialValue],
    left: frozenset[str] = frozenset(),
) -> None:
    """Set the initial values that a cell declares, and those that were given, which come first.

    Args:
        program: the program.
        tensors: weights in the order of `program.families`; written to, gates as rows.
        given: values by parameter or letter.
        left: roles whose trained parameters stay as they are, whatever the cell declares.
    """
    later: list[tuple[str, str]] = []
    places: dict[str, Tensor] = {}
    with torch.no_grad():
        for one in program.parameters:
            number, rows = program.family_of(one.name)
            places[one.name] = place = tensors[number].detach()[rows]
            value = next((given[name] for name in _names(one) if name in given), None)
            if value is None and not (one.trained and one.role in left):
                value = one.initial
            if isinstance(value, initial.Opposite):
                later.append((one.name, value.parameter))
            elif value is not None and not place.is_meta:
                place.copy_(_checked(one.name, value, place))
        for name, other in later:
            if places[name].is_meta:
                continue
            if other not in places or places[other].shape != places[name].shape or other in dict(later):
                raise ArgumentError(
                    f"{name}: expected the opposite of a parameter of shape {tuple(places[name].shape)} with "
                    f"a value of its own, got {other!r}"
                )
            places[name].copy_(-places[other])


def draw(value: initial.InitialValue, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor of a shape, rows being outputs; random numbers come from torch's generator on the CPU.

    Raises:
        ShapeError: a function or values have another shape.

    >>> draw(initial.Linspace(0, 1), (3,), torch.float32)
    tensor([0.0000, 0.5000, 1.0000])
    """
    shape = tuple(shape)
    # Drawn on the CPU, so that a seed gives the same weights on every device; in full precision.
    with torch.device("cpu"):
        exact = torch.empty(shape, dtype=dtype if dtype == torch.float64 else torch.float32)
        return _draw(value, shape, exact).to(dtype)


def _draw(value: initial.InitialValue, shape: tuple[int, ...], empty: Tensor) -> Tensor:
    match value:
        case initial.Constant(number):
            return empty.fill_(number)
        case initial.LogUniform(low, high):
            return empty.uniform_(math.log(low), math.log(high)).exp_()
        case initial.Uniform(low, high):
            return empty.uniform_(low, high)
        case initial.Normal(mean, deviation):
            return empty.normal_(mean, deviation)
        case initial.Chrono(longest):
            return empty.uniform_(1.0, longest - 1.0).log_()
        case initial.Linspace(first, last):
            steps = torch.linspace(first, last, shape[0], dtype=empty.dtype)
            return empty.copy_(steps.reshape(-1, *(1,) * (len(shape) - 1)))
        case initial.Values(values):
            return torch.tensor(values, dtype=empty.dtype)
        case initial.Drawn(function):
            found = function(shape, torch.default_generator)
            return torch.as_tensor(found, dtype=empty.dtype, device="cpu")
    if len(shape) != 2:
        raise ShapeError(f"{value!r}: expected a matrix, got shape {shape}")
    match value:
        case initial.Identity(gain):
            return gain * torch.eye(*shape, dtype=empty.dtype)
        case initial.Orthogonal(gain):
            return torch.nn.init.orthogonal_(empty, gain)
        case initial.Glorot(gain):
            return torch.nn.init.xavier_uniform_(empty, gain)
        case initial.SpectralRadius(radius, of):
            if shape[0] != shape[1]:
                raise ShapeError(f"{value!r}: expected a square matrix, got shape {shape}")
            drawn = _draw(of, shape, empty)
            return drawn.mul_(float(radius / torch.linalg.eigvals(drawn).abs().max()))
    raise ArgumentError(f"{value!r}: expected one of the classes of nabi.ir.initial")


def _checked(name: str, value: initial.InitialValue, place: Tensor) -> Tensor:
    try:
        found = draw(value, place.shape, place.dtype)
    except (TypeError, ValueError, RuntimeError) as problem:
        if isinstance(problem, ArgumentError | ShapeError):
            raise type(problem)(f"{name}: {problem}") from None
        raise ArgumentError(f"{name}: {value!r} gives no numbers: {problem}") from problem
    if found.shape != place.shape:
        raise ShapeError(f"{name}: {value!r} gives shape {tuple(found.shape)}, expected {tuple(place.shape)}")
    return found


def _names(parameter: Any) -> tuple[str, ...]:
    """Return the names that a parameter can be called by: its own, its tensor's, its letter."""
    return tuple(dict.fromkeys((parameter.name, parameter.family, parameter.letter or parameter.family)))
