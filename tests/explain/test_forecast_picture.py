"""Pictures of forecasts and of what they read."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from nabi.data import SeriesSet, series_from_arrays
from nabi.errors import ArgumentError, UnknownNameError
from nabi.explain import forecast_picture, forecast_reading_picture
from nabi.models import Forecaster


@pytest.fixture(scope="module")
def trained() -> tuple[Forecaster, SeriesSet]:
    values = 10 + 3 * np.sin(np.arange(72) * np.pi / 6)
    values[30:34] = np.nan
    targets = [values + place for place in range(10)]
    names = [f"series {place}" for place in range(9)] + ["가게 $x$"]
    series = series_from_arrays(targets, start=datetime(2020, 1, 1), frequency="month", names=names)
    model = Forecaster(units=4, networks=1, epochs=1, refit=False)
    model.fit(series, horizon=6, verbose=0)
    return model, series


def test_one_and_many_series_are_drawn(trained: tuple[Forecaster, SeriesSet], tmp_path: Path) -> None:
    model, series = trained
    forecasts = model.forecast()
    one = forecast_picture(forecasts[-1:], series, tmp_path / "one.svg", backtest=model.backtest())
    all_of_them = forecast_picture(forecasts, series, tmp_path / "all.svg", title="Shops")
    few = forecast_picture(forecasts[:2], series, tmp_path / "few.png", steps=5)
    assert few.read_bytes().startswith(b"\x89PNG")
    assert all_of_them.stat().st_size > 2 * one.stat().st_size
    again = forecast_picture(forecasts[-1:], series, tmp_path / "again.svg", backtest=model.backtest())
    assert again.read_bytes() == one.read_bytes()


def test_series_by_the_step_are_drawn_too(tmp_path: Path) -> None:
    model = Forecaster(units=4, networks=1, epochs=1, refit=False, season=1)
    model.fit([float(step % 5) for step in range(60)], horizon=3, verbose=0)
    assert forecast_picture(model.forecast(), model.series, tmp_path / "steps.svg").exists()
    assert forecast_reading_picture(model.reading(steps=10), tmp_path / "reading.svg").exists()


def test_what_a_forecast_read_is_drawn(trained: tuple[Forecaster, SeriesSet], tmp_path: Path) -> None:
    model, _ = trained
    reading = model.reading(name="series 1", steps=45)
    assert np.isnan(reading.weights).any()  # the gap, which is grey
    path = forecast_reading_picture(reading, tmp_path / "reading.png", title="What moved it")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_wrong_arguments(trained: tuple[Forecaster, SeriesSet], tmp_path: Path) -> None:
    model, series = trained
    forecasts = model.forecast()
    with pytest.raises(ArgumentError, match="expected a name that ends in"):
        forecast_picture(forecasts, series, tmp_path / "f.pdf")
    with pytest.raises(ArgumentError, match="forecasts: expected at least one"):
        forecast_picture([], series, tmp_path / "f.png")
    with pytest.raises(UnknownNameError, match="'series 3' is not known"):
        forecast_picture(forecasts[3:4], series.with_series(series.series[:1]), tmp_path / "f.png")
    with pytest.raises(ArgumentError, match="steps: expected a whole number"):
        forecast_picture(forecasts, series, tmp_path / "f.png", steps=0)
    assert not list(tmp_path.iterdir())
