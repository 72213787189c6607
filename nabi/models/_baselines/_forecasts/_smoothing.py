"""Simple exponential smoothing, Theta and Holt-Winters, fitted to many series at once.

Sources: Brown (1959) for smoothing; Assimakopoulos & Nikolopoulos (2000), "The theta model", and Hyndman &
Billah (2003), who show that it is simple exponential smoothing with half the slope of a line; Holt (1957) and
Winters (1960); Gardner & McKenzie (1985) for the damped trend.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from nabi.models._baselines._forecasts._recursion import Fitted, Weights, smooth, start_values
from nabi.models._baselines._forecasts._season import is_seasonal, seasonal_indices

__all__ = ["damped_holt_winters", "exponential_smoothing", "holt_winters", "plain_smoothing", "theta"]

Numbers = npt.NDArray[np.float64]
Targets = Sequence[Numbers]

_MOST = 1000
"""Older values than these, or than six seasons, hardly count in smoothing, and are left out."""
_AT_ONCE = 128
_LEVELS = np.concatenate([[0.01, 0.03], np.arange(0.05, 1.0, 0.05), [0.99]])


def plain_smoothing(targets: Targets, horizon: int, seasons: Sequence[int]) -> Numbers:
    """Forecast by simple exponential smoothing without a season: `[series, horizon]`."""
    return _in_batches(targets, seasons, horizon, _smoothed_level)


def exponential_smoothing(targets: Targets, horizon: int, seasons: Sequence[int]) -> Numbers:
    """Forecast by simple exponential smoothing, deseasonalised where `is_seasonal` says so."""
    return _deseasonalised(targets, horizon, seasons, _smoothed_level)


def theta(targets: Targets, horizon: int, seasons: Sequence[int]) -> Numbers:
    """Forecast by Theta, deseasonalised where `is_seasonal` says so: `[series, horizon]`."""
    return _deseasonalised(targets, horizon, seasons, _theta_lines)


def holt_winters(targets: Targets, horizon: int, seasons: Sequence[int]) -> Numbers:
    """Forecast by level, trend and season, as Holt and Winters did: `[series, horizon]`.

    Seasons are factors where all values are positive, unless differences have the smaller one-step error;
    a series with fewer than two seasons has none. The indices before the first step are
    those of the first two seasons.
    """
    return _in_batches(targets, _fitting(targets, seasons), horizon, _trend_and_season((1.0,)))


def damped_holt_winters(targets: Targets, horizon: int, seasons: Sequence[int]) -> Numbers:
    """Forecast like `holt_winters`, with a trend of which each step leaves 98 or 90 %."""
    return _in_batches(targets, _fitting(targets, seasons), horizon, _trend_and_season((0.9, 0.98)))


def _fitting(targets: Targets, seasons: Sequence[int]) -> list[int]:
    return [
        season if len(target) >= 2 * season else 1 for target, season in zip(targets, seasons, strict=True)
    ]


# Batches ----------------------------------------------------------------------------------------------------

Method = Callable[[list[Numbers], int, int], Numbers]


def _in_batches(targets: Targets, seasons: Sequence[int], horizon: int, method: Method) -> Numbers:
    """Give the method series of one season length, longest first, a number of them at a time."""
    forecasts = np.empty((len(targets), horizon))
    for season in sorted(set(seasons)):
        places = [place for place, one in enumerate(seasons) if one == season]
        recent = {place: _recent(targets[place], season) for place in places}
        places.sort(key=lambda place: -len(recent[place]))
        for first in range(0, len(places), _AT_ONCE):
            some = places[first : first + _AT_ONCE]
            forecasts[some] = method([recent[place] for place in some], horizon, season)
    return forecasts


def _recent(target: Numbers, season: int) -> Numbers:
    """Return the last values, beginning with one that is there."""
    recent = target[-max(_MOST, 6 * season) :]
    return recent[int(np.argmax(~np.isnan(recent))) :]


def _deseasonalised(targets: Targets, horizon: int, seasons: Sequence[int], method: Method) -> Numbers:
    plain, indices = [], []
    for whole, season in zip(targets, seasons, strict=True):
        target = _recent(whole, season)
        if not is_seasonal(target, season):
            plain.append(target)
            indices.append((np.ones(horizon), True))
            continue
        multiplicative = bool(np.nanmin(target) > 0)
        index = seasonal_indices(target, season, multiplicative=multiplicative)
        repeated = np.resize(index, len(target) + horizon)
        past, ahead = repeated[: len(target)], repeated[len(target) :]
        plain.append(target / past if multiplicative else target - past)
        indices.append((ahead, multiplicative))
    forecasts = _in_batches(plain, [1] * len(plain), horizon, method)
    for place, (ahead, multiplicative) in enumerate(indices):
        forecasts[place] = forecasts[place] * ahead if multiplicative else forecasts[place] + ahead
    return forecasts


# Methods ----------------------------------------------------------------------------------------------------


def _fit_level(targets: list[Numbers]) -> Fitted:
    """Fit simple exponential smoothing: the weight on a grid, then on a finer one around the best."""
    nothing = np.zeros((len(targets), 1))
    start = start_values(targets, nothing, multiplicative=False, trend=False)
    tried: Numbers = np.broadcast_to(_LEVELS, (len(targets), len(_LEVELS)))
    for finer in (0.025, 0.005, 0.0):
        weights = _level_only(tried)
        best = weights.best(smooth(targets, start, weights, multiplicative=False).errors)
        tried = np.clip(best.level + finer * np.arange(-2.5, 3.0), 0.001, 0.999)
    return smooth(targets, start, best, multiplicative=False)


def _level_only(levels: Numbers) -> Weights:
    return Weights(levels, np.zeros_like(levels), np.zeros_like(levels), np.ones_like(levels))


def _smoothed_level(targets: list[Numbers], horizon: int, season: int) -> Numbers:
    return np.repeat(_fit_level(targets).level, horizon, 1)


def _theta_lines(targets: list[Numbers], horizon: int, season: int) -> Numbers:
    """Average the line through the series and the smoothed series of twice its curvature."""
    lines, doubled = [], []
    for target in targets:
        there = np.flatnonzero(~np.isnan(target))
        slope, at_zero = np.polyfit(there, target[there], 1) if len(there) > 1 else (0.0, target[there[0]])
        line = at_zero + slope * np.arange(len(target) + horizon)
        lines.append(line[len(target) :])
        doubled.append(2 * target - line[: len(target)])
    return 0.5 * (np.array(lines) + _smoothed_level(doubled, horizon, season))


def _trend_and_season(dampings: tuple[float, ...]) -> Method:
    """Return the method that fits level, trend and season, with one of these dampings of the trend."""

    def method(targets: list[Numbers], horizon: int, season: int) -> Numbers:
        forecasts, errors = [], []
        positive = np.array([np.nanmin(target) > 0 for target in targets])
        for multiplicative in (True, False) if season > 1 else (False,):
            some = list(targets)
            if multiplicative:
                some = [one if fits else np.ones_like(one) for one, fits in zip(some, positive, strict=True)]
            fitted, weights = _fit_trend_and_season(some, season, multiplicative, dampings)
            forecasts.append(_ahead(some, fitted, weights, horizon, multiplicative))
            error = fitted.errors[:, 0]
            errors.append(np.where(positive, error, np.inf) if multiplicative else error)
        best = np.argmin(errors, 0)
        return np.asarray(np.stack(forecasts)[best, np.arange(len(targets))])

    return method


_COARSE = ((0.05, 0.2, 0.5, 0.85), (0.02, 0.1, 0.3), (0.05, 0.2, 0.5))
_FINER = (1.6, 1.3, 1.12)


def _fit_trend_and_season(
    targets: list[Numbers], season: int, multiplicative: bool, dampings: tuple[float, ...]
) -> tuple[Fitted, Weights]:
    indices = np.zeros((len(targets), 1))
    if season > 1:
        beginnings = [target[: 2 * season] for target in targets]
        indices = np.stack(
            [seasonal_indices(one, season, multiplicative=multiplicative) for one in beginnings]
        )
    start = start_values(targets, indices, multiplicative=multiplicative and season > 1, trend=True)
    grid = np.array(list(product(*_COARSE, dampings))).T
    level, trend, seasonal, damping = (np.broadcast_to(one, (len(targets), len(one))) for one in grid)
    for finer in (*_FINER, 1.0):
        # The weight of the trend is a share of the level's; the season's, of what the level leaves.
        weights = Weights(level, level * trend, (1 - level) * seasonal, damping)
        fitted = smooth(targets, start, weights, multiplicative=multiplicative)
        place = fitted.errors.argmin(1)[:, None]
        steps = np.array(list(product((1 / finer, 1.0, finer), repeat=3))).T
        level, trend, seasonal = (
            (np.take_along_axis(one, place, 1) * step).clip(0.001, 0.99)
            for one, step in zip((level, trend, seasonal), steps, strict=True)
        )
        damping = np.broadcast_to(np.take_along_axis(damping, place, 1), level.shape)
    final = weights.best(fitted.errors)
    return smooth(targets, start, final, multiplicative=multiplicative), final


def _ahead(
    targets: list[Numbers], fitted: Fitted, weights: Weights, horizon: int, multiplicative: bool
) -> Numbers:
    steps = np.arange(1, horizon + 1)
    damped = np.cumsum(weights.damping**steps, 1)
    line = fitted.level + fitted.trend * damped
    period = len(fitted.season)
    if period == 1:
        return np.asarray(line)
    places = (np.array([len(target) for target in targets])[:, None] + steps - 1) % period
    seasonal = fitted.season[places, np.arange(len(targets))[:, None], 0]
    return np.asarray(line * seasonal if multiplicative else line + seasonal)
