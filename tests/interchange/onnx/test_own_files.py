"""ONNX files of nabi, read back: what was written, or what the graph says where that is not known."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from nabi import cells, interchange, layers, models, nn
from nabi.errors import ArgumentError, FileFormatError
from nabi.ir import Cell
from nabi.ir.functions import sigmoid, tanh

from .running import sequential, shake

X = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
BUILT_IN = [
    cells.SimpleRNN(5),
    cells.LSTM(5),
    cells.PeepholeLSTM(5),
    cells.PeepholeLSTM(5, full=True),
    cells.CoupledLSTM(5),
    cells.LayerNormLSTM(5),
    cells.ProjectedLSTM(5, projection=3),
    cells.ZoneoutLSTM(5),
    cells.GRU(5),
    cells.GRU2014(5),
    cells.GRULecture(5),
    cells.IndRNN(5),
]


class Leaky(Cell):
    """A cell of a user."""

    def step(self, x: Any, h: Any) -> Any:
        f = sigmoid(self.affine("f", x, h))
        return 0.9 * f * h + tanh(self.affine("c", x)) * (1 - f)


def without_description(path: Path) -> Path:
    message = onnx.load(path)
    del message.metadata_props[:]
    other = path.with_name("graph.onnx")
    onnx.save(message, other)
    return other


@pytest.mark.parametrize("cell", [*BUILT_IN, Leaky(5)], ids=repr)
def test_a_cell_goes_out_and_comes_back(cell: Cell, tmp_path: Path) -> None:
    model = sequential((None, 4), layers.RNN(cell, return_sequences=True), layers.Dense(2))
    shake(model)
    path = tmp_path / "model.onnx"
    interchange.write_onnx(model, path)
    again = interchange.read_onnx(path, {"Leaky": Leaky})
    wanted = model.predict(X, verbose=0)
    assert np.array_equal(again.predict(X, verbose=0), wanted)
    assert again.layers[0].cell.program(4).equations == cell.program(4).equations

    from_graph = interchange.read_onnx(without_description(path))
    assert not hasattr(again, "imported")
    assert from_graph.imported.opset >= 17
    np.testing.assert_allclose(from_graph.predict(X, verbose=0), wanted, atol=1e-5)


def test_without_the_class_of_a_cell_the_graph_is_read(tmp_path: Path) -> None:
    model = sequential((None, 4), layers.RNN(Leaky(5)))
    path = tmp_path / "model.onnx"
    interchange.write_onnx(model, path)
    message = onnx.load(path)
    [description] = message.metadata_props
    description.value = description.value.replace("Leaky", "Elsewhere")
    onnx.save(message, path)
    found = interchange.read_onnx(path)
    np.testing.assert_allclose(found.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    assert any("Elsewhere" in note for note in found.imported.notes)


def test_a_graph_that_was_changed_counts(tmp_path: Path) -> None:
    model = sequential((None, 4), layers.GRU(5), layers.Dense(2))
    path = tmp_path / "model.onnx"
    interchange.write_onnx(model, path)
    message = onnx.load(path)
    for one in message.graph.initializer:
        if len(one.dims) >= 2:
            one.raw_data = (2 * np.frombuffer(one.raw_data, np.float32)).astype(np.float32).tobytes()
    onnx.save(message, path)
    found = interchange.read_onnx(path)
    assert any("changed after nabi" in note for note in found.imported.notes)
    assert not np.allclose(found.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-3)


def test_a_file_that_another_program_only_saved_again_comes_back_exactly(tmp_path: Path) -> None:
    model = sequential((None, 4), layers.Bidirectional(layers.LSTM(5)), layers.Dense(2))
    path = tmp_path / "model.onnx"
    interchange.write_onnx(model, path)
    onnx.save(onnx.load(path), path)
    assert not hasattr(interchange.read_onnx(path), "imported")


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True),
        nn.LSTM(4, 5, proj_size=2),
        nn.GRU(4, 5, bias=False),
        nn.ElmanRNN(4, 5, nonlinearity="relu"),
        nn.RNN(Leaky(5), input_size=4, num_layers=2, bidirectional=True),
    ],
    ids=lambda module: type(module).__name__,
)
def test_modules_come_back(module: Any, tmp_path: Path) -> None:
    interchange.write_onnx(module, tmp_path / "module.onnx")
    again = interchange.read_onnx(tmp_path / "module.onnx", {"Leaky": Leaky})
    assert type(again) is type(module)
    x = torch.from_numpy(X)
    with torch.no_grad():
        assert torch.equal(again(x)[0], module(x)[0])


def test_a_ready_system_comes_back(tmp_path: Path) -> None:
    texts = ["a good film", "good and warm", "bad", "a bad film"] * 4
    system = models.TextClassifier("gru", units=4, epochs=1)
    system.fit(texts, ["good", "good", "bad", "bad"] * 4, verbose=0)
    interchange.write_onnx(system, tmp_path / "texts.onnx")
    again = interchange.read_onnx(tmp_path / "texts.onnx")
    assert isinstance(again, models.TextClassifier)
    assert again.predict(texts) == system.predict(texts)
    assert again.labels.names == system.labels.names


def test_models_save_and_load_onnx_by_the_name(tmp_path: Path) -> None:
    model = sequential((None, 4), layers.GRU(5), layers.Dense(2))
    model.save(tmp_path / "model.onnx")
    assert onnx.load(tmp_path / "model.onnx").producer_name == "nabi"
    again = models.load_model(tmp_path / "model.onnx")
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    other = models.load_model(without_description(tmp_path / "model.onnx"))
    np.testing.assert_allclose(other.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    for call in (model.save_weights, again.load_weights):
        with pytest.raises(ArgumentError, match="expected a file of weights"):
            call(tmp_path / "model.onnx")


def test_what_is_no_model_is_named_when_it_is_loaded(tmp_path: Path) -> None:
    interchange.write_onnx(nn.GRU(4, 5), tmp_path / "module.onnx")
    with pytest.raises(FileFormatError, match="expected a model, got a GRU"):
        models.load_model(tmp_path / "module.onnx")
