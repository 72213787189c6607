"""Memory for kernels: working memory, what a backward pass needs, and large results.

Fresh memory costs more than most kernels do with it: the system clears every page on first touch (a quarter
of the time of some layers). So a thread keeps its working memory, what a backward pass has used up serves
the next forward pass, and the memory of a large result that nobody holds any more serves the next result.
"""

import ctypes
import mmap
import threading
import weakref
from collections import deque
from math import prod

import torch
from torch import Tensor

from nabi.native.addresses import GUARDED, Layout, start_of, to_read

__all__ = ["KEPT", "LARGE", "Block", "fresh", "give_back", "new_memory", "take", "working_memory", "zeros"]

_ALIGNMENT = 64
KEPT = 256 << 20
"""Bytes that are kept for later at most, of either kind."""

LARGE = 512 << 10
"""From so many bytes on a result gets memory that is used again."""

Block = tuple[Tensor, int]
"""Memory, and where arrays begin in it. An address lives no longer than the tensor: hold both."""

# Python shares such memory with forked children unless it is told not to. Each would then write its results
# over those of the other.
_PRIVATE: dict[str, int] = {}
if hasattr(mmap, "MAP_PRIVATE"):
    _PRIVATE["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

_own = threading.local()
_free: deque[Tensor] = deque()
_maps: deque[mmap.mmap] = deque()
_zeros: list[Tensor] = []


def _fresh(size: int) -> Tensor:
    # A tensor made in inference mode could not be used outside it.
    with torch.inference_mode(False):
        return torch.empty(size + _ALIGNMENT, dtype=torch.uint8)


def working_memory(layout: Layout) -> Block:
    """Return memory that is this thread's until it asks again.

    Much of it is not kept, and another call in this thread may ask for more: so the block of arguments that
    is given addresses in it holds it as `block.memory`.
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


def new_memory(layout: Layout) -> Block:
    """Return memory of the caller's own, in which one kernel leaves what another reads."""
    memory = _fresh(layout.size)
    return memory, start_of(memory, layout, True)


def zeros(size: int) -> int:
    """Return the address of so many bytes that are zero; nobody writes there, and they stay for ever."""
    for kept in _zeros:
        if kept.numel() >= size:
            return to_read(kept)
    found = _fresh(max(2 * size, 4096)).zero_()
    _zeros.append(found)
    return to_read(found)


def take(layout: Layout) -> Block:
    """Return memory for a record: what was given back before, when it is not much larger, or new."""
    size = layout.size
    for _ in range(len(_free)):
        try:
            memory = _free.popleft()
        except IndexError:
            break
        if size <= memory.numel() - _ALIGNMENT <= size + size // 4 + 4096:
            return memory, start_of(memory, layout, True)
        _free.append(memory)
    return new_memory(layout)


def give_back(memory: Tensor) -> None:
    """Keep memory for the next that takes it; the oldest goes when there is too much.

    Whatever frees the last reference to a record calls this, the garbage collector too, at any moment and in
    any thread: so nothing here waits for a lock.
    """
    if memory.numel() > KEPT:
        return  # it would only push out what others can use
    _free.append(memory)
    while sum(kept.numel() for kept in list(_free)) > KEPT:
        try:
            _free.popleft()
        except IndexError:
            return


def fresh(shape: tuple[int, ...], dtype: torch.dtype, strides: tuple[int, ...] = ()) -> Tensor:
    """Return a tensor for a result; a large one in memory that comes back when its last user lets go.

    Args:
        shape: its shape.
        dtype: its type.
        strides: in which order the elements lie in memory, without gaps; if none are given contiguous.
    """
    count = prod(shape)
    size = count * dtype.itemsize
    if size < LARGE:
        if not strides:
            return torch.empty(shape, dtype=dtype)
        return torch.empty_strided(shape, strides, dtype=dtype)
    memory = _map_of(size)
    # The tensor holds the loan and the loan the map; both are gone together with the last view of them.
    loan = (ctypes.c_char * size).from_buffer(memory)
    weakref.finalize(loan, _take_back, memory).atexit = False
    found = torch.frombuffer(loan, dtype=dtype, count=count)
    # A tensor of the same memory, because autograd forbids changing a view that a function made.
    return found.new_empty(0).set_(found.untyped_storage(), 0, shape, strides)


def _map_of(size: int) -> mmap.mmap:
    for _ in range(len(_maps)):
        try:
            memory = _maps.popleft()
        except IndexError:
            break
        if size <= len(memory) <= size + size // 4:
            return memory
        _maps.append(memory)
    memory = mmap.mmap(-1, size, **_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _take_back(memory: mmap.mmap) -> None:
    """Keep the memory of a result; as `give_back`, called at any moment."""
    if len(memory) > KEPT:
        return
    _maps.append(memory)
    while sum(len(kept) for kept in list(_maps)) > KEPT:
        try:
            _maps.popleft()
        except IndexError:
            return
