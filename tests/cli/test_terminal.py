"""What every command shows: in a pipe, at 80 columns, and where standard output takes nothing."""

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich
from rich.console import Console

from nabi import layers, models
from nabi.cli import _main
from nabi.cli._messages import in_words_of_options
from nabi.cli._terminal import LostOutputError, guarded_streams, make_console
from nabi.cli._uses import _USES, quoted, suggestion
from nabi.data import write_midi_frames
from nabi.files import READERS, write_model_file
from nabi.models._classifier._report import Report
from nabi.training._loop._progress import Bar

COMMANDS = tuple(_main._COMMANDS)
WORDS = ["good fine", "bad poor", "warm good", "cold bad"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a model of the kinds that most commands take, trained for an epoch."""
    folder = tmp_path_factory.mktemp("files")
    once: dict[str, Any] = {"units": 2, "epochs": 1}
    classifier = models.TextClassifier(**once, embedding_size=4)
    rows = "".join(f"{text},{label}\n" for text, label in zip(WORDS * 5, ["good", "bad"] * 10, strict=True))
    (folder / "table.csv").write_text(f"text,label\n{rows}")
    classifier.fit(folder / "table.csv", text="text", label="label", verbose=0)
    classifier.save(folder / "labels.nabi")
    translator = models.Translator(**once, embedding_size=4)
    translator.fit(["one", "two"] * 5, ["eins", "zwei"] * 5, verbose=0)
    translator.save(folder / "pairs.nabi")
    writer = models.LanguageModel(**once, window=4, batch_size=2)
    writer.fit(["the clouds are in the sky"] * 40, verbose=0)
    writer.save(folder / "text.nabi")
    models.Sequential([layers.GRU(2, input_shape=(None, 1)), layers.Dense(1)]).save(folder / "model.nabi")
    (folder / "music").mkdir()
    write_midi_frames(folder / "music/a.mid", [[60]])
    return folder


# A line of every command. Those that need a long training or a server are told what they cannot do.
LINES: dict[str, list[str]] = {
    "run": ["hello", "--epochs", "1", "--out", "OUT"],
    "train": ["table.csv"],
    "predict": ["labels.nabi", "--file", "table.csv"],
    "evaluate": ["labels.nabi", "table.csv"],
    "explain": ["labels.nabi", "good fine"],
    "write": ["text.nabi", "--length", "5"],
    "next": ["text.nabi", "the"],
    "caption": ["labels.nabi", "table.csv"],
    "recognise": ["labels.nabi", "table.csv"],
    "translate": ["pairs.nabi", "one"],
    "compose": ["labels.nabi"],
    "forecast": ["labels.nabi"],
    "watch": ["labels.nabi"],
    "serve": ["nothing.nabi"],
    "export": ["model.nabi", "--out", "OUT"],
    "quantize": ["model.nabi", "--out", "OUT"],
    "list": [],
    "show": ["lstm"],
    "convert": ["model.nabi", "OUT.safetensors"],
    "bench": ["gru", "--shape", "2,2,2,2", "--rounds", "1"],
    "compare": ["gru", "--steps", "1", "--no-memory", "--out", "OUT"],
    "cache": [],
}
REFUSED = {"train", "caption", "recognise", "compose", "forecast", "watch", "serve"}
"""Those whose line is refused, so that nothing comes on standard output."""


def line(name: str, folder: Path, tmp_path: Path) -> list[str]:
    """The words of the line of a command."""
    found = [name]
    for word in LINES[name]:
        if word.startswith("OUT"):
            found.append(str(tmp_path / word.replace("OUT", "out")))
        else:
            found.append(str(folder / word) if (folder / word).exists() else word)
    return found


def run(words: list[str], out: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Run a command in this process with this standard output; return its status and standard error."""
    err = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as end:
            _main.main(words)
    return int(end.value.code or 0), err.getvalue()


def test_every_command_has_a_line() -> None:
    assert set(LINES) == set(COMMANDS)


def closed_pipe() -> io.TextIOWrapper:
    read, write = os.pipe()
    os.close(read)
    return io.TextIOWrapper(io.FileIO(write, "w"), encoding="utf-8", write_through=True)


LOST = {"closed pipe": errno.EPIPE, "closed": errno.EBADF}
if Path("/dev/full").exists():
    LOST["full disk"] = errno.ENOSPC


@pytest.mark.parametrize("name", [one for one in COMMANDS if one not in REFUSED])
@pytest.mark.rotates(days=2)
def test_output_that_is_lost_is_one_line(
    name: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what, number in LOST.items():
        folder = tmp_path / what
        folder.mkdir()
        if what == "closed":
            status, err = run(line(name, files, folder), None, monkeypatch)
        else:
            with open("/dev/full", "w") if what == "full disk" else closed_pipe() as out:
                status, err = run(line(name, files, folder), out, monkeypatch)
        said = err.splitlines()
        assert said[-1:] == [f"nabi: standard output: it cannot be written: {os.strerror(number)}"], what
        assert (status, "Traceback" in err) == (1, False)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_wrong_line_is_one_line_and_nothing_comes_before_it(
    name: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    status, err = run(line(name, files, tmp_path), out, monkeypatch)
    assert (status, out.getvalue()) == (2, "")
    assert name == "train" or err.count("\n") == 1


def test_in_a_pipe_nothing_is_wrapped(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_CACHE_DIR", str(tmp_path / "cache"))  # other tests write to theirs meanwhile
    for name in ("list", "explain", "evaluate", "cache", "next"):
        shown = {}
        for columns in ("30", "200"):
            monkeypatch.setenv("COLUMNS", columns)
            out = io.StringIO()
            assert run(line(name, files, tmp_path), out, monkeypatch)[0] == 0
            shown[columns] = out.getvalue()
        assert shown["30"] == shown["200"]
        assert all(row == row.rstrip() or len(row) < 1000 for row in shown["30"].splitlines())


class Terminal(io.StringIO):
    """Something that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns without colours."""
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return Terminal()


def plain(text: str) -> str:
    """Text without what moves the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_no_figure_is_cut_at_80_columns(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"{'a label that is much longer than others ' * 3}{number}" for number in range(3))
    given = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=np.float32)
    report = Report.measure(names, np.arange(3), given, several=False)
    monkeypatch.setattr(sys, "stdout", terminal)
    make_console().print(report)
    shown = plain(terminal.getvalue())
    assert max(map(len, shown.splitlines())) <= 80
    for one in report.by_label:
        row = f"{one.precision:.3f}   {one.recall:.3f}  {one.f1:.3f}     {one.rows}"
        assert re.sub(r" +", " ", row) in re.sub(r" +", " ", shown)
    assert f"weighted F1 {report.weighted_f1:.4f}" in " ".join(shown.split())


def test_no_figure_of_an_epoch_is_cut_at_80_columns(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rich, "_console", Console(file=terminal))
    logs = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy", "val_f1"), 0.12345)
    bar = Bar()
    bar.begin_epoch(99, 100, 12_345)
    bar.end_epoch(logs)
    shown = plain(terminal.getvalue())
    assert "…" not in shown
    assert "Epoch 100/100" in shown
    assert re.search(r"\d:\d\d:\d\d", shown)
    for name in logs:
        assert f"{name}:" in " ".join(shown.split())
    assert shown.count("0.1235") >= len(logs)


# Messages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "labels.nabi", "--file", "table.csv", "--text", "x"], "--text: 'x' is not known"),
        (["predict", "labels.nabi", "--file", "table.csv", "--separator", "ab"], "--separator: expected one"),
        (["evaluate", "labels.nabi", "table.csv", "--encoding", "no"], "--encoding: "),
        (["evaluate", "labels.nabi", "table.csv", "--label", "y"], "--label: 'y' is not known"),
        (["train", "table.csv", "--text", "text", "--label", "text"], "--text, --label, --aspect: expected"),
        (["train", "table.csv", "--text", "text", "--label", "no"], "--label: 'no' is not known"),
        (["translate", "pairs.nabi", "one", "--beam", "0"], "--beam: expected"),
        (["write", "text.nabi", "--temperature", "-1"], "--temperature: expected"),
        (["explain", "labels.nabi", " "], "TEXT|FILE: expected a text"),
    ],
)
def test_messages_speak_of_options(
    nabi: Any, files: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(files)
    done = nabi(*words)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"nabi: {said}"), done.err


def test_only_arguments_that_are_options_are_replaced() -> None:
    names = {"separator": "--separator", "text": "TEXT", "label": "--label"}
    for message, said in {
        "text: expected a text": "TEXT: expected a text",
        "text, label: expected two": "TEXT, --label: expected two",
        "values[3]: expected x": "values[3]: expected x",
        "x.csv: expected y": "x.csv: expected y",
        "path: x.nabi is damaged": "x.nabi is damaged",
        "give separator=';', text= or other=": "give --separator ;, text= or other=",
        "with label= (--label), such as 'a'": "with --label, such as 'a'",
    }.items():
        assert in_words_of_options(message, names, []) == said


# Files of another kind ---------------------------------------------------------------------------------


def test_every_kind_of_model_has_a_command() -> None:
    loaded = {kind for kind, reader in READERS.items() if reader.endswith(".load")}
    assert set(_USES) == loaded
    assert {command for _, command, _ in _USES.values()} <= set(COMMANDS)


def test_suggested_commands_are_quoted() -> None:
    assert (
        suggestion("translator", "my own.nabi") == "It translates with: nabi translate 'my own.nabi' \"...\""
    )
    assert quoted("plain.nabi") == "plain.nabi"


@pytest.mark.parametrize(
    "words",
    [
        ["write"],
        ["next", "MODEL", "a"],
        ["caption", "MODEL", "table.csv"],
        ["recognise", "MODEL", "table.csv"],
        ["compose"],
        ["forecast"],
        ["predict", "MODEL", "a"],
        ["watch"],
        ["train"],
    ],
    ids=lambda words: words[0],
)
def test_a_model_of_another_kind_is_met_with_its_command(
    nabi: Any, files: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(files)
    line = [words[0], *(words[1:] or ["MODEL"])]
    done = nabi(*(one.replace("MODEL", "pairs.nabi") for one in line))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.rstrip().endswith('It translates with: nabi translate pairs.nabi "..."')
    if words[0] != "train":
        done = nabi(*(one.replace("MODEL", "table.csv") for one in line))
        assert done.err.rstrip().endswith(
            "got a table: table.csv. What can be learnt from it is said by: nabi train table.csv"
        )


def test_a_checkpoint_is_called_one(nabi: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.training"
    write_model_file(path, "translator training", {}, {})
    assert "It is a checkpoint: the `nabi train` that wrote it goes on" in nabi("translate", path, "a").err


# The streams -------------------------------------------------------------------------------------------


def test_what_is_lost_raises_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_pipe() as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(LostOutputError), guarded_streams():
            print("text")
    before = io.StringIO()
    monkeypatch.setattr(sys, "stdout", before)
    with guarded_streams():
        print("text", end="")
        assert sys.stdout is not before
    assert (sys.stdout, before.getvalue()) == (before, "text")


def test_a_real_pipe_that_closes_early_ends_the_command() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "nabi", "list"], stdout=write, stderr=subprocess.PIPE, check=False, timeout=120
    )
    os.close(write)
    assert done.returncode == 1
    assert (
        done.stderr.decode() == f"nabi: standard output: it cannot be written: {os.strerror(errno.EPIPE)}\n"
    )
