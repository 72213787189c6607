"""LevelDB's sorted table, in which TensorFlow keeps what a checkpoint has: keys with bytes.

Source: LevelDB's document on its table format. The file ends with a footer that names the block of the
index; that names the blocks of entries. An entry stores how much of the key before it begins the same. After
each block come one byte for its compression and the masked CRC-32C of both.
"""

from collections.abc import Iterator

from nabi.errors import FileFormatError
from nabi.files.protobuf import read_varint
from nabi.interchange._tensorflow._crc32c import crc32c, unmasked

__all__ = ["MAGIC", "read_table"]

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER, _TRAILER = 48, 5  # bytes
# A key can take up what one before it had at hardly a byte's cost. Names of variables are short.
_LONGEST_KEY, _LONGEST_KEYS = 8192, 32 << 20
_COMPRESSIONS = {1: "Snappy", 2: "Zstandard"}


def read_table(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Read the keys of a table, which rise, and their values.

    Raises:
        FileFormatError: if it is damaged, or compressed.
    """
    if len(content) < _FOOTER or content[-8:] != MAGIC:
        raise FileFormatError("footer: expected LevelDB's magic number; the file is cut short or no table")
    data = memoryview(content)
    footer = data[-_FOOTER:]
    _, _, place = _handle(footer, 0, "footer")
    begin, size, _ = _handle(footer, place, "footer")
    end_of_blocks = len(data) - _FOOTER
    last, keys, after = None, 0, 0
    for _, value in _entries(_block(data, begin, size, end_of_blocks, "index block")):
        begin, size, _ = _handle(value, 0, "index block")
        if begin < after:
            raise FileFormatError("index block: expected blocks one after the other, got one twice")
        after = begin + size
        for key, held in _entries(_block(data, begin, size, end_of_blocks, "block")):
            keys += len(key)
            if keys > _LONGEST_KEYS:
                raise FileFormatError(f"block: expected names of at most {_LONGEST_KEYS >> 20} MiB together")
            if last is not None and key <= last:
                raise FileFormatError("block: expected names in their order, each once")
            last = key
            yield key, held


def _block(data: memoryview, begin: int, size: int, most: int, what: str) -> memoryview:
    """Return a block without its trailer and its table of restarts."""
    if begin + size + _TRAILER > most:
        raise FileFormatError(
            f"{what}: expected it to end by byte {most}, got byte {begin + size + _TRAILER}"
        )
    trailer = data[begin + size : begin + size + _TRAILER]
    if crc32c(data[begin : begin + size + 1]) != unmasked(int.from_bytes(trailer[1:], "little")):
        raise FileFormatError(f"{what} at byte {begin}: the checksum is wrong")
    if trailer[0]:
        name = _COMPRESSIONS.get(trailer[0], f"number {trailer[0]}")
        raise FileFormatError(
            f"{what} at byte {begin}: it is compressed ({name}), which TensorFlow's checkpoints of format 2 "
            "never are; expected a block that is not compressed"
        )
    if size < 4:
        raise FileFormatError(f"{what} at byte {begin}: expected at least 4 bytes, got {size}")
    restarts = int.from_bytes(data[begin + size - 4 : begin + size], "little")
    if 4 * restarts > size - 4:
        raise FileFormatError(f"{what} at byte {begin}: its table of {restarts} restarts does not fit")
    return data[begin : begin + size - 4 - 4 * restarts]


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    key, place = b"", 0
    while place < len(block):
        shared, place = read_varint(block, place)
        fresh, place = read_varint(block, place)
        size, place = read_varint(block, place)
        if shared > len(key) or fresh + size > len(block) - place:
            raise FileFormatError("block: an entry is longer than its block")
        if shared + fresh > _LONGEST_KEY:
            raise FileFormatError(f"block: expected names of at most {_LONGEST_KEY} bytes")
        key = key[:shared] + bytes(block[place : place + fresh])
        place += fresh
        yield key, block[place : place + size]
        place += size


def _handle(data: memoryview, place: int, what: str) -> tuple[int, int, int]:
    """Read where a block begins and its size; return also the place after these."""
    begin, place = read_varint(data, place)
    size, place = read_varint(data, place)
    return begin, size, place
