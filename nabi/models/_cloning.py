"""Cloned models with new weights, and models from a description."""

import copy
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch

from nabi.errors import ArgumentError, NabiError
from nabi.layers import InputLayer, Lambda, Layer, TorchModuleWrapper, deserialize, is_symbolic, serialize
from nabi.models._functional import Functional
from nabi.models._graph import Graph
from nabi.models._graph_ends import packed
from nabi.models._model import Model
from nabi.models._sequential import Sequential

__all__ = ["clone_model", "model_from_config", "model_from_json", "save_model"]


def clone_model(
    model: Model, input_tensors: Any = None, clone_function: Callable[[Layer], Layer] | None = None
) -> Model:
    """Make an uncompiled model with the same layers and new weights.

    Args:
        model: a Sequential or functional model.
        input_tensors: the inputs of the new model: an output of `Input`, or a list of them.
        clone_function: returns the new layer for each layer, to change some of them (default: created from
            the
            layer's configuration).

    Raises:
        ArgumentError: for any other model, or inputs that do not match.

    >>> from nabi import Sequential, layers, models
    >>> model = Sequential([layers.Dense(2, input_shape=(3,))])
    >>> copied = models.clone_model(model)
    >>> copied.count_params(), copied.layers[0] is model.layers[0]
    (8, False)
    """
    make = clone_function or _cloned
    if isinstance(model, Sequential):
        return _clone_sequential(model, input_tensors, make)
    if isinstance(model, Functional):
        return _clone_functional(model, input_tensors, make)
    raise ArgumentError(
        f"model: expected a Sequential or functional model, got {type(model).__name__} with its own call(); "
        "create another one with its class"
    )


def _made(make: Callable[[Layer], Layer], layer: Layer) -> Layer:
    made = make(layer)
    if not isinstance(made, Layer):
        raise ArgumentError(f"clone_function: expected it to return a layer, got {made!r} for {layer.name}")
    return made


def _clone_sequential(model: Sequential, inputs: Any, make: Callable[[Layer], Layer]) -> Model:
    layers = [_made(make, layer) for layer in model.layers]
    first: list[Any] = []
    if inputs is not None:
        given = inputs[0] if isinstance(inputs, list | tuple) and len(inputs) == 1 else inputs
        if not is_symbolic(given) or isinstance(given, list | tuple):
            raise ArgumentError(f"input_tensors: expected an output of Input(shape), got {inputs!r}")
        first = [InputLayer(batch_shape=given.shape, dtype=given.dtype)]
    elif model._entry is not None:
        first = [_cloned(model._entry)]
    made = type(model)([*first, *layers], name=model.name)
    if not first and model._shapes and not made.built:
        made.build(model._shapes[0])
    return made


def _clone_functional(model: Functional, inputs: Any, make: Callable[[Layer], Layer]) -> Model:
    graph = model._graph
    new: dict[int, Any] = {id(entry): _cloned(entry) for entry in graph.entries}
    for step in graph.steps:
        if id(step.layer) not in new:
            new[id(step.layer)] = _made(make, step.layer)
    steps = [step._replace(layer=new[id(step.layer)], called_before=()) for step in graph.steps]
    if inputs is None:
        begun = [new[id(entry)].symbol() for entry in graph.entries]
    else:
        given = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
        begun = list(given) if isinstance(given, list | tuple) else [given]
        if len(begun) != len(graph.entries) or not all(map(is_symbolic, begun)):
            raise ArgumentError(
                f"input_tensors: expected outputs of Input(shape) for {', '.join(model.input_names)}, "
                f"got {inputs!r}"
            )
    ends = Graph([], [], steps, graph.outputs, graph.shapes).run(begun)
    return type(model)(
        packed(model._input_structure, begun), packed(model._output_structure, ends), name=model.name
    )


def _cloned(layer: Layer) -> Layer:
    """Recreate a layer from its configuration."""
    if isinstance(layer, Sequential | Functional):
        return clone_model(layer)
    if type(layer) is Lambda:
        options = {"output_shape": layer._output_shape, "mask": layer.mask, "arguments": layer.arguments}
        return Lambda(layer.function, **options, **_base_config(layer))
    if type(layer) is TorchModuleWrapper:
        module = copy.deepcopy(layer.module)
        for part in module.modules():
            reset = getattr(part, "reset_parameters", None)
            if reset is not None:
                reset()
        return TorchModuleWrapper(module, output_shape=layer.output_shape, **_base_config(layer))
    copied: Layer = deserialize(serialize(layer), _own_parts(layer))
    return copied


def _base_config(layer: Layer) -> dict[str, Any]:
    return Layer.get_config(layer)


def _own_parts(layer: Layer) -> dict[str, Any]:
    """Return the user's objects in a layer, by their names in its configuration."""
    found: dict[str, Any] = {}
    for part in layer.modules():
        if isinstance(part, Layer):
            found[type(part).__name__] = type(part)
        for value in vars(part).values():
            kind = type(value)
            if hasattr(value, "get_config") and not isinstance(value, torch.nn.Module):
                found[kind.__name__] = kind
            elif callable(value) and hasattr(value, "__name__") and not isinstance(value, type):
                found[value.__name__] = value
    return {name: value for name, value in found.items() if value.__module__.split(".")[0] != "nabi"}


def model_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model from a dictionary `{"class_name", "config"}`, as read by `model_from_json`.

    Raises:
        ArgumentError: if this is not the description of a model, or `custom_objects` are missing.
    """
    made = deserialize(config, custom_objects)
    if not isinstance(made, Model):
        raise ArgumentError(f"config: expected the description of a model, got that of the layer {made.name}")
    return made


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make an uncompiled model with new weights from the result of `to_json`.

    Args:
        json_string: the JSON text.
        custom_objects: your own classes and functions that the model uses, by name.

    Raises:
        ArgumentError: if this is not the description of a model, or `custom_objects` are missing.

    >>> from nabi import Sequential, layers
    >>> model_from_json(Sequential([layers.Dense(2, input_shape=(3,))]).to_json()).count_params()
    8
    """
    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as problem:
        raise ArgumentError(
            f"json_string: expected the result of model.to_json(), got {str(json_string)[:60]!r} ({problem})"
        ) from problem
    try:
        return model_from_config(config, custom_objects)
    except NabiError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as problem:
        raise ArgumentError(
            f"json_string: expected the description of a nabi model ({type(problem).__name__}: {problem})"
        ) from problem


def save_model(model: Model, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model to a file, as `model.save`; raises as `model.save`."""
    model.save(filepath, overwrite)
