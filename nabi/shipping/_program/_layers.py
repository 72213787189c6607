"""What one step of each layer is."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from nabi import layers
from nabi.ir import Node
from nabi.shipping._program._equation_layer import (
    Equations,
    UnshippableError,
    activated,
    equation_layer,
    named_activation,
)
from nabi.shipping._program._instructions import Lookup, Move, Product, Push, Term, Value
from nabi.shipping._program._recurrent import recurrent_layers
from nabi.shipping._program._step_program import State, StepLayer, zeros

__all__ = ["merged", "steps_of", "window_layer"]

Steps = list[StepLayer]
Write = Callable[[Any, list[Value]], Steps]


def steps_of(layer: Any, sources: Sequence[Value]) -> Steps:
    """Return the step of a layer; an empty list if it does nothing outside of training.

    Args:
        layer: a built layer.
        sources: what it reads, one row of each.

    Raises:
        UnshippableError: if it cannot go step by step, or it is code of the user's.
    """
    return _writer_of(layer)(layer, list(sources))


def _writer_of(layer: Any) -> Write:
    kind = type(layer)
    for base in kind.__mro__:
        if base in _WRITERS:
            # A subclass that computes something else is no longer the layer.
            if getattr(kind, "call", None) is getattr(base, "call", None):
                return _WRITERS[base]
            break
        if base in _REFUSED:
            raise UnshippableError(_REFUSED[base])
    if isinstance(layer, layers.Lambda):
        raise UnshippableError("its function is torch code")
    own = kind.__module__.startswith("nabi.")
    raise UnshippableError("it does not go step by step" if own else "its call is torch code of your own")


def _nothing(layer: Any, sources: list[Value]) -> Steps:
    return []


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().float().numpy()


# Dense, embedding, convolution ----------------------------------------------------------------------------


def _dense(layer: Any, sources: list[Value]) -> Steps:
    name = named_activation(layer)
    kernel = _array(layer.kernel)

    def write(e: Equations) -> Node:
        y = e.product("W", kernel.T, e.x)
        if layer.bias is not None:
            y = y + e.vector("b", _array(layer.bias))
        return activated(name, y)

    inner = "W x + b" if layer.bias is not None else "W x"
    text = f"y = {inner}" if name == "linear" else f"y = {name}({inner})"
    return [equation_layer(layer.name, f"Dense of {layer.units} units", [text], sources, write)]


def _embedding(layer: Any, sources: list[Value]) -> Steps:
    table = np.ascontiguousarray(_array(layer.embeddings), np.float32)
    y = Value("y", table.shape[1])
    title = f"Embedding of {table.shape[0]} codes in {table.shape[1]} features"
    lookup = Lookup(table, sources[0], y)
    return [StepLayer(layer.name, title, ("y = the row of E that x names",), (lookup,), (), y)]


def _convolution(layer: Any, sources: list[Value]) -> Steps:
    """A ring holds the steps that the window covers; one product reads its rows at their distances."""
    if layer.padding != "causal":
        raise UnshippableError(
            f"padding={layer.padding!r} reads later steps or leaves steps out; use padding='causal'"
        )
    if layer.strides[0] != 1:
        raise UnshippableError(f"strides={layer.strides[0]} gives fewer steps than it reads; use 1")
    size, dilation = layer.kernel_size[0], layer.dilation_rate[0]
    kernel = _ungrouped(_array(layer.kernel), layer.groups)
    bias = np.zeros(layer.filters, np.float32) if layer.bias is None else _array(layer.bias)
    title = f"Conv1D of {layer.filters} filters over {size} steps"
    name = named_activation(layer)
    window = f"{size - 1}" if dilation == 1 else f"{size - 1} · {dilation}"
    text = (f"y = {name}(b + the sum of K_j x_(t - j) for j = 0 ... {window})",)
    return [
        window_layer(
            layer.name, title, text, sources[0], kernel, bias, dilation, lambda e: activated(name, e.x)
        )
    ]


def window_layer(
    name: str,
    title: str,
    text: Sequence[str],
    x: Value,
    kernel: Any,
    bias: Any,
    dilation: int,
    write: Callable[[Equations], Node],
) -> StepLayer:
    """Return a layer that reads the last steps.

    Args:
        name, title, text: see `equation_layer`.
        x: what it reads.
        kernel: `[steps, features, filters]`, the present step last.
        bias: `[filters]`.
        dilation: how far the steps are apart.
        write: writes what becomes of the sums.
    """
    size, filters = kernel.shape[0], kernel.shape[2]
    reach = (size - 1) * dilation + 1
    y = Value("sum_y", filters, pieces=(filters,))
    if reach == 1:
        terms = [Term(np.ascontiguousarray(kernel[0].T, np.float32), x)]
        states, first = [], []
    else:
        ring = Value("inputs", reach * x.width + 1, "state")
        states = [State("inputs", ring, zeros(ring.width))]
        first = [Push(x, ring, reach)]
        terms = [
            Term(np.ascontiguousarray(kernel[size - 1 - at].T, np.float32), ring, at * dilation)
            for at in range(size)
        ]
    product = Product(y, np.ascontiguousarray(bias, np.float32), tuple(terms))
    found = equation_layer(name, title, text, [y], write)
    instructions = (*first, product, *found.instructions)
    return StepLayer(name, title, tuple(text), instructions, tuple(states), found.output)


def _ungrouped(kernel: Any, groups: int) -> Any:
    """Return a kernel `[steps, features, filters]` whose groups are blocks of a matrix with zeros."""
    if groups == 1:
        return kernel
    steps, features, filters = kernel.shape
    found = np.zeros((steps, features * groups, filters), np.float32)
    for group in range(groups):
        columns = slice(group * filters // groups, (group + 1) * filters // groups)
        found[:, group * features : (group + 1) * features, columns] = kernel[:, :, columns]
    return found


# Activations ----------------------------------------------------------------------------------------------


def _activation(layer: Any, sources: list[Value]) -> Steps:
    name = named_activation(layer)
    return [_equations(layer, sources, f"y = {name}(x)", lambda e: activated(name, e.x))]


def _softmax(layer: Any, sources: list[Value]) -> Steps:
    if layer.axis not in (-1, 2):
        raise UnshippableError(f"axis={layer.axis} is not that of the features")
    return [_equations(layer, sources, "y = softmax(x)", lambda e: e.apply("softmax", e.x))]


def _relu(layer: Any, sources: list[Value]) -> Steps:
    slope, start, top = float(layer.negative_slope), float(layer.threshold), layer.max_value

    def write(e: Equations) -> Node:
        x = e.x
        above = x if top is None else e.apply("minimum", x, float(top))
        return e.apply("select", e.apply("greater", x, start), above, slope * (x - start))

    return [_equations(layer, sources, "y = relu(x)", write)]


def _leaky_relu(layer: Any, sources: list[Value]) -> Steps:
    slope = float(layer.negative_slope)
    text = f"y = x if x > 0 else {slope:g} x"
    return [
        _equations(
            layer, sources, text, lambda e: e.apply("select", e.apply("greater", e.x, 0.0), e.x, slope * e.x)
        )
    ]


def _elu(layer: Any, sources: list[Value]) -> Steps:
    alpha = float(layer.alpha)

    def write(e: Equations) -> Node:
        return e.apply("select", e.apply("greater", e.x, 0.0), e.x, alpha * e.apply("elu", e.x))

    return [_equations(layer, sources, f"y = x if x > 0 else {alpha:g} (exp(x) - 1)", write)]


def _prelu(layer: Any, sources: list[Value]) -> Steps:
    slopes = _array(layer.alpha)
    if slopes.size != sources[0].width:
        if slopes.size != 1:
            raise UnshippableError(f"its slopes have the shape {slopes.shape}, which differ between steps")
        slopes = np.repeat(slopes, sources[0].width)

    def write(e: Equations) -> Node:
        return e.apply("select", e.apply("greater", e.x, 0.0), e.x, e.vector("a", slopes) * e.x)

    return [_equations(layer, sources, "y = x if x > 0 else a x", write)]


# Normalization --------------------------------------------------------------------------------------------


def _of_features(layer: Any) -> None:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if len(axes) != 1 or axes[0] not in (-1, 2):
        raise UnshippableError(f"axis={layer.axis} is not that of the features")


def _batch_normalization(layer: Any, sources: list[Value]) -> Steps:
    """A factor and an offset for each feature, as it is outside of training."""
    _of_features(layer)
    factor = 1.0 / np.sqrt(_array(layer.moving_variance) + np.float32(layer.epsilon))
    if layer.gamma is not None:
        factor = factor * _array(layer.gamma)
    offset = -_array(layer.moving_mean) * factor
    if layer.beta is not None:
        offset = offset + _array(layer.beta)
    text = "y = f ∘ x + o"
    return [_equations(layer, sources, text, lambda e: e.vector("f", factor) * e.x + e.vector("o", offset))]


def _layer_normalization(layer: Any, sources: list[Value]) -> Steps:
    _of_features(layer)

    def write(e: Equations) -> Node:
        centred = e.x - e.apply("mean", e.x)
        above = e.apply("mean", centred * centred) + float(layer.epsilon)
        return _scaled(e, layer.gamma, layer.beta, centred / e.apply("sqrt", above))

    return [_equations(layer, sources, "y = g ∘ (x - mean(x)) / deviation(x) + b", write)]


def _scaled(e: Equations, gain: Any, bias: Any, y: Node) -> Node:
    if gain is not None:
        y = e.vector("g", _array(gain)) * y
    return y if bias is None else y + e.vector("b", _array(bias))


def _rms_normalization(layer: Any, sources: list[Value]) -> Steps:
    _of_features(layer)

    def write(e: Equations) -> Node:
        above = e.apply("mean", e.x * e.x) + float(layer.epsilon)
        return _scaled(e, layer.scale, None, e.x / e.apply("sqrt", above))

    return [_equations(layer, sources, "y = g ∘ x / sqrt(mean(x ∘ x) + epsilon)", write)]


def _unit_normalization(layer: Any, sources: list[Value]) -> Steps:
    _of_features(layer)

    def write(e: Equations) -> Node:
        return e.x / e.apply("sqrt", e.apply("maximum", e.apply("sum", e.x * e.x), 1e-12))

    return [_equations(layer, sources, "y = x / sqrt(sum(x ∘ x))", write)]


# Pooling over all steps so far -----------------------------------------------------------------------------


def _of_steps(layer: Any) -> None:
    if getattr(layer, "keepdims", False):
        raise UnshippableError("keepdims=True makes a sequence of one step")


def _largest(layer: Any, sources: list[Value]) -> Steps:
    _of_steps(layer)
    width = sources[0].width

    def write(e: Equations) -> Node:
        e.new["largest"] = e.apply("maximum", e.state("largest", width), e.x)
        return e.new["largest"]

    initial = {"largest": np.full(width, np.finfo(np.float32).min, np.float32)}
    text = ["y = the largest of all x so far"]
    return [equation_layer(layer.name, type(layer).__name__, text, sources, write, initial)]


def _mean(layer: Any, sources: list[Value]) -> Steps:
    """The mean moves to each step by its share, so that no sum grows with the length of the stream."""
    _of_steps(layer)
    width = sources[0].width

    def write(e: Equations) -> Node:
        e.new["count"] = e.state("count", 1) + 1.0
        share = e.apply("sum", 1.0 / e.new["count"])
        mean = e.state("mean", width)
        e.new["mean"] = mean + share * (e.x - mean)
        return e.new["mean"]

    initial = {"count": zeros(1), "mean": zeros(width)}
    text = ["n = n + 1", "y = y + (x - y) / n"]
    return [equation_layer(layer.name, type(layer).__name__, text, sources, write, initial)]


# Several inputs -------------------------------------------------------------------------------------------


def _merged(name: str, title: str, sources: list[Value], operation: str, mean: bool) -> StepLayer:
    if len({source.width for source in sources}) > 1:
        raise UnshippableError(f"its inputs have the widths {[source.width for source in sources]}")

    def write(e: Equations) -> Node:
        total = e.inputs[0]
        for one in e.inputs[1:]:
            total = e.apply(operation, total, one)
        return total * (1.0 / len(e.inputs)) if mean else total

    text = f"y = {'mean' if mean else operation} of {len(sources)} values"
    return equation_layer(name, title, [text], sources, write)


def _merging(operation: str, mean: bool = False) -> Write:
    def write_merged(layer: Any, sources: list[Value]) -> Steps:
        return [_merged(layer.name, type(layer).__name__, sources, operation, mean)]

    return write_merged


def _concatenate(layer: Any, sources: list[Value]) -> Steps:
    if layer.axis not in (-1, 2):
        raise UnshippableError(f"axis={layer.axis} is not that of the features")
    return [_joined(layer.name, sources)]


def _joined(name: str, sources: list[Value]) -> StepLayer:
    y = Value("y", sum(source.width for source in sources))
    moves, at = [], 0
    for source in sources:
        moves.append(Move(source, y, (source.width,), (0, (1,)), (at, (1,))))
        at += source.width
    title = f"Concatenate to {y.width} features"
    return StepLayer(name, title, ("y = the values side by side",), tuple(moves), (), y)


def merged(name: str, mode: str, sources: list[Value]) -> StepLayer:
    """Return the step that merges both directions of a bidirectional layer.

    Args:
        name: of the layer.
        mode: "concat", "sum", "mul" or "ave".
        sources: the outputs of both directions.

    Raises:
        UnshippableError: if their widths do not fit.
    """
    if mode == "concat":
        return _joined(name, sources)
    return _merged(
        name, f"Both directions, {mode}", sources, "mul" if mode == "mul" else "add", mode == "ave"
    )


def _equations(layer: Any, sources: list[Value], text: str, write: Callable[[Equations], Node]) -> StepLayer:
    return equation_layer(layer.name, type(layer).__name__, [text], sources, write)


def _time_distributed(layer: Any, sources: list[Value]) -> Steps:
    return steps_of(layer.layer, sources)


def _rnn(layer: Any, sources: list[Value]) -> Steps:
    if len(sources) > 1:
        raise UnshippableError("it is given initial states or further inputs by other layers")
    return recurrent_layers(layer, sources[0])


_WHOLE = "it needs the whole sequence before its first output, and a stream has no end"
_FEWER = "it gives fewer steps than it reads"
_REFUSED: dict[type, str] = {
    layers.Bidirectional: "it reads the sequence from both ends, and a stream has no last step; an "
    "object file, C and WebAssembly run it over whole sequences",
    layers.Attention: _WHOLE,
    layers.AdditiveAttention: _WHOLE,
    layers.AveragePooling1D: _FEWER,
    layers.MaxPooling1D: _FEWER,
    layers.Flatten: "it makes one row of all steps",
    layers.Reshape: "it changes what a step is",
    layers.Permute: "it changes what a step is",
    layers.RepeatVector: "it makes several steps of one row",
    layers.Masking: "a stream has no steps that do not count; leave them out",
}

_WRITERS: dict[type, Write] = {
    layers.Activation: _activation,
    layers.ActivityRegularization: _nothing,
    layers.Add: _merging("add"),
    layers.Average: _merging("add", mean=True),
    layers.BatchNormalization: _batch_normalization,
    layers.Concatenate: _concatenate,
    layers.Conv1D: _convolution,
    layers.Dense: _dense,
    layers.Dropout: _nothing,
    layers.ELU: _elu,
    layers.Embedding: _embedding,
    layers.GaussianDropout: _nothing,
    layers.GaussianNoise: _nothing,
    layers.GlobalAveragePooling1D: _mean,
    layers.GlobalMaxPooling1D: _largest,
    layers.Identity: _nothing,
    layers.InputLayer: _nothing,
    layers.LayerNormalization: _layer_normalization,
    layers.LeakyReLU: _leaky_relu,
    layers.Maximum: _merging("maximum"),
    layers.Minimum: _merging("minimum"),
    layers.Multiply: _merging("mul"),
    layers.PReLU: _prelu,
    layers.RMSNormalization: _rms_normalization,
    layers.RNN: _rnn,
    layers.ReLU: _relu,
    layers.Softmax: _softmax,
    layers.SpatialDropout1D: _nothing,
    layers.TimeDistributed: _time_distributed,
    layers.UnitNormalization: _unit_normalization,
}
