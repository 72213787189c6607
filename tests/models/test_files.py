"""Saving and loading models, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from nabi import losses
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, OutputError, ShapeError
from nabi.layers import GRU, LSTM, Bidirectional, Dense, Embedding, Layer, Masking, TimeDistributed
from nabi.models import Model, Sequential, load_model

X = np.random.default_rng(0).normal(size=(6, 4, 2)).astype(np.float32)


def models() -> dict[str, Sequential]:
    return {
        "lstm": Sequential([LSTM(3, input_shape=(4, 2)), Dense(1)]),
        "deferred": Sequential([GRU(3, return_sequences=True), TimeDistributed(Dense(2, "relu"))]),
        "masked": Sequential([Masking(input_shape=(None, 2)), Bidirectional(LSTM(2)), Dense(2, "softmax")]),
        "nested": Sequential([Sequential([LSTM(2, input_shape=(4, 2))]), Dense(1)]),
    }


@pytest.mark.parametrize("name", models())
def test_a_loaded_model_predicts_the_same(tmp_path: Path, name: str) -> None:
    model = models()[name]
    expected = model.predict(X)
    model.save(tmp_path / "model.nabi")
    loaded = load_model(tmp_path / "model.nabi")
    assert np.array_equal(loaded.predict(X), expected)
    assert loaded.get_config() == model.get_config()
    assert loaded.count_params() == model.count_params()


def test_whole_number_inputs(tmp_path: Path) -> None:
    words = np.array([[1, 2, 0], [3, 4, 5]])
    model = Sequential([Embedding(6, 4), LSTM(3), Dense(1, "sigmoid")])
    expected = model.predict(words)
    model.save(tmp_path / "model.nabi")
    assert np.array_equal(load_model(tmp_path / "model.nabi").predict(words), expected)


def test_weights_alone(tmp_path: Path) -> None:
    one, other = models()["lstm"], models()["lstm"]
    one.save_weights(tmp_path / "weights.nabi")
    other.load_weights(tmp_path / "weights.nabi")
    assert np.array_equal(one.predict(X), other.predict(X))
    one.save(tmp_path / "model.nabi")
    fresh = Sequential([LSTM(3), Dense(1)])
    fresh.load_weights(tmp_path / "model.nabi")
    assert np.array_equal(one.predict(X), fresh.predict(X))


def test_a_model_that_was_never_built(tmp_path: Path) -> None:
    Sequential([LSTM(3), Dense(1)]).save(tmp_path / "model.nabi")
    assert load_model(tmp_path / "model.nabi").predict(X).shape == (6, 1)
    with pytest.raises(ArgumentError, match="has no weights yet"):
        Sequential([LSTM(3)]).save_weights(tmp_path / "weights.nabi")


def test_the_file_is_safetensors_with_readable_json(tmp_path: Path) -> None:
    models()["lstm"].save(tmp_path / "model.nabi")
    with safe_open(tmp_path / "model.nabi", framework="pt") as file:
        header = json.loads(file.metadata()["nabi"])
        assert set(file.keys()) == {
            "weights/stack.0.kernel", "weights/stack.0.recurrent_kernel", "weights/stack.0.bias",
            "weights/stack.1.kernel", "weights/stack.1.bias",
        }  # fmt: skip
    assert header["format"] == "nabi"
    assert [layer["class_name"] for layer in header["model"]["config"]["layers"]] == ["LSTM", "Dense"]


class Twice(Layer):
    def call(self, inputs: Any) -> Any:
        return 2 * inputs


class Doubled(Model):
    def __init__(self, units: int = 2) -> None:
        super().__init__()
        self.memory = LSTM(units)
        self.readout = Dense(1)

    def call(self, inputs: Any) -> Any:
        return 2 * self.readout(self.memory(inputs))


def far(y_true: torch.Tensor, y_pred: torch.Tensor) -> torch.Tensor:
    return (y_true - y_pred).abs().mean(-1)


def test_own_layers_models_losses_and_metrics(tmp_path: Path) -> None:
    model = Sequential([LSTM(2, input_shape=(4, 2)), Twice(), Dense(1)])
    model.compile("adam", far, metrics=[far, "mae"])
    model.fit(X, X[:, 0, 0], verbose=0)
    model.save(tmp_path / "model.nabi")
    with pytest.raises(
        ArgumentError, match=r"custom_objects: the model was compiled with the metric 'far'.*compile=False"
    ):
        load_model(tmp_path / "model.nabi")
    assert load_model(tmp_path / "model.nabi", compile=False).optimizer is None
    loaded = load_model(tmp_path / "model.nabi", custom_objects={"far": far})
    assert loaded.evaluate(X, X[:, 0, 0]) == model.evaluate(X, X[:, 0, 0])

    own = Doubled(3)
    own.compile("sgd", losses.Huber(delta=0.5))
    own.fit(X, X[:, 0, 0], verbose=0)
    own.save(tmp_path / "own.nabi")
    again = load_model(tmp_path / "own.nabi")
    assert np.array_equal(again.predict(X), own.predict(X))
    assert again.loss.options == {"delta": 0.5}


def test_a_class_that_is_not_there_is_named(tmp_path: Path) -> None:
    Sequential([Dense(1, input_dim=2)]).save(tmp_path / "model.nabi")
    change(
        tmp_path / "model.nabi",
        lambda header: header["model"]["config"]["layers"][0].update(class_name="Denze"),
    )
    with pytest.raises(ArgumentError, match=r"'Denze' is not known; did you mean 'Dense'.*custom_objects"):
        load_model(tmp_path / "model.nabi")


def change(path: Path, edit: Any) -> None:
    """Write the file again with another header, as a careless or hostile program might."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["nabi"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    edit(header)
    save_file(tensors, path, metadata={"nabi": json.dumps(header)})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = models()["lstm"]
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, X[:, 0, 0], verbose=0)
    model.save(tmp_path / "model.nabi")
    return tmp_path / "model.nabi"


HOSTILE = {
    "no model": lambda header: header.pop("model"),
    "a list": lambda header: header.update(model=[]),
    "class is a list": lambda header: header["model"].update(class_name=["Sequential"]),
    "config is text": lambda header: header["model"].update(config="x"),
    "layers are numbers": lambda header: header["model"]["config"].update(layers=[1, 2]),
    "units are huge": lambda header: header["model"]["config"]["layers"][0]["config"].update(units=10**9),
    "units are larger than the weights": lambda header: header["model"]["config"]["layers"][0][
        "config"
    ].update(units=30_000),
    "units are text": lambda header: header["model"]["config"]["layers"][0]["config"].update(units="many"),
    "an unknown argument": lambda header: header["model"]["config"]["layers"][0]["config"].update(evil=1),
    "optimizer is code": lambda header: header["training"].update(
        optimizer={"class_name": "torch.optim.lr_scheduler", "config": {}}
    ),
    "loss is code": lambda header: header["training"].update(
        loss={"class_name": "torch.Module", "config": {}}
    ),
    "no optimizer": lambda header: header["training"].pop("optimizer"),
    "state of a stranger": lambda header: header["training"].update(optimizer_state={"numbers": 1}),
    "epoch is text": lambda header: header["training"].update(completed_epoch="two"),
    "training is text": lambda header: header.update(training="yes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_hostile_headers_are_refused(saved: Path, name: str) -> None:
    change(saved, HOSTILE[name])
    with pytest.raises((FileFormatError, ArgumentError), match=r"model\.nabi|custom_objects|is not known"):
        load_model(saved)


def test_tensors_that_do_not_fit_are_refused(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    whole = dict(tensors)
    kernel = tensors.pop("weights/stack.0.kernel")
    save_file(tensors, saved, metadata=metadata)
    with pytest.raises(
        FileFormatError, match=r"weights/stack\.0\.kernel: expected shape \(2, 12\), got none"
    ):
        load_model(saved)
    save_file(whole | {"weights/stack.0.kernel": kernel[:, :-1].contiguous()}, saved, metadata=metadata)
    with pytest.raises(
        FileFormatError,
        match=r"model\.nabi .*weights/stack\.0\.kernel: expected shape \(2, 12\), got shape \(2, 11\)",
    ):
        load_model(saved)


def test_weights_of_another_model_are_refused(saved: Path) -> None:
    with pytest.raises(
        ShapeError, match=r"the weights in .*model\.nabi .*weights/stack\.1\.bias: expected no"
    ):
        Sequential([LSTM(3, input_shape=(4, 2))]).load_weights(saved)
    with pytest.raises(ShapeError, match=r"stack\.0\.bias: expected shape \(16,\), got shape \(12,\)"):
        Sequential([LSTM(4, input_shape=(4, 2)), Dense(1)]).load_weights(saved)


def test_a_failed_load_changes_nothing(saved: Path) -> None:
    model = Sequential([LSTM(3, input_shape=(4, 2)), Dense(2)])
    before = model.get_weights()
    with pytest.raises(ShapeError):
        model.load_weights(saved)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_kinds_are_told_apart(tmp_path: Path) -> None:
    models()["lstm"].save_weights(tmp_path / "weights.nabi")
    with pytest.raises(FileFormatError, match="expected model, got weights; read it with load_weights"):
        load_model(tmp_path / "weights.nabi")


def test_missing_files_and_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no model file .*none\.nabi"):
        load_model(tmp_path / "none.nabi")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        models()["lstm"].save(tmp_path / "file" / "model.nabi")
    with pytest.raises(OutputError, match="already exists, and overwrite is False"):
        models()["lstm"].save(tmp_path / "file", overwrite=False)
