"""Protocol Buffers' wire format: messages to bytes and back, without the package.

ONNX graphs and TensorFlow's checkpoints are written in it. A message is a sequence of fields; each begins
with a key, `number << 3 | wire type`. See the encoding page of the Protocol Buffers documentation.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nabi.errors import FileFormatError

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "Field",
    "fields",
    "floats",
    "key",
    "length_delimited",
    "read_varint",
    "signed",
    "varint",
    "varints",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes, for 64 bits


class Field(NamedTuple):
    """One field of a message: its number, its wire type, and what it holds."""

    number: int
    wire: int
    value: int | memoryview  # an unsigned integer for VARINT, the bytes as they are for the others


def fields(message: bytes | memoryview) -> Iterator[Field]:
    """Read the fields of a message, in their order; nothing is copied.

    Raises:
        FileFormatError: if the bytes are no message.
    """
    data = memoryview(message)
    place = 0
    while place < len(data):
        label, place = read_varint(data, place)
        number, wire = label >> 3, label & 7
        if number == 0:
            raise FileFormatError("field: expected a number above 0, got 0")
        if wire == VARINT:
            whole, place = read_varint(data, place)
            yield Field(number, wire, whole)
            continue
        if wire == BYTES:
            size, place = read_varint(data, place)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise FileFormatError(f"field {number}: expected a wire type of 0, 1, 2 or 5, got {wire}")
        if size > len(data) - place:
            raise FileFormatError(
                f"field {number}: expected {size} bytes, got {len(data) - place}: the data end early"
            )
        yield Field(number, wire, data[place : place + size])
        place += size


def read_varint(data: memoryview, place: int) -> tuple[int, int]:
    """Return the unsigned integer that begins at this place, and the place after it.

    Raises:
        FileFormatError: if the data end early, or the integer has more than ten bytes.
    """
    whole = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= len(data):
            raise FileFormatError("integer: the data end early")
        byte = data[place + index]
        whole |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return whole & 0xFFFF_FFFF_FFFF_FFFF, place + index + 1
    raise FileFormatError(f"integer: expected at most {_LONGEST_VARINT} bytes, got more")


def signed(whole: int) -> int:
    """Read an unsigned integer of 64 bits as a signed one (int32 and int64 in two's complement)."""
    return whole - (1 << 64) if whole >= 1 << 63 else whole


def varints(field: Field) -> list[int]:
    """Return the signed integers of a repeated field, which may be packed."""
    if isinstance(field.value, int):
        return [signed(field.value)]
    found, place = [], 0
    while place < len(field.value):
        whole, place = read_varint(field.value, place)
        found.append(signed(whole))
    return found


def floats(field: Field, *, double: bool = False) -> list[float]:
    """Return the floating-point numbers of a repeated field, which may be packed."""
    size = 8 if double else 4
    if isinstance(field.value, int) or len(field.value) % size:
        raise FileFormatError(f"field {field.number}: expected numbers of {size} bytes")
    return list(struct.unpack(f"<{len(field.value) // size}{'d' if double else 'f'}", field.value))


def varint(whole: int) -> bytes:
    """Write an integer; a negative one takes ten bytes, as the format asks."""
    whole &= 0xFFFF_FFFF_FFFF_FFFF
    written = bytearray()
    while whole >= 0x80:
        written.append(whole & 0x7F | 0x80)
        whole >>= 7
    written.append(whole)
    return bytes(written)


def key(number: int, wire: int) -> bytes:
    """Write the key that precedes a field."""
    return varint(number << 3 | wire)


def length_delimited(number: int, parts: bytes | Sequence[bytes]) -> list[bytes]:
    """Write a field of bytes, text, a message or packed numbers; the parts are not joined (a copy less)."""
    pieces = [parts] if isinstance(parts, bytes) else list(parts)
    return [key(number, BYTES), varint(sum(map(len, pieces))), *pieces]
