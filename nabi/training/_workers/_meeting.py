"""Where workers that share memory wait for one another, without messages.

A message takes a tenth of a millisecond and wakes several threads; a number in memory is seen at once.
"""

import os
import platform
import select
import time
import weakref
from collections.abc import Sequence

import torch

from nabi.training._workers._group import Workers, ended_worker
from nabi.training._workers._shared_memory import SharedMemory, bytes_of

__all__ = ["Meeting"]

_PLACE = 8  # int64 numbers of a line of memory, of which each worker has one
_SPINNING, _LONGEST = 0.002, 1800.0  # seconds: of looking again and again, and until no one is waited for


class Meeting:
    """A place in shared memory; `of` makes one.

    Args:
        workers: all of them.
        memory: what they share.
        size: how many numbers each tells the others.
        processes: open file descriptors of the other workers' processes, which are closed with it.
    """

    def __init__(self, workers: Workers, memory: SharedMemory, size: int, processes: Sequence[int]) -> None:
        self._workers = workers
        self._arrived = memory.numbers(workers.count * _PLACE)
        self._own = workers.number * _PLACE
        self._others = [one * _PLACE for one in range(workers.count) if one != workers.number]
        # Two in turns: while a slow worker still reads one, a fast one writes the next.
        self._told = [[memory.tensor([size], torch.float64) for _ in range(workers.count)] for _ in range(2)]
        self._times, self._turn = 0, 0
        self._ends = select.poll()
        for process in processes:
            self._ends.register(process, select.POLLIN)
        weakref.finalize(self, _close, processes)

    @staticmethod
    def size(size: int, workers: int) -> int:
        """Return how many bytes of memory it needs."""
        return bytes_of([workers * _PLACE], torch.int64) + 2 * workers * bytes_of([size], torch.float64)

    @classmethod
    def of(cls, workers: Workers, memory: SharedMemory, size: int) -> "Meeting | None":
        """Return a place to meet; None in all workers if one cannot see when another's process ends.

        Other processors than x86 may show what others write in another order, so there is none with them.
        """
        processes: list[int] = []
        there = workers.gather(os.getpid())
        can = hasattr(os, "pidfd_open") and platform.machine() in ("x86_64", "AMD64")
        try:
            if can:
                processes += (os.pidfd_open(one) for one in there if one != os.getpid())
        except OSError:
            can = False
        if workers.any(not can or len(processes) != workers.count - 1):
            _close(processes)
            return None
        return cls(workers, memory, size, processes)

    def meet(self) -> None:
        """Wait until all workers are here.

        Raises:
            WorkerError: if one of them has ended.
        """
        self._times += 1
        self._arrived[self._own] = self._times
        for other in self._others:
            if self._arrived[other] < self._times:
                self._wait_for(other)

    def _wait_for(self, other: int) -> None:
        arrived, times, begin = self._arrived, self._times, time.perf_counter()
        while arrived[other] < times:
            os.sched_yield()  # where there are more workers than processors, it may wait for this one
            waited = time.perf_counter() - begin
            if waited < _SPINNING:
                continue
            ended = self._ends.poll(1)
            # It may have come before it ended.
            if arrived[other] < times and (ended or waited > _LONGEST):
                raise ended_worker(
                    "its process has ended" if ended else f"it has not come for {_LONGEST:.0f} seconds"
                )

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Return the sums of what all workers tell; they meet for it."""
        self._turn = 1 - self._turn
        told = self._told[self._turn]
        told[self._workers.number][:] = torch.tensor(numbers, dtype=torch.float64)
        self.meet()
        total = told[0].clone()
        for one in told[1:]:
            total += one
        return total.tolist()


def _close(files: Sequence[int]) -> None:
    for file in files:
        os.close(file)
