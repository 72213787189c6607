"""Layers of one operation on tensors, of which the models of other programs are made."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._writer._writing import Value, Writing, changed

__all__ = ["TENSOR_LAYERS"]

_OPERATORS = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max", "minimum": "Min",
}  # fmt: skip
_REDUCTIONS = {
    "mean": "ReduceMean", "sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin", "norm": "ReduceSum",
}  # fmt: skip


def _slice(w: Writing, layer: layers.Slice, x: Value) -> Value:
    graph, limits = w.graph, np.iinfo(np.int64)
    forward = layer.step > 0
    first = 0 if forward else limits.max
    last = limits.max if forward else limits.min
    start, stop = (
        int(given if given is not None else other)
        for given, other in ((layer.start, first), (layer.stop, last))
    )
    places = [graph.ints(one) for one in (start, stop, layer.axis, layer.step)]
    found = graph.add("Slice", [x.name, *places], layer.name)
    return changed(x, found, tuple(layer.compute_output_shape(x.shape)), mask=None)


def _sequence_mask(w: Writing, layer: layers.SequenceMask, xs: list[Value]) -> Value:
    sequences, lengths = xs
    whole = w.graph.cast(lengths.name, np.int32, f"{layer.name}_lengths")
    mask = w.mask_of_lengths(whole, sequences.name)
    return Value(mask.name, tuple(sequences.shape[:2]), mask)


def _start_state(w: Writing, layer: layers.StartState, x: Value) -> Value:
    graph = w.graph
    sizes = graph.add("Concat", [graph.size(x.name, 0), graph.ints(layer.units)], axis=0)
    state = w.weight(layer.state[None], f"{layer.name}_state")
    return Value(graph.add("Expand", [state, sizes], layer.name), (x.shape[0], layer.units))


def _reduce(w: Writing, layer: layers.Reduce, x: Value) -> Value:
    graph, norm = w.graph, layer.function == "norm"
    name = graph.add("Mul", [x.name, x.name], f"{layer.name}_squares") if norm else x.name
    axes = sorted(axis % len(x.shape) for axis in layer.axes)
    found = graph.reduce(_REDUCTIONS[layer.function], name, axes, layer.keepdims, layer.name)
    found = graph.add("Sqrt", [found], f"{layer.name}_root") if norm else found
    return Value(found, tuple(layer.compute_output_shape(x.shape)))


def _arithmetic(w: Writing, layer: layers.Arithmetic, x: Value) -> Value:
    both = [x.name, w.weight(layer.constant, f"{layer.name}_constant")]
    both = both[::-1] if layer.constant_first else both
    found = w.graph.add(_OPERATORS[layer.operation], both, layer.name)
    return changed(x, found, tuple(layer.compute_output_shape(x.shape)))


TENSOR_LAYERS: dict[type, Callable[..., Any]] = {
    layers.Arithmetic: _arithmetic,
    layers.Reduce: _reduce,
    layers.SequenceMask: _sequence_mask,
    layers.Slice: _slice,
    layers.StartState: _start_state,
}
