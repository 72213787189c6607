"""`nabi train`, `nabi predict` and `nabi evaluate` on series with a number each."""

import csv
import io
import json
from pathlib import Path

import pytest

from nabi.models import SeriesRegressor

from ..models.series_regressor.test_model import as_table, as_ts, waves

SMALL = ("--units", 3, "--epochs", 1)
COLUMNS = ("--id", "sensor", "--time", "at")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("gauges.csv").write_text(as_table(*waves(30)))
    Path("flow_TRAIN.ts").write_text(as_ts(*waves(30)))
    Path("flow_TEST.ts").write_text(as_ts(*waves(12, seed=3)))


def test_a_table_is_learnt_evaluated_and_predicted(nabi) -> None:
    done = nabi("train", "gauges.csv", *COLUMNS, "--target", "wear", *SMALL, "--loss", "huber")
    assert (done.status, done.err) == (0, ""), done.err
    assert "test series: MAE" in done.out
    assert "It estimates a number for a series with: nabi predict gauges.nabi FILE" in done.out
    assert Path("gauges.png").stat().st_size > 1000
    figures = json.loads(Path("gauges.json").read_text())
    model = SeriesRegressor.load("gauges.nabi")
    assert (figures["share_of_linear"], figures["columns"]["target"]) == (model.share, "wear")
    assert model.settings.loss == "huber"

    rows = list(csv.DictReader(io.StringIO(nabi("predict", "gauges.nabi", "gauges.csv").out)))
    said = model.predict("gauges.csv")
    assert list(rows[0]) == ["sequence", "number"]
    assert [float(row["number"]) for row in rows] == pytest.approx(said.tolist(), rel=1e-6)
    assert nabi("predict", "gauges.nabi", "gauges.csv", "--out", "said.jsonl").status == 0
    first = json.loads(Path("said.jsonl").read_text().splitlines()[0])
    assert first == {"sequence": "s0", "number": pytest.approx(said[0], rel=1e-6)}
    done = nabi("predict", "gauges.nabi", "gauges.csv", "none.ts", "--json")
    assert (done.status, "none.ts" in done.err) == (2, True)

    done = nabi("evaluate", "gauges.nabi", "gauges.csv", "--target", "wear", "--json", "--picture", "a.svg")
    assert json.loads(done.out)["rmse"] == model.evaluate("gauges.csv").rmse
    assert Path("a.svg").exists()


def test_numbers_are_known_by_the_file_or_the_column(nabi) -> None:
    done = nabi("train", "flow_TRAIN.ts", "--test", "flow_TEST.ts", *SMALL)
    assert "12 test series: MAE" in done.out
    done = nabi("train", "gauges.csv", *COLUMNS, "--label", "wear", *SMALL)
    assert "--label: the column 'wear' holds numbers with decimals" in done.out
    assert "test series: MAE" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gauges.csv", *COLUMNS, "--task", "regression"), "--target: expected the column of the numbers"),
        (("gauges.csv", *COLUMNS, "--target", "wear", "--label", "a"), "by one option, got --label too"),
        (("gauges.csv", *COLUMNS, "--target", "b"), "as in its other rows, got"),
        (("gauges.csv", *COLUMNS, "--target", "wear", "--label-per-step"), "nothing for series with numbers"),
        (("gauges.csv", *COLUMNS, "--task", "classification", "--label", "wear"), "not look like labels"),
        (("flow_TRAIN.ts", "--balanced"), "--balanced: it means nothing for series with numbers"),
    ],
)
def test_wrong_commands_are_refused(nabi, arguments, message: str) -> None:
    done = nabi("train", *arguments, *SMALL)
    assert (done.status, done.out) == (2, ""), done.out
    assert message in done.err
