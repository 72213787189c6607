"""Which rows of a batch this process has, where several processes train on one batch together.

Random numbers that belong to rows, such as what dropout leaves out, are drawn for the rows of all
processes, and each keeps those of its own. So every generator stands at the same place in each process, and
what is drawn is what one process would draw for the whole batch.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RowShare", "drawn_for_rows", "having_rows", "row_share"]


@dataclass(frozen=True)
class RowShare:
    """The rows of a batch that one process has.

    Attributes:
        first: the number of the first.
        count: how many there are; none in a batch of fewer rows than processes.
        total: rows of the batch.
    """

    first: int
    count: int
    total: int

    @property
    def rows(self) -> slice:
        """Where they are in the batch."""
        return slice(self.first, self.first + self.count)

    @classmethod
    def of(cls, total: int, worker: int, workers: int) -> "RowShare":
        """Return the share of one of several: rows side by side, as many as others have, or one less.

        >>> [RowShare.of(7, worker, 3).rows for worker in range(3)]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
        """
        first, end = total * worker // workers, total * (worker + 1) // workers
        return cls(first, end - first, total)


class _OfThread(threading.local):
    """What a thread computes; a context variable would do, but torch.compile cannot follow one."""

    share: RowShare | None = None


_current = _OfThread()


def row_share() -> RowShare | None:
    """Return which rows of the batch are computed here; None if all are."""
    return _current.share


@contextmanager
def having_rows(share: RowShare | None) -> Iterator[None]:
    """Say which rows of the batch are computed here, while it is entered."""
    before, _current.share = _current.share, share
    try:
        yield
    finally:
        _current.share = before


def drawn_for_rows(draw: Callable[[tuple[int, ...]], "Tensor"], shape: Sequence[int]) -> "Tensor":
    """Draw random numbers of this shape, whose first axis are the rows of a batch.

    Args:
        draw: gives random numbers of a shape.
        shape: `[rows, ...]`; where its first axis is not that of the rows which are computed here, it is
            drawn as it is.

    >>> import torch
    >>> def draw(shape):
    ...     return torch.rand(shape, generator=torch.Generator().manual_seed(0))
    >>> with having_rows(RowShare(first=2, count=1, total=4)):
    ...     mine = drawn_for_rows(draw, (1, 3))
    >>> bool((mine == draw((4, 3))[2:3]).all())
    True
    """
    share = _current.share
    if share is None or shape[0] != share.count:
        return draw(tuple(shape))
    return draw((share.total, *shape[1:]))[share.rows]
