"""Batches of windows over a time series, each with its target, by Keras' rules for such data sets."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi._checks import whole
from nabi.errors import ArgumentError, ShapeError

__all__ = ["TimeseriesDataset", "timeseries_dataset_from_array"]


class TimeseriesDataset:
    """What `timeseries_dataset_from_array` returns: batches that can be gone through again and again.

    `len` is the number of batches, `dataset[i]` batch number `i`; in a shuffled one the order is new each
    time that it is gone through.
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
        """Return batch `index`, samples or `(samples, targets)`; `IndexError` past the last."""
        if not 0 <= index < len(self):
            raise IndexError(f"index: {index} was given, 0 to {len(self) - 1} is expected")
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

    The window that begins at step `i` has the target `targets[i]`; to predict the step after the window, give
    `data[:-length]` and `targets=data[length:]`.

    Args:
        data: the series `[T]` or `[T, ...]`.
        targets: what belongs to the window that begins at each step, `[T]` or `[T, ...]`, or shorter; None
            for samples alone.
        sequence_length: steps in a window.
        sequence_stride: steps from the beginning of one window to that of the next.
        sampling_rate: steps from one to the next inside a window.
        batch_size: windows in a batch; None for single windows without an axis of the batch.
        shuffle: whether windows come in a new random order each time.
        seed: of that order.
        start_index: the first step that is used.
        end_index: the first step that is not used any more.

    Returns:
        What `fit`, `evaluate` and `predict` take as `x`.

    Raises:
        ShapeError: if data or targets have no axis of time.
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
            raise ShapeError(f"{argument}: expected an array [T] or [T, ...]; got a single value")
    length = whole("sequence_length", sequence_length)
    stride = whole("sequence_stride", sequence_stride)
    rate = whole("sampling_rate", sampling_rate)
    size = None if batch_size is None else whole("batch_size", batch_size, otherwise=" or None")
    first = 0 if start_index is None else whole("start_index", start_index, 0, otherwise=" or None")
    last = len(series) if end_index is None else whole("end_index", end_index, otherwise=" or None")
    if last > len(series):
        raise ArgumentError(f"end_index: expected {len(series)} steps of data at most; got {end_index!r}")
    count = last - first - (length - 1) * rate
    if wanted is not None:
        count = min(count, len(wanted) - first)
    if count < 1:
        targeted = "" if wanted is None else f" with {len(wanted)} targets"
        raise ArgumentError(
            f"sequence_length: expected windows that fit into the steps {first} to {last}{targeted}; "
            f"got {length} steps, {rate} apart"
        )
    starts = np.arange(first, first + count, stride)
    random = np.random.default_rng(seed) if shuffle else None
    return TimeseriesDataset(series, wanted, starts, np.arange(length) * rate, size, random)
