"""Scan and Loop: bodies are read as cells, and do what ONNX Runtime does."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nabi
from nabi.errors import FileFormatError
from nabi.interchange import read_onnx
from tests.interchange.onnx.compared import imported, run_imported, run_onnxruntime

Array = np.ndarray[Any, Any]


def scan_model(
    seed: int, *, backwards: bool = False, start: str = "zeros", opset: int = 17
) -> onnx.ModelProto:
    """A random cell of two states as a Scan: products, parts of them, functions, what is put together."""
    draw = np.random.default_rng(seed)
    units, width = int(draw.integers(2, 5)), int(draw.integers(1, 4))
    nodes: list[Any] = []
    weights: dict[str, Array] = {}

    def weight(*shape: int) -> str:
        name = f"w{len(weights)}"
        weights[name] = draw.normal(size=shape).astype("f4") * 0.6
        return name

    def add(kind: str, *inputs: str, count: int = 1, **attributes: Any) -> Any:
        names = [f"n{len(nodes)}_{number}" for number in range(count)]
        nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if count == 1 else names

    both = add("Concat", "x", "h", axis=-1)
    sums = add("Add", add("MatMul", both, weight(width + units, 3 * units)), weight(3 * units))
    if draw.random() < 0.5:
        sums = add("Sigmoid", sums)
    parts = add("Split", sums, count=3, axis=-1)
    gate = add(
        str(draw.choice(["Sigmoid", "HardSigmoid"])), add("Add", parts[0], add("Mul", "c", weight(units)))
    )
    other = add("Gemm", add("Mul", gate, "h"), weight(units, units), weight(units), transB=1)
    parts[1] = add("LayerNormalization", parts[1], weight(units)) if opset >= 17 else parts[1]
    candidate = add(str(draw.choice(["Tanh", "Softsign", "Elu"])), add("Sub", parts[1], other))
    weights["one"] = np.ones((), "f4")
    kept = add("Mul", add("Sub", "one", gate), "c")
    new_c = add("Add", kept, add("Mul", gate, candidate))
    new_h = add("Mul", add("Tanh", new_c), add("Sigmoid", parts[2]))
    output = new_h if draw.random() < 0.5 else add("Add", new_h, "h")
    nodes.append(helper.make_node("Identity", [new_h], ["h_out"]))
    nodes.append(helper.make_node("Identity", [new_c], ["c_out"]))
    nodes.append(helper.make_node("Identity", [output], ["y_out"]))
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        nodes,
        "body",
        [info("h", 1, [None, units]), info("c", 1, [None, units]), info("x", 1, [None, width])],
        [info("h_out", 1, [None, units]), info("c_out", 1, [None, units]), info("y_out", 1, [None, units])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    own: list[Any] = []
    inputs = [info("X", 1, ["time", "batch", width])]
    before: list[Any] = []
    if start == "inputs":
        inputs += [info("h0", 1, ["batch", units]), info("c0", 1, ["batch", units])]
    else:
        own += [
            numpy_helper.from_array(np.array([1], "i8"), "one_place"),
            numpy_helper.from_array(np.array([units], "i8"), "units"),
            numpy_helper.from_array(
                (draw.normal(size=(1, units)) if start == "learned" else np.zeros((1, units))).astype("f4"),
                "s",
            ),
        ]
        before = [
            helper.make_node("Shape", ["X"], ["shape"]),
            helper.make_node("Gather", ["shape", "one_place"], ["rows"]),
            helper.make_node("Concat", ["rows", "units"], ["whole"], axis=0),
            helper.make_node("Expand", ["s", "whole"], ["h0"]),
            helper.make_node("Identity", ["h0"], ["c0"]),
        ]
    scan = helper.make_node(
        "Scan", ["h0", "c0", "X"], ["last_h", "last_c", "Y"], name="scan", body=body, num_scan_inputs=1,
        scan_input_directions=[int(backwards)], scan_output_directions=[int(backwards)],
    )  # fmt: skip
    graph = helper.make_graph(
        [*before, scan],
        "scan",
        inputs,
        [info("Y", 1, None), info("last_h", 1, None), info("last_c", 1, None)],
        own,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def inputs_of(message: onnx.ModelProto, steps: int = 5, batch: int = 3) -> dict[str, Array]:
    draw = np.random.default_rng(5)
    found = {}
    for one in message.graph.input:
        sizes = [axis.dim_value for axis in one.type.tensor_type.shape.dim]
        shape = [steps, batch, sizes[-1]] if len(sizes) == 3 else [batch, sizes[-1]]
        found[one.name] = draw.normal(size=shape).astype("f4")
    return found


@pytest.mark.parametrize("start", ["zeros", "learned", "inputs"])
@pytest.mark.parametrize("seed", range(6))
def test_a_random_cell_in_a_scan(seed: int, start: str, tmp_path: Path) -> None:
    message = scan_model(seed, backwards=seed % 2 == 1, start=start, opset=[11, 13, 17][seed % 3])
    given = inputs_of(message)
    expected = run_onnxruntime(message, given)
    results = run_imported(imported(message, tmp_path), given, list(expected))
    for name, array in expected.items():
        np.testing.assert_allclose(results[name], array, rtol=0, atol=1e-5)


def test_a_scan_is_a_layer_whose_equations_can_be_read(tmp_path: Path) -> None:
    model = imported(scan_model(0), tmp_path)
    (layer,) = [one for one in model.layers if isinstance(one, nabi.layers.RNN)]
    assert layer.equations.states[0] in ("s1", "y")
    assert any("tanh" in equation for equation in layer.program().equations)


def test_an_imported_cell_is_saved_and_loaded(tmp_path: Path) -> None:
    message = scan_model(1, start="learned")
    model = imported(message, tmp_path)
    model.save(tmp_path / "model.nabi")
    again = nabi.models.load_model(tmp_path / "model.nabi")
    x = np.moveaxis(inputs_of(message)["X"], 1, 0)
    for name, value in model.predict(x, verbose=0).items():
        np.testing.assert_array_equal(again.predict(x, verbose=0)[name], value)


def test_what_a_body_holds_that_is_not_understood(tmp_path: Path) -> None:
    message = scan_model(0)
    body = message.graph.node[-1].attribute[0].g
    place = next(one for one in message.graph.node[-1].attribute if one.name == "body")
    next(one for one in place.g.node if one.op_type == "Sigmoid").op_type = "Det"
    assert body is not None
    with pytest.raises(FileFormatError, match=r"Scan \(node scan\): in its body, Det"):
        imported(message, tmp_path)


def test_a_scan_within_a_function_of_the_file(tmp_path: Path) -> None:
    """As nabi writes cells of its own: a function of the cell's name around the Scan."""
    message = scan_model(2, start="inputs")
    expected = run_onnxruntime(message, inputs_of(message))
    (scan,) = message.graph.node
    function = helper.make_function(
        "nabi", "MyCell", ["x", "h", "c"], ["y", "last_h", "last_c"], [], [helper.make_opsetid("", 17)]
    )
    inner = function.node.add()
    inner.CopyFrom(scan)
    del inner.input[:]
    del inner.output[:]
    inner.input.extend(["h", "c", "x"])
    inner.output.extend(["last_h", "last_c", "y"])
    scan.CopyFrom(
        helper.make_node("MyCell", ["X", "h0", "c0"], ["Y", "last_h", "last_c"], domain="nabi", name="cell")
    )
    message.functions.append(function)
    message.opset_import.append(helper.make_opsetid("nabi", 1))
    results = run_imported(imported(message, tmp_path), inputs_of(message), list(expected))
    for name, array in expected.items():
        np.testing.assert_allclose(results[name], array, rtol=0, atol=1e-5)


def test_functions_that_call_each_other(tmp_path: Path) -> None:
    message = scan_model(2, start="inputs")
    call = helper.make_node("Again", ["x"], ["y"], domain="nabi")
    message.functions.append(helper.make_function("nabi", "Again", ["x"], ["y"], [call], []))
    message.graph.node.append(helper.make_node("Again", ["X"], ["Z"], domain="nabi"))
    with pytest.raises(FileFormatError, match="functions call each other without end"):
        imported(message, tmp_path)


def without_batch() -> onnx.ModelProto:
    """The specification's example of Scan: sums of vectors, one sample."""
    body = helper.make_graph(
        [helper.make_node("Add", ["h", "x"], ["sum"]), helper.make_node("Identity", ["sum"], ["copy"])],
        "body",
        [helper.make_tensor_value_info(name, 1, [2]) for name in ("h", "x")],
        [helper.make_tensor_value_info(name, 1, [2]) for name in ("sum", "copy")],
    )
    graph = helper.make_graph(
        [helper.make_node("Scan", ["h0", "X"], ["last", "Y"], num_scan_inputs=1, body=body)],
        "sums",
        [helper.make_tensor_value_info("h0", 1, [2]), helper.make_tensor_value_info("X", 1, [3, 2])],
        [helper.make_tensor_value_info("last", 1, [2]), helper.make_tensor_value_info("Y", 1, [3, 2])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=8)


def test_a_scan_of_one_sample(tmp_path: Path) -> None:
    message = without_batch()
    given = {"h0": np.zeros(2, "f4"), "X": np.arange(6, dtype="f4").reshape(3, 2)}
    expected = run_onnxruntime(message, given)
    model = imported(message, tmp_path)
    assert set(model.imported.batch_axes.values()) == {None}
    results = run_imported(model, given, ["last", "Y"])
    for name, array in expected.items():
        np.testing.assert_array_equal(results[name], array)


def loop_model(condition: str) -> onnx.ModelProto:
    """A sum over time as a Loop, which may end before its last step."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Gather", ["X", "i"], ["x"], axis=0),
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "h"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["h_out"]),
        helper.make_node("Identity", ["h_out"], ["y"]),
    ]
    if condition == "always":
        nodes.append(helper.make_node("Identity", ["going"], ["going_out"]))
    else:
        nodes.append(helper.make_node("ReduceMax", ["h_out"], ["most"], keepdims=0))
        nodes.append(helper.make_node("Less", ["most", "bound"], ["going_out"]))
    body = helper.make_graph(
        nodes,
        "body",
        [info("i", TensorProto.INT64, []), info("going", TensorProto.BOOL, []), info("h", 1, [None, 2])],
        [info("going_out", TensorProto.BOOL, []), info("h_out", 1, [None, 2]), info("y", 1, [None, 2])],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Shape", ["X"], ["shape"]),
            helper.make_node("Gather", ["shape", "zero"], ["steps"]),
            helper.make_node("Loop", ["steps", "yes", "h0"], ["last", "Y"], name="loop", body=body),
        ],
        "loop",
        [info("X", 1, ["time", "batch", 3]), info("h0", 1, ["batch", 2])],
        [info("Y", 1, None), info("last", 1, None)],
        [
            numpy_helper.from_array(np.array(0, "i8"), "zero"),
            numpy_helper.from_array(np.array(True), "yes"),
            numpy_helper.from_array(np.array(0.5, "f4"), "bound"),
            numpy_helper.from_array(np.random.default_rng(1).normal(size=(3, 2)).astype("f4"), "w"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_loop_over_time(tmp_path: Path) -> None:
    message = loop_model("always")
    given = inputs_of(message)
    expected = run_onnxruntime(message, given)
    results = run_imported(imported(message, tmp_path), given, ["Y", "last"])
    for name, array in expected.items():
        np.testing.assert_allclose(results[name], array, rtol=0, atol=1e-5)


def test_a_loop_that_may_end_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "early.onnx"
    path.write_bytes(loop_model("early").SerializeToString())
    with pytest.raises(
        FileFormatError, match=r"Loop \(node loop\): .*ReduceMax|Loop \(node loop\): it may end"
    ):
        read_onnx(path)
