"""Memory that all workers of one machine see."""

import contextlib
import mmap
import os
import secrets
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from nabi.training._workers._group import Workers

__all__ = ["SharedMemory", "bytes_of"]

_LINE = 64  # bytes of a cache line; what different workers write lies in different ones
_MARK = 16  # bytes by which a worker knows the memory of the first


def bytes_of(shape: Sequence[int], dtype: torch.dtype) -> int:
    """Return how much of a `SharedMemory` a tensor takes."""
    return -(-prod(shape) * dtype.itemsize // _LINE) * _LINE


class SharedMemory:
    """Memory that all workers see; it has no name, so nothing is left of it when they end, however they do.

    Args:
        memory: all of it.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory, self._used = memory, _LINE

    @classmethod
    def of(cls, workers: Workers, size: int) -> "SharedMemory | None":
        """Return as many bytes of memory, in all workers; None in all if they cannot share any.

        That is so on several machines or in several containers, outside of Linux, and where there is not
        enough.
        """
        own = _make(size + _LINE) if workers.is_first else None
        told = None if own is None else (f"/proc/{os.getpid()}/fd/{own}", os.pread(own, _MARK, 0))
        told = workers.from_first(told)
        memory = None
        if own is not None:
            memory = _see(own, size + _LINE)
        elif told is not None:
            path, mark = told
            memory = _see_that_of_first(path, mark, size + _LINE)
        nobody_lacks_it = not workers.any(memory is None)
        if own is not None:
            os.close(own)
        return cls(memory) if memory is not None and nobody_lacks_it else None

    def tensor(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return the next piece of it; all workers ask for the same in the same order. Zeros at first."""
        begin = self._take(bytes_of(shape, dtype))
        return torch.frombuffer(self._memory, dtype=dtype, count=prod(shape), offset=begin).view(*shape)

    def numbers(self, count: int) -> memoryview:
        """Return the next piece of it as so many numbers in int64, which Python reads and writes fast."""
        begin = self._take(bytes_of([count], torch.int64))
        return memoryview(self._memory)[begin : begin + 8 * count].cast("q")

    def _take(self, size: int) -> int:
        begin = self._used
        self._used += size
        return begin


def _make(size: int) -> int | None:
    """Return the number of a new file in memory; None if there is no such thing, or not as much."""
    if not hasattr(os, "memfd_create"):
        return None
    with contextlib.suppress(OSError):
        file = os.memfd_create("nabi workers")
        try:
            os.posix_fallocate(file, 0, size)
            os.pwrite(file, secrets.token_bytes(_MARK), 0)
        except OSError:
            os.close(file)
            raise
        return file
    return None


def _see(file: int, size: int) -> mmap.mmap | None:
    with contextlib.suppress(OSError, ValueError):
        return mmap.mmap(file, size)
    return None


def _see_that_of_first(path: str, mark: bytes, size: int) -> mmap.mmap | None:
    # On another machine there is no such file, or it is another one.
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_RDWR)
        try:
            return _see(file, size) if os.pread(file, _MARK, 0) == mark else None
        finally:
            os.close(file)
    return None
