"""Whole layers run by several threads: bit by bit what one thread gives, and no hang."""

import dataclasses
import os
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
import torch

from nabi import cells
from nabi.cells import Cell
from nabi.native import threads as _threads
from nabi.targets.llvm._binder._bound import Bound

from .sweep import Attentive, Data, Results, Setting, native

pytestmark = pytest.mark.rotates(days=4)

CELLS: list[Cell] = [
    cells.LSTM(33),
    cells.GRU(33),
    cells.GRU2014(33),
    cells.LayerNormLSTM(33),
    cells.ProjectedLSTM(33, projection=17),
]
SETTINGS = [
    Setting(batch=3, steps=20, valid="all"),
    Setting(batch=3, steps=40, valid="lengths"),
    Setting(batch=9, steps=20, valid="lengths", resets=True, side_by_side=False),
    Setting(batch=41, steps=15, valid="all", resets=True, side_by_side=False),
    Setting(batch=41, steps=20, valid="mask", resets=True, side_by_side=False),
]
COUNTS = (1, 2, 3, 5)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says how many threads run a kernel, however little it has to do and few processors there are."""
    monkeypatch.delenv("NABI_NATIVE", raising=False)

    def use(count: int) -> None:
        monkeypatch.setattr(_threads, "threads_for", lambda work: count)
        monkeypatch.setattr(_threads, "pays", lambda *_: True)

    return use


def assert_same(found: Results, expected: Results, what: str) -> None:
    expected_values = expected.all()
    for name, value in found.all().items():
        assert torch.equal(value, expected_values[name]), f"{name}, {what}"


def differences(cell: Cell, features: int, setting: Setting, dtype: torch.dtype, use: Any) -> None:
    data = Data.draw(cell, features, setting, seed=5)
    use(1)
    expected = native(data, dtype)
    for count in COUNTS[1:]:
        use(count)
        for _ in range(2):
            assert_same(native(data, dtype), expected, f"{count} threads, {setting}")


# Each cell in two of the settings and each setting with two of the cells, or all pairs.
PAIRS = [
    (cell, setting)
    for at, cell in enumerate(CELLS)
    for number, setting in enumerate(SETTINGS)
    if (number - at) % 5 in (0, 2) or os.environ.get("NABI_TEST_AGREEMENT") == "all"
]


@pytest.mark.parametrize(
    ("cell", "setting"), PAIRS, ids=[f"{type(c).__name__}-{s.batch}-{s.valid}-{s.steps}" for c, s in PAIRS]
)
def test_results_do_not_depend_on_the_number_of_threads(cell, setting, threads):
    differences(cell, 9, setting, torch.float32, threads)


@pytest.mark.parametrize(
    ("cell", "batch"),
    [(cells.GRU2014(33), 3), (Attentive(33), 9), (cells.ONLSTM(36, chunk=3), 9)],
    ids=["few", "many", "along the units"],
)
def test_nor_in_float64(cell, batch, threads):
    differences(cell, 9, Setting(batch, 20, "lengths"), torch.float64, threads)


@pytest.mark.parametrize("few", [True, False])
def test_tiles_of_other_sizes_in_one_step(few, threads):
    """The passes of a step cut the same units into tiles of 2, 3 or 4 vectors; no tile has two threads."""
    for units in (96, 80):
        setting = Setting(2 if few else 9, 20)
        differences(cells.PeepholeLSTM(units, full=True), 8, setting, torch.float32, threads)


def test_weights_that_are_divided_among_threads_at_any_batch(threads, monkeypatch):
    """Large weights stay with a thread: units are divided. Small ones with many rows: rows are."""
    shares = []
    new_block = Bound.new_block

    def watched(self: Bound, *sizes: Any) -> Any:
        made = new_block(self, *sizes)
        shares.append(made[self.compiled.place["split_units"]])
        return made

    monkeypatch.setattr(Bound, "new_block", watched)
    threads(2)
    for units, batch in ((33, 41), (300, 41), (33, 3)):
        native(Data.draw(cells.LSTM(units), 9, Setting(batch, 4)), torch.float32)
    assert shares == [0] * 3 + [1] * 6
    differences(cells.LSTM(300), 9, Setting(41, 4), torch.float32, threads)


def test_several_models_at_once(threads):
    """Threads of Python, each with a model of its own: the same as one after the other."""
    tasks = []
    for seed, (cell, setting) in enumerate(zip(CELLS, SETTINGS, strict=True)):
        longer = dataclasses.replace(setting, steps=60)
        tasks.append(Data.draw(cell, 9, longer, seed))
    threads(2)
    expected = [data.run(torch.float32) for data in tasks]
    problems: list[BaseException] = []
    barrier = threading.Barrier(len(tasks))

    def work(data: Data, truth: Results) -> None:
        try:
            barrier.wait(timeout=60)
            for turn in range(8):
                assert_same(data.run(torch.float32), truth, f"turn {turn}")
        except BaseException as problem:
            problems.append(problem)

    workers = [
        threading.Thread(target=work, args=(data, truth), daemon=True)
        for data, truth in zip(tasks, expected, strict=True)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
        assert not worker.is_alive()
    assert problems == []


def output_of(script: str, **environment: str) -> str:
    """What a program prints that has a layer, its input and `run`, which gives the output and gradients."""
    preface = """
        import os, sys, threading, time
        import torch
        from nabi import cells
        from nabi.scan import scan
        from nabi.native import threads as _threads
        torch.manual_seed(0)
        program = cells.LSTM(64).program(16)
        weights = [(0.2 * torch.randn(f.shape)).requires_grad_() for f in program.families]
        def run(batch=12, steps=30):
            x = torch.arange(batch * steps * 16).view(batch, steps, 16).sin()
            output = scan(program, x, None, weights)[0]
            return output.detach(), *torch.autograd.grad((output * output).sum(), weights)
        def same(one, two):
            return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    """
    program = textwrap.dedent(preface) + textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program],
        env={name: value for name, value in os.environ.items() if name != "NABI_NATIVE"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_a_fork():
    """Children, and children of children, get the same as their parent."""
    script = """
        _threads.threads_for = lambda work: 2
        _threads.pays = lambda *_: True
        expected = run()
        def fork_and_check(depth):
            child = os.fork()
            if child == 0:
                torch.set_num_threads(1)  # torch's own operations would wait for workers that are not there
                good = same(run(), expected) and same(run(3), few)
                if good and depth:
                    good = fork_and_check(depth - 1) == 0
                os._exit(0 if good else 1)
            return os.waitpid(child, 0)[1]
        few = run(3)
        print(fork_and_check(1), fork_and_check(0), same(run(), expected))
    """
    assert output_of(script, OMP_NUM_THREADS="2") == "0 0 True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_another_thread_runs_layers():
    """Whatever that thread holds at the moment of the fork, the child runs layers and ends."""
    script = """
        expected, stop = run(), []
        def work():
            while not stop:
                run()
        other = threading.Thread(target=work)
        other.start()
        bad = 0
        for turn in range(40):
            time.sleep(0.001 * (turn % 3))
            child = os.fork()
            if child == 0:
                torch.set_num_threads(1)
                os._exit(0 if same(run(), expected) else 1)
            end = time.monotonic() + 20
            while (status := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
                time.sleep(0.001)
            if status[0] == 0:
                os.kill(child, 9)
                os.waitpid(child, 0)
            bad += status != (child, 0)
        stop.append(True)
        other.join()
        print(bad)
    """
    assert output_of(script) == "0"


@pytest.mark.parametrize(
    "environment", [{"OMP_THREAD_LIMIT": "1"}, {"OMP_THREAD_LIMIT": "3"}, {"OMP_DYNAMIC": "true"}], ids=str
)
def test_fewer_threads_than_asked_for(environment):
    script = """
        _threads.threads_for = lambda work: 1
        _threads.pays = lambda *_: True
        expected, few = run(), run(3)
        _threads.threads_for = lambda work: 5
        print(all(same(run(), expected) and same(run(3), few) for _ in range(10)))
    """
    assert output_of(script, **environment) == "True"


def test_garbage_that_is_collected_at_any_moment():
    """A result that was never differentiated is freed wherever Python's collector happens to run."""
    script = """
        import faulthandler, gc
        from nabi.native import memory as _memory
        from nabi.native.addresses import lay_out
        faulthandler.dump_traceback_later(60, exit=True)
        for moment in range(1, 12):
            gc.disable()
            gc.collect()
            kept = [scan(program, torch.ones(2, 3, 16), None, weights)[0]]
            kept.append(kept)
            del kept
            memory = _memory.take(lay_out({"a": 1024}, 4))[0]
            gc.set_threshold(gc.get_count()[0] + moment)
            gc.enable()
            _memory.give_back(memory)
        print("done")
    """
    assert output_of(script) == "done"
