"""The bytes of packed weights: a header of one cache line, then the numbers."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from nabi.shipping._memory import FOURS, Layout

__all__ = ["ABI_VERSION", "HEADER_BYTES", "Weights", "packed_weights"]

ABI_VERSION = 1
"""Of the functions and of the header of weights; another number means that the two do not fit together."""
HEADER_BYTES = 64
_MAGIC = b"nabi"
_HEADER = struct.Struct("<4sIIII44x")


@dataclass(frozen=True)
class Weights:
    """The weights of an exported model.

    Attributes:
        content: the header and the numbers.
        layout: a number that weights of another model, processor or version of nabi do not have.
        checksum: the CRC-32 of the numbers.
    """

    content: bytes
    layout: int
    checksum: int


def packed_weights(layout: Layout, structure: str) -> Weights:
    """Return the weights of a layout as they are stored.

    The header has the magic number `nabi`, the version of the interface, the layout, the bytes of the numbers
    and their CRC-32, as little-endian integers of 32 bits; zeros fill it up to 64 bytes.

    Args:
        layout: where the weights lie.
        structure: a digest of the program without its weights.
    """
    numbers = np.ascontiguousarray(layout.weights, "<f4").tobytes()
    parts = [structure, layout.lanes, len(numbers), *([layout.kind] if layout.kind else [])]
    parts += [FOURS] if layout.digits is not None else []
    label = zlib.crc32(" ".join(map(str, parts)).encode())
    checksum = zlib.crc32(numbers)
    header = _HEADER.pack(_MAGIC, ABI_VERSION, label, len(numbers), checksum)
    return Weights(header + numbers, label, checksum)
