"""How fast a training is, measured while it runs."""

import time

__all__ = ["Pace"]

_MARKS = 64  # of the course of a training that are kept; of more, every second is dropped
_SHARE_OF_A_STEP = 1 / 3
"""What reading a batch takes of a step, which also goes backward: used until a validation was measured."""


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
        the machine was busy then counts as one.
        """
        if len(self._marks) < 2:
            return None
        seconds, batches = self._trained, self.batches
        middle = (batches + self._marks[0][1]) / 2
        began = [mark for mark in self._marks if mark[1] <= middle][-1]
        return (seconds - began[0]) / (batches - began[1])

    def per_validation(self, share: float, batches: int) -> float:
        """Return the seconds from the last batch of an epoch to its end.

        Args:
            share: how much is validated with, as a share of what an epoch learns from.
            batches: of an epoch; both are asked for before the first validation.
        """
        if self._between:
            return sum(self._between[-3:]) / len(self._between[-3:])
        return share * batches * _SHARE_OF_A_STEP * (self.per_batch() or 0.0)

    def per_reading(self, share: float, batches: int) -> float:
        """Return the seconds in which an epoch's data are read; arguments as `per_validation`."""
        if self._between and share:
            return self.per_validation(share, batches) / share
        return batches * _SHARE_OF_A_STEP * (self.per_batch() or 0.0)

    def leave_out(self) -> None:
        """Count nothing of what was done since the last batch or epoch."""
        self._last = time.perf_counter()
