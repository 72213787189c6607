"""Nothing in a Keras file is run, and what it says is held against its size before memory is taken."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import interchange, layers, models
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

h5py = pytest.importorskip("h5py")

FILES = Path(__file__).parent / "files"


def altered(path: Path, change: Callable[[Any], None], name: str = "keras3_lstm_keras.keras") -> Path:
    """A copy of an archive whose description was changed."""
    with zipfile.ZipFile(FILES / name) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in members.items():
            archive.writestr(one, content)
    return path


def layer(number: int, **entries: Any) -> Callable[[Any], None]:
    """Change what a description says of one layer."""

    def change(config: Any) -> None:
        config["config"]["layers"][number] |= entries

    return change


def dense(**arguments: Any) -> Callable[[Any], None]:
    def change(config: Any) -> None:
        config["config"]["layers"][3]["config"] |= arguments

    return change


@pytest.mark.parametrize(
    "function",
    [
        ["4wEAAAAAAAAAAAAAAAQAAAADAAAA", None, None],
        {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAAAAAAAAQAAAADAAAA", "defaults": None}},
        {"module": "builtins", "class_name": "function", "config": "system", "registered_name": "function"},
    ],
)
def test_lambda_layers_are_refused_and_can_be_replaced(tmp_path: Path, function: Any) -> None:
    config = {"name": "double", "trainable": True, "function": function, "arguments": {}}
    change = layer(3, module="keras.layers", class_name="Lambda", config=config)
    path = altered(tmp_path / "lambda.keras", change)
    with pytest.raises(FileFormatError, match=r"layer 'double'.*never run.*custom_objects") as told:
        models.load_model(path)
    assert str(path) in str(told.value)
    model = models.load_model(path, custom_objects={"double": lambda x: 2 * x}, compile=False)
    assert model.output_shape == (None, 2)


def test_modules_that_a_file_names_are_not_imported(tmp_path: Path) -> None:
    (tmp_path / "hostile.py").write_text("raise SystemExit('imported')")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from nabi.errors import FileFormatError\n"
        "from nabi.models import load_model\n"
        "for path in sys.argv[2:]:\n"
        "    try:\n        load_model(path)\n        outcome = 'read'\n"
        "    except FileFormatError:\n        outcome = 'refused'\n"
        "    wrong = [one for one in ('hostile', 'keras', 'tensorflow', 'tf_keras') if one in sys.modules]\n"
        "    print(outcome, *wrong)"
    )
    changes = {
        "class": layer(3, module="hostile", class_name="System", registered_name="hostile>System"),
        "layer": layer(3, module="hostile", class_name="Dense"),
        "activation": dense(activation={"module": "hostile", "class_name": "System", "config": {}}),
        "initializer": dense(kernel_initializer={"module": "hostile", "class_name": "System", "config": {}}),
    }
    files = [altered(tmp_path / f"{name}.keras", change) for name, change in changes.items()]
    ended = subprocess.run(
        [sys.executable, "-c", program, tmp_path, *files], capture_output=True, text=True, check=True
    )
    # Other places mean nabi's own.
    assert ended.stdout.splitlines() == ["refused", "read", "refused", "read"]


def test_own_classes_come_from_custom_objects_only(tmp_path: Path) -> None:
    class Twice(layers.Layer):
        def call(self, inputs: torch.Tensor) -> torch.Tensor:
            return 2 * inputs

    change = layer(3, module="own", class_name="Twice", config={"name": "twice"}, registered_name="own>Twice")
    path = altered(tmp_path / "own.keras", change)
    with pytest.raises(FileFormatError, match="layer 'twice': 'Twice' is not a layer that nabi has"):
        models.load_model(path, compile=False)
    for name in ("own>Twice", "Twice"):
        model = models.load_model(path, custom_objects={name: Twice}, compile=False)
        assert isinstance(model.layers[-1], Twice)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (layer(3, class_name="MultiHeadAttention"), "use layers.Attention"),
        (dense(units=10**9), "numbers in all"),
        (dense(units=3), "expected a weight of shape"),
        (dense(units="3"), "units"),
        (dense(activation="mish"), "mish"),
        (dense(bias_constraint={"class_name": "NonNeg", "config": {}}), "constraint"),
        (dense(lora_secret=3), "no such argument"),
        (layer(1, config=None), "class_name and config"),
        (lambda config: config.update(class_name="Dense"), "Sequential or functional"),
        (lambda config: config.update(config=[]), "at least|layers|weights"),
        (lambda config: config["compile_config"].update(loss="secret"), "compile=False"),
    ],
)
def test_what_cannot_be_made_is_refused_with_file_and_layer(
    tmp_path: Path, change: Callable[[Any], None], why: str
) -> None:
    path = altered(tmp_path / "x.keras", change)
    with pytest.raises(FileFormatError, match=why) as told:
        models.load_model(path)
    assert str(path) in str(told.value)


def test_archives_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", " " * (1 << 24))
        archive.writestr("model.weights.h5", "")
    with pytest.raises(FileFormatError, match="at most 100 times"):
        interchange.read_keras(path)
    with pytest.raises(FileFormatError, match="nested"):
        interchange.read_keras(altered(path, lambda config: config.update(deep=nested(150))))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"")
    with pytest.raises(FileFormatError, match="without the members of a Keras model"):
        interchange.read_keras(path)
    with pytest.raises(MissingFileError):
        interchange.read_keras(tmp_path / "none.keras")


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "which", ["soft", "external", "outside", "virtual", "sparse", "packed", "text", "loop"]
)
def test_arrays_lie_in_the_file_itself(tmp_path: Path, which: str) -> None:
    path = tmp_path / "x.weights.h5"
    model = models.Sequential([layers.Dense(2, input_shape=(3,))])
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        group = file["layers/dense/vars"]
        value = group["0"][()]
        del group["0"]
        if which == "soft":
            group["0"] = h5py.SoftLink("/layers/dense/vars/1")
        elif which == "external":
            group["0"] = h5py.ExternalLink("/etc/passwd", "/")
        elif which == "outside":
            group.create_dataset("0", shape=(3, 2), dtype="f4", external=[(tmp_path / "raw", 0, 24)])
        elif which == "virtual":
            layout = h5py.VirtualLayout(shape=(3, 2), dtype="f4")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", shape=(3, 2))
            group.create_virtual_dataset("0", layout)
        elif which == "sparse":
            group.create_dataset("0", shape=(1 << 20, 1 << 20), dtype="f4")
        elif which == "packed":
            group.create_dataset("0", shape=(1 << 14, 1 << 14), dtype="f4", compression="gzip")
        elif which == "text":
            group["0"] = "numbers"
        else:
            group["0"] = file["layers"]
    with pytest.raises(FileFormatError, match=r"refused|bytes of numbers|array of numbers|expected"):
        model.load_weights(path)
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", data=value, compression="gzip")
    model.load_weights(path)


def test_weights_in_half_precision_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.weights.h5"
    model = models.Sequential([layers.Dense(2, input_shape=(3,))])
    model.save_weights(path)
    kernel = torch.arange(6.0).reshape(3, 2)
    with h5py.File(path, "r+") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        group["0"] = kernel.to(torch.bfloat16).view(torch.uint16).numpy()
        group["0"].attrs["dtype"] = "bfloat16"
    model.load_weights(path)
    np.testing.assert_array_equal(model.layers[0].kernel.detach(), kernel)


def test_without_h5py_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    for path in (FILES / "keras3_lstm_keras.keras", FILES / "keras3_lstm_h5.h5"):
        with pytest.raises(ArgumentError, match=r"nabi\[keras-files\]"):
            models.load_model(path)
    model = models.Sequential([layers.Dense(2, input_shape=(3,))])
    with pytest.raises(ArgumentError, match=r"nabi\[keras-files\]"):
        model.save("never.keras")
    assert not Path("never.keras").exists()


def test_equal_models_give_equal_files(tmp_path: Path) -> None:
    model = models.load_model(FILES / "keras3_lstm_keras.keras")
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"a{ending}")
        model.save(tmp_path / f"b{ending}")
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()
    with zipfile.ZipFile(io.BytesIO((tmp_path / "a.keras").read_bytes())) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
