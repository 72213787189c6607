"""What a forecaster finds out of its series before training: season, scale, window, what is held out."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data import SeriesSet
from nabi.errors import ArgumentError
from nabi.models._baselines._forecasts import season_length
from nabi.models._forecaster._filters import METHODS
from nabi.models._forecaster._inputs import InputPlan
from nabi.models._forecaster._settings import ForecastSettings

__all__ = ["check_series", "check_static", "hold_out", "make_plan", "those_that_fit"]

Floats = npt.NDArray[np.float64]

_LEAST = 4  # steps before the held-out end
_ASKED_FOR_SEASON = 200  # series, at most
_MANY = 20  # series: an error then counts in per cent of the level
_MOST_FIGURES = 400_000_000  # inputs, forecasts and targets of all steps; 1.6 GB
_ZEROS = 0.01  # share of zeros up to which a season can be a factor
_SEASONAL = 0.05  # share of the series from which on all are read with a season
_LONGEST_WINDOW, _SHORT_SEASON = 48, 60


def check_series(series_set: SeriesSet, horizon: int) -> None:
    """Refuse series that are too short for the horizon, or lack static columns.

    Raises:
        ArgumentError: for such series.
    """
    if not len(series_set):
        raise ArgumentError("series: expected at least one, got none")
    longest = max(len(one) for one in series_set)
    if longest < horizon + _LEAST:
        raise ArgumentError(
            f"horizon: expected at most {max(longest - _LEAST, 0)} steps, since the longest series has "
            f"{longest} and {_LEAST} must be left to learn from, got {horizon}"
        )
    check_static(series_set)


def check_static(series_set: SeriesSet) -> None:
    """Refuse series without a value in a static column.

    Raises:
        ArgumentError: naming series and column.
    """
    for one in series_set:
        for name, value in zip(series_set.static_names, one.static, strict=True):
            if np.isnan(value):
                raise ArgumentError(
                    f"static: expected a value of {name} for the series {one.name!r}, got none"
                )


def those_that_fit(series_set: SeriesSet, plan: InputPlan, seed: int) -> SeriesSet:
    """Return the series whose inputs fit into memory, drawn at random; of one that is too long, its end."""
    room = max(_MOST_FIGURES // (plan.width + plan.horizon * (len(METHODS) + 3)), 4 * plan.horizon + _LEAST)
    lengths = np.array([len(one) for one in series_set])
    if lengths.sum() <= room:
        return series_set
    order = np.random.default_rng(seed).permutation(len(lengths))
    count = max(int(np.searchsorted(np.cumsum(lengths[order]), room, "right")), 1)
    chosen = []
    for row in sorted(order[:count].tolist()):
        one = series_set.series[row]
        cut = max(len(one) - room, 0)
        start = series_set.frequency.time(one.start, cut)
        chosen.append(
            replace(one, start=start, target=one.target[cut:], known=one.known[cut:], past=one.past[cut:])
        )
    steps = sum(map(len, chosen))
    note = f"trained on {len(chosen)} series with {steps:,} steps, drawn at random; memory holds no more"
    return replace(series_set, series=tuple(chosen), notes=(*series_set.notes, note))


def hold_out(series_set: SeriesSet, horizon: int, share: float, season: int) -> list[int]:
    """Return how many steps at the end of each series are held out: a share, at least the horizon.

    Of few series it is a season more than the horizon, where they are long enough: one origin of one series
    says little. Of a series too short for the horizon, nothing is held out.
    """
    few = len(series_set) < _MANY
    held_out = []
    for one in series_set:
        held = max(horizon, round(share * len(one))) if len(one) >= horizon + _LEAST else 0
        longer = horizon + (season if season > 1 else -(-horizon // 2))
        if held and few and len(one) - longer >= max(2 * season, longer // 2, _LEAST):
            held = max(held, longer)
        held_out.append(held)
    return held_out


def make_plan(series_set: SeriesSet, horizon: int, settings: ForecastSettings) -> InputPlan:
    """Return what the networks will read, chosen from the series where the settings leave it open."""
    targets = [one.target for one in series_set]
    season = settings.season if settings.season is not None else _season(series_set)
    lowest = min(float(np.nanmin(target)) for target in targets)
    zeros = sum(int((target == 0).sum()) for target in targets)
    observed = sum(int((~np.isnan(target)).sum()) for target in targets)
    scaling = settings.scaling
    if scaling == "auto":
        scaling = "level" if len(targets) >= _MANY and lowest >= 0 else "deviation"
    columns = [_moments(series_set, kind) for kind in ("past", "known", "static")]
    return InputPlan(
        season=season,
        multiplicative=lowest >= 0 and zeros <= _ZEROS * observed,
        scaling=scaling,
        window=settings.window or _window([len(target) for target in targets], season, horizon),
        horizon=horizon,
        calendar=len(series_set.frequency.calendar_names),
        past=len(series_set.past_names),
        known=len(series_set.known_names),
        static=len(series_set.static_names),
        centres=tuple(np.concatenate([centres for centres, _ in columns]).tolist()),
        spreads=tuple(np.concatenate([spreads for _, spreads in columns]).tolist()),
    )


def _season(series_set: SeriesSet) -> int:
    candidates = series_set.frequency.seasons
    if not candidates:
        return 1
    asked = series_set.series[:: -(-len(series_set) // _ASKED_FOR_SEASON)]
    found = Counter(season_length(one.target, candidates) for one in asked)
    # With many series, a few of them that repeat are enough: of the others the season is found to be flat.
    found.pop(1, None)
    season, count = max(found.items(), key=lambda item: item[1], default=(1, 0))
    return season if count >= _SEASONAL * len(asked) else 1


def _window(lengths: list[int], season: int, horizon: int) -> int:
    typical = int(np.median(lengths))
    least = max(season + 2 if season <= _SHORT_SEASON else 0, horizon)
    return max(min(max(typical // 8, least), _LONGEST_WINDOW, typical // 3), 3)


def _moments(series_set: SeriesSet, kind: str) -> tuple[Any, Any]:
    """Return means and deviations of the columns of a kind."""
    rows = [np.atleast_2d(getattr(one, kind)) for one in series_set]
    table = np.concatenate(rows)
    there = ~np.isnan(table)
    count = np.maximum(there.sum(0), 1)
    centres = np.where(there, table, 0.0).sum(0) / count
    spreads = np.sqrt((np.where(there, table - centres, 0.0) ** 2).sum(0) / count)
    return centres, np.where(spreads > 1e-12 * (1 + np.abs(centres)), spreads, 1.0)
