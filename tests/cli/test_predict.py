"""`nabi predict`, `nabi evaluate` and `nabi explain`: asking a model that `nabi train` has written."""

import csv
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nabi.cli import _texts
from nabi.cli._bad_rows import BadRows
from nabi.cli._texts import text_parts
from nabi.models import TextClassifier

from ..forked import NABI

SMALL = {"units": 4, "embedding_size": 6, "epochs": 6, "learning_rate": 0.03, "batch_size": 16}


@pytest.fixture(scope="module")
def folder(reviews, tmp_path_factory):
    """A folder with three models and a table that one of them was trained on."""
    folder = tmp_path_factory.mktemp("models")
    rows = [f"{text},{label}" for text, label in zip(*reviews, strict=True)]
    (folder / "reviews.csv").write_text("\n".join(["review,verdict", *rows]) + "\n")
    classifier = TextClassifier(**SMALL)
    classifier.fit(folder / "reviews.csv", text="review", label="verdict", verbose=0)
    classifier.save(folder / "one.nabi")
    several = TextClassifier(**SMALL)
    several.fit(reviews[0], [[label, "seen"] for label in reviews[1]], verbose=0)
    several.save(folder / "several.nabi")
    about = TextClassifier(**SMALL)
    about.fit(*reviews, ["film"] * 300, verbose=0)
    about.save(folder / "about.nabi")
    return folder


@pytest.fixture
def model(folder):
    return folder / "one.nabi"


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_texts_get_labels_with_probabilities(nabi, model):
    outcome = nabi("predict", model, "a lovely film", 'so "dreary", it was')
    assert (outcome.status, outcome.err) == (0, "")
    rows = rows_of(outcome.out)
    assert [(row["text"], row["label"]) for row in rows] == [
        ("a lovely film", "good"),
        ('so "dreary", it was', "bad"),
    ]
    expected = TextClassifier.load(model).predict(["a lovely film"])[0]
    assert float(rows[0]["probability"]) == pytest.approx(expected.probability, abs=1e-6)


def test_the_likeliest_labels(nabi, model):
    (row,) = rows_of(nabi("predict", model, "a lovely film", "--top", 5).out)
    assert list(row) == ["text", "label", "probability", "label_2", "probability_2"]
    assert float(row["probability"]) + float(row["probability_2"]) == pytest.approx(1, abs=2e-6)
    assert float(row["probability"]) > float(row["probability_2"])


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_file_comes_out_in_its_order_whatever_the_part(nabi, folder, model, tmp_path, monkeypatch, rows):
    monkeypatch.setattr(_texts, "_ROWS_AT_ONCE", rows)
    out = tmp_path / "deep" / "labels.csv"
    outcome = nabi("predict", model, "--file", folder / "reviews.csv", "--out", out)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    found = rows_of(out.read_text())
    given = rows_of((folder / "reviews.csv").read_text())
    assert [row["review"] for row in found] == [row["review"] for row in given]
    assert list(found[0])[: len(given[0])] == list(given[0])
    expected = TextClassifier.load(model).predict([row["review"] for row in given])
    added = list(found[0])[len(given[0])]
    assert added == ("predicted label" if "label" in given[0] else "label")
    assert [row[added] for row in found] == [prediction.label for prediction in expected]


def test_no_more_than_a_part_of_a_file_is_in_memory(model, tmp_path, monkeypatch):
    """Rows are written before the next ones are read."""
    from nabi.cli._predictions import PredictionWriter

    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps({"review": f"film {n}"}) + "\n" for n in range(5000)))
    held = []
    write = PredictionWriter.write
    monkeypatch.setattr(
        PredictionWriter,
        "write",
        lambda self, part: held.append(len(part.texts)) or write(self, part),
    )
    classifier = TextClassifier.load(model)
    said = {"texts": None, "file": path, "text": None, "aspect": None}
    reading = {"encoding": "utf-8", "separator": None, "quotes": True, "header": True}
    parts = text_parts(said | reading, classifier, BadRows())
    with PredictionWriter(tmp_path / "out.csv", classifier, 1, 0.5) as writer:
        for number, part in enumerate(parts, 1):
            writer.write(part)
            assert sum(held) == number * 1000
    assert held == [1000] * 5


def test_lines_of_a_text_file_blank_ones_too(nabi, model, tmp_path):
    (tmp_path / "texts.txt").write_bytes("a lovely film\r\n\nso dull, café".encode())
    rows = rows_of(nabi("predict", model, "--file", tmp_path / "texts.txt").out)
    assert [row["text"] for row in rows] == ["a lovely film", "", "so dull, café"]
    assert float(rows[1]["probability"]) == pytest.approx(0.5, abs=0.01)
    (tmp_path / "texts.txt").write_bytes(b"caf\xe9")
    assert "is not utf-8" in nabi("predict", model, "--file", tmp_path / "texts.txt").err


def test_json_lines_and_values_that_are_no_text(nabi, model, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"review": "a lovely film"}\n{"review": null}\n{"review": 12}\n')
    out = tmp_path / "out.jsonl"
    assert nabi("predict", model, "--file", path, "--out", out, "--top", 2).status == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["review"] for row in rows] == ["a lovely film", None, 12]
    assert list(rows[0]) == ["review", "label", "probability", "probabilities"]
    assert list(rows[0]["probabilities"]) == ["good", "bad"]


def test_several_labels_at_once(nabi, folder, tmp_path):
    model = folder / "several.nabi"
    (row,) = rows_of(nabi("predict", model, "a lovely film").out)
    columns = ["text", "label", "probability of bad", "probability of good", "probability of seen"]
    assert list(row) == columns
    assert row["label"] == "good|seen"
    (row,) = rows_of(nabi("predict", model, "a lovely film", "--threshold", 1.0).out)
    assert row["label"] == ""
    out = tmp_path / "o.jsonl"
    nabi("predict", model, "a lovely film", "--out", out)
    assert json.loads(out.read_text())["label"] == ["good", "seen"]
    assert "--top: expected a model with one label per text" in nabi("predict", model, "a", "--top", 2).err


def test_aspects(nabi, folder, tmp_path):
    model = folder / "about.nabi"
    (row,) = rows_of(nabi("predict", model, "a lovely one", "--aspect", "film").out)
    assert (row["aspect"], row["label"]) == ("film", "good")
    (tmp_path / "t.csv").write_text("a,t\nfilm,lovely\n")
    table = ("--file", tmp_path / "t.csv", "--text", "t")
    assert rows_of(nabi("predict", model, *table, "--aspect", "a").out)[0]["label"] == "good"
    for arguments in (["lovely"], table):
        assert "trained with aspects" in nabi("predict", model, *arguments).err
    (tmp_path / "t.txt").write_text("lovely\n")
    assert "trained with aspects" in nabi("predict", model, "--file", tmp_path / "t.txt").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "TEXT: expected either texts or --file FILE"),
        (["a", "--file", "{folder}/reviews.csv"], "TEXT: expected either texts or --file FILE"),
        (["--file", "{folder}/none.csv"], "there is no file"),
        (["--file", "{folder}/none.txt"], "there is no file"),
        (["--file", "{folder}/one.nabi"], "expected a table"),
        (["--file", "{folder}/reviews.csv", "--text", "text"], "'text' is not known"),
        (["a", "--out", "labels.xls"], "--out: expected a name that ends in .csv or .jsonl, got labels.xls"),
        (["a", "--out", "{folder}"], "--out: "),
        (["a", "--out", "{folder}/one.nabi/labels.csv"], "cannot write"),
    ],
)
def test_errors_of_predict_are_one_line(nabi, folder, model, arguments, message):
    outcome = nabi("predict", model, *(argument.format(folder=folder) for argument in arguments))
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert message in outcome.err


def test_an_error_in_the_middle_of_a_file_leaves_no_half_result(nabi, model, tmp_path, monkeypatch):
    monkeypatch.setattr(_texts, "_ROWS_AT_ONCE", 2)
    (tmp_path / "t.csv").write_text("review,x\n" + "film,1\n" * 5 + '"film\nmore\n')
    outcome = nabi("predict", model, "--file", tmp_path / "t.csv", "--out", tmp_path / "labels.csv")
    assert outcome.status == 2
    assert "line 7: a field in quotes begins here, and it never ends" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_a_pipe_that_is_closed_is_no_traceback(model, tmp_path):
    (tmp_path / "texts.txt").write_text("a lovely film\n" * 20_000)
    command = f"{sys.executable} -m nabi predict {model} --file {tmp_path / 'texts.txt'} | head -2"
    run = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert len(run.stdout.splitlines()) == 2
    assert run.stderr == f"nabi: standard output: it cannot be written: {os.strerror(errno.EPIPE)}\n"


def test_the_standard_input(fresh, model):
    run = fresh(NABI, "predict", model, "--file", "-", given="a lovely film\nso dull")
    assert [row["label"] for row in rows_of(run.stdout)] == ["good", "bad"]


def test_evaluate_remembers_the_columns(nabi, folder, model, tmp_path):
    outcome = nabi(
        "evaluate",
        model,
        folder / "reviews.csv",
        "--out",
        tmp_path / "r.json",
        "--picture",
        tmp_path / "r.png",
    )
    assert (outcome.status, outcome.err) == (0, "")
    figures = json.loads((tmp_path / "r.json").read_text())
    assert figures.pop("written_by") == "nabi evaluate"
    assert figures == TextClassifier.load(model).evaluate(folder / "reviews.csv").to_dict() | {
        name: figures[name] for name in ("by_label", "confusion", "baselines")
    }  # fmt: skip
    assert f"300 rows: accuracy {figures['accuracy']:.4f}" in outcome.out
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "t.csv").write_text("t,l\na lovely film,good\n")
    assert nabi("evaluate", model, tmp_path / "t.csv", "--text", "t", "--label", "l").status == 0
    for arguments, message in (
        ([tmp_path / "t.csv"], "columns: 'review' is not known"),
        ([tmp_path / "t.csv", "--text", "t", "--label", "t"], "expected different columns"),
        ([tmp_path / "none.csv"], "there is no file"),
        ([folder / "reviews.csv", "--picture", "r.gif"], ".svg or .png"),
    ):
        outcome = nabi("evaluate", model, *arguments)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err


def test_explain_shows_words_and_draws_them(nabi, folder, model, tmp_path):
    picture = tmp_path / "reading.svg"
    outcome = nabi("explain", model, "a lovely film", "--out", picture)
    assert (outcome.status, outcome.err) == (0, "")
    assert "[+++ lovely]" in outcome.out
    assert "probability of good" in outcome.out
    assert b"<svg" in picture.read_bytes()
    assert "probability of bad" in nabi("explain", model, "a lovely film", "--label", "bad").out
    assert nabi("explain", folder / "about.nabi", "lovely", "--aspect", "film").status == 0
    for arguments, message in (
        (["a film", "--label", "godo"], "did you mean 'good'"),
        ([""], "expected a text to read, got none"),
        (["a film", "--out", "reading.pdf"], ".svg or .png"),
    ):
        outcome = nabi("explain", model, *arguments)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err


def test_explain_writes_a_report(nabi, folder, model, tmp_path):
    page = tmp_path / "report.html"
    outcome = nabi(
        "explain", model, "a lovely film", "--file", folder / "reviews.csv", "--out", page, "--language", "en"
    )
    assert (outcome.status, outcome.out) == (0, f"The report is in {page}\n")
    text = page.read_text("utf-8")
    assert "<!-- written by nabi explain -->" in text
    assert "Measured for this page" in text
    assert "What it read" in text
    assert nabi("explain", model, "--out", page).status == 0  # its own is replaced
    page.write_text("mine")
    for arguments, message in (
        (["--out", page], "exists and was not written by nabi explain"),
        (["--out", tmp_path / "r.html", "--label", "good"], "--label: expected it with a TEXT alone"),
        (
            ["--out", tmp_path / "r.html", "--label-column", "label"],
            "--label-column: expected it with --file",
        ),
        (["a film", "--language", "ko"], "--language: expected it for a report"),
        (["--out", tmp_path / "r.svg"], "expected a name that ends in .html"),
    ):
        outcome = nabi("explain", model, *arguments)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err


@pytest.mark.parametrize("command", ["predict", "evaluate", "explain"])
def test_what_is_no_model_is_refused(nabi, folder, command, tmp_path):
    wrong = {"none.nabi": "there is no model file", "reviews.csv": "got a table"}
    for name, message in wrong.items():
        outcome = nabi(command, folder / name, folder / "reviews.csv")
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err
    model = TextClassifier.load(folder / "one.nabi").model
    model.save(Path(tmp_path / "plain.nabi"))
    outcome = nabi(command, tmp_path / "plain.nabi", folder / "reviews.csv")
    assert "got a file of kind 'model'" in outcome.err


def test_the_columns_of_a_table_are_kept(nabi, model, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('id,text,label\n7,a lovely film,"yes, good"\n8,so dull,\n')
    rows = rows_of(nabi("predict", model, "--file", path, "--text", "text").out)
    assert list(rows[0]) == ["id", "text", "label", "predicted label", "probability"]
    assert [(row["id"], row["label"], row["predicted label"]) for row in rows] == [
        ("7", "yes, good", "good"),
        ("8", "", "bad"),
    ]
    out = tmp_path / "rows.jsonl"
    assert nabi("predict", model, "--file", path, "--text", "text", "--out", out).status == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["id"], line["predicted label"]) for line in lines] == [("7", "good"), ("8", "bad")]
