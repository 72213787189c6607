"""Rows and files that cannot be read: they are named, the others go on, and all of them are an error."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nabi import models

WORDS = ["good fine", "bad poor", "warm good", "cold bad"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with models of texts and pairs, and of pictures, that were hardly trained."""
    place = tmp_path_factory.mktemp("models")
    once = {"units": 2, "embedding_size": 4, "epochs": 1}
    classifier = models.TextClassifier(**once)
    (place / "table.csv").write_text(
        "text,label\n" + "".join(f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(WORDS * 5))
    )
    classifier.fit(place / "table.csv", text="text", label="label", verbose=0)
    classifier.save(place / "labels.nabi")
    translator = models.Translator(**once)
    translator.fit(["one", "two"] * 5, ["eins", "zwei"] * 5, verbose=0)
    translator.save(place / "pairs.nabi")
    captioner = models.Captioner(**once, image_size=16, channels=(4,))
    captioner.fit(np.zeros((4, 16, 16, 3), np.uint8), ["a wall"] * 4, validation_share=0, verbose=0)
    captioner.save(place / "pictures.nabi")
    return place


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


BAD = 'text,label,n\ngood fine,a,1\nbad\n"cold" bad,b,2\nwarm good,a,3\n'


def test_a_row_that_cannot_be_read_keeps_its_place(nabi, folder):
    Path("bad.csv").write_text(BAD)
    done = nabi("predict", folder / "labels.nabi", "--file", "bad.csv")
    assert done.status == 0
    assert [row["n"] for row in rows(done.out)] == ["1", "", "", "3"]
    assert [bool(row["predicted label"]) for row in rows(done.out)] == [True, False, False, True]
    said = done.err.splitlines()
    assert said[0] == "nabi: bad.csv, line 3: expected 3 fields as in the header, got 1"
    assert said[1].startswith("nabi: bad.csv, line 4: a field in quotes begins here")
    assert said[2:] == ["nabi: 2 of 4 rows could not be read and have no result"]
    done = nabi("predict", folder / "labels.nabi", "--file", "bad.csv", "--json", "--out", "x.jsonl")
    assert (done.status, done.out) == (0, "")
    found = list(map(json.loads, Path("x.jsonl").read_text().splitlines()))
    assert found[1] == {
        "text": "bad", "label": "", "n": "", "predicted label": None,
        "error": "bad.csv, line 3: expected 3 fields as in the header, got 1",
    }  # fmt: skip
    assert "error" not in found[0]


def test_rows_of_json_lines_that_are_none_and_keys_that_are_missing(nabi, folder):
    Path("t.jsonl").write_text('{"a": "one", "n": 1}\n{"n": 2}\nnot\n[1]\n{"a": ["two"]}\n')
    done = nabi("translate", folder / "pairs.nabi", "--file", "t.jsonl", "--text", "a", "--out", "out.csv")
    assert (done.status, done.out) == (0, "")
    assert [line.partition(": ")[2] for line in done.err.splitlines()] == [
        "t.jsonl, line 3: this is not JSON (Expecting value, at character 1)",
        "t.jsonl, line 4: expected a JSON object, got list",
        "t.jsonl, row 5: expected a text in the column 'a', got a list",
        "3 of 5 rows could not be read and have no translation",
    ]
    found = rows(Path("out.csv").read_text())
    assert [row["n"] for row in found] == ["1", "2", "", "", ""]
    assert [bool(row["score"]) for row in found] == [True, False, False, False, False]
    done = nabi("translate", folder / "pairs.nabi", "--file", "t.jsonl", "--text", "a", "--json")
    assert [bool(json.loads(line)["translations"]) for line in done.out.splitlines()] == [True, *[False] * 4]


@pytest.mark.parametrize("command", ["predict", "translate"])
@pytest.mark.parametrize("content", ["a\n1,2\n3,4\n", '{"a": ["x"]}\n{"a": {"y": 1}}\n', "no\nno\n"])
def test_all_rows_are_an_error_and_nothing_is_written(nabi, folder, command, content):
    name = "all.csv" if content[0] == "a" else "all.jsonl"
    Path(name).write_text(content)
    model = folder / ("labels.nabi" if command == "predict" else "pairs.nabi")
    done = nabi(command, model, "--file", name, "--text", "a", "--out", "x.csv")
    assert (done.status, done.out) == (2, "")
    assert name in done.err.splitlines()[-1]
    assert not Path("x.csv").exists()


def test_pictures_that_cannot_be_read_have_no_caption(nabi, folder):
    Image.new("RGB", (16, 16)).save("a.png")
    Path("b.png").write_text("no picture")
    model = folder / "pictures.nabi"
    done = nabi("caption", model, "b.png", "a.png", "--best", 2, "--out", "x.csv")
    assert (done.status, done.out) == (0, "")
    assert "b.png is not an image" in done.err.splitlines()[0]
    assert done.err.splitlines()[1:] == ["nabi: 1 of 2 images could not be read and have no caption"]
    first, second = rows(Path("x.csv").read_text())
    assert first == {**dict.fromkeys(second, ""), "image": "b.png"}
    assert second["log_probability_2"]
    found = [json.loads(one) for one in nabi("caption", model, "a.png", "b.png", "--json").out.splitlines()]
    assert "b.png is not an image" in found[1]["error"]
    assert found[1]["captions"] == []
    Path("c.png").write_text("none either")
    done = nabi("caption", model, "b.png", "c.png", "--out", "y.csv")
    assert done.status == 2
    assert "none of the 2 images can be read" in done.err
    assert not Path("y.csv").exists()


def test_a_table_from_standard_input(nabi, folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("text;n\ngood fine;1\nbad;2;3\n"))
    done = nabi("predict", folder / "labels.nabi", "--file", "-", "--text", "text")
    assert [row["n"] for row in rows(done.out)] == ["1", "2"]
    assert "standard input, line 3: expected 2 fields" in done.err
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": "one"}\n{"a": "two"}\n'))
    done = nabi("translate", folder / "pairs.nabi", "--text", "a", "--json")
    assert [json.loads(one)["a"] for one in done.out.splitlines()] == ["one", "two"]


def test_a_table_without_a_header_has_columns_by_number(nabi, folder):
    Path("t.csv").write_text("x,good fine\ny,cold bad\n")
    done = nabi("predict", folder / "labels.nabi", "--file", "t.csv", "--no-header", "--text", 1)
    assert [row["1"] for row in rows(done.out)] == ["good fine", "cold bad"]
    assert list(rows(done.out)[0]) == ["0", "1", "label", "probability"]


def test_translations_as_lines_of_a_file_and_the_column_that_is_missing(nabi, folder):
    Path("t.txt").write_text("one\n\ntwo\n")
    done = nabi("translate", folder / "pairs.nabi", "--file", "t.txt", "--out", "o.txt")
    assert (done.status, done.out) == (0, "")
    assert Path("o.txt").read_text().count("\n") == 3
    Path("t.csv").write_text("a,b\none,two\n")
    for words, message in (
        (["--file", "t.csv"], "--text: expected the column of the texts, got none; t.csv has a, b"),
        (["one", "--text", "a"], "--text: expected a table from --file with it, got texts"),
        (["one", "--out", "x.gif"], "--out: expected a name that ends in .csv, .jsonl or .txt, got x.gif"),
        (["one", "--out", "x.txt", "--json"], "--out: expected a name that ends in .jsonl with --json"),
    ):
        done = nabi("translate", folder / "pairs.nabi", *words)
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert message in done.err
