"""What is told of the time of a training: to whom, and what follows it."""

import time
from collections.abc import Callable
from typing import Any

import torch

from nabi.training._callbacks._base import Callback

__all__ = ["Afterwards", "Announcing", "time_of"]

_MOST_TRIED = 32  # rows of a rehearsal


class Announcing(Callback):
    """Base of callbacks that show progress by themselves, and with it how long the training takes."""

    def say(self, line: str) -> None:
        """Show a line about the time of the training, beside the progress."""


class Afterwards(Callback):
    """Says how long it takes to measure what a training has taught; the loop asks once, and tells the user.

    Args:
        share: how much is read for it, as a share of what an epoch learns from.
        seconds: what it takes beside that, such as to load what draws pictures.
        rehearsal: for what is more than reading, such as a beam search: a function that tries a part of it
            with the model as it is by then, and returns the seconds that all of it takes (see `time_of`).

    Attributes:
        learning: the model that learns, as the rehearsal gets it; set by who trains one that can be asked
            before the training is over. Without it there is no rehearsal.
    """

    only_reads = True

    def __init__(
        self,
        share: float = 0.0,
        rehearsal: Callable[[Any], float] | None = None,
        *,
        seconds: float = 0.0,
    ) -> None:
        self._share, self._rehearsal, self._seconds = share, rehearsal, seconds
        self.learning: Any = None

    def seconds(self, per_reading: float) -> float:
        """Return how long it takes; `per_reading` are the seconds in which an epoch's data are read."""
        found = self._seconds + self._share * per_reading
        if self._rehearsal is not None and self.learning is not None:
            # The training must go on as if nobody had tried anything.
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                found += self._rehearsal(self.learning)
        return found


def time_of(task: Callable[[Any], object], rows: Any) -> float:
    """Return about how many seconds `task(rows)` takes, from trying it with a few of the rows.

    Args:
        task: what is to be done with rows.
        rows: a sequence or an array of them; those that are tried lie evenly among them. Without any, it
            takes no time.

    >>> time_of(lambda rows: time.sleep(0.001 * len(rows)), range(1000)) >= 1.0
    True
    >>> time_of(len, [])
    0.0
    """
    if not len(rows):
        return 0.0
    some = rows[:: -(-len(rows) // _MOST_TRIED)]
    task(some[:1])  # what is made or loaded at the first time
    begun = time.perf_counter()
    task(some)
    return (time.perf_counter() - begun) * len(rows) / len(some)
