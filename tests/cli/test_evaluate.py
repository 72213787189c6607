"""`nabi evaluate` for models that write: what it measures, shows, writes and refuses."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nabi import models


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with small models."""
    place = tmp_path_factory.mktemp("models")
    writer = models.LanguageModel(units=4, window=4, batch_size=2, epochs=1)
    writer.fit(["abab\n" * 40], verbose=0)
    writer.save(place / "text.nabi")
    translator = models.Translator(
        units=24, embedding_size=24, epochs=40, learning_rate=0.02, dropout=0.0, warmup=5
    )
    translator.fit(
        ["one", "two", "two one", "one two"] * 4, ["1", "2", "2 1", "1 2"] * 4, validation_share=0, verbose=0
    )
    translator.save(place / "pairs.nabi")
    captioner = models.Captioner(units=2, embedding_size=4, epochs=1, image_size=16, channels=(4,))
    captioner.fit(np.zeros((4, 16, 16, 3), np.uint8), ["A wall"] * 4, validation_share=0, verbose=0)
    captioner.save(place / "pictures.nabi")
    classifier = models.TextClassifier(units=2, embedding_size=4, epochs=1)
    classifier.fit(["good", "bad"] * 10, ["+", "-"] * 10, verbose=0)
    classifier.save(place / "labels.nabi")
    return place


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_text_in_bits_per_character(nabi, folder):
    Path("t.txt").write_text("abab\nabxb\n")
    figures = json.loads(nabi("evaluate", folder / "text.nabi", "t.txt", "--json").out)
    nats = models.LanguageModel.load(folder / "text.nabi").evaluate("t.txt")
    assert figures["nats"] == pytest.approx(nats)
    assert figures["perplexity"] == pytest.approx(math.exp(nats))
    assert figures["bits_per_character"] == pytest.approx(nats / math.log(2))
    assert (figures["codes"], figures["characters"], figures["unknown"]) == (10, 10, 1)
    shown = nabi("evaluate", folder / "text.nabi", "t.txt", "--out", "x.json")
    assert f"{figures['bits_per_character']:.4f} bits per character" in shown.out
    assert "10.0% of them unknown" in shown.out
    assert json.loads(Path("x.json").read_text()) == figures


def test_words_and_characters_are_compared_in_bits_per_character():
    figures = models.LanguageFigures("words", codes=10, characters=50, unknown=0, nats=math.log(2))
    assert figures.bits_per_character == pytest.approx(0.2)
    assert figures.perplexity == pytest.approx(2)


def test_translations_and_what_is_right_or_wrong(nabi, folder):
    Path("pairs.csv").write_text("en,number\none,1\ntwo one,2 1\none two,1 1\nnothing\ntwo,\n")
    done = nabi("evaluate", folder / "pairs.nabi", "pairs.csv", "--json")
    assert done.status == 0
    said = done.err.splitlines()
    assert said[0] == "nabi: pairs.csv, line 5: expected 2 fields as in the header, got 1"
    assert said[1] == "nabi: 1 of 5 rows could not be read and have no part in the figures"
    assert said[2] == "nabi: 1 pair with an empty side is left out: row 5"
    figures = json.loads(done.out)
    assert (figures["pairs"], figures["left_out"], figures["beam"]) == (3, 2, 5)
    assert figures["exact"] == pytest.approx(2 / 3, abs=1e-6)
    assert figures["word_error_rate"] == pytest.approx(1 / 5)
    assert figures["character_error_rate"] == pytest.approx(1 / 7, abs=1e-6)
    assert figures["perplexity"] == pytest.approx(math.exp(figures["nats"]))
    Path("more.csv").write_text("n,en,number\nx,one,1\n")
    done = nabi("evaluate", folder / "pairs.nabi", "more.csv", "--source", "en", "--target", "number")
    assert "100.0% exactly right; error rate 0.0% of words" in done.out
    Path("without.tsv").write_text("x\tone\t1\n")
    done = nabi("evaluate", folder / "pairs.nabi", "without.tsv", "--source", 1, "--target", 2, "--json")
    assert json.loads(done.out)["exact"] == 1
    Path("two.tsv").write_text("one\t1\ntwo\t2\n")
    done = nabi("evaluate", folder / "pairs.nabi", "two.tsv", "--no-header", "--json")
    assert (json.loads(done.out)["pairs"], json.loads(done.out)["exact"]) == (2, 1)
    refused = nabi("evaluate", folder / "pairs.nabi", "more.csv", "--target", "number")
    assert refused.status == 2
    assert "--source: expected the name of a column, or its number without a header, got none" in refused.err
    assert "more.csv has n, en, number" in refused.err


def test_captions_in_the_spelling_of_the_model(nabi, folder):
    Path("pictures").mkdir()
    Image.new("RGB", (16, 16)).save("pictures/a.png")
    Path("pictures/b.png").write_text("no picture")
    Path("table.csv").write_text("image,caption\na.png,A WALL\nb.png,a wall\na.png,a wall\n")
    done = nabi("evaluate", folder / "pictures.nabi", "table.csv", "--folder", "pictures", "--json")
    assert done.status == 0
    assert "b.png is not an image" in done.err
    figures = json.loads(done.out)
    assert (figures["captions"], figures["left_out"]) == (2, 1)
    Path("bare.csv").write_text("A WALL,a.png\na wall,a.png\n")
    columns = ("--no-header", "--image", 1, "--caption", 0)
    bare = nabi("evaluate", folder / "pictures.nabi", "bare.csv", "--folder", "pictures", *columns, "--json")
    assert json.loads(bare.out)["captions"] == 2
    captioner = models.Captioner.load(folder / "pictures.nabi")
    assert captioner.spelled(["A WALL"]) == captioner.spelled(["a wall"])
    said = captioner.caption(["pictures/a.png"], beam=5)[0].text
    assert figures["exact"] == float(said == captioner.spelled(["a wall"])[0])


def test_labels_as_json_and_rows_that_cannot_be_read(nabi, folder):
    Path("t.csv").write_text("text,label\ngood,+\nbad\nbad,-\n")
    words = ("evaluate", folder / "labels.nabi", "t.csv", "--text", "text", "--label", "label")
    done = nabi(*words, "--json")
    assert done.status == 0
    why = "line 3: expected 2 fields as in the header, got 1"
    assert done.err == f"nabi: t.csv: 1 row cannot be read and is left out: {why}\n"
    assert json.loads(done.out)["rows"] == 2
    Path("t.jsonl").write_text('{"text": "good", "label": "+"}\n{"text": ["x"], "label": "-"}\n')
    done = nabi(*words[:2], "t.jsonl", *words[3:], "--json")
    assert "t.jsonl: 1 row cannot be read and is left out: text: expected text in row 2 of" in done.err
    assert json.loads(done.out)["rows"] == 1
    Path("t.csv").write_text("text,label\nbad\nworse\n")
    done = nabi(*words)
    assert (done.status, done.out) == (2, "")
    assert "none of its rows can be read: line 2: expected 2 fields" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["text.nabi", "t.txt", "--beam", "2"], "--beam: it means nothing for a model of texts"),
        (["pairs.nabi", "t.txt", "--lines"], "--lines: it means nothing for a model of pairs of texts"),
        (
            ["labels.nabi", "t.txt", "--source", "a"],
            "--source: it means nothing for a model of texts with labels",
        ),
    ],
)
def test_options_of_other_models_are_refused(nabi, folder, words, message):
    Path("t.txt").write_text("a")
    done = nabi("evaluate", folder / words[0], *words[1:])
    assert (done.status, done.out, done.err) == (2, "", f"nabi: {message}\n")


def test_a_network_of_layers_is_refused(nabi):
    from nabi import layers

    models.Sequential([layers.Dense(1, input_shape=(2,))]).save("m.nabi")
    Path("t.csv").write_text("a")
    done = nabi("evaluate", "m.nabi", "t.csv")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "MODEL: expected a model from `nabi train` or `nabi run`, got a file of kind 'model'" in done.err
