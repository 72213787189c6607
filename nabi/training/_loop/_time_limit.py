"""A time that a training has: how many batches fit into it, and its end by the clock."""

import time

from nabi import _checks

__all__ = ["TimeLimit", "as_time_limit"]

_RESERVE = 0.02  # of the time, for what no batch tells, such as the last lines
_PARTS = 8  # of the batches that are left; after each, those that are to come are counted again


class TimeLimit:
    """The end of a training by the clock, whose number of batches follows from how fast it is.

    The clock runs from when this is made, so that what comes before the first batch counts.

    Args:
        seconds: the whole time.

    Attributes:
        steps: number of batches over all epochs, as planned; None before anything was measured.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._begun = time.perf_counter()
        self.steps: int | None = None
        self._next = 0

    @property
    def left(self) -> float:
        """Seconds to the end."""
        return self.seconds - (time.perf_counter() - self._begun)

    def count_earlier(self, seconds: float, steps: int | None) -> None:
        """Go on with a training that was interrupted: what it took, and what was planned."""
        self._begun -= seconds
        self.steps = steps

    def is_due(self, step: int) -> bool:
        """Whether it is time to plan, after so many batches."""
        return step >= self._next

    def planned(
        self, step: int, most: int | None, per_batch: float, per_validation: float, per_epoch: int | None
    ) -> int:
        """Return how many batches there can be, from how fast they were so far.

        Args:
            step: batches that are done, of all epochs.
            most: batches of the whole training, if it had all the time; None where that is not known.
            per_batch: seconds.
            per_validation: seconds; the last is always waited for.
            per_epoch: batches of an epoch, None where that is not known.
        """
        left = self.left - _RESERVE * self.seconds - per_validation
        fit = left / per_batch
        if per_epoch is not None:
            # Those of this epoch cost no further validation, later ones do.
            of_this = per_epoch - step % per_epoch
            if fit > of_this:
                fit = of_this + (left - of_this * per_batch) / (per_batch + per_validation / per_epoch)
        steps = step + max(int(fit), 0)
        return steps if most is None else min(most, steps)

    def plan(self, step: int, steps: int) -> None:
        """Let there be so many batches, until it is time to plan again."""
        self.steps = steps
        self._next = step + max(1, (steps - step) // _PARTS)


def as_time_limit(minutes: float | None) -> TimeLimit | None:
    """Return the limit that a user gives in minutes; None for none.

    Raises:
        ArgumentError: for what is no positive number.
    """
    if minutes is None:
        return None
    return TimeLimit(60 * _checks.real("minutes", minutes, above=0, otherwise=" or None"))
