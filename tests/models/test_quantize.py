"""`quantize`: a model with small weights predicts as before, is saved and loaded, and is not trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import LanguageModel, cells, layers, models
from nabi.cells import Cell
from nabi.errors import ArgumentError, FileFormatError, NotReadyError, ShapeError, UnknownNameError
from nabi.files import read_model_file, write_model_file
from nabi.ir.functions import sigmoid, tanh
from nabi.models import Sequential
from nabi.models._quantizing import quantize_network
from nabi.small_weights import KINDS

ERRORS = {"int8": 0.02, "bfloat16": 0.01, "float16": 0.001}
SHARES = {"int8": 0.29, "bfloat16": 0.52, "float16": 0.52}
kinds = pytest.mark.parametrize("kind", list(KINDS))


class MinimalGated(Cell):
    """Zhou et al. 2016."""

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        return (1 - f) * h + f * tanh(self.affine("h", x, h=f * h))


def text_model() -> Sequential:
    torch.manual_seed(0)
    model = Sequential(
        [
            layers.Embedding(40, 48, mask_zero=True),
            layers.Bidirectional(layers.LSTM(48, return_sequences=True)),
            layers.RNN(MinimalGated(64)),
            layers.LayerNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.build((None, 7))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X = np.random.default_rng(0).integers(0, 40, (8, 7))
Y = np.arange(8) % 3


@kinds
def test_a_model_with_a_cell_of_its_own(kind: str, tmp_path: Path) -> None:
    model = text_model()
    model.fit(X, Y, epochs=1, verbose=0)
    before, weights = model.predict(X), model.get_weights()
    model.save_weights(tmp_path / "float32.nabi")
    report = model.quantize(kind, X)
    after = model.predict(X)
    error = np.sqrt(np.mean((after - before) ** 2) / np.mean(before**2))
    assert report.error == pytest.approx(error, rel=1e-4)
    assert error < ERRORS[kind]
    assert report.share < SHARES[kind]
    assert "on the given input" in str(report)
    for one, two in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=abs(one).max() * 0.005 + 1e-6)
    figures = model.evaluate(X, Y, verbose=0)
    model.save(tmp_path / "small.nabi")
    loaded = models.load_model(tmp_path / "small.nabi", {"MinimalGated": MinimalGated})
    np.testing.assert_array_equal(loaded.predict(X), after)
    assert loaded.evaluate(X, Y, verbose=0) == figures
    model.save_weights(tmp_path / "weights.nabi")
    sizes = [(tmp_path / name).stat().st_size for name in ("weights.nabi", "float32.nabi")]
    assert sizes[0] < SHARES[kind] * sizes[1] + 2000
    lines: list[str] = []
    loaded.summary(lines.append)
    assert f"Stored as {kind}: {model.count_params() - 48 * 8 - 64 * 4 - 3:,}" in lines
    loaded.load_weights(tmp_path / "weights.nabi")
    np.testing.assert_array_equal(loaded.predict(X), after)


def test_training_is_refused() -> None:
    model = text_model()
    model.quantize()
    for train in (lambda: model.fit(X, Y), lambda: model.train_on_batch(X, Y)):
        with pytest.raises(
            ArgumentError, match="int8 weights, which cannot be trained; train the model first"
        ):
            train()
    with pytest.raises(ArgumentError, match="expected float32 weights to train, got int8"):
        model.trainable = True
    assert model.trainable_weights == []


def test_what_is_refused(tmp_path: Path) -> None:
    model = text_model()
    with pytest.raises(UnknownNameError, match="weights: 'int4' is not known"):
        model.quantize("int4")
    with pytest.raises(NotReadyError, match="is not built yet"):
        Sequential([layers.LSTM(3)]).quantize()
    with pytest.raises(ArgumentError, match="a model without them"):
        Sequential([layers.Activation("relu", input_shape=(3,))]).quantize()
    broken = Sequential([layers.Dense(2, input_shape=(3,), name="readout"), layers.Dense(1)])
    broken.layers[0].kernel.data[0, 0] = float("nan")
    with pytest.raises(ArgumentError, match=r"kernel: expected finite weights"):
        broken.quantize()
    assert not any(isinstance(one, bytes) for one in broken.get_weights())
    broken.compile("sgd", "mse")  # nothing has been put in place
    assert len(broken.trainable_weights) == 4
    model.save_weights(tmp_path / "float32.nabi")
    model.quantize()
    with pytest.raises(ArgumentError, match="expected a model with float32 weights, got int8"):
        model.quantize("float16")
    with pytest.raises(ShapeError, match="expected int8, got float32"):
        model.load_weights(tmp_path / "float32.nabi")


def test_set_weights_shrinks_them() -> None:
    model, other = text_model(), text_model()
    values = [one * 2 for one in other.get_weights()]
    model.quantize()
    model.set_weights(values)
    other.set_weights(values)
    other.quantize()
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


def test_states_and_several_inputs() -> None:
    stateful = Sequential([layers.GRU(32, batch_input_shape=(2, None, 8), stateful=True), layers.Dense(2)])
    x = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    stateful.predict(x, batch_size=2)
    kept = {name: value.clone() for name, value in stateful.get_extra().items()}
    assert "random input" in str(stateful.quantize("bfloat16"))
    assert all(torch.equal(value, kept[name]) for name, value in stateful.get_extra().items())
    one, two = layers.Input((None, 4)), layers.Input((3,))
    joined = layers.concatenate([layers.SimpleRNN(16)(one), two])
    model = models.Model([one, two], layers.Dense(2)(joined))
    report = model.quantize()
    assert "each recurrent layer" in str(report)
    assert 0 < report.error < 0.02


def test_a_system_is_saved_and_loaded(tmp_path: Path) -> None:
    model = LanguageModel(units=16, embedding_size=8, epochs=1)
    text = ["a small text of a few words, again and again."] * 30
    model.fit(text, verbose=0)
    before = model.evaluate(text)
    model.save(tmp_path / "float32.nabi")
    report = model.quantize("int8")
    assert report.share < 0.5
    after = model.evaluate(text)
    assert after == pytest.approx(before, rel=0.02)
    model.save(tmp_path / "small.nabi")
    loaded = LanguageModel.load(tmp_path / "small.nabi")
    assert loaded.evaluate(text) == after
    assert (tmp_path / "small.nabi").stat().st_size < (tmp_path / "float32.nabi").stat().st_size
    model.fit(text, verbose=0)  # a new network
    assert model.quantize("float16").weights == "float16"


@pytest.mark.parametrize("wrong", ["int4", 8, ["int8"]])
def test_a_file_that_names_another_kind(wrong: Any, tmp_path: Path) -> None:
    model = Sequential([layers.Dense(2, input_shape=(3,))])
    model.quantize()
    model.save(tmp_path / "model.nabi")
    file = read_model_file(tmp_path / "model.nabi")
    header = {**file.header, "small_weights": wrong}
    for name in ("format", "layout", "kind"):
        header.pop(name)
    write_model_file(tmp_path / "wrong.nabi", "model", header, file.tensors)
    with pytest.raises((FileFormatError, UnknownNameError)):
        models.load_model(tmp_path / "wrong.nabi")
    header["small_weights"] = None
    write_model_file(tmp_path / "wrong.nabi", "model", header, file.tensors)
    with pytest.raises(FileFormatError, match="expected"):
        models.load_model(tmp_path / "wrong.nabi")


def test_modules_of_torch() -> None:
    from nabi import nn
    from nabi.layers import quantize_layers

    x = torch.randn(2, 5, 12)
    for module in (nn.RNN(cells.GRU(24), input_size=12, num_layers=2, bidirectional=True), nn.LSTM(12, 24)):
        with torch.no_grad():
            before = module(x)[0]
            quantize_layers(module, "int8")
            after = module(x)[0]
        assert 0 < (after - before).norm() / before.norm() < 0.02
        assert not any(one.requires_grad for one in module.parameters())


def convolutions() -> Sequential:
    torch.manual_seed(1)
    return Sequential(
        [
            layers.Conv1D(32, 5, padding="causal", activation="relu", input_shape=(None, 40)),
            layers.Conv1D(24, 3, dilation_rate=2, groups=2),
            layers.GRU(16),
            layers.Dense(3),
        ]
    )


@kinds
def test_kernels_of_convolutions_are_stored_small(kind: str, tmp_path: Path) -> None:
    model = convolutions()
    x = np.random.default_rng(2).normal(size=(4, 20, 40)).astype("float32")
    before = model.predict(x, verbose=0)
    report = model.quantize(kind, x)
    assert report.share < SHARES[kind]
    after = model.predict(x, verbose=0)
    assert 0 < np.abs(after - before).max() < 2 * ERRORS[kind] * np.abs(before).max()
    model.save(tmp_path / "small.nabi")
    assert read_model_file(tmp_path / "small.nabi").header["small_convolutions"] is True
    loaded = models.load_model(tmp_path / "small.nabi")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), after)


def test_files_in_which_convolutions_are_float32_are_read(tmp_path: Path) -> None:
    model = convolutions()
    layers.quantize_layers(model, "int8", convolutions=False)
    x = np.random.default_rng(2).normal(size=(4, 20, 40)).astype("float32")
    model.save(tmp_path / "earlier.nabi")
    assert "small_convolutions" not in read_model_file(tmp_path / "earlier.nabi").header
    loaded = models.load_model(tmp_path / "earlier.nabi")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    loaded.save(tmp_path / "again.nabi")
    assert "small_convolutions" not in read_model_file(tmp_path / "again.nabi").header


@pytest.mark.parametrize("made", [torch.nn.Conv1d, torch.nn.Conv2d])
def test_convolutions_of_torch_are_stored_small_and_measured(made: Any) -> None:
    torch.manual_seed(3)
    network = torch.nn.Sequential(made(40, 8, 3))
    size = network[0].weight.numel()
    report = quantize_network(network, "int8")
    assert report.bytes_after == size + 2 * 8 * 4
    assert 0.001 < report.error < 0.02
    assert "each recurrent layer and convolution" in str(report)
