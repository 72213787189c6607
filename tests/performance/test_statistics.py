"""Turns and what is made of them."""

import itertools
import time

import numpy as np
import pytest

from benchmarks.layers.alternate import alternate
from benchmarks.layers.arrays import disagreements, layer_arrays
from benchmarks.layers.crew import Seat, environment
from benchmarks.layers.figures import compare, fastest, geometric_mean, quartiles, tail
from benchmarks.layers.isa import SWITCHES, UNCAPPED, variables, wide_threads
from benchmarks.layers.points import CELLS, KINDS, PEERS, SHAPES, Point, choose, runs
from benchmarks.layers.sections import ragged_lengths
from benchmarks.layers.work import Work
from benchmarks.layers.worker import faster, turn


def test_a_ratio_is_the_median_over_rounds_against_the_turns_beside():
    found = compare([(1.0, 3.0), (2.0, 2.0), (4.0, 4.0)], [4.0, 6.0, 8.0])
    assert (found.ratio, found.own, found.peer, found.rounds) == (2.0, 2.0, 6.0, 3)
    assert (found.low, found.high) == (2.0, 2.5)


def test_a_machine_that_slows_down_does_not_change_ratios():
    slowing = [1.0, 1.5, 4.0, 10.0]
    found = compare([(speed, speed) for speed in slowing], [3 * speed for speed in slowing])
    assert (found.ratio, found.low, found.high) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(("own", "peer"), [([], []), ([(1.0, 1.0)], [1.0, 2.0])])
def test_turns_must_be_pairs(own, peer):
    with pytest.raises(ValueError, match="expected the same number of each"):
        compare(own, peer)


def test_a_tail_is_the_longest_of_a_hundred_calls_but_one():
    assert tail([*[1.0] * 98, 2.0, 50.0]) == {"median": 1.0, "p99": 2.0, "calls": 100}
    assert tail([3.0, 1.0, 2.0]) == {"median": 2.0, "p99": 3.0, "calls": 3}


def test_summaries():
    assert quartiles([7]) == (7.0, 7.0)
    assert geometric_mean([1, 4, 16]) == pytest.approx(4)
    assert fastest({"torch": 3.0, "jax": 1.2, "onnx": 1.3}) == "jax"


def test_every_peer_stands_between_two_turns_of_nabi_and_the_order_moves_on():
    took: list[str] = []
    clock = itertools.count(1)

    def take(seat):
        took.append(seat.worker)
        return [float(next(clock))] * 3

    peers = [Seat("a"), Seat("b"), Seat("c")]
    found = alternate(take, Seat("nabi"), peers, rounds=3)
    assert took[0::2] == ["nabi"] * 10
    assert took[1::2] == [*"abc", *"bca", *"cab"]
    for turns in found.values():
        assert [after - before for before, after in turns.own] == [2.0] * 3
        assert [peer - before for (before, _), peer in zip(turns.own, turns.peer, strict=True)] == [1.0] * 3


def test_a_turn_warms_up_and_fills_its_time():
    calls = []
    assert len(turn(Work(lambda: calls.append(0), dict), milliseconds=0)) == 2
    assert len(calls) == 3
    assert len(turn(Work(lambda: calls.append(0), dict), milliseconds=1000)) == 1000


def test_a_run_of_several_parts_counts_one_of_them():
    whole = turn(Work(lambda: sum(range(20_000)), dict), 0)
    part = turn(Work(lambda: sum(range(20_000)), dict, parts=1000), 0)
    assert max(part) < min(whole)


def test_the_faster_way_of_a_peer_is_taken():
    slow, fast = Work(lambda: sum(range(100_000)), dict), Work(lambda: None, dict)
    assert faster([slow, fast]) is fast
    assert faster([slow]) is slow


def test_points():
    points = choose()
    assert len(points) == len(CELLS) * len(SHAPES) * len(KINDS) == 42
    assert len({point.name for point in points}) == 42
    assert {point.kind for point in choose(["lstm/training"])} == {"training"}
    assert len(choose(["64x100"])) == 6
    lstm = Point("lstm", (2, 3, 5, 7), "inference")
    assert lstm.operations == 2 * 2 * 3 * 4 * 7 * (5 + 7)
    assert Point("lstm", (2, 3, 5, 7), "training").operations == 3 * lstm.operations
    assert [peer for peer in PEERS if not runs(peer, "training")] == ["onnx", "jax-ynnpack"]
    assert [peer for peer in PEERS if not runs(peer, "training", "avx2")] == ["onnx"]


def test_arrays_are_the_same_every_time_and_others_for_other_points():
    task = Point("gru", (2, 3, 5, 7), "training").task()
    first, again = layer_arrays(task), layer_arrays(task)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    other = layer_arrays(Point("lstm", (2, 3, 5, 7), "training").task())
    assert not np.array_equal(first["x"], other["x"])
    assert first["w_x"].shape == (21, 5)
    assert other["w_h"].shape == (28, 7)


def test_disagreements_are_found():
    right = {"output": np.ones(3, np.float32), "x": np.full(2, 100, np.float32)}
    assert disagreements(right, right) == []
    assert disagreements({**right, "output": right["output"] + 1e-6}, right) == []
    assert "output: differs" in disagreements({**right, "output": right["output"] + 1e-3}, right)[0]
    assert "x: differs" in disagreements({**right, "x": np.array([100, np.nan], np.float32)}, right)[0]
    assert "x: shape" in disagreements({**right, "x": np.ones(3, np.float32)}, right)[0]
    assert "expected: output, x" in disagreements({"output": right["output"]}, right)[0]


@pytest.mark.parametrize("share", [0.25, 0.4, 0.5])
def test_ragged_lengths_have_the_share_of_valid_steps(share):
    lengths = ragged_lengths(64, 100, share)
    assert sum(lengths) / 6400 == pytest.approx(share, abs=0.01)
    assert max(lengths) == 100
    assert min(lengths) >= 1
    assert lengths != sorted(lengths)


def test_all_workers_get_the_same_threads_and_only_one_the_allocator(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    for worker in ("nabi", *PEERS):
        variables = environment(worker, 3)
        assert {variables[name] for name in ("OMP_NUM_THREADS", "NPROC", "TF_NUM_INTRAOP_THREADS")} == {"3"}
        assert ("MALLOC_MMAP_THRESHOLD_" in variables) == (worker == "torch-tuned")
        assert ("MALLOC_TOP_PAD_" in variables) == (worker == "torch-tuned")
    assert environment("keras-tensorflow", 1)["KERAS_BACKEND"] == "tensorflow"


def test_a_cap_is_set_for_every_library_and_nothing_else():
    capped, free = environment("nabi", 2, "avx2"), environment("nabi", 2)
    caps = variables("avx2")
    assert caps["NABI_CPU"] == "x86-64-v3"
    assert {key: capped[key] for key in caps} == caps
    assert {key: value for key, value in capped.items() if key not in caps} == {
        key: value for key, value in free.items() if key not in caps
    }
    assert variables("native") == {}
    assert "ynn" in caps["XLA_FLAGS"]
    assert "ynn" not in variables("avx2", "jax-ynnpack")["XLA_FLAGS"]
    known = {name for names in SWITCHES.values() for name in names}
    assert known <= caps.keys()
    assert SWITCHES.keys() | UNCAPPED == {"nabi", "peak", *PEERS}


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [([-1, -1], (0, 2)), ([5, -1], (1, 2)), ([10**9, -1], (0, 2)), ([], None)],
)
def test_threads_that_used_wide_registers_are_counted(tmp_path, elapsed, expected):
    for number, each in enumerate(elapsed):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "arch_status").write_text(f"AVX512_elapsed_ms:\t{each}\n")
    # The process began a second ago: what was longer ago is of whoever started it.
    assert wide_threads(time.monotonic() - 1, tmp_path) == expected
