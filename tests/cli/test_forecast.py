"""`nabi train`, `forecast`, `watch` and `evaluate` on observations over time, as a user types them."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .logged import check_logged

SMALL = ("--units", 4, "--networks", 1, "--epochs", 2, "--no-refit")
SEASON = (10, 14, 30, 22, 12, 8, 9)


def sales(path: Path, days: int = 70, shops: tuple[str, ...] = ("north", "south"), future: int = 10) -> Path:
    """A table of sales with prices that are known ahead, rain that is not, and the size of each shop."""
    rows = ["date,shop,sales,price,rain,size"]
    for place, shop in enumerate(shops):
        for day in range(days + future):
            sold = (place + 1) * SEASON[day % 7] + day % 3 if day < days and day != 20 else ""
            rain = ("wet", "dry")[day % 2] if day < days else ""
            month, of_month = divmod(day, 28)
            rows.append(f"2024-{month + 1:02d}-{of_month + 1:02d},{shop},{sold},{9 + day % 2},{rain},{place}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def daily(path: Path, count: int = 80) -> Path:
    from datetime import datetime

    from nabi.data import Frequency

    days = Frequency("day").times(datetime(2024, 1, 1), count)
    lines = [f"{day:%Y-%m-%d},{SEASON[place % 7] + place % 2}" for place, day in enumerate(days)]
    path.write_text("date,y\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained once on days of one series."""
    from nabi.data import read_series
    from nabi.models import Forecaster

    folder = tmp_path_factory.mktemp("model")
    forecaster = Forecaster(units=4, networks=1, epochs=3, refit=False)
    forecaster.fit(read_series(daily(folder / "days.csv")), horizon=7, verbose=0)
    forecaster.save(folder / "days.nabi")
    return folder / "days.nabi"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_train_forecast_watch_and_evaluate_with_all_kinds_of_columns(nabi: Any, tmp_path: Path) -> None:
    sales(tmp_path / "sales.csv")
    kinds = ("--known", "price", "--past", "rain", "--static", "size", "--target", "sales", "--group", "shop")
    done = nabi("train", "sales.csv", "--time", "date", *kinds, "--frequency", "day", "--horizon", 5, *SMALL)
    assert done.status == 0, done.err
    assert "2 series by the day" in done.out
    assert "targets are missing; they are neither filled in nor scored" in done.out
    assert "known columns reach 10 steps beyond the last observation" in done.out
    assert "seasonal naive" in done.out
    assert "nabi forecast sales.nabi" in done.out
    figures = json.loads((tmp_path / "sales.json").read_text(encoding="utf-8"))
    assert figures["columns"]["past"] == ["rain"]
    assert figures["report"]["horizon"] == 5
    assert (tmp_path / "sales.png").read_bytes().startswith(b"\x89PNG")

    done = nabi("forecast", "sales.nabi", "--horizon", 8, "--out", "next.csv", "--picture", "next.svg")
    assert done.status == 0, done.err
    rows = table((tmp_path / "next.csv").read_text(encoding="utf-8"))
    assert [row["series"] for row in rows] == ["north"] * 8 + ["south"] * 8
    assert rows[0]["time"] == "2024-03-15"
    for row in rows:
        ends = [float(row[name]) for name in ("low95", "low80", "forecast", "high80", "high95")]
        assert ends == sorted(ends)
    done = nabi("forecast", "sales.nabi", "--horizon", 11)
    assert (done.status, "they end at 2024-03-24" in done.err) == (2, True)
    assert nabi("forecast", "sales.nabi", "--series", "west").status == 2

    # A shop that was not in the training, and values of a column that were not.
    new = sales(tmp_path / "new.csv", shops=("west",))
    new.write_text(new.read_text(encoding="utf-8").replace("wet", "snow"), encoding="utf-8")
    done = nabi("forecast", "sales.nabi", "--file", "new.csv", "--series", "west", "--reading", "read.png")
    assert done.status == 0, done.err
    assert "rain: values that the model did not see in training are read as none: 'snow'" in done.err
    assert [row["series"] for row in table(done.out)] == ["west"] * 5
    assert (tmp_path / "read.png").exists()

    done = nabi("evaluate", "sales.nabi", "sales.csv", "--out", "figures.json", "--picture", "e.png")
    assert done.status == 0, done.err
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert {"last value", "Theta", "median of five"} < figures["scores"].keys()
    assert figures["forecasts"] == 2
    shown = nabi("evaluate", "sales.nabi", "sales.csv", "--json")
    assert json.loads(shown.out) == figures

    (tmp_path / "stream.csv").write_text(
        "shop,date,sales,price,rain\nsouth,2024-03-15,21,9,wet\nnorth,2024-03-17,11,9,dry\neast,2024-03-15,1,9,wet\n"
        "south,2024-03-15,4,9,wet\nsouth,2024-03-16,many,9,wet\nsouth,2024-03-16\n"
    )
    done = nabi("watch", "sales.nabi", "--file", "stream.csv")
    assert done.status == 0, done.err
    assert [(row["series"], row["time"], row["value"]) for row in table(done.out)] == [
        ("south", "2024-03-15", "21.0"), ("north", "2024-03-17", "11.0"),
    ]  # fmt: skip
    for line, problem in (
        (4, "the series 'east' is not one"), (5, "expected a time from 2024-03-16 on, got 2024-03-15"),
        (6, "sales: expected a number or nothing, got 'many'"), (7, "expected 5 fields, got 2"),
    ):  # fmt: skip
        assert f"line {line}" in done.err
        assert problem in " ".join(done.err.split())


def test_watch_says_what_is_odd_and_misses_nothing(nabi: Any, model: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("2024-03-21,24\n2024-03-22,12\n500\n3/25/2024,10\n")
    done = nabi("watch", model, "--file", "new.csv")
    assert done.status == 0, done.err
    rows = table(done.out)
    assert [row["time"] for row in rows] == ["2024-03-21", "2024-03-22", "2024-03-23", "2024-03-25"]
    assert rows[2]["anomaly"] == "yes"
    assert float(rows[2]["surprise"]) > float(rows[0]["surprise"])
    done = nabi("watch", model, "--file", "new.csv", "--only-anomalies", "--surprise", 8)
    assert "500.0" in {row["value"] for row in table(done.out)}
    # The same observations at once, from a file, end in the same forecast.
    whole = tmp_path / "whole.csv"
    whole.write_text(
        (model.parent / "days.csv").read_text() + "2024-03-21,24\n2024-03-22,12\n2024-03-23,500\n"
    )
    ahead = table(nabi("forecast", model, "--file", whole, "--horizon", 1).out)[0]
    assert float(rows[2]["next"]) == pytest.approx(float(ahead["forecast"]), rel=1e-5)


def test_forecasts_and_what_was_watched_as_json(nabi: Any, model: Path, tmp_path: Path) -> None:
    rows = table(nabi("forecast", model).out)
    found = [json.loads(line) for line in nabi("forecast", model, "--json").out.splitlines()]
    assert [{name: str(value) for name, value in one.items()} for one in found] == rows
    (tmp_path / "new.csv").write_text("50\n60\n")
    shown = table(nabi("watch", model, "--file", "new.csv").out)
    assert nabi("watch", model, "--file", "new.csv", "--out", "x.csv").out == ""
    assert table((tmp_path / "x.csv").read_text()) == shown
    watched = [
        json.loads(line) for line in nabi("watch", model, "--file", "new.csv", "--json").out.splitlines()
    ]
    assert [str(one["expected"]) for one in watched] == [row["expected"] for row in shown]


def test_watch_reads_standard_input_line_by_line(model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "nabi", "watch", str(model), "--file", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith("series,time,value")
        for value in (24, 12):
            process.stdin.write(f"{value}\n")
            process.stdin.flush()
            # The answer comes before the next line is there.
            assert process.stdout.readline().split(",")[2] == f"{value}.0"
        process.stdin.close()
        assert process.wait(30) == 0


def test_forecast_without_a_file_goes_on_after_the_training(nabi: Any, model: Path) -> None:
    done = nabi("forecast", model, "--out", "next.jsonl")
    assert done.status == 0, done.err
    rows = [json.loads(line) for line in Path("next.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["time"] for row in rows] == [f"2024-03-{day}" for day in range(21, 28)]


def test_a_target_of_numbers_is_enough_and_pairs_are_still_pairs(nabi: Any, tmp_path: Path) -> None:
    daily(tmp_path / "days.csv", 40)
    lines = (tmp_path / "days.csv").read_text().splitlines(keepends=True)[1:]
    (tmp_path / "days.csv").write_text("".join(lines))
    done = nabi(
        "train", "days.csv", "--target", 1, "--no-header", "--horizon", 3, *SMALL, "--log-dir", "logs"
    )
    assert done.status == 0, done.err
    check_logged("logs", "days.json")
    assert json.loads((tmp_path / "days.json").read_text())["report"]["observations"] == 40
    ahead = nabi("forecast", "days.nabi", "--file", "days.csv", "--no-header")
    assert table(ahead.out) == table(nabi("forecast", "days.nabi").out)
    assert nabi("evaluate", "days.nabi", "days.csv", "--no-header").status == 0
    (tmp_path / "pairs.csv").write_text("english,german\na,b\n")
    done = nabi("train", "pairs.csv", "--target", "german")
    assert done.status == 2
    assert "source" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--time", "date", "--known", "prise"), "'prise' is not known"),
        (("--time", "y"), "line 2, y"),
        (("--time", "date", "--target", "date"), "got 'date' twice"),
        (("--time", "date", "--horizon", "200"), "horizon"),
        (("--time", "date", "--frequency", "lunar"), "frequency: expected a unit"),
        (("--time", "date", "--beam", "3"), "beam"),
    ],
)
def test_what_is_wrong_is_said_before_training(
    nabi: Any, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    daily(tmp_path / "days.csv", 40)
    if "y" in arguments:
        (tmp_path / "days.csv").write_text("date,y\n2024-01-01,high\n2024-01-02,low\n")
    done = nabi("train", "days.csv", *arguments, *SMALL)
    assert done.status == 2
    assert message in " ".join(done.err.split())
    assert not (tmp_path / "days.nabi").exists()


def test_what_forecast_and_watch_refuse(nabi: Any, model: Path, tmp_path: Path) -> None:
    assert "a name that ends in .csv or .jsonl" in nabi("forecast", model, "--out", "next.txt").err
    (tmp_path / "mine.csv").write_text("mine")
    assert "was not written by nabi" in nabi("forecast", model, "--out", "mine.csv").err
    assert "there is no file" in nabi("forecast", model, "--file", "none.csv").err
    assert "nabi forecast" in nabi("predict", model, "text").err
    assert "is not known" in nabi("watch", model, "--series", "west").err
    (tmp_path / "other.csv").write_text("date,z\n2024-01-01,1\n2024-01-02,1\n")
    assert "'y' is not known" in nabi("forecast", model, "--file", "other.csv").err
    (tmp_path / "stream.csv").write_text("1,2,3\n2024-03-21 12:00,4\n")
    done = nabi("watch", model, "--file", "stream.csv")
    assert "line 1: expected a value, or a time and a value, got 3 fields" in done.err
    assert "line 2: expected 2024-03-21, or whole steps of a day later" in done.err
