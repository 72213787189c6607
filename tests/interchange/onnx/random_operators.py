"""Random nodes RNN, GRU and LSTM with everything that the operators allow, and what they compute.

ONNX Runtime is the oracle where it runs a model; it refuses `layout=1`, which is compared by transposition,
and double precision, which is compared with the definition in NumPy below. `onnx.reference` ignores lengths,
clip and input_forget, so it is none.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["RandomModel", "definition", "random_model"]

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
Array = np.ndarray[Any, Any]


@dataclass
class RandomModel:
    """A node with its weights, inputs and attributes."""

    kind: str
    opset: int
    attributes: dict[str, Any]
    weights: dict[str, Array]
    inputs: dict[str, Array]
    outputs: list[str]
    functions: list[tuple[Any, ...]]
    start_in_file: dict[str, Array] = field(default_factory=dict)

    @property
    def directions(self) -> int:
        """One or two."""
        return 2 if self.attributes["direction"] == "bidirectional" else 1

    def message(self, layout: int | None = None) -> onnx.ModelProto:
        """Return the model; with `layout=0`, as one that ONNX Runtime reads."""
        attributes = dict(self.attributes)
        inputs, start = self.inputs, self.start_in_file
        if layout == 0 and attributes.pop("layout", 0):
            inputs, start = time_first(inputs), time_first(start)
        names = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
        known = {*self.weights, *inputs, *start}
        used = [name if name in known else "" for name in names]
        while used and not used[-1]:
            used.pop()
        node = helper.make_node(self.kind, used, self.outputs, name="node", **attributes)
        element = helper.np_dtype_to_tensor_dtype(inputs["X"].dtype)
        shapes = {name: [f"{name}{place}" for place in range(array.ndim)] for name, array in inputs.items()}
        for name in shapes:
            for place, size in enumerate(inputs[name].shape):
                if (name, place) in (("X", 2), ("initial_h", 2), ("initial_c", 2)):
                    shapes[name][place] = size
                if name.startswith("initial") and place == (1 if attributes.get("layout") else 0):
                    shapes[name][place] = size
        graph = helper.make_graph(
            [node],
            "random",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(array.dtype), shapes[name]
                )
                for name, array in inputs.items()
            ],
            [helper.make_tensor_value_info(name, element, None) for name in self.outputs if name],
            [numpy_helper.from_array(array, name) for name, array in {**self.weights, **start}.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8, producer_name="random"
        )


def time_first(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return arrays of layout 1 in layout 0."""
    return {name: array if array.ndim < 3 else array.swapaxes(0, 1) for name, array in arrays.items()}


def _function(draw: np.random.Generator, name: str) -> tuple[Any, ...]:
    numbers = {
        "Affine": lambda: (draw.uniform(0.1, 0.9), draw.uniform(-0.3, 0.3)),
        "Elu": lambda: (draw.uniform(0.1, 1.5),),
        "HardSigmoid": lambda: (draw.uniform(0.1, 0.4), draw.uniform(0.3, 0.7)),
        "LeakyRelu": lambda: (draw.uniform(0.01, 0.5),),
        "ScaledTanh": lambda: (draw.uniform(0.3, 1.2), draw.uniform(0.3, 1.2)),
        "ThresholdedRelu": lambda: (draw.uniform(0.1, 0.5),),
    }
    given = numbers[name]() if name in numbers else ()
    return (name, *[float(np.float32(one)) for one in given])


def random_model(seed: int, dtype: Any = np.float32) -> RandomModel:
    """Return one of them."""
    draw = np.random.default_rng(seed)
    kind = str(draw.choice(["RNN", "GRU", "LSTM"]))
    opset = int(draw.choice([7, 8, 11, 13, 14, 17, 21, 22, 24]))
    units, width, batch, steps = (int(draw.integers(1, high)) for high in (5, 5, 4, 7))
    direction = str(draw.choice(["forward", "reverse", "bidirectional"]))
    count = 2 if direction == "bidirectional" else 1
    attributes: dict[str, Any] = {"direction": direction, "hidden_size": units}
    if opset >= 14 and draw.random() < 0.4:
        attributes["layout"] = 1
    gates = GATES[kind]

    def numbers(*shape: int, scale: float = 0.7) -> Array:
        return draw.uniform(-scale, scale, shape).astype(dtype)

    weights = {"W": numbers(count, gates * units, width), "R": numbers(count, gates * units, units)}
    if draw.random() < 0.7:
        weights["B"] = numbers(count, 2 * gates * units)
    if kind == "LSTM" and draw.random() < 0.4:
        weights["P"] = numbers(count, 3 * units)
    if kind == "LSTM" and draw.random() < 0.3:
        attributes["input_forget"] = 1
    if kind == "GRU" and draw.random() < 0.5:
        attributes["linear_before_reset"] = 1
    if draw.random() < 0.4:
        attributes["clip"] = float(np.float32(draw.uniform(0.2, 1.5)))
    names = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[kind] * count
    functions = [(name,) for name in names]
    if draw.random() < 0.6:
        every = ["Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid", "Softplus"]
        every += ["Softsign", "Tanh", "ThresholdedRelu"]
        functions = [_function(draw, str(draw.choice(every))) for _ in names]
        attributes["activations"] = [one[0] for one in functions]
        attributes["activation_alpha"] = [one[1] for one in functions if len(one) > 1]
        attributes["activation_beta"] = [one[2] for one in functions if len(one) > 2]
        attributes = {name: value for name, value in attributes.items() if value != []}
    first = (batch, steps) if attributes.get("layout") else (steps, batch)
    inputs = {"X": numbers(*first, width, scale=1.5)}
    start: dict[str, Array] = {}
    lengths = None
    if draw.random() < 0.4:
        lengths = draw.integers(1, steps + 1, batch).astype(np.int32)
        inputs["sequence_lens"] = lengths
    for name in ("initial_h", "initial_c") if kind == "LSTM" else ("initial_h",):
        if draw.random() < 0.4:
            state = numbers(count, batch, units)
            if draw.random() < 0.3:  # a learned one, in the file
                state = np.repeat(state[:, :1], batch, 1)
                start[name] = state
            else:
                inputs[name] = state
            if attributes.get("layout"):
                (start if name in start else inputs)[name] = state.swapaxes(0, 1)
    every_output = ["Y", "Y_h", "Y_c"] if kind == "LSTM" else ["Y", "Y_h"]
    outputs = [name if draw.random() < 0.7 else "" for name in every_output]
    if not any(outputs):
        outputs[0] = "Y"
    while not outputs[-1]:
        outputs.pop()
    return RandomModel(kind, opset, attributes, weights, inputs, outputs, functions, start)


def _apply(function: tuple[Any, ...], x: Array) -> Array:
    name, *numbers = function
    a, b = [*numbers, 0.0, 0.0][:2]
    with np.errstate(over="ignore"):
        results = {
            "Affine": lambda: a * x + b,
            "Elu": lambda: np.where(x >= 0, x, a * (np.exp(x) - 1)),
            "HardSigmoid": lambda: np.clip(a * x + b, 0, 1),
            "LeakyRelu": lambda: np.where(x >= 0, x, a * x),
            "Relu": lambda: np.maximum(x, 0),
            "ScaledTanh": lambda: a * np.tanh(b * x),
            "Sigmoid": lambda: 1 / (1 + np.exp(-x)),
            "Softplus": lambda: np.log1p(np.exp(x)),
            "Softsign": lambda: x / (1 + np.abs(x)),
            "Tanh": lambda: np.tanh(x),
            "ThresholdedRelu": lambda: np.where(x >= a, x, 0),
        }
        return results[name]()


def definition(model: RandomModel) -> dict[str, Array]:
    """Compute the outputs in NumPy, as the specification says, in the model's own layout."""
    inputs = {**model.inputs, **model.start_in_file}
    if model.attributes.get("layout"):
        inputs = time_first(inputs)
    x = inputs["X"]
    steps, batch, _ = x.shape
    weights, kind = model.weights, model.kind
    units, gates, count = weights["R"].shape[2], GATES[model.kind], model.directions
    lengths = inputs.get("sequence_lens", np.full(batch, steps))
    clip = model.attributes.get("clip", np.inf)
    y = np.zeros((steps, count, batch, units), x.dtype)
    final_h, final_c = (np.zeros((count, batch, units), x.dtype) for _ in range(2))
    for d in range(count):
        f = model.functions[d * FUNCTIONS[kind] : (d + 1) * FUNCTIONS[kind]]
        w = weights["W"][d].reshape(gates, units, -1)
        r = weights["R"][d].reshape(gates, units, units)
        b = weights.get("B", np.zeros((count, 2 * gates * units), x.dtype))[d].reshape(2, gates, units)
        p = weights.get("P", np.zeros((count, 3 * units), x.dtype))[d].reshape(3, units)
        backwards = model.attributes["direction"] == "reverse" or d == 1
        for row in range(batch):
            h = inputs["initial_h"][d, row] if "initial_h" in inputs else np.zeros(units, x.dtype)
            c = inputs["initial_c"][d, row] if "initial_c" in inputs else np.zeros(units, x.dtype)
            order = range(int(lengths[row]))
            for t in reversed(order) if backwards else order:

                def cut(value: Array) -> Array:
                    return np.clip(value, -clip, clip)

                sums = [w[g] @ x[t, row] + b[0, g] for g in range(gates)]
                back = [r[g] @ h + b[1, g] for g in range(gates)]
                if kind == "RNN":
                    h = _apply(f[0], cut(sums[0] + back[0]))
                elif kind == "GRU":
                    z = _apply(f[0], cut(sums[0] + back[0]))
                    reset = _apply(f[0], cut(sums[1] + back[1]))
                    if model.attributes.get("linear_before_reset"):
                        n = _apply(f[1], cut(sums[2] + reset * back[2]))
                    else:
                        n = _apply(f[1], cut(sums[2] + r[2] @ (reset * h) + b[1, 2]))
                    h = (1 - z) * n + z * h
                else:
                    i = _apply(f[0], cut(sums[0] + back[0] + p[0] * c))
                    forget = _apply(f[0], cut(sums[2] + back[2] + p[2] * c))
                    forget = 1 - i if model.attributes.get("input_forget") else forget
                    c = forget * c + i * _apply(f[1], cut(sums[3] + back[3]))
                    h = _apply(f[0], cut(sums[1] + back[1] + p[1] * c)) * _apply(f[2], c)
                y[t, d, row] = h
            final_h[d, row], final_c[d, row] = h, c
    if model.attributes.get("layout"):
        y, final_h, final_c = y.transpose(2, 0, 1, 3), final_h.swapaxes(0, 1), final_c.swapaxes(0, 1)
    every = {"Y": y, "Y_h": final_h, "Y_c": final_c}
    return {name: every[name] for name in model.outputs if name}
