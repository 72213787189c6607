"""Reading ONNX files: weights in all their forms, what models can do afterwards, and what is refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

import nabi
from nabi import explain, layers
from nabi.errors import FileFormatError, MissingFileError
from nabi.interchange import read_onnx
from tests.interchange.onnx.compared import imported, run_imported, run_onnxruntime

FILES = Path(__file__).parent / "files"
Array = np.ndarray[Any, Any]
info = helper.make_tensor_value_info


def model_of(
    nodes: list[Any],
    weights: dict[str, Any],
    shape: list[Any] | None = None,
    opset: int = 17,
    outputs: tuple[str, ...] = ("y",),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [info("x", 1, ["batch", 3] if shape is None else shape)],
        [info(name, 1, None) for name in outputs],
        [
            one if isinstance(one, onnx.TensorProto) else numpy_helper.from_array(one, name)
            for name, one in weights.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def product(weights: Any, opset: int = 17) -> onnx.ModelProto:
    return model_of(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], {"w": weights}, opset=opset
    )


MATRIX = np.arange(6, dtype="f4").reshape(3, 2) / 4
X = np.array([[1.0, -2.0, 0.5]], "f4")


@pytest.mark.parametrize(
    ("element", "field"),
    [(1, "float_data"), (1, "raw"), (10, "int32_data"), (10, "raw"), (16, "int32_data"), (16, "raw")],
)
def test_weights_in_every_form(element: int, field: str, tmp_path: Path) -> None:
    tensor = helper.make_tensor("w", element, MATRIX.shape, MATRIX.ravel().tolist(), raw=False)
    if field == "raw":
        bits = {1: MATRIX, 10: MATRIX.astype("f2"), 16: (MATRIX.view("u4") >> 16).astype("u2")}[element]
        tensor = onnx.TensorProto(name="w", data_type=element, dims=MATRIX.shape, raw_data=bits.tobytes())
    model = imported(product(tensor), tmp_path)
    np.testing.assert_array_equal(run_imported(model, {"x": X}, ["y"])["y"], X @ MATRIX)
    assert any("float16" in note for note in model.imported.notes) is (element != 1)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "i8", "u4", "u8", "?"])
@pytest.mark.parametrize("raw", [False, True])
def test_whole_numbers_in_every_form(kind: str, raw: bool, tmp_path: Path) -> None:
    """By a cast of the constant to float32."""
    numbers = np.array([[1, 0], [0, 1], [1, 1]]).astype(kind)
    if kind[0] == "i":
        numbers[0, 0] = -1
    tensor = numpy_helper.from_array(numbers, "n")
    if not raw:
        element = helper.np_dtype_to_tensor_dtype(numbers.dtype)
        tensor = helper.make_tensor("n", element, numbers.shape, numbers.ravel().tolist())
    nodes = [helper.make_node("Cast", ["n"], ["w"], to=1), helper.make_node("MatMul", ["x", "w"], ["y"])]
    model = imported(model_of(nodes, {"n": tensor}), tmp_path)
    np.testing.assert_array_equal(run_imported(model, {"x": X}, ["y"])["y"], X @ numbers.astype("f4"))


def test_quantised_weights_are_read_as_what_they_stand_for(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    weights = {
        "q": np.array([[1, -2], [3, 127], [-128, 0]], "i1"),
        "scale": np.array([0.5, 0.25], "f4"),
        "zero": np.array([0, 3], "i1"),
    }
    message = model_of(nodes, weights)
    # ONNX Runtime takes these two nodes together and quantises the input as well.
    expected = X @ ((weights["q"].astype("f4") - weights["zero"]) * weights["scale"])
    np.testing.assert_allclose(run_imported(imported(message, tmp_path), {"x": X}, ["y"])["y"], expected)


def external(location: str, length: int = 24, offset: int = 4) -> onnx.ModelProto:
    tensor = onnx.TensorProto(name="w", data_type=1, dims=MATRIX.shape, data_location=1)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return product(tensor)


def test_weights_in_a_file_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"####" + MATRIX.tobytes())
    model = imported(external("weights.bin"), tmp_path)
    np.testing.assert_array_equal(run_imported(model, {"x": X}, ["y"])["y"], X @ MATRIX)


@pytest.mark.parametrize(
    ("location", "options", "message"),
    [
        ("../weights.bin", {}, "expected the plain name of a file in the same folder"),
        ("/etc/passwd", {}, "expected the plain name of a file in the same folder"),
        ("..", {}, "expected the plain name of a file in the same folder"),
        ("", {}, "expected the plain name of a file in the same folder"),
        ("link.bin", {}, "a link, which is not followed"),
        ("folder", {}, "expected a file"),
        ("none.bin", {}, "No such file"),
        ("weights.bin", {"length": 20}, r"the shape \[3, 2\] needs 24 bytes, got 20"),
        ("weights.bin", {"offset": 5}, "expected at least 29 bytes in it, got 28"),
        ("weights.bin", {"offset": -1}, "needs 24 bytes"),
    ],
)
def test_weights_elsewhere_are_refused(
    location: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(b"####" + MATRIX.tobytes())
    (tmp_path / "folder").mkdir()
    os.symlink(tmp_path / "weights.bin", tmp_path / "link.bin")
    with pytest.raises(FileFormatError, match=f"tensor 'w': external data .*{message}"):
        imported(external(location, **options), tmp_path)


@pytest.mark.parametrize("opset", range(7, 25))
def test_every_version_of_the_operators(opset: int, tmp_path: Path) -> None:
    model = imported(product(MATRIX, opset), tmp_path)
    assert model.imported.opset == opset
    np.testing.assert_array_equal(run_imported(model, {"x": X}, ["y"])["y"], X @ MATRIX)


@pytest.mark.parametrize("opset", [6, 25])
def test_other_versions(opset: int, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=f"version {opset} of ONNX's operators; nabi reads 7 to 24"):
        imported(product(MATRIX, opset), tmp_path)


def test_all_that_is_not_understood_is_in_one_error(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Hardmax", ["x"], ["c"], name="second"),
        helper.make_node("Custom", ["x"], ["d"], name="third", domain="com.example"),
        helper.make_node("Det", ["x"], ["e"], name="fourth"),
        helper.make_node("Sum", ["b", "c", "d", "e"], ["y"]),
    ]
    with pytest.raises(FileFormatError) as caught:
        imported(model_of(nodes, {}), tmp_path)
    text = str(caught.value)
    assert "model.onnx: 4 of 6 nodes are not understood" in text
    for part in (
        "Det (nodes first, fourth)",
        "Hardmax (node second)",
        "Custom (node third)",
        "'com.example'",
    ):
        assert part in text
    assert "Relu" not in text


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [("Add", ["x", "b"], ["a"]), ("Relu", ["a"], ["b"]), ("Relu", ["b"], ["y"])],
            "nodes need each other in a circle: of a, of b",
        ),
        ([("Add", ["x", "gone"], ["y"])], "reads 'gone', which is neither a weight in the file nor an input"),
        ([("Relu", ["x"], ["y"]), ("Tanh", ["x"], ["y"])], "'y' is made twice"),
        ([("Relu", ["x"], ["z"])], "output 'y' is not computed by any node"),
        ([("Reshape", ["x", "shape"], ["y"])], "shape: 7 is put together from"),
        ([("MatMul", ["x", "wide"], ["y"])], "it has weights for 5 features, its input has 3"),
    ],
)
def test_contradictions(nodes: list[Any], message: str, tmp_path: Path) -> None:
    weights: dict[str, Any] = {"shape": np.array([-1, 7]), "wide": np.ones((5, 2), "f4")}
    with pytest.raises(FileFormatError, match=message):
        imported(model_of([helper.make_node(*one) for one in nodes], weights), tmp_path)


def test_tensors_that_do_not_hold_their_shape(tmp_path: Path) -> None:
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[3, 2], raw_data=b"1234")
    with pytest.raises(FileFormatError, match=r"tensor 'w' of shape \[3, 2\] needs 24 bytes, got 4"):
        imported(product(tensor), tmp_path)
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[1 << 40, 1 << 20], raw_data=b"1234")
    with pytest.raises(FileFormatError, match="needs 4611686018427387904 bytes"):
        imported(product(tensor), tmp_path)
    tensor = onnx.TensorProto(name="w", data_type=22, dims=[3, 2], raw_data=b"123")
    with pytest.raises(FileFormatError, match=r"elements of int4, which nabi lacks .*before it is quantised"):
        imported(product(tensor), tmp_path)


def test_constants_that_would_fill_the_memory(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Expand", ["one", "shape"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    weights = {"one": np.ones((1, 1), "f4"), "shape": np.array([1 << 20, 1 << 20])}
    with pytest.raises(FileFormatError, match="it makes a constant of the shape"):
        imported(model_of(nodes, weights), tmp_path)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_onnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("this is text", "utf-8")
    with pytest.raises(FileFormatError, match=r"text\.onnx"):
        read_onnx(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"empty\.onnx: expected an ONNX model with a graph"):
        read_onnx(tmp_path / "empty.onnx")


ONE = {"one": np.ones(1, "f4"), "two": np.array([2.0, 3.0, 4.0], "f4"), "axis": np.array([1])}


ALONE = [
    *("Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "LeakyRelu"),
    *("Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softmax", "LogSoftmax"),
    *("Softplus", "Softsign", "Tanh", "ThresholdedRelu", "Identity", "Flatten", "Mish"),
]
PAIRS = ("Add", "Sub", "Mul", "Div", "Max", "Min")
NODES: list[list[tuple[str, list[str], list[str], dict[str, Any]]]] = [
    *[[(kind, ["x"], ["y"], {})] for kind in ALONE],
    *[[(kind, given, ["y"], {})] for kind in PAIRS for given in (["x", "two"], ["two", "x"], ["one", "x"])],
    *[[("Exp", ["x"], ["a"], {}), (kind, ["a", "x"], ["y"], {})] for kind in PAIRS],
    [
        ("Unsqueeze", ["x", "axis"], ["a"], {}),
        ("Mul", ["a", "two"], ["b"], {}),
        ("Squeeze", ["b", "axis"], ["y"], {}),
    ],
    [
        ("Concat", ["x", "x"], ["a"], {"axis": 1}),
        ("Split", ["a"], ["b", "c"], {"axis": 1}),
        ("Sub", ["b", "c"], ["y"], {}),
    ],
    [("ReduceMax", ["x"], ["a"], {"axes": [1]}), ("Add", ["a", "two"], ["y"], {})],
    [("ReduceL2", ["x"], ["y"], {"axes": [-1], "keepdims": 0})],
    [("ReduceSum", ["x", "axis"], ["y"], {})],
    [("Gather", ["x", "axis"], ["y"], {"axis": 1})],
    [("LayerNormalization", ["x", "two", "two"], ["y"], {})],
    [("BatchNormalization", ["x", "two", "two", "two", "two"], ["y"], {})],
    [("Clip", ["x", "", "low"], ["y"], {})],
    [("Pow", ["x", "one"], ["y"], {})],
]


@pytest.mark.parametrize("nodes", NODES, ids=lambda nodes: "-".join(one[0] for one in nodes))
def test_nodes(nodes: list[Any], tmp_path: Path) -> None:
    made = [helper.make_node(kind, given, result, **more) for kind, given, result, more in nodes]
    message = model_of(made, {**ONE, "low": np.array(0.25, "f4")}, opset=17 if nodes[0][0] != "Mish" else 18)
    x = np.random.default_rng(1).normal(size=(4, 3)).astype("f4")
    expected = run_onnxruntime(message, {"x": x})["y"]
    result = run_imported(imported(message, tmp_path), {"x": x}, ["y"])["y"]
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_the_batch_comes_first_and_the_file_says_where_it_was() -> None:
    model = read_onnx(FILES / "torch_legacy_lstm_time_first.onnx")
    assert model.imported.batch_axes["x"] == 1
    assert model.imported.producer.startswith("pytorch")
    assert model.input_shape == (None, None, 3)


def test_only_the_last_step_is_computed_where_only_it_is_read() -> None:
    model = read_onnx(FILES / "torch_legacy_gru_last.onnx")
    assert [type(one).__name__ for one in model.layers[1:]] == ["GRU", "Dense", "Softmax"]
    assert not model.layers[1].return_sequences


def test_training_goes_on_from_an_imported_model(tmp_path: Path) -> None:
    model = read_onnx(FILES / "torch_legacy_lstm_last.onnx")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(64, 5, 3)).astype("f4")
    labels = (x[:, -1, 0] > 0).astype("i8")
    model.compile(
        optimizer=nabi.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(x, labels, epochs=30, verbose=0)
    assert history.history["loss"][-1] < 0.8 * history.history["loss"][0]
    model.save(tmp_path / "trained.nabi")
    again = nabi.models.load_model(tmp_path / "trained.nabi")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    "name", ["torch_legacy_packed_in_order", "torch_legacy_learned", "keras_masking_lstm"]
)
def test_gradients_reach_the_weights(name: str) -> None:
    model = read_onnx(FILES / f"{name}.onnx")
    with np.load(FILES / "arrays.npz") as stored:
        given = [torch.from_numpy(stored[f"{name}/in/{one}"]) for one in model.imported.batch_axes
                 if f"{name}/in/{one}" in stored]  # fmt: skip
    output = model(given if len(given) > 1 else given[0])
    output.square().sum().backward()
    assert all(weight.grad is not None for weight in model.trainable_weights)


def test_an_imported_layer_shows_its_gates() -> None:
    model = read_onnx(FILES / "torch_legacy_lstm.onnx")
    (layer,) = [one for one in model.layers if isinstance(one, layers.LSTM)]
    assert layer.program().equations[0].startswith("i_t = σ(")
    values = explain.gates(layer, torch.ones(1, 4, 3))
    assert {"i", "f", "o", "c", "h"} <= set(values)
    torch.testing.assert_close(values["h"], layer(torch.ones(1, 4, 3))[0])
