"""Packed rows: the layout in which the valid steps of a batch are computed.

The k-th steps of all sequences that have one are stored in `active[k]` rows, the longest sequences first;
`active` never increases. It is the layout of `torch.nn.utils.rnn.PackedSequence`. Lengths, masks, resets,
reversal and packed input are all expressed in it, so a target that supports packed rows supports all of them.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from nabi._once import LOCK, cached_property

__all__ = ["Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The relation between packed rows and a batch.

    All threads and layers with such batches share one object, and kernels receive the addresses of its
    tensors: each tensor is created once and lives as long as the object.

    Attributes:
        active: number of rows of each step, never increasing; their sum is the number of rows N.
        batch: number of sequences B, including those without any valid step.
        order: sequences from the longest to the shortest, `[B]`, or None if they are in that order.
        place: `[N]`, the position of each row in the batch (`b * T + t`, or the row of packed data), or None
            if
            row `k * B + b` is step k of sequence b.
        zero: `[N]`, whether the state is reset to zero before a step, or None.
        cut: `[N]`, whether no gradient flows from a step to the previous one, or None; includes `zero`.
        tables: what `table` has been asked for, by size.
        blocks: arguments of kernels that hold addresses of these tensors, kept by whoever runs the kernels.
    """

    active: list[int]
    batch: int
    order: Tensor | None = None
    place: Tensor | None = None
    zero: Tensor | None = None
    cut: Tensor | None = None
    _chunks: dict[int, Tensor] = field(default_factory=dict, repr=False)
    tables: dict[int, Tensor] = field(default_factory=dict, repr=False)
    blocks: dict[Any, list[Any]] = field(default_factory=dict, repr=False)

    @cached_property
    def count(self) -> int:
        """The number of rows."""
        return sum(self.active)

    @cached_property
    def is_even(self) -> bool:
        """Whether every step has all sequences."""
        return not self.active or self.active[-1] == self.batch

    @cached_property
    def offset(self) -> Tensor:
        """The first row of every step, followed by the number of rows, `[T + 1]`."""
        return torch.tensor(self._firsts, dtype=torch.int64)

    @cached_property
    def back(self) -> Tensor | None:
        """The position of each sequence in `order`, `[B]`, or None if `order` is."""
        return None if self.order is None else _inverse(self.order, self.batch)

    def table(self, size: int) -> Tensor:
        """Return the row of every step of a batch, valid or not, `[size]`; -1 for steps without a row.

        Args:
            size: number of steps of the batch, `B * T`, or of rows of packed data.
        """
        found = self.tables.get(size)
        if found is None:
            with LOCK:
                found = self.tables.get(size)
                if found is None:
                    assert self.place is not None
                    found = self.tables[size] = _inverse(self.place, size)
        return found

    def chunks(self, limit: int) -> Tensor:
        """Divide the steps into pieces of at most `limit` rows each, or of one step.

        Returns:
            The first step of every piece, followed by the number of steps.
        """
        found = self._chunks.get(limit)
        if found is None:
            with LOCK:
                found = self._chunks.get(limit)
                if found is None:
                    found = self._chunks[limit] = self._cut(limit)
        return found

    def _cut(self, limit: int) -> Tensor:
        last = len(self.active)
        if self.count <= limit or not last:
            return torch.tensor((0, last), dtype=torch.int64)
        firsts = self._firsts
        starts = [0]
        while starts[-1] < last:
            start = starts[-1]
            starts.append(max(bisect_right(firsts, firsts[start] + limit) - 1, start + 1))
        return torch.tensor(starts, dtype=torch.int64)

    @cached_property
    def _firsts(self) -> list[int]:
        return [0, *accumulate(self.active)]


def _inverse(place: Tensor, size: int) -> Tensor:
    found = place.new_full((size,), -1)
    found[place] = torch.arange(len(place), device=place.device)
    return found
