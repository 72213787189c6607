"""Every statistical forecast of many series, by name."""

from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.models._baselines._forecasts._simple import (
    drift,
    last_value,
    seasonal_naive,
    seasonal_naive_with_drift,
)
from nabi.models._baselines._forecasts._smoothing import (
    damped_holt_winters,
    exponential_smoothing,
    holt_winters,
    theta,
)

__all__ = ["FORECASTS", "statistical_forecasts"]

Numbers = npt.NDArray[np.float64]

_ONE_BY_ONE: dict[str, Callable[[Numbers, int, int], Numbers]] = {
    "last value": last_value,
    "drift": drift,
    "seasonal naive": seasonal_naive,
    "seasonal naive with drift": seasonal_naive_with_drift,
}
_TOGETHER: dict[str, Callable[[Sequence[Numbers], int, Sequence[int]], Numbers]] = {
    "exponential smoothing": exponential_smoothing,
    "Theta": theta,
    "Holt-Winters": holt_winters,
    "damped Holt-Winters": damped_holt_winters,
}
_MEDIAN = "median of five"
_FIVE = (
    "seasonal naive with drift", "exponential smoothing", "Theta", "Holt-Winters", "damped Holt-Winters",
)  # fmt: skip

FORECASTS = (*_ONE_BY_ONE, *_TOGETHER, _MEDIAN)
"""Names of the forecasts, the simplest first. The last is the median of five others at each step."""


def statistical_forecasts(
    targets: Sequence[Numbers], horizon: int, seasons: Sequence[int], names: Collection[str] = FORECASTS
) -> dict[str, Numbers]:
    """Forecast series from themselves; missing values (NaN) are left out, and nothing is filled in.

    Args:
        targets: series `[T]` of any lengths, each with at least one observation. A forecast begins after the
            last step of its series, missing or not.
        horizon: steps to forecast.
        seasons: the season length of each series; 1 for none (see `season_length`).
        names: which of `FORECASTS` to make.

    Returns:
        For each name the forecasts, `[series, horizon]`.

    Raises:
        UnknownNameError: for another name.
        ArgumentError: for a series without observations, and a horizon or season below 1.

    >>> found = statistical_forecasts([np.array([1.0, 2.0, 3.0, 4.0])], 2, [1])
    >>> found["last value"].tolist(), found["drift"].tolist()
    ([[4.0, 4.0]], [[5.0, 6.0]])
    """
    _checks.whole("horizon", horizon)
    if len(seasons) != len(targets):
        raise ArgumentError(f"seasons: expected one for each of {len(targets)} series, got {len(seasons)}")
    for place, (target, season) in enumerate(zip(targets, seasons, strict=True)):
        _checks.whole(f"seasons[{place}]", season)
        if not (~np.isnan(target)).any():
            raise ArgumentError(f"targets[{place}]: expected at least one observation, got none")
    for name in names:
        _checks.choice("names", name, FORECASTS)
    needed = set(names) | (set(_FIVE) if _MEDIAN in names else set())
    # The same season seen twice in a series has to fit into it.
    fitting = [season if season < len(target) else 1 for target, season in zip(targets, seasons, strict=True)]
    found: dict[str, Numbers] = {}
    for name, one in _ONE_BY_ONE.items():
        if name in needed:
            rows = [one(target, horizon, season) for target, season in zip(targets, fitting, strict=True)]
            found[name] = np.array(rows).reshape(len(targets), horizon)
    for name, together in _TOGETHER.items():
        if name in needed:
            found[name] = together(targets, horizon, fitting)
    if _MEDIAN in names:
        found[_MEDIAN] = np.median([found[name] for name in _FIVE], 0)
    return {name: found[name] for name in names}
