"""Recurrent layers on top of each other that read in one or both directions."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nabi import layers
from nabi.cells import Cell
from nabi.models._networks._dropout import drop_features
from nabi.models._networks._recurrent_stack import run_layer

__all__ = ["DirectionRead", "make_directions", "read_directions"]


class DirectionRead(NamedTuple):
    """What a direction of a layer has read."""

    output: Tensor
    """`[B, T, width]`."""
    final: tuple[Tensor, ...]
    """Its states after its last step."""


def make_directions(cell: Cell, reads: int, count: int, directions: int) -> tuple[torch.nn.ModuleList, int]:
    """Return the layers, those of each direction beside each other, and the width of what the last ones say.

    Args:
        cell: of every layer.
        reads: features that the first layer reads.
        count: layers on top of each other.
        directions: 1 or 2.
    """
    found = torch.nn.ModuleList()
    for number in range(count):
        for direction in range(directions):
            layer = layers.RNN(cell, return_sequences=True, name=f"recurrent_{number}_{direction}")
            layer.build((None, None, reads))
            found.append(layer)
        reads = cell.output_width * directions
    return found, reads


def read_directions(
    recurrent: Sequence[torch.nn.Module] | torch.nn.ModuleList,
    directions: int,
    x: Tensor,
    lengths: Tensor,
    generator: torch.Generator | None,
    dropout: float,
) -> list[DirectionRead]:
    """Read `[B, T, D]`; return what the directions of the last layer have read.

    Args:
        recurrent: of `make_directions`.
        directions: 1 or 2.
        x: what the first layer reads, padded at the end.
        lengths: `[B]`, how many steps of a row count.
        generator: of random numbers for dropout; None for none, which is not training.
        dropout: share of the features left out between two layers.
    """
    reads: list[DirectionRead] = []
    for first in range(0, len(recurrent), directions):
        if first:
            x = drop_features(torch.cat([one.output for one in reads], 2), dropout, generator)
        reads = [
            DirectionRead(
                *run_layer(recurrent[first + place], x, None, lengths, generator, reverse=bool(place))
            )
            for place in range(directions)
        ]
    return reads
