"""`nabi train`, `nabi predict` and `nabi evaluate` on series with labels."""

import csv
import io
import json

import pytest

from nabi.models import SeriesClassifier

from ..models.sequences.toy import directions, turns
from ..models.series.test_model import as_table, as_ts
from .logged import check_logged

SMALL = ("--units", 6, "--epochs", 6, "--learning-rate", 0.02, "--batch-size", 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("series")
    (place / "waves_TRAIN.ts").write_text(as_ts(*directions(60)))
    (place / "waves_TEST.ts").write_text(as_ts(*directions(30, seed=3)))
    (place / "steps.csv").write_text(as_table(*turns(60), per_step=True))
    return place


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_ts_file_is_learnt_evaluated_and_predicted(nabi, folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    outcome = nabi("train", "waves_TRAIN.ts", "--test", "waves_TEST.ts", "--balanced", *SMALL)
    assert (outcome.status, outcome.err) == (0, "")
    assert "30 test series: accuracy" in outcome.out
    assert "logistic regression on 8 steps" in outcome.out
    assert "It labels series with: nabi predict waves_TRAIN.nabi FILE" in outcome.out
    figures = json.loads((folder / "waves_TRAIN.json").read_text())
    assert figures["report"]["held_out"] == 30
    assert figures["settings"]["class_weight"] == "balanced"
    assert (folder / "waves_TRAIN.png").stat().st_size > 1000
    assert not (folder / "waves_TRAIN.training").exists()

    rows = rows_of(nabi("predict", "waves_TRAIN.nabi", "waves_TEST.ts", "--top", 2).out)
    assert list(rows[0]) == ["sequence", "label", "probability", "label_2", "probability_2"]
    assert [row["sequence"] for row in rows[:2]] == ["waves_TEST.ts:5", "waves_TEST.ts:6"]
    right = directions(30, seed=3)[1]
    accuracy = sum(row["label"] == label for row, label in zip(rows, right, strict=True)) / 30
    assert accuracy == pytest.approx(figures["report"]["scores"]["accuracy"])

    out = nabi("predict", "waves_TRAIN.nabi", "--file", "waves_TEST.ts", "--out", "said.jsonl")
    assert (out.status, out.out) == (0, "")
    first = json.loads((folder / "said.jsonl").read_text().splitlines()[0])
    assert first["label"] == rows[0]["label"]
    assert list(first["probabilities"]) == [rows[0]["label"]]

    outcome = nabi("evaluate", "waves_TRAIN.nabi", "waves_TEST.ts", "--out", "f.json", "--picture", "c.png")
    assert outcome.status == 0
    assert "30 test series" in outcome.out
    assert json.loads((folder / "f.json").read_text())["scores"] == figures["report"]["scores"]
    assert (folder / "c.png").exists()


def test_a_table_with_a_label_for_every_step(nabi, folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    columns = ("--id", "series", "--time", "at", "--channels", "c0", "--label", "class")
    told = (*columns, "--group", "of", "--label-per-step", "--one-direction", "--out", "steps.nabi")
    outcome = nabi("train", "steps.csv", *told, *SMALL)
    assert (outcome.status, outcome.err) == (0, "")
    assert "held-out steps" in outcome.out
    model = SeriesClassifier.load("steps.nabi")
    assert (model.columns.group, model.settings.bidirectional) == ("of", False)
    rows = rows_of(nabi("predict", "steps.nabi", "steps.csv").out)
    assert list(rows[0]) == ["sequence", "step", "label", "probability"]
    assert len(rows) == sum(len(one) for one in turns(60)[0])
    assert nabi("evaluate", "steps.nabi", "steps.csv", "--label", "class").status == 0


def test_a_table_without_a_header(nabi, folder, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    head, *lines = (folder / "steps.csv").read_text().splitlines(keepends=True)
    names = head.strip().split(",")
    (tmp_path / "steps.csv").write_text("".join(lines))
    number = {name: str(names.index(name)) for name in ("series", "at", "c0", "class")}
    columns = ("--id", number["series"], "--time", number["at"], "--channels", number["c0"])
    label = ("--label", number["class"], "--label-per-step", "--one-direction")
    outcome = nabi("train", "steps.csv", "--no-header", *columns, *label, *SMALL, "--epochs", 1)
    assert (outcome.status, outcome.err) == (0, "")
    rows = rows_of(nabi("predict", "steps.nabi", "steps.csv", "--no-header").out)
    assert len(rows) == len(lines)
    told = nabi("evaluate", "steps.nabi", "steps.csv", "--no-header", "--label", number["class"])
    assert told.status == 0, told.err
    assert nabi("predict", "steps.nabi", "steps.csv").status == 2  # its first line is no header


def test_wrong_commands_are_refused(nabi, folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "bad.ts").write_text("@classLabel true a b\n@data\n1,2:a\n3,x:b\n")
    (folder / "empty.ts").write_text("")
    small = ("--out", "small.nabi", "--units", 2, "--epochs", 1, "--log-dir", "logs")
    assert nabi("train", "waves_TRAIN.ts", *small).status == 0
    check_logged("logs", "small.json")
    for arguments, message in [
        (("train", "bad.ts"), "line 4: channel 1: expected a number or ?, got 'x'"),
        (("train", "empty.ts"), "line 1: expected a line @data, got the end of the file"),
        (
            ("train", "steps.csv", "--id", "series", "--out", "other.nabi"),
            "--label: expected the column of the labels, got none",
        ),
        (
            ("train", "waves_TRAIN.ts", "--unit", "words", "--out", "other.nabi"),
            "--unit: it means nothing for series with labels",
        ),
        (("predict", "small.nabi"), "FILE: expected one or more files to predict for, got none"),
        (("predict", "small.nabi", "none.ts"), "there is no file none.ts"),
        (
            ("predict", "small.nabi", "waves_TEST.ts", "--threshold", 0.3),
            "--threshold: it means nothing for a",
        ),
        (("predict", "small.nabi", "waves_TEST.ts", "--out", "a.txt"), "expected a name that ends in .csv"),
        (
            ("predict", "small.nabi", "waves_TEST.ts", "--out", "waves_TEST.ts"),
            "waves_TEST.ts would overwrite FILE",
        ),
        (("evaluate", "small.nabi", "steps.csv"), "id: expected the column that says which rows"),
        (
            ("evaluate", "small.nabi", "waves_TEST.ts", "--text", "a"),
            "--text: it means nothing for a model of",
        ),
    ]:
        outcome = nabi(*arguments)
        assert (outcome.status, outcome.out) == (2, ""), arguments
        assert message in outcome.err, arguments
