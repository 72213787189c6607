"""ONNX Runtime with ONNX's recurrent operators; inference only."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.layers.arrays import Array, Arrays, layer_arrays
from benchmarks.layers.points import Task
from benchmarks.layers.work import Work

__all__ = ["make"]

OPERATORS = {"simple-rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
# Positions of ONNX's gates among torch's: LSTM i o f c of i f g o, GRU z r h of r z n.
GATES = {"simple-rnn": [0], "lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}
# Versions long supported by ONNX Runtime; newer ones add nothing to these operators.
OPSET, IR_VERSION = 17, 8


def make(name: str, task: Task, threads: int) -> Work:
    arrays = layer_arrays(task)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model(task["cell"], arrays).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = {"x": arrays["x"]}

    def results() -> Arrays:
        (output,) = session.run(["y"], inputs)
        return {"output": output[:, 0]}  # [T, directions, B, H]

    return Work(lambda: session.run(["y"], inputs), results)


def model(cell: str, arrays: Arrays) -> onnx.ModelProto:
    order = GATES[cell]
    weights = {
        "w": reorder(arrays["w_x"], order),
        "r": reorder(arrays["w_h"], order),
        "b": np.concatenate([reorder(arrays["b_x"], order), reorder(arrays["b_h"], order)]),
    }
    settings: dict[str, int] = {"hidden_size": arrays["w_h"].shape[1]}
    if cell == "gru":
        settings["linear_before_reset"] = 1
    time, batch, inputs = arrays["x"].shape
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [time, batch, inputs])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [time, 1, batch, settings["hidden_size"]])
    node = helper.make_node(OPERATORS[cell], ["x", "w", "r", "b"], ["y"], **settings)
    initializers = [numpy_helper.from_array(value[None], key) for key, value in weights.items()]
    graph = helper.make_graph([node], "layer", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def reorder(rows: Array, gates: list[int]) -> Array:
    parts = np.split(rows, len(gates))
    return np.ascontiguousarray(np.concatenate([parts[gate] for gate in gates]))
