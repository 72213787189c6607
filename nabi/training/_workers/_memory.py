"""Gradients that workers on one machine write into memory that all of them see.

Nothing travels there: each worker adds up its part of a large gradient, and all of the small ones. While it
trains whole epochs undisturbed, it can update its part of the weights, too; see `_pieces`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.training._workers._bucket import Bucket, places_in, rows_read, set_gradient
from nabi.training._workers._group import Workers
from nabi.training._workers._shared_memory import SharedMemory, bytes_of

__all__ = ["LargeInMemory", "SmallInMemory", "TableInMemory"]

_MOST_ROWS = 0.5  # of an embedding, for its rows to be written by themselves
_LINE = 16  # elements of a large weight that stay together


class SmallInMemory(Bucket):
    """Small gradients, side by side; every worker adds all of them up.

    They have two places, in turns: while a slow worker still reads those of a step, a fast one writes those
    of the next.
    """

    def __init__(self, weights: Sequence[Tensor], workers: Workers, memory: SharedMemory) -> None:
        super().__init__(weights)
        dtype, count = weights[0].dtype, sum(one.numel() for one in weights)
        self._places = [[memory.tensor([count], dtype) for _ in range(workers.count)] for _ in range(2)]
        self._own = [places_in(places[workers.number], weights) for places in self._places]
        self._sum = torch.zeros(count, dtype=dtype)
        self._views = places_in(self._sum, weights)
        self._turn = 0

    @staticmethod
    def size(weights: Sequence[Tensor], workers: int) -> int:
        """Return how many bytes of memory it needs."""
        return 2 * workers * bytes_of([sum(one.numel() for one in weights)], weights[0].dtype)

    def begin(self, factor: float) -> None:
        """Go on to the other places."""
        super().begin(factor)
        self._turn = 1 - self._turn

    def take(self, weight: Tensor) -> None:
        """Write a gradient where all see it."""
        super().take(weight)
        view = self._own[self._turn][id(weight)]
        if weight.grad is None or not self._factor:
            view.zero_()
        else:
            torch.mul(weight.grad, self._factor, out=view)

    def send(self) -> None:
        """Do nothing: others see it."""
        return

    def receive(self, things: float, used: dict[int, float]) -> None:
        """Add up those of all workers."""
        _add_up(self._places[self._turn], self._sum, things)
        for weight in self.weights:
            if used[id(weight)]:
                set_gradient(weight, self._views[id(weight)])


def _add_up(parts: Sequence[Tensor], into: Tensor, things: float) -> None:
    # In the same order everywhere.
    first, second, *others = parts
    torch.add(first, second, out=into)
    for one in others:
        into.add_(one)
    if things:
        into.div_(things)


class LargeInMemory(Bucket):
    """A large gradient: each worker adds up a part of it.

    Attributes:
        part: the elements that are this worker's.
        whole: what all make together, each its part, `[N]`: the gradient; or while the weight is divided, the
            weight itself.
        gradient: this worker's part of the gradient, while the weight is divided; else None.
    """

    meets = True

    def __init__(self, weights: Sequence[Tensor], workers: Workers, memory: SharedMemory) -> None:
        super().__init__(weights)
        (weight,) = weights
        share = workers.share(weight.numel() // _unit(weight))
        first, end = share.first * _unit(weight), (share.first + share.count) * _unit(weight)
        # What is left over is the last one's.
        self.part = slice(first, weight.numel() if workers.number == workers.count - 1 else end)
        self._places = [memory.tensor([weight.numel()], weight.dtype) for _ in range(workers.count)]
        self._own = self._places[workers.number].view(weight.shape)
        self.whole = memory.tensor([weight.numel()], weight.dtype)
        self.gradient: Tensor | None = None

    @staticmethod
    def size(weights: Sequence[Tensor], workers: int) -> int:
        """Return how many bytes of memory it needs."""
        return (workers + 1) * bytes_of([weights[0].numel()], weights[0].dtype)

    def take(self, weight: Tensor) -> None:
        """Write the gradient where all see it."""
        super().take(weight)
        if weight.grad is None or not self._factor:
            self._own.zero_()
        else:
            torch.mul(weight.grad, self._factor, out=self._own)

    def send(self) -> None:
        """Do nothing: others see it."""
        return

    def receive(self, things: float, used: dict[int, float]) -> None:
        """Add up this worker's part."""
        into = self.whole[self.part] if self.gradient is None else self.gradient
        _add_up([place[self.part] for place in self._places], into, things)

    def collect(self, used: dict[int, float]) -> None:
        """Take the whole gradient."""
        (weight,) = self.weights
        if used[id(weight)]:
            set_gradient(weight, self.whole.view(weight.shape))

    def divide(self) -> None:
        """Begin to receive this worker's part of the gradient alone."""
        self.gradient = torch.zeros_like(self.whole[self.part])

    def join(self) -> None:
        """Receive the whole gradient again."""
        self.gradient = None


def _unit(weight: Tensor) -> int:
    """Return how many elements of a weight stay together: a row, or a line of memory."""
    return weight.shape[1] if weight.dim() == 2 else _LINE


class TableInMemory(LargeInMemory):
    """The gradient of an embedding: where a worker has read few of its rows, it writes only theirs.

    Everyone adds up the rows of all, unless someone has read many.
    """

    def __init__(self, weights: Sequence[Tensor], workers: Workers, memory: SharedMemory) -> None:
        super().__init__(weights, workers, memory)
        (weight,) = weights
        self._tables = [place.view(weight.shape) for place in self._places]
        # For each worker how many rows it has written, -1 for all, and their numbers, which rise.
        self._counts = [memory.tensor([1], torch.int64) for _ in self._tables]
        self._rows = [memory.tensor([len(weight)], torch.int64) for _ in self._tables]
        self._number = workers.number
        self._at = torch.zeros(len(weight), dtype=torch.int64)
        self._took_rows = self._are_few = False
        # Rows of `gradient` that are not zero; None if that is not known.
        self._filled: list[Tensor] | None = []

    @staticmethod
    def size(weights: Sequence[Tensor], workers: int) -> int:
        """Return how many bytes of memory it needs."""
        rows = bytes_of([1], torch.int64) + bytes_of([len(weights[0])], torch.int64)
        return LargeInMemory.size(weights, workers) + workers * rows

    def begin(self, factor: float) -> None:
        """Begin a step."""
        super().begin(factor)
        self._took_rows = False

    def has_gradient(self, weight: Tensor) -> bool:
        """Whether this worker has found a gradient."""
        return self._took_rows or super().has_gradient(weight)

    def take(self, weight: Tensor) -> None:
        """Write those rows of the gradient that have been read."""
        self._missing.discard(id(weight))
        codes, self.codes = self.codes, None
        if weight.grad is None or not self._factor:
            self._counts[self._number].zero_()
            return
        rows = rows_read(weight.grad, codes).nonzero().squeeze(1)
        values = self._write(rows)
        if values is None:
            super().take(weight)
        else:
            torch.index_select(weight.grad, 0, rows, out=values).mul_(self._factor)

    def take_rows(self, weight: Tensor, codes: Tensor, gradients: Tensor) -> bool:
        """Take the gradients of what a batch has read, in the place of that of the embedding.

        Args:
            weight: the embedding.
            codes: the rows that a batch has read, in any order and number.
            gradients: that of each, `[*codes.shape, width]`.

        Returns:
            whether it has; it does not if many rows have been read.
        """
        codes = codes.reshape(-1).long()
        rows = rows_read(weight, codes).nonzero().squeeze(1)
        values = self._write(rows)
        if values is None:
            return False
        self._at[rows] = torch.arange(len(rows))
        values.zero_().index_add_(0, self._at[codes], gradients.reshape(len(codes), -1)).mul_(self._factor)
        self._missing.discard(id(weight))
        self._took_rows = True
        return True

    def _write(self, rows: Tensor) -> Tensor | None:
        """Write which rows there are; return where their values belong, None if that is the whole table."""
        many = len(rows) > _MOST_ROWS * len(self._at)
        self._counts[self._number].fill_(-1 if many else len(rows))
        if many:
            return None
        self._rows[self._number][: len(rows)] = rows
        return self._tables[self._number][: len(rows)]

    def receive(self, things: float, used: dict[int, float]) -> None:
        """Add up the rows of all workers, or this worker's part of the table."""
        (weight,) = self.weights
        counts = [int(count) for count in self._counts]
        self._are_few = min(counts) >= 0
        if self.gradient is None and self._are_few:
            if used[id(weight)]:
                self._add_to_all(weight, counts, things)
            return
        width = weight.shape[1]
        part = (self.whole[self.part] if self.gradient is None else self.gradient).view(-1, width)
        if self.gradient is None or self._filled is None:
            part.zero_()
        else:
            for rows in self._filled:
                part.index_fill_(0, rows, 0)
        first, end = self.part.start // width, self.part.stop // width
        bounds = torch.tensor([first, end])
        filled = []
        scale = 1 / things if things else 1.0
        for count, rows, table in zip(counts, self._rows, self._tables, strict=True):
            if count < 0:
                part.add_(table[first:end], alpha=scale)
                continue
            begin, stop = torch.searchsorted(rows[:count], bounds).tolist()
            filled.append(rows[begin:stop] - first)
            part.index_add_(0, filled[-1], table[begin:stop], alpha=scale)
        self._filled = filled if self._are_few else None

    def _add_to_all(self, weight: Tensor, counts: list[int], things: float) -> None:
        gradient = weight.grad
        if gradient is None:
            gradient = weight.grad = torch.zeros_like(weight)
        if self._factor and not self._took_rows:
            gradient.index_fill_(0, self._rows[self._number][: counts[self._number]], 0)
        else:  # it is that of an earlier batch
            gradient.zero_()
        for count, rows, table in zip(counts, self._rows, self._tables, strict=True):
            gradient.index_add_(0, rows[:count], table[:count], alpha=1 / things if things else 1.0)

    def collect(self, used: dict[int, float]) -> None:
        """Take the whole gradient, unless its rows are there."""
        if not self._are_few:
            super().collect(used)

    def divide(self) -> None:
        """Begin to receive this worker's part of the gradient alone."""
        super().divide()
        self._filled = []
