"""Training one network, with looks at the validation sequences in between."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import ceil, isfinite
from typing import Any

from nabi.comparison._contender import Contender
from nabi.comparison._network import compile_network, make_network
from nabi.comparison._settings import Settings
from nabi.comparison._task import Measure, Task
from nabi.errors import NotFiniteError
from nabi.utils import set_random_seed

__all__ = ["Look", "Trained", "best_rate", "train"]

_LOOKS = 20
_STEPS_AT_ONCE = 100
"""Batches that are drawn at once, at most."""
_STEPS_OF_A_TIME = 50
"""Batches between two looks where time ends the training."""
_RATES = (1e-3, 3e-3, 1e-2, 3e-2)
_SHARE_OF_TRIAL = 3
_ROWS = 250  # of one prediction
_WARM_UP = 4
"""Batches that compile everything: later ones of a shape are trained in another way than the first two."""

Tell = Callable[[int, float, float], None]
"""Called after every look with the steps and seconds so far and the figure."""


@dataclass(frozen=True)
class Look:
    """A look at the validation sequences: after so many steps and seconds of training, the figure."""

    steps: int
    seconds: float
    figure: float


@dataclass
class Trained:
    """What has become of a training.

    Attributes:
        parameters: of the network.
        looks: at the validation sequences.
        figure: on the test sequences, with the weights of the best look; None if training failed.
        problem: why it failed.
        milliseconds: of a step, the median.
    """

    parameters: int = 0
    looks: list[Look] = field(default_factory=list)
    figure: float | None = None
    problem: str = ""
    milliseconds: float | None = None

    def best(self, measure: Measure) -> Look | None:
        """Return the best look."""
        sign = 1 if measure.smaller_is_better else -1
        return min(self.looks, key=lambda look: sign * look.figure, default=None)


def train(
    contender: Contender,
    task: Task,
    settings: Settings,
    rate: float,
    seed: int,
    tell: Tell,
    *,
    test: bool = True,
) -> Trained:
    """Train the network of a cell, and test it unless `test` is False.

    The weights and everything random follow from the seed, and so do the sequences, which are therefore the
    same ones, in the same batches, for every cell.

    Raises:
        NabiError: the cell cannot be run on the task.
        KeyboardInterrupt: after Ctrl-C.
    """
    _warm_up(contender, task, settings, rate, seed)
    set_random_seed(seed)
    network = make_network(contender, task, settings.units)
    compile_network(network, task.classes, rate)
    trained = Trained(network.count_params())
    # Of one thread, the time of the processor is the same whatever else the machine does.
    clock = time.process_time if settings.threads == 1 else time.perf_counter
    validation = task.batches("validation", task.held_out[0], seed)
    best: list[Any] = []
    times: list[float] = []
    done, seconds = 0, 0.0
    for steps, looks in _pieces(settings):
        x, y = task.batches("training", steps * settings.batch_size, seed, done)
        start = clock()
        try:
            network.fit(x, y, batch_size=settings.batch_size, epochs=1, shuffle=False, verbose=0)
        except NotFiniteError:
            trained.problem = f"its loss was not finite after {done} to {done + steps} steps"
            break
        taken = clock() - start
        done, seconds = done + steps, seconds + taken
        times.append(taken / steps * 1e3)
        out_of_time = settings.minutes is not None and seconds >= 60 * settings.minutes
        if looks or out_of_time:
            figure = _figure(network, task, validation)
            if not isfinite(figure):
                trained.problem = f"its outputs were not finite after {done} steps"
                break
            trained.looks.append(Look(done, round(seconds, 4), figure))
            if trained.best(task.measure) is trained.looks[-1]:
                best = network.get_weights()
            tell(done, seconds, figure)
        if out_of_time:
            break
    # The first steps take memory.
    trained.milliseconds = statistics.median(times[1:] or times) if times else None
    if not trained.problem and test:
        network.set_weights(best)
        trained.figure = _figure(network, task, task.batches("test", task.held_out[1], seed))
    return trained


def _warm_up(contender: Contender, task: Task, settings: Settings, rate: float, seed: int) -> None:
    """Train a network that is thrown away, so that compiling is not part of the time of the first cell."""
    set_random_seed(seed)
    network = make_network(contender, task, settings.units)
    compile_network(network, task.classes, rate)
    x, y = task.batches("training", _WARM_UP * settings.batch_size, seed)
    with suppress(NotFiniteError):  # the training says so itself, and after which step
        network.fit(x, y, batch_size=settings.batch_size, epochs=1, shuffle=False, verbose=0)


def best_rate(contender: Contender, task: Task, settings: Settings, seed: int, tell: Tell) -> float:
    """Return the learning rate whose network is best on the validation sequences after a short training.

    Raises:
        NabiError: the cell cannot be run on the task.
        KeyboardInterrupt: after Ctrl-C.
    """
    steps = None if settings.steps is None else ceil(settings.steps / _SHARE_OF_TRIAL)
    minutes = None if settings.minutes is None else settings.minutes / _SHARE_OF_TRIAL
    short = replace(settings, steps=steps, minutes=minutes)
    sign = 1 if task.measure.smaller_is_better else -1
    found: list[tuple[float, float]] = []
    for rate in _RATES:
        trained = train(contender, task, short, rate, seed, tell, test=False)
        look = trained.best(task.measure)
        if look is not None and not trained.problem:
            found.append((sign * look.figure, rate))
    return min(found)[1] if found else settings.learning_rate


def _pieces(settings: Settings) -> Iterator[tuple[int, bool]]:
    """Yield how many steps come next, and whether a look follows them."""
    if settings.steps is None:
        while True:
            yield _STEPS_OF_A_TIME, True
    left = settings.steps
    between = ceil(settings.steps / _LOOKS)
    if settings.minutes is not None:
        between = min(between, _STEPS_OF_A_TIME)
    while left:
        until_look = min(between, left)
        while until_look:
            steps = min(until_look, _STEPS_AT_ONCE)
            until_look, left = until_look - steps, left - steps
            yield steps, not until_look


def _figure(network: Any, task: Task, held_out: Any) -> float:
    x, y = held_out
    return float(task.measure.of(network.predict(x, batch_size=_ROWS, verbose=0), y))
