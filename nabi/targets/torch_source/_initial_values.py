"""Statements that set the initial values of weights, as `nabi.nn.RNN` sets them by default."""

import math
import textwrap
from collections.abc import Iterable

import torch

from nabi.errors import ArgumentError
from nabi.ir import Family, Parameter, Program, initial
from nabi.targets.torch_source._expressions import number
from nabi.targets.torch_source._functions import Functions, NoSourceError

__all__ = ["reset_lines"]

_WIDTH = 88  # of lines of numbers


def reset_lines(program: Program, functions: Functions, places: dict[str, str]) -> list[str]:
    """Return the body of a function that draws the weights anew.

    The numbers are drawn in the order in which `nabi.nn.RNN` draws them, so one seed gives the same weights.

    Args:
        program: the program.
        functions: takes in the functions that cells draw with.
        places: where the tensor of a family is, by its name.
    """
    lines: list[str] = []
    drawn = [f for f in program.families if f.role not in ("parameter", "gain")]
    if drawn:
        widest = max(program.cell.state_width(name) for name in program.cell.states)
        names = ", ".join(places[family.name] for family in drawn)
        lines += [f"bound = 1 / math.sqrt({widest})"]
        lines += [f"for weight in ({names}{',' * (len(drawn) == 1)}):", "    weight.uniform_(-bound, bound)"]
    gains = [family for family in program.families if family.role == "gain"]
    lines += [f"nn.init.ones_({places[family.name]})" for family in gains]
    later = []
    by_name = {one.name: one for one in program.parameters}
    for one in program.parameters:
        if one.initial is None:
            continue
        place = _place(program.families, one, places)
        if isinstance(one.initial, initial.Opposite):
            other = by_name[one.initial.parameter]
            later.append(f"{place}.copy_(-{_place(program.families, other, places)})  # {one.name}")
            continue
        first, *more = _set(one.initial, one.shape, place, functions)
        lines += [f"{first}  # {one.name}" if "\n" not in first else f"# {one.name}\n{first}", *more]
    return [part for line in [*lines, *later] for part in line.split("\n")]


def _place(families: Iterable[Family], one: Parameter, places: dict[str, str]) -> str:
    """Return the source of a parameter's rows of its tensor."""
    family = next(family for family in families if family.name == one.family)
    if len(family.gates) == 1:
        return places[family.name]
    rows = family.rows(one.gate)
    return f"{places[family.name]}[{rows.start}:{rows.stop}]"


def _set(value: initial.InitialValue, shape: tuple[int, ...], place: str, functions: Functions) -> list[str]:
    match value:
        case initial.Constant(given):
            return [f"{place}.fill_({number(given)})"]
        case initial.LogUniform(low, high):
            return [f"{place}.uniform_(math.log({number(low)}), math.log({number(high)})).exp_()"]
        case initial.Uniform(low, high):
            return [f"{place}.uniform_({number(low)}, {number(high)})"]
        case initial.Normal(mean, deviation):
            return [f"{place}.normal_({number(mean)}, {number(deviation)})"]
        case initial.Chrono(longest):
            return [f"{place}.uniform_(1, {number(longest - 1)}).log_()"]
        case initial.Linspace(first, last):
            steps = f"torch.linspace({number(first)}, {number(last)}, {shape[0]})"
            return [f"{place}.copy_({steps}{'[:, None]' * (len(shape) - 1)})"]
        case initial.Values(values):
            return [f"{place}.copy_({_numbers(torch.tensor(values, dtype=torch.float64))})"]
        case initial.Identity(gain):
            scale = "" if gain == 1 else f"{number(gain)} * "
            return [f"{place}.copy_({scale}torch.eye{shape})"]
        case initial.Orthogonal(gain):
            return [f"nn.init.orthogonal_({place}{'' if gain == 1 else f', {number(gain)}'})"]
        case initial.Glorot(gain):
            return [f"nn.init.xavier_uniform_({place}{'' if gain == 1 else f', {number(gain)}'})"]
        case initial.SpectralRadius(radius, of):
            scaled = f"{place}.mul_({number(radius)} / torch.linalg.eigvals({place}).abs().max())"
            return [*_set(of, shape, place, functions), scaled]
        case initial.Drawn(function):
            return [_drawn(function, shape, place, functions)]
    raise ArgumentError(f"--as torch: the initial value {value!r} cannot be written in plain PyTorch")


def _drawn(function: object, shape: tuple[int, ...], place: str, functions: Functions) -> str:
    """Write what a function gives: its numbers if they are always the same, else a call of its source."""
    assert callable(function)
    first, second = (
        torch.as_tensor(function(shape, torch.Generator().manual_seed(seed)), dtype=torch.float64)
        for seed in (1, 2)
    )
    if torch.equal(first, second):
        return f"{place}.copy_({_numbers(first)})"
    name = getattr(function, "__name__", type(function).__name__).strip("_")
    try:
        return f"{place}.copy_({functions.add(function, name)}({shape}, torch.default_generator))"
    except NoSourceError:
        return f"{place}.copy_({_numbers(first)})  # one draw of {name}, whose source reads more than torch;"


def _numbers(values: torch.Tensor) -> str:
    """Return a tensor as source, in lines that are not too long."""
    rows = [_row(row) for row in values] if values.dim() > 1 else textwrap.wrap(_row(values)[1:-1], _WIDTH)
    if values.dim() < 2 and len(rows) < 2:
        return f"torch.tensor({_row(values)})"
    ends = ",\n    " if values.dim() > 1 else "\n    "
    return f"torch.tensor([\n    {ends.join(rows)}{',' * (values.dim() > 1)}\n])"


def _row(values: torch.Tensor) -> str:
    found = [number(value) if not math.isfinite(value) else repr(value) for value in values.tolist()]
    return f"[{', '.join(found)}]"
