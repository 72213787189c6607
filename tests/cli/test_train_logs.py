"""What `nabi train` writes for programs: `--log-dir`, `--log json`, `--json`."""

import csv
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from nabi.training import CSVLogger

from .logged import check_logged

SMALL = ("--units", 2, "--embedding-size", 4)
COLUMNS = ("--text", "text", "--label", "label")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"good fine film {n},good\nbad poor film {n},bad\n" for n in range(20))
    Path("reviews.csv").write_text(f"text,label\n{rows}")
    Path("sky.txt").write_text("the clouds are in the sky\n" * 20)


def rows(table: str) -> list[dict[str, str]]:
    with open(table, newline="") as file:
        return list(csv.DictReader(file))


def test_a_pipe_gets_lines_of_json_and_nothing_else(nabi: Any) -> None:
    logs = ("--log-dir", "logs", "--log", "json", "--json")
    done = nabi("train", "reviews.csv", *COLUMNS, *SMALL, "--epochs", 2, *logs)
    assert done.status == 0, done.err
    *epochs, result = [json.loads(line) for line in done.out.splitlines()]
    written = json.loads(Path("reviews.json").read_text())["cells"]["lstm"]
    table = rows("logs/metrics.csv")
    assert [one["epoch"] for one in epochs] == [0, 1]
    for epoch, row in zip(epochs, table, strict=True):
        assert epoch.pop("epochs") == 2
        assert list(epoch) == list(row)
        assert list(epoch.values()) == [float(value) for value in row.values()]
    assert [one["val_loss"] for one in epochs] == written["history"]["val_loss"]
    assert result["report"] == written["report"]
    assert 0 < result["seconds"] < 600
    told = {name: result[name] for name in ("model", "figures", "kind", "cell", "epochs", "interrupted")}
    assert told == {
        "model": "reviews.nabi", "figures": "reviews.json", "kind": "text classifier", "cell": "lstm",
        "epochs": 2, "interrupted": False,
    }  # fmt: skip
    # What people read is on the other stream.
    assert "The model is in reviews.nabi" in done.err
    assert "Epoch 2/2" in done.err
    assert sorted(path.name for path in Path("logs").iterdir()) == ["metrics.csv", "train", "validation"]
    # One that is all the same replaces it.
    again = nabi("train", "reviews.csv", *COLUMNS, *SMALL, "--epochs", 1, *logs[:2], "--overwrite")
    assert again.status == 0, again.err
    assert len(rows("logs/metrics.csv")) == 1


def test_the_result_alone_is_one_object_and_a_wrong_line_none(nabi: Any) -> None:
    done = nabi("train", "sky.txt", "--units", 2, "--epochs", 1, "--json")
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert (result["kind"], result["epochs"], result["model"]) == ("language model", 1, "sky.nabi")
    assert result["report"]["test"] > 0
    assert "It writes:" in done.err
    done = nabi("train", "sky.txt", "--units", 0, "--json")
    assert (done.status, done.out) == (2, "")


def test_each_of_several_cells_has_a_folder_and_its_name_in_the_lines(nabi: Any) -> None:
    cells = ("--cell", "gru", "--cell", "simple-rnn")
    logs = ("--log-dir", "logs", "--log", "json")
    done = nabi("train", "reviews.csv", *COLUMNS, *SMALL, *cells, "--epochs", 1, *logs)
    assert done.status == 0, done.err
    assert [json.loads(line)["cell"] for line in done.out.splitlines()] == ["gru", "simple-rnn"]
    histories = json.loads(Path("reviews.json").read_text())["cells"]
    for cell in ("gru", "simple-rnn"):
        (row,) = rows(f"logs/{cell}/metrics.csv")
        assert float(row["loss"]) == histories[cell]["history"]["loss"][0]
    assert [path.name for path in sorted(Path("logs").iterdir())] == ["gru", "simple-rnn"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_before_the_end_loses_nothing_and_the_same_command_goes_on(
    nabi: Any, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    line = ["train", "sky.txt", "--units", 2, "--epochs", 4, "--log-dir", "logs", "--json"]
    write = CSVLogger.write

    def write_and_end(self: CSVLogger, record: Any) -> None:
        write(self, record)
        if record.epoch == 1:
            signal.raise_signal(number)

    with monkeypatch.context() as patched:
        patched.setattr(CSVLogger, "write", write_and_end)
        ended = nabi(*line)
    assert ended.status == 130
    result = json.loads(ended.out)
    assert (result["interrupted"], result["epochs"]) == (True, 2)
    assert "the same command goes on from sky.training" in ended.err
    before = rows("logs/metrics.csv")
    assert [row["epoch"] for row in before] == ["0", "1"]
    done = nabi(*line)
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert (result["interrupted"], result["epochs"]) == (False, 4)
    assert rows("logs/metrics.csv")[:2] == before
    check_logged("logs", "sky.json")


def test_without_tensorboard_there_is_the_table(nabi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = nabi("train", "sky.txt", "--units", 2, "--epochs", 1, "--log-dir", "logs")
    assert done.status == 0, done.err
    assert "TensorBoard is not installed, so logs gets metrics.csv only" in done.out
    assert [path.name for path in Path("logs").iterdir()] == ["metrics.csv"]


def test_a_folder_that_cannot_be_written_is_said_before_any_training(nabi: Any) -> None:
    Path("file").write_text("")
    done = nabi("train", "sky.txt", "--log-dir", "file/logs")
    assert (done.status, done.out) == (2, "")
    assert "cannot write into the folder file/logs" in done.err
    assert not Path("sky.nabi").exists()
