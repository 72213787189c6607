"""Multithreaded kernels, using torch's threads if possible.

After a torch operation, its OpenMP workers keep spinning on their cores for some time, and other threads
would compete with them. So kernels enter the same OpenMP library and run on the same workers, through
`GOMP_parallel`, which GCC's, LLVM's and Intel's libraries provide.

A kernel is `void kernel(ptr arguments, i64 thread, i64 threads)`. `threads` is the actual number of threads,
which may be lower than requested.
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

__all__ = ["COUNTER_STRIDE", "processors", "run", "symbols", "threads_for"]

COUNTER_STRIDE = 8
"""Distance of barrier counters in 64-bit words, so that each has its own cache line."""

_Kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
# Multiply-adds below which a second thread costs more than it gains.
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
    """Return the number of threads for a piece of work: one, or as many as torch uses.

    Nothing in between: OpenMP ends and starts threads when the team size changes. Never more than the number
    of processors: threads that wait for each other at every step must all run.

    Args:
        work: an estimate of its multiply-adds.
    """
    if work < _WORTH_A_SECOND or _forked:
        return 1
    return min(int(torch.get_num_threads()), processors())


@cache
def processors() -> int:
    """Return how many processors this process may use, the most threads that any work gets."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _team() -> Callable[[int, int, int], None] | None:
    """Return a function that runs a kernel on torch's workers; None if they can't be reached."""
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


def _entry() -> str:
    """Return the entry function of each thread of a team: it gets its number and calls the kernel."""
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
