"""Kernels are run by all threads that come, whoever calls them, and nothing hangs."""

import ctypes
import math
import os
import signal
import subprocess
import sys
import threading
import time
from unittest import mock

import pytest
import torch
from hypothesis import given, strategies as st

from nabi.native import threads as _threads
from nabi.native._other_programs import seconds_of_others
from nabi.native._pool import Pool
from nabi.native.threads import run, threads_for

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class Arguments:
    """Integers that a kernel works on."""

    def __init__(self, count=40):
        self.numbers = (ctypes.c_int64 * count)()
        self.pointer = ctypes.addressof(self.numbers)

    def __getitem__(self, at):
        return self.numbers[at]


@pytest.fixture(params=["OpenMP", "own threads"])
def way(request, monkeypatch):
    """Both ways to have threads."""
    if request.param == "own threads":
        monkeypatch.setattr(_threads, "_team", lambda: None)
        monkeypatch.setattr(_threads, "_pool", Pool())
    elif _threads._openmp() is None:
        pytest.skip("torch has no OpenMP library with GOMP_parallel here")
    return request.param


def test_one_thread(library):
    arguments = Arguments()
    run(library.address("tell"), arguments.pointer, 1)
    assert list(arguments.numbers) == [1] + [0] * 39


@pytest.mark.parametrize("asked", [2, 3, 8, 16])
def test_all_threads_are_in_the_kernel_at_once(library, way, asked):
    """They wait for each other, so all must have come; each has a number of its own."""
    for _ in range(20):
        arguments = Arguments()
        run(library.address("meet"), arguments.pointer, asked)
        come = arguments[0]
        assert come == asked
        assert list(arguments.numbers[1:]) == [come] * come + [0] * (39 - come)


def test_python_goes_on_meanwhile(library, way):
    for threads in (1, 2):
        arguments = Arguments()

        def signal_soon(numbers=arguments.numbers) -> None:
            time.sleep(0.05)
            numbers[0] = 1

        other = threading.Thread(target=signal_soon)
        other.start()
        run(library.address("await"), arguments.pointer, threads)
        other.join()
        assert arguments[1] == 1


def test_several_threads_of_python_at_once(library, way):
    problems = []

    def work() -> None:
        try:
            for _ in range(100):
                arguments = Arguments()
                run(library.address("meet"), arguments.pointer, 2)
                come = arguments[0]
                assert come in (1, 2)
                assert list(arguments.numbers[1:4]) == [come] * come + [0] * (3 - come)
        except BaseException as problem:
            problems.append(problem)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=120)
        assert not caller.is_alive()
    assert problems == []


def test_a_kernel_within_a_kernel(library, way):
    """From each thread of a team another team is asked for; fewer may come, none is waited for in vain."""
    inner = [Arguments() for _ in range(2)]

    @_threads._Kernel
    def outer(_, thread, threads):
        run(library.address("meet"), inner[thread].pointer, 2)

    run(ctypes.cast(outer, ctypes.c_void_p).value, 0, 2)
    for arguments in inner:
        come = arguments[0]
        assert come in (1, 2)
        assert list(arguments.numbers[1:4]) == [come] * come + [0] * (3 - come)


def test_a_system_that_refuses_threads(library, monkeypatch):
    monkeypatch.setattr(_threads, "_team", lambda: None)
    monkeypatch.setattr(_threads, "_pool", Pool())
    start, started = threading.Thread.start, []

    def start_three(thread):
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    arguments = Arguments()
    run(library.address("meet"), arguments.pointer, 8)
    assert arguments[0] == 3


def test_where_there_is_no_openmp_library(monkeypatch, library):
    monkeypatch.setattr(_threads, "_openmp", lambda: None)
    assert _threads._team.__wrapped__() is None


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="what is loaded is read from /proc")
@pytest.mark.skipif(_threads._openmp() is None, reason="torch has no OpenMP library with GOMP_parallel here")
def test_the_workers_are_those_of_torch():
    """After torch has used four threads, a kernel with four starts none and loads no library."""
    script = prepared("""
import torch
torch.set_num_threads(4)
def openmp():
    return {line.split()[-1] for line in open("/proc/self/maps") if "omp" in line.rsplit("/", 1)[-1]}
_threads._team()
before = openmp()
torch.randn(1000, 1000).exp_()
tasks = sorted(os.listdir("/proc/self/task"))
meet(4)
print(numbers[0], sorted(os.listdir("/proc/self/task")) == tasks, len(tasks) >= 4, openmp() == before)
""")
    # One thread for BLAS's own pool, which is not of interest here.
    assert output_of(script, OMP_NUM_THREADS="4") == "4 True True True"


def prepared(body: str) -> str:
    return f"""
import ctypes, os, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from conftest import KERNELS, NAMES
from nabi.native import threads as _threads
from nabi.native._code._compiler import emit_object, load, symbols
from nabi.native._code._machine import host
library = load(emit_object(KERNELS, host()), NAMES, symbols())
numbers = (ctypes.c_int64 * 40)()
def meet(threads):
    numbers[:] = [0] * 40
    _threads.run(library.address("meet"), ctypes.addressof(numbers), threads)
    come = numbers[0]
    assert numbers[1:] == [come] * come + [0] * (39 - come), numbers[:]
{body}
"""


def output_of(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.rotates(days=2)
@pytest.mark.parametrize(
    ("environment", "most"),
    [
        ({"OMP_THREAD_LIMIT": "1", "OMP_NESTED": "true"}, 1),
        ({"OMP_THREAD_LIMIT": "3", "OMP_WAIT_POLICY": "passive"}, 3),
        ({"OMP_NUM_THREADS": "2", "OMP_DYNAMIC": "true"}, 6),
        ({"OMP_NUM_THREADS": "1", "OMP_MAX_ACTIVE_LEVELS": "0"}, 6),
    ],
)
def test_fewer_threads_than_asked_for(environment, most):
    script = prepared("for _ in range(50): meet(6); assert 1 <= numbers[0] <= LIMIT\nprint('done')")
    assert output_of(script.replace("LIMIT", str(most)), **environment) == "done"


@FORK
def test_a_forked_child_has_one_thread():
    script = prepared("""
meet(4)
parent = numbers[0]
for _ in range(3):
    child = os.fork()
    if child == 0:
        meet(4)
        os._exit(0 if numbers[0] == 1 and _threads.threads_for(1e12) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    meet(4)
print(parent, numbers[0])
""")
    parent, after = output_of(script).split()
    assert parent == after


@FORK
def test_a_child_forked_while_threads_are_in_a_kernel():
    script = prepared("""
import threading, time
_threads._team = lambda: None
flags = (ctypes.c_int64 * 2)()
arguments = library.address("await"), ctypes.addressof(flags), 2
busy = threading.Thread(target=_threads.run, args=arguments)
busy.start()
time.sleep(0.1)
child = os.fork()
if child == 0:
    meet(4)
    os._exit(0 if numbers[0] == 1 else 1)
status = os.waitpid(child, 0)[1]
flags[0] = 1
busy.join()
print(status, flags[1])
""")
    assert output_of(script) == "0 1"


@pytest.mark.skipif(os.name != "posix", reason="the signal is sent as POSIX has it")
def test_an_interrupt_waits_for_the_kernel():
    """The kernel writes until the end; who called it then sees the interrupt, and can call it again."""
    script = prepared("""
import signal, threading, time
_threads._team = lambda: None
flags = (ctypes.c_int64 * 2)()
def interrupt():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    flags[0] = 1
threading.Thread(target=interrupt).start()
try:
    _threads.run(library.address("await"), ctypes.addressof(flags), 2)
    print("no interrupt")
except KeyboardInterrupt:
    print("interrupted", flags[1])
meet(3)
print(numbers[0])
""")
    assert output_of(script).split() == ["interrupted", "1", "3"]


def test_interrupts_at_any_moment_hang_nothing():
    """Signals rain while kernels are handed over; every call ends, done or interrupted."""
    script = prepared("""
import signal, time
_threads._team = lambda: None
class Rain(Exception): pass
def drop(*_): raise Rain
meet(3)  # the threads are there: Python's own start of a thread cannot be interrupted safely
calls = 0
signal.signal(signal.SIGALRM, drop)
end = time.monotonic() + 3
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + calls % 40))
        try:
            _threads.run(library.address("meet"), ctypes.addressof(numbers), 3)
        finally:
            numbers[0] = 0
        while True:
            time.sleep(0.01)
    except Rain:
        pass
    numbers[0] = 0
    calls += 1
signal.setitimer(signal.ITIMER_REAL, 0)
meet(3)
print(calls > 100, numbers[0])
""")
    if not hasattr(signal, "setitimer"):
        pytest.skip("there are no timer signals here")
    assert output_of(script) == "True 3"


def test_how_many_threads_a_piece_of_work_deserves(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(_threads, "processors", lambda: 8)
    assert threads_for(1e9) == 3
    assert threads_for(1e4) == 1
    monkeypatch.setattr(_threads, "processors", lambda: 2)
    assert threads_for(1e9) == 2
    monkeypatch.setattr(_threads, "_forked", True)
    assert threads_for(1e9) == 1


def test_torchs_setting_is_respected():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert threads_for(1e12) == 1
        torch.set_num_threads(2)
        assert threads_for(1e12) == min(2, _threads.processors())
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set, and no losses so far."""
    now = [1000.0]
    monkeypatch.setattr(_threads.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_threads, "_losses", _threads._Losses())
    monkeypatch.setattr(_threads, "seconds_of_others", lambda: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(_threads, "processors", lambda: 2)
    return now


@pytest.mark.skipif(_threads._openmp() is None, reason="torch has no OpenMP library with GOMP_parallel here")
def test_a_late_thread_is_noticed_whichever_it_is(library, monkeypatch):
    """The first one waits for the second at the end, but nobody for the first: it only ends later."""
    losses = []
    monkeypatch.setattr(_threads, "lose", losses.append)
    arguments = Arguments()

    def lost(late):
        losses.clear()
        arguments.numbers[0] = late
        for _ in range(5):
            run(library.address("dawdle"), arguments.pointer, 2)
        return len(losses)

    def at_some_time(seen):
        """What others do on a busy machine hides it at one time, but not at each of many."""
        return any(seen() or time.sleep(0.02) for _ in range(200))

    lost(-1)  # starts the threads
    assert at_some_time(lambda: lost(0) == 5)
    assert at_some_time(lambda: lost(1) == 5)
    assert at_some_time(lambda: lost(-1) == 0)


def test_one_loss_is_an_accident(clock):
    _threads.lose(0.001)
    assert threads_for(1e9) == 2
    clock[0] += 1.0
    _threads.lose(0.001)
    assert threads_for(1e9) == 2


def test_after_two_losses_one_thread_works_alone_for_a_while_and_longer_if_they_come_back(clock):
    rests = []
    for _ in range(12):
        _threads.lose(0.001)
        clock[0] += 0.002
        _threads.lose(0.001)
        began = clock[0]
        assert threads_for(1e9) == 1
        while threads_for(1e9) == 1:
            clock[0] += 0.001
        rests.append(clock[0] - began)
    assert rests == sorted(rests)
    assert rests[0] < 0.03
    assert 0.9 < rests[-1] < 1.1
    clock[0] += 60
    _threads.lose(0.001)
    _threads.lose(0.001)
    clock[0] += 0.03
    assert threads_for(1e9) == 2  # the machine was quiet for long


def _lose_twice(clock, times):
    """Lose two runs in quick succession, so many times; one thread works alone after the last."""
    for _ in range(times):
        while threads_for(1e9) == 1:
            clock[0] += 0.001
        _threads.lose(0.001)
        _threads.lose(0.001)


def test_one_thread_works_alone_while_another_program_computes(clock, monkeypatch):
    stop = clock[0] + 20.0
    monkeypatch.setattr(_threads, "seconds_of_others", lambda: min(clock[0], stop))
    _lose_twice(clock, 2)
    while clock[0] < stop:
        assert threads_for(1e9) == 1
        clock[0] += 0.01
    while threads_for(1e9) == 1:
        clock[0] += 0.01
    assert clock[0] < stop + 2.0
    # What lost it again was an accident then: the next rest is a short one.
    _lose_twice(clock, 1)
    clock[0] += 0.2
    assert threads_for(1e9) == 2


def test_what_others_did_while_nothing_ran_says_nothing(clock, monkeypatch):
    monkeypatch.setattr(_threads, "seconds_of_others", lambda: clock[0])
    _lose_twice(clock, 2)
    clock[0] += 5.0
    assert threads_for(1e9) == 2


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux says what others use")
def test_seconds_of_others_are_those_of_another_process():
    burn = "import time; print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        began = time.monotonic()
        before = seconds_of_others()
        time.sleep(0.4)
        used, passed = seconds_of_others() - before, time.monotonic() - began
        other.kill()
    assert used > 0.3 * passed


@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.data())
def test_a_copy_by_one_thread_is_the_same(shape, data):
    order = data.draw(st.permutations(range(len(shape))))
    tensor = torch.arange(math.prod(shape)).reshape(shape).permute(order)
    with mock.patch.object(_threads, "_COPIED_BY_ONE", 100), mock.patch.object(_threads, "_losses") as losses:
        losses.until = time.monotonic() + 60
        found = _threads.contiguous(tensor)
    assert found.is_contiguous()
    assert torch.equal(found, tensor)


def test_long_runs_work_alone_for_many_runs_and_not_only_for_one(clock):
    alone = together = 0
    for _ in range(100):
        if threads_for(1e9) == 1:
            alone += 1
            clock[0] += 0.035
        else:
            together += 1
            clock[0] += 0.085
            _threads.lose(0.085)
    assert alone > 4 * together


def test_waiting_that_is_little_of_a_run_is_no_loss(clock):
    for _ in range(3):
        _threads.report(20_000, 0.1)
    assert threads_for(1e9) == 2
    for _ in range(3):
        _threads.report(20_000, 0.001)
    assert threads_for(1e9) == 1


def test_small_work_and_many_barriers_do_not_pay():
    assert not _threads.pays(10_000, 0, 2)
    assert _threads.pays(1_000_000, 0, 2)
    assert not _threads.pays(1_000_000, 2_000, 2)


def test_values_that_threads_exchange_count_and_most_where_they_share_lines():
    assert _threads.exchange(15, 256) < _threads.exchange(15, 200)
    assert _threads.pays(300_000, 200, 2)
    assert _threads.pays(300_000, 200, 2, _threads.exchange(1, 256))
    assert not _threads.pays(300_000, 200, 2, _threads.exchange(15, 200))
