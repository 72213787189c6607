"""Shorter instructions of WebAssembly for constant vectors.

LLVM writes a vector whose lanes are equal as one instruction of 18 bytes. A number that is spread into all
lanes takes 4 to 12 and has the same bits. For that, the code of a function is read instruction by instruction
(the WebAssembly core specification, section 5.4); a function with an instruction that is unknown here stays
as it is.
"""

import struct
from collections.abc import Callable

__all__ = ["with_short_constants"]

_VECTOR_CONSTANT = b"\xfd\x0c"
_SPREAD_INTEGER, _SPREAD_FLOAT, _SPREAD_DOUBLE = b"\xfd\x11", b"\xfd\x13", b"\xfd\x14"
_INTEGER, _FLOAT, _DOUBLE = b"\x41", b"\x43", b"\x44"


class _UnknownError(Exception):
    """An instruction whose length is not known."""


def with_short_constants(body: bytes) -> bytes:
    """Return the code of a function, with its declarations of locals, in fewer bytes.

    Args:
        body: the code without its size.
    """
    try:
        starts = _vector_constants(body)
    except (_UnknownError, IndexError):
        return body
    parts, at = [], 0
    for start in starts:
        lane, *others = struct.unpack_from("<4I", body, start + 2)
        shorter = b""
        if others == [lane] * 3:
            shorter = _spread(lane)
        elif body[start + 2 : start + 10] == body[start + 10 : start + 18] and not _is_nan(others[0]):
            shorter = _DOUBLE + body[start + 2 : start + 10] + _SPREAD_DOUBLE
        if shorter:
            parts += [body[at:start], shorter]
            at = start + 18
    return b"".join([*parts, body[at:]])


def _spread(bits: int) -> bytes:
    """Return the instructions for a vector with the same 32 bits in every lane."""
    signed = bits - (1 << 32) if bits >> 31 else bits
    as_integer = _INTEGER + _signed(signed) + _SPREAD_INTEGER
    is_nan = bits & 0x7FFFFFFF > 0x7F800000  # whose bits an engine may change
    as_float = _FLOAT + struct.pack("<I", bits) + _SPREAD_FLOAT
    return as_integer if is_nan or len(as_integer) < len(as_float) else as_float


def _is_nan(high: int) -> bool:
    """Tell whether a number of 64 bits, given by its higher half, may be NaN, whose bits may change."""
    return high & 0x7FFFFFFF >= 0x7FF00000


def _signed(value: int) -> bytes:
    written = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        if (value, low >> 6) in ((0, 0), (-1, 1)):
            return bytes([*written, low])
        written.append(low | 0x80)


def _vector_constants(body: bytes) -> list[int]:
    """Return where constant vectors are in the code of a function."""
    at, found = 0, list[int]()
    groups, at = _number(body, at)
    for _ in range(groups):
        _, at = _number(body, at)
        at += 1  # the type
    while at < len(body):
        if body.startswith(_VECTOR_CONSTANT, at):
            found.append(at)
        at = _after(body, at)
    return found


def _number(body: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned number, and where it ends."""
    value = shift = 0
    while True:
        value |= (body[at] & 0x7F) << shift
        shift += 7
        at += 1
        if body[at - 1] < 0x80:
            return value, at


def _numbers(count: int) -> Callable[[bytes, int], int]:
    """Return what skips numbers; signed ones are as long as their bytes say, too."""

    def skip(body: bytes, at: int) -> int:
        for _ in range(count):
            _, at = _number(body, at)
        return at

    return skip


def _bytes(count: int) -> Callable[[bytes, int], int]:
    return lambda body, at: at + count


def _after(body: bytes, at: int) -> int:
    """Return where the instruction ends that begins at a place."""
    code, at = body[at], at + 1
    if code in (0xFC, 0xFD):
        code, at = (code << 8) | body[at], _number(body, at)[1]
    if code not in _OPERANDS:
        raise _UnknownError
    return _OPERANDS[code](body, at)


def _lane(body: bytes, at: int) -> int:
    """Skip where a lane is loaded from or stored to, and its number."""
    return _numbers(2)(body, at) + 1


# What follows the code of an instruction, by the code: blocks, branches, calls, variables, memory, constants,
# arithmetic; then those of two bytes. Codes of vectors above 0x7F take another byte, which `_after` skips.
_OPERANDS: dict[int, Callable[[bytes, int], int]] = {
    **dict.fromkeys((0x00, 0x01, 0x05, 0x0B, 0x0F, 0x1A, 0x1B), _bytes(0)),
    **dict.fromkeys((0x02, 0x03, 0x04, 0x0C, 0x0D, 0x10), _numbers(1)),
    **dict.fromkeys(range(0x20, 0x25), _numbers(1)),
    **dict.fromkeys(range(0x28, 0x3F), _numbers(2)),
    **dict.fromkeys((0x3F, 0x40), _bytes(1)),
    **dict.fromkeys((0x41, 0x42), _numbers(1)),
    0x43: _bytes(4),
    0x44: _bytes(8),
    **dict.fromkeys(range(0x45, 0xC5), _bytes(0)),
    **dict.fromkeys(range(0xFC00, 0xFC08), _bytes(0)),
    0xFC0A: _numbers(2),
    0xFC0B: _numbers(1),
    **dict.fromkeys(range(0xFD00, 0xFD0C), _numbers(2)),
    **dict.fromkeys((0xFD0C, 0xFD0D), _bytes(16)),
    **dict.fromkeys(range(0xFD0E, 0xFD15), _bytes(0)),
    **dict.fromkeys(range(0xFD15, 0xFD23), _bytes(1)),
    **dict.fromkeys(range(0xFD23, 0xFD54), _bytes(0)),
    **dict.fromkeys(range(0xFD54, 0xFD5C), _lane),
    **dict.fromkeys((0xFD5C, 0xFD5D), _numbers(2)),
    **dict.fromkeys(range(0xFD5E, 0xFE00), _bytes(0)),
}
