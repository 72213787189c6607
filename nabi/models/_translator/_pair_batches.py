"""Pairs of a source and a target as codes, in batches of about the same length."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.data import Vocabulary

__all__ = ["PairBatch", "PairBatches", "padded"]

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

# Pairs are sorted by length within this many batches at a time. More would save little padding and always
# bring the same pairs together.
_BATCHES_IN_A_POOL = 64


class PairBatch(NamedTuple):
    """Pairs side by side, padded at the end to the longest of the batch."""

    source: Tensor
    """`[B, S]`, int64."""
    source_lengths: Tensor
    """`[B]`."""
    read: Tensor
    """What the decoder reads, `[B, T]`: `START` and the target."""
    said: Tensor
    """What it is to say, `[B, T]`: the target and `START`, which is the end."""
    target_lengths: Tensor
    """Steps of the decoder, `[B]`."""


class PairBatches:
    """Pairs that were turned into codes, as batches.

    Args:
        sources: N arrays of codes, none empty.
        targets: N arrays of codes.
        batch_size: pairs in a batch; one of all batches may have fewer.
    """

    def __init__(self, sources: Sequence[Codes], targets: Sequence[Codes], batch_size: int) -> None:
        self._sources, self._targets, self._size = sources, targets, batch_size
        self._source_lengths = np.array([len(codes) for codes in sources], dtype=np.int64)
        self._target_lengths = np.array([len(codes) for codes in targets], dtype=np.int64)

    def __len__(self) -> int:
        """How many batches there are."""
        return -(-len(self._sources) // self._size)

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self._sources)

    def shuffled(self, seed: int, epoch: int) -> list[Rows]:
        """Return which pairs are in which batch of an epoch; every pair is in one."""
        random = np.random.default_rng([seed, epoch])
        order = random.permutation(self.pairs)
        pool = self._size * _BATCHES_IN_A_POOL
        batches: list[Rows] = []
        for start in range(0, self.pairs, pool):
            batches += self._cut(order[start : start + pool])
        return [batches[place] for place in random.permutation(len(batches))]

    def ordered(self) -> list[Rows]:
        """Return which pairs are in which batch, from short ones to long ones."""
        return self._cut(np.arange(self.pairs))

    def _cut(self, rows: Rows) -> list[Rows]:
        """Sort pairs by source length, then target length, and cut them into batches."""
        by_length = rows[np.lexsort((self._target_lengths[rows], self._source_lengths[rows]))]
        return [by_length[start : start + self._size] for start in range(0, len(rows), self._size)]

    def batch(self, rows: Rows) -> PairBatch:
        """Return these pairs side by side."""
        source, source_lengths = padded([self._sources[row] for row in rows])
        target, lengths = padded([self._targets[row] for row in rows])
        edge = torch.full((len(rows), 1), Vocabulary.START, dtype=torch.int64)
        read = torch.cat([edge, target], dim=1)
        said = torch.cat([target, torch.full_like(edge, Vocabulary.PADDING)], dim=1)
        said.scatter_(1, lengths[:, None], edge)
        return PairBatch(source, source_lengths, read, said, lengths + 1)


def padded(sequences: Sequence[Codes]) -> tuple[Tensor, Tensor]:
    """Return sequences side by side, `[B, longest]`, padded at the end, and their lengths `[B]`."""
    lengths = np.array([len(codes) for codes in sequences], dtype=np.int64)
    block = np.full((len(sequences), int(lengths.max())), Vocabulary.PADDING, dtype=np.int64)
    for line, codes in zip(block, sequences, strict=True):
        line[: len(codes)] = codes
    return torch.from_numpy(block), torch.from_numpy(lengths)
