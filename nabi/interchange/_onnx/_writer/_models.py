"""Sequential and functional models, and the choice of what writes a layer."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nabi import layers, models
from nabi.errors import ArgumentError, NabiError
from nabi.interchange._onnx._writer._merging import MERGING
from nabi.interchange._onnx._writer._plain import PLAIN
from nabi.interchange._onnx._writer._recurrent import write_bidirectional, write_rnn
from nabi.interchange._onnx._writer._tensor_layers import TENSOR_LAYERS
from nabi.interchange._onnx._writer._windows import WINDOWS
from nabi.interchange._onnx._writer._writing import (
    Mask,
    UnwritableError,
    Value,
    Writing,
    axes_of,
    changed,
    masked,
)
from nabi.models import Slot

__all__ = ["write_keras_model", "write_layer_call"]

Write = Callable[..., Any]


def write_keras_model(w: Writing, model: Any, lengths: bool) -> None:
    """Write a built Sequential or functional model: inputs, layers, outputs.

    Raises:
        ArgumentError: if it has not been built, or it computes its outputs in code of its own.
    """
    kind = models.Sequential if isinstance(model, models.Sequential) else models.Functional
    if not isinstance(model, kind) or type(model).call is not kind.call:
        raise ArgumentError(
            f"model: expected a Sequential or functional model, got {type(model).__name__}, whose call is "
            "code of its own; write it as Model(inputs, outputs) of layers to have it as ONNX"
        )
    if not model.built or model.input_shape is None:
        raise ArgumentError(f"model: {model.name} has no input shape yet; build or fit it first")
    if isinstance(model, models.Sequential):
        shapes, names = [tuple(model.input_shape)], ["input"]
        whole, output_names = [_reads_codes(model)], ["output"]
    else:
        graph = model.graph
        shapes = [tuple(entry.batch_shape) for entry in graph.entries]
        names, output_names = model.input_names, model.output_names
        readers = [
            [_reads_whole(step, number) for step in graph.steps if _reads(step, number)]
            for number in range(len(names))
        ]
        whole = [bool(found) and all(found) for found in readers]
    xs = []
    for name, shape, is_whole in zip(names, shapes, whole, strict=True):
        axes = axes_of(shape, {0: "batch", 1: "time" if len(names) == 1 else f"{name}_time"})
        x = w.input(name, np.int64 if is_whole else np.float32, ["batch", *axes[1:]], shape)
        xs.append(changed(x, x.name, is_whole=is_whole))
    if lengths:
        xs = [_with_lengths(w, x, "lengths" if len(xs) == 1 else f"{x.name}_lengths") for x in xs]
    found = _outputs(w, model, xs)
    if len(found) == 1 and isinstance(model, models.Sequential):
        output_names = ["output"]
    for name, value in zip(output_names, found, strict=True):
        axes = axes_of(value.shape, {0: "batch", 1: "steps"})
        w.output(value.name, name, np.float32, ["batch", *axes[1:]])


def _with_lengths(w: Writing, x: Value, name: str) -> Value:
    if len(x.shape) < (2 if x.is_whole else 3):
        raise ArgumentError(f"lengths: expected an input with time steps, got the shape {x.shape}")
    own = w.input(name, np.int32, ["batch"], (None,))
    return changed(x, x.name, mask=w.mask_of_lengths(own.name, x.name))


def _reads(step: Any, number: int) -> bool:
    """Return whether a call reads the input of this number."""
    return Slot(number) in _flat([step.arguments, list(step.keywords.values())])


def _reads_whole(step: Any, number: int) -> bool:
    """Return whether a call reads the input of this number as whole numbers: codes or lengths."""
    if isinstance(step.layer, layers.SequenceMask):
        return bool(Slot(number) == _flat(step.arguments)[1])
    return _reads_codes(step.layer)


def _flat(nested: Any) -> list[Any]:
    if isinstance(nested, list | tuple):
        return [leaf for one in nested for leaf in _flat(one)]
    return [nested]


def _reads_codes(layer: Any) -> bool:
    """Return whether a layer reads whole numbers."""
    if isinstance(layer, models.Sequential):
        return bool(layer.layers) and _reads_codes(layer.layers[0])
    if isinstance(layer, layers.TimeDistributed):
        return _reads_codes(layer.layer)
    return isinstance(layer, layers.Embedding)


def _outputs(w: Writing, model: Any, xs: Sequence[Value]) -> list[Value]:
    """Write the layers of a model; returns its outputs."""
    if isinstance(model, models.Sequential):
        value: Any = xs[0]
        for layer in model.layers:
            value = write_layer_call(w, layer, value)
        return [value]
    graph = model.graph
    values: list[Any] = [*xs, *[None] * (graph.size - len(xs))]

    def given(one: Any) -> Any:
        if isinstance(one, Slot):
            return values[one.number]
        if isinstance(one, list | tuple):
            return [given(part) for part in one]
        return one

    for step in graph.steps:
        keywords = {key: given(one) for key, one in step.keywords.items() if one is not None}
        keywords.pop("training", None)
        result = write_layer_call(w, step.layer, *map(given, step.arguments), **keywords)
        several = result if isinstance(result, list) else [result]
        for target, one in zip(step.targets, several, strict=True):
            values[target] = one
    return [values[slot] for slot in graph.outputs]


def write_layer_call(w: Writing, layer: Any, x: Any, *arguments: Any, **keywords: Any) -> Any:
    """Write a call of a layer; what has no rendering is noted, and the graph goes on without it."""
    try:
        return _writer_of(layer)(w, layer, x, *arguments, **keywords)
    except UnwritableError as problem:
        w.problems.append((layer.name, type(layer).__name__, str(problem)))
        return _placeholder(layer, x)


def _placeholder(layer: Any, x: Any) -> Any:
    """Return values in the shapes of a layer's outputs, so that its followers are tried, too."""
    shapes = [one.shape for one in x] if isinstance(x, list) else x.shape
    try:
        shape = layer.compute_output_shape(shapes)
    except NabiError:
        shape = x[0].shape if isinstance(x, list) else x.shape
    if shape and isinstance(shape[0], list | tuple):
        return [Value("", tuple(one)) for one in shape]
    return Value("", tuple(shape))


def _writer_of(layer: Any) -> Write:
    kind = type(layer)
    for base in kind.__mro__:
        if base in _WRITERS:
            # A subclass that computes something else is no longer the layer.
            if getattr(kind, "call", None) is getattr(base, "call", None):
                return _WRITERS[base]
            break
    if isinstance(layer, layers.Lambda):
        raise UnwritableError("its function is torch code")
    if isinstance(layer, layers.TorchModuleWrapper):
        raise UnwritableError(
            f"torch.nn.{type(layer.module).__name__} is computed by torch; use the layer of nabi"
        )
    own = kind.__module__.startswith("nabi.")
    raise UnwritableError("it has no rendering in ONNX" if own else "its call is torch code of your own")


def _nested(w: Writing, model: Any, x: Any, mask: Any = None) -> Any:
    x = masked(w, x, mask)
    found = _outputs(w, model, x if isinstance(x, list) else [x])
    return found if len(found) > 1 else found[0]


def _time_distributed(w: Writing, layer: layers.TimeDistributed, x: Value, mask: Any = None) -> Value:
    """Write the inner layer for the steps of all rows as one large batch."""
    x = masked(w, x, mask)
    graph, inner = w.graph, layer.layer
    if inner.stateful:
        raise UnwritableError("the inner layer keeps its states")
    rest = graph.add("Shape", [x.name], f"{layer.name}_rest", start=2)
    flat = graph.add("Concat", [graph.ints(-1), rest], f"{layer.name}_flat", axis=0)
    steps = graph.add("Reshape", [x.name, flat], f"{layer.name}_steps")
    own = None
    if x.mask is not None and x.mask.rank > 2:
        inside = graph.add("Shape", [x.mask.name], f"{layer.name}_mask_rest", start=2)
        sizes = graph.add("Concat", [graph.ints(-1), inside], f"{layer.name}_mask_flat", axis=0)
        own = Mask(graph.add("Reshape", [x.mask.name, sizes], f"{layer.name}_mask_steps"))
    given = Value(steps, (None, *x.shape[2:]), own, x.is_whole)
    found = write_layer_call(w, inner, given)
    if isinstance(found, list):
        raise UnwritableError("an inner layer with several outputs is not written")
    lead = graph.add("Shape", [x.name], f"{layer.name}_lead", start=0, end=2)

    def unflatten(name: str, label: str) -> str:
        tail = graph.add("Shape", [name], f"{label}_tail", start=1)
        return graph.add("Reshape", [name, graph.add("Concat", [lead, tail], axis=0)], label)

    result = unflatten(found.name, layer.name)
    mask_of_steps = x.mask
    if own is not None and x.mask is not None and found.mask is not None:
        mask_of_steps = Mask(unflatten(found.mask.name, f"{layer.name}_mask"), None, x.mask.rank)
    elif own is not None and x.mask is not None:
        number = graph.cast(x.mask.name, np.float32)
        some = graph.reduce("ReduceMax", number, range(2, x.mask.rank), False, f"{layer.name}_any")
        mask_of_steps = Mask(graph.cast(some, bool, f"{layer.name}_mask"))
    return Value(result, (*x.shape[:2], *found.shape[1:]), mask_of_steps)


_WRITERS: dict[type, Write] = {
    **PLAIN,
    **WINDOWS,
    **MERGING,
    **TENSOR_LAYERS,
    layers.Bidirectional: write_bidirectional,
    layers.RNN: write_rnn,
    layers.TimeDistributed: _time_distributed,
    models.Functional: _nested,
    models.Sequential: _nested,
}
