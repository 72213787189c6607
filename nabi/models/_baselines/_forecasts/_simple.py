"""Forecasts that need no fit: last value, last season, and these with drift."""

import numpy as np
import numpy.typing as npt

__all__ = ["drift", "last_value", "seasonal_naive", "seasonal_naive_with_drift"]

Numbers = npt.NDArray[np.float64]


def last_value(target: Numbers, horizon: int, season: int) -> Numbers:
    """Repeat the last observation.

    >>> last_value(np.array([1.0, 2.0, np.nan]), 2, 1).tolist()
    [2.0, 2.0]
    """
    return np.full(horizon, target[~np.isnan(target)][-1])


def drift(target: Numbers, horizon: int, season: int) -> Numbers:
    """Go on along the line from the first to the last observation.

    >>> drift(np.array([1.0, np.nan, 5.0]), 2, 1).tolist()
    [7.0, 9.0]
    """
    there = np.flatnonzero(~np.isnan(target))
    first, last = there[0], there[-1]
    slope = (target[last] - target[first]) / max(last - first, 1)
    return np.asarray(target[last] + slope * np.arange(len(target) - last, len(target) - last + horizon))


def seasonal_naive(target: Numbers, horizon: int, season: int) -> Numbers:
    """Repeat the last season; where it has gaps, the season before, and so on.

    >>> seasonal_naive(np.array([1.0, 2.0, 3.0, np.nan]), 3, 2).tolist()
    [3.0, 2.0, 3.0]
    """
    return np.asarray(_last_season(target, season)[np.arange(horizon) % season])


def seasonal_naive_with_drift(target: Numbers, horizon: int, season: int) -> Numbers:
    """Repeat the last season, moved by the mean change from season to season.

    >>> seasonal_naive_with_drift(np.array([1.0, 4.0, 2.0, 5.0]), 4, 2).tolist()
    [3.0, 6.0, 4.0, 7.0]
    """
    if season < 2 or len(target) <= season:
        return drift(target, horizon, season)
    changes = target[season:] - target[:-season]
    change = float(np.nanmean(changes)) if (~np.isnan(changes)).any() else 0.0
    ahead = np.arange(horizon)
    return np.asarray(_last_season(target, season)[ahead % season] + change * (1 + ahead // season))


def _last_season(target: Numbers, season: int) -> Numbers:
    """Return the last value seen at each place of the season, for the step after the series first."""
    found = np.full(season, np.nan)
    for back in range(1, len(target) // season + 2):
        end = len(target) - (back - 1) * season
        part = np.full(season, np.nan)
        values = target[max(end - season, 0) : max(end, 0)]
        part[season - len(values) :] = values
        found = np.where(np.isnan(found), part, found)
        if not np.isnan(found).any():
            break
    return np.where(np.isnan(found), target[~np.isnan(target)][-1], found)
