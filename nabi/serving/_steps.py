"""Steps of many sessions, computed together: one call of native code for all that have arrived."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nabi.serving._deadline import Deadline
from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError
from nabi.shipping import Stream

__all__ = ["Steps"]

Numbers = npt.NDArray[np.float32]

# A call that takes no longer than this is made where the requests are read: to hand it to another thread, and
# to take turns with it for the interpreter, would take longer. Longer ones have a thread, so that all other
# requests go on.
_SHORT = 0.002


@dataclass(eq=False)
class _Job:
    rows: npt.NDArray[np.intp]
    steps: Numbers
    deadline: Deadline
    answer: asyncio.Future[Numbers]


class Steps:
    """The states of all sessions of a model, and what lets them go on.

    All steps that arrive in the same turn of the event loop, or while a call runs, are the next call. A job
    is some sessions with as many steps each; jobs with the same number of steps go together.

    Args:
        stream: of the model.
        limits: of the time, and of the numbers that may wait.
    """

    def __init__(self, stream: Stream, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._states = stream.begin(16)
        self._waiting: list[_Job] = []
        self._numbers = 0  # that wait, or are answered
        self._running: asyncio.Task[None] | asyncio.Handle | None = None
        self._closed = False
        self._seconds = 0.0  # of one step of one session, as measured
        self.calls = 0

    def put(self, row: int, state: Numbers) -> None:
        """Keep a state."""
        if row >= len(self._states):
            grown = np.empty((max(2 * len(self._states), row + 1), self._states.shape[1]), np.float32)
            grown[: len(self._states)] = self._states
            self._states = grown
        self._states[row] = state

    def get(self, row: int) -> Numbers:
        """Return a copy of a state."""
        found: Numbers = self._states[row].copy()
        return found

    async def advance(self, rows: Sequence[int], steps: Numbers, deadline: Deadline | None = None) -> Numbers:
        """Read steps, and return the outputs `[rows, steps, outputs]`.

        Args:
            rows: of the states; each at most once at a time.
            steps: `[rows, steps, features]`, or codes `[rows, steps]`.
            deadline: of the request; by default what the server grants, from now on.

        Raises:
            RefusedError: with 422 for numbers that are not finite, with 429 if too much waits, with 504 at
                the deadline, with 503 after `close`. The states stay as they were.
        """
        if self._closed:
            raise RefusedError(503, "the server is ending")
        size = steps.size + len(rows) * steps.shape[1] * self._stream.program.output.width
        if self._numbers and self._numbers + size > self._limits.numbers:
            raise RefusedError(429, "too many steps wait for this model", {"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        deadline = deadline or Deadline.after(self._limits.seconds)
        if deadline.passed:
            raise deadline.error()
        job = _Job(np.asarray(rows, np.intp), steps, deadline, loop.create_future())
        self._numbers += size
        self._waiting.append(job)
        if self._running is None:
            self._running = loop.call_soon(self._turn)
        timer = loop.call_at(deadline.at, _too_late, job)
        try:
            return await job.answer
        finally:
            timer.cancel()
            job.answer.cancel()  # no effect on one that is there
            self._numbers -= size

    async def close(self) -> None:
        """Finish what waits, and take nothing more."""
        self._closed = True
        while self._running is not None:
            await asyncio.sleep(0.005)

    def _turn(self) -> None:
        """Compute what waits: here if that is short, else in a thread."""
        groups = self._take()
        expected = self._seconds * sum(
            job.steps.shape[0] * job.steps.shape[1] for one in groups for job in one
        )
        if expected > _SHORT:
            self._running = asyncio.get_running_loop().create_task(self._in_thread(groups))
            return
        for jobs in groups:
            try:
                states, steps = self._gathered(jobs)
                self._give(jobs, states, self._computed(states, steps))
            except Exception as problem:  # answered with what it means for a client
                _fail(jobs, problem)
        self._running = None

    async def _in_thread(self, groups: list[list[_Job]]) -> None:
        while groups:
            for jobs in groups:
                try:
                    states, steps = self._gathered(jobs)
                    self._give(jobs, states, await asyncio.to_thread(self._computed, states, steps))
                except Exception as problem:  # as above
                    _fail(jobs, problem)
            groups = self._take()
        self._running = None

    def _take(self) -> list[list[_Job]]:
        """Take all jobs that somebody still waits for, those with the same number of steps together."""
        jobs: defaultdict[int, list[_Job]] = defaultdict(list)
        for job in self._waiting:
            # The loop may not have come to the timer yet.
            if job.deadline.passed:
                _too_late(job)
            if not job.answer.done():
                jobs[job.steps.shape[1]].append(job)
        self._waiting = []
        return list(jobs.values())

    def _gathered(self, jobs: list[_Job]) -> tuple[Numbers, Numbers]:
        if len(jobs) == 1:
            return self._states[jobs[0].rows], jobs[0].steps
        rows = np.concatenate([job.rows for job in jobs])
        return self._states[rows], np.concatenate([job.steps for job in jobs])

    def _computed(self, states: Numbers, steps: Numbers) -> Numbers:
        began = time.perf_counter()
        outputs = self._stream.advance(states, steps)
        self.calls += 1
        took = (time.perf_counter() - began) / (steps.shape[0] * steps.shape[1])
        # One measurement says little: the process may have stood still meanwhile.
        self._seconds = min(took, 2 * self._seconds) if self._seconds else took
        return outputs

    def _give(self, jobs: list[_Job], states: Numbers, outputs: Numbers) -> None:
        """Keep the new states, and answer the jobs."""
        good = self._finite(states, outputs)
        at = 0
        for job in jobs:
            here = slice(at, at + len(job.rows))
            at += len(job.rows)
            if job.answer.done():
                continue  # its client has gone, or its time is over
            if good is not None and not good[here].all():
                reason = "outputs: the model gives numbers that are not finite for this input"
                job.answer.set_exception(RefusedError(422, reason))
                continue
            self._states[job.rows] = states[here]
            job.answer.set_result(outputs[here])

    def _finite(self, states: Numbers, outputs: Numbers) -> npt.NDArray[np.bool_] | None:
        """Return for each row whether all of its numbers are finite; None if those of all rows are."""
        parts = list(self._stream.named(states).values())
        if np.isfinite(outputs).all() and all(np.isfinite(part).all() for part in parts):
            return None
        good = np.asarray(np.isfinite(outputs).all((1, 2)))
        for part in parts:
            good &= np.isfinite(part).all(1)
        return good


def _too_late(job: _Job) -> None:
    _fail([job], job.deadline.error())


def _fail(jobs: list[_Job], problem: Exception) -> None:
    for job in jobs:
        if not job.answer.done():
            job.answer.set_exception(problem)
