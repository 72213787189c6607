"""Reading a checkpoint of TensorFlow: the index at once, tensors when they are asked for."""

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.errors import FileFormatError, MissingFileError
from nabi.files import reading
from nabi.interchange._tensorflow._crc32c import crc32c, unmasked
from nabi.interchange._tensorflow._entries import DTYPES, Entry, Extent, piece_key, read_entry, read_header
from nabi.interchange._tensorflow._table import MAGIC, read_table

__all__ = ["TensorFlowCheckpoint", "TensorInfo", "list_checkpoint", "read_tensorflow_checkpoint"]

_LARGEST_INDEX = 64 << 20
_MOST_ENTRIES = 500_000
_DATA_FILE = re.compile(r"\.data-\d{5}-of-\d{5}$")
# A type whose tensors hold no numbers, or numbers that torch has no type for.
_NO_NUMBERS = {7: "text", 20: "resource", 21: "variant"}
_SHOWN = 5


class TensorInfo(NamedTuple):
    """What is known of a tensor before it is read."""

    dtype: torch.dtype
    shape: tuple[int, ...]


class TensorFlowCheckpoint(Mapping[str, Tensor]):
    """The tensors of a checkpoint by name; each is read, and its checksum compared, when asked for.

    Attributes:
        path: of the index.
        info: the type and the shape of every tensor, without reading it.
        others: what torch cannot hold, by name: `"text"` or the number of another type.

    `read_tensorflow_checkpoint` makes one.
    """

    def __init__(self, path: Path, entries: Mapping[bytes, Entry], shards: int) -> None:
        self.path = path
        self.info: dict[str, TensorInfo] = {}
        self.others: dict[str, str] = {}
        self._entries = entries
        self._shards = shards
        for key, entry in entries.items():
            if key.startswith(b"\0"):  # a piece
                continue
            name = key.decode()
            if entry.dtype in DTYPES:
                self.info[name] = TensorInfo(DTYPES[entry.dtype], entry.shape)
            else:
                self.others[name] = _NO_NUMBERS.get(entry.dtype, f"type {entry.dtype}")
        self._check_entries()

    def __len__(self) -> int:
        return len(self.info)

    def __iter__(self) -> Iterator[str]:
        return iter(self.info)

    def __contains__(self, name: object) -> bool:
        return name in self.info

    def __getitem__(self, name: str) -> Tensor:
        """Read a tensor into memory.

        Raises:
            KeyError: for a name that is not there.
            FileFormatError: if the data are damaged.
        """
        dtype, shape = self.info[name]
        entry = self._entries[name.encode()]
        with reading(self.path, f"the tensor {name} cannot be read"):
            if not entry.pieces:
                return self._read(name, entry)
            pieces = [self._piece(name, entry, extent) for extent in entry.pieces]
            if sum(math.prod(piece.shape) for piece in pieces) != math.prod(shape):
                raise FileFormatError(f"{name}: its pieces do not make up the shape {list(shape)}")
            whole = torch.empty(shape, dtype=dtype)
            filled = torch.zeros(shape, dtype=torch.bool)
            for extent, piece in zip(entry.pieces, pieces, strict=True):
                where = tuple(
                    slice(begin, None if length is None else begin + length) for begin, length in extent
                )
                whole[where] = self._read(name, piece)
                filled[where] = True
            if not filled.all():
                raise FileFormatError(f"{name}: its pieces overlap")
            return whole

    def _piece(self, name: str, entry: Entry, extent: Extent) -> Entry:
        if len(extent) != len(entry.shape):
            raise FileFormatError(f"{name}: expected a piece of {len(entry.shape)} axes, got {len(extent)}")
        sizes = []
        for (begin, length), size in zip(extent, entry.shape, strict=True):
            sizes.append(size - begin if length is None else length)
            if sizes[-1] < 0 or begin + sizes[-1] > size:
                raise FileFormatError(f"{name}: a piece lies outside the shape {list(entry.shape)}")
        piece = self._entries.get(piece_key(name, extent))
        if piece is None:
            raise FileFormatError(f"{name}: one of its {len(entry.pieces)} pieces is missing")
        if piece.shape != tuple(sizes) or piece.dtype != entry.dtype or piece.pieces:
            raise FileFormatError(f"{name}: a piece has another shape or type than the list of pieces says")
        return piece

    def _read(self, name: str, entry: Entry) -> Tensor:
        path = self._data_path(entry.shard)
        content = bytearray(entry.size)
        with path.open("rb") as file:
            file.seek(entry.offset)
            found = file.readinto(content)
        if found != entry.size:
            raise FileFormatError(f"{name}: expected {entry.size} bytes in {path}, got {found}")
        if crc32c(content) != unmasked(entry.checksum):
            raise FileFormatError(f"{name}: its {entry.size} bytes in {path.name} have another checksum")
        dtype = DTYPES[entry.dtype]
        if not content:
            return torch.empty(entry.shape, dtype=dtype)
        if dtype is torch.bool:  # torch takes every byte, but reckons only with 0 and 1
            return torch.frombuffer(content, dtype=torch.uint8).ne(0).reshape(entry.shape)
        return torch.frombuffer(content, dtype=dtype).reshape(entry.shape)

    def _data_path(self, shard: int) -> Path:
        stem = self.path.name.removesuffix(".index")
        return self.path.with_name(f"{stem}.data-{shard:05d}-of-{self._shards:05d}")

    def _check_entries(self) -> None:
        """Check sizes, and that every tensor has a place of its own, so that no data are read twice."""
        places: dict[int, list[tuple[int, int, str]]] = {}
        for key, entry in self._entries.items():
            name = _shown(key)
            dtype = DTYPES.get(entry.dtype)
            if entry.pieces:
                continue
            if dtype is not None and entry.size != math.prod(entry.shape) * dtype.itemsize:
                raise FileFormatError(
                    f"{name}: expected {math.prod(entry.shape) * dtype.itemsize} bytes for the shape "
                    f"{list(entry.shape)}, got {entry.size}"
                )
            if entry.shard >= self._shards:
                raise FileFormatError(f"{name}: expected one of {self._shards} data files, got {entry.shard}")
            places.setdefault(entry.shard, []).append((entry.offset, entry.size, name))
        for taken in places.values():
            end = 0
            for offset, size, name in sorted(taken):
                if offset < end and size:
                    raise FileFormatError(f"{name}: its data overlap with those of another tensor")
                end = max(end, offset + size)

    def check_data_files(self) -> None:
        """Check that the data files are there and long enough.

        Raises:
            MissingFileError: if one is missing.
            FileFormatError: if one is cut short.
        """
        held: dict[int, int] = {}
        for key, entry in self._entries.items():
            if entry.pieces:
                continue
            path = self._data_path(entry.shard)
            if entry.shard not in held:
                if not path.exists():
                    raise MissingFileError(
                        f"path: there is no data file {path}, which {self.path.name} refers to; a checkpoint "
                        "is all its files"
                    )
                held[entry.shard] = _size(path)
            if entry.offset + entry.size > held[entry.shard]:
                raise FileFormatError(
                    f"path: {path} is cut short: {_shown(key)}: expected its data up to byte "
                    f"{entry.offset + entry.size}, got a file of {held[entry.shard]} bytes"
                )


def _shown(key: bytes) -> str:
    """Return a key for a message; that of a piece has more than the name."""
    return key.decode(errors="replace").replace("\0", "")


@public
def read_tensorflow_checkpoint(path: str | os.PathLike[str]) -> TensorFlowCheckpoint:
    """Open a checkpoint of TensorFlow, as its `Saver`, `Checkpoint` and SavedModels write them.

    Such a checkpoint is of format 2 (since TensorFlow 0.12): an index, `model.ckpt.index`, and one or more
    files of data, `model.ckpt.data-00000-of-00001`. Nothing in it is executed. TensorFlow is not needed.

    Args:
        path: `model.ckpt`, as TensorFlow names it, or one of the two files.

    Returns:
        A mapping from names to tensors, which are read when they are asked for, in the types of the file.
        Variables that were saved in pieces (partitioned) are put together.

    Raises:
        MissingFileError: if the index or a data file does not exist.
        FileFormatError: if the checkpoint is damaged, compressed, big-endian or of format 1 (one file). The
            message names the file and the tensor.

    Source: LevelDB's table format; `tensor_bundle.proto` of TensorFlow.

    Example:
        >>> import pathlib
        >>> folder = pathlib.Path("tests/interchange/tensorflow/files")
        >>> checkpoint = read_tensorflow_checkpoint(folder / "gru")
        >>> for name, (dtype, shape) in checkpoint.info.items():
        ...     print(name, dtype, shape)
        rnn/gru_cell/candidate/bias torch.float32 (3,)
        rnn/gru_cell/candidate/kernel torch.float32 (5, 3)
        rnn/gru_cell/gates/bias torch.float32 (6,)
        rnn/gru_cell/gates/kernel torch.float32 (5, 6)
        >>> checkpoint["rnn/gru_cell/gates/kernel"].shape
        torch.Size([5, 6])
    """
    index = _index_path(_checks.path("path", path))
    # Whatever else goes wrong in a file that somebody made is an error of the file.
    with reading(index, "it cannot be read as a checkpoint of TensorFlow"):
        try:
            checkpoint = _read_index(index)
        except FileFormatError as problem:
            raise FileFormatError(f"path: {index}: {problem}") from problem
    checkpoint.check_data_files()
    return checkpoint


def _read_index(index: Path) -> TensorFlowCheckpoint:
    if _size(index) > _LARGEST_INDEX:
        raise FileFormatError(f"expected an index of at most {_LARGEST_INDEX >> 20} MiB")
    table = read_table(index.read_bytes())
    key, header = next(table, (None, memoryview(b"")))
    if key != b"":
        raise FileFormatError("header: it is missing")
    shards = read_header(header)
    entries = {key: read_entry(value) for key, value in islice(table, _MOST_ENTRIES)}
    if next(table, None) is not None:
        raise FileFormatError(f"expected at most {_MOST_ENTRIES} tensors")
    return TensorFlowCheckpoint(index, entries, shards)


def _index_path(place: Path) -> Path:
    if place.is_dir():
        found = sorted(one.name.removesuffix(".index") for one in place.glob("*.index"))
        there = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        hint = f"in it are {there}" if found else "there is no .index file in it"
        raise FileFormatError(f"path: expected a checkpoint, got the folder {place}; {hint}")
    if place.name.endswith(".index"):
        index = place
    else:
        index = place.with_name(_DATA_FILE.sub("", place.name) + ".index")
        if not index.exists() and place.is_file():
            raise FileFormatError(f"path: {place} {_other_than_index(place)}")
    if not index.exists():
        raise MissingFileError(f"path: there is no index {index} of a checkpoint")
    return index


def _other_than_index(place: Path) -> str:
    with place.open("rb") as file:
        file.seek(max(_size(place) - len(MAGIC), 0))
        if file.read() == MAGIC:
            return (
                "is a checkpoint of format 1, in one file, as TensorFlow wrote before 0.12; read and save it "
                "again there, with tf.train.Saver(write_version=tf.train.SaverDef.V2)"
            )
    return f"is no checkpoint of TensorFlow, and there is no index {place.name}.index beside it"


def _size(path: Path) -> int:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise FileFormatError(f"path: expected the regular file {path}, got a folder, a pipe or a device")
    return found.st_size


def list_checkpoint(path: str | os.PathLike[str]) -> dict[str, TensorInfo]:
    """Return the types and shapes of a checkpoint's tensors; raises as `read_tensorflow_checkpoint`."""
    return read_tensorflow_checkpoint(path).info
