"""What rolling origins say of a forecaster: which method is best, and how wide its intervals must be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nabi.data import Series
from nabi.models._baselines._forecast_measures import mase_scale
from nabi.models._forecaster._network import QUANTILES
from nabi.models._forecaster._rolling import Rolling
from nabi.models._task._described import Described

__all__ = [
    "LEVELS",
    "Calibration",
    "Scores",
    "calibrate",
    "choose",
    "mase_scales",
    "one_step_errors",
    "score",
]

Floats = npt.NDArray[np.float64]

LEVELS = (0.5, 0.8, 0.95)
"""Of the intervals, from the narrowest; the quantiles on both sides of the median."""
_MIDDLE = len(QUANTILES) // 2
_SHARES = (1.0, 0.75, 0.5, 0.25)
_WORST = -9.99  # skill that is said, where a baseline is nearly without errors
_AS_GOOD = 1.01  # the network forecasts alone if no mixture is better by more
_REMEMBERED = 999  # errors of one step that are kept to say how surprising one is
_LEAST = 1e-12


@dataclass(frozen=True)
class Calibration(Described):
    """How forecasts are made from those of the network and of a baseline.

    Attributes:
        share: of the network in the forecast; the rest is the baseline. 0 for the baseline alone.
        share_of_mean: the same for the mean, chosen by squared errors; 0 where `share` is.
        baseline: its name.
        offsets: for each of `LEVELS`, and each step ahead, by how much an interval is made wider on both
            sides, in units of the scale (Romano, Patterson and Candès 2019, conformalised quantile
            regression).
        one_step: for each of `LEVELS` the same for the network alone, one step ahead.
        errors: sizes of errors of the network one step ahead, in units of its interval of 80 %, rising.
    """

    _called: ClassVar[str] = "calibration"

    share: float
    share_of_mean: float
    baseline: str
    offsets: tuple[tuple[float, ...], ...]
    one_step: tuple[float, ...]
    errors: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", tuple(tuple(map(float, one)) for one in self.offsets))
        object.__setattr__(self, "one_step", tuple(map(float, self.one_step)))
        object.__setattr__(self, "errors", tuple(map(float, self.errors)))

    def mix(self, quantiles: Floats, mean: Floats, baseline: Floats | None) -> tuple[Floats, Floats]:
        """Return quantiles `[..., H, Q]` and mean moved towards the baseline `[..., H]`."""
        if baseline is None or self.share == 1:
            return quantiles, mean
        if self.share == 0:
            return np.repeat(baseline[..., None], quantiles.shape[-1], -1), baseline
        moved = (1 - self.share) * (baseline - quantiles[..., _MIDDLE])
        return quantiles + moved[..., None], mean + (1 - self.share_of_mean) * (baseline - mean)

    def widen_one_step(self, quantiles: Floats, scale: float) -> Floats:
        """Return the quantiles `[Q]` of the network alone, one step ahead, made as wide as its errors ask."""
        return _widened(quantiles, np.array(self.one_step) * scale)

    def widen(self, quantiles: Floats, scale: Floats) -> Floats:
        """Return quantiles whose intervals cover as often as they say; `scale` is `[..., H]`."""
        return _widened(quantiles, [offsets[: scale.shape[-1]] * scale for offsets in np.array(self.offsets)])


def _widened(quantiles: Floats, rooms: Iterable[Floats]) -> Floats:
    """Return quantiles `[..., Q]` whose intervals have so much more room on both sides `[...]`."""
    found = quantiles.copy()
    for number, room in enumerate(rooms, 1):
        found[..., _MIDDLE - number] -= room
        found[..., _MIDDLE + number] += room
    # An interval that was made narrower must not cross the one within.
    for number in range(1, _MIDDLE + 1):
        low, high = _MIDDLE - number, _MIDDLE + number
        found[..., low] = np.minimum(found[..., low], found[..., low + 1])
        found[..., high] = np.maximum(found[..., high], found[..., high - 1])
    return found


@dataclass(frozen=True)
class Scores:
    """Errors of a method over all origins and steps; None where there was nothing to measure."""

    mase: float | None
    smape: float | None
    rmse: float | None
    mae: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return them by the names that people use."""
        return {"MASE": self.mase, "sMAPE": self.smape, "RMSE": self.rmse, "MAE": self.mae}


def score(actual: Floats, middle: Floats, mean: Floats, scales: Floats) -> Scores:
    """Measure forecasts `[N, H]`: the median, and by the RMSE the mean.

    Args:
        actual: what came, NaN where nothing was observed.
        middle, mean: what was forecast.
        scales: `[N]`, of the MASE; zero for series that never changed, which are left out of it.
    """
    error = np.abs(actual - middle)
    size = np.abs(actual) + np.abs(middle)
    relative = np.where(
        size > 0, 200 * error / np.where(size > 0, size, 1.0), np.where(np.isnan(error), np.nan, 0.0)
    )
    scaled = error / np.where(scales > 0, scales, np.nan)[:, None]
    return Scores(_mean(scaled), _mean(relative), _root(_mean((actual - mean) ** 2)), _mean(error))


def mase_scales(
    series: Sequence[Series], seasons: Sequence[int], origins: Sequence[tuple[int, int]]
) -> Floats:
    """Return what errors are divided by in the MASE, for each origin: of what was known then."""
    return np.array([mase_scale(series[number].target[:step], seasons[number]) for number, step in origins])


def choose(
    rolled: Rolling, baselines: Mapping[str, Floats], scales: Floats, relative: bool, fallback: bool
) -> tuple[float, str, float]:
    """Return the share of the network in the forecast, the baseline that has the rest, and the skill.

    The skill is 1 - error / error of the best baseline, of the network with its share.

    What counts is the MASE; where errors count in per cent (`relative`), the mean of it and the sMAPE, each
    as a share of that of the last value.
    """
    middle = rolled.quantiles[..., _MIDDLE]
    last = score(rolled.actual, baselines["last value"], baselines["last value"], scales)

    def figure(forecast: Floats) -> float:
        found = score(rolled.actual, forecast, forecast, scales)
        mase = (
            found.mase / max(last.mase, _LEAST) if found.mase is not None and last.mase is not None else None
        )
        if relative and found.smape is not None and last.smape is not None:
            parts = [found.smape / max(last.smape, _LEAST)]
            return float(np.mean(parts if mase is None else [*parts, mase]))
        return mase if mase is not None else (found.mae or 0.0)

    best = min(baselines, key=lambda name: figure(baselines[name]))
    shares = {share: figure(share * middle + (1 - share) * baselines[best]) for share in _SHARES}
    share = min(shares, key=lambda one: shares[one])
    if shares[1.0] <= _AS_GOOD * shares[share]:
        share = 1.0
    skill = max(1 - shares[share] / max(figure(baselines[best]), _LEAST), _WORST)
    if fallback and skill <= 0:
        share = 0.0
    return share, best, skill


def calibrate(
    rolled: Rolling, baseline: Floats, share: float, name: str
) -> tuple[Calibration, list[float | None], Rolling]:
    """Make intervals as wide as the errors at the origins ask for.

    Returns the calibration; the share of the observations in the interval of each of `LEVELS`, where half of
    the origins say how wide the intervals for the other half are; and the calibrated forecasts.
    """
    shares = [one for one in _SHARES if share < 1 or one == 1]
    squares = {
        one: _mean((rolled.actual - one * rolled.mean - (1 - one) * baseline) ** 2) or 0.0 for one in shares
    }
    share_of_mean = min(shares, key=lambda one: squares[one]) if share else 0.0
    plain = Calibration(share, share_of_mean, name, ((),) * len(LEVELS), (), ())
    quantiles, mean = plain.mix(rolled.quantiles, rolled.mean, baseline)
    mixed = replace(rolled, quantiles=quantiles, mean=mean)
    halves = np.arange(len(rolled.origins)) % 2 if _many_series(rolled) else _by_time(len(rolled.origins))
    inside: list[list[float]] = [[] for _ in LEVELS]
    for half in (0, 1):
        apart = replace(plain, offsets=_offsets(mixed, halves != half))
        rows = halves == half
        found = apart.widen(quantiles[rows], rolled.scale[rows])
        actual = rolled.actual[rows]
        for number in range(len(LEVELS)):
            low, high = found[..., _MIDDLE - 1 - number], found[..., _MIDDLE + 1 + number]
            there = ~np.isnan(actual)
            inside[number] += ((low <= actual) & (actual <= high))[there].tolist()
    covered = [float(np.mean(one)) if one else None for one in inside]
    every = np.ones(len(halves), bool)
    # One step ahead, as every observation asks it, the network is alone: a baseline would take longer.
    first = replace(
        rolled, actual=rolled.actual[:, :1], quantiles=rolled.quantiles[:, :1], scale=rolled.scale[:, :1]
    )
    one_step = tuple(offset for [offset] in _offsets(first, every))
    wide = Calibration(1.0, 1.0, "", tuple((one,) for one in one_step), (), ()).widen(
        first.quantiles, first.scale
    )
    errors = one_step_errors(first.actual[:, 0], wide[:, 0])
    errors = np.sort(errors[np.isfinite(errors)])
    if len(errors) > _REMEMBERED:
        errors = np.quantile(errors, np.linspace(0, 1, _REMEMBERED))
    calibration = replace(
        plain, offsets=_offsets(mixed, every), one_step=one_step, errors=tuple(errors.tolist())
    )
    return calibration, covered, replace(mixed, quantiles=calibration.widen(quantiles, rolled.scale))


def one_step_errors(actual: Floats, quantiles: Floats) -> Floats:
    """Return sizes of errors in units of the interval of 80 %, for quantiles `[..., Q]` of one step."""
    middle = quantiles[..., _MIDDLE]
    width = quantiles[..., _MIDDLE + 2] - quantiles[..., _MIDDLE - 2]
    return np.asarray(np.abs(actual - middle) / np.maximum(width, _LEAST))


def _many_series(rolled: Rolling) -> bool:
    return len({number for number, _ in rolled.origins}) > 1


def _by_time(count: int) -> npt.NDArray[np.int64]:
    """Neighbouring origins have nearly the same errors: one half is the first half of the time."""
    return (np.arange(count) >= count / 2).astype(np.int64)


def _offsets(rolled: Rolling, rows: npt.NDArray[np.bool_]) -> tuple[tuple[float, ...], ...]:
    """Return how far outside of its interval the share of the level of all observations is at most.

    Neighbouring steps ahead are taken together where there are few origins.
    """
    horizon = rolled.actual.shape[1]
    actual, quantiles = rolled.actual[rows], rolled.quantiles[rows]
    scale = rolled.scale[rows]
    near = 0 if len(actual) >= 100 else 1 if len(actual) >= 30 else min(horizon, 4)
    offsets = []
    for number, level in enumerate(LEVELS, 1):
        low, high = quantiles[..., _MIDDLE - number], quantiles[..., _MIDDLE + number]
        outside = np.maximum(low - actual, actual - high) / scale
        found = []
        for step in range(horizon):
            some = outside[:, max(0, step - near) : step + near + 1]
            some = some[np.isfinite(some)]
            # The quantile that holds for one more observation as well.
            rank = min(level * (len(some) + 1) / max(len(some), 1), 1.0)
            found.append(float(np.quantile(some, rank, method="higher")) if len(some) else 0.0)
        offsets.append(tuple(found))
    return tuple(offsets)


def _mean(values: Floats) -> float | None:
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else None


def _root(value: float | None) -> float | None:
    return None if value is None else float(np.sqrt(value))
