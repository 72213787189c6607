"""`nabi train` on a table of texts: what it shows, writes and refuses."""

import json
import os
import re
from pathlib import Path

import pytest

from nabi.data import read_table
from nabi.models import TextClassifier

from ..forked import NABI

SMALL = ("--units", 4, "--embedding-size", 6, "--epochs", 3, "--learning-rate", 0.03, "--batch-size", 16)
COLUMNS = ("--text", "text", "--label", "label")

OWN_CELL = """
from nabi.cells import Cell
from nabi.ir.functions import tanh

class Own(Cell):
    def step(self, x, h):
        return tanh(self.affine("h", x, h))

class Wrong(Cell):
    def step(self, x, h):
        return x
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def table(reviews):
    path = Path("reviews.csv")
    rows = [f"{number},{text},{label}" for number, (text, label) in enumerate(zip(*reviews, strict=True))]
    path.write_text("\n".join(["id,text,label", *rows]) + "\n")
    return path


def test_a_table_becomes_a_model_with_its_figures_and_a_picture(nabi, table):
    outcome = nabi("train", table, *COLUMNS, *SMALL, "--epochs", 8)
    assert (outcome.status, outcome.err) == (0, "")
    assert "240 rows to train on, 30 to stop by, 30 to test on" in outcome.out
    assert "unit words (0% of the words" in outcome.out
    assert len(re.findall(r"^Epoch \d/8 - ", outcome.out, re.MULTILINE)) == 8
    assert re.search(r"30 test rows: accuracy 0\.9|30 test rows: accuracy 1\.0", outcome.out)
    assert "right / said" in outcome.out
    assert "The model is in reviews.nabi, its figures in reviews.json" in outcome.out
    written = json.loads(Path("reviews.json").read_text())
    assert (written["file"], written["text"], written["label"]) == ("reviews.csv", "text", "label")
    assert written["best"] == "lstm"
    assert written["cells"]["lstm"]["settings"]["units"] == 4
    classifier = TextClassifier.load("reviews.nabi")
    assert written["cells"]["lstm"]["report"]["accuracy"] == classifier.report.accuracy
    assert written["cells"]["lstm"]["parameters"] == classifier.model.count_params()
    assert Path("reviews.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir()) == ["reviews.csv", "reviews.json", "reviews.nabi", "reviews.png"]


def test_cells_are_compared_in_one_table_and_the_best_is_saved(nabi, table):
    Path("mine.py").write_text(OWN_CELL)
    cells = ("--cell", "gru", "--cell", "mine.py:Own", "--cell", "simple-rnn")
    outcome = nabi("train", table, *COLUMNS, *SMALL, *cells, "--out", "deep/best.nabi", "--one-direction")
    assert outcome.status == 0, outcome.err
    lines = outcome.out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("cell "))
    assert lines[head].split("  ")[0] == "cell"
    rows = {line.split()[0]: line.split()[1:] for line in lines[head + 1 : head + 4]}
    assert set(rows) == {"gru", "mine.py:Own", "simple-rnn"}
    written = json.loads(Path("deep/best.json").read_text())
    for name, (accuracy, macro, validation, epochs, seconds, unit, parameters) in rows.items():
        figures = written["cells"][name]
        assert float(accuracy) == pytest.approx(figures["report"]["accuracy"], abs=5e-5)
        assert float(macro) == pytest.approx(figures["report"]["macro_f1"], abs=5e-5)
        assert float(validation) == pytest.approx(figures["validation_report"]["macro_f1"], abs=5e-5)
        assert (int(epochs), unit) == (3, "s")
        assert abs(float(seconds) - figures["seconds"]) <= 0.5
        assert int(parameters.replace(",", "")) == figures["parameters"]
    best = max(rows, key=lambda name: written["cells"][name]["validation_report"]["macro_f1"])
    assert written["best"] == best
    assert f"the best on the validation rows, {best}:" in outcome.out
    # All cells have seen the same rows.
    assert len({figures["report"]["rows"] for figures in written["cells"].values()}) == 1


def test_a_cell_of_ones_own_must_be_given_again(nabi, fresh, table):
    Path("mine.py").write_text(OWN_CELL)
    assert nabi("train", table, *COLUMNS, *SMALL, "--cell", "mine.py:Own").status == 0
    # In a process of its own, because here the class is known by now.
    predict = [NABI, "predict", "reviews.nabi", "a lovely film"]
    run = fresh(*predict)
    assert run.returncode == 2
    assert "cell: 'Own' is not known" in run.stderr
    assert "--cell FILE.py:Class" in run.stderr
    run = fresh(*predict, "--cell", "mine.py:Own")
    assert (run.returncode, run.stderr) == (0, "")


def test_several_columns_of_labels(nabi):
    rows = [
        f"a {'sun' if n % 2 else 'moon'} and {'snow' if n % 3 else 'rain'},{n % 2},{int(n % 3 > 0)}"
        for n in range(90)
    ]
    Path("t.csv").write_text("\n".join(["text,sun,snow", *rows]))
    outcome = nabi("train", "t.csv", "--text", "text", "--label", "sun", "--label", "snow", *SMALL)
    assert outcome.status == 0, outcome.err
    assert "all labels right" in outcome.out
    assert TextClassifier.load("t.nabi").labels.names == ("snow", "sun")
    assert json.loads(Path("t.json").read_text())["label"] == ["sun", "snow"]


def test_other_tables_and_settings_reach_the_classifier(nabi, reviews):
    for name, part in (("train", slice(0, 200)), ("validation", slice(200, 240)), ("test", slice(240, 300))):
        rows = [f'"{text}\t{label}' for text, label in zip(reviews[0][part], reviews[1][part], strict=True)]
        Path(f"{name}.tsv").write_bytes("\n".join(["text\tlabel", *rows]).encode("utf-16"))
    outcome = nabi(
        "train", "train.tsv", *COLUMNS, *SMALL, "--validation", "validation.tsv", "--test", "test.tsv",
        "--encoding", "utf-16", "--no-quotes", "--unit", "characters", "--maxlen", 20, "--truncating", "pre",
        "--pooling", "mean", "--dropout", 0.1, "--patience", 2, "--balanced", "--seed", 4, "--threads", 1,
        "--vocabulary-size", 30,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    classifier = TextClassifier.load("train.nabi")
    settings = classifier.settings.to_dict()
    expected = {
        "unit": "characters", "maxlen": 20, "truncating": "pre", "pooling": "mean", "dropout": 0.1,
        "patience": 2, "class_weight": "balanced", "seed": 4, "vocabulary_size": 30,
    }  # fmt: skip
    assert {name: settings[name] for name in expected} == expected
    assert classifier.report.rows == 60
    assert '"' in classifier.vocabulary.words


# Forms and errors -------------------------------------------------------------------------------------------


def test_without_options_the_forms_are_listed(nabi, table):
    outcome = nabi("train")
    assert outcome.status == 2
    assert "nabi train FILE --text COLUMN --label COLUMN" in outcome.err
    outcome = nabi("train", table)
    assert outcome.status == 2
    assert "reviews.csv has the columns id, text, label" in outcome.err
    assert "there is no file none.csv" in nabi("train", "none.csv").err


@pytest.fixture
def _no_training(monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("training has begun")

    monkeypatch.setattr(TextClassifier, "fit_parts", never)


@pytest.mark.usefixtures("_no_training")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--text", "text"],
            "--label: expected the name of a column, got none; reviews.csv has the columns id, text",
        ),
        (["--label", "label"], "--text: expected the name of a column, got none"),
        (["--text", "texts", "--label", "label"], "'texts' is not known; did you mean 'text'"),
        ([*COLUMNS, "--cell", "lstn"], "cell: 'lstn' is not known; did you mean 'lstm'"),
        (
            [*COLUMNS, "--cell", "gru", "--cell", "gru"],
            "--cell: expected each cell once, got gru more than once",
        ),
        ([*COLUMNS, "--cell", "mine.py:Wrong"], "Wrong"),
        ([*COLUMNS, "--cell", "none.py:Own"], "there is no file none.py"),
        ([*COLUMNS, "--out", "file/model.nabi"], "out: cannot write into the folder file"),
        ([*COLUMNS, "--out", "folder"], "out: cannot write folder: expected a file name, got a folder"),
        ([*COLUMNS, "--out", "reviews.csv"], "out: reviews.csv would overwrite the data"),
        ([*COLUMNS, "--test", "none.csv"], "there is no file none.csv"),
        ([*COLUMNS, "--separator", ";"], "--text: 'text' is not known"),
        (
            [*COLUMNS, "--encoding", "utf-7x"],
            "encoding: expected a text encoding such as 'utf-8', got 'utf-7x'",
        ),
        (["--text", "text", "--label", "id"], "not look like a column of labels"),
    ],
)
def test_errors_are_one_line_before_any_training(nabi, table, arguments, message):
    Path("file").write_text("")
    Path("folder").mkdir()
    Path("mine.py").write_text(OWN_CELL)
    outcome = nabi("train", table, *arguments)
    assert outcome.status == 2
    assert outcome.err.startswith("nabi: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err
    assert read_table(table)["label"][0] == "bad"
    assert not list(Path().glob("**/*.nabi"))


@pytest.mark.parametrize("arguments", [["--units", 0], ["--pooling", "min"], ["--learning-rate", "fast"]])
def test_wrong_usage(nabi, table, arguments):
    outcome = nabi("train", table, *COLUMNS, *arguments)
    assert outcome.status == 2
    assert "Traceback" not in outcome.err


def test_a_cell_whose_loss_is_not_finite_does_not_end_the_comparison(nabi, table, monkeypatch):
    from nabi.errors import NotFiniteError

    fit = TextClassifier.fit_parts

    def failing(self, *arguments, **options):
        if self.cell == "gru":
            raise NotFiniteError("loss: it became nan")
        return fit(self, *arguments, **options)

    monkeypatch.setattr(TextClassifier, "fit_parts", failing)
    outcome = nabi("train", table, *COLUMNS, *SMALL, "--cell", "gru", "--cell", "simple-rnn")
    assert outcome.status == 0
    assert re.search(r"^gru +failed", outcome.out, re.MULTILINE)
    written = json.loads(Path("reviews.json").read_text())
    assert written["best"] == "simple-rnn"
    assert written["cells"]["gru"] == {"problem": "loss: it became nan"}
    outcome = nabi("train", table, *COLUMNS, *SMALL, "--cell", "gru", "--overwrite")
    assert outcome.status == 2
    assert "loss: it became nan" in outcome.err


# Ctrl-C -----------------------------------------------------------------------------------------------------

STOPS_ITSELF = """
import os, signal, sys
from nabi.cli import main
from nabi.training import Step

train, count = Step.train, 0

def stopping(self, batch):
    global count
    count += 1
    if count == {batch}:
        os.kill(os.getpid(), signal.SIGINT)
    return train(self, batch)

Step.train = stopping
main(sys.argv[1:])
"""


@pytest.mark.rotates(days=3)
@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
@pytest.mark.parametrize(("batch", "cells"), [(4, 1), (20, 1), (50, 2)])
def test_ctrl_c_saves_what_has_been_learnt_and_ends_with_130(fresh, table, batch, cells):
    program = STOPS_ITSELF.replace("{batch}", str(batch))
    process = fresh(program, "train", table, *COLUMNS, *SMALL, "--cell", "simple-rnn", "--cell", "gru")
    assert process.returncode == 130, process.stderr
    assert "Traceback" not in process.stderr
    assert "Stopped: saving what has been learnt" in process.stdout
    written = json.loads(Path("reviews.json").read_text())
    assert len(written["cells"]) == cells
    assert list(written["cells"].values())[-1]["report"]["interrupted"] is True
    assert TextClassifier.load("reviews.nabi").predict(["a film"])


def test_the_help_breaks_lines_where_the_terminal_ends(nabi, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert (
        "Ctrl-C ends it after the current batch and saves what has been learned"
        in nabi("train", "--help").out
    )
