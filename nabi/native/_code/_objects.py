"""The undefined symbols of an object file, and the sizes of its sections.

They are read from ELF (Linux, processors without an operating system), Mach-O (macOS) and COFF (Windows),
each in its little-endian form, ELF with 64 and 32 bits, the others with 64.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["section_sizes", "undefined_symbols"]

_ELF, _MACH_O = b"\x7fELF", b"\xcf\xfa\xed\xfe"
_COFF_MACHINES = frozenset({0x8664, 0xAA64})  # x86-64, ARM64


def undefined_symbols(image: bytes) -> frozenset[str]:
    """Return the names of the undefined symbols of an object file, as spelled in C.

    Args:
        image: the object file.

    Raises:
        ValueError: if it has another format, or is truncated.
    """
    try:
        if image.startswith(_ELF):
            return frozenset(_elf(image))
        if image.startswith(_MACH_O):
            return frozenset(_mach_o(image))
        if len(image) >= 20 and struct.unpack_from("<H", image)[0] in _COFF_MACHINES:
            return frozenset(_coff(image))
    except (struct.error, IndexError) as problem:
        raise ValueError(f"image: expected a whole object file, got a truncated one ({problem})") from problem
    raise ValueError(
        f"image: expected an ELF, Mach-O or COFF object file, got one starting with {image[:4]!r}"
    )


def _name(table: bytes, at: int) -> str:
    return table[at : table.index(0, at)].decode() if at < len(table) else ""


class _Section(NamedTuple):
    """A section of an ELF file, as its header says."""

    name: int
    kind: int
    start: int
    size: int
    link: int


def _elf_sections(image: bytes) -> list[_Section]:
    # System V ABI, generic: section headers of 64 or 40 bytes.
    if image[4] == 2:
        (start,) = struct.unpack_from("<Q", image, 0x28)
        size, count = struct.unpack_from("<HH", image, 0x3A)
        form = "<IIQQQQIIQQ"
    else:
        (start,) = struct.unpack_from("<I", image, 0x20)
        size, count = struct.unpack_from("<HH", image, 0x2E)
        form = "<IIIIIIIIII"
    rows = [struct.unpack_from(form, image, start + size * at) for at in range(count)]
    return [_Section(row[0], row[1], row[4], row[5], row[6]) for row in rows]


def _elf(image: bytes) -> list[str]:
    # Symbols of 24 or 16 bytes, in another order.
    size, form = (24, "<IBBHQQ") if image[4] == 2 else (16, "<IIIBBH")
    sections = _elf_sections(image)
    found = []
    for section in sections:
        if section.kind != 2:  # a symbol table
            continue
        strings = sections[section.link]
        table = image[strings.start : strings.start + strings.size]
        for at in range(section.start + size, section.start + section.size, size):
            fields = struct.unpack_from(form, image, at)
            where = fields[3] if size == 24 else fields[5]
            if where == 0 and fields[0]:
                found.append(_name(table, fields[0]))
    # The linker's own name for the table of distant symbols.
    return [name for name in found if name != "_GLOBAL_OFFSET_TABLE_"]


def _mach_o(image: bytes) -> list[str]:
    # Apple's mach-o/loader.h and nlist.h: symbols of 16 bytes, C names after an underscore.
    (commands,) = struct.unpack_from("<I", image, 16)
    at, found = 32, []
    for _ in range(commands):
        command, size = struct.unpack_from("<II", image, at)
        if command == 2:  # the symbol table
            symbols, count, start, length = struct.unpack_from("<IIII", image, at + 8)
            table = image[start : start + length]
            for entry in range(symbols, symbols + 16 * count, 16):
                name, kind, _, _, value = struct.unpack_from("<IBBHQ", image, entry)
                if kind & 0xEF == 0x01 and value == 0:  # external, in no section, no debugging entry
                    found.append(_name(table, name).removeprefix("_"))
        at += size
    return found


def _coff(image: bytes) -> list[str]:
    # Microsoft's PE format: symbols of 18 bytes, names of more than 8 characters in a table behind them.
    start, count = struct.unpack_from("<II", image, 8)
    table = image[start + 18 * count :]
    found, at = [], 0
    while at < count:
        entry = start + 18 * at
        value, section, _, storage, extra = struct.unpack_from("<IhHBB", image, entry + 8)
        if section == 0 and value == 0 and storage == 2:  # external
            zeros, place = struct.unpack_from("<II", image, entry)
            short = image[entry : entry + 8].rstrip(b"\0").decode()
            found.append(short if zeros else _name(table, place))
        at += 1 + extra
    return found


def section_sizes(image: bytes) -> dict[str, int]:
    """Return the bytes of each section of an object file; sections of the same name together.

    Raises:
        ValueError: if it has another format, or is truncated.
    """
    undefined_symbols(image)  # has the same demands
    found: dict[str, int] = {}
    for name, size in _sections(image):
        found[name] = found.get(name, 0) + size
    return found


def _sections(image: bytes) -> Iterator[tuple[str, int]]:
    if image.startswith(_ELF):
        sections = _elf_sections(image)
        (last,) = struct.unpack_from("<H", image, 0x3E if image[4] == 2 else 0x32)
        names = image[sections[last].start : sections[last].start + sections[last].size]
        for section in sections:
            if section.kind not in (0, 2, 3, 4, 9):  # nothing, symbols, names, relocations
                yield _name(names, section.name), section.size
    elif image.startswith(_MACH_O):
        (commands,) = struct.unpack_from("<I", image, 16)
        at = 32
        for _ in range(commands):
            command, size = struct.unpack_from("<II", image, at)
            if command == 0x19:  # a segment of 64 bits: its sections have 80 bytes
                (count,) = struct.unpack_from("<I", image, at + 64)
                for entry in range(at + 72, at + 72 + 80 * count, 80):
                    (length,) = struct.unpack_from("<Q", image, entry + 40)
                    yield image[entry : entry + 16].rstrip(b"\0").decode(), length
            at += size
    else:
        (count,) = struct.unpack_from("<H", image, 2)
        start, symbols = struct.unpack_from("<II", image, 8)
        table = image[start + 18 * symbols :]
        for entry in range(20, 20 + 40 * count, 40):
            name = image[entry : entry + 8].rstrip(b"\0").decode()
            (length,) = struct.unpack_from("<I", image, entry + 16)
            yield (_name(table, int(name[1:])) if name.startswith("/") else name), length
