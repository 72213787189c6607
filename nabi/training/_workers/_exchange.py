"""The gradients of all workers made one: that of the whole batch, for the loss in the mean.

A worker's gradient counts as much as the rows (or steps, codes) that its loss is the mean of. Gradients
travel in buckets, from the last layer to the first as the backward pass finds them, while it goes on; a large
one travels by itself, where it lies. Of an embedding only the vectors travel that a worker has read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nabi.training._workers._group import Workers, reached

__all__ = ["GradientExchange", "Sums", "embeddings_of"]

# Elements. Below the first, weights share a bucket; an embedding from the second on may travel in part.
_LARGE, _BUCKET = 1 << 18, 1 << 20
_MOST_ROWS = 0.5  # of an embedding, for its rows to travel by themselves


class Sums(NamedTuple):
    """What the workers say of a step, added up.

    Attributes:
        loss: the mean loss of the whole batch.
        rows: how many rows it had.
        things: what the loss is the mean of: rows, or steps.
        asked: how many were asked to end the training.
        stopping: how many want no further batch in this epoch.
        writes: whether the first worker writes a checkpoint after this step.
    """

    loss: float
    rows: int
    things: float
    asked: bool
    stopping: bool
    writes: bool


class GradientExchange:
    """Adds up the gradients of all workers, step by step.

    Args:
        workers: all of them.
        weights: those that are trained, in the order of the forward pass.
        tables: which of them are tables that a batch reads in part: those of embeddings.

    A step is: `begin`, then `ready` for each weight whose gradient is complete (or `listening` to a backward
    pass of autograd), then `finish`. A worker without rows only begins and finishes.

    Attributes:
        asked, stopping, writes: what this worker says in the next step; see `Sums`.
    """

    def __init__(self, workers: Workers, weights: Sequence[Tensor], tables: Sequence[Tensor] = ()) -> None:
        self.workers = workers
        self.weights = list(weights)
        self.asked = self.stopping = self.writes = False
        tables_there = set(map(id, tables))
        self._bucket_of: dict[int, _Bucket] = {}
        self._buckets: list[_Bucket] = []
        small: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for weight in reversed(self.weights):
            if weight.numel() >= _LARGE:
                kind = _Table if id(weight) in tables_there and weight.dim() == 2 else _Alone
                self._add(kind(weight))
                continue
            waiting = small.setdefault((weight.dtype, weight.device), [])
            waiting.append(weight)
            if sum(one.numel() for one in waiting) >= _BUCKET:
                self._add(_Shared(waiting))
                small[weight.dtype, weight.device] = []
        for waiting in small.values():
            if waiting:
                self._add(_Shared(waiting))
        self._next = 0
        self._factor = 0.0

    def _add(self, bucket: "_Bucket") -> None:
        self._buckets.append(bucket)
        self._bucket_of |= {id(weight): bucket for weight in bucket.weights}

    def begin(self, things: float) -> None:
        """Begin a step in which this worker's loss is the mean of so many things."""
        self._factor, self._next = float(things), 0
        for bucket in self._buckets:
            bucket.begin(self._factor)

    def reads(self, table: Tensor, codes: Tensor) -> None:
        """Say which rows of an embedding a batch has read, before its gradient is ready."""
        bucket = self._bucket_of.get(id(table))
        if isinstance(bucket, _Table):
            bucket.codes = codes

    def ready(self, weight: Tensor) -> None:
        """Take the gradient of a weight, which is complete."""
        bucket = self._bucket_of.get(id(weight))
        if bucket is not None and weight.grad is not None:
            bucket.take(weight)
            self._send()

    def _send(self) -> None:
        # In the same order everywhere, whichever is complete first.
        while self._next < len(self._buckets) and self._buckets[self._next].is_complete:
            self._buckets[self._next].send()
            self._next += 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take gradients as autograd completes them."""
        handles = [weight.register_post_accumulate_grad_hook(self.ready) for weight in self.weights]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def finish(self, loss: float, rows: int) -> Sums:
        """Wait for the others; the gradient of each weight is that of the whole batch then.

        A weight that no worker has a gradient for has none afterwards, too.

        Args:
            loss: the mean loss of this worker's rows.
            rows: how many there are.
        """
        there = [float(weight.grad is not None) for weight in self.weights]
        flags = [float(one) for one in (self.asked, self.stopping, self.writes)]
        # What has no rows here may be no number.
        total = loss * self._factor if self._factor else 0.0
        told = torch.tensor(
            [total, self._factor, float(rows), *flags, *there],
            dtype=torch.float64,
            device=self.workers.device,
        )
        for bucket in self._buckets[self._next :]:
            bucket.fill()
            bucket.send()
        work = reached(torch.distributed.all_reduce, told, async_op=True)
        reached(work.wait)
        summed, things, count, *others = told.tolist()
        asked, stopping, writes = others[:3]
        used = dict(zip(map(id, self.weights), others[3:], strict=True))
        for bucket in self._buckets:
            bucket.receive(things, used)
        self.writes = False
        return Sums(
            summed / things if things else 0.0, int(count), things, asked > 0, stopping > 0, writes > 0
        )


class _Bucket:
    """Gradients that travel together."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        self._missing: set[int] = set()
        self._factor = 0.0
        self._work: Any = None

    def begin(self, factor: float) -> None:
        self._missing, self._factor = set(map(id, self.weights)), factor

    @property
    def is_complete(self) -> bool:
        return not self._missing

    def take(self, weight: Tensor) -> None:
        """Take the gradient of a weight, times what it counts."""
        self._missing.discard(id(weight))

    def fill(self) -> None:
        """Take what has not been taken: gradients of weights that no part has told of, zeros for others."""
        for weight in self.weights:
            if id(weight) in self._missing:
                self.take(weight)

    def send(self) -> None:
        raise NotImplementedError

    def receive(self, things: float, used: dict[int, float]) -> None:
        raise NotImplementedError


class _Shared(_Bucket):
    """Small gradients, side by side."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__(weights)
        self._flat = torch.zeros(
            sum(one.numel() for one in weights), dtype=weights[0].dtype, device=weights[0].device
        )
        parts = self._flat.split([one.numel() for one in weights])
        self._views = {id(one): part.view(one.shape) for one, part in zip(weights, parts, strict=True)}

    def take(self, weight: Tensor) -> None:
        super().take(weight)
        view = self._views[id(weight)]
        if weight.grad is None or not self._factor:
            view.zero_()
        else:
            torch.mul(weight.grad, self._factor, out=view)

    def send(self) -> None:
        self._work = reached(torch.distributed.all_reduce, self._flat, async_op=True)

    def receive(self, things: float, used: dict[int, float]) -> None:
        reached(self._work.wait)
        if things:
            self._flat.div_(things)
        for weight in self.weights:
            if used[id(weight)]:
                _set_gradient(weight, self._views[id(weight)])


class _Alone(_Bucket):
    """A large gradient, which travels where it lies."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__([weight])
        self._sent: Tensor | None = None

    def take(self, weight: Tensor) -> None:
        super().take(weight)
        gradient = weight.grad
        if gradient is None or not self._factor:
            gradient = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        else:
            gradient = gradient.contiguous().mul_(self._factor)
        self._sent = gradient

    def send(self) -> None:
        self._work = reached(torch.distributed.all_reduce, self._sent, async_op=True)

    def receive(self, things: float, used: dict[int, float]) -> None:
        reached(self._work.wait)
        (weight,), sent, self._sent = self.weights, self._sent, None
        assert sent is not None
        if used[id(weight)]:
            _set_gradient(weight, sent.div_(things) if things else sent)


class _Table(_Alone):
    """The gradient of an embedding: its rows that one of the workers has read travel, if these are few.

    Attributes:
        codes: which rows this worker has read; None where its gradient has to be looked through for them.
    """

    codes: Tensor | None = None

    def take(self, weight: Tensor) -> None:
        _Bucket.take(self, weight)
        # Only the rows that travel are multiplied.
        is_there = weight.grad is not None and self._factor
        self._sent = weight.grad.contiguous() if is_there and weight.grad is not None else None

    def send(self) -> None:
        (weight,) = self.weights
        if self._sent is None:
            self._sent = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        if self.codes is None:
            self._read = (self._sent != 0).any(1).to(torch.uint8)
        else:
            self._read = self._sent.new_zeros(len(self._sent), dtype=torch.uint8)
            self._read.index_fill_(0, self.codes.reshape(-1).long(), 1)
            self.codes = None
        self._work = reached(
            torch.distributed.all_reduce, self._read, torch.distributed.ReduceOp.MAX, async_op=True
        )

    def receive(self, things: float, used: dict[int, float]) -> None:
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
            _set_gradient(weight, sent)


def _set_gradient(weight: Tensor, gradient: Tensor) -> None:
    if weight.grad is None:
        weight.grad = gradient.clone()
    elif weight.grad.data_ptr() != gradient.data_ptr():
        weight.grad.copy_(gradient)


def embeddings_of(network: torch.nn.Module) -> list[Tensor]:
    """Return the tables of a network's embeddings."""
    from nabi.layers import Embedding

    return [
        weight
        for module in network.modules()
        if isinstance(module, Embedding | torch.nn.Embedding)
        for weight in module.parameters(recurse=False)
    ]
