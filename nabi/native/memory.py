"""Memory for kernels: working memory, records for the backward pass, and large results.

Fresh memory costs more than most kernels' work on it: the system clears every page on first access (a quarter
of the time of some layers). So a thread keeps its working memory, the memory of a finished backward pass is
reused by the next forward pass, and the memory of a large unused result by the next result.
"""

import ctypes
import mmap
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import prod

import torch
from torch import Tensor

from nabi.native.addresses import GUARDED, Layout, start_of, to_read

__all__ = [
    "KEPT",
    "LARGE",
    "Block",
    "fresh",
    "fresh_like",
    "give_back",
    "new_memory",
    "take",
    "working_memory",
    "zeros",
]

_ALIGNMENT = 64


def _most_kept() -> int:
    """Return the sixteenth part of the machine's memory, but 256 MiB at least and 1 GiB at most."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has none of it
        memory = 0
    return min(1 << 30, max(256 << 20, memory // 16))


KEPT = _most_kept()
"""The maximum number of bytes kept for reuse, of each kind."""

_HUGE = 8 << 20
"""The size in bytes from which other memory is in large pages, of which most have 2 MiB."""

LARGE = 512 << 10
"""The size in bytes from which a result gets reusable memory."""

Block = tuple[Tensor, int]
"""Memory and the start of the arrays in it. An address is valid only while the tensor lives: hold both."""

# By default, Python shares such memory with forked children. Parent and child would then overwrite each
# other's results.
_PRIVATE: dict[str, int] = {}
if hasattr(mmap, "MAP_PRIVATE"):
    _PRIVATE["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

_own = threading.local()
_free: deque[Tensor] = deque()
_maps: deque[mmap.mmap] = deque()
_zeros: list[Tensor] = []


def _fresh(size: int) -> Tensor:
    # A tensor created in inference mode can't be used outside it.
    with torch.inference_mode(False):
        if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            return torch.frombuffer(_map(size + _ALIGNMENT), dtype=torch.uint8)
        return torch.empty(size + _ALIGNMENT, dtype=torch.uint8)


def _map(size: int) -> mmap.mmap:
    """Return fresh memory, in large pages where the system has them.

    It clears those ten times as fast, and a processor remembers the places of more memory.
    """
    memory = mmap.mmap(-1, size, **_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel that was built without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def working_memory(layout: Layout) -> Block:
    """Return memory that belongs to this thread until its next request.

    Large memory is not kept, and another call in this thread may request more; so the argument block with its
    addresses holds it as `block.memory`.
    """
    size = layout.size
    kept: tuple[Block, int] | None = getattr(_own, "memory", None)
    if kept is not None and kept[1] >= size:
        return (kept[0][0], start_of(kept[0][0], layout, False)) if GUARDED else kept[0]
    memory = _fresh(size)
    found = memory, start_of(memory, layout, False)
    if size <= KEPT:
        _own.memory = found, size
    return found


def new_memory(layout: Layout, *, kept: bool = True) -> Block:
    """Return memory owned by the caller: to pass data between kernels, or working memory if not `kept`."""
    memory = _fresh(layout.size)
    return memory, start_of(memory, layout, kept)


def zeros(size: int) -> int:
    """Return the address of `size` zero bytes that are never written and never freed."""
    for kept in _zeros:
        if kept.numel() >= size:
            return to_read(kept)
    found = _fresh(max(2 * size, 4096)).zero_()
    _zeros.append(found)
    return to_read(found)


def take(layout: Layout) -> Block:
    """Return memory for a record: returned memory that is not much larger, or new memory."""
    size = layout.size
    for _ in range(len(_free)):
        try:
            memory = _free.pop()  # of a training, what came back last is what is needed next
        except IndexError:
            break
        if size <= memory.numel() - _ALIGNMENT <= size + size // 4 + 4096:
            return memory, start_of(memory, layout, True)
        _free.appendleft(memory)
    return new_memory(layout)


def give_back(memory: Tensor) -> None:
    """Keep memory for the next `take`; free the oldest if there is too much.

    It is called when the last reference to a record is freed, possibly by the garbage collector, at any
    moment and in any thread; so nothing here waits for a lock.
    """
    if memory.numel() > KEPT:
        return  # it would only displace reusable memory
    _free.append(memory)
    while sum(map(Tensor.numel, list(_free))) > KEPT:
        try:
            _free.popleft()
        except IndexError:
            return


def fresh(shape: tuple[int, ...], dtype: torch.dtype, strides: tuple[int, ...] = ()) -> Tensor:
    """Return a tensor for a result; the memory of a large one is reused after its last user releases it.

    Args:
        shape: its shape.
        dtype: its dtype.
        strides: the order of the elements in memory, without gaps (default: contiguous).
    """
    count = prod(shape)
    size = count * dtype.itemsize
    if size < LARGE:
        if not strides:
            return torch.empty(shape, dtype=dtype)
        return torch.empty_strided(shape, strides, dtype=dtype)
    memory = _map_of(size)
    # The tensor holds the loan and the loan holds the map; both are freed with the last view of them.
    loan = (ctypes.c_char * size).from_buffer(memory)
    weakref.finalize(loan, _take_back, memory).atexit = False
    found = torch.frombuffer(loan, dtype=dtype, count=count)
    # A new tensor on the same memory, because autograd forbids changing a view made by a function.
    return found.new_empty(0).set_(found.untyped_storage(), 0, shape, strides)


def fresh_like(
    shape: tuple[int, ...], dtype: torch.dtype, strides: tuple[int, ...] = ()
) -> Callable[[], Tensor]:
    """Return a function that does what `fresh` does for these arguments, in half of the time.

    For a small result torch needs most of the time to read the arguments.
    """
    if prod(shape) * dtype.itemsize >= LARGE:
        return partial(fresh, shape, dtype, strides)
    with torch.inference_mode(False):
        like = torch.empty(shape, dtype=dtype, device="cpu")
        if strides:
            like = torch.empty_strided(shape, strides, dtype=dtype, device="cpu")
    like.untyped_storage().resize_(0)
    return partial(torch.empty_like, like)


def _map_of(size: int) -> mmap.mmap:
    for _ in range(len(_maps)):
        try:
            memory = _maps.popleft()
        except IndexError:
            break
        if size <= len(memory) <= size + size // 4:
            return memory
        _maps.append(memory)
    return _map(size)


def _take_back(memory: mmap.mmap) -> None:
    """Keep the memory of a result; like `give_back`, called at any moment."""
    if len(memory) > KEPT:
        return
    _maps.append(memory)
    while sum(len(kept) for kept in list(_maps)) > KEPT:
        try:
            _maps.popleft()
        except IndexError:
            return
