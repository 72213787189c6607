"""The step between observations, found from their times."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data._series._frequency import Frequency
from nabi.errors import ArgumentError

__all__ = ["find_frequency"]

Moments = npt.NDArray[Any]

_ON_STEP = 0.9
_UNITS = {"week": 604_800, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
_FEW = 8


def find_frequency(series: list[Moments]) -> Frequency:
    """Return the step of series of sorted, different times: datetime64[us], or whole numbers.

    Raises:
        ArgumentError: if no series has two times, or the times fit no step.
    """
    differences = np.concatenate([np.diff(times) for times in series])
    if not len(differences):
        raise ArgumentError(
            "frequency: expected at least two observations of a series to find the step between them; name "
            "it with frequency= (--frequency)"
        )
    if np.issubdtype(series[0].dtype, np.integer):
        return Frequency("step", int(np.gcd.reduce(differences)))
    return _by_months(series) or _by_seconds(series, differences / np.timedelta64(1, "us"))


def _by_months(series: list[Moments]) -> Frequency | None:
    """Return a step of whole months, if all times are at the same day of the month, or at its end."""
    every = np.concatenate(series)
    months = every.astype("datetime64[M]")
    into = every - months.astype("datetime64[us]")
    left = (months + 1).astype("datetime64[us]") - every
    steps = np.concatenate([np.diff(times.astype("datetime64[M]")).astype(np.int64) for times in series])
    if (steps == 0).any():
        return None
    if (into == into[0]).all():
        month_end = False
    elif (left == left[0]).all() and left[0] <= np.timedelta64(1, "D"):
        month_end = True
    elif into.max() >= np.timedelta64(28, "D"):
        # The 30th or 31st, or the last day of a shorter month.
        month_end = False
        fits = Frequency("month").steps_after(every[np.argmax(into)].item(), every)
        if not (fits == np.round(fits)).all():
            return None
    else:
        return None
    step = int(np.gcd.reduce(steps))
    for unit, length in (("year", 12), ("quarter", 3), ("month", 1)):
        if step % length == 0:
            return Frequency(unit, step // length, month_end)
    return None


def _by_seconds(series: list[Moments], differences: npt.NDArray[np.float64]) -> Frequency:
    counted = Counter(differences.tolist()).most_common()
    usual = counted[0][0]
    days = 86_400_000_000
    if usual == days and len(differences) >= _FEW:
        every = np.concatenate(series)
        weekends = ~np.is_busday(every.astype("datetime64[D]"))
        if not weekends.any() and (differences == 3 * days).any():
            return Frequency("workday")
    # The most frequent step, or a shorter one that nearly all times are on.
    candidates = [usual, *(step for step, _ in counted[:_FEW] if step < usual)]
    fitting = [
        step for step in candidates if np.mean(differences % step == 0) >= _ON_STEP and step >= 1_000_000
    ]
    if not fitting or fitting[0] % 1_000_000:
        named = ", ".join(
            f"{step / 1e6:g} s ({100 * times / len(differences):.0f} %)" for step, times in counted[:3]
        )
        others = " and others" if len(counted) > 3 else ""
        raise ArgumentError(
            f"frequency: expected times at equal steps, got steps of {named}{others}; name a step with "
            "frequency= (--frequency), such as 'hour': the observations within a step are averaged"
        )
    seconds = int(fitting[0] // 1_000_000)
    unit, length = next((unit, length) for unit, length in _UNITS.items() if seconds % length == 0)
    return Frequency(unit, seconds // length)
