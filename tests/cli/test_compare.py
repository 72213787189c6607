"""`nabi compare`."""

import json
from pathlib import Path
from typing import Any

import pytest

OWN = """
from nabi.cells import Cell
from nabi.ir.functions import tanh
from beside import keep

class Mine(Cell):
    def step(self, x, h):
        return keep * h + tanh(self.affine("h", x, h))
"""
SMALL = ("--task", "parity", "--units", 8, "--steps", 20)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    Path("own.py").write_text(OWN)
    Path("beside.py").write_text("keep = 0.5\n")
    return tmp_path


def test_a_table_is_printed_and_files_are_written(nabi: Any, place: Path) -> None:
    done = nabi("compare", "own.py:Mine,ea-lstm", *SMALL, "--length", 300)
    assert done.status == 0, done.err
    assert "parity: drawn from the seed; 8 units, 20 steps" in done.out
    assert "guessing: 0.5000" in done.out
    assert "ea-lstm: it needs static beside its input" in done.out
    assert sorted(path.name for path in Path("runs/compare-parity").iterdir()) == [
        "learning.png", "result.json", "table.csv",
    ]  # fmt: skip
    runs = {
        run["cell"]: run for run in json.loads(Path("runs/compare-parity/result.json").read_text())["runs"]
    }
    # 32 sequences of 300 steps with 8 units are .3 MB.
    assert 2**18 < runs["own.py:Mine"]["memory"] < 2**24


def test_the_same_command_goes_on_and_prints_json(nabi: Any, place: Path) -> None:
    options = (*SMALL, "--no-memory", "--length", 5, "--out", "x")
    assert nabi("compare", "gru", *options).status == 0
    done = nabi("compare", "gru", "lstm", *options, "--resume", "--json")
    assert done.status == 0
    found = json.loads(done.out)
    assert [run["cell"] for run in found["runs"]] == ["gru", "lstm"]
    assert found == json.loads(Path("x/result.json").read_text())
    assert "lstm, seed 0" in done.err
    assert "gru, seed 0" not in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lstn"], "did you mean 'lstm'"),
        (["own.py:Other"], "Other"),
        (["none.py:Mine"], "there is no file none.py"),
        (["gru", "--task", "none.txt"], "there is no file none.txt"),
        (["gru", "--task", "sums"], "adding"),
        (["gru", "gru"], "CELLS: expected each cell once, got gru more than once"),
        (["gru", "--out", "."], "has files that are not from an earlier run, such as beside.py"),
    ],
)
def test_wrong_commands_are_refused(nabi: Any, place: Path, arguments: list[str], message: str) -> None:
    done = nabi("compare", *arguments)
    assert done.status == 2
    assert done.out == ""
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not Path("runs").exists()
