"""What nabi and torch do in the benchmark; the peers that are an install of their own are not here."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.layers import __main__ as command
from benchmarks.layers.arrays import disagreements
from benchmarks.layers.crew import Crew, Seat, WorkerError
from benchmarks.layers.idle import wait_until_idle
from benchmarks.layers.isa import label
from benchmarks.layers.load import Load, busy_processor
from benchmarks.layers.machine import processor
from benchmarks.layers.peers import song, torch_peer, variants
from benchmarks.layers.plan import Job
from benchmarks.layers.points import CELLS, KINDS, Point
from benchmarks.layers.sections import Bench, ragged_lengths

SHAPE = (4, 6, 3, 5)
SPIN = """
import sys, time
sys.stdin.readline()
while time.process_time() < 0.3:
    pass
sys.stdin.readline()
"""


def machine_vectors():
    return label("native", processor())


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
    monkeypatch.setattr(command, "jobs", lambda *_, **__: [Job("points", Point("gru", SHAPE, "inference"))])
    monkeypatch.setattr(
        sys, "argv", ["layers", "--quick", "--threads", "1", "--results", str(tmp_path), "--write"]
    )
    monkeypatch.setattr(Crew, "_start", broken)
    with pytest.raises(SystemExit) as end:
        command.main()
    assert "failures" in str(end.value)
    (kept,) = tmp_path.iterdir()
    assert json.loads(kept.read_text())["points"] == {}
    assert "cannot start" in capsys.readouterr().out


def test_a_run_can_be_resumed(tmp_path, monkeypatch, results):
    measured = []
    first, second = (Job("random", Point("gru", (2, time, 3, 4), "inference")) for time in (1, 2))
    monkeypatch.setattr(command, "jobs", lambda *_, **__: [first, second])
    monkeypatch.setattr(
        command, "measure_point", lambda bench, job, *_: measured.append(job) or entry if job else None
    )
    entry = next(iter(results["random"]["points"].values()))
    monkeypatch.setattr(
        sys, "argv", ["layers", "--quick", "--threads", "1", "--resume", "--results", str(tmp_path)]
    )
    command.main()
    command.main()
    assert measured == [first, second]


@pytest.mark.rotates(days=2)
def test_a_busy_machine_is_one_where_a_process_computes():
    with Crew(1, milliseconds=5) as crew:
        bench = Bench(crew, 2, ["torch"], True, lambda line: None)
        about = {"busy": {"rounds": 2, "milliseconds": 20}}
        job = Job("busy", Point("simple-rnn", (4, 6, 300, 301), "inference"))
        with Load(busy_processor(1), "native") as load:
            assert load._process.poll() is None
            process = load._process
        assert process.poll() is not None
        entry = command.measure_point(bench, job, about, 5)
        assert bench.failures == []
        assert entry["peers"]["torch"]["rounds"] == 2
        assert "peak" not in entry
        tails = entry["tails"]
        assert tails.keys() == {"nabi", "torch"}
        assert tails["nabi"]["p99"] >= tails["nabi"]["median"] > 0
        assert tails["nabi"]["calls"] >= 6  # three turns of two calls and more, and two of the peer


@pytest.mark.skipif(machine_vectors() != "AVX512", reason="the processor has no AVX-512 to keep from using")
def test_a_cap_is_looked_after_not_only_set():
    threads = {}
    for isa in ("native", "avx2"):
        with Crew(1, milliseconds=5, isa=isa) as crew:
            crew.prepare({Seat("nabi"): Point("lstm", (16, 20, 64, 96), "training").task()})
            crew.turn(Seat("nabi"))
            threads[isa] = crew.vectors("nabi")
    if threads["native"]["threads"] is None:
        pytest.skip("the system doesn't tell who used AVX-512")
    assert threads["native"]["threads"][0] >= 1
    assert threads["avx2"]["threads"][0] == 0
    assert threads["avx2"]["report"] == "AVX2"


def broken(crew: Crew, worker: str) -> None:
    raise WorkerError(f"{worker} cannot start")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not tell what threads use")
def test_a_turn_begins_when_the_threads_of_the_last_one_have_stopped_spinning():
    with subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE, text=True) as process:
        process.stdin.write("\n")
        process.stdin.flush()
        start = time.monotonic()
        while process_seconds(process.pid) < 0.05:  # it is past its start, and spins
            assert time.monotonic() < start + 20
        wait_until_idle([process.pid])
        assert process_seconds(process.pid) >= 0.2
        process.kill()


def process_seconds(process: int) -> float:
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
