"""`write_onnx`: what it refuses, what a file says about itself, `Model.export`, opsets."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from nabi import cells, interchange, layers, models, nn
from nabi.errors import ArgumentError, FileFormatError, OutputError, ShapeError
from nabi.interchange._onnx._own import own_model
from nabi.ir import Cell
from nabi.ir.functions import sigmoid, tanh
from nabi.targets.onnx import Model, decoded

from .running import Written, close, numbers, sequential


class MinimalGatedUnit(Cell):
    """The six lines of a user."""

    def step(self, x, h):
        f = sigmoid(self.affine("f", x, h))
        candidate = tanh(self.affine("h", x, h=f * h))
        return (1 - f) * h + f * candidate


class Doubled(models.Model):
    """A model whose call is code."""

    def call(self, inputs):
        return inputs * 2


def test_a_cell_of_a_user_is_a_function_of_its_name(tmp_path: Path) -> None:
    model = sequential((None, 3), layers.RNN(MinimalGatedUnit(5), return_sequences=True), layers.Dense(2))
    written = Written(model, tmp_path / "model.onnx")
    x = numbers(2, 6, 3)
    close(written.run(input=x)["output"], model(torch.as_tensor(x)))
    (function,) = written.message.functions
    assert (function.domain, function.name) == ("nabi", "MinimalGatedUnit")
    assert "f_t = σ(W_xf x_t" in function.doc_string
    (scan,) = [node for node in function.node if node.op_type == "Scan"]
    body = onnx.helper.get_attribute_value(scan.attribute[0])
    # The products with the input are computed before the loop: only those with states are in it.
    assert [node.op_type for node in body.node].count("MatMul") == 2
    assert [node.op_type for node in function.node].count("MatMul") == 1


def test_all_layers_without_a_rendering_are_named_at_once(tmp_path: Path) -> None:
    stack = [
        layers.Lambda(lambda x: x, name="first"),
        layers.LSTM(3, return_sequences=True),
        layers.ConvLSTM1D(2, 1, name="unused"),
        layers.TimeDistributed(torch.nn.Linear(3, 3)),
        layers.Dense(2, activation=lambda x: x, name="own"),
        layers.Lambda(lambda x: x, name="last"),
    ]
    del stack[2]
    model = models.Sequential([layers.Input((4, 3)), *stack])
    with pytest.raises(ArgumentError) as caught:
        model.export(tmp_path / "model.onnx")
    message = str(caught.value)
    assert "first, last (Lambda): its function is torch code" in message
    assert "torch.nn.Linear is computed by torch" in message
    assert "own (Dense): its activation <lambda> is a function of your own" in message
    assert not (tmp_path / "model.onnx").exists()


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    cases = [
        (Doubled(), {}, "Doubled, whose call is code of its own"),
        (models.Sequential([layers.LSTM(3)]), {}, "has no input shape yet"),
        (3, {}, "got int"),
        (torch.nn.LSTM(3, 4), {}, "expected a recurrent module of nabi.nn, got LSTM"),
        (nn.RNN(cells.GRU(3), 2), {"opset": 16}, "opset: expected a version from 17 to 22, got 16"),
        (sequential((3,), layers.Dense(2)), {"stateful": True}, "no recurrent layer, and so no state"),
        (sequential((3,), layers.Dense(2)), {"lengths": True}, "lengths: expected an input with time steps"),
        (
            sequential((None, 3), layers.Bidirectional(layers.GRU(2))),
            {"stateful": True},
            "reads from both ends",
        ),
        (sequential((None, 3), layers.GRU(2, time_major=True)), {}, "time_major=True is not written"),
    ]
    for model, options, message in cases:
        with pytest.raises(ArgumentError, match=message):
            interchange.write_onnx(model, path, **options)
    kept = models.Sequential([layers.LSTM(3, stateful=True, batch_input_shape=(1, None, 2))])
    with pytest.raises(ArgumentError, match="pass stateful=True"):
        kept.export(path)
    kept.export(path, stateful=True)
    with pytest.raises(OutputError):
        kept.export(tmp_path, format="onnx", stateful=True)
    with pytest.raises(ArgumentError, match=r"path: expected a file name ending in \.onnx"):
        kept.export(tmp_path / "model.pb")


def test_states_of_layers_are_inputs_and_outputs(tmp_path: Path) -> None:
    stack = [layers.LSTM(4, return_sequences=True, name="a"), layers.RNN(cells.ZoneoutLSTM(3), name="b")]
    model = sequential((None, 3), *stack)
    written = Written(model, tmp_path / "model.onnx", stateful=True)
    assert [(one["input"], one["output"], one["width"]) for one in written.states] == [
        ("a_h", "a_h_next", 4),
        ("a_c", "a_c_next", 4),
        ("b_h", "b_h_next", 3),
        ("b_c", "b_c_next", 3),
    ]
    x = numbers(2, 6, 3)
    states = {one["input"]: np.zeros((2, one["width"]), np.float32) for one in written.states}
    for time in range(6):
        found = written.run(input=x[:, time : time + 1], **states)
        states = {one["input"]: found[one["output"]] for one in written.states}
    close(found["output"], model(torch.as_tensor(x)))


def test_lengths_are_a_mask(tmp_path: Path) -> None:
    stack = [layers.Conv1D(3, 3, padding="same"), layers.LSTM(4, return_sequences=True), layers.GRU(2)]
    model = sequential((None, 3), *stack)
    written = Written(model, tmp_path / "model.onnx", lengths=True)
    x = numbers(3, 6, 3)
    mask = torch.arange(6) < torch.tensor([6, 2, 0])[:, None]
    found = written.run(input=x, lengths=np.array([6, 2, 0], np.int32))["output"]
    close(found, model(torch.as_tensor(x), mask=mask))
    assert "TopK" not in written.operators  # lengths need no rearranging


def test_the_description_is_read_back_and_damage_is_found(tmp_path: Path) -> None:
    model = sequential((None, 3), layers.GRU(8), layers.Dense(9))
    written = Written(model, tmp_path / "model.onnx")
    own = json.loads(written.metadata["nabi"])
    # Weights are found in the graph and not stored a second time.
    assert {name for name, place in own["tensors"].items() if "rows" in place} >= {
        f"weights/{name}"
        for name in model.state_dict()
        if name.endswith("kernel") and "recurrent" not in name
    }
    message = decoded(Model, written.path.read_bytes())
    file = own_model(message)
    assert file is not None
    assert file.kind == "model"
    assert own_model(Model()) is None
    for change in (
        {"layout": 99},
        {"format": "other"},
        {"tensors": {"a": {"dtype": "float32", "shape": [9], "values": "AA"}}},
        {"tensors": {"a": {"dtype": "object", "shape": [1], "values": ""}}},
        {"tensors": 3},
        {"kind": None, "header": 1},
        {
            "tensors": {
                "a": {"dtype": "float32", "shape": [2, 2], "axes": [0, 1], "rows": [["none", 0, 1, 1]]}
            }
        },
        {"tensors": {"a": {"dtype": "float32", "shape": [2, 3], "axes": [0, 0], "rows": []}}},
    ):
        entry = next(one for one in message.metadata_props if one.key == "nabi")
        entry.value = json.dumps({**own, **change})
        with pytest.raises(FileFormatError):
            own_model(message, "model.onnx")


def test_a_layer_that_no_file_can_describe_is_written_without_a_description(tmp_path: Path) -> None:
    class Nameless(layers.Dense):
        def get_config(self):
            raise ArgumentError("config: none")

    model = sequential((3,), Nameless(2))
    written = Written(model, tmp_path / "model.onnx")
    assert "nabi" not in written.metadata
    assert written.own() is None
    x = numbers(2, 3)
    close(written.run(input=x)["output"], model(torch.as_tensor(x)))


def test_nothing_of_onnx_is_loaded(tmp_path: Path) -> None:
    program = (
        "import sys; from nabi import layers, models\n"
        f"models.Sequential([layers.LSTM(2, input_shape=(None, 3))]).export({str(tmp_path / 'm.onnx')!r})\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('onnx', 'onnxruntime', 'google')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wrong_width_is_an_error_of_shapes(tmp_path: Path) -> None:
    with pytest.raises(ShapeError):
        sequential((None, 3), layers.LSTM(2, return_sequences=True), layers.Conv2D(2, 2))
