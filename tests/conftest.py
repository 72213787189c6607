"""What all tests share: where compiled kernels lie, and a count of other projects' tests at the end."""

import gc
import os
import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

from .forked import PACKAGES, Forked, forking
from .rotation import at_full_effort, day, leave_out

# Code that is hardly optimised does the same in the same order, and is made in a tenth of the time; tests of
# native code test what users get.
os.environ.setdefault("NABI_LLVM_EFFORT", "0")

# Messages are compared in English, whoever runs the tests.
os.environ["NABI_LANG"] = "en"

# No test is timed: the first example of a property may compile a kernel, and machines are shared.
settings.register_profile("nabi", deadline=None)
settings.load_profile("nabi")


def pytest_configure(config: pytest.Config) -> None:
    """Say where compiled kernels lie, for worker processes and the processes that tests start as well.

    No kernel is compiled twice, and the user's own cache stays as it is. The kernels stay for the next run:
    they are found by all that they depend on, the sources that write them included. `pytest --cache-clear`
    deletes them.
    """
    day()  # before the workers start, which inherit it
    # A shell that runs the tests in the background has them ignore Ctrl-C, and so would all that they start:
    # trainings that stop themselves would go on for minutes.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "NABI_CACHE_DIR" in os.environ:
        return
    if (cache := getattr(config, "cache", None)) is not None:
        os.environ["NABI_CACHE_DIR"] = str(cache.mkdir("nabi-kernels"))
    else:
        folder = tempfile.TemporaryDirectory(prefix="nabi-kernels-")
        config.add_cleanup(folder.cleanup)
        os.environ["NABI_CACHE_DIR"] = str(Path(folder.name) / "cache")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items)


def pytest_collection_finish() -> None:
    """What is loaded by now stays until the end: no search for reference cycles needs to look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def new_compiler(request: pytest.FixtureRequest) -> None:
    """Let torch's compiler forget what earlier tests of the process compiled: it gives up after so many."""
    if "compile" in request.node.name:
        import torch

        torch.compiler.reset()


@pytest.fixture
def full_effort(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compile with LLVM's full effort, also what other tests of this process compiled without."""
    from nabi.kernels._code import _dense, _losses, _updates
    from nabi.targets import _run
    from nabi.targets.llvm import _compiled
    from nabi.targets.llvm._binder import _bound

    found = (
        _compiled.forward_kernel, _compiled.backward_kernel, _bound.bound_forward, _bound.bound_backward,
        _run._passes, _updates._addresses, _dense._addresses, _losses._address,
    )  # fmt: skip
    monkeypatch.setenv("NABI_LLVM_EFFORT", "3")
    for kernels in found:
        kernels.cache_clear()
    yield
    for kernels in found:
        kernels.cache_clear()


@pytest.fixture
def effort_by_turns(request: pytest.FixtureRequest) -> None:
    """Compile with LLVM's full effort where it is the test's turn, else with hardly any."""
    if at_full_effort(request.node):
        request.getfixturevalue("full_effort")


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """Runs programs in processes that have torch and what else nabi uses, but nothing of nabi."""
    with forking(PACKAGES) as found:
        yield found


class Ended(NamedTuple):
    """What has become of a program."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def fresh(forked: Forked) -> Callable[..., Ended]:
    """Run a program in a process of its own, with arguments and what is given to it as its input."""

    def run(program: str, *arguments: object, given: str = "") -> Ended:
        ended = forked.run(program, given.encode(), arguments=arguments)
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return run


@pytest.fixture(scope="session")
def in_keras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., bytes]]:
    """Run a program where Keras on torch is loaded, on what it is given; what it prints is returned.

    In a process of its own, without nabi. Keras is imported once for all tests of a worker: it takes seconds.
    """
    home = {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path_factory.mktemp("home of Keras"))}
    with forking("keras", home) as forked:

        def run(program: str, given: bytes = b"") -> bytes:
            ended = forked.run(program, given)
            assert ended.returncode == 0, ended.stderr.decode()
            return ended.stdout

        yield run


@pytest.fixture(scope="session")
def reviews() -> tuple[list[str], list[str]]:
    """300 made-up reviews, in which one word in the middle decides, and their labels."""
    draw = random.Random(0)
    deciding = {"good": ["fine", "lovely", "bright", "warm"], "bad": ["dull", "poor", "dreary", "cold"]}
    fillers = ["the", "film", "story", "actor", "of", "a", "scene", "was", "and", "with"]
    texts, labels = [], []
    for number in range(300):
        label = ("bad", "good")[number % 2]
        words = draw.choices(fillers, k=draw.randint(3, 9))
        words.insert(draw.randrange(1, len(words)), draw.choice(deciding[label]))
        texts.append(" ".join(words) + ".")
        labels.append(label)
    return texts, labels


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # Recorded as properties of a test, because what a worker process prints is lost.
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "foreign tests":
                    terminalreporter.write_line(str(value))
