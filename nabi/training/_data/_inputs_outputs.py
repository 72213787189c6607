"""The inputs and outputs of a model: one tensor, or several named ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, unknown_name
from nabi.training._data._tensors import to_tensor

__all__ = ["Part", "Ports", "each", "first_of", "named", "row_count"]

# A tensor, or one for each of several inputs or outputs, None for a missing one.
Part = Tensor | tuple[Tensor | None, ...]


def each(function: Callable[[Tensor], Tensor], part: Part) -> Part:
    """Apply a function to a tensor, or to each of several."""
    if isinstance(part, tuple):
        return tuple(None if one is None else function(one) for one in part)
    return function(part)


def first_of(part: Part) -> Tensor:
    """Return the tensor, or the first of several."""
    return next(one for one in part if one is not None) if isinstance(part, tuple) else part


def row_count(part: Part) -> int:
    """Return the number of samples."""
    return first_of(part).shape[0]


def named(argument: str, value: Any, names: Sequence[str], *, all_of_them: bool = True) -> list[Any]:
    """Return the value for each name, from a list in their order or a dictionary by name.

    Raises:
        UnknownNameError: for an unknown name.
        ArgumentError: for a wrong number of values, or a missing name if `all_of_them` are needed.
    """
    if isinstance(value, Mapping):
        for name in value:
            if name not in names:
                raise unknown_name(argument, name, names)
        missing = [name for name in names if value.get(name) is None]
        if missing and all_of_them:
            raise ArgumentError(f"{argument}: expected data for {', '.join(missing)}, got none")
        return [value.get(name) for name in names]
    if len(names) == 1:
        return [value]
    if isinstance(value, list | tuple) and len(value) == len(names):
        return list(value)
    given = type(value).__name__
    if isinstance(value, list | tuple):
        given = "1 part" if len(value) == 1 else f"{len(value)} parts"
    raise ArgumentError(
        f"{argument}: expected a list of {len(names)} or a dictionary, for {', '.join(names)}, got {given}"
    )


@dataclass(frozen=True)
class Ports:
    """Names of a model's inputs and outputs, if they have names.

    >>> Ports(("a", "b"), ("c",)).raw({"x": {"b": 1, "a": 2}, "y": 3})
    {'x': [2, 1], 'y': [3]}
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def raw(self, given: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return the parts of `x`, `y` and `sample_weight` in the order of the names; raises as `named`."""
        found = {}
        for argument, value in given.items():
            if value is None:
                continue
            names = self.inputs if argument == "x" else self.outputs
            if argument == "sample_weight" and len(names) > 1 and not _for_each(value, len(names)):
                found[argument] = [value] * len(names)
            elif names:
                found[argument] = named(argument, value, names, all_of_them=argument == "x")
            else:
                found[argument] = [value]
        return found

    def tensors(
        self, parts: Sequence[Any], dtype: torch.dtype, device: torch.device
    ) -> tuple[Part, Part | None, Part | None]:
        """Return inputs, targets and sample weights as tensors, or tuples for several inputs or outputs."""
        found = self.raw(dict(zip(("x", "y", "sample_weight"), parts, strict=True)))
        made: dict[str, Part] = {}
        for argument, parts in found.items():
            names = self.inputs if argument == "x" else self.outputs
            if len(names) < 2:
                made[argument] = to_tensor(argument, parts[0], dtype, device)
                continue
            made[argument] = tuple(
                None if part is None else to_tensor(f"{argument}[{name!r}]", part, dtype, device)
                for name, part in zip(names, parts, strict=True)
            )
        if "x" not in made:
            raise ArgumentError("x: expected batches with inputs, got one without")
        return made["x"], made.get("y"), made.get("sample_weight")

    def divided(self, parts: list[Any]) -> list[Any]:
        """Group the parts of a batch into x, y and weights if inputs or outputs come as single parts."""
        inputs, outputs = max(1, len(self.inputs)), max(1, len(self.outputs))
        several = [part for part, count in zip(parts, (inputs, outputs), strict=False) if count > 1]
        nested = all(isinstance(part, list | tuple | Mapping) for part in several)
        if not several or nested or len(parts) not in (inputs, inputs + outputs):
            return parts
        x, y = parts[:inputs], parts[inputs:]
        divided = [x if inputs > 1 else x[0]]
        return [*divided, y if outputs > 1 else y[0]] if y else divided


def _for_each(value: Any, count: int) -> bool:
    """Tell whether there are separate sample weights for each output, not one array for all."""
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, list | tuple) or len(value) != count:
        return False
    return all(one is None or hasattr(one, "__len__") for one in value)
