"""Batches of windows over a time series, each with its target, following Keras' rules."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi._checks import whole
from nabi.errors import ArgumentError, ShapeError

__all__ = ["TimeseriesDataset", "timeseries_dataset_from_array"]


class TimeseriesDataset:
    """Batches of windows that can be iterated any number of times; see `timeseries_dataset_from_array`.

    `len` is the number of batches, `dataset[i]` batch number `i`; a shuffled one has a new order in each
    iteration.
    """

    def __init__(
        self,
        data: npt.NDArray[Any],
        targets: npt.NDArray[Any] | None,
        starts: npt.NDArray[Any],
        offsets: npt.NDArray[Any],
        batch_size: int | None,
        random: np.random.Generator | None,
    ) -> None:
        self.data, self.targets, self.batch_size = data, targets, batch_size
        self._starts, self._offsets, self._random = starts, offsets, random
        self._order = np.arange(len(starts))
        if random is not None:
            random.shuffle(self._order)

    def __len__(self) -> int:
        return -(-len(self._starts) // (self.batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        """Return batch `index`, samples or `(samples, targets)`; raise `IndexError` past the last."""
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        size = self.batch_size or 1
        chosen = self._order[index * size : (index + 1) * size]
        samples = self.data[self._starts[chosen, None] + self._offsets]
        if self.targets is None:
            return samples if self.batch_size else samples[0]
        targets = self.targets[self._starts[chosen]]
        return (samples, targets) if self.batch_size else (samples[0], targets[0])

    def __iter__(self) -> Iterator[Any]:
        if self._random is not None:
            self._random.shuffle(self._order)
        return (self[index] for index in range(len(self)))


def timeseries_dataset_from_array(
    data: npt.ArrayLike,
    targets: npt.ArrayLike | None,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> TimeseriesDataset:
    """Cut a series into windows `[B, sequence_length, ...]`, each with the target of its first step.

    The window that begins at step `i` has the target `targets[i]`; to predict the step after the window, pass
    `data[:-length]` and `targets=data[length:]`.

    Args:
        data: the series `[T]` or `[T, ...]`.
        targets: the target of the window that begins at each step, `[T]` or `[T, ...]`, or shorter; None for
            samples without targets.
        sequence_length: steps in a window.
        sequence_stride: distance between the beginnings of two windows, in steps.
        sampling_rate: distance between steps inside a window.
        batch_size: windows per batch; None for single windows without a batch axis.
        shuffle: whether windows come in a new random order in each iteration.
        seed: of that order.
        start_index: the first step used.
        end_index: one past the last step used.

    Returns:
        A data set to pass as `x` to `fit`, `evaluate` and `predict`.

    Raises:
        ShapeError: if data or targets have no time axis.
        ArgumentError: for numbers out of range, or if no window fits.

    >>> dataset = timeseries_dataset_from_array(range(10), range(100, 110), sequence_length=3, batch_size=2)
    >>> samples, targets = dataset[0]
    >>> samples.tolist(), targets.tolist(), len(dataset)
    ([[0, 1, 2], [1, 2, 3]], [100, 101], 4)
    """
    series: npt.NDArray[Any] = np.asarray(data)
    wanted: npt.NDArray[Any] | None = None if targets is None else np.asarray(targets)
    for argument, array in (("data", series), ("targets", wanted)):
        if array is not None and array.ndim == 0:
            raise ShapeError(f"{argument}: expected an array [T] or [T, ...], got a single value")
    length = whole("sequence_length", sequence_length)
    stride = whole("sequence_stride", sequence_stride)
    rate = whole("sampling_rate", sampling_rate)
    size = None if batch_size is None else whole("batch_size", batch_size, otherwise=" or None")
    first = 0 if start_index is None else whole("start_index", start_index, 0, otherwise=" or None")
    last = len(series) if end_index is None else whole("end_index", end_index, otherwise=" or None")
    if last > len(series):
        raise ArgumentError(f"end_index: expected at most {len(series)} steps, got {end_index!r}")
    count = last - first - (length - 1) * rate
    if wanted is not None:
        count = min(count, len(wanted) - first)
    if count < 1:
        targeted = "" if wanted is None else f" with {len(wanted)} targets"
        raise ArgumentError(
            f"sequence_length: expected windows that fit into the steps {first} to {last}{targeted}, "
            f"got {length} steps, {rate} apart"
        )
    starts = np.arange(first, first + count, stride)
    random = np.random.default_rng(seed) if shuffle else None
    return TimeseriesDataset(series, wanted, starts, np.arange(length) * rate, size, random)
