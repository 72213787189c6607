"""Kernels that run one after the other by a single call from Python.

A call from Python takes a microsecond, as long as a small kernel. Kernels whose arguments lie in blocks that
stay are therefore put into a list, and one call goes through it.
"""

import ctypes
from collections.abc import Sequence
from functools import cache

from nabi.native import threads as _threads
from nabi.native._code._cache import compiled
from nabi.native._code._machine import host
from nabi.native.addresses import GUARDED, arguments
from nabi.native.bound import Run

__all__ = ["KernelList"]


class KernelList:
    """Kernels in the order in which they run.

    Args:
        runs: the kernels with their arguments.

    Raises:
        NativeError: if the code that goes through the list cannot be compiled.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = list(runs)
        self._address = 0 if GUARDED else _address()
        values = (
            [] if GUARDED else [part for run in runs for part in (run.address, ctypes.addressof(run.block))]
        )
        self._block = arguments(1 + 2 * len(runs), [len(values), *values])

    def replace_last(self, run: Run) -> None:
        """Put another run in the place of the last one."""
        last = self._runs[-1]
        if run.block is last.block and run.address == last.address:
            return
        self._runs[-1] = run
        if not GUARDED:
            self._block[-2:] = [run.address, ctypes.addressof(run.block)]

    def run(self) -> None:
        """Run them all."""
        if GUARDED:  # each is checked by itself
            for address, block in self._runs:
                _threads.run(address, block, 1)
        else:
            _threads.run(self._address, self._block, 1)


@cache
def _address() -> int:
    return compiled(("kernel list",), ("nabi_list",), _write, host(), callees={}).address("nabi_list")


def _write() -> str:
    """Return the code: the arguments are the number of words that follow, then kernels and their blocks."""
    return """
        define void @nabi_list(ptr %block, i64 %thread, i64 %threads) nounwind {
        entry:
          %words = load i64, ptr %block, align 8
          %first = getelementptr i64, ptr %block, i64 1
          %end = getelementptr i64, ptr %first, i64 %words
          br label %head
        head:
          %at = phi ptr [ %first, %entry ], [ %next, %body ]
          %done = icmp uge ptr %at, %end
          br i1 %done, label %out, label %body
        body:
          %kernel = load ptr, ptr %at, align 8
          %place = getelementptr i64, ptr %at, i64 1
          %arguments = load ptr, ptr %place, align 8
          call void %kernel(ptr %arguments, i64 0, i64 1)
          %next = getelementptr i64, ptr %at, i64 2
          br label %head
        out:
          ret void
        }
        """
