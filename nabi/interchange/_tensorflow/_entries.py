"""What the index of a checkpoint says about its tensors: type, shape, place in a data file, pieces.

The messages are those of TensorFlow's `tensor_bundle.proto`, `tensor_shape.proto`, `tensor_slice.proto` and
`types.proto`. A partitioned variable has an entry without data, which lists its pieces; each piece has an
entry of its own, whose key holds the name and the extent in an order-preserving code (`ordered_code.h`).
"""

import math
from typing import NamedTuple

import torch

from nabi.errors import FileFormatError
from nabi.files.protobuf import BYTES, FIXED32, VARINT, Field, fields, signed

__all__ = ["DTYPES", "Entry", "piece_key", "read_entry", "read_header"]

# Numbers of TensorFlow's DataType.
DTYPES = {
    1: torch.float32,
    2: torch.float64,
    3: torch.int32,
    4: torch.uint8,
    5: torch.int16,
    6: torch.int8,
    8: torch.complex64,
    9: torch.int64,
    10: torch.bool,
    14: torch.bfloat16,
    17: torch.uint16,
    18: torch.complex128,
    19: torch.float16,
    22: torch.uint32,
    23: torch.uint64,
}
_MOST_AXES = 254  # of a shape in TensorFlow
_LARGEST = 1 << 62
_MOST_SHARDS = 100_000
# The first byte of a signed number in the order-preserving code, by the number of its bytes.
_LENGTH_BITS = (b"", b"\x80", b"\xc0", b"\xe0", b"\xf0", b"\xf8", b"\xfc", b"\xfe", b"\xff", b"\xff\x80")

Extent = tuple[tuple[int, int | None], ...]  # for each axis where it begins, and its length; None for all


class Entry(NamedTuple):
    """One tensor of a checkpoint."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int  # masked
    pieces: tuple[Extent, ...]


def read_header(message: memoryview) -> int:
    """Return the number of data files.

    Raises:
        FileFormatError: if the checkpoint is of format 1, big-endian, or of a newer format.
    """
    shards, endianness = 0, 0
    for field in fields(message):
        if field.number == 1 and field.wire == BYTES:
            raise FileFormatError("it is a checkpoint of format 1")
        if field.number == 1:
            shards = _whole(field, "num_shards")
        elif field.number == 2:
            endianness = _whole(field, "endianness")
        elif field.number == 3:
            for version in fields(_bytes(field, "version")):
                # A file may name the lowest version that can read it; so far there is only version 1.
                if version.number == 2 and _whole(version, "min_consumer") > 1:
                    raise FileFormatError(f"version: expected 1, got {_whole(version, 'min_consumer')}")
    if endianness:
        raise FileFormatError("endianness: expected a little-endian checkpoint, got a big-endian one")
    if not 0 < shards <= _MOST_SHARDS:
        raise FileFormatError(f"num_shards: expected 1 to {_MOST_SHARDS} data files, got {shards}")
    return shards


def read_entry(message: memoryview) -> Entry:
    """Read the entry of one tensor.

    Raises:
        FileFormatError: if it is damaged.
    """
    dtype = shard = offset = size = checksum = 0
    shape: tuple[int, ...] = ()
    pieces: list[Extent] = []
    for field in fields(message):
        if field.number == 1:
            dtype = _whole(field, "dtype")
        elif field.number == 2:
            shape = _read_shape(_bytes(field, "shape"))
        elif field.number == 3:
            shard = _whole(field, "shard_id")
        elif field.number == 4:
            offset = _whole(field, "offset")
        elif field.number == 5:
            size = _whole(field, "size")
        elif field.number == 6 and field.wire == FIXED32:
            checksum = int.from_bytes(_bytes(field, "crc32c"), "little")
        elif field.number == 7:
            pieces.append(_read_extent(_bytes(field, "slices")))
    return Entry(dtype, shape, shard, offset, size, checksum, tuple(pieces))


def _read_shape(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for field in fields(message):
        if field.number == 3 and field.value:
            raise FileFormatError("shape: expected a known number of axes, got an unknown one")
        if field.number == 2:
            size = 0
            for part in fields(_bytes(field, "dim")):
                if part.number == 1:
                    size = _whole(part, "dim")
            sizes.append(size)
    if len(sizes) > _MOST_AXES or math.prod(max(size, 1) for size in sizes) > _LARGEST:
        raise FileFormatError(f"shape: expected a shape of a tensor, got {sizes[:8]}")
    return tuple(sizes)


def _read_extent(message: memoryview) -> Extent:
    extent = []
    for field in fields(message):
        if field.number == 1:
            start, length = 0, None
            for part in fields(_bytes(field, "extent")):
                if part.number == 1:
                    start = _whole(part, "start")
                elif part.number == 2:
                    length = _whole(part, "length")
            extent.append((start, length))
    return tuple(extent)


def _whole(field: Field, what: str) -> int:
    if field.wire != VARINT or not isinstance(field.value, int):
        raise FileFormatError(f"{what}: expected a whole number, got bytes")
    number = signed(field.value)
    if not 0 <= number <= _LARGEST:
        raise FileFormatError(f"{what}: expected 0 to 2**62, got {number}")
    return number


def _bytes(field: Field, what: str) -> memoryview:
    if isinstance(field.value, int):
        raise FileFormatError(f"{what}: expected bytes, got a whole number")
    return field.value


def piece_key(name: str, extent: Extent) -> bytes:
    """Return the key of a piece of a partitioned variable.

    >>> piece_key("rows", ((3, 2), (0, 3)))
    b'\\x00rows\\x00\\x01\\x01\\x02\\x83\\x82\\x80\\x83'
    """
    text = name.encode().replace(b"\xff", b"\xff\x00").replace(b"\x00", b"\x00\xff")
    parts = [_unsigned(0), text, b"\x00\x01", _unsigned(len(extent))]
    for start, length in extent:
        parts += [_signed(start), _signed(-1 if length is None else length)]
    return b"".join(parts)


def _unsigned(number: int) -> bytes:
    size = (number.bit_length() + 7) // 8
    return bytes([size]) + number.to_bytes(size, "big")


def _signed(number: int) -> bytes:
    # Seven bits for each byte, one of them for the sign.
    size = min((~number if number < 0 else number).bit_length() // 7 + 1, len(_LENGTH_BITS) - 1)
    plain = bytearray(number.to_bytes(size, "big", signed=True))
    for place, bits in enumerate(_LENGTH_BITS[size]):
        plain[place] ^= bits
    return bytes(plain)
