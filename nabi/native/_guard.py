"""A debug mode for native code: memory with guard pages, poison, and checks of who holds what.

`NABI_GUARD=end` or `NABI_GUARD=begin` turns it on for a process. Each run of a kernel then works on copies
of all that it is given: the block of arguments, inputs, weights, packed weights, working memory, results. A
copy lies between two pages that nobody may touch, flush with the one behind it or with the one before it.

- Reading or writing outside of an array, or writing what a kernel should only read, ends the process with a
  segmentation fault (run Python with `-X faulthandler` to see the call).
- Results and working memory are NaN before the run. A result with an element that nobody wrote is refused,
  and what was read too early turns into NaN, which tests see.
- An address that none of the functions in `addresses` gave, one whose tensor has been freed, and working
  memory that the block does not hold are refused. So are two arrays that overlap where one is written.

It is slow: for tests, and for whoever writes kernels.
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
"""Where arrays lie: at the `end` of their pages, at the `begin`, or nothing is guarded."""

POISON = 0x7FFDBEEF
"""Words of memory that nobody has written: a NaN that does not trap, in both types of numbers."""

_READ, _FILL, _UPDATE, _SCRATCH = "read", "fill", "update", "scratch"
_NOBODY = 0
"""Pages that nobody may touch (PROT_NONE, which the module `mmap` has no name for)."""

_ADDRESSES = range(1 << 32, 1 << 47)
"""What can be an address: neither a count nor a number in double precision looks so."""


class MemoryFaultError(RuntimeError):
    """Memory that a kernel was given was not as it must be."""


class _Note(NamedTuple):
    """What is known of an address: bytes, what a kernel does there, and a weak reference to the memory."""

    size: int
    use: str
    memory: Any


class _Address(int):
    """An address with a note; a block remembers the note."""

    note: _Note

    def __eq__(self, other: object) -> bool:
        # A tensor that has come to lie where another lay is not the same.
        memory = other.note.memory if isinstance(other, _Address) else self.note.memory
        return int(self) == other and self.note.memory == memory

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


class _Start(int):
    """Where the arrays of a layout begin; adding the offset of one gives its address."""

    notes: dict[int, _Note]

    def __add__(self, offset: int) -> int:
        return _address(int(self) + offset, self.notes[offset])


def _address(value: int, note: _Note) -> int:
    found = _Address(value)
    found.note = note
    return found


def _bytes_of(tensor: Tensor) -> int:
    """From the first element of a tensor to the end of the last one in memory."""
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
    """The kernel writes every element."""
    return _noted(tensor, _FILL)


def to_update(tensor: Tensor) -> int:
    """The kernel reads and writes."""
    return _noted(tensor, _UPDATE)


def of_array(values: "array[int]") -> int:
    """As `to_update`, of an array of Python's own, which nothing can say is gone."""
    start, count = values.buffer_info()
    return _address(start, _Note(count * values.itemsize, _UPDATE, None))


def start_of(memory: Tensor, layout: Layout, kept: bool) -> int:
    """Where arrays begin; what one kernel leaves to another is poisoned now, working memory at each run."""
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
        """Arguments that remember what is known of the addresses among them."""

        notes: dict[int, _Note]
        memory: Tensor

        def __init__(self, *values: int) -> None:
            self.notes = {}
            super().__init__(*values)  # by way of `__setitem__`

        def _note(self, values: Sequence[int], first: int) -> None:
            for at, value in enumerate(values, first):
                self.notes.pop(at, None)
                if isinstance(value, _Address):
                    self.notes[at] = value.note

        def __setitem__(self, at: int | slice, value: Any) -> None:
            super().__setitem__(at, value)
            if isinstance(at, slice):
                self._note(value, at.indices(size)[0])
            else:
                self._note([value], at % size)

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
    """A block of so many arguments, beginning with `values`."""
    return block_type(size)(*values)


# Runs -----------------------------------------------------------------------------------------------------


class _Copy:
    """Bytes between two pages that nobody may touch."""

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
        """What lies there."""
        return ctypes.string_at(self.start, self.size)

    def close(self) -> None:
        """Give the memory back: whoever still uses it crashes."""
        del self._view
        self._map.close()

    def poison(self) -> None:
        """Fill it with what no kernel computes."""
        words = POISON.to_bytes(4, sys.byteorder) * (self.size // 4 + 1)
        ctypes.memmove(self.start, words, self.size)

    def unwritten(self) -> list[int]:
        """The words that still hold poison, by number."""
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
    """An array that a kernel is given: which argument it is, where it lies, and its copy."""

    place: int
    start: int
    note: _Note
    copy: _Copy


class _Run:
    """One run of a kernel on copies of what its block of arguments leads to."""

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
            raise MemoryFaultError(f"argument {place}: its memory has been freed before the kernel ran")
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
        """Check what the kernel left, and bring it to where it belongs."""
        size = len(self._words)
        left = (ctypes.c_int64 * size).from_address(self._block.start)
        for place in range(size):
            if left[place] != self._words[place]:
                ctypes.memmove(self._start + 8 * place, self._block.start + 8 * place, 8)
        for place, start, note, copy in self._arrays:
            if note.use == _FILL and (found := copy.unwritten()):
                raise MemoryFaultError(
                    f"argument {place}: {len(found)} of {note.size // 4} words have not been written, "
                    f"the first is number {found[0]}"
                )
            if note.use in (_FILL, _UPDATE):
                if note.memory is not None and note.memory.expired():
                    raise MemoryFaultError(f"argument {place}: its memory was freed while the kernel ran")
                ctypes.memmove(start, copy.start, note.size)

    def close(self) -> None:
        """Give the copies back."""
        for one in self._arrays:
            one.copy.close()
        self._block.close()


def guarded(run: Callable[[int, Any, int], None]) -> Callable[[int, Any, int], None]:
    """What runs a kernel on guarded copies; a block that was not made by `block` goes on as it is."""

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
