"""The checkpoints that TensorFlow wrote are read without it; what is damaged or other is refused."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from nabi.errors import FileFormatError, MissingFileError
from nabi.interchange import read_tensorflow_checkpoint
from nabi.interchange._tensorflow._crc32c import crc32c
from nabi.interchange._tensorflow._entries import piece_key
from nabi.interchange._tensorflow._table import read_table

from .writing import HEADER, entry, masked, table, write_checkpoint

FILES = Path(__file__).parent / "files"
EXPECTED: Any = np.load(FILES / "expected.npz")
DATA = "data-00000-of-00001"


@pytest.mark.parametrize("name", ["sharded", "pieces"])
def test_several_data_files_and_variables_in_pieces(name: str) -> None:
    checkpoint = read_tensorflow_checkpoint(FILES / name)
    assert len(checkpoint) == 2
    for variable, tensor in checkpoint.items():
        np.testing.assert_array_equal(tensor, EXPECTED[f"{name}/{variable}"])


@pytest.mark.parametrize("ending", ["", ".index", f".{DATA}"])
def test_a_checkpoint_may_be_named_by_any_of_its_files(ending: str) -> None:
    assert "rnn/gru_cell/gates/kernel" in read_tensorflow_checkpoint(FILES / f"gru{ending}")


def test_every_type_of_number() -> None:
    checkpoint = read_tensorflow_checkpoint(FILES / "types")
    values = torch.tensor([[0, 1, 2], [3, 4, 100]])
    names = [name for name in checkpoint if name not in ("scalar", "empty", "bool")]
    assert len(names) == 14
    for name in names:
        tensor = checkpoint[name]
        assert tensor.dtype is getattr(torch, name)
        assert (tensor.to(torch.complex128) == values).all()
    assert checkpoint["bool"].tolist() == [[False, True, True], [True, True, True]]
    assert checkpoint["scalar"] == 2.5
    assert checkpoint["empty"].shape == (0, 3)
    assert checkpoint.others == {"words": "text"}
    with pytest.raises(KeyError):
        checkpoint["words"]


def test_a_checkpoint_of_objects() -> None:
    checkpoint = read_tensorflow_checkpoint(FILES / "objects")
    assert checkpoint["kernel/.ATTRIBUTES/VARIABLE_VALUE"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert checkpoint.others == {"_CHECKPOINTABLE_OBJECT_GRAPH": "text"}


def test_a_tensor_is_the_callers_own() -> None:
    checkpoint = read_tensorflow_checkpoint(FILES / "gru")
    name = "rnn/gru_cell/gates/bias"
    before = checkpoint[name].clone()
    checkpoint[name].zero_()
    assert (checkpoint[name] == before).all()


def test_format_1_is_refused_with_what_to_do() -> None:
    with pytest.raises(FileFormatError, match=r"format 1, in one file.*write_version"):
        read_tensorflow_checkpoint(FILES / "format-1.ckpt")


def test_format_1_under_the_name_of_an_index(tmp_path: Path) -> None:
    shutil.copy(FILES / "format-1.ckpt", tmp_path / "model.index")
    with pytest.raises(FileFormatError, match="it is a checkpoint of format 1"):
        read_tensorflow_checkpoint(tmp_path / "model")


def test_a_folder_lists_its_checkpoints() -> None:
    with pytest.raises(FileFormatError, match=r"got the folder .*basic-lstm, basic-rnn"):
        read_tensorflow_checkpoint(FILES)


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"there is no index .*model\.ckpt\.index"):
        read_tensorflow_checkpoint(tmp_path / "model.ckpt")
    shutil.copy(FILES / "gru.index", tmp_path)
    with pytest.raises(MissingFileError, match=rf"there is no data file .*gru\.{DATA}"):
        read_tensorflow_checkpoint(tmp_path / "gru")


def test_a_file_of_another_kind() -> None:
    with pytest.raises(FileFormatError, match="is no checkpoint of TensorFlow"):
        read_tensorflow_checkpoint(FILES / "expected.npz")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.index")
    with pytest.raises(FileFormatError, match="a pipe or a device"):
        read_tensorflow_checkpoint(tmp_path / "model")


def copied(folder: Path, name: str = "gru") -> tuple[Path, Path]:
    for path in FILES.glob(f"{name}.*"):
        shutil.copy(path, folder)
    return folder / f"{name}.index", folder / f"{name}.{DATA}"


def test_data_with_another_checksum_name_the_tensor(tmp_path: Path) -> None:
    index, data = copied(tmp_path)
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    checkpoint = read_tensorflow_checkpoint(index)
    with pytest.raises(FileFormatError, match=r"rnn/gru_cell/gates/kernel.*another checksum"):
        checkpoint["rnn/gru_cell/gates/kernel"]
    assert checkpoint["rnn/gru_cell/gates/bias"].shape == (6,)


def test_data_cut_short_name_the_tensor(tmp_path: Path) -> None:
    index, data = copied(tmp_path)
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(FileFormatError, match=r"cut short: .*gates/kernel.*216, got a file of 215"):
        read_tensorflow_checkpoint(index)


@pytest.mark.parametrize(("kind", "name"), [(1, "Snappy"), (2, "Zstandard"), (9, "number 9")])
def test_a_compressed_index_is_refused(tmp_path: Path, kind: int, name: str) -> None:
    (tmp_path / "model.index").write_bytes(table([(b"", HEADER)], kind))
    with pytest.raises(FileFormatError, match=rf"it is compressed \({name}\)"):
        read_tensorflow_checkpoint(tmp_path / "model")


BAD_ENTRIES = {
    "its data overlap": [entry(1, (2,), 0, 8, bytes(4)), entry(1, (2,), 4, 8, bytes(4))],
    "expected 8 bytes for the shape": [entry(1, (2,), 0, 12, bytes(4))],
    "expected 4000000000000 bytes for the shape": [entry(1, (10**6, 10**6), 0, 12, bytes(4))],
    "expected a shape of a tensor": [entry(1, (2**40, 2**40), 0, 12, bytes(4))],
    "expected one of 1 data files, got 1": [entry(1, (2,), 0, 8, bytes(4), shard=1)],
    "expected its data up to byte": [entry(1, (2,), 2**40, 8, bytes(4))],
    "offset: expected 0 to": [entry(1, (2,), -1, 8, bytes(4))],
    "dtype: expected a whole number": [b"\x0a\x00"],
}


@pytest.mark.parametrize("message", BAD_ENTRIES)
def test_entries_that_lie_are_refused_before_anything_is_read(tmp_path: Path, message: str) -> None:
    named = [(f"x{number}".encode(), value) for number, value in enumerate(BAD_ENTRIES[message])]
    (tmp_path / "model.index").write_bytes(table([(b"", HEADER), *named]))
    (tmp_path / f"model.{DATA}").write_bytes(bytes(16))
    with pytest.raises(FileFormatError, match=message):
        read_tensorflow_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"\x08\x01\x10\x01", "got a big-endian one"),
        (b"\x08\x01\x1a\x02\x10\x02", "version: expected 1, got 2"),
        (b"", "num_shards: expected 1 to"),
        (b"\x08\xff\xff\xff\x7f", "num_shards: expected 1 to"),
    ],
)
def test_headers_of_other_checkpoints(tmp_path: Path, header: bytes, message: str) -> None:
    (tmp_path / "model.index").write_bytes(table([(b"", header)]))
    with pytest.raises(FileFormatError, match=message):
        read_tensorflow_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([b"a"], "header: it is missing"),
        ([], "header: it is missing"),
        ([b"", b"b", b"a"], "expected names in their order"),
        ([b"", b"a", b"a"], "expected names in their order"),
        ([b"", b"\xff\xfe"], "codec can't decode"),
        ([b"", b"x" * 9000], "expected names of at most 8192 bytes"),
    ],
)
def test_tables_with_other_names(tmp_path: Path, names: list[bytes], message: str) -> None:
    value = entry(1, (), 0, 4, bytes(4))
    (tmp_path / "model.index").write_bytes(table([(name, value if name else HEADER) for name in names]))
    (tmp_path / f"model.{DATA}").write_bytes(bytes(16))
    with pytest.raises(FileFormatError, match=message):
        read_tensorflow_checkpoint(tmp_path / "model")


def extents(*pieces: tuple[int, int]) -> bytes:
    parts = []
    for begin, length in pieces:
        inner = bytes([0x08, begin, 0x10, length])
        extent = bytes([0x0A, len(inner)]) + inner
        parts.append(bytes([0x3A, len(extent)]) + extent)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("listed", "there", "message"),
    [
        ([(0, 2), (2, 2)], [(0, 2)], "one of its 2 pieces is missing"),
        ([(0, 2), (1, 2)], [(0, 2), (1, 2)], "its pieces overlap"),
        ([(0, 2)], [(0, 2)], "do not make up the shape"),
        ([(0, 2), (3, 2)], [(0, 2), (3, 2)], "a piece lies outside"),
    ],
)
def test_pieces_that_do_not_make_up_a_variable(
    tmp_path: Path, listed: list[tuple[int, int]], there: list[tuple[int, int]], message: str
) -> None:
    content = np.arange(8, dtype="float32").tobytes()
    rows = [(b"", HEADER), (b"x", entry(1, (4,), 0, 0, bytes(4), more=extents(*listed)))]
    for number, (begin, length) in enumerate(there):
        data = content[8 * number : 8 * number + 8]
        value = entry(1, (length,), 8 * number, 8, masked(crc32c(data)))
        rows.append((piece_key("x", ((begin, length),)), value))
    (tmp_path / "model.index").write_bytes(table(sorted(rows)))
    (tmp_path / f"model.{DATA}").write_bytes(content)
    checkpoint = read_tensorflow_checkpoint(tmp_path / "model")
    with pytest.raises(FileFormatError, match=message):
        checkpoint["x"]


@given(st.data())
def test_any_arrays_come_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    place = tmp_path_factory.mktemp("checkpoint") / "model"
    names = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
    )
    shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
    chosen = data.draw(st.dictionaries(names, shapes, max_size=6))
    chance = np.random.default_rng(0)
    arrays = {name: chance.normal(size=shape).astype("float32") for name, shape in chosen.items()}
    write_checkpoint(place, dict(sorted(arrays.items(), key=lambda item: item[0].encode())))
    read = read_tensorflow_checkpoint(place)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


def plain_crc32c(data: bytes) -> int:
    """Byte by byte, with a table made bit by bit as RFC 3720 has it."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def test_the_checksum_of_known_data() -> None:
    # RFC 3720, appendix B.4.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes([255]) * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("size", [0, 1, 2048, 2049, 5000, *((1 << 20) + more for more in (0, 1, 3, 4, 1000))])
def test_the_checksum_of_data_of_several_pieces_and_blocks(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == plain_crc32c(data)


def test_a_table_with_blocks_named_twice_is_refused() -> None:
    from .writing import MAGIC, block, varint

    data = block([(b"", HEADER)])
    handle = varint(0) + varint(len(data) - 5)
    index = block([(b"a", handle), (b"b", handle)])
    footer = (varint(0) + varint(0) + varint(len(data)) + varint(len(index) - 5)).ljust(40, b"\0") + MAGIC
    with pytest.raises(FileFormatError, match="got one twice"):
        list(read_table(data + index + footer))
