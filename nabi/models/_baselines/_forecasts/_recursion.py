"""The recursion of exponential smoothing, for many series and many smoothing weights at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Fitted", "Weights", "smooth", "start_values"]

Numbers = npt.NDArray[np.float64]


class Weights(NamedTuple):
    """Smoothing weights that are tried for each series: `[series, tries]` each."""

    level: Numbers
    trend: Numbers
    season: Numbers
    damping: Numbers
    """The share of the trend that is left after a step."""

    def best(self, errors: Numbers) -> "Weights":
        """Return the weights with the smallest error for each series: `[series, 1]`."""
        place = errors.argmin(1)[:, None]
        return Weights(*(np.take_along_axis(one, place, 1) for one in self))


class Fitted(NamedTuple):
    """What is known after the last step of each series."""

    errors: Numbers
    """`[series, tries]`: mean squared one-step error."""
    level: Numbers
    trend: Numbers
    season: Numbers
    """`[season, series, tries]`, by the step counted from the start of the series."""


class Start(NamedTuple):
    """Values before the first step: `[series]`, `[series]` and `[series, season]`."""

    level: Numbers
    trend: Numbers
    season: Numbers


def start_values(targets: Sequence[Numbers], indices: Numbers, *, multiplicative: bool, trend: bool) -> Start:
    """Return level and trend of the first steps, by a line through them where there is a trend.

    Args:
        targets: the series.
        indices: `[series, season]`, of classical decomposition.
        multiplicative: whether the indices are factors.
        trend: whether there is a trend.
    """
    levels, trends = [], []
    for target, index in zip(targets, indices, strict=True):
        first = target[: max(10, 2 * len(index))]
        repeated = np.resize(index, len(first))
        plain = first / repeated if multiplicative else first - repeated
        there = np.flatnonzero(~np.isnan(plain))
        if trend and len(there) > 2:
            slope, at_zero = np.polyfit(there, plain[there], 1)
            levels.append(at_zero - slope)
            trends.append(slope)
        else:
            levels.append(plain[there[: max(1, len(index) if len(index) > 1 else 1)]].mean())
            trends.append(0.0)
    return Start(np.array(levels), np.array(trends), indices)


def smooth(targets: Sequence[Numbers], start: Start, weights: Weights, *, multiplicative: bool) -> Fitted:
    """Run level, trend and season over each series, for every try of the weights.

    A missing value changes nothing but the time. The series must be sorted by length, longest first.
    """
    lengths = np.array([len(target) for target in targets])
    values = np.full((lengths[0], len(targets), 1), np.nan)
    for place, target in enumerate(targets):
        values[: len(target), place, 0] = target
    there = ~np.isnan(values)
    values[~there] = 0.0
    shape = weights.level.shape
    period = start.season.shape[1]
    level = np.broadcast_to(start.level[:, None], shape).copy()
    trend = np.broadcast_to(start.trend[:, None], shape).copy()
    season = np.broadcast_to(start.season.T[:, :, None], (period, *shape)).copy()
    errors = np.zeros(shape)
    with_trend = bool((weights.trend > 0).any() or (start.trend != 0).any())
    with_season = period > 1
    for step in range(lengths[0]):
        active = int(np.searchsorted(-lengths, -step, "left"))
        now = slice(0, active)
        is_there = there[step, now]
        base = level[now]
        if with_trend:
            falling = trend[now] * weights.damping[now]
            base = base + falling
        seasonal = season[step % period, now]
        expected = (base * seasonal if multiplicative else base + seasonal) if with_season else base
        error = np.where(is_there, values[step, now] - expected, 0.0)
        errors[now] += error * error
        moved = error
        if with_season:
            if multiplicative:
                moved = error / seasonal
                safe = np.where(np.abs(base) > 1e-8, base, 1e-8)
                season[step % period, now] += weights.season[now] * error / safe
                np.clip(season[step % period, now], 0.01, 100.0, out=season[step % period, now])
            else:
                season[step % period, now] += weights.season[now] * error
        level[now] = base + weights.level[now] * moved
        if with_trend:
            trend[now] = falling + weights.trend[now] * moved
    return Fitted(errors / there.sum(0).clip(1), level, trend, season)
