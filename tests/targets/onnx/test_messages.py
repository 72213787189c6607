"""ONNX's messages: what the package `onnx` reads and writes, nabi reads and writes too."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings, strategies as st
from onnx import helper, numpy_helper

from nabi.errors import FileFormatError
from nabi.targets.onnx import (
    Attribute,
    Graph,
    Model,
    Node,
    OperatorSet,
    StringEntry,
    Tensor,
    ValueInfo,
    decoded,
    encoded,
)

from .node_tests import node_tests


def their_model() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["c"])],
        "body",
        [helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, ["batch", 3])],
    )
    node = helper.make_node(
        "Scan", ["x", ""], ["y"], name="scan", num_scan_inputs=1, body=body, alpha=[0.5, -1.0], axes=[-1, 7]
    )
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.INT64, [2])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="한글")
    helper.set_model_props(model, {"key": "value"})
    return model


def test_what_onnx_writes_is_read() -> None:
    model = decoded(Model, their_model().SerializeToString())
    assert model.producer_name == "한글"
    assert model.opset_import == [OperatorSet("", 17)]
    assert model.metadata_props == [StringEntry("key", "value")]
    assert model.graph is not None
    (node,) = model.graph.node
    assert (node.op_type, node.input, node.name) == ("Scan", ["x", ""], "scan")
    of_name = {attribute.name: attribute for attribute in node.attribute}
    assert of_name["num_scan_inputs"].i == 1
    assert of_name["alpha"].floats == [0.5, -1.0]
    assert of_name["axes"].ints == [-1, 7]
    body = of_name["body"].g
    assert body is not None
    assert body.input[0].shape == [None, 3]
    assert body.output[0].shape == ["batch", 3]
    assert model.graph.output[0].shape is None
    assert model.graph.input[0].element == onnx.TensorProto.INT64
    (weights,) = model.graph.initializer
    assert weights.dims == [2, 3]
    assert np.frombuffer(weights.raw_data, np.float32).tolist() == [0, 1, 2, 3, 4, 5]


def test_what_was_read_is_written_so_that_onnx_reads_the_same() -> None:
    theirs = their_model()
    theirs.opset_import[0].ClearField("domain")  # which is empty
    again = onnx.ModelProto.FromString(b"".join(encoded(decoded(Model, theirs.SerializeToString()))))
    assert again == theirs


def test_zeros_of_attributes_and_axes_are_written() -> None:
    """A proto2 reader tells an attribute of 0 from one without a value."""
    attribute = onnx.AttributeProto.FromString(b"".join(encoded(Attribute("axis", i=0, type=2))))
    assert attribute.HasField("i")
    value = onnx.ValueInfoProto.FromString(b"".join(encoded(ValueInfo.of("x", 1, [0, None, "time"]))))
    assert [axis.WhichOneof("value") for axis in value.type.tensor_type.shape.dim] == [
        "dim_value",
        None,
        "dim_param",
    ]


numbers = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)
floats = st.lists(st.floats(width=32, allow_nan=False), max_size=5)
tensors = st.builds(
    Tensor,
    dims=numbers,
    data_type=st.integers(0, 25),
    float_data=floats,
    int64_data=numbers,
    string_data=st.lists(st.binary(max_size=4), max_size=2),
    name=st.text(max_size=4),
    raw_data=st.binary(max_size=9),
)
attributes = st.builds(
    Attribute, st.text(max_size=4), i=st.none() | st.integers(-9, 9), floats=floats, t=st.none() | tensors
)
nodes = st.builds(
    Node,
    st.text(max_size=4),
    st.lists(st.text(max_size=3), max_size=3),
    attribute=st.lists(attributes, max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(st.builds(Graph, st.lists(nodes, max_size=2), st.text(max_size=4), st.lists(tensors, max_size=2)))
def test_a_graph_comes_back(graph: Graph) -> None:
    assert decoded(Graph, b"".join(encoded(graph))) == graph


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x0a\x05ab", "expected 5 bytes, got 2"),
        (b"\x0a", "the data end early"),
        (b"\xff" * 11, "expected at most 10 bytes"),
        (b"\x03", "expected a number above 0, got 0"),
        (b"\x0b", "expected a wire type of 0, 1, 2 or 5, got 3"),
        (b"\x3a\x02\x12\xff", "Model.graph: field 2: expected 127 bytes|Model.graph: .*ends? early"),
        (b"\x12\x01\xff", "Model.producer_name: expected text in UTF-8"),
        (b"\x15\x00\x00\x00\x00", "Model.producer_name: expected text, got wire type 5"),
    ],
)
def test_damaged_messages(data: bytes, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        decoded(Model, data)


def test_messages_nested_without_end() -> None:
    graph: Any = Graph(name="innermost")
    for _ in range(80):
        graph = Graph([Node("If", attribute=[Attribute("then_branch", g=graph)])])
    with pytest.raises(FileFormatError, match="at most 64 messages inside one another"):
        decoded(Graph, b"".join(encoded(graph)))


def clear_empty_domains(graph: onnx.GraphProto) -> None:
    """Leave out the domains that are given as empty, which mean the same as none."""
    for one in graph.node:
        if not one.domain:
            one.ClearField("domain")
        for attribute in one.attribute:
            clear_empty_domains(attribute.g)


def test_models_of_the_specification() -> None:
    """Those of the node tests, with graphs inside graphs; nabi's messages hold no sequences."""
    cases = node_tests("LSTM", "GRU", "RNN", "Scan", "Loop")
    assert {case.model.graph.node[0].op_type for case in cases} == {"LSTM", "GRU", "RNN", "Scan", "Loop"}
    told = 0
    for case in cases:
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        if "sequence_type" in str(model):
            continue
        model.opset_import[0].ClearField("domain")
        clear_empty_domains(model.graph)
        again = onnx.ModelProto.FromString(b"".join(encoded(decoded(Model, model.SerializeToString()))))
        assert again == model, case.name
        told += 1
    assert told >= 23
