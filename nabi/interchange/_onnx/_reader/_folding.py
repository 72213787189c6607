"""Nodes that read nothing but constants: computed while the file is read, with NumPy."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nabi.interchange._onnx._reader._call import Call
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._tensors import NUMPY, array_of, type_name
from nabi.interchange._onnx._reader._values import Array, Const, Size

__all__ = ["MOST_ELEMENTS", "axes_of", "axis_in", "fold", "numbers"]

# A constant that a file computes must not need more memory than a file of weights would.
MOST_ELEMENTS = 1 << 22


def _bounded(shape: Sequence[int]) -> tuple[int, ...]:
    if any(size < 0 for size in shape) or len(shape) > 16 or math.prod(shape) > MOST_ELEMENTS:
        raise Refusal(f"it makes a constant of the shape {tuple(shape)[:9]}", damaged=True)
    return tuple(int(size) for size in shape)


def numbers(given: Any, what: str) -> list[Any]:
    """Return a constant list of whole numbers and sizes."""
    if not isinstance(given, Const):
        raise Refusal(f"{what}: expected a constant, got something that is computed")
    if given.array.size > 64:
        raise Refusal(f"{what}: expected a few numbers, got {given.array.size}", damaged=True)
    return [one if isinstance(one, Size) else int(one) for one in given.array.ravel().tolist()]


def axes_of(call: Call, since: int) -> list[int] | None:
    """Return `axes`, which older operators have as an attribute and newer ones as the second input."""
    if call.opset < since:
        found: list[int] | None = call.ints("axes", None)
        return found
    given = call.optional(1)
    return None if given is None else numbers(given, "axes")


def axis_in(axis: int, rank: int, what: str = "axis") -> int:
    """Return an axis counted from 0."""
    if not -rank <= axis < rank:
        raise Refusal(f"{what} {axis} of a tensor of {rank} axes", damaged=True)
    return axis % rank


def _pair(function: Callable[..., Any]) -> Callable[[Call, list[Array]], Any]:
    def compute(call: Call, arrays: list[Array]) -> Any:
        _bounded(np.broadcast_shapes(*[one.shape for one in arrays]))
        result = arrays[0]
        for other in arrays[1:]:
            result = function(result, other)
        return result

    return compute


def _divide(a: Array, b: Array) -> Array:
    if object in (a.dtype, b.dtype) or a.dtype.kind == "f":
        return np.asarray(a / b)
    return np.asarray(np.trunc(a / b)).astype(a.dtype)


def _alone(function: Callable[[Array], Any]) -> Callable[[Call, list[Array]], Any]:
    return lambda call, arrays: function(arrays[0])


def _cast(call: Call, arrays: list[Array]) -> Array:
    kind = call.int("to")
    if kind not in NUMPY:
        raise Refusal(f"it casts to {type_name(kind)}")
    if arrays[0].dtype == object:
        return arrays[0]
    return arrays[0].astype({10: "f4", 16: "f4"}.get(kind, NUMPY[kind].lstrip("<|")))


def _transpose(call: Call, arrays: list[Array]) -> Array:
    order = call.ints("perm", list(range(arrays[0].ndim))[::-1])
    if sorted(order) != list(range(arrays[0].ndim)):
        raise Refusal(f"perm: {order} of a tensor of {arrays[0].ndim} axes", damaged=True)
    return arrays[0].transpose(order)


def _squeeze(call: Call, arrays: list[Array]) -> Array:
    axes = axes_of(call, 13)
    if axes is None:
        return arrays[0].squeeze()
    return arrays[0].squeeze(tuple(axis_in(axis, arrays[0].ndim) for axis in axes))


def _unsqueeze(call: Call, arrays: list[Array]) -> Array:
    axes = axes_of(call, 13)
    if axes is None:
        raise Refusal("axes are missing", damaged=True)
    rank = arrays[0].ndim + len(axes)
    return np.expand_dims(arrays[0], tuple(axis_in(axis, rank) for axis in axes))


def _reshape(call: Call, arrays: list[Array]) -> Array:
    shape = [int(size) for size in arrays[1].ravel().tolist()]
    if not call.int("allowzero", 0):
        shape = [arrays[0].shape[place] if size == 0 else size for place, size in enumerate(shape)]
    return arrays[0].reshape(shape)


def _expand(call: Call, arrays: list[Array]) -> tuple[Array, bool]:
    sizes = [one if isinstance(one, Size) else int(one) for one in arrays[1].ravel().tolist()]
    loose = any(isinstance(size, Size) for size in sizes)
    shape = _bounded([1 if isinstance(size, Size) else size for size in sizes])
    if loose:
        own = arrays[0].shape[-len(sizes) :]
        for size, wanted in zip(reversed(own), reversed(sizes), strict=False):
            if isinstance(wanted, Size) and size != 1:
                raise Refusal("it expands to the size of an open axis what has another size")
    return np.broadcast_to(arrays[0], np.broadcast_shapes(arrays[0].shape, shape)), loose


def _fill(call: Call, arrays: list[Array]) -> tuple[Array, bool]:
    value = np.zeros(1, np.float32)
    if call.has("value"):
        value = array_of(call.tensor("value"), None)
    if value.size != 1:
        raise Refusal(f"value: expected one number, got {value.size}", damaged=True)
    sizes = [one if isinstance(one, Size) else int(one) for one in arrays[0].ravel().tolist()]
    shape = _bounded([1 if isinstance(size, Size) else size for size in sizes])
    return np.full(shape, value.ravel()[0], value.dtype), any(isinstance(size, Size) for size in sizes)


def _slice(call: Call, arrays: list[Array]) -> Array:
    if call.opset < 10:
        starts, ends = call.ints("starts"), call.ints("ends")
        axes, steps = call.ints("axes", None), None
    else:
        starts, ends = (arrays[place].ravel().tolist() for place in (1, 2))
        rest = [None if one is None else one.array.ravel().tolist() for one in call.inputs[3:5]]
        axes, steps = [*rest, None, None][:2]
    parts = [slice(None)] * arrays[0].ndim
    axes = list(range(len(starts))) if axes is None else axes
    for axis, start, stop, step in zip(axes, starts, ends, steps or [1] * len(starts), strict=True):
        if any(isinstance(one, Size) for one in (start, stop)):
            raise Refusal("it takes a part of a constant that depends on the size of an open axis")
        size = arrays[0].shape[axis_in(int(axis), arrays[0].ndim)]
        stop = None if step < 0 and stop < -size else stop
        parts[axis_in(int(axis), arrays[0].ndim)] = slice(int(start), stop, int(step))
    return arrays[0][tuple(parts)]


def _gather(call: Call, arrays: list[Array]) -> Array:
    axis = axis_in(call.int("axis", 0), arrays[0].ndim)
    shape = (*arrays[0].shape[:axis], *arrays[1].shape, *arrays[0].shape[axis + 1 :])
    _bounded(shape)
    return np.asarray(np.take(arrays[0], arrays[1].astype(np.int64), axis))


def _concat(call: Call, arrays: list[Array]) -> Array:
    if any(one.dtype == object for one in arrays):
        arrays = [one.astype(object) for one in arrays]
    _bounded([sum(one.size for one in arrays)])
    return np.concatenate(arrays, axis_in(call.int("axis"), arrays[0].ndim))


def _split(call: Call, arrays: list[Array]) -> list[Array]:
    axis = axis_in(call.int("axis", 0), arrays[0].ndim)
    sizes = call.ints("split", None) if call.opset < 13 else None
    if call.opset >= 13 and len(arrays) > 1:
        sizes = arrays[1].ravel().tolist()
    if sizes is None:
        each = -(-arrays[0].shape[axis] // max(len(call.node.output), 1))
        sizes = [each] * len(call.node.output)
    return np.split(arrays[0], np.cumsum(sizes)[:-1], axis)


def _reduce(function: Callable[..., Any], since: int) -> Callable[[Call, list[Array]], Any]:
    def compute(call: Call, arrays: list[Array]) -> Any:
        axes = axes_of(call, since)
        if not axes:
            if axes == [] and call.int("noop_with_empty_axes", 0):
                return arrays[0]
            axes = list(range(arrays[0].ndim))
        places = tuple(axis_in(axis, arrays[0].ndim) for axis in axes)
        return function(arrays[0], axis=places, keepdims=bool(call.int("keepdims", 1)))

    return compute


def _range(call: Call, arrays: list[Array]) -> Array:
    start, stop, step = (one.item() for one in arrays)
    if any(isinstance(one, Size) for one in (start, stop, step)):
        raise Refusal("it counts to the size of an open axis")
    if not step or not all(map(math.isfinite, (start, stop, step))):
        raise Refusal(f"it counts from {start} to {stop} in steps of {step}", damaged=True)
    _bounded([max(math.ceil((stop - start) / step), 0)])
    return np.arange(start, stop, step, dtype=arrays[0].dtype)


def _dequantize(call: Call, arrays: list[Array]) -> Array:
    q, scale = arrays[:2]
    zero = arrays[2] if len(arrays) > 2 else np.zeros((), q.dtype)
    if q.dtype.kind not in "iu" or q.dtype.itemsize > 1 or scale.ndim > 1:
        raise Refusal("quantised weights of this form are not read: export the model before it is quantised")
    if scale.ndim == 1 and scale.size > 1:
        axis = axis_in(call.int("axis", 1), q.ndim)
        shape = [-1 if place == axis else 1 for place in range(q.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape) if zero.ndim else zero
    # Differences of int8 are exact in float32, and the product is rounded once, as ONNX says.
    return (q.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)


def _where(call: Call, arrays: list[Array]) -> Array:
    _bounded(np.broadcast_shapes(*[one.shape for one in arrays]))
    return np.where(arrays[0].astype(bool), arrays[1], arrays[2])


def _matmul(call: Call, arrays: list[Array]) -> Array:
    a, b = arrays
    if a.ndim and b.ndim:
        _bounded([math.prod(a.shape[:-1]), math.prod(b.shape) // max(b.shape[-2 if b.ndim > 1 else 0], 1)])
    return np.asarray(a @ b)


_FOLDS: dict[str, Callable[[Call, list[Array]], Any]] = {
    "Identity": _alone(lambda a: a),
    "Dropout": _alone(lambda a: a),
    "Cast": _cast,
    "CastLike": lambda call, arrays: arrays[0].astype(arrays[1].dtype),
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Expand": _expand,
    "ConstantOfShape": _fill,
    "Slice": _slice,
    "Gather": _gather,
    "Concat": _concat,
    "Split": _split,
    "Range": _range,
    "Where": _where,
    "MatMul": _matmul,
    "DequantizeLinear": _dequantize,
    "Shape": lambda call, arrays: np.array(arrays[0].shape, np.int64)[
        call.int("start", 0) : call.int("end", None)
    ],
    "Size": lambda call, arrays: np.array(arrays[0].size, np.int64),
    "Add": _pair(lambda a, b: a + b),
    "Sub": _pair(lambda a, b: a - b),
    "Mul": _pair(lambda a, b: a * b),
    "Div": _pair(_divide),
    "Pow": _pair(lambda a, b: np.power(a, b)),
    "Max": _pair(np.maximum),
    "Min": _pair(np.minimum),
    "Equal": _pair(lambda a, b: np.asarray(a == b)),
    "Greater": _pair(np.greater),
    "GreaterOrEqual": _pair(np.greater_equal),
    "Less": _pair(np.less),
    "LessOrEqual": _pair(np.less_equal),
    "And": _pair(np.logical_and),
    "Or": _pair(np.logical_or),
    "Not": _alone(np.logical_not),
    "Neg": _alone(np.negative),
    "Abs": _alone(np.abs),
    "Sqrt": _alone(np.sqrt),
    "Exp": _alone(np.exp),
    "Log": _alone(np.log),
    "Reciprocal": _alone(lambda a: 1 / a),
    "Floor": _alone(np.floor),
    "Ceil": _alone(np.ceil),
    "Sign": _alone(np.sign),
    "Tanh": _alone(np.tanh),
    "Sigmoid": _alone(lambda a: 1 / (1 + np.exp(-a))),
    "Relu": _alone(lambda a: np.maximum(a, 0)),
    "ReduceSum": _reduce(np.sum, 13),
    "ReduceProd": _reduce(np.prod, 18),
    "ReduceMean": _reduce(np.mean, 18),
    "ReduceMax": _reduce(np.max, 18),
    "ReduceMin": _reduce(np.min, 18),
}
# What keeps the meaning of an axis that is expanded to a size that is not known yet.
_LOOSE = {
    *("Identity", "Dropout", "Cast", "CastLike", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Gather"),
    *("Concat", "Split", "Add", "Sub", "Mul", "Div", "Neg", "Tanh", "Sigmoid", "Relu", "Expand", "MatMul"),
}


def fold(call: Call) -> list[Any] | None:
    """Compute a node whose inputs are all constants; None if it is none of those that are known."""
    if call.kind == "Constant":
        return [Const(_constant(call))]
    compute = _FOLDS.get(call.kind)
    if compute is None:
        return None
    given: list[Const] = [one for one in call.inputs if one is not None]
    loose = any(one.loose for one in given)
    if loose and call.kind not in _LOOSE:
        raise Refusal("it needs the size of a constant that was expanded to an open axis")
    if not given:
        raise Refusal("its inputs are missing", damaged=True)
    with np.errstate(all="ignore"):
        result = compute(call, [one.array for one in given])
    if isinstance(result, tuple):
        result, expanded = result
        loose = loose or expanded
    several = result if isinstance(result, list) else [result]
    return [Const(_plain(np.asarray(one)), loose) for one in several]


def _plain(array: Array) -> Array:
    """Return an array of sizes that all turned out to be numbers as one of numbers."""
    if array.dtype == object and not any(isinstance(one, Size) for one in array.ravel().tolist()):
        values = array.ravel().tolist()
        kind = bool if values and all(isinstance(one, (bool, np.bool_)) for one in values) else np.int64
        return array.astype(kind)
    return array


def _constant(call: Call) -> Array:
    if call.has("value"):
        return array_of(call.tensor("value"), None)
    for name, kind in (("value_float", np.float32), ("value_int", np.int64)):
        if call.has(name):
            return np.array(call.float(name) if kind is np.float32 else call.int(name), kind)
    if call.has("value_floats"):
        return np.array(call.floats("value_floats"), np.float32)
    if call.has("value_ints"):
        return np.array(call.ints("value_ints"), np.int64)
    raise Refusal("a constant of text, or of a sparse tensor")
