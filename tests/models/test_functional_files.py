"""Functional models in files: runs that go on, graphs within graphs, damage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import nabi
from nabi import layers
from nabi.errors import ArgumentError, FileFormatError
from nabi.files import read_model_file, write_model_file
from nabi.layers import GRU, LSTM, Dense, Dropout, Embedding
from nabi.models import Model, load_model
from nabi.utils import set_random_seed

RANDOM = np.random.default_rng(0)
A, B = RANDOM.normal(size=(12, 4)).astype("float32"), RANDOM.normal(size=(12, 3)).astype("float32")
KIND, SIZE = np.eye(2, dtype="float32")[RANDOM.integers(0, 2, 12)], RANDOM.normal(size=12).astype("float32")


def two_in_two_out() -> Model:
    set_random_seed(1)
    a, b = nabi.Input((4,), name="a"), nabi.Input((3,), name="b")
    both = Dense(5, "tanh", name="both")(layers.concatenate([a, b]))
    return nabi.Model([a, b], [Dense(2, "softmax", name="kind")(both), Dense(1, name="size")(both)])


def encoder_decoder() -> Model:
    set_random_seed(2)
    source, target = nabi.Input((None,), name="source"), nabi.Input((None,), name="target")
    _, *states = LSTM(5, return_state=True)(Embedding(9, 4, mask_zero=True)(source))
    written = Embedding(8, 4, mask_zero=True)(target)
    written = LSTM(5, return_sequences=True, dropout=0.2)(written, initial_state=states)
    return nabi.Model([source, target], Dense(8, "softmax")(written))


@pytest.mark.parametrize("make", [two_in_two_out, encoder_decoder])
def test_a_run_goes_on_from_a_file_as_if_it_had_never_stopped(tmp_path: Path, make: Any) -> None:
    model = make()
    if make is two_in_two_out:
        x, y = [A, B], [KIND, SIZE]
        model.compile(
            "adam", ["categorical_crossentropy", "mse"], metrics={"size": ["mae"]}, loss_weights=[1, 2]
        )
    else:
        x, y = (
            [RANDOM.integers(0, 9, (12, 5)), RANDOM.integers(1, 8, (12, 4))],
            RANDOM.integers(0, 8, (12, 4)),
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=5, epochs=2, verbose=0)
    model.save(tmp_path / "model.nabi")
    again = load_model(tmp_path / "model.nabi")
    assert again.get_config() == model.get_config()
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    for one in (model, again):
        one.fit(x, y, batch_size=5, initial_epoch=2, epochs=4, verbose=0)
    assert again.history.history == model.history.history
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_models_within_models_and_states_in_files(tmp_path: Path) -> None:
    words = nabi.Input((3,), name="words")
    reader = nabi.Model(words, GRU(4)(Embedding(9, 3)(words)), name="reader")
    a, b = nabi.Input((3,), name="a"), nabi.Input((3,), name="b")
    found = layers.Dot(axes=1)([reader(a), reader(b)])
    model = nabi.Model({"a": a, "b": b}, {"alike": Dropout(0.5)(found, training=False)}, name="twins")
    model.save(tmp_path / "model.nabi")
    again = load_model(tmp_path / "model.nabi")
    x = {"a": RANDOM.integers(0, 9, (5, 3)), "b": RANDOM.integers(0, 9, (5, 3))}
    np.testing.assert_array_equal(again.predict(x)["alike"], model.predict(x)["alike"])
    assert again.get_layer("reader").count_params() == reader.count_params()
    assert again.input_names == ["a", "b"]
    weights = tmp_path / "weights.nabi"
    model.save_weights(weights)
    fresh = type(model).from_config(json.loads(json.dumps(model.get_config())))
    fresh.load_weights(weights)
    np.testing.assert_array_equal(fresh.predict(x)["alike"], model.predict(x)["alike"])
    with safe_open(tmp_path / "model.nabi", framework="pt") as file:
        header = json.loads(file.metadata()["nabi"])
    assert header["model"]["class_name"] == "Functional"
    assert header["model"]["config"]["calls"][-1]["keywords"] == {"training": False}


def damage(config: dict[str, Any], how: str) -> None:
    if how == "forward reference":
        config["calls"][0]["arguments"] = [{"tensor": 5}]
    elif how == "no layer":
        config["calls"][0]["layer"] = 99
    elif how == "an entry that is none":
        config["entries"] = [2, 3]
    elif how == "outputs":
        config["outputs"] = [1, 2]
    elif how == "structure":
        config["calls"][0]["arguments"] = [{"eval": "1", "tensor": 0}]
    else:
        del config["calls"]


@pytest.mark.parametrize(
    "how", ["forward reference", "no layer", "an entry that is none", "outputs", "structure", "missing"]
)
def test_damaged_graphs(tmp_path: Path, how: str) -> None:
    two_in_two_out().save(tmp_path / "model.nabi")
    file = read_model_file(tmp_path / "model.nabi")
    header = {name: file.header[name] for name in ("model", "input_shape", "training")}
    damage(header["model"]["config"], how)
    write_model_file(tmp_path / "damaged.nabi", "model", header, dict(file.tensors))
    with pytest.raises((FileFormatError, ArgumentError), match=r"damaged\.nabi"):
        load_model(tmp_path / "damaged.nabi")


def test_what_a_file_cannot_hold(tmp_path: Path) -> None:
    class Scaled(layers.Layer):
        def call(self, inputs: Any, by: Any = None) -> Any:
            return inputs * by[0][1]

    a = nabi.Input((4,))
    with pytest.raises(ArgumentError, match=r"scaled.*arguments that a file can hold"):
        nabi.Model(a, Scaled()(a, by=(range(3),))).save(tmp_path / "model.nabi")
