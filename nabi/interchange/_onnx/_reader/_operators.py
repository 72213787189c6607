"""ONNX's operators RNN, GRU and LSTM: cells from the attributes, weights from the file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nabi import cells, layers
from nabi.interchange._onnx._reader._call import Call
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._values import Array

__all__ = ["Direction", "Recurrence", "recurrence_of", "set_recurrent_weights"]

# For each operator: the gates in the file's order, under the names that nabi's cells give them.
GATES = {"RNN": "h", "GRU": "zrh", "LSTM": "iofc"}
_DEFAULT = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
_TAKES: dict[str, tuple[str, ...]] = {
    "alpha": ("Affine", "Elu", "HardSigmoid", "LeakyRelu", "ScaledTanh", "ThresholdedRelu")
}
_TAKES["beta"] = ("Affine", "HardSigmoid", "ScaledTanh")
_FUNCTIONS = {
    name.lower(): name for name in (*_TAKES["alpha"], "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh")
}
# Functions of nabi that are these of ONNX.
_KNOWN = {
    ("Affine", 1.0, 0.0): "linear",
    ("Elu", 1.0): "elu",
    ("LeakyRelu", float(np.float32(0.2))): "leaky_relu",
    ("HardSigmoid", float(np.float32(1 / 6)), 0.5): "hard_sigmoid",
    ("Relu",): "relu",
    ("Sigmoid",): "sigmoid",
    ("Softplus",): "softplus",
    ("Softsign",): "softsign",
    ("Tanh",): "tanh",
}
_DEFAULTS = {
    "Affine": (1.0, 0.0),
    "Elu": (1.0,),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01,),
    "ScaledTanh": (1.0, 1.0),
    "ThresholdedRelu": (1.0,),
}
Function = tuple[Any, ...]


@dataclass
class Direction:
    """One direction of an operator: how to make its layer, and the weights of it by letter and gate."""

    make: Any
    arguments: dict[str, Any]
    weights: dict[str, dict[str, Array]]

    def layer(self, **options: Any) -> Any:
        """Make the layer."""
        return self.make(**self.arguments, **options)


@dataclass
class Recurrence:
    """An operator: its widths, its directions, and whether each of them runs backwards."""

    units: int
    inputs: int
    directions: list[Direction]
    backwards: list[bool]
    batch_first: bool


def _functions(call: Call, count: int) -> list[list[Function]]:
    """Return the functions of each direction; alpha and beta go to those that take them, in their order."""
    names = call.texts("activations") or _DEFAULT[call.kind] * count
    each = len(_DEFAULT[call.kind])
    if len(names) != each * count:
        raise Refusal(f"activations: expected {each * count} names, got {len(names)}", damaged=True)
    numbers = {"alpha": call.floats("activation_alpha"), "beta": call.floats("activation_beta")}
    used = {"alpha": 0, "beta": 0}
    found: list[Function] = []
    for given in names:
        name = _FUNCTIONS.get(given.lower())
        if name is None:
            raise Refusal(
                f"activations: {given!r} is none of ONNX's ({', '.join(sorted(_FUNCTIONS.values()))})"
            )
        own = list(_DEFAULTS.get(name, ()))
        for place, kind in enumerate(("alpha", "beta")):
            if name in _TAKES[kind] and used[kind] < len(numbers[kind]):
                own[place] = numbers[kind][used[kind]]
                used[kind] += 1
        found.append((name, *own))
    return [found[start : start + each] for start in range(0, len(found), each)]


def _array(call: Call, number: int, what: str, shape: tuple[int | None, ...]) -> Array | None:
    given = call.optional(number)
    if given is None:
        return None
    array = getattr(given, "array", None)
    if array is None or array.dtype == object:
        raise Refusal(f"{what} is computed or an input; weights have to be in the file")
    if array.dtype.kind != "f":
        raise Refusal(f"{what}: expected floating-point numbers, got {array.dtype}", damaged=True)
    if array.ndim != len(shape) or any(
        wanted not in (None, size) for size, wanted in zip(array.shape, shape, strict=True)
    ):
        raise Refusal(
            f"{what}: expected the shape {shape}, got {array.shape}".replace("None", "any"), damaged=True
        )
    found: Array = array
    return found


def recurrence_of(call: Call) -> Recurrence:
    """Return what the attributes and weights of a node RNN, GRU or LSTM ask for.

    Raises:
        Refusal: if they contradict each other, or a weight is not in the file.
    """
    direction = call.text("direction", "forward").lower()
    turns = {"forward": [False], "reverse": [True], "bidirectional": [False, True], "foward": [False]}
    if direction not in turns:
        raise Refusal(
            f"direction: expected forward, reverse or bidirectional, got {direction!r}", damaged=True
        )
    backwards = turns[direction]
    count, gates = len(backwards), GATES[call.kind]
    recurrent = _array(call, 2, "R", (count, None, None))
    if recurrent is None:
        raise Refusal("R is missing", damaged=True)
    units = recurrent.shape[2]
    if not units or recurrent.shape[1] != len(gates) * units:
        raise Refusal(
            f"R: expected the shape {(count, len(gates) * units, units)}, got {recurrent.shape}", damaged=True
        )
    if call.int("hidden_size", units) != units:
        raise Refusal(
            f"hidden_size: expected {units}, the width of R, got {call.int('hidden_size')}", damaged=True
        )
    kernel = _array(call, 1, "W", (count, len(gates) * units, None))
    if kernel is None or not kernel.shape[2]:
        raise Refusal("W is missing or empty", damaged=True)
    bias = _array(call, 3, "B", (count, 2 * len(gates) * units))
    peephole = _array(call, 7, "P", (count, 3 * units)) if call.kind == "LSTM" else None
    clip = call.float("clip", None)
    clip = None if clip is None or not clip > 0 or not np.isfinite(clip) else float(clip)
    functions = _functions(call, count)
    layout = call.int("layout", 0) if call.opset >= 14 else 0
    if layout not in (0, 1):
        raise Refusal(f"layout: expected 0 or 1, got {layout}", damaged=True)
    directions = []
    for number in range(count):
        weights = {
            "x": _by_gate(kernel[number], gates, units),
            "h": _by_gate(recurrent[number], gates, units),
        }
        if bias is not None:
            half = len(gates) * units
            weights["bx"] = _by_gate(bias[number, :half], gates, units)
            weights["bh"] = _by_gate(bias[number, half:], gates, units)
        if peephole is not None:
            weights["p"] = _by_gate(peephole[number], "iof", units)
        directions.append(_direction(call, functions[number], units, clip, weights))
    return Recurrence(units, kernel.shape[2], directions, backwards, layout == 1)


def _by_gate(array: Array, gates: str, units: int) -> dict[str, Array]:
    return {gate: array[place * units : (place + 1) * units] for place, gate in enumerate(gates)}


def _direction(
    call: Call,
    functions: list[Function],
    units: int,
    clip: float | None,
    weights: dict[str, dict[str, Array]],
) -> Direction:
    """Choose the layer: a built-in one where its equations are those of the node."""
    names = [_KNOWN.get(tuple(float(one) if number else one for number, one in enumerate(function)))
             for function in functions]  # fmt: skip
    plain = clip is None and None not in names
    use_bias = "bx" in weights
    own: dict[str, Any] = {"units": units, "use_bias": use_bias}
    if call.kind == "RNN":
        if plain:
            return Direction(layers.SimpleRNN, {**own, "activation": names[0]}, weights)
        cell: Any = cells.OnnxRNN(functions=tuple(functions), clip=clip, **own)
    elif call.kind == "GRU":
        after = bool(call.int("linear_before_reset", 0))
        if plain:
            own |= {"recurrent_activation": names[0], "activation": names[1], "reset_after": after}
            return Direction(layers.GRU, own, weights)
        cell = cells.OnnxGRU(functions=tuple(functions), clip=clip, linear_before_reset=after, **own)
    else:
        coupled = bool(call.int("input_forget", 0))
        if plain and names[1] == names[2] and not coupled:
            own |= {"recurrent_activation": names[0], "activation": names[1]}
            if "p" not in weights:
                return Direction(layers.LSTM, own, weights)
            return Direction(layers.RNN, {"cell": cells.PeepholeLSTM(**own)}, weights)
        if plain and names[1] == names[2] and "p" not in weights and names[0] == "sigmoid":
            # f = 1 - σ(a) = σ(-a): the coupled LSTM of nabi has f where ONNX has i.
            own |= {"recurrent_activation": names[0], "activation": names[1]}
            for letter in weights:
                weights[letter]["f"] = -weights[letter]["i"]
            return Direction(layers.RNN, {"cell": cells.CoupledLSTM(**own)}, weights)
        cell = cells.OnnxLSTM(
            functions=tuple(functions), clip=clip, input_forget=coupled, peephole="p" in weights, **own
        )
    return Direction(layers.RNN, {"cell": cell}, weights)


def set_recurrent_weights(layer: Any, direction: Direction) -> None:
    """Give a built layer the weights of a direction."""
    weights = direction.weights
    letters = {"W_x": "x", "W_h": "h", "b_x": "bx", "b_h": "bh", "w_c": "p"}
    with torch.no_grad():
        for family in layer.program().families:
            if family.name == "b":
                parts = [weights["bx"][gate] + weights["bh"][gate] for gate in family.gates]
            else:
                parts = [weights[letters[family.name]][gate] for gate in family.gates]
            place = layer.family_weight(family)
            place.copy_(torch.from_numpy(np.concatenate(parts)).to(place.dtype))
