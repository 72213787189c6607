"""Rows of one series at their times, laid out at equal steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.data._series._frequency import Frequency, Time
from nabi.errors import ArgumentError

__all__ = ["Grid", "lay_out"]

Numbers = npt.NDArray[np.float64]

_SECONDS = {"hour": 3600, "minute": 60, "second": 1}
_MOST_EMPTY = 30


class Grid(NamedTuple):
    """Values at equal steps from `start`; NaN where no row was."""

    start: Time
    values: Numbers
    rows: int
    missing: int
    """Steps between the first and the last that no row had."""
    moved: int
    """Rows whose time lay between two steps."""
    same: int
    """Rows left out since they repeat another."""


def lay_out(
    times: npt.NDArray[Any],
    values: Numbers,
    frequency: Frequency,
    *,
    averaged: bool,
    repeated: Callable[[int, int], Exception],
) -> Grid:
    """Lay out the rows of a series at equal steps.

    Args:
        times: of the rows, in any order: datetime64[us] or whole numbers.
        values: `[rows, columns]`.
        frequency: the step.
        averaged: whether rows within a step are averaged; for a step that the user named.
        repeated: makes the error for two rows of the same time that differ, from their places.

    Raises:
        ArgumentError: if nearly all steps would be empty.
    """
    order = np.argsort(times, kind="stable")
    moments, found = times[order], values[order]
    coarser = averaged and len(moments) > 2 and _usual_step(moments, frequency) < 0.7
    start: Any = _floor(moments[0], frequency) if coarser else moments[0]
    begin: Time = start.item()
    exact = frequency.steps_after(begin, moments)
    nearest = np.floor(exact + 1e-9) if coarser else np.round(exact)
    moved = 0 if coarser else int((np.abs(exact - nearest) > 1e-6).sum())
    places: npt.NDArray[np.int64] = nearest.astype(np.int64)
    length = int(places[-1]) + 1
    if length > _MOST_EMPTY * len(places) + 1000:
        raise ArgumentError(
            f"frequency: a step of {frequency} leaves {length - len(places):,} of {length:,} steps empty; "
            "name the step between observations with frequency= (--frequency)"
        )
    again = np.flatnonzero(places[1:] == places[:-1]) + 1
    same = 0
    if len(again) and not averaged and not moved:
        for row in again:
            if not np.array_equal(found[row], found[row - 1], equal_nan=True):
                raise repeated(int(order[row - 1]), int(order[row]))
        same = len(again)
    grid = np.full((length, values.shape[1]), np.nan)
    if len(again):
        grid = _means(places, found, length)
    else:
        grid[places] = found
    return Grid(begin, grid, len(places), length - len(np.unique(places)), moved, same)


def _usual_step(moments: npt.NDArray[Any], frequency: Frequency) -> float:
    exact = frequency.steps_after(moments[0].item(), moments)
    return float(np.median(np.diff(exact)))


def _floor(moment: Any, frequency: Frequency) -> Any:
    """Return the beginning of the year, month, day ... of a moment."""
    if frequency.unit in ("step", "workday"):
        return moment
    day = moment.astype("datetime64[D]").astype("datetime64[us]")
    if frequency.unit == "week":
        return day - np.timedelta64(moment.item().weekday(), "D")
    if frequency.unit in _SECONDS:
        step = np.timedelta64(_SECONDS[frequency.unit] * frequency.count, "s")
        return day + (moment - day) // step * step
    if frequency.unit == "day":
        return day
    months = moment.astype("datetime64[M]")
    length = {"year": 12, "quarter": 3, "month": 1}[frequency.unit]
    return (months - int(months.astype(int)) % length).astype("datetime64[us]")


def _means(places: npt.NDArray[np.int64], values: Numbers, length: int) -> Numbers:
    """Return the mean of the values that are there in each step."""
    there = ~np.isnan(values)
    total, count = np.zeros((2, length, values.shape[1]))
    np.add.at(total, places, np.where(there, values, 0.0))
    np.add.at(count, places, there)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)
