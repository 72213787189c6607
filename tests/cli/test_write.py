"""`nabi train FILE.txt`, `nabi write` and `nabi next`, as a user types them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nabi.models import LanguageModel

from ..forked import NABI

TEXT = "the cat sat on the mat. the dog sat on the log. " * 40
SMALL = ("--units", "24", "--embedding-size", "8", "--window", "16", "--batch-size", "4")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "cat.nabi"
    learnt = LanguageModel(units=32, embedding_size=8, window=16, batch_size=4, epochs=40, learning_rate=0.01)
    learnt.fit([TEXT], verbose=0)
    learnt.save(path)
    return path


def test_train_write_next(nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.txt").write_text(TEXT, encoding="utf-8")
    done = nabi("train", "cat.txt", *SMALL, "--epochs", 30, "--learning-rate", 0.01, "--layers", 2)
    assert done.status == 0, done.err
    assert "nats per character" in done.out
    figures = json.loads((tmp_path / "cat.json").read_text(encoding="utf-8"))
    assert figures["settings"]["layers"] == 2
    assert figures["report"]["validation"] < figures["history"]["val_loss"][0]
    assert not (tmp_path / "cat.training").exists()
    written = nabi("write", "cat.nabi", "--start", "the cat ", "--length", 30, "--temperature", 0)
    assert written.status == 0
    assert written.out.startswith("the cat s")
    assert len(written.out) == len("the cat ") + 30 + 1
    expected = nabi("next", "cat.nabi", "the cat sat on the", "-n", 2)
    assert "mat" in expected.out


def test_writing_is_the_same_for_the_same_seed(nabi: Any, model: Path) -> None:
    outs = [
        nabi("write", model, "--start", "the", "--length", 60, "--temperature", 1.5, "--seed", s).out
        for s in (1, 1, 2)
    ]
    assert outs[0] == outs[1] != outs[2]


def test_next_says_which_words_are_unknown(nabi: Any, model: Path) -> None:
    done = nabi("next", model, "the cät")
    assert done.status == 0
    assert "Unknown to the model: ä" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--length", "0"], "length: expected a whole number of at least 1, got 0"),
        (["--temperature", "-1"], "temperature: expected a number of at least 0, got -1.0"),
        (["--start", "the Ω"], "start: 'Ω' is not among the 14 characters that the model knows"),
        (["--top-p", "0"], "--top-p: expected a probability above 0"),
        (["--seed", "-1"], "seed: expected a whole number"),
    ],
)
def test_what_cannot_be_written(nabi: Any, model: Path, arguments: list[str], message: str) -> None:
    done = nabi("write", model, *arguments)
    assert done.status == 2
    assert message in done.err
    assert done.out == ""


def test_a_model_of_another_kind_is_refused(nabi: Any, tmp_path: Path) -> None:
    done = nabi("write", tmp_path / "none.nabi")
    assert (done.status, done.out) == (2, "")
    assert "there is no model file" in done.err


def test_a_cell_of_ones_own_learns_and_writes(
    nabi: Any, fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "cell.py").write_text(
        "from nabi.cells import Cell\nfrom nabi.ir.functions import tanh\n"
        "class Mine(Cell):\n    states = ('h',)\n"
        "    def step(self, x, h):\n        return tanh(self.affine('h', x, h))\n"
    )
    done = nabi("train", "cat.txt", *SMALL, "--epochs", 1, "--cell", "cell.py:Mine")
    assert done.status == 0, done.err
    assert "nabi write cat.nabi --cell cell.py:Mine" in done.out
    assert nabi("write", "cat.nabi", "--cell", "cell.py:Mine", "--length", 5).status == 0
    # In a fresh process the class is not there until its file is named.
    ended = fresh(NABI, "next", "cat.nabi", "the")
    assert ended.returncode == 2
    assert "pass a custom cell as --cell FILE.py:Class" in ended.stderr


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"", [], "expected text to learn from, got an empty file"),
        (b"short", [], "its 4 characters to learn from are fewer than a window of 128"),
        (b"caf\xe9 " * 100, [], "is not utf-8"),
        (TEXT.encode(), ["--pooling", "max"], "--pooling: it means nothing for a text to generate from"),
        (TEXT.encode(), ["--cell", "lstm", "--cell", "gru"], "--cell: 2 were given"),
        (TEXT.encode(), ["--cell", "lsmt"], "did you mean 'lstm'"),
        (TEXT.encode(), ["--out", "text.txt"], "would overwrite the text"),
    ],
)
def test_bad_input_is_refused_before_training(
    nabi: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_bytes(content)
    done = nabi("train", "text.txt", *arguments)
    assert done.status == 2
    assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_a_table_takes_no_options_of_texts(nabi: Any, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("text,label\na,b\n")
    done = nabi("train", tmp_path / "table.csv", "--text", "text", "--label", "label", "--window", 3)
    assert done.status == 2
    assert "--window: it means nothing for a table of texts and labels" in done.err


STOPS_ITSELF = """
import os, signal, sys
from nabi.cli import main
from nabi.training._loop._loop import Loop

after = Loop._epoch

def stopping(self, display, callbacks):
    logs = after(self, display, callbacks)
    os.kill(os.getpid(), signal.SIGINT)
    return logs

Loop._epoch = stopping
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
def test_ctrl_c_keeps_what_is_learnt_and_the_same_command_goes_on(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.txt").write_text(TEXT * 4, encoding="utf-8")
    command = ["train", "cat.txt", *SMALL, "--epochs"]
    ended = fresh(STOPS_ITSELF, *command, 4000)
    assert ended.returncode == 130, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith("Epoch ")]
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/4000"]
    assert "the same command goes on from cat.training" in ended.stdout
    assert (tmp_path / "cat.training").exists()
    report = LanguageModel.load(tmp_path / "cat.nabi").report
    assert report.interrupted
    # The same command would go on for long; another number of epochs is another training, and that is said.
    again = fresh(NABI, *command, 2)
    assert again.returncode == 2
    assert "checkpoint: cat.training is of a training with other settings" in again.stderr
