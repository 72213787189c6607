"""Series from arrays in memory."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._series._frequency import Frequency, Time
from nabi.data._series._series import Series, SeriesSet
from nabi.errors import ArgumentError, ShapeError

__all__ = ["series_from_arrays"]

Numbers = npt.NDArray[np.float64]


@public
def series_from_arrays(
    targets: Any,
    *,
    start: datetime | int = 0,
    frequency: Frequency | str = "step",
    known: Any = None,
    past: Any = None,
    static: Any = None,
    names: Sequence[str] | None = None,
) -> SeriesSet:
    """Make a set of series from arrays; NaN is a missing value.

    Args:
        targets: one series `[T]`, a list of series of any lengths, or an array `[T, series]`.
        start: time of the first value of every series; a number with the frequency "step".
        frequency: the step between two values, such as "month" or "15 minutes".
        known: for each series `[T + future, K]`, columns whose future is known; for one series also a single
            array. Missing if None.
        past: for each series `[T, P]`, columns known up to the last value; likewise.
        static: for each series `[S]`, what holds for the whole series; likewise.
        names: of the series; "series 1", "series 2", ... by default.

    Raises:
        ArgumentError: for values that are no numbers, are infinite or all missing, and for names that do not
            fit.
        ShapeError: for arrays of other shapes.

    >>> series = series_from_arrays([[1.0, 2.0, 3.0], [5.0, float("nan"), 7.0, 8.0]])
    >>> [len(one) for one in series], series.frequency.unit
    ([3, 4], 'step')
    """
    columns, one = _columns(targets)
    if not columns:
        raise ArgumentError("targets: expected at least one series, got none")
    step = Frequency.of(frequency) if isinstance(frequency, str) else frequency
    step.time(start, 0)
    called = [f"series {number}" for number in range(1, len(columns) + 1)] if names is None else list(names)
    if len(called) != len(columns) or len(set(called)) != len(called):
        raise ArgumentError(f"names: expected {len(columns)} different names, got {_checks.short(called)}")
    given = {
        kind: _covariates(kind, values, len(columns), one, 1 if kind == "static" else 2)
        for kind, values in (("known", known), ("past", past), ("static", static))
    }
    series = []
    for place, (name, target) in enumerate(zip(called, columns, strict=True)):
        covariates = {
            kind: values[place] if values is not None else np.zeros((len(target), 0)[kind == "static" :])
            for kind, values in given.items()
        }
        series.append(_without_ends(Series(name, start, target, **covariates), step))
    known_names, past_names, static_names = (
        tuple(f"{kind} {number}" for number in range(1, getattr(series[0], kind).shape[-1] + 1))
        for kind in given
    )
    return SeriesSet(tuple(series), step, known_names, past_names, static_names)


def _columns(targets: Any) -> tuple[list[Numbers], bool]:
    """Return the series as arrays, and whether one was given by itself."""
    if isinstance(targets, np.ndarray) and targets.ndim > 1:
        if targets.ndim != 2:
            raise ShapeError(f"targets: expected the shape [T] or [T, series], got {targets.shape}")
        return [_numbers(f"targets[:, {place}]", column, 1) for place, column in enumerate(targets.T)], False
    if len(targets) and np.ndim(targets[0]) == 0:
        return [_numbers("targets", targets, 1)], True
    return [_numbers(f"targets[{place}]", values, 1) for place, values in enumerate(targets)], False


def _numbers(name: str, values: Any, rank: int) -> Numbers:
    try:
        found = np.array(values, np.float64)
    except (TypeError, ValueError) as problem:
        raise ArgumentError(f"{name}: expected numbers, got {_checks.short(values)} ({problem})") from None
    if found.ndim != rank or (not len(found) and rank == 1 and name.startswith("targets")):
        shape = "[T], T at least 1" if rank == 1 else "[T, columns]"
        raise ShapeError(f"{name}: expected the shape {shape}, got {found.shape}")
    if np.isinf(found).any():
        raise ArgumentError(f"{name}: expected finite numbers or NaN, got an infinite one")
    return found


def _covariates(kind: str, values: Any, count: int, one: bool, rank: int) -> list[Numbers] | None:
    if values is None:
        return None
    if one and np.ndim(values) == rank:
        values = [values]
    if len(values) != count:
        raise ArgumentError(f"{kind}: expected an array for each of the {count} series, got {len(values)}")
    return [_numbers(f"{kind}[{place}]", array, rank) for place, array in enumerate(values)]


def _without_ends(series: Series, frequency: Frequency) -> Series:
    """Leave out missing targets at both ends; known columns keep the rows after the last observation."""
    there = np.flatnonzero(~np.isnan(series.target))
    if not len(there):
        raise ArgumentError(f"targets: expected values in {series.name!r}, got missing ones only")
    first, last = int(there[0]), int(there[-1]) + 1
    begins: Time = frequency.time(series.start, first)
    return Series(
        series.name,
        begins,
        series.target[first:last],
        series.known[first:] if series.known.shape[1] else series.known[first:last],
        series.past[first:last],
        series.static,
    )
