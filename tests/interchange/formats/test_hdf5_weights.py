"""Weights alone in HDF5 files: listed, and converted by their paths in the file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import load_file

from nabi.errors import FileFormatError
from nabi.interchange import convert
from nabi.interchange._hdf5_weights import list_hdf5, read_hdf5

h5py = pytest.importorskip("h5py")
KERAS = Path(__file__).parents[1] / "keras" / "files"
TYPES = ["<f2", "<f4", "<f8", ">f4", "i1", "<i4", ">i8", "u1", "<u2", "<u8", "?"]


@pytest.mark.parametrize("name", ["keras3_states", "keras2_keras"])
def test_files_of_keras_become_safetensors_and_pytorchs(tmp_path: Path, name: str) -> None:
    source = KERAS / f"{name}.weights.h5"
    assert convert(source, tmp_path / "a.safetensors") == ("Keras weights file (HDF5)", "safetensors file")
    convert(source, tmp_path / "a.pt")
    kept = torch.load(tmp_path / "a.pt", weights_only=True)
    expected = {}
    with h5py.File(source, "r") as file:
        file.visititems(
            lambda path, one: expected.update({path: one[()]}) if isinstance(one, h5py.Dataset) else None
        )
    assert len(expected) > 2
    for found in (kept, load_file(tmp_path / "a.safetensors")):
        assert found.keys() == expected.keys()
        for path, values in expected.items():
            np.testing.assert_array_equal(found[path].numpy(), values)


@given(st.data())
def test_any_numbers_come_as_they_are(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    values = data.draw(arrays.arrays(data.draw(st.sampled_from(TYPES)), shapes))
    path = tmp_path_factory.getbasetemp() / "any.weights.h5"
    packed = {"compression": "gzip"} if values.ndim and values.size and data.draw(st.booleans()) else {}
    with h5py.File(path, "w") as file:
        file.create_dataset("a/b/c", data=values, **packed)
        file.create_dataset("text", data="no numbers")
    (found,), listed = read_hdf5(path).values(), list_hdf5(path)
    assert listed == {"a/b/c": (found.dtype, tuple(found.shape))}
    np.testing.assert_array_equal(found.numpy(), values)


def test_bits_of_bfloat16_are_numbers_again(tmp_path: Path) -> None:
    numbers = torch.tensor([1.0, -2.5, float("inf"), 3e-39]).bfloat16()
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["w"] = numbers.view(torch.int16).numpy().view(np.uint16)
        file["w"].attrs["dtype"] = "bfloat16"
        file["plain"] = np.arange(3, dtype=np.uint16)
    assert list_hdf5(tmp_path / "x.weights.h5")["w"] == (torch.bfloat16, (4,))
    found = read_hdf5(tmp_path / "x.weights.h5")
    assert torch.equal(found["w"], numbers)
    assert found["plain"].dtype is torch.uint16


def test_numbers_that_lie_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(40))
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file.create_dataset("w", (10,), "<f4", external=[(str(tmp_path / "secret"), 0, 40)])
    with pytest.raises(FileFormatError, match="its numbers lie elsewhere"):
        convert(tmp_path / "x.weights.h5", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()
