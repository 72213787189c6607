"""Linear autoregression with covariates: a ridge regression for each step ahead, over all series of a set."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data import Frequency, Series
from nabi.errors import ArgumentError

__all__ = ["LinearAutoregression"]

Numbers = npt.NDArray[np.float64]

_MOST_LAGS = 48
_MOST_ROWS = 200_000
_PENALTY = 1e-3


class LinearAutoregression:
    """Forecast each step ahead by a linear function of the last values and covariates.

    The last `lags` values, and those of a season before each forecast step, are read relative to the last
    value, in units of how much the series varies; so are the forecasts. The other inputs are the past columns
    at the last observation, the known columns then and at the step that is forecast, the calendar and the
    static columns. A missing lag counts as the last value that was seen, a missing covariate as its mean;
    windows whose target is missing are not trained on.

    Args:
        horizon: steps to forecast.
        frequency: of the series, for the calendar.
        season: season length; 1 for none.
        lags: how many values are read; by default a season and a few more, 8 to 48.
        penalty: of the squared weights, for each row of training.

    >>> line = Series("line", 0, np.arange(40.0), np.zeros((40, 0)), np.zeros((40, 0)), np.zeros(0))
    >>> model = LinearAutoregression(3, Frequency("step")).fit([line])
    >>> model.forecast([line]).round().tolist()
    [[40.0, 41.0, 42.0]]
    """

    def __init__(
        self,
        horizon: int,
        frequency: Frequency,
        *,
        season: int = 1,
        lags: int | None = None,
        penalty: float = _PENALTY,
    ) -> None:
        self.horizon, self.season = _checks.whole("horizon", horizon), _checks.whole("season", season)
        usual = min(max(season + 2, 8), _MOST_LAGS)
        self.lags = usual if lags is None else _checks.whole("lags", lags)
        self.frequency, self.penalty = frequency, _checks.real("penalty", penalty, least=0)
        self._weights: list[Numbers] = []
        self._means: Numbers = np.zeros(0)
        self._scales: Numbers = np.ones(0)
        self._widths: tuple[int, ...] = ()

    def fit(self, series: Sequence[Series]) -> "LinearAutoregression":
        """Fit to all windows of the series.

        Raises:
            ArgumentError: if no series is long enough for a window.
        """
        longest = self._shortened_to(max((len(one) for one in series), default=0))
        if longest < 1:
            raise ArgumentError(
                f"series: expected one of at least {self.horizon + 2} observations, got "
                f"{max((len(one) for one in series), default=0)}"
            )
        self.lags = longest
        per_series = max(_MOST_ROWS // max(len(series), 1), 1)
        parts = [self._windows(one, per_series) for one in series if len(one) > self.lags]
        origins, targets, aheads = (np.concatenate(column) for column in zip(*parts, strict=True))
        self._means, self._scales = _standard(origins)
        shared = _standardised(origins, self._means, self._scales)
        self._ahead_means, self._ahead_scales = _standard(aheads.reshape(len(aheads) * self.horizon, -1))
        self._weights = []
        for step in range(self.horizon):
            ahead = _standardised(aheads[:, step], self._ahead_means, self._ahead_scales)
            there = ~np.isnan(targets[:, step])
            inputs = np.concatenate([shared, ahead, np.ones((len(shared), 1))], 1)[there]
            self._weights.append(_ridge(inputs, targets[there, step], self.penalty))
        return self

    def forecast(self, series: Sequence[Series]) -> Numbers:
        """Return forecasts from the end of each series, `[series, horizon]`.

        Known columns without a value at a step that is forecast count as their mean.

        Raises:
            ArgumentError: before `fit`.
        """
        rows = [self.forecast_at(one, np.array([len(one)])) for one in series]
        return np.concatenate([np.zeros((0, self.horizon)), *rows])

    def forecast_at(self, one: Series, origins: npt.NDArray[np.int64]) -> Numbers:
        """Return the forecasts of a series after so many of its values: `[origins, horizon]`.

        Only values before an origin are read, and known columns at the steps that are forecast.
        """
        if not self._weights:
            raise ArgumentError("forecast: not fitted; call fit()")
        inputs, last, scale = self._inputs(one, origins)
        shared = _standardised(inputs, self._means, self._scales)
        aheads = self._ahead(one, origins, last, scale)
        found = np.empty((len(origins), self.horizon))
        for step, weights in enumerate(self._weights):
            ahead = _standardised(aheads[:, step], self._ahead_means, self._ahead_scales)
            found[:, step] = np.concatenate([shared, ahead, np.ones((len(origins), 1))], 1) @ weights
        return found * scale[:, None] + last[:, None]

    def _shortened_to(self, length: int) -> int:
        """Return how many lags leave a few windows in a series of this length."""
        return min(self.lags, (length - self.horizon) // 2)

    def _windows(self, one: Series, most: int) -> tuple[Numbers, Numbers, Numbers]:
        """Return the inputs at each origin, what follows, and the inputs at each step that follows."""
        origins = np.arange(self.lags, len(one))
        if len(origins) > most:  # the last ones, which are most like the future
            origins = origins[-most:]
        origins = origins[~np.isnan(one.target[origins - 1])]
        inputs, last, scale = self._inputs(one, origins, whole=True)
        padded = np.concatenate([one.target, np.full(self.horizon, np.nan)])
        targets = padded[origins[:, None] + np.arange(self.horizon)]
        return inputs, (targets - last[:, None]) / scale[:, None], self._ahead(one, origins, last, scale)

    def _inputs(
        self, one: Series, origins: npt.NDArray[np.int64], *, whole: bool = False
    ) -> tuple[Numbers, Numbers, Numbers]:
        """Return inputs at origins, the last value seen there, and how much the series varied until then.

        With `whole`, for training, it is how much the whole series varies.
        """
        target = np.concatenate([np.full(self.lags, np.nan), one.target])
        seen = _last_seen(target)
        lags = target[origins[:, None] + np.arange(self.lags)]
        last = seen[origins + self.lags - 1]
        spreads = _spreads(one.target)
        scale = np.full(len(origins), spreads[-1]) if whole else spreads[origins - 1]
        relative = (lags - last[:, None]) / scale[:, None]
        at = origins - 1
        calendar = np.zeros((len(one), 0))
        if self.frequency.calendar_names:
            calendar = self.frequency.calendar(self.frequency.times(one.start, len(one)))
        level = last / scale
        parts = [
            np.nan_to_num(relative[:, :-1]),
            level[:, None],
            one.past[at],
            one.known[at],
            calendar[at],
            np.repeat(one.static[None], len(at), 0),
        ]
        return np.concatenate(parts, 1), last, scale

    def _ahead(self, one: Series, origins: npt.NDArray[np.int64], last: Numbers, scale: Numbers) -> Numbers:
        """Return what is known about each step that is forecast: `[origins, horizon, inputs]`."""
        steps = origins[:, None] + np.arange(self.horizon)
        known = np.full((len(one) + self.horizon, one.known.shape[1]), np.nan)
        rows = min(len(known), len(one.known))
        known[:rows] = one.known[:rows]
        parts = [known[np.minimum(steps, len(known) - 1)]]
        if self.season > 1:
            # The value a season before, or two before, if it is not known yet.
            back = steps - self.season * (1 + np.arange(self.horizon) // self.season)
            target = np.concatenate([one.target, np.full(self.horizon, np.nan)])
            before = np.where(back >= 0, target[np.maximum(back, 0)], np.nan)
            parts.append(np.nan_to_num((before - last[:, None]) / scale[:, None])[:, :, None])
        return np.concatenate(parts, 2)


def _last_seen(target: Numbers) -> Numbers:
    """Return for each step the last value up to it that is not missing."""
    there = ~np.isnan(target)
    places = np.maximum.accumulate(np.where(there, np.arange(len(target)), 0))
    return np.where(np.isnan(target[places]), 0.0, target[places])


def _spreads(target: Numbers) -> Numbers:
    """Return the standard deviation of the values up to each step, never 0."""
    there = ~np.isnan(target)
    first = target[int(np.argmax(there))] if there.any() else 0.0
    apart = np.where(there, target - first, 0.0)  # smaller numbers, whose squares lose fewer digits
    count = np.cumsum(there).clip(1)
    mean = np.cumsum(apart) / count
    variance = np.maximum(np.cumsum(apart**2) / count - mean**2, 0.0)
    return np.asarray(np.maximum(np.sqrt(variance), 1e-3 * np.abs(mean + first) + 1e-9))


def _standard(inputs: Numbers) -> tuple[Numbers, Numbers]:
    there = ~np.isnan(inputs)
    count = there.sum(0).clip(1)
    means = np.where(there, inputs, 0.0).sum(0) / count
    variances = np.where(there, (inputs - means) ** 2, 0.0).sum(0) / count
    return means, np.where(variances > 0, np.sqrt(variances), 1.0)


def _standardised(inputs: Numbers, means: Numbers, scales: Numbers) -> Numbers:
    return np.nan_to_num((inputs - means) / scales)


def _ridge(inputs: Numbers, targets: Numbers, penalty: float) -> Numbers:
    """Return the weights of a ridge regression; the last input is the constant, which is not punished."""
    if not len(inputs):
        return np.zeros(inputs.shape[1])
    products = inputs.T @ inputs / len(inputs)
    punished = np.full(len(products), penalty)
    punished[-1] = 1e-12
    products[np.diag_indices(len(products))] += punished
    return np.asarray(np.linalg.lstsq(products, inputs.T @ targets / len(inputs), rcond=None)[0])
