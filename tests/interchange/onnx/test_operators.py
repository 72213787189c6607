"""The operators RNN, GRU and LSTM: ONNX's own tests, and random models beside ONNX Runtime and NumPy."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from nabi import layers
from nabi.errors import FileFormatError
from nabi.interchange import read_onnx
from tests.interchange.onnx.compared import imported, moved, run_imported, run_onnxruntime
from tests.interchange.onnx.random_operators import definition, random_model, time_first
from tests.interchange.onnx.running import Written
from tests.targets.onnx.node_tests import node_tests

CASES = node_tests("GRU", "LSTM", "RNN")
COUNT = int(os.environ.get("NABI_ONNX_MODELS", "24"))


def with_weights(case: Any) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The model of a node test with its weights in the file, and the inputs that are left."""
    message, inputs = onnx.ModelProto(), {}
    message.CopyFrom(case.model)
    ((given, _),) = case.data_sets
    for value, array in zip(list(message.graph.input), given, strict=True):
        if value.name in ("X", "sequence_lens"):
            inputs[value.name] = array
        else:
            message.graph.initializer.append(numpy_helper.from_array(array, value.name))
            message.graph.input.remove(value)
    return message, inputs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node_tests_of_the_specification(case: Any, tmp_path: Path) -> None:
    message, inputs = with_weights(case)
    model = imported(message, tmp_path)
    names = [one.name for one in message.graph.output]
    results = run_imported(model, inputs, names)
    ((_, expected),) = case.data_sets
    for name, array in zip(names, expected, strict=True):
        np.testing.assert_allclose(results[name], array, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node_tests_read_and_written_again(case: Any, tmp_path: Path) -> None:
    """What was read is written as a file that ONNX Runtime gives the specification's results for."""
    message, inputs = with_weights(case)
    model = imported(message, tmp_path)
    places = model.imported.batch_axes
    written = Written(model, tmp_path / "again.onnx")
    given = {name: np.ascontiguousarray(moved(array, places[name])) for name, array in inputs.items()}
    # Lengths are int64 in the file of a functional model.
    given |= {name: array.astype(np.int64) for name, array in given.items() if name == "sequence_lens"}
    found = written.run(**given)
    names = [one.name for one in message.graph.output]
    ((_, expected),) = case.data_sets
    results = list(found.values()) if len(names) == 1 else [found[name] for name in names]
    for name, result, array in zip(names, results, expected, strict=True):
        np.testing.assert_allclose(moved(result, places[name], back=True), array, rtol=1e-3, atol=1e-6)


def test_all_eighteen_are_there() -> None:
    assert len(CASES) == 18


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("seed", range(COUNT))
def test_random_models(seed: int, tmp_path: Path) -> None:
    given = random_model(seed)
    names = [name for name in given.outputs if name]
    results = run_imported(imported(given.message(), tmp_path), given.inputs, names)
    expected = definition(given)
    turned = bool(given.attributes.get("layout"))
    theirs = run_onnxruntime(given.message(0), time_first(given.inputs) if turned else given.inputs)
    for name in names:
        own = theirs[name]
        if turned:
            own = own.transpose(2, 0, 1, 3) if name == "Y" else own.swapaxes(0, 1)
        np.testing.assert_allclose(results[name], own, rtol=0, atol=1e-5)
        np.testing.assert_allclose(results[name], expected[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(500, 508))
def test_double_precision(seed: int, tmp_path: Path) -> None:
    """ONNX Runtime has no kernel for it."""
    given = random_model(seed, np.float64)
    names = [name for name in given.outputs if name]
    results = run_imported(imported(given.message(), tmp_path), given.inputs, names)
    for name, expected in definition(given).items():
        assert results[name].dtype == np.float64
        np.testing.assert_allclose(results[name], expected, rtol=0, atol=1e-12)


def test_length_zero_keeps_the_initial_state(tmp_path: Path) -> None:
    """Where ONNX Runtime returns zeros; the model says so."""
    given = next(
        one for one in map(random_model, range(1000))
        if {"sequence_lens", "initial_h"} <= set(one.inputs) and "Y_h" in one.outputs and one.kind == "GRU"
    )  # fmt: skip
    given.inputs["sequence_lens"][:] = 0
    model = imported(given.message(), tmp_path)
    results = run_imported(model, given.inputs, [name for name in given.outputs if name])
    np.testing.assert_array_equal(results["Y_h"], given.inputs["initial_h"])
    assert any("length 0" in note for note in model.imported.notes)


@pytest.mark.parametrize(
    ("kind", "changes", "layer", "cell"),
    [
        ("RNN", {}, layers.SimpleRNN, "SimpleRNN"),
        ("GRU", {}, layers.GRU, "GRU2014"),
        ("GRU", {"linear_before_reset": 1}, layers.GRU, "GRU"),
        ("GRU", {"clip": 0.5}, layers.RNN, "OnnxGRU"),
        ("LSTM", {}, layers.LSTM, "LSTM"),
        ("LSTM", {"P": True}, layers.RNN, "PeepholeLSTM"),
        ("LSTM", {"input_forget": 1}, layers.RNN, "CoupledLSTM"),
        ("LSTM", {"activations": ["Sigmoid", "Relu", "Relu"]}, layers.LSTM, "LSTM"),
        ("LSTM", {"activations": ["Sigmoid", "Relu", "Tanh"]}, layers.RNN, "OnnxLSTM"),
    ],
)
def test_equations_that_nabi_has_are_its_own_layers(
    kind: str, changes: dict[str, Any], layer: type, cell: str, tmp_path: Path
) -> None:
    given = random_model(3)
    draw = np.random.default_rng(1)
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    given.kind, given.opset, given.outputs = kind, 22, ["Y"]
    given.attributes = {"direction": "forward", "hidden_size": 2, **changes}
    given.weights = {"W": draw.normal(size=(1, 2 * gates, 3)).astype("f4")}
    given.weights |= {"R": draw.normal(size=(1, 2 * gates, 2)).astype("f4")}
    if given.attributes.pop("P", False):
        given.weights["P"] = draw.normal(size=(1, 6)).astype("f4")
    given.inputs, given.start_in_file = {"X": draw.normal(size=(4, 2, 3)).astype("f4")}, {}
    model = imported(given.message(), tmp_path)
    made = model.layers[1]
    assert (type(made), type(made.equations).__name__) == (layer, cell)
    expected = run_onnxruntime(given.message(), given.inputs)["Y"]
    np.testing.assert_allclose(run_imported(model, given.inputs, ["Y"])["Y"], expected, atol=1e-5)


def changed(**changes: Any) -> onnx.ModelProto:
    given = random_model(0)
    given.kind, given.opset, given.outputs, given.start_in_file = "GRU", 22, ["Y"], {}
    given.attributes = {"direction": "forward", "hidden_size": 2}
    given.weights = {"W": np.ones((1, 6, 3), "f4"), "R": np.ones((1, 6, 2), "f4")}
    given.inputs = {"X": np.ones((4, 2, 3), "f4")}
    for name, value in changes.items():
        place = given.weights if name in ("W", "R", "B") else given.attributes
        place[name] = value
    return given.message()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"R": np.ones((1, 6, 3), "f4")}, r"GRU \(node node\): R: expected the shape"),
        ({"W": np.ones((1, 6, 4), "f4")}, "X has 3 features, and W has weights for 4"),
        ({"B": np.ones((1, 11), "f4")}, r"B: expected the shape \(1, 12\), got \(1, 11\)"),
        ({"W": np.ones((2, 6, 3), "f4")}, r"W: expected the shape \(1, 6, any\)"),
        ({"hidden_size": 3}, "hidden_size: expected 2, the width of R, got 3"),
        ({"direction": "sideways"}, "direction: expected forward, reverse or bidirectional"),
        ({"activations": ["Sigmoid"]}, "activations: expected 2 names, got 1"),
        ({"activations": ["Sigmoid", "Snake"]}, "'Snake' is none of ONNX's"),
        ({"layout": 2}, "layout: expected 0 or 1, got 2"),
    ],
)
def test_contradictions(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=message):
        imported(changed(**changes), tmp_path)


def test_weights_that_are_inputs(tmp_path: Path) -> None:
    message = changed()
    weights = message.graph.initializer.pop()
    shape = onnx.helper.make_tensor_value_info(weights.name, 1, weights.dims)
    message.graph.input.append(shape)
    with pytest.raises(FileFormatError, match="R is computed or an input; weights have to be in the file"):
        imported(message, tmp_path)
    del message.graph.input[-1]
    with pytest.raises(
        FileFormatError, match="reads 'R', which is neither a weight in the file nor an input"
    ):
        read_onnx(imported_path(message, tmp_path))


def imported_path(message: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "other.onnx"
    path.write_bytes(message.SerializeToString())
    return path
