"""How good forecasts are: measures that leave missing values out, and origins to measure at."""

import math

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError

__all__ = ["coverage", "mae", "mase", "mase_scale", "quantile_loss", "rmse", "rolling_origins", "smape"]

Numbers = npt.NDArray[np.float64]


def mae(actual: Numbers, forecast: Numbers) -> float:
    """Return the mean absolute error; NaN if every actual value is missing.

    >>> mae(np.array([1.0, np.nan, 4.0]), np.array([2.0, 5.0, 4.0]))
    0.5
    """
    return _mean(np.abs(_difference(actual, forecast)))


def rmse(actual: Numbers, forecast: Numbers) -> float:
    """Return the root of the mean squared error.

    >>> rmse(np.array([1.0, 4.0]), np.array([4.0, 8.0])) == math.sqrt(12.5)
    True
    """
    return math.sqrt(_mean(_difference(actual, forecast) ** 2))


def smape(actual: Numbers, forecast: Numbers) -> float:
    """Return the symmetric mean absolute percentage error as the M3 competition defines it, 0 to 200.

    The mean of `200 |a - f| / (|a| + |f|)`, and 0 where both are 0.

    >>> round(smape(np.array([100.0, 0.0]), np.array([110.0, 0.0])), 2)
    4.76
    """
    error = np.abs(_difference(actual, forecast))
    size = np.abs(actual) + np.abs(forecast)
    return _mean(200 * np.divide(error, size, out=np.where(np.isnan(error), np.nan, 0.0), where=size > 0))


def mase_scale(history: Numbers, season: int = 1) -> float:
    """Return the mean absolute change of a history from season to season; 0 if it never changes.

    Where the history is not longer than a season, steps of 1 are compared instead. Missing values are left
    out.

    >>> mase_scale(np.array([1.0, 3.0, 2.0, 4.0]), 2)
    1.0
    """
    _checks.whole("season", season)
    for apart in (season, 1):
        changes = np.abs(history[apart:] - history[:-apart])
        if (~np.isnan(changes)).any():
            return _mean(changes)
    return 0.0


def mase(actual: Numbers, forecast: Numbers, history: Numbers, season: int = 1) -> float:
    """Return the mean absolute error in units of the naive one-step error on the history.

    Hyndman & Koehler (2006), "Another look at measures of forecast accuracy". 1 is as good as the (seasonal)
    naive forecast of one step was on the history; smaller is better. NaN if the history never changes.

    >>> mase(np.array([5.0]), np.array([6.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    """
    scale = mase_scale(history, season)
    return mae(actual, forecast) / scale if scale > 0 else math.nan


def quantile_loss(actual: Numbers, quantiles: Numbers, levels: Numbers) -> float:
    """Return the mean pinball loss over steps and levels.

    Args:
        actual: `[steps]`.
        quantiles: `[steps, levels]`, the forecasts.
        levels: `[levels]`, between 0 and 1.

    >>> round(quantile_loss(np.array([1.0]), np.array([[0.0, 3.0]]), np.array([0.1, 0.9])), 3)
    0.15
    """
    if quantiles.shape != (*np.shape(actual), len(levels)):
        raise ShapeError(
            f"quantiles: expected the shape {(*np.shape(actual), len(levels))}, got {quantiles.shape}"
        )
    error = actual[..., None] - quantiles
    return _mean(np.maximum(levels * error, (levels - 1) * error))


def coverage(actual: Numbers, low: Numbers, high: Numbers) -> float:
    """Return the share of actual values from `low` to `high`.

    >>> coverage(np.array([1.0, 5.0, np.nan]), np.zeros(3), np.full(3, 2.0))
    0.5
    """
    _difference(actual, low)
    _difference(actual, high)
    inside = np.where(np.isnan(actual), np.nan, (low <= actual) & (actual <= high))
    return _mean(inside)


def rolling_origins(length: int, horizon: int, count: int, *, least: int = 1) -> list[int]:
    """Return lengths of history from which to forecast, so that the whole horizon is known each time.

    The last origin is `horizon` steps before the end; the others lie a horizon apart as long as at least
    `least` observations are before the first, and closer where there is less room.

    Args:
        length: of the series.
        horizon: steps that are forecast.
        count: how many origins; fewer are returned for a short series, none for one that is too short.
        least: observations that the first forecast needs.

    >>> rolling_origins(100, 12, 3)
    [64, 76, 88]
    >>> rolling_origins(20, 12, 3, least=4)
    [4, 6, 8]
    >>> rolling_origins(12, 12, 3)
    []
    """
    for name, value in (("length", length), ("horizon", horizon), ("count", count), ("least", least)):
        _checks.whole(name, value, 0 if name == "length" else 1)
    last = length - horizon
    if last < least:
        return []
    first = max(least, last - (count - 1) * horizon)
    return sorted({round(place) for place in np.linspace(last, first, count)})


def _difference(actual: Numbers, forecast: Numbers) -> Numbers:
    if np.shape(actual) != np.shape(forecast):
        raise ShapeError(f"forecast: expected the shape {np.shape(actual)}, got {np.shape(forecast)}")
    unknown = np.isnan(forecast) & ~np.isnan(actual)
    if unknown.any():
        raise ArgumentError(f"forecast: expected numbers, got NaN at {int(unknown.sum())} steps")
    return np.asarray(actual - forecast, np.float64)


def _mean(values: Numbers) -> float:
    """Return the mean of the values that are there."""
    there = ~np.isnan(values)
    return float(values[there].mean()) if there.any() else math.nan
