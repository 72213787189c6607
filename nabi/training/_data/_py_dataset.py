"""A data set whose batches are made one by one by user code."""

from collections.abc import Iterator
from typing import Any

__all__ = ["PyDataset"]


class PyDataset:
    """Base class of data sets that make each batch on request; formerly `Sequence` in Keras.

    A subclass defines `__len__`, the number of batches, and `__getitem__(index)`, which returns `(x, y)` or
    `(x, y, sample_weight)`, or `x` alone for `predict`. `fit`, `evaluate` and `predict` take it as `x`, and
    `fit` as `validation_data`. `fit` visits the batches in a new random order in each epoch, or in order with
    `shuffle=False`. It calls `on_epoch_begin` before and `on_epoch_end` after each epoch.

    An infinite data set does not define `__len__`; pass `steps_per_epoch` for it.

    Arguments: `workers`, `use_multiprocessing` and `max_queue_size` are accepted as in Keras but ignored:
    batches are made between training steps. For worker processes use `torch.utils.data.DataLoader`.

    >>> import numpy as np
    >>> from nabi.utils import PyDataset
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         x = np.arange(4.0) + 4 * index
    ...         return x[:, None], x ** 2
    >>> [batch[0].shape for batch in Squares()]
    [(4, 1), (4, 1), (4, 1)]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return batch number `index`."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None for an infinite data set."""
        return len(self) if hasattr(self, "__len__") else None

    def __iter__(self) -> Iterator[Any]:
        index, count = 0, self.num_batches
        while count is None or index < count:
            yield self[index]
            index += 1

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch, for example to shuffle the samples."""
