"""How fast a training is, measured while it runs."""

import statistics
import time
from itertools import pairwise

__all__ = ["Pace"]

_MARKS = 64  # of the course of a training that are kept; of more, every second is dropped
_SHARE_OF_A_STEP = 1 / 3
"""What reading a batch takes of a step, which also goes backward: used until a validation was measured."""
_STALLED, _SHORTEST_STALL = 8.0, 1.0
"""A part of the course is no pace if it takes so many times what is usual, and so many seconds more."""
_FEWEST_PARTS = 4


class Pace:
    """Measures what a batch takes, and what comes after those of an epoch, which is the validation above all.

    The first batch counts for neither: machine code is made in it.

    Attributes:
        batches: how many were trained.
        measured: seconds of training that say how long a batch takes.
    """

    def __init__(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._trained, self.batches, self._done = 0.0, 0, 0
        self._marks: list[tuple[float, int]] = []
        self._between: list[float] = []
        self._gap = 0.0

    @property
    def done(self) -> int:
        """Batches of the epoch that is going on; 0 after its end."""
        return self._done

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._begun

    @property
    def measured(self) -> float:
        return self._trained - self._marks[0][0] if self._marks else 0.0

    def begin_epoch(self, first: int) -> None:
        """An epoch begins, or goes on with the batch of this number."""
        self._last, self._done = time.perf_counter(), first

    def batch(self, done: int) -> None:
        """So many batches of the epoch are done."""
        now = time.perf_counter()
        self._trained += now - self._last
        self.batches += done - self._done
        self._last, self._done = now, done
        if not self._marks or self._trained - self._marks[-1][0] >= self._gap:
            self._marks.append((self._trained, self.batches))
            if len(self._marks) > _MARKS:
                self._marks = self._marks[::2]
                self._gap = self._trained / _MARKS

    def end_epoch(self) -> None:
        """An epoch and its validation are done."""
        now = time.perf_counter()
        self._between.append(now - self._last)
        self._last, self._done = now, 0

    def per_batch(self) -> float | None:
        """Return the seconds that a batch takes, the mean of the later half of them; None before two.

        The later half, since what is compiled or met for the first time makes the first batches slower, and
        since another program may begin or end. Half of the batches and not of the time: one batch in which
        the machine was busy then counts as one. What lies outside of all measure counts for nothing: a
        machine that slept, a process that was stopped for a while.
        """
        if len(self._marks) < 2:
            return None
        last = self._trained, self.batches
        middle = (last[1] + self._marks[0][1]) / 2
        first = max(place for place, mark in enumerate(self._marks) if mark[1] <= middle)
        marks = self._marks[first:]
        if marks[-1][1] < last[1]:
            marks = [*marks, last]
        parts = [
            (end[0] - begin[0], end[1] - begin[1]) for begin, end in pairwise(marks) if end[1] > begin[1]
        ]
        if len(parts) >= _FEWEST_PARTS:
            usual = statistics.median(seconds / batches for seconds, batches in parts)
            most = [_STALLED * usual * batches + _SHORTEST_STALL for _, batches in parts]
            parts = [part for part, limit in zip(parts, most, strict=True) if part[0] <= limit]
        return sum(seconds for seconds, _ in parts) / sum(batches for _, batches in parts)

    def per_validation(self, share: float, batches: int) -> float:
        """Return the seconds from the last batch of an epoch to its end.

        Args:
            share: how much is validated with, as a share of what an epoch learns from.
            batches: of an epoch; both are asked for before the first validation.
        """
        if self._between:
            return statistics.median(self._between[-3:])
        return share * batches * _SHARE_OF_A_STEP * (self.per_batch() or 0.0)

    def per_reading(self, share: float, batches: int) -> float:
        """Return the seconds in which an epoch's data are read; arguments as `per_validation`.

        The smaller of two guesses: a short validation takes mostly what has nothing to do with its length,
        such as what is compiled in the first one, and writing a checkpoint.
        """
        by_steps = batches * _SHARE_OF_A_STEP * (self.per_batch() or 0.0)
        if self._between and share:
            return min(by_steps, self.per_validation(share, batches) / share)
        return by_steps

    def leave_out(self) -> None:
        """Count nothing of what was done since the last batch or epoch."""
        self._last = time.perf_counter()
