"""Multithreaded kernels, using torch's threads if possible.

After a torch operation, its OpenMP workers keep spinning on their cores for some time, and other threads
would compete with them. So kernels enter the same OpenMP library and run on the same workers, through
`GOMP_parallel`, which GCC's, LLVM's and Intel's libraries provide.

A kernel is `void kernel(ptr arguments, i64 thread, i64 threads)`. `threads` is the actual number of threads,
which may be lower than requested.

Threads that wait for each other are slow on a machine where other programs compute: one that has lost its
processor gets it back after some milliseconds, and meanwhile all others wait. So a run that waited long for
one of its threads is reported (`lose`, `report`), and for some time after it all work is done by one thread.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any

import torch

from nabi.native import _guard
from nabi.native._code._cache import compiled
from nabi.native._code._compiler import symbols
from nabi.native._code._machine import host
from nabi.native._leaving import CLOSED, INSIDE, stay_outside
from nabi.native._other_programs import seconds_of_others
from nabi.native._pool import Pool

__all__ = [
    "COUNTER_STRIDE",
    "contiguous",
    "exchange",
    "is_for_one",
    "lose",
    "pays",
    "processors",
    "report",
    "run",
    "symbols",
    "threads_for",
]

COUNTER_STRIDE = 8
"""Distance of barrier counters in 64-bit words, so that each has its own cache line."""

_Kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
# Multiply-adds below which a second thread costs more than it gains.
_WORTH_A_SECOND = 1.0e6

_LONG_WAIT = 350_000
"""Nanoseconds of waiting for another thread from which it counts as lost, if they are also a third of the
part of the one that waited. Waking a thread takes less, and the time for which another program keeps a
processor is some milliseconds."""

_CHECK, _MUCH = 20e-9, 0.2
"""Seconds that a check at a barrier takes at least, and the part of a run that may be lost in long waits."""

_SHORTEST_REST, _LONGEST_REST, _RUNS_OF_REST = 0.02, 1.0, 8
"""Seconds for which one thread works alone after losses: twice as long when they come back soon, and then
never shorter than so many runs of the kind that met them."""

_REST_TO_MEASURE, _BUSY = 0.1, 0.3
"""Seconds of a rest after which it can be told whether other programs still compute; and how much of a
processor's time makes one missing."""

_COPIED_BY_ONE = 1 << 15
"""Elements that torch copies with one thread: the grain of its loops."""

_SOON = 0.05
"""Seconds within which two losses are no accident; or within four runs."""

_START, _BARRIER = 8_000.0, 125.0
"""Nanoseconds that a second thread costs: to begin and to end, and for every thread at every barrier."""

_LINE, _SHARED_LINE, _LINE_BYTES = 15.0, 80.0, 64
"""Nanoseconds until a line of the cache that another core wrote is here, one of several that are fetched
together; and how much longer it takes if both cores write to it; the bytes of a line."""

_FIRST, _ALONE = ctypes.c_int64(0), ctypes.c_int64(1)

_kernels: dict[int, Any] = {}
_pool = Pool()
_forked = False


def _after_fork() -> None:
    # The workers are threads of the parent; GCC's OpenMP library waits for them forever in a child.
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(address: int, arguments: Any, threads: int) -> None:
    """Run a kernel and wait for its end; Python's global lock is released meanwhile.

    Args:
        address: address of the kernel.
        arguments: the argument block, or its address.
        threads: the requested number of threads; fewer may run it, in a forked child always one.
    """
    kernel = _kernels.get(address)
    if kernel is None:
        kernel = _kernels[address] = _Kernel(address)
    alone = threads < 2 or _forked
    team = None if alone else _team()  # may compile, which is a separate section
    thread = get_ident()
    INSIDE[thread] = True
    if CLOSED:
        stay_outside()
    try:
        if alone:
            kernel(arguments, _FIRST, _ALONE)
        else:
            pointer = arguments if isinstance(arguments, int) else ctypes.addressof(arguments)
            if team is not None:
                start = time.monotonic()
                if team(address, pointer, threads):
                    lose(time.monotonic() - start)
            elif not _pool.run(kernel, pointer, threads):
                kernel(pointer, 0, 1)
    finally:
        INSIDE[thread] = False
        if CLOSED:
            stay_outside()


if _guard.MODE:
    run = _guard.guarded(run)  # type: ignore[assignment]


def threads_for(work: float) -> int:
    """Return the number of threads for a piece of work: one, or as many as torch uses.

    Nothing in between: OpenMP ends and starts threads when the team size changes. Never more than the number
    of processors: threads that wait for each other at every step must all run.

    Args:
        work: an estimate of its multiply-adds.
    """
    if work < _WORTH_A_SECOND or _forked or (_losses.until and _works_alone()):
        return 1
    return min(int(torch.get_num_threads()), processors())


def is_for_one(work: float) -> bool:
    """Tell whether so little work is always done by one thread; see `threads_for`."""
    return work < _WORTH_A_SECOND


def contiguous(tensor: torch.Tensor) -> torch.Tensor:
    """Return `tensor.contiguous()`, copied by one thread while one works alone.

    torch divides a copy among its threads, and would wait for the one that has lost its processor.
    """
    if not _losses.until or tensor.is_contiguous() or not _works_alone():
        return tensor.contiguous()
    lines = max(1, _COPIED_BY_ONE * tensor.shape[0] // tensor.numel())
    found = torch.empty_like(tensor, memory_format=torch.contiguous_format)
    for start in range(0, tensor.shape[0], lines):
        found[start : start + lines] = tensor[start : start + lines]
    return found


def pays(nanoseconds: float, barriers: int, threads: int, exchanged: float = 0.0) -> bool:
    """Tell whether work is worth more than one thread, on a machine that does nothing else.

    Args:
        nanoseconds: an estimate of the time that one thread takes.
        barriers: how often threads wait for each other.
        threads: how many there would be.
        exchanged: nanoseconds of every barrier in which values come from the other threads: `exchange`.
    """
    # What is saved must be twice what it costs: the estimate is rough, and a machine is seldom quiet.
    saved = nanoseconds * (1 - 1 / threads)
    return saved > 2 * (_START + barriers * (threads * _BARRIER + exchanged))


def exchange(rows: int, row_bytes: int) -> float:
    """Return how many nanoseconds it takes to get rows of values of which other cores wrote parts.

    Args:
        rows: how many rows.
        row_bytes: bytes of a row. Where they fill no lines of the cache, two cores write to the same lines.
    """
    lines = rows * row_bytes / _LINE_BYTES
    return lines * _LINE + (rows * _SHARED_LINE if row_bytes % _LINE_BYTES else 0.0)


class _Losses:
    """When the last loss was, until when one thread works alone, and for how long it does, in seconds.

    Also what other programs had used when the rest began; None if it will not be asked, or is not known.
    """

    last = -1e9
    until = 0.0
    rest = 0.0
    used_by_others: float | None = None


_losses = _Losses()


def _works_alone() -> bool:
    """Tell whether one thread works alone because of losses; go on so while other programs still compute.

    To try with all threads again would lose two more runs. It is tried if nobody asked for long: what others
    did meanwhile says little about now. If they hardly computed, the losses were an accident.
    """
    now = time.monotonic()
    if now < _losses.until:
        return True
    before, _losses.used_by_others = _losses.used_by_others, None
    if before is None or now > _losses.until + _losses.rest:
        return False
    used = seconds_of_others()
    if used is None:
        return False
    if used - before < _BUSY * (now - (_losses.until - _losses.rest)):
        _losses.rest = _SHORTEST_REST
        return False
    _begin_rest(min(2 * _losses.rest, _LONGEST_REST), now)
    return True


def _begin_rest(rest: float, now: float) -> None:
    _losses.rest, _losses.until, _losses.last = rest, now + rest, -1e9
    _losses.used_by_others = seconds_of_others() if rest >= _REST_TO_MEASURE else None


def report(checks: int, seconds: float) -> None:
    """Report a run in which threads waited long for each other.

    Args:
        checks: how often they checked in long waits, see `kernel_function`.
        seconds: how long the run took.
    """
    if checks * _CHECK > _MUCH * seconds:
        lose(seconds)


def lose(seconds: float) -> None:
    """Let one thread work alone for some time, after two runs that waited for a thread without a processor.

    A single one tells little: a thread that slept may begin on the processor of the one that woke it.

    Args:
        seconds: how long the run took.
    """
    now = time.monotonic()
    if now < _losses.until:
        return  # the same run, reported twice
    before, _losses.last = _losses.last, now
    if now - before > max(_SOON, 4 * seconds):
        return
    # Two more runs were needed to find out that a processor is still missing, and may last longer than rests.
    again = now < _losses.until + 4 * max(_losses.rest, seconds)
    if again:
        rest = max(min(2 * _losses.rest, _LONGEST_REST), _RUNS_OF_REST * seconds, _REST_TO_MEASURE)
    else:
        rest = max(_SHORTEST_REST, 2 * seconds)
    _begin_rest(rest, now)


@cache
def processors() -> int:
    """Return how many processors this process may use, the most threads that any work gets."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _team() -> Callable[[int, int, int], int] | None:
    """Return a function that runs a kernel on torch's workers; None if they can't be reached.

    Its result is 1 if the calling thread waited long for the others in the end, else 0.
    """
    library = _openmp()
    if library is None:
        return None
    callees = {name: _address(library, name) for name in _OPENMP[1:]}
    callees["clock_gettime"] = _address(ctypes.CDLL(None), "clock_gettime")
    if not callees["clock_gettime"]:
        return None
    clock = str(time.CLOCK_MONOTONIC)
    code = compiled(("OpenMP team", clock), ("nabi_team",), lambda: _code(clock), host(), callees=callees)
    team = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 3, ctypes.c_int64)(code.address("nabi_team"))
    parallel = _address(library, "GOMP_parallel")
    return lambda address, arguments, threads: team(parallel, address, arguments, threads)


def _openmp() -> Any:
    """Return the OpenMP library used by torch, or None, without loading any library.

    The functions are looked up like the system's linker does for torch: first among the global symbols, which
    include preloaded libraries, then among those visible to torch's own library.
    """
    flag = getattr(os, "RTLD_NOLOAD", None)
    if flag is None:
        return None
    folder = Path(torch.__file__).parent / "lib"
    libraries = [ctypes.CDLL(None)]
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        with suppress(OSError):
            libraries.append(ctypes.CDLL(str(folder / name), mode=flag | os.RTLD_LAZY))
    if sys.platform == "darwin":  # there, a library's own dependencies come first
        libraries.reverse()
    for library in libraries:
        if all(_address(library, name) for name in _OPENMP):
            return library
    return None


def _address(library: ctypes.CDLL, name: str) -> int:
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    except AttributeError:
        return 0


def _code(clock: str) -> str:
    """Return the code that runs a kernel in a team and asks how long its first thread waited for the others.

    Every thread of the team gets its number and calls the kernel; the first and the last one then note the
    time. If the first one has lost its processor, it waits for nobody, but ends long after the last one.
    """
    return f"""
        declare i32 @omp_get_thread_num() nounwind
        declare i32 @omp_get_num_threads() nounwind
        declare i32 @clock_gettime(i32, ptr) nounwind

        define internal i64 @now() nounwind {{
          %time = alloca [2 x i64], align 8
          %result = call i32 @clock_gettime(i32 {clock}, ptr %time)
          %seconds = load i64, ptr %time, align 8
          %place = getelementptr i64, ptr %time, i64 1
          %rest = load i64, ptr %place, align 8
          %whole = mul i64 %seconds, 1000000000
          %all = add i64 %whole, %rest
          ret i64 %all
        }}

        define internal i1 @is_lost(i64 %waited, i64 %own) nounwind {{
          %is_long = icmp sgt i64 %waited, {_LONG_WAIT}
          %thrice = mul i64 %waited, 3
          %is_much = icmp sgt i64 %thrice, %own
          %result = and i1 %is_long, %is_much
          ret i1 %result
        }}

        define internal void @entry(ptr %data) nounwind {{
          %kernel = load ptr, ptr %data, align 8
          %second = getelementptr i64, ptr %data, i64 1
          %arguments = load ptr, ptr %second, align 8
          %number = call i32 @omp_get_thread_num()
          %count = call i32 @omp_get_num_threads()
          %thread = sext i32 %number to i64
          %threads = sext i32 %count to i64
          call void %kernel(ptr %arguments, i64 %thread, i64 %threads)
          %before = sub i32 %count, 1
          %is_first = icmp eq i32 %number, 0
          %is_last = icmp eq i32 %number, %before
          %notes = or i1 %is_first, %is_last
          br i1 %notes, label %note, label %out
        note:
          %end = call i64 @now()
          %place = select i1 %is_first, i64 2, i64 3
          %at = getelementptr i64, ptr %data, i64 %place
          store i64 %end, ptr %at, align 8
          br label %out
        out:
          ret void
        }}

        define i64 @nabi_team(ptr %parallel, ptr %kernel, ptr %arguments, i64 %threads) nounwind {{
          %data = alloca [4 x i64], align 8
          %second = getelementptr i64, ptr %data, i64 1
          %third = getelementptr i64, ptr %data, i64 2
          %fourth = getelementptr i64, ptr %data, i64 3
          store ptr %kernel, ptr %data, align 8
          store ptr %arguments, ptr %second, align 8
          %start = call i64 @now()
          store i64 %start, ptr %fourth, align 8
          %count = trunc i64 %threads to i32
          call void %parallel(ptr @entry, ptr %data, i32 %count, i32 0)
          %end = call i64 @now()
          %own_end = load i64, ptr %third, align 8
          %own = sub i64 %own_end, %start
          %waited = sub i64 %end, %own_end
          %waited_long = call i1 @is_lost(i64 %waited, i64 %own)
          %last_end = load i64, ptr %fourth, align 8
          %of_last = sub i64 %last_end, %start
          %is_known = icmp sgt i64 %of_last, 0
          %late = sub i64 %own_end, %last_end
          %is_late = call i1 @is_lost(i64 %late, i64 %of_last)
          %came_late = and i1 %is_known, %is_late
          %is_lost = or i1 %waited_long, %came_late
          %result = zext i1 %is_lost to i64
          ret i64 %result
        }}
        """
