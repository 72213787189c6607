"""Convolution and pooling, over time and over pictures."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._writer._plain import write_named_activation
from nabi.interchange._onnx._writer._writing import Mask, UnwritableError, Value, Writing

__all__ = ["WINDOWS"]

Write = Callable[..., Any]
_TIME, _PICTURES = (0, 2, 1), (0, 3, 1, 2)


def _padding(layer: Any, reaches: Sequence[int]) -> dict[str, Any]:
    """Return the attributes that pad as a layer does; odd padding has its larger half at the end."""
    if layer.padding == "causal":
        return {"pads": [reaches[0] - 1, 0]}
    if layer.padding != "same":
        return {}
    if max(layer.strides) > 1:  # how much depends on the size
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [*((reach - 1) // 2 for reach in reaches), *(reach // 2 for reach in reaches)]}


def _laid(w: Writing, layer: Any, x: Value) -> tuple[str, Mask | None]:
    """Return the steps that count side by side and zero behind them, with the mask of that order."""
    mask = x.mask
    if mask is None:
        return x.name, None
    if layer.windows.moves_steps:
        raise UnwritableError(
            'padding="same" with strides under a mask depends on each row\'s length; not written'
        )
    if mask.lengths is not None:
        return w.where(mask, x, 0.0, name=f"{layer.name}_inside"), mask
    packed = w.packed(mask)
    front = w.take_steps(x.name, packed.order, f"{layer.name}_front")
    inside = w.mask_of_lengths(packed.lengths, x.name)
    return w.where(inside, front, 0.0, name=f"{layer.name}_inside"), inside


def _back(w: Writing, layer: Any, x: Value, outputs: str, inside: Mask | None, width: int | None) -> Value:
    """Return the outputs of windows with their mask, each at its step where there is one for each step."""
    windows, mask = layer.windows, x.mask
    steps = None if x.shape[1] is None else int(windows.count(x.shape[1]))
    shape = (x.shape[0], steps, width)
    if mask is None or inside is None or inside.lengths is None:
        return Value(outputs, shape)
    graph = w.graph
    if windows.keeps_steps:
        if mask.lengths is None:
            outputs = w.take_steps(outputs, w.packed(mask).place, f"{layer.name}_spread")
        return Value(w.where(mask, outputs, 0.0, name=f"{layer.name}_at_steps"), shape, mask)
    whole = graph.cast(inside.lengths, np.int64, f"{layer.name}_lengths")
    if windows.padding == "valid":
        rest = graph.add("Sub", [whole, graph.constant(np.int64(windows.reach))], f"{layer.name}_rest")
        zero = graph.constant(np.int64(0))
        rest = graph.add("Max", [rest, zero], f"{layer.name}_rest_or_none")
        count = graph.add("Div", [rest, graph.constant(np.int64(windows.stride))], f"{layer.name}_more")
        count = graph.add("Add", [count, graph.constant(np.int64(1))], f"{layer.name}_count")
    else:
        up = graph.add("Add", [whole, graph.constant(np.int64(windows.stride - 1))], f"{layer.name}_up")
        count = graph.add("Div", [up, graph.constant(np.int64(windows.stride))], f"{layer.name}_count")
    some = graph.add("Greater", [whole, graph.constant(np.int64(0))], f"{layer.name}_some")
    counts = graph.add("Where", [some, count, graph.constant(np.int64(0))], f"{layer.name}_counts")
    new = w.mask_of_lengths(graph.cast(counts, np.int32, f"{layer.name}_new_lengths"), outputs)
    return Value(w.where(new, outputs, 0.0, name=f"{layer.name}_inside"), shape, new)


def _conv_1d(w: Writing, layer: layers.Conv1D, x: Value) -> Value:
    laid, inside = _laid(w, layer, x)
    found = _convolved(w, layer, laid, _TIME)
    found = write_named_activation(w, layer, found, 3, f"{layer.name}_activation")
    return _back(w, layer, x, found, inside, layer.filters)


def _conv_2d(w: Writing, layer: layers.Conv2D, x: Value) -> Value:
    found = _convolved(w, layer, x.name, _PICTURES)
    found = write_named_activation(w, layer, found, 4, f"{layer.name}_activation")
    return Value(found, tuple(layer.compute_output_shape(x.shape)))


def _convolved(w: Writing, layer: Any, value: str, turned: tuple[int, ...]) -> str:
    graph, rank = w.graph, len(turned) - 2
    kernel = layer.kernel.permute(rank + 1, rank, *range(rank))
    inputs = [graph.transpose(value, *turned), w.weight(kernel, f"{layer.name}_kernel")]
    if layer.bias is not None:
        inputs.append(w.weight(layer.bias, f"{layer.name}_bias"))
    reaches = [
        (size - 1) * every + 1 for size, every in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    ]
    found = graph.add(
        "Conv",
        inputs,
        f"{layer.name}_windows",
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.strides),
        dilations=list(layer.dilation_rate),
        group=layer.groups,
        **_padding(layer, reaches),
    )
    return graph.transpose(found, 0, *range(2, rank + 2), 1, name=layer.name)


def _pooled(w: Writing, layer: Any, operator: str, value: str, **more: Any) -> str:
    return w.graph.add(
        operator, [value], f"{layer.name}_windows", kernel_shape=list(layer.pool_size),
        strides=list(layer.strides), **_padding(layer, layer.pool_size), **more,
    )  # fmt: skip


def _max_pool_1d(w: Writing, layer: layers.MaxPooling1D, x: Value) -> Value:
    laid, inside = _laid(w, layer, x)
    if inside is not None:
        laid = w.where(inside, laid, -np.inf, name=f"{layer.name}_least")
    found = _pooled(w, layer, "MaxPool", w.graph.transpose(laid, *_TIME))
    return _back(w, layer, x, w.graph.transpose(found, *_TIME, name=layer.name), inside, x.shape[2])


def _average_pool_1d(w: Writing, layer: layers.AveragePooling1D, x: Value) -> Value:
    graph = w.graph
    laid, inside = _laid(w, layer, x)
    turned = graph.transpose(laid, *_TIME)
    if inside is None:
        found = _pooled(w, layer, "AveragePool", turned, count_include_pad=0)
    else:
        # The sum of the steps that count, over how many they are.
        counts = graph.cast(graph.add("Unsqueeze", [inside.name, graph.ints(1)]), np.float32)
        held = _pooled(w, layer, "AveragePool", counts, count_include_pad=1)
        least = graph.number(1 / (2 * layer.pool_size[0]))
        total = _pooled(w, layer, "AveragePool", turned, count_include_pad=1)
        found = graph.add("Div", [total, graph.add("Max", [held, least])], f"{layer.name}_mean")
    return _back(w, layer, x, graph.transpose(found, *_TIME, name=layer.name), inside, x.shape[2])


def _pool_2d(operator: str, **more: Any) -> Write:
    def write(w: Writing, layer: Any, x: Value) -> Value:
        found = _pooled(w, layer, operator, w.graph.transpose(x.name, *_PICTURES), **more)
        return Value(
            w.graph.transpose(found, 0, 2, 3, 1, name=layer.name), tuple(layer.compute_output_shape(x.shape))
        )

    return write


def _global_1d(largest: bool) -> Write:
    def write(w: Writing, layer: Any, x: Value) -> Value:
        graph, shape = w.graph, tuple(layer.compute_output_shape(x.shape))
        if x.mask is None:
            operator = "ReduceMax" if largest else "ReduceMean"
            return Value(graph.reduce(operator, x.name, [1], layer.keepdims, layer.name), shape)
        number = graph.cast(x.mask.name, np.float32, f"{layer.name}_counts")
        count = graph.reduce("ReduceSum", number, [1], True, f"{layer.name}_count")
        if layer.keepdims:
            count = graph.add("Unsqueeze", [count, graph.ints(2)], f"{layer.name}_count_rows")
        inside = w.where(x.mask, x, -np.inf if largest else 0.0, name=f"{layer.name}_inside")
        if largest:
            most = graph.reduce("ReduceMax", inside, [1], layer.keepdims, f"{layer.name}_most")
            some = graph.add("Greater", [count, graph.number(0.0)], f"{layer.name}_some")
            return Value(graph.add("Where", [some, most, graph.number(0.0)], layer.name), shape)
        total = graph.reduce("ReduceSum", inside, [1], layer.keepdims, f"{layer.name}_total")
        return Value(
            graph.add("Div", [total, graph.add("Max", [count, graph.number(1.0)])], layer.name), shape
        )

    return write


def _global_2d(operator: str) -> Write:
    def write(w: Writing, layer: Any, x: Value) -> Value:
        found = w.graph.reduce(operator, x.name, [1, 2], layer.keepdims, layer.name)
        return Value(found, tuple(layer.compute_output_shape(x.shape)))

    return write


WINDOWS: dict[type, Write] = {
    layers.AveragePooling1D: _average_pool_1d,
    layers.AveragePooling2D: _pool_2d("AveragePool", count_include_pad=0),
    layers.Conv1D: _conv_1d,
    layers.Conv2D: _conv_2d,
    layers.GlobalAveragePooling1D: _global_1d(largest=False),
    layers.GlobalAveragePooling2D: _global_2d("ReduceMean"),
    layers.GlobalMaxPooling1D: _global_1d(largest=True),
    layers.GlobalMaxPooling2D: _global_2d("ReduceMax"),
    layers.MaxPooling1D: _max_pool_1d,
    layers.MaxPooling2D: _pool_2d("MaxPool"),
}
