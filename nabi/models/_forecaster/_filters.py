"""Exponential smoothing of many series at once, one observation after the other.

What a forecaster's network starts from. Every method here keeps all it has to remember of a series in a few
numbers, so that a new observation costs the same however long the history is.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["METHODS", "FilterState", "Filters"]

Floats = npt.NDArray[np.float64]

METHODS = ("seasonal naive", "naive", "drift", "SES", "damped trend", "Theta")
"""What `Filters.forecast` gives, in this order. All but the first are adjusted for the season."""

_ALPHAS = np.array([0.03, 0.07, 0.13, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
_HOLT = np.array(
    [
        (alpha, beta, phi)
        for alpha in (0.15, 0.35, 0.6, 0.9)
        for beta in (0.03, 0.12, 0.35)
        for phi in (0.85, 0.96)
    ]
)
# How much of the sum of squared errors of a smoothing stays with every observation.
_MEMORY = 0.995
# Fields whose second axis is that of the series.
_OF_SEVERAL = ("ratios", "errors", "first", "line", "holt", "spread", "moments")


@dataclass
class FilterState:
    """What is remembered of `B` series.

    Attributes:
        count: `[B]`, steps read so far.
        seen: `[B]`, observations among them.
        recent: `[B, keep]`, the last steps, NaN where nothing was observed; the newest is the last.
        ratios: `[3, B, season]`: number, sum and sum of squares of the deviations from the moving average at
            each place of the season.
        index: `[B, season]`: the season, as the logarithm of a factor or as a difference.
        level: `[B, alphas]` of simple exponential smoothing.
        errors: `[2, B, alphas]`, squared errors of it, and of Theta.
        first: `[2, B]`, the first observation, and when it was.
        line: `[5, B]`: sums of 1, t, t^2, y, t*y for the line through all observations.
        holt: `[2, B, settings]`, level and slope of smoothing with a damped trend.
        holt_errors: `[B, settings]`.
        spread: `[2, B]`: sum of weights, and weighted sum of the absolute errors one step ahead.
        moments: `[3, B]`: number, mean and sum of squared deviations of the observations.
        columns: `[B, keep, P]`, past columns of the last steps; the newest is the last.
    """

    count: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64]
    recent: Floats
    ratios: Floats
    index: Floats
    level: Floats
    errors: Floats
    first: Floats
    line: Floats
    holt: Floats
    holt_errors: Floats
    spread: Floats
    moments: Floats
    columns: Floats

    def rows(self, chosen: Any) -> "FilterState":
        """Return the state of some of the series."""
        found = {}
        for one in fields(self):
            value = getattr(self, one.name)
            found[one.name] = (value[:, chosen] if one.name in _OF_SEVERAL else value[chosen]).copy()
        return FilterState(**found)


class Filters:
    """Smoothing with a season of `season` steps (1 for none).

    Args:
        season: steps of a season.
        multiplicative: whether the season is a factor: of quantities that are not negative.
        keep: how many of the last steps are remembered.
        columns: steps and columns that are remembered of what was observed besides.

    The season is that of the classical decomposition: means of the deviations from a centred moving average
    at each place of the season, shrunk towards none as far as they could be chance (Miller and Williams
    2003). Simple exponential smoothing, smoothing with a damped trend (Gardner and McKenzie 1985) and Theta
    (Assimakopoulos and Nikolopoulos 2000, as smoothing with half the slope of the line through all
    observations, Hyndman and Billah 2003) run with several parameters side by side, and the one with the
    smallest squared errors so far forecasts.
    """

    def __init__(self, season: int, multiplicative: bool, keep: int, columns: tuple[int, int]) -> None:
        self.season, self.multiplicative = season, multiplicative
        self.keep = max(keep, season + 1, 2)
        self.columns = columns
        self._half = season // 2
        weights = np.full(season + 1, 1.0 / season)
        weights[[0, -1]] = 0.5 / season
        self._average = weights if season % 2 == 0 else np.full(season, 1.0 / season)

    def start(self, batch: int) -> FilterState:
        """Return the state of series of which nothing is known yet."""
        wide, many = len(_ALPHAS), len(_HOLT)
        return FilterState(
            np.zeros(batch, np.int64),
            np.zeros(batch, np.int64),
            np.full((batch, self.keep), np.nan),
            np.zeros((3, batch, self.season)),
            np.zeros((batch, self.season)),
            np.zeros((batch, wide)),
            np.zeros((2, batch, wide)),
            np.zeros((2, batch)),
            np.zeros((5, batch)),
            np.zeros((2, batch, many)),
            np.zeros((batch, many)),
            np.zeros((2, batch)),
            np.zeros((3, batch)),
            np.full((batch, *self.columns), np.nan),
        )

    def step(self, state: FilterState, values: Floats, columns: Floats) -> None:
        """Read one step `[B]` and its past columns `[B, P]`, NaN for gaps; the state is changed."""
        if columns.size:
            state.columns[:, :-1] = state.columns[:, 1:]
            state.columns[:, -1] = columns
        there = ~np.isnan(values)
        place = state.count % self.season
        rows = np.arange(len(values))
        state.recent[:, :-1] = state.recent[:, 1:]
        state.recent[:, -1] = values
        state.count += 1
        if self.season > 1:
            self._read_season(state)
        adjusted = self._without(np.where(there, values, 1.0), state.index[rows, place])
        self._read_level(state, adjusted, there)
        filled = np.where(there, values, 0.0)
        state.moments[0] += there
        away = np.where(there, filled - state.moments[1], 0.0)
        state.moments[1] += away / np.maximum(state.moments[0], 1.0)
        state.moments[2] += away * np.where(there, filled - state.moments[1], 0.0)
        state.seen += there

    def _without(self, values: Floats, index: Floats) -> Floats:
        return values / np.exp(index) if self.multiplicative else values - index

    def _read_season(self, state: FilterState) -> None:
        window = state.recent[:, -len(self._average) :]
        middle = state.recent[:, -1 - self._half]
        average = (window * self._average).sum(1)  # NaN where the window isn't whole
        if self.multiplicative:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.log(middle) - np.log(average)
        else:
            ratio = middle - average
        rows = np.flatnonzero(np.isfinite(ratio))
        if not len(rows):
            return
        ratio, place = ratio[rows], (state.count[rows] - 1 - self._half) % self.season
        state.ratios[0, rows, place] += 1
        state.ratios[1, rows, place] += ratio
        state.ratios[2, rows, place] += ratio * ratio
        number, total, squares = state.ratios[:, rows]
        whole = number.min(1) >= 1
        number = np.maximum(number, 1)
        means = total / number
        centred = means - means.mean(1, keepdims=True)
        within = (squares - total * means).sum(1) / np.maximum(number.sum(1) - self.season, 1)
        by_chance = within * (1 / number).mean(1)
        between = (centred * centred).sum(1) / max(self.season - 1, 1)
        enough = number.sum(1) > self.season
        kept = np.where(enough, np.maximum(0.0, 1 - by_chance / np.maximum(between, 1e-300)), 0.5)
        state.index[rows] = np.where(whole[:, None], centred * kept[:, None], 0.0)

    def _read_level(self, state: FilterState, y: Floats, there: npt.NDArray[np.bool_]) -> None:
        first = there & (state.seen == 0)
        later = there & (state.seen > 0)
        column, begun = y[:, None], first[:, None]
        drift = self._slope(state)
        # Simple exponential smoothing, and Theta: the same with half the slope of the line.
        error = np.where(later[:, None], column - state.level, 0.0)
        ahead = 0.5 * drift[:, None] * self._lag(state)
        shifted = np.where(later[:, None], error - ahead, 0.0)
        best = state.errors[1].argmin(1)
        missed = np.abs(shifted[np.arange(len(y)), best])
        state.errors *= _MEMORY
        state.errors[0] += error * error
        state.errors[1] += shifted * shifted
        state.level += _ALPHAS * error
        state.level = np.where(begun, column, state.level)
        counted = later.astype(float)
        kept = np.where(later, 0.97, 1.0)
        state.spread *= kept
        state.spread[0] += counted
        state.spread[1] += counted * missed
        # Damped trend.
        alpha, beta, phi = _HOLT.T
        level, slope = state.holt
        expected = level + phi * slope
        error = np.where(later[:, None], column - expected, 0.0)
        state.holt_errors *= _MEMORY
        state.holt_errors += error * error
        second = (later & (state.seen == 1))[:, None]
        level = expected + alpha * error
        slope = np.where(second, 0.5 * error, phi * slope + alpha * beta * error)
        state.holt[0] = np.where(begun, column, level)
        state.holt[1] = slope
        t = state.count.astype(float)
        state.first = np.where(first, np.stack([y, t]), state.first)
        counted = there.astype(float)
        state.line += counted * np.stack([np.ones_like(t), t, t * t, y, t * y])

    @staticmethod
    def _slope(state: FilterState) -> Floats:
        n, t, tt, y, ty = state.line
        below = n * tt - t * t
        return np.where(n > 2, (n * ty - t * y) / np.where(below > 0, below, 1.0), 0.0)

    @staticmethod
    def _lag(state: FilterState) -> Floats:
        """How far simple exponential smoothing lags behind a line, for each of its parameters."""
        return np.asarray((1 - (1 - _ALPHAS) ** state.seen[:, None]) / _ALPHAS)

    def scale(self, state: FilterState) -> tuple[Floats, Floats, Floats]:
        """Return the level, the mean error one step ahead and the deviation of each series now `[B]`."""
        best = state.errors[0].argmin(1)
        level = state.level[np.arange(len(best)), best]
        count, _, squares = state.moments
        return (
            level,
            state.spread[1] / np.maximum(state.spread[0], 1.0),
            np.sqrt(squares / np.maximum(count, 1)),
        )

    def forecast(self, state: FilterState, horizon: int) -> Floats:
        """Return `[B, methods, horizon]`; zero for series of which nothing was seen."""
        rows = np.arange(len(state.count))
        steps = np.arange(1, horizon + 1)
        best = state.errors[0].argmin(1)
        simple = state.level[rows, best][:, None]
        naive = state.level[:, -1:]
        chosen = state.errors[1].argmin(1)
        drift = 0.5 * self._slope(state)[:, None]
        lag = self._lag(state)[rows, chosen][:, None]
        theta = state.level[rows, chosen][:, None] + drift * (steps - 1 + lag)
        holt = state.holt_errors.argmin(1)
        phi = _HOLT[holt, 2][:, None]
        level, slope = state.holt[:, rows, holt]
        damped = level[:, None] + slope[:, None] * phi * (1 - phi**steps) / (1 - phi)
        found = np.empty((len(rows), len(METHODS), horizon))
        value, when = state.first
        rise = (naive[:, 0] - value) / np.maximum(state.count - when, 1.0)
        found[:, 1], found[:, 2] = naive, naive + rise[:, None] * steps
        found[:, 3], found[:, 4], found[:, 5] = simple, damped, theta
        if self.season > 1:
            index = self.seasons(state, horizon)
            if self.multiplicative:
                found[:, 1:] *= np.exp(index)[:, None]
            else:
                found[:, 1:] += index[:, None]
            cycle = state.recent[:, -self.season + (steps - 1) % self.season]
            found[:, 0] = np.where(np.isnan(cycle), found[:, 3], cycle)
        else:
            found[:, 0] = found[:, 1]
        return found

    def seasons(self, state: FilterState, horizon: int) -> Floats:
        """Return the season of the next steps `[B, horizon]`."""
        places = (state.count[:, None] + np.arange(horizon)) % self.season
        return np.asarray(state.index[np.arange(len(places))[:, None], places])

    def strength(self, state: FilterState) -> Floats:
        """Return the mean size of the season `[B]`."""
        return np.asarray(np.abs(state.index).mean(1))

    def window(self, state: FilterState, steps: int) -> Floats:
        """Return the last steps without the season `[B, steps]`, NaN where nothing was observed."""
        places = (state.count[:, None] - np.arange(steps, 0, -1)) % self.season
        index = state.index[np.arange(len(places))[:, None], places]
        return self._without(state.recent[:, -steps:], index)
