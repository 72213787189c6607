"""What an animation shows: every value of a cell at every step, with what each step reads and says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nabi._dtypes import to_numpy
from nabi.errors import ArgumentError, ShapeError
from nabi.explain._gates import gates, is_share, program_of
from nabi.ir import Program, named_nodes

__all__ = ["Film", "Lane", "Said", "make_film"]

_MOST_STEPS = 1000
_MOST_NUMBERS = 4_000_000

Said = tuple[tuple[str, float], ...]
"""What a model says after a step: names with their shares or values, in the order to show them."""


@dataclass(frozen=True, eq=False)
class Lane:
    """One value of the equations over the whole sequence."""

    name: str
    equation: str
    """The line of the cell that computes it; empty where it has none."""
    values: npt.NDArray[np.float32]
    """`[T, width]`."""
    share: bool
    """Whether it lies between 0 and 1, as a gate does."""
    state: bool
    """Whether the next step reads it."""


@dataclass(frozen=True, eq=False)
class Film:
    """A sequence that runs through a cell."""

    program: Program
    title: str
    labels: tuple[str, ...]
    """One for each step."""
    lanes: tuple[Lane, ...]
    """In the order of the equations."""
    says: tuple[Said, ...] = ()
    """After each step, empty for a step after which nothing is said; without any, nothing is shown."""

    @property
    def cell(self) -> str:
        """The name of the cell's class."""
        return type(self.program.cell).__name__


def make_film(
    layer: Any,
    inputs: Any,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    states: Sequence[Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    says: Sequence[Said] = (),
) -> Film:
    """Run a sequence through a layer; arguments as `animation` has them."""
    program = program_of(layer)
    found = gates(layer, inputs, states, extra)
    values = {name: to_numpy(one[0].detach().cpu().to(torch.float32)) for name, one in found.items()}
    steps = len(next(iter(values.values())))
    if not steps:
        raise ShapeError("inputs: expected at least one time step to show, got none")
    if steps > _MOST_STEPS:
        raise ArgumentError(f"inputs: expected at most {_MOST_STEPS:,} steps to show, got {steps:,}")
    numbers = sum(one.size for one in values.values())
    if numbers > _MOST_NUMBERS:
        raise ArgumentError(
            f"inputs: expected at most {_MOST_NUMBERS:,} numbers to show, got {numbers:,}; take fewer steps"
        )
    shown = [str(step + 1) for step in range(steps)] if labels is None else [str(one) for one in labels]
    if len(shown) != steps:
        raise ArgumentError(f"labels: expected one for each of the {steps} steps, got {len(shown)}")
    if says and len(says) != steps:
        raise ArgumentError(f"says: expected one for each of the {steps} steps, got {len(says)}")
    named = named_nodes(program)
    lines = {line.partition(" = ")[0].removesuffix("_t"): line for line in program.equations}
    lanes = tuple(
        Lane(
            name,
            lines.get(name, ""),
            value,
            is_share(named[name].operation, value),
            name in program.state_names,
        )
        for name, value in values.items()
    )
    cell = type(program.cell).__name__
    return Film(program, cell if title is None else title, tuple(shown), lanes, tuple(says))
