"""Write a checkpoint of TensorFlow's format 2, so that tests can vary what TensorFlow never writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nabi.files.protobuf import FIXED32, VARINT, key, length_delimited, varint
from nabi.interchange._tensorflow._crc32c import crc32c
from nabi.interchange._tensorflow._table import MAGIC

NUMBERS = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int64": 9}


def masked(crc: int) -> bytes:
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def entry(
    dtype: int,
    shape: tuple[int, ...],
    offset: int,
    size: int,
    crc: bytes,
    *,
    shard: int = 0,
    more: bytes = b"",
) -> bytes:
    """A `BundleEntryProto`."""
    dims = b"".join(b"".join(length_delimited(2, key(1, VARINT) + varint(size))) for size in shape)
    parts = [key(1, VARINT), varint(dtype), *length_delimited(2, dims), key(3, VARINT), varint(shard)]
    parts += [key(4, VARINT), varint(offset), key(5, VARINT), varint(size), key(6, FIXED32), crc]
    return b"".join(parts) + more


HEADER = key(1, VARINT) + varint(1)


def block(entries: list[tuple[bytes, bytes]], kind: int = 0) -> bytes:
    """A block of a table with its trailer; no name shares its beginning with the one before."""
    body = b"".join(
        varint(0) + varint(len(name)) + varint(len(value)) + name + value for name, value in entries
    )
    body += (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    return body + bytes([kind]) + masked(crc32c(body + bytes([kind])))


def table(entries: list[tuple[bytes, bytes]], kind: int = 0) -> bytes:
    """A table of one block."""
    data = block(entries, kind)
    index = block([(b"\xff", varint(0) + varint(len(data) - 5))])
    empty = block([])
    footer = (
        varint(len(data) + len(index)) + varint(len(empty) - 5) + varint(len(data)) + varint(len(index) - 5)
    )
    return data + index + empty + footer.ljust(40, b"\0") + MAGIC


def write_checkpoint(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write arrays as a checkpoint with one data file."""
    content, entries = b"", [(b"", HEADER)]
    for name, array in sorted(tensors.items()):
        data = np.ascontiguousarray(array).tobytes()
        number = NUMBERS[str(array.dtype)]
        entries.append(
            (name.encode(), entry(number, array.shape, len(content), len(data), masked(crc32c(data))))
        )
        content += data
    path.with_name(f"{path.name}.index").write_bytes(table(entries))
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(content)
