import json
import re

import pytest
import torch

from nabi.cli import _bench

SMALL = ("--shape", "2,3,4,5", "--rounds", 2)


def rows_of(out: str) -> list[list[str]]:
    """The rows of the table: kind, who, milliseconds, GFLOP/s, times faster."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize(
    ("cell", "peer"),
    [
        ("simple-rnn", "torch.nn.RNN"),
        ("lstm", "torch.nn.LSTM"),
        ("gru", "torch.nn.GRU"),
        ("gru-2014", "a loop in torch"),
        ("zoneout-lstm", "a loop in torch"),
    ],
)
def test_the_peer_is_torchs_module_where_torch_has_the_cell(nabi, cell, peer):
    outcome = nabi("bench", cell, *SMALL)
    assert (outcome.status, outcome.err) == (0, "")
    rows = rows_of(outcome.out)
    kinds = ["inference", "inference", "training", "training"]
    assert [row[:2] for row in rows] == [
        [kind, who] for kind, who in zip(kinds, ["nabi", peer] * 2, strict=True)
    ]
    assert all(float(row[2]) > 0 and float(row[3]) > 0 for row in rows)
    for row in rows[::2]:
        median, low, high = map(float, re.findall(r"[\d.]+", row[4]))
        assert low <= median <= high


def test_a_setting_that_torch_does_not_have_takes_the_loop(nabi):
    outcome = nabi("bench", "lstm", *SMALL, "--set", "recurrent_activation=hard_sigmoid")
    assert "a loop in torch" in outcome.out


def test_a_cell_of_ones_own(nabi, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from nabi.cells import Cell\nfrom nabi.ir.functions import tanh\n\n"
        "class Mine(Cell):\n    states = ('h',)\n"
        "    def step(self, x, h):\n        return h + tanh(self.affine('h', x, h))\n"
    )
    outcome = nabi("bench", f"{file}:Mine", *SMALL, "--dtype", "float64")
    assert outcome.status == 0
    assert "float64" in outcome.out


def test_threads_are_as_asked_and_as_before_afterwards(nabi):
    before = torch.get_num_threads()
    assert "3 threads" in nabi("bench", "gru", *SMALL, "--threads", 3).out
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("shape", ["1,2,3", "1,2,3,x", "1,2,3,0", "1,2,3,-4"])
def test_a_shape_that_is_none_is_refused(nabi, shape):
    outcome = nabi("bench", "lstm", "--shape", shape)
    assert outcome.status == 2
    assert f"got '{shape}'" in outcome.err


def test_results_that_differ_are_not_timed(nabi, monkeypatch):
    pair = _bench._loop_pair

    def wrong(*arguments):
        right = pair(*arguments)
        return _bench._Pair(right.nabi, lambda x: right.torch(x) * 1.01, right.peer, right.weights)

    monkeypatch.setattr(_bench, "_loop_pair", wrong)
    outcome = nabi("bench", "gru-2014", *SMALL)
    assert outcome.status == 2
    assert "differ" in outcome.err


def test_operations_are_those_of_the_matrices(nabi):
    """LSTM, B 2, T 3, D 4, H 5: 2 · 2 · 3 · 4 · 5 · (4 + 5) additions and multiplications."""
    inference, training = json.loads(nabi("bench", "lstm", *SMALL, "--json").out)["measured"]
    for one, expected in ((inference, 2160), (training, 3 * 2160)):
        assert one["operations_per_second"] * one["seconds"] == pytest.approx(expected)
        assert one["peer_operations_per_second"] * one["peer_seconds"] == pytest.approx(expected)
