"""A debug mode for native code: guard pages, poisoned memory, and checks of ownership.

`NABI_GUARD=end` or `NABI_GUARD=begin` turns it on for a process. Each kernel run then works on copies of all
its arguments: the argument block, inputs, weights, packed weights, working memory, results. A copy lies
between two inaccessible pages, directly before the second or directly after the first.

- Reading or writing outside an array, or writing to a read-only argument, ends the process with a
  segmentation fault (run Python with `-X faulthandler` to see the call).
- Results and working memory are NaN before the run. A result with an unwritten element is refused, and values
  read too early turn into NaN, which tests detect.
- Refused are: an address that does not come from `nabi.native.addresses`, an address whose tensor has been
  freed, working memory that the block does not hold, and two overlapping arrays one of which is written.

It is slow, and intended for tests and for writing kernels.
"""

import ctypes
import mmap
import os
import sys
from array import array
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from nabi.native._layout import Layout

__all__ = [
    "MODE",
    "POISON",
    "MemoryFaultError",
    "block",
    "block_type",
    "guarded",
    "of_array",
    "start_of",
    "to_fill",
    "to_read",
    "to_update",
]

MODE = os.environ.get("NABI_GUARD", "")
"""Whether arrays lie at the `end` or the `begin` of their pages, or nothing is guarded."""

POISON = 0x7FFDBEEF
"""Words of unwritten memory: a quiet NaN in both dtypes."""

_READ, _FILL, _UPDATE, _SCRATCH = "read", "fill", "update", "scratch"
_NOBODY = 0
"""Inaccessible pages (PROT_NONE, which the module `mmap` does not define)."""

_ADDRESSES = range(1 << 32, 1 << 47)
"""The range of addresses; neither a count nor the bits of a double lie in it."""


class MemoryFaultError(RuntimeError):
    """The memory of a kernel's argument is invalid."""


class _Note(NamedTuple):
    """Facts about an address: bytes, the kernel's use of it, and a weak reference to the memory."""

    size: int
    use: str
    memory: Any


class _Address(int):
    """An address with a note, which an argument block keeps."""

    note: _Note

    def __eq__(self, other: object) -> bool:
        # A tensor at the former address of another is not the same.
        memory = other.note.memory if isinstance(other, _Address) else self.note.memory
        return int(self) == other and self.note.memory == memory

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


class _Start(int):
    """The start of a layout's arrays; adding the offset of an array yields its address."""

    notes: dict[int, _Note]

    def __add__(self, offset: int) -> int:
        return _address(int(self) + offset, self.notes[offset])


def _address(value: int, note: _Note) -> int:
    found = _Address(value)
    found.note = note
    return found


def _bytes_of(tensor: Tensor) -> int:
    """Return the bytes from the first element of a tensor to the end of its last one."""
    if not tensor.numel():
        return 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


def _noted(tensor: Tensor, use: str) -> int:
    note = _Note(_bytes_of(tensor), use, StorageWeakRef(tensor.untyped_storage()))
    return _address(tensor.data_ptr(), note)


def to_read(tensor: Tensor) -> int:
    """See `addresses`, as for the others."""
    return _noted(tensor, _READ)


def to_fill(tensor: Tensor) -> int:
    """Return the address of a tensor of which the kernel writes every element."""
    return _noted(tensor, _FILL)


def to_update(tensor: Tensor) -> int:
    """Return the address of a tensor that the kernel reads and writes."""
    return _noted(tensor, _UPDATE)


def of_array(values: "array[int]") -> int:
    """Like `to_update`, for a Python array, whose release can't be detected."""
    start, count = values.buffer_info()
    return _address(start, _Note(count * values.itemsize, _UPDATE, None))


def start_of(memory: Tensor, layout: Layout, kept: bool) -> int:
    """Return the start of arrays; kept memory is poisoned now, working memory at each run."""
    start = memory.data_ptr()
    found = _Start(start + -start % 64)
    if kept:
        memory[: memory.numel() // 4 * 4].view(torch.int32).fill_(POISON)
    use, owner = (_UPDATE, StorageWeakRef(memory.untyped_storage())) if kept else (_SCRATCH, None)
    found.notes = {place: _Note(layout.sizes[name], use, owner) for name, place in layout.places.items()}
    return found


# The block of arguments -----------------------------------------------------------------------------------


class _Bytes(bytes):
    """The content of a block, to be copied with its notes."""

    notes: dict[int, _Note]


@cache
def block_type(size: int) -> Any:
    """Blocks of so many arguments."""
    base: Any = ctypes.c_int64 * size

    class Block(base):  # type: ignore[misc]
        """Arguments that keep the notes of their addresses."""

        notes: dict[int, _Note]
        memory: Tensor

        def __init__(self, *values: int) -> None:
            self.notes = {}
            super().__init__(*values)  # calls `__setitem__`

        def _note(self, values: Sequence[int], places: Sequence[int]) -> None:
            for at, value in zip(places, values, strict=True):
                self.notes.pop(at, None)
                if isinstance(value, _Address):
                    self.notes[at] = value.note

        def __setitem__(self, at: int | slice, value: Any) -> None:
            super().__setitem__(at, value)
            if isinstance(at, slice):
                self._note(value, range(*at.indices(size)))
            else:
                self._note([value], [at % size])

        def __bytes__(self) -> bytes:
            found = _Bytes(memoryview(self).cast("B"))
            found.notes = dict(self.notes)
            return found

        @classmethod
        def from_buffer_copy(cls, source: Any, offset: int = 0) -> Any:
            found = type(base).from_buffer_copy(cls, source, offset)
            found.notes = dict(source.notes)
            return found

    return Block


def block(size: int, values: Sequence[int] = ()) -> Any:
    """Return a block of `size` arguments, starting with `values`."""
    return block_type(size)(*values)


# Runs -----------------------------------------------------------------------------------------------------


class _Copy:
    """Bytes between two inaccessible pages."""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        pages = max(-(-size // page), 1)
        self._map = mmap.mmap(-1, (pages + 2) * page)
        self._view = ctypes.c_char.from_buffer(self._map)
        base = ctypes.addressof(self._view)
        self._pages, self._inner = pages * page, base + page
        self.size = size
        self.start = self._inner + (self._pages - size if MODE == "end" else 0)
        for guard in (base, self._inner + self._pages):
            _protect(guard, page, _NOBODY)

    def freeze(self) -> None:
        """Forbid writing."""
        _protect(self._inner, self._pages, mmap.PROT_READ)

    def content(self) -> bytes:
        """Return the content."""
        return ctypes.string_at(self.start, self.size)

    def close(self) -> None:
        """Free the memory; any further use of it crashes."""
        del self._view
        self._map.close()

    def poison(self) -> None:
        """Fill it with a value that no kernel computes."""
        words = POISON.to_bytes(4, sys.byteorder) * (self.size // 4 + 1)
        ctypes.memmove(self.start, words, self.size)

    def unwritten(self) -> list[int]:
        """Return the indices of the words that are still poisoned."""
        words = torch.frombuffer(bytearray(self.content()), dtype=torch.int32, count=self.size // 4)
        found: list[int] = (words == POISON).nonzero().flatten().tolist()
        return found


def _protect(start: int, size: int, how: int) -> None:
    if _library().mprotect(start, size, how):
        raise OSError(ctypes.get_errno(), "mprotect failed")


@cache
def _library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return library


class _Array(NamedTuple):
    """An array argument of a kernel: its position, its address, and its copy."""

    place: int
    start: int
    note: _Note
    copy: _Copy


class _Run:
    """One run of a kernel on copies of the memory behind its argument block."""

    def __init__(self, given: Any) -> None:
        self._given, self._start = given, ctypes.addressof(given)
        self._block = _Copy(ctypes.sizeof(given))
        self._arrays: list[_Array] = []
        words = list(given)
        for place, word in enumerate(words):
            if self._start <= word < self._start + ctypes.sizeof(given):
                words[place] = word - self._start + self._block.start
            elif word in _ADDRESSES:
                words[place] = self._copy(place, word)
        self._check_overlaps()
        self._words = words
        ctypes.memmove(self._block.start, (ctypes.c_int64 * len(words))(*words), self._block.size)

    @property
    def pointer(self) -> int:
        """The address of the block for the kernel."""
        return self._block.start

    def _copy(self, place: int, start: int) -> int:
        note = self._given.notes.get(place)
        if note is None:
            raise MemoryFaultError(f"argument {place}: expected the address of a tensor, got {start:#x}")
        if note.use == _SCRATCH:
            memory = getattr(self._given, "memory", None)
            first = 0 if memory is None else memory.data_ptr()
            if memory is None or not first <= start <= start + note.size <= first + memory.numel():
                raise MemoryFaultError(f"argument {place}: expected working memory that the block holds")
        elif note.memory is not None and note.memory.expired():
            raise MemoryFaultError(f"argument {place}: its memory was freed before the kernel ran")
        copy = _Copy(note.size)
        self._arrays.append(_Array(place, start, note, copy))
        if note.use in (_READ, _UPDATE):
            ctypes.memmove(copy.start, start, note.size)
        else:
            copy.poison()
        if note.use == _READ:
            copy.freeze()
        return copy.start

    def _check_overlaps(self) -> None:
        arrays = sorted((one for one in self._arrays if one.note.size), key=lambda one: one.start)
        last: _Array | None = None
        for one in arrays:
            if last is not None and one.start < last.start + last.note.size:
                if one.note.use != _READ or last.note.use != _READ:
                    raise MemoryFaultError(f"arguments {last.place}, {one.place}: they overlap")
                if one.start + one.note.size <= last.start + last.note.size:
                    continue
            last = one

    def finish(self) -> None:
        """Check the kernel's results and copy them back."""
        size = len(self._words)
        left = (ctypes.c_int64 * size).from_address(self._block.start)
        for place in range(size):
            if left[place] != self._words[place]:
                ctypes.memmove(self._start + 8 * place, self._block.start + 8 * place, 8)
        for place, start, note, copy in self._arrays:
            if note.use == _FILL and (found := copy.unwritten()):
                raise MemoryFaultError(
                    f"argument {place}: {len(found)} of {note.size // 4} words were not written, "
                    f"the first is number {found[0]}"
                )
            if note.use in (_FILL, _UPDATE):
                if note.memory is not None and note.memory.expired():
                    raise MemoryFaultError(f"argument {place}: its memory was freed while the kernel ran")
                ctypes.memmove(start, copy.start, note.size)

    def close(self) -> None:
        """Free the copies."""
        for one in self._arrays:
            one.copy.close()
        self._block.close()


def guarded(run: Callable[[int, Any, int], None]) -> Callable[[int, Any, int], None]:
    """Wrap `run` to use guarded copies; a block that was not made by `block` is passed on unchanged."""

    @wraps(run)
    def run_on_copies(address: int, arguments: Any, threads: int) -> None:
        if not hasattr(arguments, "notes"):
            run(address, arguments, threads)
            return
        one = _Run(arguments)
        try:
            run(address, one.pointer, threads)
            one.finish()
        finally:
            one.close()

    return run_on_copies
