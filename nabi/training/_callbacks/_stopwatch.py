"""What a command takes beside its training."""

import time
from typing import Any

from nabi.training._callbacks._base import Callback
from nabi.training._loop._progress import duration

__all__ = ["Stopwatch"]


class Stopwatch(Callback):
    """Measures trainings, and what comes before and after them; it runs from when it is made.

    `str` gives a sentence: "Training took 28 s, the preparation before it 20 s, the evaluation after it 6 s."
    """

    only_reads = True

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._trainings: list[tuple[float, float]] = []
        self._started = self._begun

    def on_train_begin(self, logs: Any = None) -> None:
        """Start to count a training."""
        self._started = time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        """Count it."""
        self._trainings.append((self._started, time.perf_counter()))

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._begun

    def __str__(self) -> str:
        trained = sum(end - begin for begin, end in self._trainings)
        if len(self._trainings) != 1:
            return f"Training took {duration(trained)}, all else {duration(self.seconds - trained)}."
        [(begin, end)] = self._trainings
        before, after = begin - self._begun, time.perf_counter() - end
        return (
            f"Training took {duration(trained)}, the preparation before it {duration(before)}, "
            f"the evaluation after it {duration(after)}."
        )
