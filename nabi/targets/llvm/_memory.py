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
from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

__all__ = ["LARGE", "Block", "fresh", "give_back", "lay_out", "take", "working_memory", "zeros"]

_ALIGNMENT = 64
_KEPT = 256 << 20
"""Bytes that are kept for later at most, of either kind."""

LARGE = 512 << 10
"""From so many bytes on a result gets memory that is used again."""

Block = tuple[Tensor, int]
"""Memory, and the first address in it that begins a cache line."""

# Python shares such memory with forked children unless it is told not to. Each would then write its results
# over those of the other.
_PRIVATE: dict[str, int] = {}
if hasattr(mmap, "MAP_PRIVATE"):
    _PRIVATE["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

_own = threading.local()
_free: deque[Tensor] = deque()
_maps: deque[mmap.mmap] = deque()
_zeros: list[Tensor] = []


def lay_out(sizes: Mapping[str, int], item_size: int) -> tuple[dict[str, int], int]:
    """Place arrays behind one another, each on a cache line of its own.

    Args:
        sizes: elements of each array.
        item_size: bytes of an element.

    Returns:
        The offset of each array in bytes, and the bytes of all.
    """
    places: dict[str, int] = {}
    at = 0
    for name, size in sizes.items():
        places[name] = at
        # Arrays whose sizes are powers of two would else compete for the same lines of the cache.
        at += -(-size * item_size // _ALIGNMENT) * _ALIGNMENT + _ALIGNMENT
    return places, at


def _fresh(size: int) -> Tensor:
    # A tensor made in inference mode could not be used outside it.
    with torch.inference_mode(False):
        return torch.empty(size + _ALIGNMENT, dtype=torch.uint8)


def _block(memory: Tensor) -> Block:
    start = memory.data_ptr()
    return memory, start + -start % _ALIGNMENT


def working_memory(size: int) -> Block:
    """Return memory that is this thread's until it asks again."""
    kept: Block | None = getattr(_own, "memory", None)
    if kept is not None and kept[0].numel() >= size + _ALIGNMENT:
        return kept
    found = _block(_fresh(size))
    if size <= _KEPT:
        _own.memory = found
    return found


def zeros(size: int) -> int:
    """Return the address of so many bytes that are zero; nobody writes there, and they stay for ever."""
    found = next((kept for kept in _zeros if kept.numel() >= size), None)
    if found is None:
        found = _fresh(max(2 * size, 4096)).zero_()
        _zeros.append(found)
    return found.data_ptr()


def take(size: int) -> Block:
    """Return memory of at least this size: one given back before, when it is not much larger, or new."""
    for _ in range(len(_free)):
        try:
            memory = _free.popleft()
        except IndexError:
            break
        if size <= memory.numel() - _ALIGNMENT <= size + size // 4 + 4096:
            return _block(memory)
        _free.append(memory)
    return _block(_fresh(size))


def give_back(memory: Tensor) -> None:
    """Keep memory for the next that takes it; the oldest goes when there is too much.

    Whatever frees the last reference to a record calls this, the garbage collector too, at any moment and in
    any thread: so nothing here waits for a lock.
    """
    _free.append(memory)
    while sum(kept.numel() for kept in list(_free)) > _KEPT:
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
    _maps.append(memory)
    while sum(len(kept) for kept in list(_maps)) > _KEPT:
        try:
            _maps.popleft()
        except IndexError:
            return
