"""The interpreter ends, is interrupted or forks while other threads are in native code."""

import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ..forked import forking
from .machines import needs_native

pytestmark = [
    needs_native,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the programs are forked from one process"),
]

START = """
    import atexit, os, signal, sys, threading, time
    import torch
    from nabi import nn
    layer = nn.LSTM(64, 128)
    x = torch.randn(60, 16, 64)
    def infer():
        with torch.no_grad():
            layer(x)
    def train():
        layer(x)[0].sum().backward()
    def compile_new(count=[0]):
        count[0] += 1
        nn.GRU(3, 2 + count[0])(torch.randn(2, 3, 3))[0].sum().backward()
    going_on = threading.Event()
    going_on.set()
    def start(work, threads=3, daemon=True):
        def repeat():
            while going_on.wait():
                work()
        for _ in range(threads):
            threading.Thread(target=repeat, daemon=daemon).start()
        time.sleep(0.2)
    infer()
    train()
"""


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[[str, Path], Ended]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run a program in a process of its own, with kernels in a folder."""
    with forking("torch") as forked:

        def run(script: str, folder: Path) -> Ended:
            environment = {"NABI_CACHE_DIR": str(folder), "NABI_LLVM_EFFORT": "0", "NABI_NATIVE": "1"}
            ended = forked.run(textwrap.dedent(START) + textwrap.dedent(script), environment=environment)
            return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

        yield run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize(("work", "threads"), [("infer", 1), ("train", 2)])
def test_the_end_while_kernels_run(work: str, threads: int, run: Run, folder: Path) -> None:
    ended = run(f"torch.set_num_threads({threads})\nstart({work})", folder)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_end_while_code_is_compiled(run: Run, tmp_path: Path) -> None:
    ended = run("start(compile_new)", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_exit_keeps_its_status(run: Run, folder: Path) -> None:
    ended = run("start(infer)\nsys.exit(3)", folder)
    assert (ended.returncode, ended.stderr) == (3, "")


def test_an_error_ends_with_its_traceback_alone(run: Run, folder: Path) -> None:
    ended = run("start(infer)\nraise ValueError('mine')", folder)
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("ValueError: mine")


def test_an_interrupt_ends_the_program_though_threads_run_kernels(run: Run, folder: Path) -> None:
    ended = run("start(infer)\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)", folder)
    assert ended.returncode == -signal.SIGINT
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")


def test_what_runs_at_exit_may_call_layers(run: Run, folder: Path) -> None:
    script = """
        from nabi.native import _leaving

        atexit.unregister(_leaving._close)
        atexit.register(lambda: (infer(), os.write(1, b"called ")))
        atexit.register(_leaving._close)  # runs first, as if the other had been there before nabi
        start(infer)
    """
    ended = run(script, folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "called ", "")


def test_a_thread_that_is_waited_for_at_exit_comes_to_its_end(run: Run, folder: Path) -> None:
    script = """
        from nabi.native import _leaving

        _leaving._LONGEST = 0.5
        stop = threading.Event()

        def repeat():
            while not stop.is_set():
                infer()

        worker = threading.Thread(target=repeat, daemon=True)
        worker.start()

        def wait():
            stop.set()
            worker.join()
            print("joined")

        atexit.unregister(_leaving._close)
        atexit.register(wait)
        atexit.register(_leaving._close)
        time.sleep(0.1)
    """
    ended = run(script, folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "joined\n", "")


def test_a_program_whose_threads_run_no_kernels_ends_at_once(run: Run, folder: Path) -> None:
    script = """
        from nabi.native import _leaving
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        before = time.monotonic()
        _leaving._close()
        print(time.monotonic() - before < 0.05)
    """
    assert run(script, folder).stdout == "True\n"


def test_interrupts_while_code_is_compiled_leave_everything_usable(run: Run, tmp_path: Path) -> None:
    script = """
        import random
        random.seed(0)
        interrupted = 0
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        for number in range(8):
            made = nn.GRU(3, 40 + number)
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.1 * random.random())
                made(torch.ones(4, 2, 3))[0].sum().backward()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            made.zero_grad()
            y = made(torch.ones(4, 2, 3))[0]
            y.sum().backward()
            peer = torch.nn.GRU(3, 40 + number)
            peer.load_state_dict(made.state_dict())
            expected = peer(torch.ones(4, 2, 3))[0]
            expected.sum().backward()
            assert torch.allclose(y, expected, atol=1e-5)
            for one, other in zip(made.parameters(), peer.parameters(), strict=True):
                assert torch.allclose(one.grad, other.grad, atol=1e-4, rtol=1e-4)
        print(interrupted > 3)
    """
    ended = run(script, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr


def test_a_forked_child_writes_its_results_into_memory_of_its_own(run: Run, folder: Path) -> None:
    script = """
        torch.set_num_threads(1)
        with torch.no_grad():
            wide, x = nn.LSTM(8, 256), torch.randn(60, 16, 8)
            first = wide(x)[0]
            kept = first.clone()
            del first  # its memory, above half a mebibyte, waits for the next result
            y = wide(x)[0]
            child = os.fork()
            if child == 0:
                del y
                for factor in (2.0, 3.0):
                    wide(factor * x)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            print(torch.equal(y, kept))
    """
    assert run(script, folder).stdout == "True\n"


@pytest.mark.rotates(days=2)
def test_children_forked_while_threads_compile_and_run(run: Run, folder: Path) -> None:
    script = """
        torch.set_num_threads(1)
        start(infer, 2)
        start(compile_new, 1)
        for number in range(2):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                infer()
                nn.GRU(4, 5 + number)(torch.randn(3, 2, 4))[0].sum().backward()
                sys.exit(7)  # ends the interpreter of the child, whose other threads are not there
            going_on.clear()  # the child has the processor for itself
            status = os.waitpid(child, 0)[1]
            assert os.WEXITSTATUS(status) == 7, status
            going_on.set()
            time.sleep(0.2)
        print("all")
    """
    ended = run(script, folder)
    assert (ended.returncode, ended.stdout) == (0, "all\n"), ended.stderr
