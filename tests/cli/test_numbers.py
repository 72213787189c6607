"""`nabi train`, `predict` and `evaluate` on a table of texts and numbers."""

import csv
import json
from pathlib import Path

import pytest

from nabi.models import TextRegressor

SMALL = ("--units", 4, "--embedding-size", 6, "--epochs", 2, "--learning-rate", 0.03, "--batch-size", 16)
COLUMNS = ("--text", "text", "--label", "stars")
WORDS = {"superb": 5, "good": 4, "fair": 3, "dull": 2, "awful": 1}


def write(path: str, half: bool = True, add: tuple[str, ...] = ()) -> Path:
    """A table of 75 texts with stars, in halves or as whole numbers from 1 to 5."""
    rows = [
        (f"{a} story {b} music {c}", (WORDS[a] + WORDS[b]) / 2 if half else WORDS[a])
        for a in WORDS
        for b in WORDS
        for c in ("now", "then", "so")
    ]
    lines = [f"{number},{text},{stars:g}" for number, (text, stars) in enumerate(rows)]
    Path(path).write_text("\n".join(["id,text,stars", *lines, *add, ""]))
    return Path(path)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def test_numbers_with_decimals_become_a_model_that_adds_its_numbers_to_a_table(nabi):
    write("reviews.csv")
    done = nabi("train", "reviews.csv", *COLUMNS, *SMALL)
    assert (done.status, done.err) == (0, "")
    assert (
        "note --label: the column 'stars' holds numbers with decimals, such as 4.5, so numbers are learnt; "
        "--task classification learns each as a label"
    ) in done.out
    assert "the mean of the training" in done.out
    assert 'It estimates a number for a text with: nabi predict reviews.nabi "..."' in done.out
    figures = json.loads(Path("reviews.json").read_text())
    model = TextRegressor.load("reviews.nabi")
    assert figures["target"] == "stars"
    assert figures["cells"]["lstm"]["report"]["rmse"] == model.report.rmse
    assert Path("reviews.png").stat().st_size > 5000

    shown = list(csv.reader(nabi("predict", "reviews.nabi", "--file", "reviews.csv").out.splitlines()))
    assert shown[0] == ["id", "text", "stars", "number"]
    expected = model.predict([row[1] for row in shown[1:]]).tolist()
    assert [float(row[3]) for row in shown[1:]] == pytest.approx(expected, rel=1e-6)
    objects = nabi("predict", "reviews.nabi", "good story", "", "--json").out.splitlines()
    assert json.loads(objects[1]) == {"text": "", "number": float(f"{model.scale.mean:.7g}")}

    measured = json.loads(nabi("evaluate", "reviews.nabi", "reviews.csv", "--json", "--picture", "p.png").out)
    assert measured["rmse"] == model.evaluate("reviews.csv").rmse
    assert Path("p.png").exists()
    refused = nabi("predict", "reviews.nabi", "a", "--top", 2)
    assert (refused.status, refused.err) == (
        2,
        "nabi: --top: it means nothing for a model of texts with numbers\n",
    )
    assert (
        nabi("explain", "reviews.nabi", "good story", "--out", "r.html", "--file", "reviews.csv").status == 0
    )
    page = Path("r.html").read_text("utf-8")
    assert "Estimated against right numbers of 75 rows" in page
    assert "data:image/png" in page


def test_few_whole_numbers_are_labels_unless_numbers_are_asked_for(nabi):
    write("reviews.csv", half=False)
    done = nabi("train", "reviews.csv", *COLUMNS, *SMALL)
    assert (
        "note --label: the column 'stars' holds 5 different whole numbers from 1 to 5, each learnt as a "
        "label; --task regression learns them as numbers"
    ) in done.out
    assert "accuracy" in done.out
    for asked in (("--label", "stars", "--task", "regression"), ("--target", "stars")):
        done = nabi("train", "reviews.csv", "--text", "text", *asked, *SMALL, "--overwrite")
        assert "RMSE" in done.out
        assert "note" not in done.out
    measured = nabi("evaluate", "reviews.nabi", "reviews.csv")
    assert "R²" in measured.out


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["0", "1"] * 30, False),
        ([str(one % 50) for one in range(200)], False),
        ([str(one % 51) for one in range(200)], True),
        ([str(one % 20) for one in range(30)], True),
        ([str(one * one) for one in range(30)], True),
        ([str(one) for one in range(300)], False),
        (["1", "2", "", "3.5"] * 20, True),
        (["1.0", "2.0", "3"] * 20, False),
        (["1.5", "2", "nan"] * 20, False),
        (["2.5", "3", "good"] * 20, False),
    ],
)
def test_what_a_column_is_taken_for(values, numbers):
    from nabi.cli._train._column import why_numbers

    Path("t.csv").write_text("text,n\n" + "".join(f"a,{value}\n" for value in values))
    said = {"file": Path("t.csv"), "label": ["n"], "encoding": "utf-8", "separator": None, "quotes": True}
    said["header"] = True
    assert bool(why_numbers(said)) is numbers


def test_a_cell_that_is_no_number_is_named_with_row_and_column(nabi):
    write("reviews.csv", add=("99,a text,many",))
    refused = nabi("train", "reviews.csv", "--text", "text", "--target", "stars", *SMALL)
    assert refused.status == 2
    assert refused.err == (
        "nabi: --target: expected a finite number in the column 'stars', row 76 of reviews.csv, got 'many'\n"
    )
    refused = nabi("train", "reviews.csv", *COLUMNS, "--target", "stars", *SMALL)
    assert refused.err == "nabi: --target: expected the column of numbers by one option, got --label too\n"
    refused = nabi("train", "reviews.csv", "--text", "text", "--task", "regression", *SMALL)
    assert refused.err.startswith("nabi: --target: expected the name of a column, got none; reviews.csv has")


def test_cells_are_compared_by_their_errors(nabi):
    write("reviews.csv")
    done = nabi(
        "train", "reviews.csv", *COLUMNS, *SMALL, "--epochs", 1, "--cell", "gru", "--cell", "simple-rnn"
    )
    assert "validation RMSE" in done.out
    cells = json.loads(Path("reviews.json").read_text())
    errors = {name: one["validation_report"]["rmse"] for name, one in cells["cells"].items()}
    assert cells["best"] == min(errors, key=lambda name: errors[name])
