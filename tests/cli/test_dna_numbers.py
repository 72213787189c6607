"""`nabi train`, `nabi predict` and `nabi evaluate` on DNA with a number each."""

import csv
import io
import json
from pathlib import Path

import pytest

from nabi.models import DNARegressor

from .test_dna import genes

SMALL = ("--units", 3, "--epochs", 1)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(one, one.count("G") + 0.5) for one, _ in genes(40)]
    Path("yields.csv").write_text(
        "dna,yield\n" + "".join(f"{one},{number}\n" for one, number in rows) + "AC,\n"
    )
    Path("bare.csv").write_text("".join(f"{number},{one}\n" for one, number in rows))
    lines = [f">s{row} value={number}\n{one}\n" for row, (one, number) in enumerate(rows)]
    Path("yields.fasta").write_text("".join(lines))


def test_a_table_is_learnt_evaluated_and_predicted(nabi) -> None:
    # The column holds decimals, so that numbers are meant.
    done = nabi("train", "yields.csv", "--sequence", "dna", "--label-from", "yield", *SMALL)
    assert (done.status, done.err) == (0, "")
    assert "--label-from: the column 'yield' holds numbers with decimals" in done.out
    assert "1 sequence without a number left out: yields.csv, row 41" in done.out
    assert "test sequences: MAE" in done.out
    assert "It estimates a number for a sequence of DNA with: nabi predict yields.nabi FILE" in done.out
    assert Path("yields.png").stat().st_size > 1000
    model = DNARegressor.load("yields.nabi")
    figures = json.loads(Path("yields.json").read_text())
    assert (figures["share_of_linear"], figures["label_from"]) == (model.share, "yield")

    rows = list(csv.DictReader(io.StringIO(nabi("predict", "yields.nabi", "yields.fasta").out)))
    said = model.predict([one for one, _ in genes(40)]).tolist()
    assert [row["sequence"] for row in rows] == [f"s{row}" for row in range(40)]
    assert [float(row["number"]) for row in rows] == pytest.approx(said, rel=1e-4)
    first = nabi("predict", "yields.nabi", "yields.fasta", "--json").out.splitlines()[0]
    assert json.loads(first) == {"sequence": "s0", "number": pytest.approx(said[0], rel=1e-4)}

    by_column = nabi(
        "evaluate", "yields.nabi", "yields.csv", "--target", "yield", "--json", "--picture", "a.svg"
    )
    remembered = nabi("evaluate", "yields.nabi", "yields.csv", "--json")
    assert json.loads(remembered.out)["rmse"] == json.loads(by_column.out)["rmse"]
    by_header = nabi("evaluate", "yields.nabi", "yields.fasta", "--json")
    assert json.loads(by_column.out)["rmse"] == json.loads(by_header.out)["rmse"]
    assert Path("a.svg").exists()


def test_numbers_in_headers_and_in_a_table_without_one(nabi) -> None:
    done = nabi("train", "yields.fasta", "--target", "header", "--test", "yields.csv", *SMALL)
    assert (done.status, "'header' is not known" in done.err) == (2, True)
    done = nabi("train", "yields.fasta", "--target", "header", "--test", "yields.fasta", *SMALL)
    assert "40 test sequences: MAE" in done.out
    done = nabi("train", "bare.csv", "--no-header", "--sequence", 1, "--target", 0, *SMALL, "--loss", "huber")
    assert (done.status, done.err) == (0, "")
    done = nabi("evaluate", "bare.nabi", "bare.csv", "--no-header", "--json")
    assert json.loads(done.out)["rows"] == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yields.fasta", "--task", "regression"), "--target: expected where the numbers are"),
        (
            ("yields.fasta", "--target", "header", "--label-from", "name"),
            "by one option, got --label-from too",
        ),
        (("yields.csv", "--sequence", "dna", "--target", "yeild"), "did you mean 'yield'"),
        (("yields.fasta", "--target", "folder"), "target: expected a finite number"),
        (
            ("yields.fasta", "--target", "header", "--balanced"),
            "--balanced: it means nothing for sequences of DNA",
        ),
        (
            ("yields.csv", "--sequence", "dna", "--label-from", "yield", "--task", "classification"),
            "the label is missing",
        ),
    ],
)
def test_wrong_commands_are_refused(nabi, arguments, message: str) -> None:
    done = nabi("train", *arguments, *SMALL)
    assert (done.status, done.out) == (2, ""), done.out
    assert message in done.err
