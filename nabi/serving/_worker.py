"""What computes for a model, and the queue before it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from nabi.serving._deadline import Deadline
from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError
from nabi.serving._short import Short

__all__ = ["Worker"]

Compute = Callable[[list[Any]], Sequence[Any]]
"""Takes the items of one or more requests, and returns one result for each."""


@dataclass(eq=False)
class _Job:
    key: Hashable
    compute: Compute
    items: list[Any]
    size: int | None
    deadline: Deadline
    answer: asyncio.Future[list[Any]]
    waits: bool = True

    def end(self, found: list[Any] | Exception) -> None:
        """Answer, if somebody still waits: the client may have gone, or its time may be over."""
        if self.answer.done():
            return
        if isinstance(found, Exception):
            self.answer.set_exception(found)
        else:
            self.answer.set_result(found)

    def too_late(self) -> None:
        """Answer that there is no answer in time."""
        self.end(self.deadline.error())


class Worker:
    """Computes for one model, one batch after the other.

    While a batch is computed, requests gather; all those that can be computed together are the next batch. So
    a lone request never waits for others, and the batches grow with the load. If a batch fails, its requests
    are computed one by one, and only the one at fault is refused.

    What is known to take a few milliseconds is computed where the requests are read: to hand it to another
    thread, and to take turns with it for the interpreter, takes a good part of that. All else has a thread,
    so that other requests go on.

    Args:
        name: of the model, for its thread.
        limits: bounds of the queue, the batch and the time.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"nabi {name}")
        self._running: asyncio.Task[None] | asyncio.Handle | None = None
        self._closed = False
        self._short = Short()
        self.batches = 0
        self.computed = 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    async def answer(
        self,
        key: Hashable,
        compute: Compute,
        items: list[Any],
        deadline: Deadline | None = None,
        *,
        size: int | None = None,
    ) -> list[Any]:
        """Return the result for each item of a request.

        Args:
            key: requests with equal keys are computed together, by the function of the first.
            compute: what computes.
            items: of this request.
            deadline: of this request; by default what the server grants, from now on.
            size: numbers or characters of all items, if how long they take is a matter of that; without it
                they are computed in the worker's thread, else perhaps in the caller's.

        Raises:
            RefusedError: with 429 if too many requests wait, with 504 at the deadline, with 503 after
                `close`.
            NabiError: what the model says of the items.
        """
        if self._closed:
            raise RefusedError(503, "the server is ending")
        if len(self._waiting) >= self._limits.queue:
            raise RefusedError(429, "too many requests wait for this model", {"Retry-After": "1"})
        deadline = deadline or Deadline.after(self._limits.seconds)
        if deadline.passed:
            raise deadline.error()
        loop = asyncio.get_running_loop()
        if size is not None:
            size = Short.size(len(items), size)
        job = _Job(key, compute, items, size, deadline, loop.create_future())
        self._waiting.append(job)
        if self._running is None:
            self._running = loop.call_soon(self._turn)
        timer = loop.call_at(deadline.at, job.too_late)
        try:
            return await job.answer
        finally:
            timer.cancel()
            job.answer.cancel()  # of no effect once there is a result
            if job.waits:
                self._waiting.remove(job)

    async def close(self) -> None:
        """Finish what waits, and end the thread."""
        self._closed = True
        while self._running is not None:
            await asyncio.sleep(0.005)
        self._thread.shutdown()

    def _turn(self) -> None:
        """Compute the next batch: here if that is short, else in the thread."""
        batch = self._next_batch()
        size = _size(batch)
        if not batch:
            self._running = None
        elif size in self._short:
            self._end(batch, size, *_compute(batch))
        else:
            self._running = asyncio.get_running_loop().create_task(self._in_thread(batch, size))

    async def _in_thread(self, batch: list[_Job], size: int | None) -> None:
        loop = asyncio.get_running_loop()
        self._end(batch, size, *await loop.run_in_executor(self._thread, _compute, batch))

    def _end(
        self, batch: list[_Job], size: int | None, results: list[list[Any] | Exception], seconds: float
    ) -> None:
        """Answer the requests of a batch, and go on with the next one."""
        self.batches += 1
        self.computed += sum(len(job.items) for job in batch)
        if not any(isinstance(one, Exception) for one in results):
            self._short.took(size, seconds)
        for job, found in zip(batch, results, strict=True):
            job.end(found)
        # Not at once: the connections have their turn first.
        self._running = asyncio.get_running_loop().call_soon(self._turn) if self._waiting else None

    def _next_batch(self) -> list[_Job]:
        """Take the first request, and the others that can be computed with it."""
        batch: list[_Job] = []
        others: deque[_Job] = deque()
        room = self._limits.batch
        while self._waiting:
            job = self._waiting.popleft()
            # The loop may not have come to the timer yet.
            if job.deadline.passed:
                job.too_late()
            if not job.answer.done() and batch and (job.key != batch[0].key or len(job.items) > room):
                others.append(job)
                continue
            job.waits = False
            if not job.answer.done():
                batch.append(job)
                room -= len(job.items)
        self._waiting = others
        return batch


def _size(batch: list[_Job]) -> int | None:
    sizes = [job.size for job in batch if job.size is not None]
    return sum(sizes) if len(sizes) == len(batch) else None


def _compute(batch: list[_Job]) -> tuple[list[list[Any] | Exception], float]:
    """Return the results of each request, or what went wrong, and the seconds that were computed."""
    began = time.thread_time()
    results = _results(batch)
    return results, time.thread_time() - began


def _results(batch: list[_Job]) -> list[list[Any] | Exception]:
    try:
        found = list(batch[0].compute([item for job in batch for item in job.items]))
        results: list[list[Any] | Exception] = []
        for job in batch:
            results.append(found[: len(job.items)])
            del found[: len(job.items)]
        return results
    except Exception as problem:
        if len(batch) == 1:
            return [problem]
        return [one for job in batch for one in _results([job])]
