"""Nodes that are layers: products, activations, normalisation, windows, reductions, sums of two tensors."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._reader._builder import Builder
from nabi.interchange._onnx._reader._call import Call
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._tensors import BFLOAT16, DOUBLE, FLOAT, FLOAT16, type_name
from nabi.interchange._onnx._reader._values import Array, Axes, Axis, Const, Group, Value, atoms, static

__all__ = ["LAYER_NODES", "dense"]

Handler = Callable[[Builder, Call], list[Any]]


def _value(call: Call, number: int = 0) -> Value:
    given = call.input(number)
    if not isinstance(given, Value):
        raise Refusal(f"input {number}: expected something computed, got a constant")
    return given


# Products -------------------------------------------------------------------------------------------------


def dense(builder: Builder, call: Call, value: Value, kernel: Array, bias: Array | None) -> Value:
    """Return a Dense layer on the last axis of a value."""
    if not value.axes:
        raise Refusal("a product with a single number", damaged=True)
    group = value.axes[-1]
    if kernel.ndim != 2 or kernel.dtype.kind != "f":
        raise Refusal(f"it multiplies with weights of {kernel.ndim} axes")
    if static(group) != kernel.shape[0] or not kernel.size:
        raise Refusal(
            f"it has weights for {kernel.shape[0]} features, its input has {static(group) or 'an open axis'}",
            damaged=True,
        )
    layer = builder.layer(call, layers.Dense, kernel.shape[1], kind=value.kind, use_bias=bias is not None)
    layout = builder.with_last(value, group) if group else (*builder.natural(value), ())
    symbol = layer(builder.arranged(value, layout))
    builder.set_weights(layer, [kernel] if bias is None else [kernel, bias])
    out: Group = (Axis("units", kernel.shape[1]),)
    return Value(symbol, (*layout[:-1], out), (*value.axes[:-1], out), value.kind)


def _matmul(builder: Builder, call: Call) -> list[Any]:
    a, b = call.input(0), call.input(1)
    if not isinstance(a, Value) or not isinstance(b, Const):
        raise Refusal("a product of two tensors that are both computed, or with the weights first")
    kernel = builder.constant(b, "the weights")
    return [dense(builder, call, a, kernel, builder.bias_after(call, kernel.shape[-1]))]


def _gemm(builder: Builder, call: Call) -> list[Any]:
    a, kernel = _value(call), builder.constant(call.input(1), "B")
    if len(a.axes) != 2 or kernel.ndim != 2:
        raise Refusal(f"expected matrices, got {len(a.axes)} and {kernel.ndim} axes", damaged=True)
    if call.int("transA", 0):
        a = a.seen(a.axes[::-1])
    if call.int("transB", 0):
        kernel = kernel.T
    kernel = kernel * np.asarray(call.float("alpha", 1.0), kernel.dtype)
    bias = None
    if call.optional(2) is not None:
        bias = builder.constant(call.optional(2), "C") * np.asarray(call.float("beta", 1.0), kernel.dtype)
        if bias.ndim > 2 or (bias.ndim == 2 and bias.shape[0] != 1) or bias.shape[-1:] not in (
            (), (1,), kernel.shape[1:],
        ):  # fmt: skip
            raise Refusal(f"C: expected {kernel.shape[1]} numbers, got the shape {bias.shape}")
        bias = np.broadcast_to(bias.reshape(bias.shape[-1:]), kernel.shape[1:])
    return [dense(builder, call, a, kernel, bias)]


# Functions of each number ---------------------------------------------------------------------------------

_KERAS = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
}
_ELEMENTWISE: dict[str, tuple[str, list[str], list[float]]] = {
    "Abs": ("abs", [], []),
    "Ceil": ("ceil", [], []),
    "Celu": ("celu", ["alpha"], [1.0]),
    "Cos": ("cos", [], []),
    "Elu": ("elu", ["alpha"], [1.0]),
    "Erf": ("erf", [], []),
    "Exp": ("exp", [], []),
    "Floor": ("floor", [], []),
    "HardSigmoid": ("hard_sigmoid", ["alpha", "beta"], [0.2, 0.5]),
    "HardSwish": ("hard_swish", [], []),
    "LeakyRelu": ("leaky_relu", ["alpha"], [0.01]),
    "Log": ("log", [], []),
    "Mish": ("mish", [], []),
    "Neg": ("negative", [], []),
    "Reciprocal": ("reciprocal", [], []),
    "Round": ("round", [], []),
    "Sign": ("sign", [], []),
    "Sin": ("sin", [], []),
    "Sqrt": ("sqrt", [], []),
    "ThresholdedRelu": ("thresholded_relu", ["alpha"], [1.0]),
}


# What is computed of whole numbers, in float32, where they are exact up to 2 ** 24: exporters write indices
# that may count from the end in this way.
_WHOLE = ("Add", "Sub", "Mul", "Less", "Greater", "Equal", "Not")


def _wrapped(builder: Builder, call: Call, value: Value, make: Any, *arguments: Any) -> Value:
    """Apply a layer that keeps the shape to a value as it is held."""
    if value.kind == "int" and call.kind not in _WHOLE:
        raise Refusal("it computes with whole numbers")
    symbol = builder.layer(call, make, *arguments, kind=value.kind)(builder.arranged(value, value.held))
    return Value(symbol, value.held, value.axes, value.kind)


def _activation(builder: Builder, call: Call) -> list[Any]:
    return [_wrapped(builder, call, _value(call), layers.Activation, _KERAS[call.kind])]


def _elementwise(builder: Builder, call: Call) -> list[Any]:
    function, names, defaults = _ELEMENTWISE[call.kind]
    own = [call.float(name, default) for name, default in zip(names, defaults, strict=True)]
    return [_wrapped(builder, call, _value(call), layers.Elementwise, function, own)]


def _selu(builder: Builder, call: Call) -> list[Any]:
    if abs(call.float("alpha", 1.67326) - 1.67326) > 1e-4 or abs(call.float("gamma", 1.0507) - 1.0507) > 1e-4:
        raise Refusal("Selu with other numbers than the paper's")
    return [_wrapped(builder, call, _value(call), layers.Elementwise, "selu")]


def _gelu(builder: Builder, call: Call) -> list[Any]:
    function = "gelu_tanh" if call.text("approximate", "none") == "tanh" else "gelu"
    return [_wrapped(builder, call, _value(call), layers.Elementwise, function)]


def _clip(builder: Builder, call: Call) -> list[Any]:
    if call.opset < 11:
        low, high = call.float("min", -math.inf), call.float("max", math.inf)
    else:
        bounds = [call.optional(number) for number in (1, 2)]
        low, high = (
            default if one is None else float(builder.constant(one, "bounds").reshape(()))
            for one, default in zip(bounds, (-math.inf, math.inf), strict=True)
        )
    return [_wrapped(builder, call, _value(call), layers.Elementwise, "clip", [low, high])]


def _prelu(builder: Builder, call: Call) -> list[Any]:
    slope = builder.constant(call.input(1), "slope")
    if slope.size != 1:
        raise Refusal("PRelu with several slopes")
    return [
        _wrapped(builder, call, _value(call), layers.Elementwise, "leaky_relu", [float(slope.ravel()[0])])
    ]


def _softmax(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    old = call.opset < 13
    place = value.place(call.int("axis", 1 if old else -1))
    group = atoms(value.axes[place:]) if old else value.axes[place]
    if builder.batch in group:
        raise Refusal("softmax over the batch")
    layout = builder.with_last(value, group)
    make = layers.Softmax if call.kind == "Softmax" else layers.Activation
    arguments = [] if call.kind == "Softmax" else ["log_softmax"]
    symbol = builder.layer(call, make, *arguments, kind=value.kind)(builder.arranged(value, layout))
    return [Value(symbol, layout, value.axes, value.kind)]


def _dropout(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    rate = call.float("ratio", 0.5)
    if call.opset >= 12 and call.optional(1) is not None:
        rate = float(builder.constant(call.optional(1), "ratio").reshape(()))
    if not 0 <= rate < 1:
        raise Refusal(f"ratio: expected a rate from 0 to 1, got {rate}", damaged=True)
    return [_wrapped(builder, call, value, layers.Dropout, rate), None][: max(len(call.node.output), 1)]


def _cast(builder: Builder, call: Call) -> list[Any]:
    value, wanted = _value(call), call.int("to") if call.kind == "Cast" else FLOAT
    kind = {FLOAT: "float32", FLOAT16: "float32", BFLOAT16: "float32", DOUBLE: "float64"}.get(wanted, "int")
    if wanted not in (FLOAT, FLOAT16, BFLOAT16, DOUBLE, 6, 7, 2, 3, 4, 5, 12, 13):
        raise Refusal(f"it casts to {type_name(wanted)}")
    if wanted in (FLOAT16, BFLOAT16):
        builder.note(f"the file computes partly in {type_name(wanted)}; nabi computes in float32")
    if value.truth and "float64" not in (kind, value.kind):
        return [replace(value, kind=kind, truth=False)]
    if kind == value.kind:
        return [value]
    if kind == "int":
        raise Refusal("it makes whole numbers of others")
    if value.kind == "int":
        symbol = builder.layer(call, layers.Elementwise, "affine", kind=kind)(
            builder.arranged(value, value.held)
        )
        return [Value(symbol, value.held, value.axes, kind)]
    raise Refusal("it changes between float32 and float64 within the network")


# Two tensors, or a tensor and a constant -------------------------------------------------------------------

_PAIRS = {"Add": layers.Add, "Sub": layers.Subtract, "Mul": layers.Multiply, "Max": layers.Maximum,
          "Min": layers.Minimum, "Sum": layers.Add}  # fmt: skip
_CONSTANTS = {"Add": "add", "Sum": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide",
              "Max": "maximum", "Min": "minimum"}  # fmt: skip


def _pair(builder: Builder, call: Call) -> list[Any]:
    given = [one for one in call.inputs if one is not None]
    result = given[0] if given else call.input(0)
    for other in given[1:]:
        if isinstance(result, Value) and isinstance(other, Value):
            result = _two(builder, call, result, other)
        elif isinstance(result, Value):
            result = _with_constant(builder, call, result, builder.constant(other, "the constant"), False)
        elif isinstance(other, Value):
            result = _with_constant(builder, call, other, builder.constant(result, "the constant"), True)
        else:
            raise Refusal("two constants before a tensor")
    return [result]


def _with_constant(builder: Builder, call: Call, value: Value, array: Array, first: bool) -> Value:
    operation = _CONSTANTS[call.kind]
    if array.size == 1 and array.ndim <= len(value.axes):
        number = float(array.reshape(()))
        if operation in ("add", "subtract"):
            factor = -1.0 if operation == "subtract" and first else 1.0
            offset = -number if operation == "subtract" and not first else number
            return _wrapped(builder, call, value, layers.Elementwise, "affine", [factor, offset])
        if operation == "multiply":
            return _wrapped(builder, call, value, layers.Elementwise, "affine", [number, 0.0])
        if operation == "maximum":
            return _wrapped(builder, call, value, layers.Elementwise, "clip", [number])
        if operation == "minimum":
            return _wrapped(builder, call, value, layers.Elementwise, "clip", [-math.inf, number])
    if value.kind == "int":
        raise Refusal("it computes with whole numbers")
    layout = builder.natural(value)
    if any(one > 1 and not group for one, group in zip(array.shape[::-1], value.axes[::-1], strict=False)):
        return _wider(builder, call, value, array, first)
    own = builder.constant_in(array, value, layout)
    layer = builder.layer(call, layers.Arithmetic, operation, own.shape, first, kind=value.kind)
    symbol = layer(builder.arranged(value, layout))
    builder.set_weights(layer, [own])
    return Value(symbol, layout, value.axes, value.kind)


def _wider(builder: Builder, call: Call, value: Value, array: Array, first: bool) -> Value:
    """Return a value and a constant that has several numbers where the value has one."""
    array = array.reshape((1,) * (len(value.axes) - array.ndim) + array.shape)
    axes = tuple(
        group or ((Axis("units", array.shape[place]),) if array.shape[place] > 1 else ())
        for place, group in enumerate(value.axes)
    )
    order = [place for place, group in enumerate(axes) if group and group != (builder.batch,)]
    layout: Axes = ((builder.batch,), *[value.axes[place] for place in order])
    held: Axes = ((builder.batch,), *[axes[place] for place in order])
    seen = Value(value.symbol, held, axes, value.kind)
    own = builder.constant_in(array, seen, held)
    layer = builder.layer(call, layers.Arithmetic, _CONSTANTS[call.kind], own.shape, first, kind=value.kind)
    symbol = layer(builder.arranged(value, layout))
    builder.set_weights(layer, [own])
    return Value(symbol, held, axes, value.kind)


def _joined(builder: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    """Return two values with the same identity for axes that meet each other."""
    rank = max(len(a.axes), len(b.axes))
    a, b = (one.seen(((),) * (rank - len(one.axes)) + one.axes) for one in (a, b))
    for place in range(rank):
        mine, theirs = a.axes[place], b.axes[place]
        if mine == theirs or not mine or not theirs:
            continue
        if builder.batch in (*mine, *theirs) and len(mine) == len(theirs) == 1:
            builder.learn_batch(theirs[0] if mine[0] is builder.batch else mine[0])
        sizes = static(mine), static(theirs)
        if None not in sizes and sizes[0] != sizes[1]:
            raise Refusal(f"it puts together axes of {sizes[0]} and {sizes[1]}", damaged=True)
        if len(mine) == 1 and len(theirs) > 1 and None not in [axis.size for axis in theirs]:
            a = a.split(mine[0], [axis.size or 1 for axis in theirs])
        elif len(theirs) == 1 and len(mine) > 1 and None not in [axis.size for axis in mine]:
            b = b.split(theirs[0], [axis.size or 1 for axis in mine])
        mine, theirs = a.axes[place], b.axes[place]
        if len(mine) != len(theirs):
            raise Refusal(f"it puts together axes {list(mine)} and {list(theirs)}")
        for one, other in zip(mine, theirs, strict=True):
            b = b.renamed(other, one)
    return a, b


def _two(builder: Builder, call: Call, a: Value, b: Value) -> Value:
    if "int" in (a.kind, b.kind) and not (a.kind == b.kind and call.kind in _WHOLE):
        raise Refusal("it computes with whole numbers")
    if call.kind == "Div":
        b = _wrapped(builder, call, b, layers.Elementwise, "reciprocal")
    a, b = _joined(builder, a, b)
    axes = tuple(mine or theirs for mine, theirs in zip(a.axes, b.axes, strict=True))
    whole = a if axes == a.axes else b if axes == b.axes else None
    layout = builder.layout(axes) if whole is None else builder.natural(whole)

    def own(value: Value) -> Any:
        there = set(value.axes) | {(builder.batch,)}
        groups = tuple(group if group in there else () for group in layout)
        return builder.arranged(value, groups)

    make = layers.Multiply if call.kind == "Div" else _PAIRS[call.kind]
    symbol = builder.layer(call, make, kind=a.kind)([own(a), own(b)])
    return Value(symbol, layout, axes, a.kind)


def _compared(builder: Builder, call: Call) -> list[Any]:
    """Return 1 where a comparison with a number holds, else 0."""
    a, b = call.input(0), call.input(1)
    if isinstance(a, Value) and isinstance(b, Value):
        raise Refusal("it compares two tensors")
    value, bound = (a, b) if isinstance(a, Value) else (b, a)
    number = builder.constant(bound, "the number")
    if number.size != 1:
        raise Refusal("it compares with several numbers")
    function = call.kind.lower()
    if value is b:
        function = {"greater": "less", "less": "greater"}.get(function, function)
    result = _wrapped(builder, call, value, layers.Elementwise, function, [float(number.ravel()[0])])
    return [replace(result, truth=True)]


def _not(builder: Builder, call: Call) -> list[Any]:
    result = _wrapped(builder, call, _value(call), layers.Elementwise, "affine", [-1.0, 1.0])
    return [replace(result, truth=True)]


def _pow(builder: Builder, call: Call) -> list[Any]:
    value, exponent = _value(call), builder.constant(call.input(1), "the exponent")
    if exponent.size != 1:
        raise Refusal("a power with several exponents")
    return [_wrapped(builder, call, value, layers.Elementwise, "power", [float(exponent.ravel()[0])])]


def _concat(builder: Builder, call: Call) -> list[Any]:
    given: list[Any] = [one for one in call.inputs if one is not None]
    if not all(isinstance(one, Value) for one in given):
        raise Refusal("it puts a constant beside something computed")
    first: Value = given[0]
    place = first.place(call.int("axis"))
    if len({len(one.axes) for one in given}) != 1 or len({one.kind for one in given}) != 1:
        raise Refusal("it puts tensors of different axes or types beside each other", damaged=True)
    if (builder.batch,) in [one.axes[place] for one in given]:
        raise Refusal("it puts batches below each other")
    joined = [first]
    for one in given[1:]:
        for number, group in enumerate(one.axes):
            mine = joined[0].axes[number]
            if number == place or group == mine:
                continue
            if (
                len(group) != 1
                or len(mine) != 1
                or None not in (group[0].size, mine[0].size, None)
                or (None not in (group[0].size, mine[0].size) and group[0].size != mine[0].size)
            ):
                raise Refusal(f"it puts axes {list(group)} and {list(mine)} beside each other", damaged=True)
            one = one.renamed(group[0], mine[0])
        joined.append(one)
    sizes = [static(one.axes[place]) for one in joined]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    rest = [group for number, group in enumerate(first.axes) if number != place]
    new: Group = (Axis("joined", total),)
    # Where all are held in the same order, that order stays.
    places = {one.held.index(one.axes[place]) if one.axes[place] in one.held else -1 for one in joined}
    where = places.pop() if len(places) == 1 else -1
    same = where > 0 and len({tuple(g for n, g in enumerate(one.held) if n != where) for one in joined}) == 1
    if same:
        layouts = [one.held for one in joined]
    else:
        where = len(builder.layout(rest))
        layouts = [(*builder.layout(rest), one.axes[place]) for one in joined]
    symbols = [builder.arranged(one, layout) for one, layout in zip(joined, layouts, strict=True)]
    symbol = symbols[0]
    if len(symbols) > 1:
        symbol = builder.layer(call, layers.Concatenate, axis=where, kind=first.kind)(symbols)
    held = (*layouts[0][:where], new, *layouts[0][where + 1 :])
    return [Value(symbol, held, (*first.axes[:place], new, *first.axes[place + 1 :]), first.kind)]


LAYER_NODES: dict[str, Handler] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    **dict.fromkeys(_KERAS, _activation),
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    "Selu": _selu,
    "Gelu": _gelu,
    "Clip": _clip,
    "PRelu": _prelu,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Dropout": _dropout,
    "Cast": _cast,
    **dict.fromkeys(["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum"], _pair),
    "Pow": _pow,
    **dict.fromkeys(["Equal", "Greater", "Less"], _compared),
    "Not": _not,
    "Concat": _concat,
}
