"""From a WebAssembly object file to a module that stands alone, without a linker.

LLVM's object is nearly a module. What is missing is what a linker adds: a memory of its own, the places of
the data in it, the addresses of the data in the code, the stack pointer, and exports. The memory is laid out
as

    0 ... stack ... | data | from `heap_base` on: free for whoever uses the module

The stack grows down, so one that is too deep leaves the memory, which is an error, and overwrites nothing.

Formats: the WebAssembly core specification, section 5 (modules), and the tool conventions, Linking.md
(symbols and relocations of object files).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nabi.native._code._machine import NativeError
from nabi.native._code._shorter_code import with_short_constants

__all__ = ["PAGE", "link_web_assembly"]

PAGE = 65536
"""Bytes of a page, the unit of memory."""

_START = b"\0asm\x01\0\0\0"
_CUSTOM, _TYPE, _IMPORT, _FUNCTION, _MEMORY, _GLOBAL, _EXPORT, _CODE, _DATA = 0, 1, 2, 3, 5, 6, 7, 10, 11
_DATA_COUNT = 12
_KINDS = {0: "function", 1: "table", 2: "memory", 3: "global"}
_STACK_POINTER = "__stack_pointer"
_I32, _CONSTANT, _END = 0x7F, 0x41, 0x0B
# Of the relocations, indices of functions, types and globals are right already: they stay the same. Addresses
# of data are an unsigned or a signed number, or a word. LLVM leaves five bytes for every number, where most
# take one or three.
_UNCHANGED, _ADDRESS, _SIGNED_ADDRESS, _ADDRESS_WORD = frozenset({0, 6, 7}), 3, 4, 5
_LEAST_STACK = 1024
_UNDEFINED, _NAMED = 0x10, 0x40


class _Reader:
    """Reads numbers, names and bytes, one after another."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    @property
    def has_more(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """Read an unsigned number: seven bits a byte, the lowest first (LEB128)."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self) -> int:
        start = self.at
        value = self.number()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise IndexError("the end comes too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def name(self) -> str:
        return self.take(self.number()).decode()

    def offset(self) -> int:
        """Read the constant expression in front of a data segment."""
        if self.byte() != _CONSTANT:
            raise ValueError("a data segment without a constant address")
        value = self.signed()
        if self.byte() != _END:
            raise ValueError("a data segment without a constant address")
        return value


@dataclass(frozen=True)
class _Symbol:
    name: str
    kind: int  # 0 a function, 1 data, 2 a global
    index: int  # of the function or global, or of the data segment; -1 for data defined elsewhere
    offset: int = 0  # of data in its segment


@dataclass(frozen=True)
class _Relocation:
    kind: int
    at: int  # in the contents of the section
    symbol: int
    added: int


class _Place(NamedTuple):
    """A number in the code of a function that a relocation is about, and what it is in the object."""

    relocation: _Relocation
    number: int


@dataclass
class _Object:
    """An object file in parts."""

    sections: dict[int, bytes] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)  # the kinds of all sections: relocations count them
    segments: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)  # of the segments, in the contents of the data section
    alignments: list[int] = field(default_factory=list)
    symbols: list[_Symbol] = field(default_factory=list)
    relocations: dict[int, list[_Relocation]] = field(default_factory=dict)  # by kind of section
    functions: list[list[bytes | _Place]] = field(default_factory=list)  # their code, cut at relocations


def link_web_assembly(
    image: bytes, exports: Mapping[str, str], *, stack: int = 16384, room: int = 0, short: bool = False
) -> bytes:
    """Make a module without imports from an object file that needs no other.

    The module exports the functions, its memory as `memory`, and the address `heap_base` from which on the
    memory is free.

    Args:
        image: the object file that `emit_object` wrote for a WebAssembly machine.
        exports: the functions to export: their names outside, and in the object.
        stack: bytes of the stack.
        room: bytes that are free from the start, after `heap_base`.
        short: whether constant vectors are written in fewer bytes, which engines may take longer to make.

    Raises:
        NativeError: if it is no such file, calls a function or reads data that it does not define, lacks a
            function in `exports`, or has relocations other than addresses of data.
    """
    try:
        found = _read(image)
        _check(found)
        _read_functions(found)
    except (IndexError, ValueError) as problem:
        raise NativeError(f"image: expected a whole WebAssembly object file ({problem})") from None
    first = _aligned(max(stack, _LEAST_STACK), 16)
    places, end = _places(found, first)
    heap_base = _aligned(end, 64)
    contents = dict(found.sections)
    if _CODE in contents:
        contents[_CODE] = _code(found, places, short)
    if _DATA in contents:
        contents[_DATA] = _data(contents[_DATA], found, places)
    pages = -(-(heap_base + room) // PAGE)
    contents[_MEMORY] = _number(1) + b"\0" + _number(pages)
    contents[_GLOBAL] = _number(2) + _global(first, True) + _global(heap_base, False)
    contents[_EXPORT] = _exports(found, exports)
    order = (_TYPE, _FUNCTION, _MEMORY, _GLOBAL, _EXPORT, _CODE, _DATA)
    return _START + b"".join(_section(kind, contents[kind]) for kind in order if kind in contents)


def _read(image: bytes) -> _Object:
    if not image.startswith(_START):
        raise ValueError("it does not start with the mark of version 1")
    found, reader = _Object(), _Reader(image, len(_START))
    customs = []
    while reader.has_more:
        kind = reader.byte()
        content = reader.take(reader.number())
        found.order.append(kind)
        if kind == _CUSTOM:
            inside = _Reader(content)
            customs.append((inside.name(), inside))
        elif kind != _DATA_COUNT:
            found.sections[kind] = content
    _read_segments(found)
    for name, inside in customs:
        if name == "linking":
            _read_linking(found, inside)
        elif name.startswith("reloc."):
            _read_relocations(found, inside)
    _check_imports(found.sections.pop(_IMPORT, b"\0"))
    return found


def _read_segments(found: _Object) -> None:
    reader = _Reader(found.sections.get(_DATA, b"\0"))
    for _ in range(reader.number()):
        if reader.number() != 0:
            raise ValueError("a data segment that is not copied at the start")
        reader.offset()
        size = reader.number()
        found.starts.append(reader.at)
        found.segments.append(reader.take(size))
    found.alignments = [1] * len(found.segments)


def _read_linking(found: _Object, reader: _Reader) -> None:
    if reader.number() != 2:
        raise ValueError("the linking section has another version")
    while reader.has_more:
        kind, size = reader.byte(), reader.number()
        inside = _Reader(reader.take(size))
        if kind == 5:  # names, alignments and flags of the segments
            found.alignments = []
            for _ in range(inside.number()):
                inside.name()
                found.alignments.append(1 << inside.number())
                inside.number()
        elif kind == 8:  # the symbols
            found.symbols = [_read_symbol(inside) for _ in range(inside.number())]
    if len(found.alignments) != len(found.segments):
        raise ValueError("not every data segment has its alignment")


def _read_symbol(reader: _Reader) -> _Symbol:
    kind, flags = reader.byte(), reader.number()
    if kind == 1:
        name = reader.name()
        if flags & _UNDEFINED:
            return _Symbol(name, kind, -1)
        segment, offset = reader.number(), reader.number()
        reader.number()  # its size
        return _Symbol(name, kind, segment, offset)
    index = reader.number()
    named = kind != 3 and (not flags & _UNDEFINED or flags & _NAMED)
    return _Symbol(reader.name() if named else "", kind, index)


def _read_relocations(found: _Object, reader: _Reader) -> None:
    section = found.order[reader.number()]
    if section not in (_CODE, _DATA):
        return  # of debugging information, which is left out
    entries = found.relocations.setdefault(section, [])
    for _ in range(reader.number()):
        kind, at, symbol = reader.byte(), reader.number(), reader.number()
        added = reader.signed() if kind in (_ADDRESS, _SIGNED_ADDRESS, _ADDRESS_WORD) else 0
        if kind not in _UNCHANGED and kind not in (_ADDRESS, _SIGNED_ADDRESS, _ADDRESS_WORD):
            raise ValueError(f"a relocation of kind {kind}")
        entries.append(_Relocation(kind, at, symbol, added))


def _read_functions(found: _Object) -> None:
    reader = _Reader(found.sections.get(_CODE, b"\0"))
    relocations = sorted(found.relocations.get(_CODE, []), key=lambda one: one.at, reverse=True)
    for _ in range(reader.number()):
        size = reader.number()
        end, pieces = reader.at + size, list[bytes | _Place]()
        while relocations and relocations[-1].at < end:
            pieces.append(reader.take(relocations[-1].at - reader.at))
            pieces.append(_Place(relocations.pop(), reader.number()))
        pieces.append(reader.take(end - reader.at))
        found.functions.append(pieces)
    if relocations:
        raise ValueError("a relocation behind the code")


def _check_imports(content: bytes) -> None:
    """Raise unless only the memory and the stack pointer come from elsewhere."""
    reader, missing = _Reader(content), []
    globals_seen = 0
    for _ in range(reader.number()):
        reader.name()
        name, kind = reader.name(), reader.byte()
        if kind == 0:
            reader.number()
            missing.append(name)
        elif kind == 2:
            flags = reader.number()
            reader.number()
            if flags & 1:
                reader.number()
        elif kind == 3 and name == _STACK_POINTER and not globals_seen:
            reader.take(2)
            globals_seen += 1
        else:
            raise ValueError(f"the import of a {_KINDS.get(kind, kind)}, {name}")
    if missing:
        raise NativeError(
            f"The generated code calls unavailable functions: {', '.join(sorted(missing))}; "
            "this is a bug in nabi"
        )


def _check(found: _Object) -> None:
    """Raise ValueError if a relocation lies outside its section, or its symbol in no segment."""
    for section, relocations in found.relocations.items():
        size = len(found.sections.get(section, b""))
        for relocation in relocations:
            if relocation.kind in _UNCHANGED and section == _CODE:
                continue
            if (relocation.kind == _ADDRESS_WORD) != (section == _DATA):
                raise ValueError("a relocation of another section")
            written = 4 if relocation.kind == _ADDRESS_WORD else 5
            if relocation.symbol >= len(found.symbols) or relocation.at + written > size:
                raise ValueError("a relocation of nothing")
            symbol = found.symbols[relocation.symbol]
            if symbol.kind != 1 or symbol.index >= len(found.segments):
                raise ValueError("an address of something that is no data")
            if symbol.index >= 0 and not -_LEAST_STACK <= symbol.offset + relocation.added < 2**30:
                raise ValueError("an address outside the memory")


def _places(found: _Object, first: int) -> tuple[list[int], int]:
    """Return the address of every data segment, and the end of the last."""
    places, at = [], first
    for segment, alignment in zip(found.segments, found.alignments, strict=True):
        at = _aligned(at, alignment)
        places.append(at)
        at += len(segment)
    return places, at


def _code(found: _Object, places: list[int], short: bool) -> bytes:
    """Return the code section with every relocated number right, and no longer than it has to be."""
    written = [_number(len(found.functions))]
    for pieces in found.functions:
        body = b"".join(
            piece if isinstance(piece, bytes) else _relocated(piece, found, places) for piece in pieces
        )
        if short:
            body = with_short_constants(body)
        written += [_number(len(body)), body]
    return b"".join(written)


def _relocated(place: _Place, found: _Object, places: list[int]) -> bytes:
    relocation = place.relocation
    if relocation.kind in _UNCHANGED:
        return _number(place.number)
    address = _address(relocation, found, places)
    return _signed(address) if relocation.kind == _SIGNED_ADDRESS else _number(address)


def _address(relocation: _Relocation, found: _Object, places: list[int]) -> int:
    symbol = found.symbols[relocation.symbol]
    if symbol.index < 0:
        raise NativeError(f"The generated code reads unavailable data: {symbol.name}; this is a bug in nabi")
    return places[symbol.index] + symbol.offset + relocation.added


def _data(content: bytes, found: _Object, places: list[int]) -> bytes:
    """Return the data section with its segments at their places."""
    patched = bytearray(content)
    for relocation in found.relocations.get(_DATA, []):
        patched[relocation.at : relocation.at + 4] = _address(relocation, found, places).to_bytes(4, "little")
    written = [_number(len(found.segments))]
    for start, segment, place in zip(found.starts, found.segments, places, strict=True):
        written += [b"\0", bytes([_CONSTANT]), _signed(place), bytes([_END])]
        written += [_number(len(segment)), bytes(patched[start : start + len(segment)])]
    return b"".join(written)


def _exports(found: _Object, names: Mapping[str, str]) -> bytes:
    functions = {symbol.name: symbol.index for symbol in found.symbols if symbol.kind == 0}
    lacking = [name for name in names.values() if name not in functions]
    if lacking:
        known = ", ".join(sorted(functions)) or "none"
        raise NativeError(f"exports: expected functions of the object ({known}), got {', '.join(lacking)}")
    entries = [_name("memory") + b"\x02" + _number(0), _name("heap_base") + b"\x03" + _number(1)]
    entries += [_name(name) + b"\x00" + _number(functions[own]) for name, own in names.items()]
    return _number(len(entries)) + b"".join(entries)


def _global(value: int, changes: bool) -> bytes:
    return bytes([_I32, changes, _CONSTANT]) + _signed(value) + bytes([_END])


def _section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + _number(len(content)) + content


def _name(text: str) -> bytes:
    return _number(len(text.encode())) + text.encode()


def _number(value: int) -> bytes:
    written = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        written.append(low | (0x80 if value else 0))
        if not value:
            return bytes(written)


def _signed(value: int) -> bytes:
    """Return a number of zero or more as a signed one: its sixth bit of the last byte is its sign."""
    written = _number(value)
    return written if not written[-1] & 0x40 else written[:-1] + bytes([written[-1] | 0x80, 0])


def _aligned(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
