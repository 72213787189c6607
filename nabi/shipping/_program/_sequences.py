"""A classifier of series as steps: its front, convolutions, recurrent layers, and what it says so far."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from nabi import models
from nabi.ir import Node
from nabi.shipping._program._equation_layer import Equations, UnshippableError, equation_layer
from nabi.shipping._program._instructions import Move, Numbers, Value
from nabi.shipping._program._layers import window_layer
from nabi.shipping._program._recurrent import recurrent_layers
from nabi.shipping._program._step_program import StepLayer, zeros

__all__ = ["series_input", "write_series"]

_EPSILON = 1e-5  # of the normalizations of torch and of `nabi.models`


def series_input(model: models.SeriesClassifier) -> Value:
    """Return what a step reads: the channels of a series."""
    front: Any = model.network.networks[0].front
    return Value("x", int(front.mean.numel()), "input")


def write_series(model: models.SeriesClassifier, x: Value, add: Callable[[StepLayer], None]) -> None:
    """Write the steps of a classifier of series, which give the probabilities of the classes.

    Args:
        model: the classifier.
        x: what a step reads.
        add: takes each layer.

    Raises:
        UnshippableError: if it reads in both directions, leaves steps out, or is averaged with a model that
            needs the whole series.
    """
    if model.settings.bidirectional:
        raise UnshippableError(
            "it reads the series from both ends, and a stream has no last step; train one with "
            "bidirectional=False"
        )
    if model.settings.stride != 1 and model.settings.convolutions:
        raise UnshippableError(
            f"its convolutions give fewer steps than they read (stride={model.settings.stride}); train one "
            "with stride=1 or convolutions=()"
        )
    if model._linear:
        raise UnshippableError(
            "the linear model that is averaged with the network needs the whole series; train one with "
            "with_linear='no'"
        )
    said = [_network(network, number, x, add) for number, network in enumerate(model.network.networks)]
    if len(said) > 1:

        def mean(e: Equations) -> Node:
            total = e.inputs[0]
            for one in e.inputs[1:]:
                total = total + one
            return total * (1.0 / len(said))

        add(equation_layer("mean", f"Mean of {len(said)} networks", ["y = mean of all p"], said, mean))


def _network(network: Any, number: int, x: Value, add: Callable[[StepLayer], None]) -> Value:
    """Write one network; return where its probabilities are."""
    name = f"network_{number}"

    def equations(
        label: str, title: str, text: str, sources: Sequence[Value], write: Any, **more: Any
    ) -> Value:
        layer = equation_layer(f"{name}_{label}", title, [text], sources, write, **more)
        add(layer)
        return layer.output

    value = _front(network.front, name, x, equations, add)
    for place, one in enumerate(network.convolutions):
        value = _convolution(one, f"{name}_convolution_{place}", value, add)
    for layer in network.recurrent:
        for step in recurrent_layers(layer, value):
            add(step)
            value = step.output
    if network.answer == "class":
        width = value.width

        def largest(e: Equations) -> Node:
            e.new["largest"] = e.apply("maximum", e.state("largest", width), e.x)
            return e.new["largest"]

        def mean(e: Equations) -> Node:
            e.new["count"] = e.state("count", 1) + 1.0
            share = e.apply("sum", 1.0 / e.new["count"])
            before = e.state("mean", width)
            e.new["mean"] = before + share * (e.x - before)
            return e.new["mean"]

        lowest = np.full(width, np.finfo(np.float32).min, np.float32)
        parts = [
            value,
            equations("mean", "Mean so far", "y = y + (x - y) / n", [value], mean,
                      initial={"count": zeros(1), "mean": zeros(width)}),
            equations("largest", "Largest so far", "y = max(y, x)", [value], largest,
                      initial={"largest": lowest}),
        ]  # fmt: skip
        value = _joined(f"{name}_summary", parts, add)
    matrix, bias = _array(network.head.weight), _array(network.head.bias)

    def head(e: Equations) -> Node:
        return e.apply("softmax", e.product("W", matrix, e.x) + e.vector("b", bias))

    return equations("head", f"Dense of {len(bias)} units", "p = softmax(W x + b)", [value], head)


def _front(front: Any, name: str, x: Value, equations: Any, add: Callable[[StepLayer], None]) -> Value:
    """Standardize; a channel that was not observed (NaN) is 0, the mean."""
    mean, deviation = _array(front.mean), _array(front.deviation)

    def scaled(e: Equations) -> Node:
        value = (e.x - e.vector("m", mean)) / e.vector("s", deviation)
        return e.apply("select", e.apply("equal", e.x, e.x), value, 0.0)

    text = "y = (x - m) / s, or 0 where x was not observed"
    value: Value = equations("standardized", "Standardization", text, [x], scaled)
    if not front.flagged:
        return value
    observed = equations("observed", "What was observed", "y = 1 where x was observed, else 0", [x],
                         lambda e: e.apply("equal", e.x, e.x))  # fmt: skip
    return _joined(f"{name}_front", [value, observed], add)


def _convolution(convolution: Any, name: str, x: Value, add: Callable[[StepLayer], None]) -> Value:
    inner, normalization = convolution.convolution, convolution.normalization
    kernel = _array(inner.weight).transpose(2, 1, 0)
    title = f"Convolution of {kernel.shape[2]} filters over {kernel.shape[0]} steps, normalized"

    def write(e: Equations) -> Node:
        if isinstance(normalization, torch.nn.LayerNorm):
            centred = e.x - e.apply("mean", e.x)
            above = e.apply("mean", centred * centred) + _EPSILON
            found = centred / e.apply("sqrt", above)
            found = e.vector("g", _array(normalization.weight)) * found
            found = found + e.vector("b", _array(normalization.bias))
        else:
            factors, shifts = normalization.fixed()
            found = e.vector("f", _array(factors)) * e.x + e.vector("o", _array(shifts))
        return e.apply("relu", found)

    text = ["y = relu(the normalized sum of K_j x_(t - j), + b)"]
    layer = window_layer(name, title, text, x, kernel, _array(inner.bias), 1, write)
    add(layer)
    return layer.output


def _joined(name: str, parts: Sequence[Value], add: Callable[[StepLayer], None]) -> Value:
    """Write values side by side."""
    y = Value("y", sum(part.width for part in parts))
    moves, at = [], 0
    for part in parts:
        moves.append(Move(part, y, (part.width,), (0, (1,)), (at, (1,))))
        at += part.width
    add(
        StepLayer(
            name, f"Concatenate to {y.width} features", ("y = the values side by side",), tuple(moves), (), y
        )
    )
    return y


def _array(tensor: torch.Tensor) -> Numbers:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())
