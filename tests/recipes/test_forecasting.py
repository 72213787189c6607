"""The recipes that forecast: on made-up series in the layout of the real files, and on a real one."""

import csv
import lzma
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from nabi import recipes
from nabi.data import Frequency
from nabi.errors import MissingFileError
from nabi.models import Forecaster
from nabi.recipes import pollution, sunspots, temperatures


def table(path: Path, header: list[str], rows: list[list[object]]) -> None:
    opened: Callable[..., object] = lzma.open if path.suffix == ".xz" else open
    with opened(path, "wt", newline="") as file:  # type: ignore[attr-defined]
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    wave = 10 + 4 * np.sin(np.arange(400) * 2 * np.pi / 12) + np.arange(400) % 5 / 5
    months = Frequency("month").times(datetime(1949, 1, 1), 144)
    table(
        folder / "airline-passengers.csv",
        ["Month", "Passengers"],
        [[f"{m:%Y-%m}", w] for m, w in zip(months, wave[:144], strict=True)],
    )
    table(
        folder / sunspots.FILE,
        ["Month", "Sunspots"],
        [[f"{m:%Y-%m}", w] for m, w in zip(months, wave[:144], strict=True)],
    )
    days = Frequency("day").times(datetime(1981, 1, 1), 300)
    table(
        folder / temperatures.FILE,
        ["Date", "Temp"],
        [[f"{d:%Y-%m-%d}", w] for d, w in zip(days, wave[:300], strict=True)],
    )
    hours = Frequency("hour").times(datetime(2013, 12, 22), 24 * 14)
    names = ["No", "year", "month", "day", "hour", "pm2.5", *pollution.WEATHER]
    rows = [
        [n, h.year, h.month, h.day, h.hour, "NA" if n % 20 == 3 else w, 1, 2, 3, ["cv", "NW"][n % 2], 5, 0, 0]
        for n, (h, w) in enumerate(zip(hours, wave[:336], strict=True))
    ]  # fmt: skip
    table(folder / pollution.FILE, names, rows)
    return folder


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize("name", ["airline", "temperatures", "sunspots", "pollution"])
def test_it_learns_measures_and_draws(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temperatures, "TESTED", 30)
    result = recipes.get(name).run(tmp_path / "out", epochs=1, data=data)
    figures = result.figures
    assert figures["test.forecaster"]["rmse"] > 0
    assert figures["test.linear autoregression"]["rmse"] < figures["test.last value"]["rmse"]
    assert set(figures["test.coverage"]) == {"50%", "80%", "95%"}
    assert figures["test.origins"] > (0 if name == "airline" else 10)
    model = Forecaster.load(tmp_path / "out" / "forecaster.nabi")
    # What is tested was not among what was learnt from.
    [series] = model.series
    assert len(series) < {"airline": 144, "sunspots": 144, "temperatures": 300, "pollution": 336}[name]
    for picture in ("forecast.png", "reading.png"):
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "out" / "forecaster.training").exists()


def test_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NABI_DATA", raising=False)
    with pytest.raises(MissingFileError, match=r"the recipe airline reads airline-passengers\.csv"):
        recipes.get("airline").run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not os.environ.get("NABI_DATA"), reason="NABI_DATA is not set")
def test_the_passengers_are_forecast_better_than_the_season_alone(tmp_path: Path) -> None:
    figures = recipes.get("airline").run(tmp_path / "out", epochs=20).figures
    assert figures["test.forecaster"]["mae"] < 0.6 * figures["test.seasonal naive"]["mae"]
