"""Memory for kernels: working memory that a thread uses again and again, and memory that outlives a run.

Fresh memory costs more than most kernels do with it: the system clears every page on first touch. So a
thread keeps its working memory, and what a backward pass has used up serves the next forward pass.
"""

import threading
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["Block", "give_back", "lay_out", "take", "working_memory", "zeros"]

_ALIGNMENT = 64
_KEPT = 256 << 20
"""Bytes that are kept for later at most, of either kind."""

Block = tuple[Tensor, int]
"""Memory, and the first address in it that begins a cache line."""

_own = threading.local()
_lock = threading.Lock()
_free: list[Tensor] = []
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
    with _lock:
        if not _zeros or _zeros[-1].numel() < size:
            _zeros.append(_fresh(max(2 * size, 4096)).zero_())
        return _zeros[-1].data_ptr()


def take(size: int) -> Block:
    """Return memory of at least this size: one given back before, when it is not much larger, or new."""
    with _lock:
        for place, memory in enumerate(_free):
            if size <= memory.numel() - _ALIGNMENT <= size + size // 4 + 4096:
                return _block(_free.pop(place))
    return _block(_fresh(size))


def give_back(memory: Tensor) -> None:
    """Keep memory for the next that takes it; the oldest goes when there is too much."""
    with _lock:
        _free.append(memory)
        while sum(kept.numel() for kept in _free) > _KEPT:
            _free.pop(0)
