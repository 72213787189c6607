"""The time of a training: how long it takes, said after its first steps, and its end where it has a limit.

All trainings have it from their `Loop`.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from nabi.training._callbacks._afterwards import Afterwards, Announcing
from nabi.training._callbacks._base import Callback
from nabi.training._loop._checkpoint import Position
from nabi.training._loop._pace import Pace
from nabi.training._loop._progress import Display, in_words
from nabi.training._loop._time_limit import TimeLimit

__all__ = ["Rounds", "Timed", "Timing"]

_SHORTEST = 5.0  # seconds; of a shorter training nothing is said
# An estimate is made from a part of the training, within limits, or from what there was until the latest.
_SHARE_MEASURED, _LEAST_MEASURED, _MOST_MEASURED, _LATEST = 0.02, 2.0, 12.0, 20.0
_SECONDS_BETWEEN_LOOKS = 0.2
# What was said is corrected, after an epoch or within a long one, if it is wrong by more than a share of it.
_WRONG, _SHORTEST_CORRECTED, _SECONDS_BETWEEN_CORRECTIONS = 0.25, 20.0, 15.0
# What follows is told apart if it takes at least so many seconds, or such a share of the training.
_SHORTEST_AFTERWARDS, _SHARE_AFTERWARDS = 1.0, 0.02


class Timed(Protocol):
    """What is asked of a training."""

    @property
    def epochs(self) -> int:
        """How many there are at most."""

    @property
    def position(self) -> Any:
        """A `Position`."""

    @property
    def batches_per_epoch(self) -> int | None:
        """How many batches the current epoch has, None where that is not known."""

    @property
    def steps(self) -> int | None:
        """How many batches all epochs have, None where that is not known."""

    @property
    def steps_done(self) -> int:
        """How many batches are done when it begins or goes on."""

    @property
    def validation_share(self) -> float:
        """How much is validated with after an epoch, as a share of what the epoch learns from."""

    @property
    def may_stop_earlier(self) -> bool:
        """Whether something may end it before its last epoch."""

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights are kept, from 1; None for the last."""

    def from_first(self, value: Any) -> Any:
        """Return what the first of several workers gives; without others, the value itself."""


class Timing:
    """Watches the clock for a training.

    Args:
        training: what is timed.
        limit: the time that it has, None for all that it needs.
        shared: workers that train together.
        display: shows lines, and asks for the time that is left.
        callbacks: those that show lines, or tell what follows, are found among them.
        unit: what the epochs are called.

    Attributes:
        is_up: whether the limit ends the training.
        seconds_said: for the whole training, as told last; 0 where nothing was.
        seconds_afterwards: of the evaluation that follows the training, as told; 0 where nothing was.
    """

    def __init__(
        self,
        training: Timed,
        limit: TimeLimit | None,
        shared: int,
        display: Display,
        callbacks: Sequence[Callback] = (),
        unit: str = "epoch",
    ) -> None:
        self._training, self._limit, self._workers, self._display = training, limit, shared, display
        self._unit = unit
        self._afterwards = [one for one in callbacks if isinstance(one, Afterwards)]
        self._announcing = [one for one in callbacks if isinstance(one, Announcing)]
        self.seconds_afterwards = 0.0
        self.pace = Pace()
        self._before = training.steps_done
        self._is_told = False
        self.seconds_said = 0.0
        self._looked = -math.inf
        self._ending = 0.0  # seconds of a batch and a validation, as known when the last plan was made
        self.is_up = False
        display.seconds_left = self.seconds_left

    @property
    def step(self) -> int:
        """Batches that are done, over all epochs."""
        return self._before + self.pace.batches

    @property
    def steps(self) -> int | None:
        """Batches of the whole training, as planned."""
        planned = None if self._limit is None else self._limit.steps
        return self._training.steps if planned is None else planned

    @property
    def epochs(self) -> float:
        """Epochs of the whole training, as planned; the last may be a part of one."""
        count, steps = self._training.batches_per_epoch, self.steps
        if self._limit is None or not count or steps is None:
            return self._training.epochs
        return min(steps / count, self._training.epochs)

    def begin_epoch(self) -> None:
        """An epoch begins or goes on: show it."""
        position, count = self._training.position, self._training.batches_per_epoch
        self.pace.begin_epoch(position.batch)
        if count is not None and self.steps is not None:
            count = min(count, max(self.steps - self.step + position.batch, 1))
        self._display.begin_epoch(position.epoch, math.ceil(self.epochs), count)

    def after_batch(self) -> None:
        """A batch is done: plan what is to come, say how long it takes, or end it."""
        self.pace.batch(self._training.position.batch)
        if self._limit is not None:
            self._plan(self._limit)
        if not self._is_told and time.perf_counter() - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = time.perf_counter()
            self._tell()
        elif self.seconds_said and time.perf_counter() - self._looked >= _SECONDS_BETWEEN_CORRECTIONS:
            self._correct()

    def after_epoch(self) -> None:
        """An epoch and its validation are done: is there time for more?"""
        self.pace.end_epoch()
        limit, training = self._limit, self._training
        # After the last epoch nothing is left that the time could end.
        if limit is not None and not self.is_up and training.position.epoch < training.epochs:
            needed = (self.pace.per_batch() or 0.0) + self._per_validation()
            self.is_up = bool(training.from_first(limit.left <= needed))
        if self.seconds_said:
            self._correct()

    def _correct(self) -> None:
        self._looked = time.perf_counter()
        left = self.seconds_left()
        if left:
            whole = self.pace.elapsed + left
            if abs(whole - self.seconds_said) > _WRONG * self.seconds_said and left >= _SHORTEST_CORRECTED:
                self.seconds_said = whole
                self._say(f"now about {in_words(whole)} in all{self._then()}")

    def say_total(self) -> None:
        """Say how long the training took."""
        training, seconds, count = self._training, self.pace.elapsed, self._training.batches_per_epoch
        if seconds < _SHORTEST:
            return
        done = self.step / count if count else training.position.epoch
        parts = [f"{_number(done, self._unit)} took {in_words(seconds)}"]
        if self.is_up and training.position.epoch < training.epochs:
            parts[0] += ", as long as was given"
        if training.best_epoch is not None:
            parts.append(f"the weights are those of epoch {training.best_epoch}, the best in validation")
        self._say("; ".join(parts))

    def seconds_left(self) -> float | None:
        """Return how long it takes to the end, None where that cannot be said yet."""
        per_batch, steps = self.pace.per_batch(), self.steps
        if per_batch is None or steps is None:
            return None
        left, count = max(steps - self.step, 0), max(self._training.batches_per_epoch or 1, 1)
        validations = math.ceil(left / count)
        if self.pace.done and (self.pace.done >= count or not left):
            validations += 1  # that of the epoch whose last batch was just done
        return left * per_batch + validations * self._per_validation()

    def _per_validation(self) -> float:
        training = self._training
        return self.pace.per_validation(training.validation_share, training.batches_per_epoch or 0)

    def _plan(self, limit: TimeLimit) -> None:
        training, step = self._training, self.step
        per_batch = self.pace.per_batch()
        if per_batch is not None and limit.is_due(step):
            count, validation = training.batches_per_epoch, self._per_validation()
            self._ending = per_batch + validation
            steps = limit.planned(step, training.steps, per_batch, validation, count)
            limit.plan(step, training.from_first(steps))
        # The clock of one worker does not end the training of others: they agree when they plan.
        late = self._workers < 2 and limit.left <= self._ending
        all_of_it = limit.steps is not None and limit.steps == training.steps
        self.is_up = late or (limit.steps is not None and step >= limit.steps and not all_of_it)

    def _tell(self) -> None:
        """Say how long the training takes, when enough was measured."""
        left, elapsed = self.seconds_left(), self.pace.elapsed
        if left is None:
            return
        whole = elapsed + left
        enough = min(max(_SHARE_MEASURED * whole, _LEAST_MEASURED), _MOST_MEASURED)
        if self.pace.measured < enough and elapsed < _LATEST:
            return
        self._is_told = True
        self.seconds_afterwards = self._measure_afterwards()
        whole = self.pace.elapsed + left
        if whole + self.seconds_afterwards < _SHORTEST:
            return
        self.seconds_said = whole
        training, planned = self._training, self.epochs
        threads = _number(torch.get_num_threads(), "thread")
        where = f"{self._workers} workers with {threads} each" if self._workers > 1 else threads
        if self._before:
            what = f"the rest of {_number(training.epochs, self._unit)}"
        elif planned < training.epochs:
            what = f"{planned:.1f} of {training.epochs} {self._unit}s".replace(".0 ", " ")
        else:
            what = _number(training.epochs, self._unit)
        most, end = ("at most ", "; it may stop earlier") if training.may_stop_earlier else ("", "")
        self._say(f"about {in_words(whole)} for {most}{what} on {where}{self._then()}{end}")

    def _measure_afterwards(self) -> float:
        """Return the seconds of what follows the training."""
        if not self._afterwards:
            return 0.0
        training = self._training
        reading = self.pace.per_reading(training.validation_share, training.batches_per_epoch or 0)
        found = sum(one.seconds(reading) for one in self._afterwards)
        self.pace.leave_out()
        return found

    def _say(self, line: str) -> None:
        self._display.say(line)
        for one in self._announcing:
            one.say(line)

    def _then(self) -> str:
        """Return the end of a line about the training: what follows it."""
        seconds = self.seconds_afterwards
        if seconds < max(_SHORTEST_AFTERWARDS, _SHARE_AFTERWARDS * self.seconds_said):
            return ""
        return f", then about {in_words(seconds)} of evaluation"


class _Said(Display):
    """Shows lines by a function."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def say(self, line: str) -> None:
        """Show it."""
        self._say(line)


class Rounds:
    """Says how long it takes to do something so many times, as a training says it of its epochs.

    For trainings that are no one call of `fit`: networks one after another, or an epoch a call.

    Args:
        count: of all rounds.
        unit: what one of them is called.
        say: shows a line.
        before: rounds that were done in an earlier run.
    """

    batches_per_epoch = 1
    validation_share = 0.0
    may_stop_earlier = False
    best_epoch = None

    def __init__(self, count: int, unit: str, say: Callable[[str], None], before: int = 0) -> None:
        self.epochs = self.steps = count
        self.position = Position(epoch=before)
        self.steps_done = before
        self._timing = Timing(self, None, 1, _Said(say), unit=unit)
        # What a round takes is known after the first.
        self._timing.pace.batch(0)

    def from_first(self, value: Any) -> Any:
        """Return the value: there are no other workers."""
        return value

    def after_round(self) -> None:
        """One more is done."""
        timing, position = self._timing, self.position
        position.batch = 1
        timing.after_batch()
        position.epoch, position.batch = position.epoch + 1, 0
        timing.after_epoch()

    def end(self) -> None:
        """Say how long it took."""
        self._timing.say_total()


def _number(count: float, what: str) -> str:
    """Return so many of it: "1 epoch", "2.5 epochs".

    >>> _number(1, "epoch"), _number(2.52, "epoch"), _number(12.0, "epoch")
    ('1 epoch', '2.5 epochs', '12 epochs')
    """
    shown = f"{count:,.1f}".removesuffix(".0")
    return f"{shown} {what}" if shown == "1" else f"{shown} {what}s"
