"""Commands that read folders of texts, `.zip` files of them, and standard input."""

import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from nabi import training
from nabi.errors import TableWarning
from nabi.models import LanguageModel, TextClassifier

SMALL = ("--units", 2, "--embedding-size", 4, "--epochs", 1)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for each of two labels, and what is no text beside them."""
    monkeypatch.chdir(tmp_path)
    for label, word in (("good", "lovely"), ("bad", "dull")):
        for number in range(12):
            path = Path("reviews", label, f"{number}.txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"film {number} is {word}\n")
    Path("reviews/good/binary.txt").write_bytes(b"a\0b")
    Path("reviews/urls.feat").write_text("no text")
    return Path("reviews")


def give(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))


def test_a_folder_for_each_label_is_learnt_predicted_evaluated_and_compared(nabi, texts) -> None:
    done = nabi("train", texts, "--label-from", "folder", *SMALL)
    assert done.status == 0, done.err
    assert "good/binary.txt: it is binary" in done.out
    assert "1 .feat" in done.out
    assert TextClassifier.load("reviews.nabi").labels.names == ("bad", "good")
    shutil.make_archive("packed", "zip", root_dir=".", base_dir="reviews")
    done = nabi("evaluate", "reviews.nabi", "packed.zip", "--json")
    assert json.loads(done.out)["rows"] == 24
    assert "good/binary.txt: it is binary" in done.err
    rows = nabi("predict", "reviews.nabi", "--file", texts, "--json").out.splitlines()
    assert [json.loads(row)["file"] for row in rows[:3]] == ["bad/0.txt", "bad/1.txt", "bad/2.txt"]
    assert len(rows) == 25
    done = nabi("compare", "gru", "--task", texts, "--text", "text", "--label", "label", "--steps", 2,
                "--units", 2, "--no-memory", "--json")  # fmt: skip
    assert json.loads(done.out)["task"]["data"] == "24 sequences of 2 classes", done.err


def test_a_folder_is_a_text_to_go_on_with(nabi, texts) -> None:
    done = nabi("train", texts, *SMALL, "--window", 8, "--out", "all.nabi")
    assert done.status == 0, done.err
    assert "good/binary.txt: it is binary" in done.out
    whole = "".join(
        Path("reviews", label, f"{number}.txt").read_text()
        for label in ("bad", "good")
        for number in range(12)
    )
    model = LanguageModel.load("all.nabi")
    assert not model.ends
    Path("whole.txt").write_text(whole)
    with pytest.warns(TableWarning) as told:
        nats = model.evaluate("reviews")
    assert ["binary" in str(one.message) for one in told] == [True, False]
    assert nats == model.evaluate("whole.txt")


def test_typescript_is_a_text_and_no_series(nabi, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.ts").write_text("@Component({})\nexport class App { title = 'nabi'; }\n" * 40)
    done = nabi("train", "app.ts", "--epochs", 1, "--units", 3, "--embedding-size", 3)
    assert (done.status, done.err) == (0, "")
    assert "It writes on with: nabi write app.nabi" in done.out
    Path("broken.ts").write_text("1,2,3:low\n")
    assert "line 1: expected a line with @ or @data" in nabi("train", "broken.ts").err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.png", "nabi train learns from"),
        ("a.mid", "none of the 1 MIDI files"),
        ("a.wav", "nabi train learns"),
    ],
)
def test_a_few_words_beside_other_files_are_no_text_to_learn(
    nabi, tmp_path, monkeypatch, name, message
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/README.txt").write_text("What this is. " * 100)
    Path("data", name).write_bytes(b"no more than a name")
    done = nabi("train", "data")
    assert (done.status, message in done.err) == (2, True), done.err


def test_a_table_comes_from_standard_input_without_a_header(nabi, texts, monkeypatch) -> None:
    table = "".join(f"film {number} is {word},{word[0]}\n" for number in range(9) for word in ("fun", "bad"))
    columns = ("--no-header", "--text", 0, "--label", 1)
    give(monkeypatch, table)
    done = nabi("train", "-", *columns, *SMALL)
    assert (done.status, "--out: expected a name for the model" in done.err) == (2, True)
    done = nabi("train", "-", *columns, *SMALL, "--out", "m.nabi")
    assert done.status == 0, done.err
    assert sum(json.loads(Path("m.json").read_text())["rows"]) == 18
    assert json.loads(nabi("evaluate", "m.nabi", "-", "--no-header", "--json").out)["rows"] == 18
    done = nabi("explain", "m.nabi", "--file", "-", "--no-header", "--out", "m.html", "--language", "en")
    assert (done.status, done.err) == (0, "")
    done = nabi(
        "compare", "gru", "--task", "-", *columns, "--steps", 2, "--units", 2, "--no-memory", "--json"
    )
    assert json.loads(done.out)["task"]["data"] == "18 sequences of 2 classes", done.err
    assert Path("runs/compare-input/result.json").exists()


def test_a_text_comes_from_standard_input(nabi, texts, monkeypatch) -> None:
    give(monkeypatch, "abab\n" * 60)
    done = nabi("train", "-", *SMALL, "--window", 8, "--out", "m.nabi")
    assert done.status == 0, done.err
    assert json.loads(nabi("evaluate", "m.nabi", "-", "--json").out)["codes"] == 300


def test_workers_share_no_standard_input(nabi, texts, monkeypatch) -> None:
    monkeypatch.setattr(training, "find_workers", lambda: object())
    done = nabi("train", "-", *SMALL, "--out", "m.nabi")
    assert (done.status, "every worker can read, got standard input" in done.err) == (2, True)
