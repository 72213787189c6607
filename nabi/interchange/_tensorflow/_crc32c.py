"""The CRC-32C checksum (Castagnoli; RFC 3720, appendix B.4), and its masked form in TensorFlow's files.

Python's `zlib` has only the other CRC-32. A byte at a time would take a second for 10 MB, so the data are cut
into pieces of equal length whose sums NumPy computes side by side. A sum is linear over the bits: the sum of
two pieces is that of the first, moved on by the length of the second, XOR that of the second.
"""

from functools import cache
from typing import Any

import numpy as np

__all__ = ["crc32c", "unmasked"]

_POLYNOMIAL = 0x82F63B78
_ALL = 0xFFFF_FFFF
_MASK_DELTA = 0xA282EAD8
_LANE, _LANES = 10, 10  # powers of two: a block has 1,024 pieces of 1,024 bytes
_SHORT = 2048  # bytes, up to which the plain loop is as fast


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Return the checksum of these bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    view = memoryview(data).cast("B")
    if len(view) <= _SHORT:
        table, crc = _byte_table(), _ALL
        for byte in view:
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return crc ^ _ALL
    # The usual start of all ones is the same as the first four bytes inverted. Zeros in front of the data
    # change nothing after that, so the first block may be filled up there.
    block = 1 << (_LANE + _LANES)
    bytes_ = np.frombuffer(view, np.uint8)
    first = len(view) % block
    if first < 4:
        first += block
    filled = np.zeros(_filled(first), np.uint8)
    filled[len(filled) - first :] = bytes_[:first]
    filled[len(filled) - first :][:4] ^= 0xFF
    crc = _block_sum(filled)
    for begin in range(first, len(view), block):
        crc = int(_moved(np.array([crc], np.uint32), _LANE + _LANES)[0]) ^ _block_sum(
            bytes_[begin : begin + block]
        )
    return crc ^ _ALL


def unmasked(crc: int) -> int:
    """Return the checksum that TensorFlow and LevelDB store rotated and with a constant added.

    >>> unmasked(0xa282ead8) == crc32c(b"")
    True
    """
    turned = (crc - _MASK_DELTA) & _ALL
    return (turned >> 17 | turned << 15) & _ALL


def _filled(size: int) -> int:
    """Return the size with zeros in front: pieces in a number that is a power of two."""
    lanes = -(-size >> _LANE)
    return 1 << (lanes - 1).bit_length() + _LANE


def _block_sum(block: Any) -> int:
    """Return the sum of a block, from a start of zero."""
    lanes = block.reshape(-1, 1 << _LANE)
    words = np.ascontiguousarray(lanes.view("<u4").T.astype(np.uint32))
    four = _shift_tables(2)
    crc = np.zeros(len(lanes), np.uint32)
    for word in words:
        crc = _looked_up(four, crc ^ word)
    power = _LANE
    while len(crc) > 1:
        crc = _moved(crc[0::2], power) ^ crc[1::2]
        power += 1
    return int(crc[0])


def _moved(crc: Any, power: int) -> Any:
    """Return sums as they are after 2 ** power further bytes of zeros."""
    return _looked_up(_shift_tables(power), crc)


def _looked_up(tables: Any, crc: Any) -> Any:
    return (
        tables[0][crc & 0xFF]
        ^ tables[1][(crc >> 8) & 0xFF]
        ^ tables[2][(crc >> 16) & 0xFF]
        ^ tables[3][crc >> 24]
    )


@cache
def _byte_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


@cache
def _shift_tables(power: int) -> Any:
    """Return four tables, one for each byte of a sum, that move it on by 2 ** power bytes of zeros."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if power == 0:
        images = np.array(_byte_table(), np.uint32)[bits & 0xFF] ^ (bits >> 8)
    else:
        half = _shift_tables(power - 1)
        images = _looked_up(half, _looked_up(half, bits))
    tables = np.zeros((4, 256), np.uint32)
    for byte in range(4):
        for bit in range(8):
            tables[byte, 1 << bit : 2 << bit] = tables[byte, : 1 << bit] ^ images[8 * byte + bit]
    return tables
