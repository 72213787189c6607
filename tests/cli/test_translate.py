"""`nabi train` on pairs of texts and `nabi translate`: what they show, write and refuse."""

import io
import itertools
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from nabi.models import Translator

from .logged import check_logged

COLOURS = {"red": "rote", "blue": "blaue", "old": "alte", "small": "kleine"}
THINGS = {"cat": "Katze", "house": "Mühle", "flower": "Blume", "lamp": "Lampe", "clock": "Uhr"}
DOINGS = {"sleeps": "schläft", "waits": "wartet", "sings": "singt", "falls": "fällt"}
PAIRS = [
    (f"The {c} {t} {d}.", f"Die {COLOURS[c]} {THINGS[t]} {DOINGS[d]}.")
    for c, t, d in itertools.product(COLOURS, THINGS, DOINGS)
]
KNOWN = PAIRS[::4]
SMALL = (
    "--units", 32, "--embedding-size", 32, "--epochs", 12, "--learning-rate", 0.005, "--batch-size", 8,
    "--dropout", 0.1, "--threads", 1,
)  # fmt: skip
COLUMNS = ("--source", 0, "--target", 1)


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> None:
    path.write_text("".join(f"{source}\t{target}\tnote\n" for source, target in pairs), encoding="utf-8")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A file of a model that has learnt some pairs by heart."""
    translator = Translator(
        units=64, embedding_size=64, epochs=60, learning_rate=0.005, batch_size=4, dropout=0.0, warmup=10,
        tied=False,
    )  # fmt: skip
    translator.fit(*map(list, zip(*KNOWN, strict=True)), validation_share=0, verbose=0)
    path = tmp_path_factory.mktemp("model") / "pairs.nabi"
    translator.save(path)
    return path


# Training ---------------------------------------------------------------------------------------------------


def test_pairs_become_a_model_with_its_figures(nabi):
    write_pairs(Path("pairs.tsv"), [*PAIRS, ("no answer", " ")])
    outcome = nabi("train", "pairs.tsv", "--no-header", *COLUMNS, *SMALL)
    assert (outcome.status, outcome.err) == (0, "")
    assert "note: pairs.tsv: 1 pair with an empty side is left out: row 81" in outcome.out
    assert "64 pairs to train on, 8 to stop by, 8 to test on" in outcome.out
    assert "test, 8 pairs, beam 5:\nBLEU " in outcome.out
    assert "tok:13a" in outcome.out
    assert 'It translates with: nabi translate pairs.nabi "..."' in outcome.out
    written = json.loads(Path("pairs.json").read_text(encoding="utf-8"))
    assert (written["file"], written["source"], written["target"]) == ("pairs.tsv", 0, 1)
    assert (written["settings"]["units"], written["settings"]["attention"]) == (32, "luong")
    assert len(written["history"]["val_loss"]) == 12
    assert written["history"]["val_loss"][-1] < written["history"]["val_loss"][0] / 2
    assert len(written["samples"]) == 5
    translator = Translator.load("pairs.nabi")
    held_out = [pair for pair in PAIRS if f"\n{pair[0]}\n" in outcome.out]
    assert len(held_out) == 5
    for sample in written["samples"]:
        assert (sample["source"], sample["reference"]) in PAIRS
        assert translator.translate([sample["source"]])[0].text == sample["said"]
        assert f"{sample['source']}\n  says:     {sample['said']}\n" in outcome.out
    assert sorted(os.listdir()) == ["pairs.json", "pairs.nabi", "pairs.tsv"]


def test_names_other_files_and_settings_reach_the_model(nabi):
    for name, part in (("train", PAIRS[:60]), ("validation", PAIRS[60:70]), ("test", PAIRS[70:])):
        lines = [json.dumps({"en": source, "de": target}) for source, target in part]
        Path(f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    outcome = nabi(
        "train", "train.jsonl", "--source", "de", "--target", "en", *SMALL, "--epochs", 1, "--cell", "lstm",
        "--validation", "validation.jsonl", "--test", "test.jsonl", "--attention", "none", "--one-direction",
        "--label-smoothing", 0.2, "--layers", 2, "--vocabulary-size", 60, "--seed", 3, "--out", "deep/m.nabi",
        "--patience", 4,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert "60 pairs to train on, 10 to stop by, 10 to test on" in outcome.out
    settings = Translator.load("deep/m.nabi").settings.to_dict()
    expected = {
        "attention": None, "bidirectional": False, "label_smoothing": 0.2, "layers": 2, "cell": "lstm",
        "vocabulary_size": 60, "seed": 3, "patience": 4,
    }  # fmt: skip
    assert {name: settings[name] for name in expected} == expected
    samples = json.loads(Path("deep/m.json").read_text(encoding="utf-8"))["samples"]
    assert {sample["source"] for sample in samples} <= {target for _, target in PAIRS[70:]}


def test_no_source_is_in_two_parts(nabi):
    twice = [(source, f"{target} {number}") for source, target in PAIRS[:20] for number in range(2)]
    write_pairs(Path("pairs.tsv"), twice)
    assert nabi("train", "pairs.tsv", *COLUMNS, *SMALL, "--epochs", 1, "--log-dir", "logs").status == 0
    check_logged("logs", "pairs.json")
    written = json.loads(Path("pairs.json").read_text(encoding="utf-8"))
    assert written["test"]["pairs"] == 4
    assert len({sample["source"] for sample in written["samples"]}) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "0"], "--target: expected the name or number of a column beside --source, got none"),
        (["--target", "1"], "--source: expected the name or number of a column beside --target, got none"),
        (["--source", "0", "--target", "7"], "target: expected a column 0 to 2 of pairs.tsv, got 7"),
        (["--source", "0", "--target", "de"], "expected two names, or two numbers"),
        (["--source", "en", "--target", "de"], "'en' is not known"),
        (
            ["--source", "en", "--target", "de", "--no-header"],
            "source: expected the number of a column, as the table has no header, got 'en'",
        ),
        ([*COLUMNS, "--text", "0", "--label", "1"], "--source: it means nothing for a table of texts"),
        ([*COLUMNS, "--pooling", "max"], "--pooling: it means nothing for pairs of texts"),
        ([*COLUMNS, "--cell", "lstn"], "did you mean 'lstm'"),
        ([*COLUMNS, "--cell", "gru", "--cell", "lstm"], "--cell: 2 were given; pairs are learnt by one"),
        (
            [*COLUMNS, "--attention", "none", "--input-feeding"],
            "--input-feeding: expected --attention luong beside it",
        ),
        ([*COLUMNS, "--out", "pairs.tsv"], "out: pairs.tsv would overwrite the data"),
        ([*COLUMNS, "--test", "none.tsv"], "there is no file none.tsv"),
    ],
)
def test_errors_of_training_are_one_line_before_it(nabi, monkeypatch, arguments, message):
    monkeypatch.setattr(Translator, "fit", lambda *given, **named: pytest.fail("training has begun"))
    write_pairs(Path("pairs.tsv"), PAIRS)
    outcome = nabi("train", "pairs.tsv", *arguments)
    assert outcome.status == 2
    assert outcome.err.startswith("nabi: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_files_with_too_little_in_them(nabi):
    write_pairs(Path("few.tsv"), [("a", "b"), ("a", "c")])
    assert "2 pairs with too few different sources" in nabi("train", "few.tsv", *COLUMNS).err
    write_pairs(Path("empty.tsv"), [("a", ""), ("", "c")])
    assert (
        "has no complete pair of texts: 2 pairs with an empty side"
        in nabi("train", "empty.tsv", *COLUMNS).err
    )


# Translating ------------------------------------------------------------------------------------------------


def test_texts_are_translated(nabi, model):
    outcome = nabi("translate", model, *(source for source, _ in KNOWN[:3]))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [target for _, target in KNOWN[:3]]


def test_the_lines_of_a_file_in_their_order_with_empty_ones(nabi, model):
    lines = [source for source, _ in KNOWN]
    lines[3] = ""
    Path("lines.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = nabi("translate", model, "--file", "lines.txt", "--beam", 1)
    expected = [target for _, target in KNOWN]
    expected[3] = ""
    assert outcome.out.splitlines() == expected


@pytest.mark.parametrize("said", [(), ("--file", "-")])
def test_the_standard_input(nabi, model, monkeypatch, said):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KNOWN[5][0]}\n\n{KNOWN[6][0]}"))
    assert nabi("translate", model, *said).out.splitlines() == [KNOWN[5][1], "", KNOWN[6][1]]


def test_the_best_few_with_their_scores(nabi, model):
    outcome = nabi("translate", model, KNOWN[0][0], "--best", 3, "--beam", 4)
    rows = [line.split("\t") for line in outcome.out.splitlines()]
    assert len(rows) == 3
    assert rows[0][1] == KNOWN[0][1]
    assert [float(score) for score, _ in rows] == sorted((float(score) for score, _ in rows), reverse=True)
    outcome = nabi("translate", model, KNOWN[0][0], "", "--best", 3, "--beam", 4, "--json")
    found, empty = map(json.loads, outcome.out.splitlines())
    assert found["source"] == KNOWN[0][0]
    assert [one["text"] for one in found["translations"]] == [text for _, text in rows]
    assert all(one["log_probability"] <= one["score"] < 0 for one in found["translations"])
    assert empty == {"source": "", "translations": []}


def test_a_picture_of_the_attention(nabi, model):
    outcome = nabi("translate", model, KNOWN[0][0], "--attention", "seen.png")
    assert outcome.status == 0
    assert outcome.out == f"{KNOWN[0][1]}\n"
    assert "The picture is in seen.png" in outcome.err
    assert "where it looked" in outcome.err
    with Image.open("seen.png") as image:
        assert min(image.size) > 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--beam", "0"], "beam: expected a whole number of at least 1, got 0"),
        (["a", "--best", "9"], "best: expected at most the beam of 5, got 9"),
        (["a", "--length-penalty", "-1"], "--length-penalty: expected a number from 0 to 100, got -1.0"),
        (["a", "--maxlen", "0"], "maxlen: expected a whole number of at least 1 or None, got 0"),
        (["a", "--file", __file__], "TEXT: expected either texts or --file, got both"),
        (["--file", "none.txt"], "there is no file none.txt"),
        (["a", "b", "--attention", "x.png"], "--attention: expected one TEXT, got 2"),
        (["--attention", "x.png"], "--attention: expected one TEXT, got 0"),
        (["a", "--attention", "x.gif"], "ends in .svg or .png"),
    ],
)
def test_errors_of_translating_are_one_line(nabi, model, arguments, message):
    outcome = nabi("translate", model, *arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("nabi: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err


def test_files_that_are_no_translators(nabi, model):
    assert "there is no model file none.nabi" in nabi("translate", "none.nabi", "a").err
    Path("text.nabi").write_text("nothing")
    outcome = nabi("translate", "text.nabi", "a")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)


def test_a_model_without_attention_has_no_picture(nabi, tmp_path):
    translator = Translator(units=4, embedding_size=4, epochs=1, attention=None)
    translator.fit(["a b", "b a"], ["x y", "y x"], validation_share=0, verbose=0)
    translator.save("without.nabi")
    outcome = nabi("translate", "without.nabi", "a b", "--attention", "seen.png")
    assert "--attention: expected a model with attention, got without.nabi" in outcome.err


STOPS_ITSELF = """
import os, signal, sys
from nabi.cli import main
from nabi.models._translator._training import TranslatorTraining

loss, count = TranslatorTraining.loss, 0

def stopping(self, batch):
    global count
    count += 1
    if count == 12:
        os.kill(os.getpid(), signal.SIGINT)
    return loss(self, batch)

TranslatorTraining.loss = stopping
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
def test_ctrl_c_saves_what_has_been_learnt_and_the_same_command_goes_on(nabi, fresh):
    write_pairs(Path("pairs.tsv"), PAIRS)
    arguments = ["train", "pairs.tsv", *map(str, COLUMNS), *map(str, SMALL), "--epochs", "3"]
    process = fresh(STOPS_ITSELF, *arguments)
    assert process.returncode == 130, process.stderr
    assert "Stopped; the same command goes on from pairs.training" in process.stdout
    assert Translator.load("pairs.nabi").report.interrupted
    outcome = nabi(*arguments)
    assert "going on from pairs.training" in outcome.out
    written = json.loads(Path("pairs.json").read_text(encoding="utf-8"))
    assert len(written["history"]["val_loss"]) == 3
    assert not Path("pairs.training").exists()


@pytest.mark.parametrize(("source", "unit"), [("{}", "characters"), ("the number {}", "subwords")])
def test_single_words_are_read_letter_by_letter(nabi, tmp_path, monkeypatch, source, unit):
    monkeypatch.chdir(tmp_path)
    rows = [f"{source.format(number)},{'ab'[number % 2]}\n" for number in range(40)]
    (tmp_path / "pairs.csv").write_text("a,b\n" + "".join(rows))
    once = ["--epochs", 1, "--units", 2, "--embedding-size", 4, "--source", "a", "--target", "b"]
    done = nabi("train", "pairs.csv", *once)
    assert done.status == 0
    assert f"\nunit {unit} (" in done.out
    assert json.loads((tmp_path / "pairs.json").read_text())["settings"]["unit"] == unit
    done = nabi("train", "pairs.csv", *once, "--unit", "words", "--out", "w.nabi")
    assert json.loads((tmp_path / "w.json").read_text())["settings"]["unit"] == "words"
