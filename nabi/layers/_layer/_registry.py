"""Conversion of layers to and from `{"class_name", "config"}` dictionaries.

Classes are looked up among nabi's own layers, those defined in the running program and in `custom_objects`.
A module of nabi's own is loaded when one of its layers is named; nothing else is ever imported or run because
a file names it.
"""

import inspect
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from nabi.errors import ArgumentError, unknown_name
from nabi.ir import Cell
from nabi.layers._layer._layer_like import LayerLike
from nabi.layers._layer._weights import Weighted

__all__ = ["automatic_config", "deserialize", "is_serialized", "register", "restore", "serialize"]

_classes: dict[str, dict[str, type[Any]]] = {}


def _home(kind: type) -> str:
    """Return the module of a class; nabi's own classes all share the home ""."""
    return "" if kind.__module__.split(".")[0] == "nabi" else kind.__module__


def register(kind: type) -> None:
    """Register a layer class by name, replacing an older class of the same name and module."""
    _classes.setdefault(kind.__name__, {})[_home(kind)] = kind


def _registered(name: str) -> dict[str, type[Any]]:
    """Return the classes of a name by their modules; a public layer is loaded, which registers it."""
    package = sys.modules["nabi.layers"]
    if name in package.__all__:
        getattr(package, name)
    return _classes.get(name, {})


def _all_names() -> list[str]:
    """Return the names of all classes, those of layers that no one has asked for yet included."""
    for name in sys.modules["nabi.layers"].__all__:
        _registered(name)
    return list(_classes)


def serialize(layer: LayerLike) -> dict[str, Any]:
    """Describe a layer as a JSON-able dictionary `{"class_name", "config"}`.

    For a user's class it also contains its `module`, to tell apart classes of the same name.

    >>> from nabi import layers
    >>> layers.serialize(layers.Dropout(0.5, name="drop"))["class_name"]
    'Dropout'
    """
    described: dict[str, Any] = {"class_name": type(layer).__name__, "config": layer.get_config()}
    if _home(type(layer)):
        described["module"] = _home(type(layer))
    return described


def is_serialized(value: object) -> bool:
    """Tell whether a value has the form that `serialize` returns."""
    return isinstance(value, Mapping) and {"class_name", "config"} <= set(value)


def deserialize(described: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make the layer that `serialize` described.

    `custom_objects` maps names to the user's layer classes, initializers, regularizers and activations; it is
    searched first. Raises `ArgumentError` for anything that is not such a description and `UnknownNameError`
    for an unknown class.

    >>> from nabi import layers
    >>> layers.deserialize({"class_name": "Dense", "config": {"units": 3}}).units
    3
    """
    if not is_serialized(described):
        raise ArgumentError(f"layer: expected a dictionary with 'class_name' and 'config', got {described!r}")
    name = described["class_name"]
    kind = (custom_objects or {}).get(name)
    if kind is None:
        known = _registered(name)
        kind = known.get(described.get("module", ""))
        if kind is None and len(known) == 1:
            kind = next(iter(known.values()))
    if kind is None:
        raise unknown_name("class_name", name, [*_all_names(), *(custom_objects or {})])
    config = {key: _own(key, value, custom_objects or {}) for key, value in described["config"].items()}
    if "custom_objects" in inspect.signature(kind.from_config).parameters:
        return kind.from_config(config, custom_objects=custom_objects)
    return kind.from_config(config)


def _own(argument: str, value: Any, custom_objects: Mapping[str, Any]) -> Any:
    """Replace the config of a user's initializer, regularizer or activation by the object."""
    if is_serialized(value):
        own = custom_objects.get(value["class_name"])
        # Layers and cells are created by the layer that contains them.
        if own is None or (isinstance(own, type) and issubclass(own, torch.nn.Module | Cell)):
            return value
        return own(**value["config"]) if isinstance(own, type) else own
    if isinstance(value, str) and argument.endswith("activation"):
        return custom_objects.get(value, value)
    return value


def automatic_config(kind: type, arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, Any]:
    """Return the arguments of `__init__` as a config, for a class without its own `get_config`."""
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    bound = signature.bind(None, *arguments[0], **arguments[1]).arguments
    config: dict[str, Any] = {}
    for position, (name, value) in enumerate(bound.items()):
        if position == 0:
            continue
        parameter = signature.parameters[name]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            config.update({key: _plain(kind, key, one) for key, one in value.items()})
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            if value:
                raise _needs_get_config(kind, name, value)
        else:
            config[name] = _plain(kind, name, value)
    return config


def _needs_get_config(kind: type, name: str, value: object) -> ArgumentError:
    return ArgumentError(
        f"{name}: {value!r} cannot be written as JSON; define {kind.__name__}.get_config() "
        "to return the arguments of its __init__"
    )


def _plain(kind: type, name: str, value: Any) -> Any:
    if isinstance(value, Weighted):  # a layer: nothing else has weights in Keras' way
        layer: Any = value
        return serialize(layer)
    if isinstance(value, list | tuple):
        return [_plain(kind, name, one) for one in value]
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if hasattr(value, "get_config") and not isinstance(value, type):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise _needs_get_config(kind, name, value) from None
    return value


def restore(value: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    """Convert the serialized layers in a config, including those inside lists, back to layers."""
    if is_serialized(value):
        name = value["class_name"]
        if name in (custom_objects or {}) or _registered(name):
            return deserialize(value, custom_objects)
    if isinstance(value, list):
        return [restore(one, custom_objects) for one in value]
    return value
