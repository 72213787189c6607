"""The thread that computes for a model, and the queue before it."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError

__all__ = ["Worker"]

Compute = Callable[[list[Any]], Sequence[Any]]
"""Takes the items of one or more requests, and returns one result for each."""


@dataclass(eq=False)
class _Job:
    key: Hashable
    compute: Compute
    items: list[Any]
    answer: asyncio.Future[list[Any]]


class Worker:
    """Computes for one model, one batch after the other.

    While a batch is computed, requests gather; all those that can be computed together are the next batch. So
    a lone request never waits for others, and the batches grow with the load. If a batch fails, its requests
    are computed one by one, and only the one at fault is refused.

    Args:
        name: of the model, for its thread.
        limits: bounds of the queue, the batch and the time.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[_Job] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"nabi {name}")
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self.batches = 0
        self.computed = 0

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    async def answer(self, key: Hashable, compute: Compute, items: list[Any]) -> list[Any]:
        """Return the result for each item of a request.

        Args:
            key: requests with equal keys are computed together, by the function of the first.
            compute: what computes, in the worker's thread.
            items: of this request.

        Raises:
            RefusedError: with 429 if too many requests wait, with 503 at the deadline and after `close`.
            NabiError: what the model says of the items.
        """
        if self._closed:
            raise RefusedError(503, "the server is ending")
        if len(self._waiting) >= self._limits.queue:
            raise RefusedError(429, "too many requests wait for this model", {"Retry-After": "1"})
        job = _Job(key, compute, items, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await job.answer
        except TimeoutError:
            reason = f"no answer within {self._limits.seconds:g} seconds"
            raise RefusedError(503, reason, {"Retry-After": "1"}) from None
        finally:
            job.answer.cancel()  # of no effect once there is a result
            # Not `remove` alone: its error, for what is not there, would write out all texts of the request.
            if job.answer.cancelled() and job in self._waiting:
                self._waiting.remove(job)

    async def close(self) -> None:
        """Finish what waits, and end the thread."""
        self._closed = True
        if self._running is not None:
            await self._running
        self._thread.shutdown()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next_batch():
            self.batches += 1
            self.computed += sum(len(job.items) for job in batch)
            for job, found in zip(
                batch, await loop.run_in_executor(self._thread, _compute, batch), strict=True
            ):
                if job.answer.done():
                    continue  # its client has gone, or its time is over
                if isinstance(found, Exception):
                    job.answer.set_exception(found)
                else:
                    job.answer.set_result(found)

    def _next_batch(self) -> list[_Job]:
        """Take the first request, and the others that can be computed with it."""
        batch: list[_Job] = []
        others: deque[_Job] = deque()
        room = self._limits.batch
        while self._waiting:
            job = self._waiting.popleft()
            if job.answer.done():
                continue
            if not batch or (job.key == batch[0].key and len(job.items) <= room):
                batch.append(job)
                room -= len(job.items)
            else:
                others.append(job)
        self._waiting = others
        return batch


def _compute(batch: list[_Job]) -> list[list[Any] | Exception]:
    """Return the results of each request, or what went wrong."""
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
        return [one for job in batch for one in _compute([job])]
