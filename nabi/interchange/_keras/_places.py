"""Where the variables of a model lie in a file of Keras 3: the same table for reading and writing.

Keras 3 names groups after attributes and, inside of lists, after classes: `layers/lstm_1/cell/vars/0` is the
kernel of the second LSTM of a model, whatever the layer's own name is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.nn import ModuleList, Parameter

from nabi.layers import RNN, Bidirectional, Held, Layer, SeedGenerator, StackedRNNCells, Wrapper
from nabi.models import Functional, Sequential

__all__ = ["Place", "counted_names", "places"]


@dataclass(frozen=True)
class Place:
    """The variables of one layer: `path` is that of the group which contains `vars`."""

    path: str
    layer: Layer
    # What Keras calls the object; a recurrent layer's weights are in a cell of its own.
    name: str
    weights: list[Parameter]
    seed: SeedGenerator | None = None


def places(layer: Any, path: str = "", layers_of: Mapping[int, Sequence[Layer]] | None = None) -> list[Place]:
    """Return the places of a layer or model and of everything inside, the outer ones first.

    `layers_of` has the layers of models in the order of a file, by the model's `id`.
    """
    return list(_places(layer, path, layers_of or {}))


def _places(layer: Layer, path: str, layers_of: Mapping[int, Sequence[Layer]]) -> Iterator[Place]:
    own = _own_weights(layer)
    if isinstance(layer, Sequential | Functional):
        yield Place(path, layer, layer.name, [])
        inside = layers_of.get(id(layer), layer.layers)
        yield from _listed(inside, _joined(path, "layers"), layers_of)
    elif isinstance(layer, RNN):
        if layer.equations is not None:
            # Keras has a cell inside of its recurrent layers, nabi has equations.
            yield Place(path, layer, layer.name, [])
            name = _snake_case(type(layer).__name__) + "_cell"
            yield Place(_joined(path, "cell"), layer, name, own, _seed(layer))
        else:
            yield Place(path, layer, layer.name, own)
            yield from _places(layer.cell, _joined(path, "cell"), layers_of)
    elif isinstance(layer, StackedRNNCells):
        yield Place(path, layer, layer.name, own)
        yield from _listed(layer.cells, _joined(path, "cells"), layers_of)
    elif isinstance(layer, Bidirectional):
        yield Place(path, layer, layer.name, own)
        for name in ("forward_layer", "backward_layer"):
            yield from _places(getattr(layer, name), _joined(path, name), layers_of)
    elif isinstance(layer, Wrapper):
        yield Place(path, layer, layer.name, own)
        yield from _places(layer.layer, _joined(path, "layer"), layers_of)
    else:
        yield Place(path, layer, layer.name, own, _seed(layer))
        for name, child in layer._modules.items():
            if isinstance(child, Layer):
                yield from _places(child, _joined(path, name), layers_of)
            elif isinstance(child, ModuleList | Held):
                inside = [one for one in child.children() if isinstance(one, Layer)]
                yield from _listed(inside, _joined(path, name), layers_of)


def _listed(layers: Sequence[Layer], path: str, layers_of: Mapping[int, Sequence[Layer]]) -> Iterator[Place]:
    for name, layer in zip(counted_names(layers), layers, strict=True):
        yield from _places(layer, _joined(path, name), layers_of)


def counted_names(layers: Sequence[Layer]) -> list[str]:
    """Return the names that Keras gives the members of a list: their classes, counted.

    >>> from nabi import layers
    >>> counted_names([layers.LSTM(2), layers.Dense(1), layers.LSTM(2)])
    ['lstm', 'dense', 'lstm_1']
    """
    counts: dict[str, int] = {}
    names = []
    for layer in layers:
        name = _snake_case(type(layer).__name__)
        count = counts.get(name, 0)
        counts[name] = count + 1
        names.append(f"{name}_{count}" if count else name)
    return names


def _snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _own_weights(layer: Layer) -> list[Parameter]:
    """Return the weights of the layer itself, without those inside, in Keras' order."""
    own = {id(one) for one in layer.parameters(recurse=False)}
    return [one for one in layer.weights if id(one) in own]


def _seed(layer: Layer) -> SeedGenerator | None:
    found = vars(layer).get("seed_generator")
    return found if isinstance(found, SeedGenerator) else None


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
