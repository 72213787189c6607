"""The operations of the language, and activations by name, as ONNX nodes.

Most have one operator, named in the table of operations. What has none is written here as the few operators
that give the same numbers.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nabi.errors import ArgumentError
from nabi.ir import operation
from nabi.targets.onnx._scope import Scope

__all__ = ["write_across", "write_activation", "write_operation"]

_COMPARISONS = frozenset({"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"})
_NORM_EPSILON = 1e-5

Write = Callable[[Scope, str, str], str]
Matrix = npt.NDArray[np.float32]


def write_operation(scope: Scope, name: str, inputs: Sequence[str], width: int | None, label: str) -> str:
    """Write one operation of the table; returns the name of its result.

    Args:
        scope: where.
        name: of the operation.
        inputs: the names of its arguments; units are the last axis, and one number a row is an axis of 1.
        width: units of the result; None for one number a row.
        label: the name that the result gets, if nothing has it yet.
    """
    if name in _COMPARISONS:
        if name == "not_equal":
            found = scope.add("Not", [scope.add("Equal", inputs, f"{label}_equal")], f"{label}_differs")
        else:
            found = scope.add(_operator(name), inputs, f"{label}_holds")
        return scope.cast(found, np.float32, label)
    if name == "select":
        condition = scope.cast(inputs[0], bool, f"{label}_condition")
        return scope.add("Where", [condition, *inputs[1:]], label)
    if name == "spread":
        return scope.add("Expand", [inputs[0], scope.ints(width or 1)], label)
    if name == "with_derivative":
        return inputs[0]
    if name == "power":
        # ONNX takes negative values to whole powers.
        below = scope.add("Less", [inputs[0], scope.number(0.0)], f"{label}_below")
        base = scope.add("Where", [below, scope.number(np.nan), inputs[0]], f"{label}_base")
        return scope.add("Pow", [base, inputs[1]], label)
    if name == "norm" and width is not None:
        # The operator needs a gain; that of the language is a product of its own.
        gain = scope.constant(np.ones(width, np.float32), "ones")
        return scope.add("LayerNormalization", [*inputs, gain], label, axis=-1, epsilon=_NORM_EPSILON)
    if operation(name).reduction:
        return scope.reduce(_operator(name), inputs[0], [-1], True, label)
    if len(inputs) == 1:
        return write_activation(scope, name, inputs[0], label)
    return scope.add(_operator(name), inputs, label)


def write_across(scope: Scope, name: str, value: str, width: int, number: int, label: str) -> str:
    """Write a linear map along the units: a cumulative sum, or the product with a matrix of zeros and ones.

    Args:
        scope: where.
        name: of the operation.
        value: the name of its argument.
        width: units of the argument.
        number: its second argument.
        label: the name that the result gets, if nothing has it yet.
    """
    backward = name == "reverse_cumulative_sum"
    if name in ("cumulative_sum", "reverse_cumulative_sum") and number == 1:
        return scope.add(
            "CumSum", [value, scope.constant(np.int64(-1), "axis")], label, reverse=int(backward)
        )
    return scope.add("MatMul", [value, scope.constant(_MATRICES[name](width, number), name)], label)


def _sums(width: int, chunk: int) -> Matrix:
    row, column = np.indices((width, width))
    found: Matrix = ((column >= row) & ((column - row) % chunk == 0)).astype(np.float32)
    return found


def _folded(width: int, size: int) -> Matrix:
    return np.eye(width // size, dtype=np.float32).repeat(size, 0)


_MATRICES: dict[str, Callable[[int, int], Matrix]] = {
    "cumulative_sum": _sums,
    "reverse_cumulative_sum": lambda width, chunk: _sums(width, chunk).T,
    "shift": lambda width, by: np.eye(width, k=by, dtype=np.float32),
    "repeat": lambda width, times: np.eye(width, dtype=np.float32).repeat(times, 1),
    "fold": _folded,
}
"""What a row is multiplied with, `[units of the argument, units of the result]`."""


def _operator(name: str) -> str:
    found = operation(name).onnx
    if found is None:
        raise ArgumentError(f"operation: {name} has no ONNX operator")
    return found


def write_activation(scope: Scope, name: str, value: str, label: str = "activation") -> str:
    """Write an activation by its name in nabi; returns the name of its result.

    Raises:
        ArgumentError: if it has no rendering.
    """
    if name == "linear":
        return value
    if name in _WRITTEN:
        return _WRITTEN[name](scope, value, label)
    renamed = {"exponential": "exp"}.get(name, name)
    return scope.add(_operator(renamed), [value], label)


def _hard_sigmoid(scope: Scope, value: str, label: str) -> str:
    return scope.add("HardSigmoid", [value], label, alpha=1 / 6, beta=0.5)


def _hard_sigmoid_keras2(scope: Scope, value: str, label: str) -> str:
    return scope.add("HardSigmoid", [value], label, alpha=0.2, beta=0.5)


def _hard_tanh(scope: Scope, value: str, label: str) -> str:
    return scope.add("Clip", [value, scope.number(-1.0), scope.number(1.0)], label)


def _relu6(scope: Scope, value: str, label: str) -> str:
    return scope.add("Clip", [value, scope.number(0.0), scope.number(6.0)], label)


def _leaky_relu(scope: Scope, value: str, label: str) -> str:
    return scope.add("LeakyRelu", [value], label, alpha=0.2)


def _silu(scope: Scope, value: str, label: str) -> str:
    return scope.add("Mul", [value, scope.add("Sigmoid", [value], f"{label}_share")], label)


def _gelu(scope: Scope, value: str, label: str) -> str:
    if scope.opset >= 20:
        return scope.add("Gelu", [value], label)
    scaled = scope.add("Mul", [value, scope.number(0.7071067811865476)], f"{label}_scaled")
    share = scope.add(
        "Add", [scope.add("Erf", [scaled], f"{label}_erf"), scope.number(1.0)], f"{label}_share"
    )
    half = scope.add("Mul", [value, scope.number(0.5)], f"{label}_half")
    return scope.add("Mul", [half, share], label)


def _softmax(scope: Scope, value: str, label: str) -> str:
    return scope.add("Softmax", [value], label, axis=-1)


def _log_softmax(scope: Scope, value: str, label: str) -> str:
    return scope.add("LogSoftmax", [value], label, axis=-1)


def _norm(scope: Scope, value: str, label: str) -> str:
    mean = scope.reduce("ReduceMean", value, [-1], True, f"{label}_mean")
    centred = scope.add("Sub", [value, mean], f"{label}_centred")
    square = scope.add("Mul", [centred, centred], f"{label}_square")
    variance = scope.reduce("ReduceMean", square, [-1], True, f"{label}_variance")
    above = scope.add("Add", [variance, scope.number(_NORM_EPSILON)], f"{label}_above")
    return scope.add("Div", [centred, scope.add("Sqrt", [above], f"{label}_deviation")], label)


_WRITTEN: dict[str, Write] = {
    "gelu": _gelu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_keras2": _hard_sigmoid_keras2,
    "hard_tanh": _hard_tanh,
    "leaky_relu": _leaky_relu,
    "log_softmax": _log_softmax,
    "norm": _norm,
    "relu6": _relu6,
    "silu": _silu,
    "softmax": _softmax,
    "swish": _silu,
}
