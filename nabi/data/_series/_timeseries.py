"""Batches of windows over a time series, made on demand."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, ShapeError

__all__ = ["TimeseriesGenerator"]

Batch = tuple[npt.NDArray[Any], npt.NDArray[Any]]


class TimeseriesGenerator:
    """Batches `(samples, targets)` of windows over a series, as in Keras' generator of the same name.

    The window that ends just before step `t` has target `t`.

    Args:
        data: the series `[T]` or `[T, ...]`.
        targets: one for each step, `[T]` or `[T, ...]`.
        length: how many steps back a window begins.
        sampling_rate: distance between steps inside a window, which has `ceil(length / sampling_rate)`.
        stride: distance between windows, in steps.
        start_index, end_index: the first and last step used; all by default.
        shuffle: whether to draw windows at random (NumPy's random state) instead of in order.
        reverse: whether the newest step of a window comes first.
        batch_size: windows per batch; the last batch may have fewer.

    A batch's samples are `[B, steps, ...]`, its targets `[B, ...]`. Raises `ShapeError` if data and targets
    have different lengths, `ArgumentError` if no window fits or an argument is not positive.

    >>> generator = TimeseriesGenerator([0, 1, 2, 3, 4], [0, 10, 20, 30, 40], length=2, batch_size=2)
    >>> len(generator)
    2
    >>> generator[0]
    (array([[0, 1],
           [1, 2]]), array([20, 30]))
    """

    @public
    def __init__(
        self,
        data: npt.ArrayLike,
        targets: npt.ArrayLike,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        self.data, self.targets = np.asarray(data), np.asarray(targets)
        if self.data.ndim == 0 or self.targets.ndim == 0 or len(self.data) != len(self.targets):
            raise ShapeError(
                f"targets: expected one for each step of data of shape {self.data.shape}, "
                f"got shape {self.targets.shape}"
            )
        self.length = length = _checks.whole("length", length)
        self.sampling_rate = _checks.whole("sampling_rate", sampling_rate)
        self.stride, self.batch_size = (
            _checks.whole("stride", stride),
            _checks.whole("batch_size", batch_size),
        )
        start_index = _checks.whole("start_index", start_index, 0)
        self.start_index = start_index + length  # of the first target
        last = len(self.data) - 1
        if end_index is None:
            self.end_index = last
        else:
            self.end_index = _checks.whole("end_index", end_index, 0, otherwise=" or None")
        self.shuffle, self.reverse = shuffle, reverse
        if self.start_index > self.end_index:
            raise ArgumentError(
                f"length: expected a window that fits between start_index={start_index} and "
                f"end_index={self.end_index}, got {length} steps"
            )

    def __len__(self) -> int:
        span = self.batch_size * self.stride
        return (self.end_index - self.start_index + span) // span

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`; raise `IndexError` past the last."""
        if not 0 <= index < len(self):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {index}")
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            span = self.batch_size * self.stride
            first = self.start_index + span * index
            rows = np.arange(first, min(first + span, self.end_index + 1), self.stride)
        samples = np.stack([self.data[row - self.length : row : self.sampling_rate] for row in rows])
        return (samples[:, ::-1] if self.reverse else samples), self.targets[rows]

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))
