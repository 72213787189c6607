"""Forecaster: what it learns and answers; `task_checks` has its files and its trainings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nabi.data import Series, SeriesSet, read_series
from nabi.errors import ArgumentError, FileFormatError, UnknownNameError
from nabi.models import Forecaster
from nabi.models._baselines._forecasts import statistical_forecasts

from ..task_checks import *  # noqa: F403
from ..task_checks import Task
from .toy import shops, small

TASK = Task(
    make=lambda **said: small(**{"epochs": 3, **said}),
    data=(shops(),),
    other_data=(shops(seed=9),),
    ask=lambda model: [one.quantiles.tolist() for one in model.forecast()],
    material="series",
    options={"horizon": 4},
)


@pytest.fixture(scope="module")
def task():
    return TASK


@pytest.fixture(scope="module")
def trained():
    """It has learnt that prices lower sales; no mixture with a baseline, which does not know this."""
    model = small(epochs=16, learning_rate=0.01)
    model.fit(shops(24, 60), horizon=4, verbose=0)
    return model


def test_known_columns_make_it_better_than_every_baseline(trained):
    report = trained.report
    best = min(scores["MASE"] for name, scores in report.scores.items() if not name.startswith("network"))
    assert report.scores["network"]["MASE"] < 0.8 * best
    assert report.skill > 0.2
    assert report.verdict.startswith("Skill")
    assert "network" in report.method
    assert (report.series, report.horizon, report.season) == (24, 4, 4)
    assert "median of five" in str(report)


def test_a_price_that_is_known_ahead_moves_the_forecast(trained):
    series = shops(1).series[0]
    dear, cheap = series.known.copy(), series.known.copy()
    dear[len(series) :], cheap[len(series) :] = 1.0, 0.0
    of = [shops(1).with_series([replace(series, known=known)]) for known in (dear, cheap)]
    [high], [low] = trained.forecast(of[0]), trained.forecast(of[1])
    assert (high.median < 0.9 * low.median).all()


def test_quantiles_never_cross_and_intervals_cover(trained):
    for forecast in trained.forecast():
        assert (np.diff(forecast.quantiles, axis=1) >= 0).all()
        assert (forecast.median == forecast.quantile(0.5)).all()
        low, high = forecast.interval(0.8)
        assert (low <= high).all()
    covered = trained.report.coverage
    assert covered["50"] == pytest.approx(0.5, abs=0.1)
    assert covered["95"] == pytest.approx(0.95, abs=0.05)
    with pytest.raises(ArgumentError, match=r"share: expected 0\.5"):
        forecast.interval(0.7)
    with pytest.raises(ArgumentError, match="level: expected one of"):
        forecast.quantile(0.3)


def test_the_horizon_can_be_chosen_again(trained):
    usual, short, long = (trained.forecast(horizon=steps)[0] for steps in (4, 2, 9))
    assert (short.quantiles == usual.quantiles[:2]).all()
    assert (long.quantiles[:4] == usual.quantiles).all()
    assert len(long) == 9
    assert np.isfinite(long.quantiles).all()
    assert long.times[:4] == usual.times
    narrow, wide = (one[1] - one[0] for one in np.array(long.interval(0.8)).T[[0, -1]])
    assert wide > narrow


def test_series_without_skill_are_forecast_with_the_best_baseline():
    random = np.random.default_rng(3)
    walks = [100 + random.normal(size=80).cumsum() for _ in range(3)]
    model = small(epochs=1, season=1, networks=1)
    report = model.fit(walks, horizon=3, verbose=0)
    if report.skill <= 0:
        assert report.verdict.startswith("No skill")
        name = model.calibration.baseline
        expected = statistical_forecasts(walks, 3, [1] * 3, [name])[name]
        found = np.array([one.median for one in model.forecast()])
        assert found == pytest.approx(expected)
        assert model.forecast()[0].method == name
    forced = small(epochs=1, season=1, networks=1, fallback=False)
    assert "network" in forced.fit(walks, horizon=3, verbose=0).method


def test_a_network_that_has_learnt_nothing_has_no_skill():
    """The last value cannot be beaten on a random walk by a network whose readout was spoilt."""
    walks = [np.cumsum(np.random.default_rng(seed).normal(size=120)) for seed in range(4)]
    model = small(epochs=1, season=1, networks=1, learning_rate=1.0, clipnorm=100.0)
    report = model.fit(walks, horizon=3, verbose=0)
    assert report.method in report.scores
    assert report.scores[report.method]["MASE"] <= min(one["MASE"] for one in report.scores.values()) * 1.02


def test_gaps_are_neither_learnt_nor_scored():
    model = small(epochs=2)
    report = model.fit(shops(gaps=True), horizon=4, verbose=0)
    assert report.observations == sum(int((~np.isnan(one.target)).sum()) for one in shops(gaps=True))
    assert all(np.isfinite(one.quantiles).all() for one in model.forecast())
    targets = shops(gaps=True).series[0].target
    whole = np.where(np.isnan(targets), 1e9, targets)
    assert np.isfinite(whole).all()  # a filled gap would be seen in the loss
    assert all(value < 10 for value in model.history["loss"])


def test_evaluate_is_the_forecast_that_was_made_then(trained):
    """One code path: what rolling origins say equals forecasts from cut histories."""
    found = trained.evaluate(shops(3, 60, seed=5), last=7, every=3)
    series = shops(3, 60, seed=5)
    for row, (number, origin) in enumerate(found.origins):
        cut = series.with_series([series.series[number].until(origin)])
        [forecast] = trained.forecast(cut)
        assert found.quantiles[row] == pytest.approx(forecast.quantiles, rel=1e-4)
        assert found.times(row) == list(forecast.times)
    assert found.scores(1).mase is not None
    assert set(found.table(["last value"])) == {found.method, "last value"}


def test_backtest_asks_the_networks_that_have_not_seen_the_end(trained):
    found = trained.backtest(origins=2)
    assert len(found.origins) == 2 * 24
    assert all(origin <= len(trained.series.series[number]) - 4 for number, origin in found.origins)
    assert not torch.equal(
        trained.network.measured[0].readout.kernel, trained.network.again[0].readout.kernel
    )


def test_a_series_that_was_never_seen_is_forecast(trained):
    [forecast] = trained.forecast(shops(1, 30, seed=77))
    assert np.isfinite(forecast.median).all()


def test_any_cell_will_do(tmp_path: Path):
    for cell in ("lstm", "projected-lstm"):
        model = small(cell=cell, epochs=1, networks=1, refit=False)
        model.fit(shops(4), horizon=2, verbose=0)
        model.save(tmp_path / "model.nabi")
        again = Forecaster.load(tmp_path / "model.nabi")
        assert (again.forecast()[1].quantiles == model.forecast()[1].quantiles).all()


def test_what_was_found_in_the_data_is_kept_in_the_file(tmp_path: Path):
    table = {"year": list(range(1980, 2010)), "sales": [*range(20), "NA", *range(21, 30)]}
    found = read_series(table)
    assert any("missing" in note for note in found.notes)
    model = small(epochs=1, networks=1, season=1, refit=False)
    model.fit(found, horizon=2, verbose=0)
    assert model.series.notes == found.notes
    model.save(tmp_path / "model.nabi")
    assert Forecaster.load(tmp_path / "model.nabi").series.notes == found.notes


def test_more_series_than_fit_into_memory_are_drawn_from(monkeypatch):
    monkeypatch.setattr("nabi.models._forecaster._planning._MOST_FIGURES", 60_000)
    model = small(epochs=1, networks=1)
    report = model.fit(shops(20), horizon=4, verbose=0)
    assert 1 <= report.series < 20
    assert "drawn at random" in report.notes[-1]
    assert len(model.forecast()) == 20
    long = shops(1, 3000)
    report = model.fit(long, horizon=4, verbose=0)
    assert report.observations < 3000
    assert len(model.series.series[0]) == len(long.series[0])


def test_ends_without_observations_are_refused_before_training():
    series = shops(1).series[0]
    target = series.target.copy()
    target[-16:] = np.nan
    with pytest.raises(ArgumentError, match="series: expected observations in the held-out ends"):
        small().fit(shops(1).with_series([replace(series, target=target)]), horizon=4, verbose=0)


# Wrong series -------------------------------------------------------------------------------------------


def test_a_horizon_longer_than_the_history_is_refused():
    with pytest.raises(
        ArgumentError, match="horizon: expected at most 6 steps, since the longest series has 10"
    ):
        small().fit([float(value) for value in range(10)], horizon=7, verbose=0)


def test_a_group_without_static_columns_is_refused(trained):
    series = shops(1).series[0]
    without = shops(1).with_series([replace(series, name="new", static=np.array([np.nan]))])
    for asked in (lambda: trained.forecast(without), lambda: small().fit(without, horizon=4, verbose=0)):
        with pytest.raises(
            ArgumentError, match="static: expected a value of size for the series 'new', got none"
        ):
            asked()


def test_known_columns_that_end_before_the_horizon_are_refused(trained):
    with pytest.raises(ArgumentError, match=r"known: expected values of price for the series 'shop 0' up to"):
        trained.forecast(horizon=11)


def test_series_of_another_kind_are_refused(trained):
    with pytest.raises(ArgumentError, match="frequency: expected quarter, as in training, got month"):
        trained.forecast(replace(shops(1), frequency=type(shops(1).frequency)("month")))
    bare = SeriesSet(
        (
            Series(
                "bare",
                shops(1).series[0].start,
                np.arange(9.0),
                np.zeros((9, 0)),
                np.zeros((9, 0)),
                np.zeros(0),
            ),
        ),
        shops(1).frequency,
    )
    with pytest.raises(
        ArgumentError, match=r"known: expected the columns \['price'\], as in training, got \[\]"
    ):
        trained.forecast(bare)
    with pytest.raises(UnknownNameError, match="shop 99"):
        trained.state(name="shop 99")
    with pytest.raises(ArgumentError, match="name: expected the name of one of 24 series"):
        trained.state()
    with pytest.raises(ArgumentError, match="series: expected more than 4 steps"):
        trained.evaluate(shops(1, 4))


def test_settings_that_cannot_be_are_refused():
    for wrong in ({"networks": 0}, {"scaling": "none"}, {"season": 0}, {"window": 0}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            Forecaster(**wrong)


def test_a_file_of_another_state_is_refused(trained, tmp_path: Path):
    trained.save(tmp_path / "model.nabi")
    with pytest.raises(FileFormatError, match=r"nabi\.Forecaster\.load"):
        trained.load_state(tmp_path / "model.nabi")
