"""nabi's layers and models in the words of Keras 3.

A layer's arguments have Keras' names already. What is added is where Keras finds a class; what is
taken away is what only nabi has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch.nn import Module

from nabi._shown import short
from nabi._tree import mapped
from nabi.errors import ArgumentError
from nabi.interchange._keras._configs import LAYERS
from nabi.layers import (
    RNN,
    Bidirectional,
    Call,
    InputLayer,
    Layer,
    SpatialDropout1D,
    StackedRNNCells,
    SymbolicTensor,
    TimeDistributed,
    serialize,
)
from nabi.models import Functional, Model, Sequential

__all__ = ["described_model"]

# What nabi's configs have beyond Keras'. The shape of the inputs is that of an InputLayer.
_OWN_ARGUMENTS = ("implementation", "batch_input_shape")
_MODULES = {"initializer": "keras.initializers", "regularizer": "keras.regularizers"}


def described_model(model: Model) -> dict[str, Any]:
    """Return the description of a model that Keras 3 makes the model from.

    Raises:
        ArgumentError: for a layer that Keras does not have; it is named.
    """
    if not isinstance(model, Sequential | Functional):
        raise ArgumentError(
            f"model: expected a Sequential or a functional model, got the class {type(model).__name__}; "
            "Keras' files hold no code, so write only its weights: model.save_weights('x.weights.h5')"
        )
    return _described(model)


def _described(layer: Any) -> dict[str, Any]:
    if isinstance(layer, Sequential):
        return _entry("keras", "Sequential", _sequential(layer))
    if isinstance(layer, Functional):
        return _entry("keras.src.models.functional", "Functional", _functional(layer))
    kind = type(layer)
    if kind.__module__.split(".")[0] != "nabi":
        found = serialize(layer)
        return {**_entry(kind.__module__, kind.__name__, found["config"]), "registered_name": kind.__name__}
    if kind.__name__ not in LAYERS:
        raise _refusal(layer, f"Keras has no layer {kind.__name__}")
    if isinstance(layer, RNN) and kind is RNN and layer.equations is not None:
        raise _refusal(layer, f"Keras has no cell {type(layer.equations).__name__}")
    config = _arguments(layer)
    if isinstance(layer, SpatialDropout1D):
        del config["trainable"]  # the only layer of Keras that does not take it
    if isinstance(layer, InputLayer):
        config = {key: config[key] for key in ("dtype", "name")}
        config["batch_shape"] = list(layer.batch_shape)
    elif isinstance(layer, Bidirectional):
        config["layer"], config["backward_layer"] = map(
            _described, (layer.forward_layer, layer.backward_layer)
        )
    elif isinstance(layer, TimeDistributed):
        config["layer"] = _described(layer.layer)
    elif isinstance(layer, StackedRNNCells):
        config["cells"] = [_described(cell) for cell in layer.cells]
    elif isinstance(layer, RNN) and kind is RNN:
        config["cell"] = _described(layer.cell)
    return _entry("keras.layers", kind.__name__, config)


def _entry(module: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def _refusal(layer: Layer, why: str) -> ArgumentError:
    return ArgumentError(
        f"model: the layer {layer.name!r} cannot be written for Keras: {why}; save it as a nabi file instead"
    )


def _arguments(layer: Layer) -> dict[str, Any]:
    """Return the arguments of a layer of nabi's for the layer of Keras."""
    config = {name: one for name, one in layer.get_config().items() if name not in _OWN_ARGUMENTS}
    if config.pop("time_major", False):
        raise _refusal(layer, "Keras 3 has no time_major")
    for name, value in config.items():
        if name.endswith("activation") and value == "hard_sigmoid_keras2":
            raise _refusal(layer, "hard_sigmoid_keras2 is that of Keras 1 and 2; Keras 3 has another slope")
        for ending, module in _MODULES.items():
            if name.endswith(ending) and isinstance(value, Mapping):
                config[name] = _entry(module, value["class_name"], dict(value["config"]))
    return config


# Models ---------------------------------------------------------------------------------------------------


def _sequential(model: Sequential) -> dict[str, Any]:
    if not model.built:
        raise ArgumentError(
            f"model: {model.name} has no weights yet: give its first layer an input_shape, or build it"
        )
    entry = model.inputs[0].call.layer
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": [_described(one) for one in (entry, *model.layers)],
    }


def _functional(model: Functional) -> dict[str, Any]:
    given, asked = model.inputs, model.outputs
    calls = _ordered(asked)
    # A call that is no input may be an input's: a model can begin at the output of a layer.
    numbers: dict[int, tuple[str, int]] = {}
    nodes: dict[int, list[dict[str, Any]]] = {id(layer): [] for layer in model.layers}
    for call in calls:
        inside = nodes.setdefault(id(call.layer), [])
        if isinstance(call.layer, InputLayer):
            numbers[id(call)] = (call.layer.name, 0)
            continue
        numbers[id(call)] = (call.layer.name, len(inside))
        inside.append(_node(call, numbers))
    for one in given:
        numbers.setdefault(id(one.call), (one.call.layer.name, 0))

    def place(tensor: SymbolicTensor) -> list[Any]:
        return [*numbers[id(tensor.call)], tensor.index]

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": [
            {**_described(layer), "name": layer.name, "inbound_nodes": nodes[id(layer)]}
            for layer in model.layers
        ],
        "input_layers": _ends(model.input, place),
        "output_layers": _ends(model.output, place),
    }


def _ends(structure: Any, place: Any) -> Any:
    return mapped(lambda one: place(one) if isinstance(one, SymbolicTensor) else one, structure)


def _ordered(asked: Sequence[SymbolicTensor]) -> list[Call]:
    """Return the calls that lead to tensors, each after those it needs."""
    order: list[Call] = []
    finished: set[int] = set()
    waiting = [one.call for one in reversed(asked)]
    while waiting:
        call = waiting[-1]
        needed = [one.call for one in call.inputs if id(one.call) not in finished]
        if id(call) in finished or not needed:
            waiting.pop()
            if id(call) not in finished:
                finished.add(id(call))
                order.append(call)
            continue
        waiting += reversed(needed)
    return order


def _node(call: Call, numbers: Mapping[int, tuple[str, int]]) -> dict[str, Any]:
    """Return one call of a layer, with tensors by the calls they come from."""

    def written(value: Any) -> Any:
        if not isinstance(value, SymbolicTensor):
            if isinstance(value, Module) or not isinstance(value, bool | int | float | str | None):
                raise _refusal(call.layer, f"it was called with {short(value)}")
            return value
        described = {
            "shape": list(value.shape),
            "dtype": str(value.dtype).removeprefix("torch."),
            "keras_history": [*numbers[id(value.call)], value.index],
        }
        return {"class_name": "__keras_tensor__", "config": described}

    arguments, keywords = list(call.arguments), dict(call.keywords)
    if isinstance(call.layer, RNN | Bidirectional) and isinstance(arguments[0], list | tuple):
        # Keras 2's list of the inputs and the states.
        arguments, states = [arguments[0][0], *arguments[1:]], list(arguments[0][1:])
        if states:
            keywords["initial_state"] = states
    return {"args": mapped(written, arguments), "kwargs": mapped(written, keywords)}
