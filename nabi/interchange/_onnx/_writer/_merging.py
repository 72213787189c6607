"""Layers with several inputs: sums, products, concatenation, dot products, attention."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._writer._writing import Mask, UnwritableError, Value, Writing

__all__ = ["MERGING"]

Write = Callable[..., Any]


def _aligned(w: Writing, xs: Sequence[Value]) -> list[str]:
    """Return the inputs with the same number of axes: new ones of size 1 follow the batch."""
    rank = max(len(x.shape) for x in xs)
    return [
        x.name
        if len(x.shape) == rank
        else w.graph.add("Unsqueeze", [x.name, w.graph.ints(*range(1, 1 + rank - len(x.shape)))], "aligned")
        for x in xs
    ]


def _union(w: Writing, masks: Sequence[Mask | None]) -> Mask | None:
    """Return where any mask counts; None if one of them is missing."""
    found = [mask for mask in masks if mask is not None]
    if len(found) < len(masks):
        return None
    if all(mask.name == found[0].name for mask in found):
        return found[0]
    return Mask(reduce(lambda a, b: w.graph.add("Or", [a, b], "either"), [mask.name for mask in found]))


def _folded(operator: str, neutral: float | None = None) -> Write:
    """Return what merges with an operator of two; under masks a step that does not count is left out."""

    def write(w: Writing, layer: Any, xs: list[Value]) -> Value:
        names = _aligned(w, xs)
        counts = [
            x.mask if x.mask is not None and len(x.shape) == 3 and neutral is not None else None for x in xs
        ]
        mask = _union(w, [x.mask for x in xs])
        shape = tuple(layer.compute_output_shape([x.shape for x in xs]))
        if any(one is not None for one in counts):
            if any(len(x.shape) != 3 for x in xs):
                raise UnwritableError("masked steps of inputs with different numbers of axes are not written")
            found = _left_out(w, operator, names, counts, neutral or 0.0)
        else:
            found = reduce(lambda a, b: w.graph.add(operator, [a, b], layer.name), names)
        if isinstance(layer, layers.Average):
            found = w.graph.add("Mul", [found, w.graph.number(1 / len(xs))], f"{layer.name}_mean")
        return Value(found, shape, mask)

    return write


def _left_out(
    w: Writing, operator: str, names: list[str], counts: Sequence[Mask | None], neutral: float
) -> str:
    graph = w.graph
    if operator == "Mul":
        whole = [
            name if own is None else w.where(own, name, neutral)
            for name, own in zip(names, counts, strict=True)
        ]
        found = reduce(lambda a, b: graph.add("Mul", [a, b], "product"), whole)
        anywhere = _union(w, counts)
        return found if anywhere is None else w.where(anywhere, found, 0.0)
    found, counted = names[0], counts[0]
    for name, own in zip(names[1:], counts[1:], strict=True):
        other = name if own is None else graph.add("Where", [w.column(own), name, found], "other")
        if counted is not None:
            found = graph.add("Where", [w.column(counted), found, other], "one")
        counted = _union(w, [counted, own])
        found = graph.add(operator, [found, other], "merged")
    return found


def _subtract(w: Writing, layer: Any, xs: list[Value]) -> Value:
    shape = tuple(layer.compute_output_shape([x.shape for x in xs]))
    return Value(w.graph.add("Sub", _aligned(w, xs), layer.name), shape, _union(w, [x.mask for x in xs]))


def _concatenate(w: Writing, layer: layers.Concatenate, xs: list[Value]) -> Value:
    shape = tuple(layer.compute_output_shape([x.shape for x in xs]))
    found = w.graph.add("Concat", [x.name for x in xs], layer.name, axis=layer.axis)
    masks = [x.mask for x in xs]
    if all(mask is None for mask in masks):
        return Value(found, shape)
    whole = [_all(w, x) if mask is None else mask for x, mask in zip(xs, masks, strict=True)]
    if layer.axis % len(xs[0].shape) == 1:
        joined = w.graph.add("Concat", [mask.name for mask in whole], f"{layer.name}_mask", axis=1)
        return Value(found, shape, Mask(joined))
    return Value(found, shape, _union(w, whole))


def _all(w: Writing, x: Value) -> Mask:
    """Return a mask `[B, T]` of which every step counts."""
    sizes = w.graph.add("Shape", [x.name], "sizes", start=0, end=2)
    return Mask(w.graph.add("Expand", [w.graph.constant(np.array(True)), sizes], "all_count"))


def _dot(w: Writing, layer: layers.Dot, xs: list[Value]) -> Value:
    graph = w.graph
    one, other = xs
    if len(one.shape) > 3 or len(other.shape) > 3:
        raise UnwritableError("dot products of inputs with more than 3 axes are not written")
    pair = (layer.axes, layer.axes) if isinstance(layer.axes, int) else layer.axes
    first, second = pair[0] % len(one.shape), pair[1] % len(other.shape)
    names = [one.name, other.name]
    if layer.normalize:
        for place, axis in enumerate((first, second)):
            square = graph.add("Mul", [names[place]] * 2)
            length = graph.add("Sqrt", [graph.reduce("ReduceSum", square, [axis], True)])
            names[place] = graph.add("Div", [names[place], graph.add("Max", [length, graph.number(1e-12)])])
    left = names[0] if len(one.shape) == 3 else graph.add("Unsqueeze", [names[0], graph.ints(1)])
    if len(one.shape) == 3 and first == 1:
        left = graph.transpose(left, 0, 2, 1)
    right = names[1] if len(other.shape) == 3 else graph.add("Unsqueeze", [names[1], graph.ints(2)])
    if len(other.shape) == 3 and second == 2:
        right = graph.transpose(right, 0, 2, 1)
    found = graph.add("MatMul", [left, right], layer.name)
    missing = [axis for axis, x in ((1, one), (2, other)) if len(x.shape) == 2]
    if len(missing) == 2:
        missing = [2]  # [B, 1] remains
    if missing:
        found = graph.add("Squeeze", [found, graph.ints(*missing)], f"{layer.name}_rows")
    return Value(found, tuple(layer.compute_output_shape([x.shape for x in xs])))


def _attention(w: Writing, layer: Any, xs: list[Value], **options: Any) -> Any:
    graph, query, value = w.graph, xs[0], xs[1]
    if any(len(x.shape) != 3 for x in xs):
        raise UnwritableError("attention over more than 3 axes is not written")
    if options.get("mask") is not None:
        raise UnwritableError("a mask that is passed in the call is not written")
    scores = _scores(w, layer, query, xs[2] if len(xs) > 2 else value)
    counts: str | None = None
    if value.mask is not None:
        counts = graph.add("Unsqueeze", [value.mask.name, graph.ints(1)], f"{layer.name}_counts")
    if options.get("use_causal_mask"):
        rows = graph.add("Unsqueeze", [w.steps(graph.size(query.name, 1)), graph.ints(1)], "query_steps")
        seen = graph.add("LessOrEqual", [w.steps(graph.size(value.name, 1)), rows], f"{layer.name}_seen")
        counts = seen if counts is None else graph.add("And", [counts, seen], f"{layer.name}_seen_counts")
    if counts is not None:
        least = graph.number(float(np.finfo(np.float32).min))
        scores = graph.add("Where", [counts, scores, least], f"{layer.name}_masked")
    weights = graph.add("Softmax", [scores], f"{layer.name}_weights", axis=-1)
    found = graph.add("MatMul", [weights, value.name], layer.name)
    if query.mask is not None:
        found = w.where(query.mask, found, 0.0, name=f"{layer.name}_rows")
    result = Value(found, (*query.shape[:2], value.shape[2]), query.mask)
    if not options.get("return_attention_scores"):
        return result
    return [result, Value(weights, (*query.shape[:2], value.shape[1]))]


def _scores(w: Writing, layer: Any, query: Value, key: Value) -> str:
    graph = w.graph
    additive = isinstance(layer, layers.AdditiveAttention)
    scale = None if layer.scale is None else w.weight(layer.scale, f"{layer.name}_scale")
    if layer.score_mode == "dot" and not additive:
        found = graph.add("MatMul", [query.name, graph.transpose(key.name, 0, 2, 1)], f"{layer.name}_scores")
        return found if scale is None else graph.add("Mul", [found, scale], f"{layer.name}_scaled")
    rows = graph.add("Unsqueeze", [query.name, graph.ints(2)], f"{layer.name}_query")
    columns = graph.add("Unsqueeze", [key.name, graph.ints(1)], f"{layer.name}_key")
    found = graph.add("Add", [rows, columns], f"{layer.name}_compared")
    if additive:
        found = graph.add("Tanh", [found])
        found = found if scale is None else graph.add("Mul", [found, scale], f"{layer.name}_scaled")
        return graph.reduce("ReduceSum", found, [-1], False, f"{layer.name}_scores")
    found = found if scale is None else graph.add("Mul", [found, scale], f"{layer.name}_scaled")
    total = graph.reduce("ReduceSum", graph.add("Tanh", [found]), [-1], False, f"{layer.name}_total")
    factor = w.weight(layer.concat_score_weight, f"{layer.name}_concat_score_weight")
    return graph.add("Mul", [total, factor], f"{layer.name}_scores")


MERGING: dict[type, Write] = {
    layers.Add: _folded("Add"),
    layers.AdditiveAttention: _attention,
    layers.Attention: _attention,
    layers.Average: _folded("Add"),
    layers.Concatenate: _concatenate,
    layers.Dot: _dot,
    layers.Maximum: _folded("Max", 0.0),
    layers.Minimum: _folded("Min", 0.0),
    layers.Multiply: _folded("Mul", 1.0),
    layers.Subtract: _subtract,
}
