"""Kernels run by several threads, those of torch where that is possible.

After an operation of torch its OpenMP workers spin for some time on the cores that they had. Threads of
anyone else would share these cores with them, so kernels enter the same OpenMP library and are run by the
same workers: through `GOMP_parallel`, which GCC's library has and LLVM's and Intel's have too.

A kernel is `void kernel(ptr arguments, i64 thread, i64 threads)`. It is told how many threads have really
come, which may be fewer than were asked for.
"""

import ctypes
import os
import sys
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
from nabi.native._pool import Pool

__all__ = ["COUNTER_STRIDE", "run", "symbols", "threads_for"]

COUNTER_STRIDE = 8
"""Counters of barriers lie on cache lines of their own: this many 64-bit words apart."""

_Kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
# Multiply-adds below which a second thread costs more than it takes over.
_WORTH_A_SECOND = 1.0e6

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
    """Run a kernel and wait for its end; Python's global lock is free meanwhile.

    Args:
        address: of the kernel.
        arguments: the block of arguments, or its address.
        threads: how many shall run it; fewer may come, in a forked child always one.
    """
    kernel = _kernels.get(address)
    if kernel is None:
        kernel = _kernels[address] = _Kernel(address)
    alone = threads < 2 or _forked
    team = None if alone else _team()  # may compile, which is a section of its own
    thread = get_ident()
    INSIDE[thread] = True
    if CLOSED:
        stay_outside()
    try:
        if alone:
            kernel(arguments, 0, 1)
        else:
            pointer = arguments if isinstance(arguments, int) else ctypes.addressof(arguments)
            if team is not None:
                team(address, pointer, threads)
            elif not _pool.run(kernel, pointer, threads):
                kernel(pointer, 0, 1)
    finally:
        INSIDE[thread] = False
        if CLOSED:
            stay_outside()


if _guard.MODE:
    run = _guard.guarded(run)  # type: ignore[assignment]


def threads_for(work: float) -> int:
    """Return how many threads a piece of work deserves: one, or as many as torch uses.

    Nothing between the two: OpenMP ends and starts threads when a team is of another size than the last.
    Never more than there are processors: threads that wait for each other at every step must all run.

    Args:
        work: an estimate of its multiply-adds.
    """
    if work < _WORTH_A_SECOND or _forked:
        return 1
    return min(int(torch.get_num_threads()), _processors())


@cache
def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _team() -> Callable[[int, int, int], None] | None:
    """A function that runs a kernel by torch's own workers; None where these cannot be reached."""
    library = _openmp()
    if library is None:
        return None
    callees = {name: _address(library, name) for name in _OPENMP[1:]}
    entry = compiled(("OpenMP entry",), ("nabi_entry",), _entry, host(), callees=callees)
    begin = entry.address("nabi_entry")
    parallel = library.GOMP_parallel
    parallel.restype = None
    parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    pair = ctypes.c_void_p * 2

    def team(address: int, arguments: int, threads: int) -> None:
        data = pair(address, arguments)
        parallel(begin, ctypes.addressof(data), threads, 0)

    return team


def _openmp() -> Any:
    """The OpenMP library that torch itself calls, or None. No library is opened that is not open already.

    What torch's functions are bound to is found as the system's linker found it: first among the names that
    are visible to all, as a preloaded library is, then among those that torch's own library sees.
    """
    flag = getattr(os, "RTLD_NOLOAD", None)
    if flag is None:
        return None
    folder = Path(torch.__file__).parent / "lib"
    libraries = [ctypes.CDLL(None)]
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        with suppress(OSError):
            libraries.append(ctypes.CDLL(str(folder / name), mode=flag | os.RTLD_LAZY))
    if sys.platform == "darwin":  # there a library's own dependencies come first
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


def _entry() -> str:
    """What each thread of a team begins with: find out which it is, and call the kernel."""
    return """
        declare i32 @omp_get_thread_num() nounwind
        declare i32 @omp_get_num_threads() nounwind

        define void @nabi_entry(ptr %data) nounwind {
          %kernel = load ptr, ptr %data, align 8
          %second = getelementptr ptr, ptr %data, i64 1
          %arguments = load ptr, ptr %second, align 8
          %number = call i32 @omp_get_thread_num()
          %count = call i32 @omp_get_num_threads()
          %thread = sext i32 %number to i64
          %threads = sext i32 %count to i64
          call void %kernel(ptr %arguments, i64 %thread, i64 %threads)
          ret void
        }
        """
