"""Nodes over an axis: normalisation, windows over time, reductions."""

from collections.abc import Callable
from typing import Any

from nabi import layers
from nabi.interchange._onnx._reader._builder import Builder
from nabi.interchange._onnx._reader._call import Call
from nabi.interchange._onnx._reader._folding import axes_of, axis_in
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._values import Axes, Axis, Group, Value, atoms, static

__all__ = ["AXIS_NODES"]

Handler = Callable[[Builder, Call], list[Any]]


def _value(call: Call) -> Value:
    given = call.input(0)
    if not isinstance(given, Value):
        raise Refusal("input 0: expected something computed, got a constant")
    return given


def _layer_norm(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    place = value.place(call.int("axis", -1))
    group = atoms(value.axes[place:])
    width = static(group)
    if width is None or builder.batch in group:
        raise Refusal("it normalises over an open axis")
    weights = [builder.constant(one, "weights").ravel() for one in call.inputs[1:3] if one is not None]
    if any(one.size != width for one in weights):
        raise Refusal(f"weights: expected {width} numbers, got {[one.size for one in weights]}", damaged=True)
    layout = builder.with_last(value, group)
    layer = builder.layer(
        call, layers.LayerNormalization, kind=value.kind, epsilon=call.float("epsilon", 1e-5),
        center=call.optional(2) is not None,
    )  # fmt: skip
    symbol = layer(builder.arranged(value, layout))
    builder.set_weights(layer, weights)
    return [Value(symbol, layout, value.axes, value.kind)]


def _batch_norm(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    if len(value.axes) < 2 or (len(call.node.output) > 1 and any(call.node.output[1:])):
        raise Refusal("batch normalisation in training")
    group = value.axes[1]
    weights = [builder.constant(call.input(number), "weights") for number in range(1, 5)]
    width = static(group)
    if width is None or any(one.shape != (width,) for one in weights):
        raise Refusal(f"weights: expected {width} numbers each", damaged=True)
    layout = builder.with_last(value, group)
    layer = builder.layer(
        call, layers.BatchNormalization, kind=value.kind, epsilon=call.float("epsilon", 1e-5),
        momentum=call.float("momentum", 0.9),
    )  # fmt: skip
    symbol = layer(builder.arranged(value, layout))
    builder.set_weights(layer, weights)
    return [Value(symbol, layout, value.axes, value.kind)]


def _window(builder: Builder, call: Call) -> tuple[Value, int | None]:
    """Return a value `(batch, channels, time)`, and where the file has an axis of size 1 beside time."""
    value = _value(call)
    alone = None
    if len(value.axes) == 4 and () in value.axes[2:]:
        alone = 2 if value.axes[2] == () else 3
        value = value.seen([group for place, group in enumerate(value.axes) if place != alone])
    if len(value.axes) != 3:
        raise Refusal(f"windows over {max(len(value.axes) - 2, 0)} axes; nabi reads those over one, time")
    if value.axes[0] != (builder.batch,):
        if len(value.axes[0]) == 1:
            builder.learn_batch(value.axes[0][0])
        raise Refusal("its sequences are put together from several axes")
    return value, alone


def _windows(
    builder: Builder, call: Call, value: Value, alone: int | None, layer: Any, length: int | None, out: Group
) -> tuple[Any, Value]:
    """Apply a layer of windows; return it and its output."""
    steps: Group = (Axis("time", length),)
    symbol = layer(builder.arranged(value, ((builder.batch,), value.axes[2], value.axes[1])))
    axes: Axes = ((builder.batch,), out, steps)
    if alone is not None:
        axes = (*axes[:alone], (), *axes[alone:])
    return layer, Value(symbol, ((builder.batch,), steps, out), axes, value.kind)


def _along(call: Call, name: str, alone: int | None, default: int | None = None) -> int:
    """Return a number of an attribute that has one for each axis of windows: that of time."""
    found = call.ints(name, None if default is None else [default] * (1 if alone is None else 2))
    if found is None or len(found) != (1 if alone is None else 2):
        raise Refusal(f"{name}: expected a number for each axis of windows, got {found}", damaged=True)
    if alone is not None and found[alone - 2] != 1:
        raise Refusal(f"{name}: {found}, over two axes")
    return int(found[-1] if alone != 3 else found[0])


def _padding(call: Call, span: int, stride: int, alone: int | None) -> str:
    """Return the padding of a layer of windows: valid, same or causal."""
    auto = call.text("auto_pad", "NOTSET")
    count = 1 if alone is None else 2
    pads = call.ints("pads", [0] * 2 * count)
    if len(pads) != 2 * count:
        raise Refusal(f"pads: expected {2 * count} numbers, got {pads}", damaged=True)
    if alone is not None:
        if pads[alone - 2] or pads[alone]:
            raise Refusal(f"pads: {pads}, over two axes")
        pads = [pads[3 - alone], pads[5 - alone]]
    if auto == "VALID" or (auto == "NOTSET" and pads == [0, 0]):
        return "valid"
    if auto == "SAME_UPPER":
        return "same"
    if auto == "NOTSET" and stride == 1:
        if pads == [(span - 1) // 2, span - 1 - (span - 1) // 2]:
            return "same"
        if pads == [span - 1, 0]:
            return "causal"
    raise Refusal(f"padding {auto} {pads} with windows of {span} steps and strides of {stride}")


def _length(group: Group, padding: str, span: int, stride: int) -> int | None:
    size = static(group)
    if size is None:
        return None
    return -(-size // stride) if padding != "valid" else (size - span) // stride + 1


def _conv(builder: Builder, call: Call) -> list[Any]:
    kernel = builder.constant(call.input(1), "W")
    value, alone = _window(builder, call)
    if alone is not None and kernel.ndim == 4 and kernel.shape[alone] == 1:
        kernel = kernel.squeeze(alone)
    groups, width = call.int("group", 1), static(value.axes[1])
    if kernel.ndim != 3 or not kernel.size or groups < 1 or width != kernel.shape[1] * groups:
        raise Refusal(f"W: {kernel.shape} does not fit to {width} channels", damaged=True)
    stride, dilation = _along(call, "strides", alone, 1), _along(call, "dilations", alone, 1)
    span = (kernel.shape[2] - 1) * dilation + 1
    padding = _padding(call, span, stride, alone)
    bias = None if call.optional(2) is None else builder.constant(call.optional(2), "B")
    layer = builder.layer(
        call, layers.Conv1D, kernel.shape[0], kernel.shape[2], kind=value.kind, strides=stride,
        padding=padding, dilation_rate=dilation, groups=groups, use_bias=bias is not None,
    )  # fmt: skip
    length = _length(value.axes[2], padding, span, stride)
    out: Group = (Axis("filters", kernel.shape[0]),)
    layer, result = _windows(builder, call, value, alone, layer, length, out)
    builder.set_weights(layer, [kernel.transpose(2, 1, 0), *([] if bias is None else [bias])])
    return [result]


def _pool(builder: Builder, call: Call) -> list[Any]:
    value, alone = _window(builder, call)
    size, stride = _along(call, "kernel_shape", alone), _along(call, "strides", alone, 1)
    if call.int("ceil_mode", 0) or _along(call, "dilations", alone, 1) != 1 or len(call.node.output) > 1:
        raise Refusal("pooling with ceil_mode, dilations or indices")
    padding = _padding(call, size, stride, alone)
    counts = call.kind == "AveragePool" and call.int("count_include_pad", 0)
    if padding == "causal" or (padding == "same" and counts):
        raise Refusal("pooling with padding that counts")
    make = layers.MaxPooling1D if call.kind == "MaxPool" else layers.AveragePooling1D
    layer = builder.layer(call, make, size, stride, padding, kind=value.kind)
    length = _length(value.axes[2], padding, size, stride)
    return [_windows(builder, call, value, alone, layer, length, value.axes[1])[1]]


_REDUCE = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min",
           "ReduceL2": "norm", "GlobalAveragePool": "mean", "GlobalMaxPool": "max"}  # fmt: skip


def _reduce(builder: Builder, call: Call) -> list[Any]:
    value, function = _value(call), _REDUCE[call.kind]
    rank = len(value.axes)
    if call.kind.startswith("Global"):
        places, keep = list(range(2, rank)), True
    else:
        found = axes_of(call, 13 if call.kind == "ReduceSum" else 18)
        if not found and call.int("noop_with_empty_axes", 0):
            return [value]
        places = [axis_in(axis, rank) for axis in found or range(rank)]
        keep = bool(call.int("keepdims", 1))
    groups = [value.axes[place] for place in sorted(places)]
    if any(builder.batch in group for group in groups):
        raise Refusal("it reduces over the batch")
    seen: list[Group] = []
    for place, group in enumerate(value.axes):
        if place not in places:
            seen.append(group)
        elif keep:
            seen.append(())
    gone = [group for group in groups if group]
    if not gone:
        return [value.seen(seen)]
    layout = builder.natural(value)
    if any(group not in layout for group in gone):
        layout = builder.layout(value.axes)
    symbol = builder.arranged(value, layout)
    where = [layout.index(group) for group in gone]
    time = where == [1] and len(layout) == 3 and function in ("mean", "max")
    if time:
        make = layers.GlobalAveragePooling1D if function == "mean" else layers.GlobalMaxPooling1D
        symbol = builder.layer(call, make, kind=value.kind)(symbol)
    else:
        symbol = builder.layer(call, layers.Reduce, function, where, kind=value.kind)(symbol)
    return [Value(symbol, tuple(g for g in layout if g not in gone), tuple(seen), value.kind)]


AXIS_NODES: dict[str, Handler] = {
    "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    **dict.fromkeys(_REDUCE, _reduce),
}
