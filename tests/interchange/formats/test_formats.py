"""Files are known by their content; the table of formats names functions that are there."""

import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st

from nabi import layers, models
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, OutputError
from nabi.files import write_model_file
from nabi.interchange import convert, describe, read_model, write_model
from nabi.interchange._formats import FORMATS, format_of, format_to_write, function
from nabi.utils import set_random_seed

CHECKPOINTS = Path(__file__).parents[1] / "tensorflow" / "files"


def make_model() -> Any:
    set_random_seed(1)
    recurrent = layers.Bidirectional(
        layers.GRU(3, return_sequences=True), input_shape=(None, 2), name="bidirectional"
    )
    return models.Sequential([recurrent, layers.LSTM(4, name="lstm"), layers.Dense(1)])


def write_own(path: Path) -> None:
    """Under its own ending first: what `save` writes may follow from the ending."""
    make_model().save(path.with_suffix(".nabi"))
    path.with_suffix(".nabi").rename(path)


def write_onnx_like(path: Path) -> None:
    """The outer message of an ONNX model: version, producer, an empty graph, versions of operators."""
    path.write_bytes(b"\x08\x08\x12\x04test\x3a\x00\x42\x02\x10\x11")


def write_zip(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")


def write_hdf5(path: Path, model_config: bool) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        cell = file.create_group("layers/lstm/cell/vars")
        for number, shape in enumerate([(2, 12), (3, 12), (12,)]):
            cell.create_dataset(str(number), data=torch.zeros(shape).numpy())
        file.create_dataset("text", data="no numbers")
        if model_config:
            file.attrs["model_config"] = "{}"


def write_script(path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and files of it remain
        torch.jit.script(torch.nn.Linear(2, 3)).save(str(path))


SAMPLES: dict[str, Callable[[Path], object]] = {
    "nabi model file": write_own,
    "safetensors file": lambda path: (
        write_model(make_model(), path.with_suffix(".safetensors"))
        or path.with_suffix(".safetensors").rename(path)
    ),
    "Keras archive": lambda path: write_zip(path, "metadata.json", "config.json", "model.weights.h5"),
    "Keras weights file (HDF5)": lambda path: write_hdf5(path, False),
    "Keras model file (HDF5)": lambda path: write_hdf5(path, True),
    "PyTorch weights file": lambda path: torch.save(torch.nn.LSTM(2, 3).state_dict(), path),
    "TorchScript program": write_script,
    "program of torch.export": lambda path: write_zip(path, "x/models/model.json", "x/version"),
    "TensorFlow checkpoint": lambda path: shutil.copy(CHECKPOINTS / "gru.index", path),
    "ONNX model": write_onnx_like,
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
}


def test_every_format_has_a_sample() -> None:
    assert set(SAMPLES) == {one.name for one in FORMATS}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("ending", [".onnx", ".h5", ".nabi", ".index", ""])
def test_a_format_is_seen_in_the_content(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / f"file{ending}"
    SAMPLES[name](path)
    place, found = format_of(path)
    assert (place, found.name) == (path, name)


def test_old_files_of_pytorch_are_known(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x", _use_new_zipfile_serialization=False)
    assert format_of(tmp_path / "x")[1].name == "PyTorch weights file"


@pytest.mark.parametrize("one", FORMATS, ids=lambda one: one.name)
def test_functions_of_a_format_are_there(one: Any) -> None:
    """Names of functions in modules that are there must be right; modules may be missing in a small build."""
    names = [
        one.read_model,
        one.write_model,
        one.read_weights,
        one.write_weights,
        one.list_weights,
        one.describe,
    ]
    for name in names:
        found = function(name)
        assert found is None or callable(found)
    if one.name in ("nabi model file", "safetensors file", "TensorFlow checkpoint"):
        assert all(function(name) is not None for name in names if name)


@given(st.binary(max_size=300))
def test_other_files_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(content)
    found = said_of(path)
    if found not in SAMPLES:
        assert "nabi knows nabi model file, safetensors file" in found
        assert "is not an ONNX model, although its name says so, or it is damaged" in found


def said_of(path: Path) -> str:
    try:
        return format_of(path)[1].name
    except FileFormatError as problem:
        return str(problem)


def test_no_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no file"):
        describe(tmp_path / "none.onnx")
    with pytest.raises(FileFormatError, match="a folder; in it are basic-lstm"):
        describe(CHECKPOINTS)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="a pipe or a device"):
        describe(tmp_path / "pipe")
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(FileFormatError, match=r"variables\.index"):
        describe(tmp_path)
    (tmp_path / "empty.nabi").touch()
    with pytest.raises(FileFormatError, match="is not a nabi model file, although its name says so"):
        describe(tmp_path / "empty.nabi")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nabi", "nabi model file"),
        ("A.NABI", "nabi model file"),
        ("a.b.safetensors", "safetensors file"),
    ],
)
def test_the_ending_says_what_is_written(name: str, expected: str) -> None:
    assert format_to_write(name).name == expected


@pytest.mark.parametrize("name", ["a", "a.txt", "a.index", "a.pkl", "nabi", "a.pt2"])
def test_endings_that_are_not_written(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"expected a name that ends in one of \.nabi, .*\.safetensors"):
        format_to_write(name)


def test_a_model_comes_back(tmp_path: Path) -> None:
    model = make_model()
    write_model(model, tmp_path / "model.nabi")
    x = torch.randn(2, 5, 2)
    assert (read_model(tmp_path / "model.nabi")(x) == model(x)).all()


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    write_model(make_model(), tmp_path / "weights.safetensors")
    with pytest.raises(FileFormatError, match="got a safetensors file; weights alone"):
        read_model(tmp_path / "weights.safetensors")
    with pytest.raises(ArgumentError, match=r"cannot become a nabi model file.*It can become \.safetensors"):
        convert(tmp_path / "weights.safetensors", tmp_path / "model.nabi")
    assert not (tmp_path / "model.nabi").exists()


def test_what_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    write_script(tmp_path / "program.pt")
    with pytest.raises(
        FileFormatError, match=r"got a TorchScript program; write its weights with torch\.save"
    ):
        read_model(tmp_path / "program.pt")
    with pytest.raises(ArgumentError, match="cannot be converted: write its weights"):
        convert(tmp_path / "program.pt", tmp_path / "model.nabi")


def test_a_system_and_its_training_give_their_weights(tmp_path: Path) -> None:
    """A ready system has no prefix before the names; a training has an optimizer beside them."""
    from safetensors.torch import load_file

    tensors = {"recurrent.kernel": torch.ones(2)}
    write_model_file(tmp_path / "system.nabi", "language model", {}, tensors)
    training = {f"weights/{name}": one for name, one in tensors.items()} | {"optimizer/0/step": torch.ones(1)}
    write_model_file(tmp_path / "training.nabi", "language model training", {}, training)
    for name in ("system", "training"):
        convert(tmp_path / f"{name}.nabi", tmp_path / f"{name}.safetensors")
        assert list(load_file(tmp_path / f"{name}.safetensors")) == ["recurrent.kernel"]


def test_tensors_of_a_checkpoint_become_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from nabi.interchange import read_tensorflow_checkpoint

    said = convert(CHECKPOINTS / "stack", tmp_path / "stack.safetensors")
    assert said == ("TensorFlow checkpoint", "safetensors file")
    tensors = load_file(tmp_path / "stack.safetensors")
    checkpoint = read_tensorflow_checkpoint(CHECKPOINTS / "stack")
    assert set(tensors) == set(checkpoint)
    assert all((tensors[name] == checkpoint[name]).all() for name in tensors)


def test_a_file_is_not_converted_into_itself(tmp_path: Path) -> None:
    make_model().save(tmp_path / "model.nabi")
    (tmp_path / "link.nabi").symlink_to("model.nabi")
    with pytest.raises(ArgumentError, match="another file than the source"):
        convert(tmp_path / "model.nabi", tmp_path / "link.nabi")


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    make_model().save(tmp_path / "model.nabi")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        convert(tmp_path / "model.nabi", tmp_path / "file" / "x.safetensors")
