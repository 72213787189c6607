"""How far apart the observations of a series are: times, season lengths, calendar features."""

import calendar as _calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError

__all__ = ["UNITS", "Frequency", "Time"]

Time = datetime | int
"""When something was observed: a date and time without a zone, or the number of a step."""

_MONTHS = {"year": 12, "quarter": 3, "month": 1}
_SECONDS = {"week": 604_800, "day": 86_400, "hour": 3600, "minute": 60, "second": 1}
UNITS = (*_MONTHS, "week", "day", "workday", "hour", "minute", "second", "step")
"""Units of a `Frequency`, longest first. Workdays are Monday to Friday; steps are numbers without a date."""

# Other names of frequencies: what people write, and pandas' letters.
_NAMES = {
    "yearly": "year", "annual": "year", "annually": "year", "a": "year", "y": "year", "ye": "year",
    "ys": "year", "as": "year", "quarterly": "quarter", "q": "quarter", "qs": "quarter", "qe": "quarter",
    "monthly": "month", "m": "month", "ms": "month", "me": "month", "weekly": "week", "w": "week",
    "daily": "day", "d": "day", "business day": "workday", "b": "workday", "hourly": "hour", "h": "hour",
    "minutely": "minute", "min": "minute", "t": "minute", "s": "second", "sec": "second",
}  # fmt: skip

# Season lengths that are tried for one step of each unit, and how long they are in that unit.
_SEASONS: dict[str, tuple[float, ...]] = {
    "year": (),
    "quarter": (4,),
    "month": (12,),
    "week": (52,),
    "day": (7, 365),
    "workday": (5, 261),
    "hour": (24, 168, 8766),
    "minute": (60, 1440, 10_080),
    "second": (60, 3600, 86_400),
    "step": (),
}

# Cycles of the calendar that a step of each unit can see, with the number of their sine and cosine waves.
_CYCLES = {"year": 2, "week": 3, "day": 2, "hour": 1, "minute": 1}
_SEEN = {
    "year": (),
    "quarter": ("year",),
    "month": ("year",),
    "week": ("year",),
    "day": ("year", "week"),
    "workday": ("year", "week"),
    "hour": ("year", "week", "day"),
    "minute": ("year", "week", "day", "hour"),
    "second": ("year", "week", "day", "hour", "minute"),
    "step": (),
}


@dataclass(frozen=True)
class Frequency:
    """The step between two observations: so many of a unit.

    Args:
        unit: "year", "quarter", "month", "week", "day", "workday" (Monday to Friday), "hour", "minute",
            "second", or "step" for series that have numbers instead of dates.
        count: how many units a step has: 15 for observations every 15 minutes.
        month_end: whether times stay at the last day of their month (years, quarters and months only).

    Raises:
        ArgumentError: for another unit, a count below 1, and `month_end` with a unit that has no months.

    >>> Frequency("month").times(datetime(2024, 1, 31), 3)[1:]
    [datetime.datetime(2024, 2, 29, 0, 0), datetime.datetime(2024, 3, 31, 0, 0)]
    >>> Frequency("minute", 15).seasons
    (4, 96, 672)
    >>> str(Frequency("minute", 15)), str(Frequency("day"))
    ('15 minutes', 'day')
    """

    unit: str
    count: int = 1
    month_end: bool = False

    def __post_init__(self) -> None:
        _checks.choice("unit", self.unit, UNITS)
        object.__setattr__(self, "count", _checks.whole("count", self.count))
        object.__setattr__(self, "month_end", _checks.flag("month_end", self.month_end))
        if self.month_end and self.unit not in _MONTHS:
            raise ArgumentError(f"month_end: expected False for the unit {self.unit!r}, got True")

    def __str__(self) -> str:
        return self.unit if self.count == 1 else f"{self.count} {self.unit}s"

    @classmethod
    @public
    def of(cls, text: str) -> "Frequency":
        """Return the frequency that a text names: "month", "monthly", "MS", "15 minutes", "15min".

        Raises:
            ArgumentError: for a text that names none.

        >>> Frequency.of("15min")
        Frequency(unit='minute', count=15, month_end=False)
        """
        plain = text.strip().lower()
        digits = plain[: len(plain) - len(plain.lstrip("0123456789"))]
        name = plain[len(digits) :].strip(" -_")
        month_end = name in {"me", "qe", "ye"}
        unit = _NAMES.get(name, name)
        unit = unit if unit in UNITS else _NAMES.get(unit.removesuffix("s"), unit.removesuffix("s"))
        if unit not in UNITS or digits.strip("0") == "" != digits:
            raise ArgumentError(
                f"frequency: expected a unit such as 'month' or '15 minutes', got {_checks.short(text)}; "
                f"units are {', '.join(UNITS)}"
            )
        return cls(unit, int(digits or 1), month_end)

    @property
    def seasons(self) -> tuple[int, ...]:
        """Season lengths in steps that such data may have, shortest first: (7, 365) for days."""
        found = (length / self.count for length in _SEASONS[self.unit])
        return tuple(int(steps) for steps in found if steps.is_integer() and steps > 1)

    def time(self, start: Time, steps: int) -> Time:
        """Return the time so many steps after `start`; `steps` may be negative.

        Raises:
            ArgumentError: for a start of the wrong kind, and a time beyond the year 9999.
        """
        found: Time = self.times(start, 1, first=steps)[0]
        return found

    def times(self, start: Time, count: int, *, first: int = 0) -> list[Any]:
        """Return `count` times: `start`, one step later, and so on; `first` steps are left out.

        Monthly, quarterly and yearly times keep the day of `start`, or have the last day of a shorter month;
        with `month_end` they are on last days.

        Raises:
            ArgumentError: for a start of the wrong kind, and a time beyond the year 9999.
        """
        places = range(first, first + count)
        if self.unit == "step":
            begin = _checks.whole("start", start, None)
            return [begin + place * self.count for place in places]
        if not isinstance(start, datetime):
            raise ArgumentError(
                f"start: expected a datetime for steps of a {self.unit}, got {_checks.short(start)}"
            )
        try:
            if self.unit in _MONTHS:
                return [self._months_later(start, place) for place in places]
            if self.unit == "workday":
                return [_workdays_later(start, place * self.count) for place in places]
            step = timedelta(seconds=_SECONDS[self.unit] * self.count)
            return [start + step * place for place in places]
        except ArgumentError:
            raise
        except (OverflowError, ValueError):
            raise ArgumentError(
                f"start: {count} steps of {self} after {start} leave the calendar (years 1 to 9999)"
            ) from None

    def _months_later(self, start: datetime, steps: int) -> datetime:
        year, month = divmod(start.month - 1 + steps * self.count * _MONTHS[self.unit], 12)
        year, month = start.year + year, month + 1
        last = _calendar.monthrange(year, month)[1]
        return start.replace(year=year, month=month, day=last if self.month_end else min(start.day, last))

    def steps(self, start: Time, time: Time) -> float:
        """Return how many steps lie between two times; not a whole number where `time` is on no step.

        >>> Frequency("month").steps(datetime(2024, 1, 31), datetime(2024, 3, 31))
        2.0
        """
        if isinstance(start, datetime) and isinstance(time, datetime):
            return float(self.steps_after(start, np.array([time], "datetime64[us]"))[0])
        return float(self.steps_after(start, np.array([time]))[0])

    def steps_after(self, start: Time, times: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the steps from `start` to each time of an array: datetime64, or numbers for "step"."""
        if self.unit == "step":
            return np.asarray((times - start) / self.count, np.float64)
        begin = np.datetime64(start, "us")
        if self.unit == "workday":
            days = times.astype("datetime64[D]")
            whole = np.busday_count(begin.astype("datetime64[D]"), days).astype(np.float64)
            # A weekend is on no step; neither is another hour of the day.
            off = ~np.is_busday(days) | ((times - days) != (begin - begin.astype("datetime64[D]")))
            return np.asarray((whole + 0.5 * off) / self.count)
        if self.unit not in _MONTHS:
            microseconds = (times - begin) / np.timedelta64(1, "us")
            return np.asarray(microseconds / (1e6 * _SECONDS[self.unit] * self.count))
        months = (times.astype("datetime64[M]") - begin.astype("datetime64[M]")).astype(np.float64)
        months += _days_off(begin, times, self.month_end) / 31
        return np.asarray(months / (self.count * _MONTHS[self.unit]))

    @property
    def calendar_names(self) -> tuple[str, ...]:
        """Names of the columns of `calendar`, such as "year sin 1"."""
        return tuple(
            f"{cycle} {wave} {harmonic}"
            for cycle in _SEEN[self.unit]
            for harmonic in range(1, _CYCLES[cycle] + 1)
            for wave in ("sin", "cos")
        )

    def calendar(self, times: Sequence[Time]) -> npt.NDArray[np.float64]:
        """Return sines and cosines of where each time is in the year, week, day, hour and minute.

        Only the cycles that are longer than a step are there; see `calendar_names`. Series by the year or
        by the step have none: `[T, 0]`.

        >>> Frequency("month").calendar([datetime(2024, 1, 1), datetime(2024, 7, 1)]).shape
        (2, 4)
        """
        if not _SEEN[self.unit] or not len(times):
            return np.zeros((len(times), len(self.calendar_names)))
        moments = np.array(times, "datetime64[us]")
        columns = []
        for cycle in _SEEN[self.unit]:
            angle = 2 * np.pi * self._phase(cycle, moments)
            for harmonic in range(1, _CYCLES[cycle] + 1):
                columns += [np.sin(harmonic * angle), np.cos(harmonic * angle)]
        return np.stack(columns, 1)

    def _phase(self, cycle: str, moments: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return where in a cycle each moment is, from 0 to below 1."""
        if cycle == "year":
            years = moments.astype("datetime64[Y]")
            if self.unit in _MONTHS:  # every month is a twelfth, whatever its days
                return np.asarray((moments.astype("datetime64[M]") - years).astype(np.float64) / 12)
            whole: Any = (years + 1).astype("datetime64[us]") - years
            passed: Any = moments - years
            return np.asarray(passed / whole, np.float64)
        length = _SECONDS[cycle] * 1_000_000
        since = moments.astype(np.int64) + (
            3 * 86_400_000_000 if cycle == "week" else 0
        )  # 1970 began on a Thursday
        return np.asarray((since % length) / length, np.float64)


def _days_off(begin: Any, times: npt.NDArray[Any], month_end: bool) -> npt.NDArray[np.float64]:
    """Return by how many days each time misses the day of the month of `begin`."""
    months = times.astype("datetime64[M]")
    into = (times - months.astype("datetime64[us]")) / np.timedelta64(1, "D")
    last = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.float64) - 1
    start = float((begin - begin.astype("datetime64[M]").astype("datetime64[us]")) / np.timedelta64(1, "D"))
    whole, part = divmod(start, 1.0)
    expected = (last if month_end else np.minimum(whole, last)) + part
    return np.asarray(into - expected)


def _workdays_later(start: datetime, days: int) -> datetime:
    if start.weekday() > 4:
        raise ArgumentError(f"start: expected a day from Monday to Friday, got {start:%A}, {start:%Y-%m-%d}")
    weeks, rest = divmod(start.weekday() + days, 5)
    return start + timedelta(days=7 * weeks + rest - start.weekday())
