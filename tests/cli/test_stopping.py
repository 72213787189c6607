"""What one sees of a long training in a pipe, and that SIGTERM ends it as Ctrl-C does."""

import io
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nabi.cli import _main
from nabi.models import TextClassifier
from nabi.training import duration
from nabi.training._loop import _progress

from ..forked import NABI


def a_table(folder: Path, rows: int) -> Path:
    path = folder / "reviews.csv"
    texts = ("a good film", "a bad film", "so warm", "so cold")
    lines = [f"{texts[row % 4]} {row},{('good', 'bad')[row % 2]}\n" for row in range(rows)]
    path.write_text("text,label\n" + "".join(lines))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that can be handled")
def test_sigterm_saves_what_was_learnt(tmp_path: Path) -> None:
    table, model = a_table(tmp_path, 400), tmp_path / "m.nabi"
    command = [sys.executable, "-m", "nabi", "train", str(table), "--text", "text", "--label", "label"]
    more = ["--epochs", "100000", "--patience", "100000", "--units", "4", "--out", str(model)]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith(b"Epoch 1/"):
                break
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read().decode()
        assert (process.wait(), process.stderr.read().decode()) == (130, "")
    assert "Stopped: saving what has been learnt." in said
    assert "\nTraining took " in said
    assert model.exists()


ENDS_LATER = """
import os, signal, sys, threading
seconds = float(sys.argv.pop(1))
later = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
later.daemon = True
later.start()
from nabi.cli import main
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that can be handled")
@pytest.mark.rotates(days=20)
@pytest.mark.parametrize("moment", range(20))
def test_sigterm_at_any_moment_leaves_whole_files_and_the_same_command_goes_on(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    monkeypatch.chdir(tmp_path)
    a_table(tmp_path, 60)
    command = ("train", "reviews.csv", "--text", "text", "--label", "label", "--out", "m.nabi", "--overwrite",
               "--epochs", 40, "--patience", 40, "--units", 4, "--embedding-size", 4)  # fmt: skip
    ended = fresh(ENDS_LATER, random.Random(moment).uniform(0, 3), *command)
    # Before the command runs, the signal does what it does to any program; it may also come after the end.
    assert ended.returncode in (-signal.SIGTERM, 130, 0), ended.stderr
    assert "Traceback" not in ended.stderr
    found = {path.name for path in tmp_path.iterdir()}
    assert found <= {"reviews.csv", "m.nabi", "m.json", "m.png", "m.training"}
    if "m.nabi" in found:
        TextClassifier.load("m.nabi")
    again = fresh(NABI, *command)
    assert again.returncode == 0, again.stderr
    assert ("going on from m.training" in again.stdout) == ("m.training" in found)
    assert {path.name for path in tmp_path.iterdir()} == {"reviews.csv", "m.nabi", "m.json", "m.png"}
    assert len(TextClassifier.load("m.nabi").history["loss"]) == 40


def test_sigterm_is_handled_only_while_a_command_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def looked(*_: Any, **__: Any) -> Any:
        seen.append(signal.getsignal(signal.SIGTERM))
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(_main, "app", lambda names: looked)
    with pytest.raises(SystemExit) as end:
        _main.main(["list"])
    assert end.value.code == 130
    assert seen[0] is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_long_epoch_says_how_far_it_is_and_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = [100.0], io.StringIO()
    monkeypatch.setattr(_progress.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(sys, "stdout", out)
    lines = _progress.Lines()
    lines.seconds_left = lambda: 200.0
    for epoch in range(3):
        lines.begin_epoch(epoch, 3, 4)
        for batch in range(4):
            clock[0] += 20
            lines.batch(batch + 1, dict)
        for batch in range(3):
            clock[0] += 10
            lines.validation_batch(batch, {})
        lines.end_epoch({"loss": 0.5})
    assert out.getvalue().splitlines()[:4] == [
        "  batch 2/4 - 40 s - about 3.3 minutes left",
        "  batch 4/4 - 80 s - about 3.3 minutes left",
        "  validation, batch 3 - 1.8 min - about 3.3 minutes left",
        "Epoch 1/3 - 110.00s - loss: 0.5000",
    ]


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "0 s"), (89, "89 s"), (90, "1.5 min"), (9000, "2.5 h")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize("kind", ["labels", "pairs"])
def test_every_training_says_how_long_it_took(
    nabi: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table = a_table(tmp_path, 60)
    columns = {
        "labels": ["--text", "text", "--label", "label"],
        "pairs": ["--source", "text", "--target", "label"],
    }
    done = nabi("train", table, *columns[kind], "--epochs", 1, "--units", 2, "--embedding-size", 4)
    assert done.status == 0
    assert re.search(
        r"^Training took \d+ s, the preparation before it \d+ s, the evaluation after it \d+ s\.$",
        done.out,
        re.M,
    )
