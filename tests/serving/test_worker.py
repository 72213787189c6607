"""The queue before a model: batches, bounds, deadlines, the end."""

import asyncio
import threading
import time

import pytest

from nabi.errors import ArgumentError
from nabi.serving import Limits
from nabi.serving._refused import RefusedError
from nabi.serving._worker import Worker


class Slow:
    """Doubles numbers, the first time only when it is let go; it keeps what it was given."""

    def __init__(self) -> None:
        self.go, self.begun, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, items):
        self.begun.set()
        assert self.go.wait(60)
        self.batches.append(list(items))
        if any(item < 0 for item in items):
            raise ArgumentError("x: expected a positive number")
        return [2 * item for item in items]

    async def begins(self) -> None:
        await asyncio.to_thread(self.begun.wait, 60)


def run(test, **limits) -> None:
    async def all_of_it() -> None:
        worker, slow = Worker("m", Limits(**limits)), Slow()
        await test(worker, slow)
        slow.go.set()
        await worker.close()

    asyncio.run(all_of_it())


async def queued(worker: Worker, slow: Slow, *requests: list[int], keys="a" * 9) -> list[asyncio.Task]:
    """Requests of which the first is being computed, and the others wait."""
    tasks = [asyncio.create_task(worker.answer(keys[0], slow, requests[0]))]
    await slow.begins()
    for key, items in zip(keys[1:], requests[1:], strict=False):
        tasks.append(asyncio.create_task(worker.answer(key, slow, items)))
    await asyncio.sleep(0)
    return tasks


def test_what_waits_is_computed_together() -> None:
    async def test(worker, slow) -> None:
        tasks = await queued(worker, slow, [1], [2, 3], [4], [5], keys="aaba")
        slow.go.set()
        assert await asyncio.gather(*tasks) == [[2], [4, 6], [8], [10]]
        assert slow.batches == [[1], [2, 3, 5], [4]]
        assert (worker.batches, worker.computed) == (3, 5)

    run(test)


def test_a_batch_has_a_bound() -> None:
    async def test(worker, slow) -> None:
        tasks = await queued(worker, slow, [1], [2, 3], [4], [5, 6, 7, 8])
        slow.go.set()
        assert await asyncio.gather(*tasks) == [[2], [4, 6], [8], [10, 12, 14, 16]]
        assert slow.batches == [[1], [2, 3, 4], [5, 6, 7, 8]]

    run(test, batch=3)


def test_only_the_request_at_fault_is_refused() -> None:
    async def test(worker, slow) -> None:
        tasks = await queued(worker, slow, [1], [2], [-1], [3])
        slow.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [found[place] for place in (0, 1, 3)] == [[2], [4], [6]]
        assert isinstance(found[2], ArgumentError)

    run(test)


def test_a_full_queue_refuses() -> None:
    async def test(worker, slow) -> None:
        tasks = await queued(worker, slow, [1], [2], [3])
        with pytest.raises(RefusedError) as refused:
            await worker.answer("a", slow, [4])
        assert refused.value.status == 429
        assert worker.waiting == 2
        slow.go.set()
        assert await asyncio.gather(*tasks) == [[2], [4], [6]]

    run(test, queue=2)


def test_what_comes_too_late_is_not_computed() -> None:
    async def test(worker, slow) -> None:
        tasks = await queued(worker, slow, [1], [2])
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one.status for one in found] == [504, 504]
        assert worker.waiting == 0
        slow.go.set()
        assert await worker.answer("a", slow, [3]) == [6]
        assert slow.batches == [[1], [3]]

    run(test, seconds=0.05)


def test_the_end_finishes_what_runs() -> None:
    async def test(worker, slow) -> None:
        tasks = await queued(worker, slow, [1], [2])
        ending = asyncio.create_task(worker.close())
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match="ending"):
            await worker.answer("a", slow, [3])
        slow.go.set()
        await ending
        assert await asyncio.gather(*tasks) == [[2], [4]]

    run(test)


def test_what_was_asked_is_never_written_out() -> None:
    """A request may hold megabytes of text."""

    class Text:
        def __repr__(self) -> str:
            raise AssertionError("it was written out")

    async def test(worker, slow) -> None:
        assert await worker.answer("a", len_of_each, [Text()]) == [1]

    def len_of_each(items):
        return [1 for _ in items]

    run(test)


def test_what_is_known_to_be_short_needs_no_thread() -> None:
    computed_here: list[bool] = []
    busy, wrong = [0.0], [False]

    def compute(items):
        computed_here.append(threading.current_thread() is threading.main_thread())
        end = time.thread_time() + busy[0]
        while time.thread_time() < end:
            pass
        if wrong[0]:
            raise ArgumentError("x: expected another")
        return items

    async def test(worker, slow) -> None:
        async def here(size: int | None, seconds: float = 0.0) -> bool:
            busy[0] = seconds
            assert await worker.answer("a", compute, [1], size=size) == [1]
            return computed_here[-1]

        assert not await here(100)  # nothing is known yet
        assert await here(100)
        assert not await here(101)
        assert await here(101)
        # It says nothing where the size does not tell.
        assert not await here(None)
        # What has failed may have failed at once.
        wrong[0] = True
        with pytest.raises(ArgumentError):
            await worker.answer("a", compute, [1], size=1000)
        wrong[0] = False
        assert not await here(1000, 0.02)
        # Longer than it was: it goes back to the thread, until it is short again.
        assert await here(50, 0.02)
        assert not await here(50)
        assert await here(50)
        # Two that wait are one batch, which is as large as both.
        both = [worker.answer("a", compute, [one], size=50) for one in (1, 2)]
        assert await asyncio.gather(*both) == [[1], [2]]
        assert not computed_here[-1]

    run(test)
