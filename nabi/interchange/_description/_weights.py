"""Named tensors, described: recurrent stacks, what belongs to an optimizer, and a table."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from nabi.interchange._description._description import Table, counted, shape_text
from nabi.interchange._description._stacks import find_stacks
from nabi.interchange._tensorflow._cells import is_optimizer_state

__all__ = ["Infos", "describe_weights", "infos_of"]

Infos = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]


def infos_of(tensors: Any) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Return types and shapes of what a reader of weights gave: tensors by name, or an object with these."""
    named = getattr(tensors, "tensors", tensors)
    return {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in named.items()}


def describe_weights(infos: Infos) -> tuple[list[tuple[str, str]], list[Table]]:
    """Return facts and tables for tensors of these types and shapes."""
    of_optimizer = {name for name in infos if is_optimizer_state(name, infos)}
    own = {name: info for name, info in infos.items() if name not in of_optimizer}
    facts = [
        ("tensors", f"{len(own):,}"),
        ("parameters", f"{sum(math.prod(shape) for _, shape in own.values()):,}"),
        ("types", ", ".join(sorted({_type(dtype) for dtype, _ in own.values()})) or "none"),
    ]
    if of_optimizer:
        facts.append(("of an optimizer", f"{counted(len(of_optimizer), 'tensor')}, not listed"))
    tables = []
    stacks = find_stacks({name: shape for name, (_, shape) in own.items()})
    if stacks:
        tables.append(
            Table(
                "recurrent layers, by names and shapes",
                ("name", "cell", "inputs", "units", "layers", "directions", "more"),
                tuple(
                    (
                        stack.path or "(all)",
                        stack.kind,
                        str(stack.inputs),
                        ", ".join(map(str, stack.units)),
                        str(stack.layers),
                        str(stack.directions),
                        ", ".join(stack.notes),
                    )
                    for stack in stacks
                ),
            )
        )
    return facts, [*tables, tensor_table("tensors", own)] if own else tables


def tensor_table(title: str, infos: Infos) -> Table:
    """Return a table of tensors, in the order of their names."""
    rows = (
        (name, shape_text(shape), _type(dtype))
        for name, (dtype, shape) in sorted(infos.items(), key=_by_name)
    )
    return Table(title, ("name", "shape", "type"), tuple(rows))


def _by_name(item: Iterable[Any]) -> list[tuple[int, str]]:
    """Order layer_2 before layer_10."""
    name = next(iter(item))
    return [(int(one), "") if one.isdigit() else (-1, one) for one in re.split(r"(\d+)", name)]


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
