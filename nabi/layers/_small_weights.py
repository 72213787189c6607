"""Layers whose weight matrices are stored in fewer bits."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from nabi.errors import ArgumentError, NotReadyError
from nabi.layers._layer._base import Layer
from nabi.layers._layer._weights import Weighted
from nabi.nn import matrices_of
from nabi.small_weights import SmallWeight, as_kind, shrink, small_parameter

__all__ = ["check_can_train", "kind_of_weights", "quantize_as", "quantize_layers", "small_weights_header"]

_KIND, _CONVOLUTIONS = "small_weights", "small_convolutions"


def quantize_layers(root: torch.nn.Module, kind: str, *, convolutions: bool = True) -> None:
    """Store the weight matrices of all layers of a module as a small kind, and train them no more.

    All of them are made before the first is put in place.

    Args:
        root: the module, whose layers are built.
        kind: a name of `nabi.small_weights.KINDS`.
        convolutions: whether their kernels are stored so, too.

    Raises:
        NotReadyError: if a layer is not built.
        ArgumentError: if there is nothing to store so, it is stored so already, or a weight is not float32,
            not finite, or too large for the kind.
    """
    present = kind_of_weights(root)
    if present is not None:
        raise ArgumentError(f"weights: expected a model with float32 weights, got {present} weights")
    made: dict[int, torch.nn.Parameter] = {}
    places: list[tuple[torch.nn.Module, str, int]] = []
    for name, module, attribute, axis in _matrices(root):
        weight = module._parameters.get(attribute)
        if weight is None or (weight.dim() > 2 and not convolutions):
            continue  # None: computed from others, by a parametrization
        if id(weight) not in made:
            made[id(weight)] = small_parameter(shrink(weight, kind, axis, f"{name}.{attribute}".lstrip(".")))
        places.append((module, attribute, id(weight)))
    if not places:
        raise ArgumentError(
            "weights: expected recurrent layers, Dense, Embedding or convolutions, got a model without them"
        )
    _freeze(root)
    for module, attribute, weight_id in places:
        module._parameters[attribute] = made[weight_id]


def _matrices(root: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module, str, int]]:
    for name, module in root.named_modules():
        if isinstance(module, Layer) and not module.built:
            raise NotReadyError(
                f"quantize: {module.name} is not built yet: call the model or build(input_shape)"
            )
        found = module.matrices() if isinstance(module, Layer) else matrices_of(module)
        for attribute, axis in found.items():
            yield name, module, attribute, axis


def _freeze(module: torch.nn.Module) -> None:
    if isinstance(module, Weighted):
        module.trainable = False
        return
    for weight in module._parameters.values():
        if weight is not None:
            weight.requires_grad_(False)
    for child in module.children():
        _freeze(child)


def kind_of_weights(root: torch.nn.Module) -> str | None:
    """Return the kind in which a module's weights are stored; None for float32.

    >>> from nabi import layers
    >>> kind_of_weights(layers.Dense(3))
    """
    # Not by `parameters`, which makes names first: every call of `fit` asks.
    weights: Iterable[object] = root._parameters.values()
    for weight in weights:
        if isinstance(weight, SmallWeight):
            return weight.stored.kind
    for child in root._modules.values():
        found = None if child is None else kind_of_weights(child)
        if found is not None:
            return found
    return None


def small_weights_header(root: torch.nn.Module) -> dict[str, Any]:
    """Return what the header of a file says of a module's small weights; nothing if it has none."""
    kind = kind_of_weights(root)
    if kind is None:
        return {}
    kernels = any(isinstance(one, SmallWeight) and one.dim() > 2 for one in root.parameters())
    return {_KIND: kind, **({_CONVOLUTIONS: True} if kernels else {})}


def quantize_as(root: torch.nn.Module, header: Mapping[str, Any]) -> None:
    """Store the weights of a module as the header of a file says.

    In files of before convolutions could be stored so, they are float32.

    Raises:
        UnknownNameError: for an unknown kind.
    """
    kind = header.get(_KIND)
    if kind is not None:
        quantize_layers(root, as_kind(kind, _KIND), convolutions=header.get(_CONVOLUTIONS) is True)


def check_can_train(name: str, root: torch.nn.Module) -> None:
    """Refuse to train a module with small weights.

    Args:
        name: of what asks, for the message.
        root: the module.

    Raises:
        ArgumentError: if it has small weights.
    """
    kind = kind_of_weights(root)
    if kind is not None:
        raise ArgumentError(
            f"{name}: expected a model with float32 weights, got {kind} weights, which cannot be trained; "
            "train the model first, then quantize it"
        )
