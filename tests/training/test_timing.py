"""How long a training takes, said after its first steps, and its end by the clock."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings, strategies as st

from nabi.errors import ArgumentError
from nabi.training import Afterwards, Announcing, Callback, CallbackList, Rounds
from nabi.training._loop import _pace
from nabi.training._loop._checkpoint import Position
from nabi.training._loop._loop import Loop
from nabi.training._loop._progress import Display, in_words
from nabi.training._loop._time_limit import TimeLimit, as_time_limit


class Clock:
    """A clock that only a training moves."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(_pace.time, "perf_counter", lambda: self.now)


class Listed(Display):
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.titles: list[tuple[int, int, int | None]] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def begin_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        self.titles.append((epoch + 1, epochs, steps))


class Clocked(Loop):
    """A training whose steps take as long as they are told."""

    def __init__(
        self,
        clock: Clock,
        *,
        epochs: int = 10,
        batches: int = 100,
        step: float = 0.1,
        first: float = 0.1,
        validation: float = 0.0,
        patient: bool = False,
    ) -> None:
        self.clock, self.epochs, self._count = clock, epochs, batches
        self._step, self._first, self._validation, self._patient = step, first, validation, patient
        self.position = Position()
        self.trained = self.validated = 0

    @property
    def batches_per_epoch(self) -> int:
        return self._count

    @property
    def may_stop_earlier(self) -> bool:
        return self._patient

    @property
    def validation_share(self) -> float:
        return 3 * self._validation / (self._count * self._step)

    def batches(self, first: int) -> Iterator[int]:
        return iter(range(first, self._count))

    def step(self, batch: int) -> None:
        self.clock.now += self._step if self.trained else self._first
        self.trained += 1

    def figures(self) -> dict[str, Any]:
        return {"loss": 0.0}

    def validation_figures(self, display: Display, callbacks: CallbackList) -> dict[str, Any]:
        self.clock.now += self._validation
        self.validated += 1
        return {}


def run(training: Clocked, *callbacks: Callback) -> Listed:
    shown = Listed()
    training.run(shown, CallbackList(callbacks, None, {}))
    return shown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.usefixtures("clock")
def test_it_is_said_after_the_first_steps_and_at_the_end(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    assert run(Clocked(clock)).lines == [
        "about 1.7 minutes for 10 epochs on 2 threads",
        "10 epochs took 1.7 minutes",
    ]
    assert run(Clocked(clock, epochs=1, first=6.0, patient=True)).lines == [
        "about 16 seconds for at most 1 epoch on 2 threads; it may stop earlier",
        "1 epoch took 16 seconds",
    ]
    assert run(Clocked(clock, epochs=1, step=0.01)).lines == []  # too short to be of interest


def test_what_follows_the_training_is_told_with_it(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)

    def rehearse(model: Any) -> float:
        clock.now += 7.0  # which is no part of any batch
        torch.rand(3)
        return float(model)

    before = torch.get_rng_state()
    written = Afterwards(rehearsal=rehearse)
    written.learning = 60.0
    # An epoch has 10 s of steps, and is read in a third of that.
    reads, nobody = Afterwards(3.0), Afterwards(rehearsal=rehearse)
    training = Clocked(clock, validation=1.0, patient=True)
    assert run(training, reads, written, nobody).lines[0] == (
        "about 2 minutes for at most 10 epochs on 2 threads, then about 70 seconds of evaluation; "
        "it may stop earlier"
    )
    assert training.timing.pace.per_batch() == pytest.approx(0.1)
    assert training.timing.seconds_afterwards == pytest.approx(70.0)
    assert torch.equal(torch.get_rng_state(), before)

    # A short validation takes what does not grow with its length, such as what is compiled in the first.
    class Compiling(Clocked):
        validation_share = 0.1  # type: ignore[assignment]

    compiling = Compiling(clock, batches=5, validation=5.0)
    run(compiling, Afterwards(30.0))
    assert compiling.timing.seconds_afterwards == pytest.approx(30 * 0.5 / 3)

    # What shows progress by itself hears the same lines.
    class Bar(Announcing):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def say(self, line: str) -> None:
            self.lines.append(line)

    bar = Bar()
    assert run(Clocked(clock), bar).lines == bar.lines
    assert len(bar.lines) == 2
    # A short training with a long evaluation is announced, too; a short evaluation is not.
    assert run(Clocked(clock, epochs=3, batches=10), Afterwards(30.0)).lines[:1] == [
        "about 3 seconds for 3 epochs on 2 threads, then about 10 seconds of evaluation"
    ]
    assert "evaluation" not in run(Clocked(clock), Afterwards(0.2)).lines[0]


def test_a_stall_is_no_pace_and_a_change_of_pace_is_told(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)

    class Uneven(Clocked):
        def __init__(self, *slow: tuple[int, int, float], batches: int) -> None:
            super().__init__(clock, epochs=1, batches=batches)
            self._slow = slow

        def step(self, batch: int) -> None:
            super().step(batch)
            self.clock.now += sum(more for first, end, more in self._slow if first <= batch < end)

    # The machine sleeps for a minute while the pace is measured.
    assert run(Uneven((15, 16, 60.0), batches=1000)).lines == [
        "about 2.7 minutes for 1 epoch on 1 thread",
        "1 epoch took 2.7 minutes",
    ]
    # Another program takes half of the machine, and ends.
    lines = run(Uneven((0, 300, 0.2), batches=3000)).lines
    assert lines[0] == "about 15 minutes for 1 epoch on 1 thread"
    assert lines[-2:] == ["now about 6.1 minutes in all", "1 epoch took 6 minutes"]


def test_rounds_are_told_as_epochs_are(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    lines: list[str] = []
    rounds = Rounds(10, "fold", lines.append, before=2)
    for seconds in (31.0, *[30.0] * 7):
        clock.now += seconds
        rounds.after_round()
    rounds.end()
    assert lines == ["about 4.1 minutes for the rest of 10 folds on 1 thread", "10 folds took 4 minutes"]


@settings(max_examples=30, deadline=None)
@given(
    epochs=st.integers(1, 30),
    batches=st.integers(3, 400),
    step=st.floats(0.002, 3.0),
    first=st.floats(0.0, 5.0),
    validation=st.floats(0.0, 0.3),
)
@example(epochs=2, batches=3, step=0.75, first=1.0, validation=0.25)  # said just before a validation
def test_the_estimate_is_right(
    epochs: int, batches: int, step: float, first: float, validation: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        training = Clocked(
            clock,
            epochs=epochs,
            batches=batches,
            step=step,
            first=step + first,
            validation=validation * batches * step,
        )
        begun = clock.now
        lines = run(training).lines
        took = clock.now - begun
        if took > 6.0 and training.trained * step > 2.0:
            assert lines[0].startswith("about ")
            assert training.timing.seconds_said == pytest.approx(took, rel=0.05)
            assert sum(line.startswith(("about", "now")) for line in lines) == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 seconds"),
        (1, "1 second"),
        (89, "89 seconds"),
        (90, "1.5 minutes"),
        (240, "4 minutes"),
        (1500, "25 minutes"),
        (5400, "1.5 hours"),
        (7200, "2 hours"),
        (90_000, "25 hours"),
    ],
)
def test_times_in_words(seconds: float, said: str) -> None:
    assert in_words(seconds) == said


@settings(max_examples=40, deadline=None)
@given(
    epochs=st.integers(1, 50),
    batches=st.integers(1, 300),
    step=st.floats(0.01, 2.0),
    validation=st.floats(0.0, 0.3),
    seconds=st.floats(20.0, 600.0),
)
# At the end less is left than a step and a validation take.
@example(epochs=1, batches=59, step=1.3125, validation=0.15625, seconds=102.0)
def test_a_limit_is_kept_and_made_use_of(
    epochs: int, batches: int, step: float, validation: float, seconds: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch)
        training = Clocked(
            clock,
            epochs=epochs,
            batches=batches,
            step=step,
            first=step,
            validation=validation * batches * step,
        )
        needed = epochs * batches * step * (1 + validation)
        training.limit = TimeLimit(seconds)
        begun = clock.now
        shown = run(training)
        took = clock.now - begun
        last = validation * batches * step + step
        assert took <= max(seconds, 2 * step + last) + 1e-6
        if needed < 0.9 * seconds:
            assert training.trained == epochs * batches
            assert not training.timing.is_up
        elif needed > 1.2 * seconds:
            assert training.timing.is_up
            assert took > 0.85 * seconds - 2 * last
        assert training.validated == len(shown.titles)  # the last epoch is validated, too, if it is a part


def test_a_training_that_becomes_slower_still_ends_in_time(clock: Clock) -> None:
    training = Clocked(clock, epochs=50, batches=100)

    class Slower(Clocked):
        def step(self, batch: int) -> None:
            super().step(batch)
            self.clock.now += 0.2 if self.trained > 300 else 0.0

    training = Slower(clock, epochs=50, batches=100, validation=2.0)
    training.limit = TimeLimit(120.0)
    begun = clock.now
    shown = run(training)
    assert 110 < clock.now - begun <= 120
    assert shown.lines[-1].endswith(", as long as was given")
    # In the titles, too, there are as many epochs as are planned by then.
    assert shown.titles[0][1] == 50
    assert shown.titles[-1][0] == shown.titles[-1][1] < 12


@pytest.mark.parametrize("minutes", [0, -0.5, math.nan, math.inf])
def test_what_is_no_time_is_refused(minutes: float) -> None:
    with pytest.raises(ArgumentError, match=r"^minutes: expected a number above 0 or None, got"):
        as_time_limit(minutes)
    assert as_time_limit(None) is None
