"""Layers of every data type: built, called, trained, kept in a file; weights from arrays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import initializers, layers
from nabi.errors import ArgumentError, ShapeError, UnknownNameError

TYPES = ["float16", "bfloat16", "float32", "float64"]
# NumPy has no bfloat16.
IN_NUMPY = {"bfloat16": "float32"}

DRAW = np.random.default_rng(0)
STEPS = DRAW.random((4, 6, 5))
PICTURES = DRAW.random((4, 8, 8, 3))
CODES = DRAW.integers(0, 7, (4, 6))
ROWS = DRAW.random((4, 5))

LAYERS: dict[str, tuple[Callable[[Any], layers.Layer], Any]] = {
    "LSTM": (lambda d: layers.LSTM(3, dtype=d), STEPS),
    "GRU": (lambda d: layers.GRU(3, dtype=d), STEPS),
    "SimpleRNN": (lambda d: layers.SimpleRNN(3, dtype=d), STEPS),
    "dropout": (lambda d: layers.LSTM(3, dropout=0.2, recurrent_dropout=0.1, dtype=d), STEPS),
    "Bidirectional": (lambda d: layers.Bidirectional(layers.GRU(3, dtype=d), dtype=d), STEPS),
    "RNN": (lambda d: layers.RNN(nabi.cells.PeepholeLSTM(3), dtype=d), STEPS),
    "cells": (
        lambda d: layers.RNN([layers.GRUCell(3, dtype=d), layers.LSTMCell(2, dtype=d)], dtype=d),
        STEPS,
    ),
    "TimeDistributed": (lambda d: layers.TimeDistributed(layers.Dense(3, dtype=d), dtype=d), STEPS),
    "Dense": (lambda d: layers.Dense(3, "softmax", dtype=d), ROWS),
    "Embedding": (lambda d: layers.Embedding(7, 3, dtype=d), CODES),
    "Conv1D": (lambda d: layers.Conv1D(3, 2, dtype=d), STEPS),
    "Conv2D": (lambda d: layers.Conv2D(3, 2, dtype=d), PICTURES),
    "MaxPooling1D": (lambda d: layers.MaxPooling1D(2, dtype=d), STEPS),
    "GlobalAveragePooling1D": (lambda d: layers.GlobalAveragePooling1D(dtype=d), STEPS),
    "Dropout": (lambda d: layers.Dropout(0.5, dtype=d), ROWS),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_a_type(name: str, dtype: str) -> None:
    make, x = LAYERS[name]
    layer, exact = make(dtype), make("float64")
    output = layer(x)
    assert output.dtype == getattr(torch, dtype) == layer.dtype
    weights = layer.get_weights()
    assert all(weight.dtype == IN_NUMPY.get(dtype, dtype) for weight in weights)
    exact(x)
    exact.set_weights(weights)
    layer.set_weights(weights)
    near = {"float16": 0.02, "bfloat16": 0.1}.get(dtype, 1e-5)
    assert torch.allclose(layer(x).double(), exact(x), atol=near, rtol=near)
    assert type(layer).from_config(layer.get_config())(x).dtype == output.dtype


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_a_model_of_a_type_is_trained_and_kept(name: str, dtype: str, tmp_path: Path) -> None:
    make, x = LAYERS[name]
    model = nabi.Sequential([make(dtype), layers.Flatten(dtype=dtype), layers.Dense(1, dtype=dtype)])
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(x, np.ones((4, 1)), epochs=2, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(model.evaluate(x, np.ones((4, 1)))).all()
    predicted = model.predict(x)
    assert predicted.dtype == IN_NUMPY.get(dtype, dtype)
    model.save(tmp_path / "model.nabi")
    again = nabi.models.load_model(tmp_path / "model.nabi")
    assert np.array_equal(again.predict(x), predicted)
    again.fit(x, np.ones((4, 1)), verbose=0)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamax", "nadam", "adagrad", "adadelta"])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_optimizer_on_every_type(optimizer: str, dtype: str) -> None:
    model = nabi.Sequential([layers.LSTM(3, dtype=dtype), layers.Dense(1, dtype=dtype)])
    model.compile(optimizer, "mse")
    model.optimizer.learning_rate = 50.0 if optimizer == "adadelta" else 0.1
    loss = model.fit(STEPS, np.ones((4, 1)), epochs=2, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    assert loss[0] != loss[1]


def test_types_that_differ_between_layers() -> None:
    model = nabi.Sequential(
        [
            layers.LSTM(3, return_sequences=True, dtype="bfloat16"),
            layers.GRU(2, return_sequences=True, dtype="float64"),
            layers.LSTM(2, dtype="float16"),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    model.fit(STEPS, np.ones((4, 1)), verbose=0)
    assert model.predict(STEPS).dtype == np.float32
    assert [layer.dtype for layer in model.layers][:2] == [torch.bfloat16, torch.float64]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "name", [name for name in initializers.__all__ if name[0].isupper() and name != "Initializer"]
)
def test_every_initializer_of_every_type(name: str, dtype: str) -> None:
    kind = getattr(initializers, name)
    drawn = kind()((40, 40), dtype=dtype)
    assert drawn.dtype == getattr(torch, dtype)
    assert torch.isfinite(drawn).all()
    torch.manual_seed(3)
    one = kind()((40, 40), dtype=dtype)
    torch.manual_seed(3)
    other = kind()((40, 40), dtype="float32" if dtype != "float64" else dtype)
    # What is drawn is the same up to rounding, whatever the type.
    assert torch.equal(one, other.to(one.dtype))
    layer = layers.Dense(40, kernel_initializer=kind(), dtype=dtype)
    layer.build((None, 40))
    assert layer.kernel.dtype == drawn.dtype


def test_a_type_by_any_name() -> None:
    for dtype in (torch.float16, np.float16, np.dtype("float16"), "float16", "half", "torch.float16"):
        assert layers.LSTM(3, dtype=dtype)(STEPS).dtype == torch.float16
    with pytest.raises(UnknownNameError, match=r"dtype: 'flaot16' is not known; did you mean 'float16'\?"):
        layers.LSTM(3, dtype="flaot16")
    with pytest.raises(ArgumentError, match=r"dtype: expected one of floating-point numbers"):
        layers.Dense(3, dtype="int32").build((None, 2))


@pytest.mark.parametrize("dtype", TYPES)
def test_weights_without_memory(dtype: str) -> None:
    with torch.device("meta"):
        layer = layers.LSTM(3, dtype=dtype)
        layer.build((None, 4, 2))
    assert {weight.device.type for weight in layer.weights} == {"meta"}


def test_a_layer_is_converted() -> None:
    layer = layers.LSTM(3)
    layer(STEPS)
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        layer.to(kind)
        assert layer(STEPS).dtype == kind
        assert len(layer.get_weights()) == 3


# Arrays as weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [np.eye(6, 3), np.eye(6, 3).tolist(), torch.eye(6, 3)], ids=type)
def test_vectors_learnt_elsewhere(values: Any, tmp_path: Path) -> None:
    layer = layers.Embedding(6, 3, embeddings_initializer=initializers.Constant(values))
    layer.build((None, 2))
    assert np.array_equal(layer.get_weights()[0], np.eye(6, 3))
    config = json.loads(json.dumps(layer.get_config()))
    again = layers.Embedding.from_config(config)
    again.build((None, 2))
    assert np.array_equal(again.get_weights()[0], np.eye(6, 3))
    assert again.embeddings_initializer == layer.embeddings_initializer
    hash(layer.embeddings_initializer)
    model = nabi.Sequential([layer, layers.Flatten(), layers.Dense(1)])
    model.predict(CODES[:, :2] % 6)
    model.save(tmp_path / "model.nabi")
    loaded = nabi.models.load_model(tmp_path / "model.nabi")
    assert np.array_equal(loaded.predict(CODES[:, :2] % 6), model.predict(CODES[:, :2] % 6))


def test_an_array_itself_and_initial_weights() -> None:
    matrix = DRAW.random((6, 3))
    by_array = layers.Embedding(6, 3, embeddings_initializer=matrix)
    by_weights = layers.Embedding(6, 3, weights=[matrix])
    for layer in (by_array, by_weights):
        layer.build((None, 2))
        assert np.array_equal(layer.get_weights()[0], matrix.astype(np.float32))
    assert layers.Embedding.from_config(by_array.get_config()).output_dim == 3


def test_values_are_repeated_as_in_keras() -> None:
    row = initializers.Constant([1.0, 2.0, 3.0])
    assert row((2, 3)).tolist() == [[1, 2, 3], [1, 2, 3]]
    assert initializers.Constant(np.float32(2))((2,)).tolist() == [2, 2]
    assert repr(row) == "Constant(value=<array of shape (3,)>)"
    with pytest.raises(ShapeError, match=r"values of shape \(3,\) for a weight of shape \(2, 2\)"):
        row((2, 2))


def test_arrays_in_keras_configs() -> None:
    config = {"class_name": "__numpy__", "config": {"value": [[1.0, 2.0]], "dtype": "float64"}}
    assert initializers.Constant(config)((1, 2)).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    "wrong", ["a", None, [[1], [2, 3]], ["a"], {}, {"base64": "?"}, [1j], [True], object()]
)
def test_what_is_no_constant(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^value: expected"):
        initializers.Constant(wrong)
