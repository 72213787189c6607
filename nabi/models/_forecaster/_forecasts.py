"""What a forecaster answers: forecasts of series, and how surprising observations were."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError
from nabi.models._forecaster._network import QUANTILES

__all__ = ["Forecast", "Observation"]

Floats = npt.NDArray[np.float64]
_TAIL = 10  # of the errors that say how improbable still larger ones are, at least


@dataclass(frozen=True)
class Forecast:
    """The forecast of one series.

    Attributes:
        name: of the series.
        times: `[H]`, of the steps that are forecast: datetimes, or numbers of steps.
        median: `[H]`, half of what may come lies below it. It has the smallest absolute errors.
        mean: `[H]`. It has the smallest squared errors.
        quantiles: `[H, 7]`, those of `levels`, rising.
        method: what forecasts: "network", the name of a baseline, or both.
    """

    name: str
    times: tuple[Any, ...]
    median: Floats
    mean: Floats
    quantiles: Floats
    method: str

    levels = QUANTILES

    def __len__(self) -> int:
        return len(self.times)

    def quantile(self, level: float) -> Floats:
        """Return one of the quantiles `[H]`: 0.025, 0.1, 0.25, 0.5, 0.75, 0.9 or 0.975.

        Raises:
            ArgumentError: for another level.
        """
        if level not in QUANTILES:
            raise ArgumentError(f"level: expected one of {', '.join(map(str, QUANTILES))}, got {level!r}")
        return np.asarray(self.quantiles[:, QUANTILES.index(level)])

    def interval(self, share: float) -> tuple[Floats, Floats]:
        """Return the lower and upper end of the interval that holds 0.5, 0.8 or 0.95 of what may come.

        Raises:
            ArgumentError: for another share.
        """
        ends = {0.5: (0.25, 0.75), 0.8: (0.1, 0.9), 0.95: (0.025, 0.975)}
        if share not in ends:
            raise ArgumentError(f"share: expected 0.5, 0.8 or 0.95, got {share!r}")
        low, high = ends[share]
        return self.quantile(low), self.quantile(high)


@dataclass(frozen=True)
class Observation:
    """What an observation was against what had been expected one step before.

    Attributes:
        time: of the observation.
        value: NaN where there was none.
        expected: the median of the forecast.
        low, high: the interval of 95 %.
        probability: of an error at least as large; NaN where nothing was observed or expected.
    """

    time: Any
    value: float
    expected: float
    low: float
    high: float
    probability: float

    @property
    def surprise(self) -> float:
        """How surprising it was, in bits: 10 for what happens once in a thousand times."""
        return float(-np.log2(self.probability)) if self.probability > 0 else float("nan")


def probability_of(error: float, errors: Sequence[float]) -> float:
    """Return how probable an error of at least this size is, among errors that are rising.

    The conformal p-value; beyond the largest of them it falls as exponentially as the largest tenth does.
    """
    count = len(errors)
    if not count or not np.isfinite(error):
        return float("nan")
    found = np.asarray(errors)
    larger = count - int(np.searchsorted(found, error, "left"))
    chance = (larger + 1) / (count + 1)
    if larger:
        return chance
    tail = min(count, max(count // 10, _TAIL))
    threshold = float(found[-tail - 1]) if tail < count else 0.0
    excess = float(found[-tail:].mean()) - threshold
    # A few errors that are nearly alike do not say that a larger one is impossible.
    excess = max(excess, 0.25 * float(found.mean()), 1e-12)
    return float(max(chance * np.exp(-(error - float(found[-1])) / excess), 1e-300))
