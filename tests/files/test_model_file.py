"""The model file: what goes in comes out, and what is not such a file is refused with the reason."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.torch import save_file

from nabi.errors import FileFormatError, MissingFileError, OutputError
from nabi.files import LAYOUT, read_model_file, write_model_file

DTYPES = [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, torch.bfloat16]


@given(
    names=st.lists(st.text("abc./_0é", min_size=1, max_size=8), max_size=4, unique=True),
    sizes=st.lists(st.integers(0, 3), max_size=3),
    dtype=st.sampled_from(DTYPES),
    note=st.text(max_size=20),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_round_trip(
    tmp_path: Path, names: list[str], sizes: list[int], dtype: torch.dtype, note: str
) -> None:
    tensors = {name: torch.randint(0, 2, sizes).to(dtype) for name in names}
    write_model_file(tmp_path / "file", "weights", {"note": note}, tensors)
    read = read_model_file(tmp_path / "file")
    assert (read.kind, read.header["note"], read.header["layout"]) == ("weights", note, LAYOUT)
    assert read.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read.tensors[name].dtype == dtype
        assert torch.equal(read.tensors[name], tensor)


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3.0), "a": torch.arange(2)}
    for name in ("one", "two"):
        write_model_file(tmp_path / name, "weights", {"x": 1, "y": [2, 3]}, tensors)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_views_and_shared_memory_are_written_as_they_look(tmp_path: Path) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    write_model_file(
        tmp_path / "file", "weights", {}, {"whole": base, "turned": base.T, "column": base[:, 1]}
    )
    read = read_model_file(tmp_path / "file").tensors
    assert torch.equal(read["turned"], base.T)
    assert torch.equal(read["column"], base[:, 1])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.nabi"
    write_model_file(path, "model", {"note": "x" * 50}, {"weight": torch.arange(100.0)})
    return path


@given(share=st.floats(0, 0.999))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_file_cut_anywhere_is_refused(good: Path, share: float) -> None:
    content = good.read_bytes()
    cut = good.with_name("cut.nabi")
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(FileFormatError, match=r"cut\.nabi"):
        read_model_file(cut)


@given(content=st.binary(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_other_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "noise").write_bytes(content)
    with pytest.raises(FileFormatError, match="noise"):
        read_model_file(tmp_path / "noise")


@given(place=st.floats(0, 0.999), value=st.integers(0, 255))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_byte_gives_a_file_or_a_format_error(good: Path, place: float, value: int) -> None:
    content = bytearray(good.read_bytes())
    content[int(len(content) * place)] = value
    changed = good.with_name("changed.nabi")
    changed.write_bytes(content)
    problem = ""
    try:
        assert read_model_file(changed).header["format"] == "nabi"
    except FileFormatError as refused:
        problem = str(refused)
    assert not problem or "changed.nabi" in problem


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / "model.pt")
    with pytest.raises(FileFormatError, match=r"model\.pt is not a nabi model file"):
        read_model_file(tmp_path / "model.pt")


def with_header(path: Path, **metadata: str) -> Path:
    save_file({"weight": torch.ones(2)}, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "has no nabi header"),
        ({"format": "pt"}, "has no nabi header"),
        ({"nabi": "{"}, "its header is not JSON"),
        ({"nabi": "[" * 100_000}, "its header is not JSON"),
        ({"nabi": "[1]"}, "does not name the format"),
        ({"nabi": json.dumps({"format": "other"})}, "does not name the format"),
        ({"nabi": json.dumps({"format": "nabi", "layout": "1"})}, "its layout version is '1'"),
        ({"nabi": json.dumps({"format": "nabi", "layout": 0})}, "its layout version is 0"),
        (
            {"nabi": json.dumps({"format": "nabi", "layout": LAYOUT + 1})},
            rf"expected layout version {LAYOUT} or lower, got {LAYOUT + 1}",
        ),
        ({"nabi": json.dumps({"format": "nabi", "layout": 1})}, "does not say what it holds"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    path = with_header(tmp_path / "file", **metadata)
    with pytest.raises(FileFormatError, match=message):
        read_model_file(path)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"there is no model file .*nothing"):
        read_model_file(tmp_path / "nothing")
    with pytest.raises(FileFormatError, match="expected a model file, got the folder"):
        read_model_file(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        write_model_file(tmp_path / "file" / "model", "model", {}, {})
