"""The gradients of all workers made one: that of the whole batch, for the loss in the mean.

A worker's gradient counts as much as the rows (or steps, codes) that its loss is the mean of. Gradients go to
the others in buckets, from the last layer to the first as the backward pass finds them: in messages, while it
goes on, or on one machine through memory that all workers see.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from nabi.training._workers._bucket import Bucket
from nabi.training._workers._group import Workers, reached
from nabi.training._workers._meeting import Meeting
from nabi.training._workers._memory import LargeInMemory, SmallInMemory, TableInMemory
from nabi.training._workers._messages import LargeMessage, SmallMessage, TableMessage
from nabi.training._workers._pieces import Pieces
from nabi.training._workers._shared_memory import SharedMemory

if TYPE_CHECKING:
    from nabi.training._optimizers._classes import Optimizer

__all__ = ["GradientExchange", "Sums", "embeddings_of"]

# Elements. Below the first, weights share a bucket; an embedding from the second on may go in part.
_LARGE, _BUCKET = 1 << 18, 1 << 20
_FLAGS = 6  # numbers that a worker tells of a step, beside one for each weight


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
        self._buckets, self._meeting = _buckets(workers, self.weights, set(map(id, tables)))
        self._bucket_of = {id(weight): bucket for bucket in self._buckets for weight in bucket.weights}
        self._large = [bucket for bucket in self._buckets if isinstance(bucket, LargeInMemory)]
        self._next = 0
        self._factor = 0.0
        self._pieces: Pieces | None = None
        # Whether others may still read what the next step will write.
        self._is_read = False

    def begin(self, things: float) -> None:
        """Begin a step in which this worker's loss is the mean of so many things."""
        self._meet()
        self._factor, self._next = float(things), 0
        for bucket in self._buckets:
            bucket.begin(self._factor)

    def reads(self, table: Tensor, codes: Tensor) -> None:
        """Say which rows of an embedding a batch has read, before its gradient is ready."""
        bucket = self._bucket_of.get(id(table))
        if bucket is not None:
            bucket.codes = codes

    def takes_rows(self, table: Tensor, codes: Tensor, gradients: Tensor) -> bool:
        """Take the gradients of what a batch has read of an embedding, if nobody needs that of all of it.

        Args:
            table: the embedding.
            codes: its rows that the batch has read.
            gradients: that of each, `[*codes.shape, width]`.

        Returns:
            whether it has; if not, the gradient of the embedding must be found.
        """
        bucket = self._bucket_of.get(id(table))
        return (
            self._pieces is not None
            and isinstance(bucket, TableInMemory)
            and bucket.take_rows(table, codes, gradients)
        )

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
        there = [float(self._bucket_of[id(weight)].has_gradient(weight)) for weight in self.weights]
        flags = [float(one) for one in (self.asked, self.stopping, self.writes)]
        # What has no rows here may be no number.
        total = loss * self._factor if self._factor else 0.0
        for bucket in self._buckets[self._next :]:
            bucket.fill()
            bucket.send()
        summed, things, count, *others = self._sums([total, self._factor, float(rows), *flags, *there])
        asked, stopping, writes = others[:3]
        used = dict(zip(map(id, self.weights), others[3:], strict=True))
        self._receive(things, used)
        self.writes = False
        return Sums(
            summed / things if things else 0.0, int(count), things, asked > 0, stopping > 0, writes > 0
        )

    def _sums(self, numbers: Sequence[float]) -> list[float]:
        if self._meeting is not None:
            return self._meeting.sum(numbers)
        told = torch.tensor(numbers, dtype=torch.float64, device=self.workers.device)
        reached(torch.distributed.all_reduce, told)
        return told.tolist()

    def _receive(self, things: float, used: dict[int, float]) -> None:
        if self._pieces is not None and not all(used.values()):
            self.join()  # an optimizer leaves out weights without a gradient
        for bucket in self._buckets:
            bucket.receive(things, used)
        meeting = [bucket for bucket in self._buckets if bucket.meets]
        self._is_read = bool(meeting)
        if self._pieces is None and meeting:
            self._meet()
            for bucket in meeting:
                bucket.collect(used)

    def _meet(self) -> None:
        if self._is_read:
            (self._meeting or self.workers).meet()
            self._is_read = False

    # Weights ------------------------------------------------------------------------------------------------

    def divide(self, optimizer: "Optimizer") -> bool:
        """Let each worker update a piece of the large weights, if all can; return whether they begin to.

        Until `join`, large weights lie in memory that all workers see, so none may change them but `update`,
        and what the optimizer keeps of them is this worker's piece alone.
        """
        if self._pieces is not None or not self._large:
            return False
        self._meet()
        self._pieces = Pieces.of(self.workers, optimizer, self._large, self.weights)
        return self._pieces is not None

    @property
    def is_divided(self) -> bool:
        """Whether each worker updates a piece of the large weights."""
        return self._pieces is not None

    def clip(self, limit: float) -> float:
        """Scale the gradients of `finish` down to a norm of all together; return what it was before.

        All workers ask for it. Where weights are divided, each scales the gradients of its pieces, and all
        those of small weights.
        """
        if self._pieces is None:
            return float(torch.nn.utils.clip_grad_norm_(self.weights, limit))
        pieces = [bucket.gradient for bucket in self._large if bucket.gradient is not None]
        own = math.fsum(float(torch.linalg.vector_norm(one)) ** 2 for one in pieces)
        large = {id(bucket.weights[0]) for bucket in self._large}
        small = [one.grad for one in self.weights if id(one) not in large and one.grad is not None]
        told = [own, *[0.0] * (_FLAGS + len(self.weights) - 1)]  # a meeting is for so many
        norms = torch._foreach_norm(small) if small else ()
        norm = math.sqrt(self._sums(told)[0] + math.fsum(float(one) ** 2 for one in norms))
        factor = limit / (norm + 1e-6)  # as torch has it
        if factor < 1:
            torch._foreach_mul_([*pieces, *small], factor)
        return norm

    def update(self, optimizer: "Optimizer") -> None:
        """Make a step of the optimizer, with the gradients of `finish`."""
        if self._pieces is None:
            optimizer.step()
        else:
            self._pieces.update()
            self._meet()  # the next batch needs the others' pieces

    def join(self) -> None:
        """Give every worker all of the weights, and of what the optimizer keeps of them."""
        if self._pieces is not None:
            self._pieces.join()
            self._pieces = None

    def leave(self) -> None:
        """Give this worker all of the weights, without asking others, which may have ended."""
        if self._pieces is not None:
            self._pieces.leave()
            self._pieces = None


def _buckets(
    workers: Workers, weights: Sequence[Tensor], tables: set[int]
) -> tuple[list[Bucket], Meeting | None]:
    """Divide weights, from the last to the first, among buckets; all but the large ones share them.

    Returns:
        the buckets, and where workers meet that share memory.
    """
    groups: list[list[Tensor]] = []
    small: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for weight in reversed(weights):
        if weight.numel() >= _LARGE:
            groups.append([weight])
            continue
        waiting = small.setdefault((weight.dtype, weight.device), [])
        waiting.append(weight)
        if sum(one.numel() for one in waiting) >= _BUCKET:
            groups.append(small.pop((weight.dtype, weight.device)))
    groups += small.values()

    def kind(group: list[Tensor]) -> str:
        first = group[0]
        if first.numel() < _LARGE:
            return "small"
        return "table" if id(first) in tables and first.dim() == 2 else "large"

    memory = None
    if all(weight.device.type == "cpu" for weight in weights):
        sizes = {"small": SmallInMemory.size, "large": LargeInMemory.size, "table": TableInMemory.size}
        needed = sum(sizes[kind(group)](group, workers.count) for group in groups)
        memory = SharedMemory.of(workers, needed + Meeting.size(_FLAGS + len(weights), workers.count))
    if memory is None:
        by_message: dict[str, Callable[..., Bucket]]
        by_message = {"small": SmallMessage, "large": LargeMessage, "table": TableMessage}
        return [by_message[kind(group)](group) for group in groups], None
    in_memory: dict[str, Callable[..., Bucket]]
    in_memory = {"small": SmallInMemory, "large": LargeInMemory, "table": TableInMemory}
    buckets = [in_memory[kind(group)](group, workers, memory) for group in groups]
    return buckets, Meeting.of(workers, memory, _FLAGS + len(weights))


def embeddings_of(network: torch.nn.Module) -> list[Tensor]:
    """Return the tables of a network's embeddings."""
    from nabi.layers import Embedding

    return [
        weight
        for module in network.modules()
        if isinstance(module, Embedding | torch.nn.Embedding)
        for weight in module.parameters(recurse=False)
    ]
