"""`nabi train`, `predict` and `evaluate` on texts with other columns of their table."""

import csv
import io
import json
from pathlib import Path

import pytest

SMALL = ("--units", 4, "--embedding-size", 6, "--epochs", 1, "--batch-size", 16)
WORDS = {"superb": 5, "good": 4, "dull": 2, "awful": 1}


@pytest.fixture(autouse=True)
def _a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"a {word} story {end},{'+' if stars > 3 else '-'},{stars + len(kind) / 10},{number % 7},{kind}"
        for number, (end, kind) in enumerate((end, kind) for end in ("now", "so") for kind in ("book", "cd"))
        for word, stars in WORDS.items()
    ] * 3
    Path("rows.csv").write_text("\n".join(["text,label,stars,price,kind", *rows]))


@pytest.mark.parametrize(("label", "added"), [("label", "label"), ("stars", "number")])
def test_the_columns_are_learnt_and_read_from_then_on(nabi, label, added) -> None:
    columns = ("--text", "text", "--label", label, "--columns", "price, kind")
    done = nabi("train", "rows.csv", *columns, *SMALL)
    assert (done.status, done.err) == (0, "")
    assert "beside the text: price (numbers, mean" in done.out
    assert "kind (2 categories)" in done.out
    assert "the columns alone" in done.out
    assert "nabi predict rows.nabi --file TABLE.csv" in done.out
    assert json.loads(Path("rows.json").read_text())["columns"] == ["price", "kind"]
    Path("new.csv").write_text("kind,id,price,text\nbook,1,3,a good story\ncd,2,dear,a dull story\n,3,,bad")
    done = nabi("predict", "rows.nabi", "--file", "new.csv")
    first, wrong, missing = csv.DictReader(io.StringIO(done.out))
    assert [one["id"] for one in (first, wrong, missing)] == ["1", "2", "3"]
    assert [bool(one[added]) for one in (first, wrong, missing)] == [True, False, True]
    assert "new.csv, row 2: expected a finite number in the column 'price', got 'dear'" in done.err
    done = nabi("evaluate", "rows.nabi", "rows.csv")
    assert (done.status, "the columns alone" in done.out) == (0, True)
    rows = Path("rows.csv").read_text().splitlines()
    Path("wrong.csv").write_text("\n".join([*rows, "a good story,+,4.2,dear,cd"]))
    done = nabi("evaluate", "rows.nabi", "wrong.csv")
    assert done.status == 0
    assert "expected a finite number in the column 'price', got 'dear' for row 49 of wrong.csv" in done.err
    done = nabi("predict", "rows.nabi", "a good story")
    assert (done.status, done.out) == (2, "")
    assert "TEXT: expected a table with the column of the texts and price, kind, as `--file" in done.err
    Path("new.csv").write_text("text,kind\na good story,cd\n")
    done = nabi("predict", "rows.nabi", "--file", "new.csv")
    assert (done.status, "'price'" in done.err) == (2, True)


def test_a_column_that_is_not_there_is_named_before_training(nabi) -> None:
    done = nabi("train", "rows.csv", "--text", "text", "--label", "label", "--columns", "prize", *SMALL)
    assert done.status == 2
    assert "'prize' is not known" in done.err
    assert not Path("rows.nabi").exists()
