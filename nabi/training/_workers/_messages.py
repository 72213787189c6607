"""Gradients that travel to other workers in messages of `torch.distributed`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.training._workers._bucket import Bucket, places_in, rows_read, set_gradient
from nabi.training._workers._group import reached

__all__ = ["LargeMessage", "SmallMessage", "TableMessage"]

_MOST_ROWS = 0.5  # of an embedding, for its rows to travel by themselves


class SmallMessage(Bucket):
    """Small gradients, side by side."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__(weights)
        self._work: Any = None
        first, count = weights[0], sum(one.numel() for one in weights)
        self._flat = torch.zeros(count, dtype=first.dtype, device=first.device)
        self._views = places_in(self._flat, weights)

    def take(self, weight: Tensor) -> None:
        """Write a gradient beside the others."""
        super().take(weight)
        view = self._views[id(weight)]
        if weight.grad is None or not self._factor:
            view.zero_()
        else:
            torch.mul(weight.grad, self._factor, out=view)

    def send(self) -> None:
        """Send them in one message."""
        self._work = reached(torch.distributed.all_reduce, self._flat, async_op=True)

    def receive(self, things: float, used: dict[int, float]) -> None:
        """Wait for the sum."""
        reached(self._work.wait)
        if things:
            self._flat.div_(things)
        for weight in self.weights:
            if used[id(weight)]:
                set_gradient(weight, self._views[id(weight)])


class LargeMessage(Bucket):
    """A large gradient, which travels where it lies."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__(weights)
        self._work: Any = None
        self._sent: Tensor | None = None

    def take(self, weight: Tensor) -> None:
        """Multiply the gradient in its place."""
        super().take(weight)
        gradient = weight.grad
        if gradient is None or not self._factor:
            gradient = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        else:
            gradient = gradient.contiguous().mul_(self._factor)
        self._sent = gradient

    def send(self) -> None:
        """Send it."""
        self._work = reached(torch.distributed.all_reduce, self._sent, async_op=True)

    def receive(self, things: float, used: dict[int, float]) -> None:
        """Wait for the sum."""
        reached(self._work.wait)
        (weight,), sent, self._sent = self.weights, self._sent, None
        assert sent is not None
        if used[id(weight)]:
            set_gradient(weight, sent.div_(things) if things else sent)


class TableMessage(LargeMessage):
    """The gradient of an embedding: its rows that one of the workers has read travel, if these are few."""

    def take(self, weight: Tensor) -> None:
        """Look at the gradient; only the rows that travel are multiplied."""
        Bucket.take(self, weight)
        is_there = weight.grad is not None and self._factor
        self._sent = weight.grad.contiguous() if is_there and weight.grad is not None else None

    def send(self) -> None:
        """Send which rows have been read."""
        (weight,) = self.weights
        if self._sent is None:
            self._sent = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        self._read = rows_read(self._sent, self.codes)
        self.codes = None
        self._work = reached(
            torch.distributed.all_reduce, self._read, torch.distributed.ReduceOp.MAX, async_op=True
        )

    def receive(self, things: float, used: dict[int, float]) -> None:
        """Send the rows that someone has read, and wait for their sum."""
        reached(self._work.wait)
        assert self._sent is not None
        rows = self._read.nonzero().squeeze(1)
        if len(rows) > _MOST_ROWS * len(self._read):
            self._sent.mul_(self._factor)
            self._work = reached(torch.distributed.all_reduce, self._sent, async_op=True)
            super().receive(things, used)
            return
        part = self._sent.index_select(0, rows).mul_(self._factor)
        reached(torch.distributed.all_reduce, part)
        (weight,), sent, self._sent = self.weights, self._sent, None
        if used[id(weight)]:
            sent.index_copy_(0, rows, part.div_(things) if things else part)
            set_gradient(weight, sent)
