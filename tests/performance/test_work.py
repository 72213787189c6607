"""What nabi and torch do in the benchmark; the peers that are an install of their own are not here."""

import json
import sys

import pytest

from benchmarks.layers import __main__ as command
from benchmarks.layers.arrays import disagreements
from benchmarks.layers.crew import Crew, Seat, WorkerError
from benchmarks.layers.peers import song, torch_peer, variants
from benchmarks.layers.points import CELLS, KINDS, Point
from benchmarks.layers.sections import Bench, ragged_lengths

SHAPE = (4, 6, 3, 5)


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", CELLS)
def test_nabi_and_torch_compute_the_same(cell, kind):
    task = Point(cell, SHAPE, kind).task()
    own, peer = (torch_peer.make(name, task, 1).results() for name in ("nabi", "torch"))
    assert disagreements(peer, own) == []
    assert len(own) == (6 if kind == "training" else 1)


@pytest.mark.parametrize("name", ["nabi", "torch"])
def test_packed_and_padded_steps_of_a_ragged_batch_are_told_apart(name):
    task = {**Point("lstm", SHAPE, "training").task(), "lengths": ragged_lengths(4, 6, 0.5)}
    padded, packed = (
        torch_peer.make(name, {**task, "steps": how}, 1).results() for how in ("padded", "packed")
    )
    assert disagreements(packed, padded) != []
    if name == "nabi":
        lengths = torch_peer.make(name, {**task, "steps": "lengths"}, 1).results()
        assert disagreements(lengths, packed) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", variants.LOOPS)
def test_the_loops_of_variants_are_the_cells(cell, kind):
    task = {"subject": "variant", "cell": cell, "shape": SHAPE, "kind": kind}
    own, loop = (variants.make(task, loop=loop).results() for loop in (False, True))
    assert disagreements(loop, own) == []


def test_results_are_new_arrays_every_time():
    work = torch_peer.make("nabi", Point("gru", SHAPE, "training").task(), 1)
    first, second = work.run(), work.run()
    assert not {each.data_ptr() for each in first} & {each.data_ptr() for each in second}


def test_the_song_is_the_same_in_nabi_and_torch_and_states_matter():
    own, loop, forgetful = (
        made.results() for made in (song.nabi_song(), song.torch_song(), song.torch_song(keeps_state=False))
    )
    assert disagreements(loop, own) == []
    assert disagreements(forgetful, own) != []


def test_workers_take_turns_once_they_agree():
    seats = Seat("nabi"), Seat("torch")
    task = Point("simple-rnn", SHAPE, "training").task()
    with Crew(1, milliseconds=1) as crew:
        bench = Bench(crew, 2, ["torch"], True, lambda line: None)
        entry = bench.point(Point("simple-rnn", SHAPE, "training"))
        assert entry is not None
        assert entry["peers"]["torch"]["rounds"] == 2
        assert bench.failures == []

        other = {**task, "cell": "gru"}
        assert bench.contest("here", dict(zip(seats, (task, other), strict=True)), {seats[1]: seats[0]}) == {}
        assert {failure["who"] for failure in bench.failures} == {"torch"}

        unknown = crew.prepare({seats[0]: {**task, "cell": "unknown"}})[seats[0]]
        assert isinstance(unknown, WorkerError)
        assert "unknown" in str(unknown)


def test_a_peer_that_cannot_run_makes_the_command_fail(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "choose", lambda parts, quick: [Point("gru", SHAPE, "inference")])
    monkeypatch.setattr(
        sys,
        "argv",
        ["layers", "--quick", "--parts", "points", "--out", str(tmp_path / "out.json"), "--write"],
    )
    monkeypatch.setattr(Crew, "_start", broken)
    with pytest.raises(SystemExit) as end:
        command.main()
    assert "failures" in str(end.value)
    assert json.loads((tmp_path / "out.json").read_text())["points"] == {}
    assert "cannot start" in capsys.readouterr().out


def broken(crew: Crew, worker: str) -> None:
    raise WorkerError(f"{worker} cannot start")
