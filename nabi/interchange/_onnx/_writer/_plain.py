"""Layers that are not specific to time: dense, embedding, normalization, activations, shapes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from nabi import layers
from nabi.interchange._onnx._writer._writing import Mask, UnwritableError, Value, Writing, changed
from nabi.targets.eager import added_operation
from nabi.targets.onnx import DOMAIN, added_function, write_activation

__all__ = ["PLAIN", "write_named_activation"]

Write = Callable[..., Any]


def write_named_activation(w: Writing, layer: Any, value: str, rank: int, label: str) -> str:
    """Write the activation of a layer, a function that nabi has a name for.

    Raises:
        UnwritableError: if it is a function of the user's.
    """
    function = layer.activation
    name = str(getattr(function, "__name__", function))
    if function is added_operation(name):
        return w.graph.add(added_function(w.graph, name).name, [value], label, domain=DOMAIN)
    if not str(getattr(function, "__module__", "")).startswith("nabi."):
        raise UnwritableError(f"its activation {name} is a function of your own")
    return write_activation(w.graph, name, value, label)


def _same(w: Writing, layer: Any, x: Value) -> Value:
    """What does nothing outside of training."""
    return x


def _dense(w: Writing, layer: layers.Dense, x: Value) -> Value:
    found = w.graph.add("MatMul", [x.name, w.weight(layer.kernel, f"{layer.name}_kernel")], layer.name)
    if layer.bias is not None:
        found = w.graph.add("Add", [found, w.weight(layer.bias, f"{layer.name}_bias")], f"{layer.name}_sum")
    found = write_named_activation(w, layer, found, len(x.shape), f"{layer.name}_activation")
    return changed(x, found, (*x.shape[:-1], layer.units))


def _activation(w: Writing, layer: layers.Activation, x: Value) -> Value:
    return changed(x, write_named_activation(w, layer, x.name, len(x.shape), layer.name))


def _softmax(w: Writing, layer: layers.Softmax, x: Value, mask: Any = None) -> Value:
    if mask is not None:
        raise UnwritableError("a mask of its elements is not written")
    return changed(x, w.graph.add("Softmax", [x.name], layer.name, axis=layer.axis))


def _relu(w: Writing, layer: layers.ReLU, x: Value) -> Value:
    graph, slope, start = w.graph, layer.negative_slope, layer.threshold
    top = "" if layer.max_value is None else graph.number(layer.max_value)
    if not slope and not start:
        if not top:
            return changed(x, graph.add("Relu", [x.name], layer.name))
        return changed(x, graph.add("Clip", [x.name, graph.number(0.0), top], layer.name))
    above = graph.add("Min", [x.name, top], f"{layer.name}_above") if top else x.name
    shifted = graph.add("Sub", [x.name, graph.number(start)], f"{layer.name}_shifted")
    below = graph.add("Mul", [shifted, graph.number(slope)], f"{layer.name}_below")
    holds = graph.add("Greater", [x.name, graph.number(start)], f"{layer.name}_holds")
    return changed(x, graph.add("Where", [holds, above, below], layer.name))


def _leaky_relu(w: Writing, layer: layers.LeakyReLU, x: Value) -> Value:
    return changed(x, w.graph.add("LeakyRelu", [x.name], layer.name, alpha=float(layer.negative_slope)))


def _elu(w: Writing, layer: layers.ELU, x: Value) -> Value:
    return changed(x, w.graph.add("Elu", [x.name], layer.name, alpha=float(layer.alpha)))


def _prelu(w: Writing, layer: Any, x: Value) -> Value:
    return changed(
        x, w.graph.add("PRelu", [x.name, w.weight(layer.alpha, f"{layer.name}_alpha")], layer.name)
    )


# Shapes ---------------------------------------------------------------------------------------------------


def _flatten(w: Writing, layer: Any, x: Value) -> Value:
    known = all(size is not None for size in x.shape[1:])
    width = math.prod(size or 0 for size in x.shape[1:]) if known else None
    return changed(x, w.graph.add("Flatten", [x.name], layer.name, axis=1), (x.shape[0], width), mask=None)


def _reshape(w: Writing, layer: layers.Reshape, x: Value) -> Value:
    sizes = w.graph.ints(0, *layer.target_shape)
    shape = layer.compute_output_shape(x.shape)
    return changed(x, w.graph.add("Reshape", [x.name, sizes], layer.name), tuple(shape), mask=None)


def _permute(w: Writing, layer: layers.Permute, x: Value) -> Value:
    shape = layer.compute_output_shape(x.shape)
    return changed(x, w.graph.transpose(x.name, 0, *layer.dims, name=layer.name), tuple(shape), mask=None)


def _repeat(w: Writing, layer: layers.RepeatVector, x: Value) -> Value:
    graph = w.graph
    row = graph.add("Unsqueeze", [x.name, graph.ints(1)], f"{layer.name}_row")
    found = graph.add("Expand", [row, graph.ints(1, layer.n, 1)], layer.name)
    return changed(x, found, (x.shape[0], layer.n, x.shape[1]), mask=None)


# Steps ----------------------------------------------------------------------------------------------------


def _embedding(w: Writing, layer: layers.Embedding, x: Value) -> Value:
    graph = w.graph
    codes = x.name if x.is_whole else graph.cast(x.name, np.int64, f"{layer.name}_codes")
    found = graph.add("Gather", [w.weight(layer.embeddings, f"{layer.name}_embeddings"), codes], layer.name)
    mask = None
    if layer.mask_zero:
        is_zero = graph.add("Equal", [codes, graph.constant(np.int64(0))], f"{layer.name}_is_padding")
        mask = Mask(graph.add("Not", [is_zero], f"{layer.name}_mask"), None, len(x.shape))
        if x.mask is not None:  # the lengths that were asked for
            mask = Mask(graph.add("And", [mask.name, x.mask.name], f"{layer.name}_mask_inside"))
    return Value(found, (*x.shape, layer.output_dim), mask if mask is not None else x.mask)


def _masking(w: Writing, layer: layers.Masking, x: Value) -> Value:
    graph = w.graph
    same = graph.add("Equal", [x.name, graph.number(layer.mask_value)], f"{layer.name}_same")
    other = graph.cast(graph.add("Not", [same], f"{layer.name}_other"), np.float32, f"{layer.name}_number")
    found = graph.reduce("ReduceMax", other, [-1], False, f"{layer.name}_any")
    mask = Mask(graph.cast(found, bool, f"{layer.name}_mask"))
    if x.mask is not None:
        mask = Mask(graph.add("And", [mask.name, x.mask.name], f"{layer.name}_mask_inside"))
    return changed(x, w.where(mask, x, 0.0, len(x.shape), layer.name), mask=mask)


# Normalization --------------------------------------------------------------------------------------------


def _batch_normalization(w: Writing, layer: layers.BatchNormalization, x: Value) -> Value:
    graph = w.graph
    factor = (layer.moving_variance.float() + layer.epsilon).rsqrt()
    if layer.gamma is not None:
        factor = factor * layer.gamma
    sizes = [1] * len(x.shape)
    sizes[layer.axis] = -1

    def shaped(values: torch.Tensor, what: str) -> str:
        return w.weight(values.reshape(sizes), f"{layer.name}_{what}")

    found = graph.add("Sub", [x.name, shaped(layer.moving_mean, "mean")], f"{layer.name}_centred")
    found = graph.add("Mul", [found, shaped(factor, "factor")], f"{layer.name}_scaled")
    if layer.beta is not None:
        found = graph.add("Add", [found, shaped(layer.beta, "beta")], layer.name)
    return changed(x, found)


def _moved(axes: Sequence[int], rank: int) -> tuple[list[int], list[int]]:
    """Return the order that puts axes last, and the order that puts them back."""
    places = sorted(axis % rank for axis in axes)
    order = [axis for axis in range(rank) if axis not in places] + places
    return order, [order.index(axis) for axis in range(rank)]


def _layer_normalization(w: Writing, layer: layers.LayerNormalization, x: Value) -> Value:
    graph, count = w.graph, len(layer.axis)
    if list(layer.axis) != sorted(axis for axis in layer.axis):
        raise UnwritableError(f"its axes {tuple(layer.axis)} are not in their order")
    order, back = _moved(layer.axis, len(x.shape))
    sizes = tuple(x.shape[axis] for axis in order[-count:])
    gain = torch.ones([size or 1 for size in sizes]) if layer.gamma is None else layer.gamma
    inputs = [graph.transpose(x.name, *order), w.weight(gain, f"{layer.name}_gamma")]
    if layer.beta is not None:
        inputs.append(w.weight(layer.beta, f"{layer.name}_beta"))
    found = graph.add("LayerNormalization", inputs, layer.name, axis=-count, epsilon=float(layer.epsilon))
    return changed(x, graph.transpose(found, *back))


def _rms_normalization(w: Writing, layer: layers.RMSNormalization, x: Value) -> Value:
    graph, count = w.graph, len(layer.axis)
    order, back = _moved(layer.axis, len(x.shape))
    turned = graph.transpose(x.name, *order)
    square = graph.add("Mul", [turned, turned], f"{layer.name}_square")
    mean = graph.reduce("ReduceMean", square, range(-count, 0), True, f"{layer.name}_mean")
    above = graph.add("Add", [mean, graph.number(layer.epsilon)], f"{layer.name}_above")
    found = graph.add("Div", [turned, graph.add("Sqrt", [above])], f"{layer.name}_normal")
    found = graph.add("Mul", [found, w.weight(layer.scale, f"{layer.name}_scale")], layer.name)
    return changed(x, graph.transpose(found, *back))


def _unit_normalization(w: Writing, layer: layers.UnitNormalization, x: Value) -> Value:
    graph = w.graph
    square = graph.add("Mul", [x.name, x.name], f"{layer.name}_square")
    total = graph.reduce("ReduceSum", square, list(layer.axis), True, f"{layer.name}_total")
    above = graph.add("Max", [total, graph.number(1e-12)], f"{layer.name}_above")
    return changed(x, graph.add("Div", [x.name, graph.add("Sqrt", [above])], layer.name))


PLAIN: dict[type, Write] = {
    layers.Activation: _activation,
    layers.ActivityRegularization: _same,
    layers.BatchNormalization: _batch_normalization,
    layers.Dense: _dense,
    layers.Dropout: _same,
    layers.ELU: _elu,
    layers.Embedding: _embedding,
    layers.Flatten: _flatten,
    layers.GaussianDropout: _same,
    layers.GaussianNoise: _same,
    layers.Identity: _same,
    layers.InputLayer: _same,
    layers.LayerNormalization: _layer_normalization,
    layers.LeakyReLU: _leaky_relu,
    layers.Masking: _masking,
    layers.PReLU: _prelu,
    layers.Permute: _permute,
    layers.RMSNormalization: _rms_normalization,
    layers.ReLU: _relu,
    layers.RepeatVector: _repeat,
    layers.Reshape: _reshape,
    layers.Softmax: _softmax,
    layers.SpatialDropout1D: _same,
    layers.UnitNormalization: _unit_normalization,
}
