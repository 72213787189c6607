"""Models made anew: copies with weights of their own, and models from their description."""

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
    """Make a model of the same layers, with new weights; it is not compiled.

    Args:
        model: a Sequential or functional model.
        input_tensors: what `Input` gave, one or a list, for the new model to begin with.
        clone_function: makes the new layer of each layer, to change some of them; made from its
            configuration by default.

    Raises:
        ArgumentError: for another model, or inputs that do not fit.

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
        f"model: expected a Sequential or functional model; got {type(model).__name__}, whose call() is its "
        "own; make another one with its class"
    )


def _made(make: Callable[[Layer], Layer], layer: Layer) -> Layer:
    made = make(layer)
    if not isinstance(made, Layer):
        raise ArgumentError(f"clone_function: it gave {made!r} for {layer.name}, expected a layer")
    return made


def _clone_sequential(model: Sequential, inputs: Any, make: Callable[[Layer], Layer]) -> Model:
    layers = [_made(make, layer) for layer in model.layers]
    first: list[Any] = []
    if inputs is not None:
        given = inputs[0] if isinstance(inputs, list | tuple) and len(inputs) == 1 else inputs
        if not is_symbolic(given) or isinstance(given, list | tuple):
            raise ArgumentError(f"input_tensors: expected what Input(shape) gives; got {inputs!r}")
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
                f"input_tensors: expected what Input(shape) gives, for {', '.join(model.input_names)}; "
                f"got {inputs!r}"
            )
    ends = Graph([], [], steps, graph.outputs, graph.shapes).run(begun)
    return type(model)(
        packed(model._input_structure, begun), packed(model._output_structure, ends), name=model.name
    )


def _cloned(layer: Layer) -> Layer:
    """The layer made again from its configuration."""
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
    """What a layer holds that is not nabi's, by the names that its configuration has for it."""
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
    """Make a model from a dictionary `{"class_name", "config"}`, as `model_from_json` reads one.

    Raises:
        ArgumentError: for what describes no model, or needs `custom_objects` that are not given.
    """
    made = deserialize(config, custom_objects)
    if not isinstance(made, Model):
        raise ArgumentError(f"config: expected the description of a model; got that of {made.name}, a layer")
    return made


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a model from what its `to_json` returned: the same layers, with new weights, not compiled.

    Args:
        json_string: the text.
        custom_objects: classes and functions of your own that the model uses, by name.

    Raises:
        ArgumentError: for what describes no model, or needs `custom_objects` that are not given.

    >>> from nabi import Sequential, layers
    >>> model_from_json(Sequential([layers.Dense(2, input_shape=(3,))]).to_json()).count_params()
    8
    """
    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as problem:
        raise ArgumentError(
            f"json_string: expected what model.to_json() gives; got {str(json_string)[:60]!r} ({problem})"
        ) from problem
    try:
        return model_from_config(config, custom_objects)
    except NabiError:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as problem:
        raise ArgumentError(
            f"json_string: it describes no model of nabi ({type(problem).__name__}: {problem})"
        ) from problem


def save_model(model: Model, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model into a file, as `model.save`; raises as that does."""
    model.save(filepath, overwrite)
