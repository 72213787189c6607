"""The layout in which the valid steps of a batch are computed: packed rows.

Step k of every sequence that has one lies in `active[k]` rows, the longest sequences first; `active` never
grows. It is the layout of `torch.nn.utils.rnn.PackedSequence`, and lengths, masks, resets, reversal and
packed input are all expressed in it, so that a target which knows packed rows knows them all.
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
    """How packed rows relate to a batch.

    One object serves all threads and layers with such batches, and kernels are given the addresses of its
    tensors: each is made once and stays as long as the object.

    Attributes:
        active: rows of each step, never growing; their sum is the number of rows N.
        batch: number of sequences B, those without any valid step among them.
        order: sequences from the longest to the shortest, `[B]`, or None when they come in that order.
        place: `[N]`, where each row lies in the batch (`b * T + t`, or the row of packed data), or None when
            row `k * B + b` is step k of sequence b.
        zero: `[N]`, whether the state becomes zero before a step, or None.
        cut: `[N]`, whether no gradient flows back from a step to the one before, or None; includes `zero`.
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
        """How many rows there are."""
        return sum(self.active)

    @cached_property
    def is_even(self) -> bool:
        """Whether every step has all sequences."""
        return not self.active or self.active[-1] == self.batch

    @cached_property
    def offset(self) -> Tensor:
        """The first row of every step and, last, the number of rows, `[T + 1]`."""
        return torch.tensor(self._firsts, dtype=torch.int64)

    @cached_property
    def back(self) -> Tensor | None:
        """Where each sequence stands in `order`, `[B]`, or None as there."""
        return None if self.order is None else _inverse(self.order, self.batch)

    def know(self, *, count: int, offset: Tensor, back: Tensor | None, table: Tensor) -> None:
        """Take over what was found when the layout was made; else it would be found when it is asked for."""
        vars(self).update(count=count, offset=offset, back=back)
        self.tables[len(table)] = table

    def table(self, size: int) -> Tensor:
        """Return the row of every step of a batch, valid or not, `[size]`; -1 where it has none.

        Args:
            size: steps of the batch: `B * T`, or the rows of packed data.
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
        """Cut the steps into pieces of at most `limit` rows each, or of one step.

        Returns:
            The first step of every piece and, last, the number of steps.
        """
        found = self._chunks.get(limit)
        if found is None:
            with LOCK:
                found = self._chunks.get(limit)
                if found is None:
                    found = self._chunks[limit] = self._cut(limit)
        return found

    def _cut(self, limit: int) -> Tensor:
        firsts, last = self._firsts, len(self.active)
        starts = [0] if last else [0, 0]
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
