"""The undefined symbols of an object file.

They are read from the symbol tables of ELF (Linux), Mach-O (macOS) and COFF (Windows), each in its 64-bit
little-endian form, the only forms generated here.
"""

import struct

__all__ = ["undefined_symbols"]

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


def _elf(image: bytes) -> list[str]:
    # System V ABI, generic: section headers of 64 bytes, symbols of 24.
    (start,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, start + size * at) for at in range(count)]
    found = []
    for section in sections:
        if section[1] != 2:  # a symbol table
            continue
        strings = sections[section[6]]
        table = image[strings[4] : strings[4] + strings[5]]
        for at in range(section[4], section[4] + section[5], 24):
            name, _, _, where, _, _ = struct.unpack_from("<IBBHQQ", image, at)
            if where == 0 and name:
                found.append(_name(table, name))
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
