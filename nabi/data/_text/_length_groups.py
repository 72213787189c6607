"""Batches of sequences of about the same length."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, ShapeError

__all__ = ["LengthGroups"]

Batch = tuple[Any] | tuple[Any, Tensor] | tuple[Any, Tensor, Tensor]

# Sequences are sorted by length within pools of this many batches. Larger pools would save little padding
# and always group the same sequences.
_BATCHES_IN_A_POOL = 64


class LengthGroups:
    """Batches of sequences of about the same length, each padded only to its longest.

    Iterating yields the batches of one epoch: `(x, y, w)` with x `[B, T]` of type int64, and y and w if
    `targets` and `weights` were given. Every sample occurs once in every epoch. Pass it as x to `fit`,
    `evaluate` and `predict`, or as `validation_data` to `fit`. For `predict` use `shuffle=False`: `order`
    then says which sample each prediction is for.

    Args:
        sequences: N sequences of codes, lists or arrays `[T]` of integers; they may be empty.
        targets: of the samples, `[N]` or `[N, C]`.
        weights: of the samples, `[N]`.
        batch_size: sequences per batch; one batch of an epoch may have fewer.
        shuffle: whether to draw new batches in a new order for every epoch. The samples are shuffled, sorted
            by length within pools of 64 batches, cut into batches, and the batches shuffled. Otherwise
            batches go from the shortest to the longest sequences (with `grouped=False`, in the given order).
        seed: of the order; the same seed gives the same epochs. Drawn from NumPy's random state by default.
        padding: `"post"` fills a short sequence with 0 at its end, `"pre"` at its beginning.
        grouped: False for batches of mixed lengths, all padded to the longest sequence overall.
        beside: what else is known of the samples, numbers `[N, F]`, for a model with two inputs: x is then
            the pair of the sequences and these.

    Attributes:
        epoch: number of the next epoch, from 0; set it to resume a run.
        padded_steps: steps in all batches of the next epoch, including padding.
        valid_steps: steps excluding padding.

    Raises `UnknownNameError` for an unknown `padding`, `ArgumentError` for an empty list, sequences that are
    not of integers or a batch size below 1, `ShapeError` if the number of targets, weights or rows
    beside is not N.

    >>> groups = LengthGroups([[5, 6, 7], [8], [9, 4]], targets=[1, 0, 1], batch_size=2, shuffle=False)
    >>> for x, y in groups:
    ...     print(x.tolist(), y.tolist())
    [[8, 0], [9, 4]] [0, 1]
    [[5, 6, 7]] [1]
    >>> groups.order
    array([1, 2, 0])
    >>> groups.padded_steps, groups.valid_steps
    (7, 6)
    """

    @public
    def __init__(
        self,
        sequences: Sequence[Any],
        targets: Any = None,
        weights: Any = None,
        *,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        padding: str = "post",
        grouped: bool = True,
        beside: Any = None,
    ) -> None:
        self.padding = _checks.choice("padding", padding, ("post", "pre"))
        self.batch_size = _checks.whole("batch_size", batch_size)
        self.shuffle, self.grouped, self.epoch = shuffle, grouped, 0
        if seed is None:
            self.seed = int(np.random.randint(2**31))
        else:
            self.seed = _checks.seed("seed", seed, otherwise=" or None")
        self._codes, self._ends = _flat(sequences)
        self._lengths = np.diff(self._ends, prepend=0)
        self._targets = _beside("targets", targets, len(self._ends))
        self._weights = _beside("weights", weights, len(self._ends))
        self._others = _beside("beside", beside, len(self._ends))
        if self._weights is not None and self._weights.ndim != 1:
            raise ShapeError(f"weights: expected the shape [N], got {tuple(self._weights.shape)}")
        if weights is not None and targets is None:
            raise ArgumentError("weights: expected targets as well, got weights alone")

    def __len__(self) -> int:
        return -(-len(self._ends) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        batches = self._batches(self.epoch)
        self.epoch += 1
        return (self._assembled(rows) for rows in batches)

    def get_extra(self) -> dict[str, int]:
        """Return what the order of the next epochs follows from, for `BackupAndRestore`."""
        return {"epoch": self.epoch}

    def set_extra(self, extra: dict[str, int]) -> None:
        """Go on with the order of the epoch that `get_extra` was called before."""
        self.epoch = _checks.whole("epoch", extra["epoch"], 0)

    @property
    def valid_steps(self) -> int:
        """Steps of an epoch, excluding padding."""
        return len(self._codes)

    @property
    def padded_steps(self) -> int:
        """Steps in all batches of the next epoch, including padding."""
        return sum(len(rows) * self._width(rows) for rows in self._batches(self.epoch))

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """Index of the sample in each row of the batches, `[N]`: `restored[groups.order] = predictions`.

        Raises `ArgumentError` with `shuffle=True`, where every epoch has its own order.
        """
        if self.shuffle:
            raise ArgumentError("order: it differs in every epoch; use LengthGroups(shuffle=False)")
        return np.concatenate(self._batches(0))

    def _batches(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Return the indices of the samples in each batch of an epoch."""
        count, size = len(self._ends), self.batch_size
        if not self.shuffle:
            order = np.argsort(self._lengths, kind="stable") if self.grouped else np.arange(count)
            return [order[start : start + size] for start in range(0, count, size)]
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(count)
        if self.grouped:
            pool = size * _BATCHES_IN_A_POOL
            for start in range(0, count, pool):
                part = order[start : start + pool]
                order[start : start + pool] = part[np.argsort(self._lengths[part], kind="stable")]
        batches = [order[start : start + size] for start in range(0, count, size)]
        return [batches[position] for position in random.permutation(len(batches))]

    def _width(self, rows: npt.NDArray[np.int64]) -> int:
        # Layers expect at least one step.
        longest = self._lengths[rows] if self.grouped else self._lengths
        return max(1, int(longest.max()))

    def _assembled(self, rows: npt.NDArray[np.int64]) -> Batch:
        block = np.zeros((len(rows), self._width(rows)), dtype=np.int64)
        ends, lengths = self._ends[rows].tolist(), self._lengths[rows].tolist()
        if self.padding == "post":
            for line, end, length in zip(block, ends, lengths, strict=True):
                line[:length] = self._codes[end - length : end]
        else:
            for line, end, length in zip(block, ends, lengths, strict=True):
                line[len(line) - length :] = self._codes[end - length : end]
        x: Any = torch.from_numpy(block)
        chosen = torch.from_numpy(rows)
        if self._others is not None:
            x = (x, self._others.index_select(0, chosen))
        if self._targets is None:
            return (x,)
        y = self._targets.index_select(0, chosen)
        return (x, y) if self._weights is None else (x, y, self._weights.index_select(0, chosen))


def _flat(sequences: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return all codes in one array, and where each sequence ends in it."""
    if isinstance(sequences, str) or not hasattr(sequences, "__len__") or not len(sequences):
        raise ArgumentError(f"sequences: expected a list of sequences, got {sequences!r}")
    arrays = []
    for position, sequence in enumerate(sequences):
        try:
            array = np.asarray(sequence)
        except (ValueError, TypeError):
            array = np.asarray("no array")
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise ArgumentError(
                f"sequences[{position}]: expected a list of whole numbers, "
                f"got {array.dtype} of shape {array.shape}"
            )
        # NumPy promotes a mix of uint64 and signed integers to float.
        arrays.append(array if array.dtype.kind == "i" else array.astype(np.int64))
    return np.concatenate(arrays), np.cumsum([len(array) for array in arrays], dtype=np.int64)


def _beside(argument: str, values: Any, count: int) -> Tensor | None:
    """Targets or weights as a tensor with a row for each sample."""
    if values is None:
        return None
    try:
        tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    except (ValueError, TypeError) as problem:
        raise ArgumentError(f"{argument}: expected numbers, got something else ({problem})") from problem
    if tensor.ndim == 0 or len(tensor) != count:
        raise ShapeError(
            f"{argument}: expected one for each of {count} sequences, got shape {tuple(tensor.shape)}"
        )
    return tensor
