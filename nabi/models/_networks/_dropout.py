"""Dropout with masks that stay the same over the time steps of a batch, drawn from a given generator."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi._row_share import drawn_for_rows
from nabi.ir import Program

__all__ = ["draw_mask", "drop_codes", "drop_features", "drop_weights", "row_mask"]


def draw_mask(shape: Sequence[int], rate: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a dropout mask: 0 with probability `rate`, else 1 / (1 - rate)."""
    return like.new_empty(shape).bernoulli_(1 - rate, generator=generator).div_(1 - rate)


def row_mask(shape: Sequence[int], rate: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a dropout mask whose first axis are the rows of a batch, of which a worker may have some."""
    return drawn_for_rows(lambda sizes: draw_mask(sizes, rate, like, generator), shape)


def drop_features(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Leave out features of `[B, T, D]`, the same at all steps of a row (Gal and Ghahramani 2016).

    Nothing is left out without a generator, which means that this is no training.
    """
    if generator is None or not rate:
        return x
    return x * row_mask((len(x), 1, x.shape[2]), rate, x, generator)


def drop_codes(table: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Leave out rows of an embedding `[V, D]`, so that a code is gone wherever it occurs (the same paper)."""
    if generator is None or not rate:
        return table
    return table * draw_mask((len(table), 1), rate, table, generator)


def drop_weights(
    program: Program, weights: tuple[Tensor, ...], rate: float, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Leave out some of a cell's weights between a state and the next (Merity et al. 2018)."""
    if not rate:
        return weights
    return tuple(
        weight * draw_mask(weight.shape, rate, weight, generator) if family.role == "recurrent" else weight
        for weight, family in zip(weights, program.families, strict=True)
    )
