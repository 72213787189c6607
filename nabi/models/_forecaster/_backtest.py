"""Forecasts from many origins beside what came, measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi._public import public
from nabi.data import Frequency, Series
from nabi.models._baselines._forecasts import FORECASTS
from nabi.models._forecaster._calibration import LEVELS, Scores, mase_scales, score
from nabi.models._forecaster._rolling import baselines_of

__all__ = ["Backtest"]

Floats = npt.NDArray[np.float64]
_MIDDLE = 3


@dataclass(frozen=True)
class Backtest:
    """Forecasts from `N` origins of series.

    Attributes:
        series: which were forecast.
        frequency, season: of them.
        origins: of each forecast the number of its series, and how many steps were known.
        actual: `[N, H]`, what came, NaN where nothing was observed.
        quantiles: `[N, H, 7]`, those of `Forecast.levels`.
        mean: `[N, H]`.
        method: what forecast.
    """

    series: tuple[Series, ...]
    frequency: Frequency
    season: int
    origins: tuple[tuple[int, int], ...]
    actual: Floats
    quantiles: Floats
    mean: Floats
    method: str

    @property
    def median(self) -> Floats:
        """The medians `[N, H]`."""
        return np.asarray(self.quantiles[..., _MIDDLE])

    def times(self, row: int) -> list[Any]:
        """Return the times of the steps of a forecast."""
        number, origin = self.origins[row]
        return self.frequency.times(self.series[number].start, self.actual.shape[1], first=origin)

    def scores(self, step: int | None = None) -> Scores:
        """Return MASE, sMAPE, RMSE and MAE of all steps, or of the step so far ahead, counted from 1."""
        return self._scores(self.median, self.mean, step)

    @public
    def baselines(self, names: Sequence[str] = FORECASTS) -> dict[str, Floats]:
        """Return what simple methods forecast from the same origins, by their names `[N, H]`."""
        seasons = [self.season] * len(self.series)
        return baselines_of(self.series, seasons, self.origins, self.actual.shape[1], names)

    @public
    def table(self, names: Sequence[str] = FORECASTS, *, step: int | None = None) -> dict[str, Scores]:
        """Return the scores of the forecasts and of simple methods, by their names.

        Args:
            names: of the simple methods.
            step: how far ahead, counted from 1; all steps by default.
        """
        found = {self.method: self.scores(step)}
        found |= {name: self._scores(one, one, step) for name, one in self.baselines(names).items()}
        return found

    def coverage(self) -> dict[float, float]:
        """Return the share of the observations in the intervals of 50, 80 and 95 %."""
        there = ~np.isnan(self.actual)
        found = {}
        for number, level in enumerate(LEVELS, 1):
            low, high = self.quantiles[..., _MIDDLE - number], self.quantiles[..., _MIDDLE + number]
            inside = (low <= self.actual) & (self.actual <= high)
            found[level] = float(inside[there].mean()) if there.any() else float("nan")
        return found

    def _scores(self, middle: Floats, mean: Floats, step: int | None) -> Scores:
        steps = slice(None) if step is None else slice(step - 1, step)
        scales = mase_scales(self.series, [self.season] * len(self.series), self.origins)
        return score(self.actual[:, steps], middle[:, steps], mean[:, steps], scales)
