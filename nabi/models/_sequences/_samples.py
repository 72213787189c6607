"""Sequences with what they are labelled with, as a training takes them."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi.data import stratified_split
from nabi.errors import ArgumentError, ShapeError

__all__ = ["NO_LABEL", "SequenceBatch", "SequenceSamples"]

NO_LABEL = -1
"""The target of a step that has no label: it counts neither in the loss nor in any figure."""
# Sequences are sorted by length within pools of so many batches.
_BATCHES_IN_A_POOL = 64

Array = npt.NDArray[Any]


class SequenceBatch(NamedTuple):
    """Sequences padded to the longest of them, at the end."""

    inputs: Tensor
    """`[B, T, ...]`, padded with zeros."""
    lengths: Tensor
    """`[B]`."""
    targets: Tensor
    """`[B]` for one class or number each; `[B, T]` for one class a step, and `[B, L]` for strings, padded
    with `NO_LABEL`. Numbers are float32, classes int64."""
    target_lengths: Tensor
    """`[B]`: how many of the targets of a row count."""


@dataclass(frozen=True)
class SequenceSamples:
    """Sequences, and what they are labelled with.

    Every sequence has one step or more, and all have the same shape and type of step.

    Attributes:
        inputs: arrays `[T, ...]`.
        targets: of each sequence a class `int`, a number `float`, the class of every step `[T]`, or a string
            of classes `[L]`; None for sequences without labels.
        names: of each sequence, for messages and for tables of predictions: "TRAIN.ts:17".
        groups: of each sequence what it belongs to (a speaker, a family of duplicates): a group is never
            divided between training and validation.
        skipped: what is wrong with each sequence that was left out.
    """

    inputs: list[Array]
    targets: list[Any] | None = None
    names: tuple[str, ...] = ()
    groups: tuple[Hashable, ...] | None = None
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            names = tuple(f"sequences[{row}]" for row in range(len(self.inputs)))
            object.__setattr__(self, "names", names)
        for name, one in (("targets", self.targets), ("names", self.names), ("groups", self.groups)):
            if one is not None and len(one) != len(self.inputs):
                raise ArgumentError(f"{name}: expected one for each of {len(self)} sequences, got {len(one)}")
        for name, array in zip(self.names, self.inputs, strict=True):
            if array.ndim == 0 or not len(array):
                raise ArgumentError(f"{name}: expected a sequence of one step or more, got an empty one")
            if array.shape[1:] != self.inputs[0].shape[1:]:
                raise ShapeError(
                    f"{name}: expected steps of the shape {self.inputs[0].shape[1:]}, as {self.names[0]} "
                    f"has, got {array.shape[1:]}"
                )

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Steps of each sequence."""
        return np.array([len(one) for one in self.inputs], dtype=np.int64)

    @property
    def _has_classes(self) -> bool:
        """Whether each sequence has one class."""
        return self.targets is not None and all(np.ndim(one) == 0 for one in self.targets)

    def take(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "SequenceSamples":
        """Return some of them."""
        targets, groups = self.targets, self.groups
        return replace(
            self,
            inputs=[self.inputs[row] for row in rows],
            targets=None if targets is None else [targets[row] for row in rows],
            names=tuple(self.names[row] for row in rows),
            groups=None if groups is None else tuple(groups[row] for row in rows),
        )

    def divided(
        self,
        share: float,
        seed: int,
        *,
        alike: Sequence[int] | None = None,
        called: str = "validation_share",
    ) -> tuple["SequenceSamples", "SequenceSamples"]:
        """Return what is learnt from and a share that is held out.

        Whole groups are held out where there are any. Otherwise each class has about the same share in both
        parts, where a sequence has one class.

        Args:
            share: from 0 to 1.
            seed: of the choice.
            alike: a number for each sequence in place of its class.
            called: what messages call the share.

        Raises:
            ArgumentError: for a share that cannot be, or leaves nothing to learn from or to hold out.
        """
        _checks.rate(called, share)
        if not share:
            return self, self.take([])
        rows = np.arange(len(self))
        held: npt.NDArray[np.int64]
        if self.groups is not None:
            held = _some_groups(self.groups, share, seed)
        elif alike is not None or (self._has_classes and len(self) > 1):
            classes = np.asarray(self.targets if alike is None else alike, np.int64).tolist()
            several = np.bincount(classes).max() > 1
            held = stratified_split(classes, share, seed=seed)[1] if several else rows[:0]
        else:
            held = np.random.default_rng(seed).permutation(rows)[: round(share * len(rows))]
        if not len(held) or len(held) == len(rows):
            what = "sequences" if self.groups is None else f"sequences in {len(set(self.groups))} groups"
            raise ArgumentError(
                f"{called}: {share} of {len(rows)} {what} cannot be held out; choose another share, "
                "or 0 for none"
            )
        return self.take(np.setdiff1d(rows, held)), self.take(np.sort(held))

    def batch(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> SequenceBatch:
        """Return some of them, padded."""
        chosen = [self.inputs[row] for row in rows]
        lengths = np.array([len(one) for one in chosen], dtype=np.int64)
        inputs = np.zeros((len(chosen), int(lengths.max()), *chosen[0].shape[1:]), chosen[0].dtype)
        for line, one in zip(inputs, chosen, strict=True):
            line[: len(one)] = one
        targets: Array = np.zeros(len(chosen), np.int64)
        counts = np.ones(len(chosen), np.int64)
        if self.targets is not None:
            kind = np.float32 if isinstance(self.targets[0], float) else np.int64
            wanted = [np.asarray(self.targets[row], kind) for row in rows]
            if wanted[0].ndim:
                counts = np.array([len(one) for one in wanted], dtype=np.int64)
                targets = np.full((len(wanted), int(counts.max())), NO_LABEL, np.int64)
                for line, one in zip(targets, wanted, strict=True):
                    line[: len(one)] = one
            else:
                targets = np.stack(wanted)
        return SequenceBatch(*map(torch.from_numpy, (inputs, lengths, targets, counts)))

    def shuffled(self, size: int, seed: Sequence[int]) -> list[npt.NDArray[np.int64]]:
        """Return the rows of the batches of an epoch: of about the same length, in a random order."""
        random, lengths = np.random.default_rng(seed), self.lengths
        order = random.permutation(len(self))
        for start in range(0, len(order), size * _BATCHES_IN_A_POOL):
            pool = order[start : start + size * _BATCHES_IN_A_POOL]
            order[start : start + len(pool)] = pool[np.argsort(lengths[pool], kind="stable")]
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        return [batches[place] for place in random.permutation(len(batches))]

    def by_length(self, size: int) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the rows of batches from the shortest to the longest sequences."""
        order = np.argsort(self.lengths, kind="stable")
        yield from (order[start : start + size] for start in range(0, len(order), size))

    def digest(self) -> bytes:
        """Return what differs for other sequences, labels or another order."""
        found = hashlib.sha256()
        for row, one in enumerate(self.inputs):
            found.update(f"{one.shape}{one.dtype.str}".encode())
            found.update(np.ascontiguousarray(one).tobytes())
            if self.targets is not None:
                found.update(repr(np.asarray(self.targets[row]).tolist()).encode())
        return found.digest()


def _some_groups(groups: Sequence[Hashable], share: float, seed: int) -> npt.NDArray[np.int64]:
    """Rows of whole groups, drawn at random until they are about this share of all rows."""
    rows_of: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows_of.setdefault(group, []).append(row)
    order = np.random.default_rng(seed).permutation(len(rows_of))
    members, wanted = list(rows_of.values()), share * len(groups)
    held: list[int] = []
    for place in order[:-1]:
        rows = members[place]
        # A group that would lead farther from the share than it is now is not taken, unless it is the first.
        if not held or abs(len(held) + len(rows) - wanted) < abs(len(held) - wanted):
            held += rows
    return np.array(sorted(held), dtype=np.int64)
