"""Layers of nabi.layers seen with PyTorch's names and layout of weights, so that its files fit them."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from nabi.errors import ArgumentError
from nabi.targets.torch_operators import Part, torch_form, torch_weights

__all__ = ["LayerView", "views_of"]

_RECURRENT = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
_STACKED = re.compile(r"(?P<name>.+)_l(?P<layer>\d{1,3})$")


@dataclass
class LayerView:
    """The weights of a layer as PyTorch has them.

    Attributes:
        layer, parameters: the layer, and what it has itself.
        tensors: by PyTorch's names; copies, which `write_back` puts into the layer.
    """

    layer: Any
    parameters: list[Tensor]
    tensors: dict[str, Tensor]

    def check(self) -> None:
        """Check that the layer can hold the tensors.

        Raises:
            ArgumentError: it has fewer biases, and the others are not zero.
        """
        if hasattr(self.layer, "equations"):
            _check_biases(self.layer, list(self.tensors.values()))

    def write_back(self) -> None:
        """Put the tensors into the layer."""
        given = list(self.tensors.values())
        if hasattr(self.layer, "equations"):
            _write_recurrent(self.layer, given)
            return
        for own, value in zip(self.parameters, given, strict=True):
            own.copy_(_turned(self.layer, value))


def views_of(module: nn.Module) -> list[LayerView]:
    """Return the layers of a model whose weights PyTorch has as well: recurrent, Dense, Embedding.

    A layer goes by its own name. One that is called `rnn_l1` has the weights of the second layer of `rnn`, a
    backward layer of a `Bidirectional` those that end in `_reverse`.

    Raises:
        ArgumentError: such a layer has no weights yet.
    """
    layers: Any = sys.modules.get("nabi.layers")
    if layers is None:  # then the model has none
        return []
    return list(_views(module, layers))


def _views(module: nn.Module, layers: Any) -> Iterator[LayerView]:
    inner: set[int] = set()
    for one in module.modules():
        if id(one) in inner:
            continue
        if isinstance(one, layers.Bidirectional):
            inner |= {id(part) for part in one.modules()}
            yield from _recurrent(one.forward_layer, one.name, "")
            yield from _recurrent(one.backward_layer, one.name, "_reverse")
        elif isinstance(one, layers.RNN):
            yield from _recurrent(one, one.name, "")
        elif isinstance(one, (layers.Dense, layers.Embedding)):
            _check_built(one)
            parameters = list(one.parameters(recurse=False))
            names = [f"{one.name}.weight", f"{one.name}.bias"]
            values = [_turned(one, own.detach()).clone() for own in parameters]
            yield LayerView(one, parameters, dict(zip(names, values, strict=False)))


def _turned(layer: Any, value: Tensor) -> Tensor:
    """Turn the matrix of a Dense layer, which lies the other way in PyTorch."""
    return value.T if hasattr(layer, "kernel") and value.dim() == 2 else value


def _recurrent(layer: Any, name: str, suffix: str) -> Iterator[LayerView]:
    if getattr(layer, "equations", None) is None:
        return
    _check_built(layer)
    form = torch_form(layer.program())
    if form is None:
        return
    stacked = _STACKED.match(name)
    name, number = (stacked["name"], int(stacked["layer"])) if stacked else (name, 0)
    weights = torch_weights(form, [family.detach() for family in layer.cell_parameters()])
    kinds = [kind for kind in _RECURRENT if form.has_biases or not kind.startswith("bias")]
    tensors = {
        f"{name}.{kind}_l{number}{suffix}": weight.clone()
        for kind, weight in zip(kinds, weights, strict=False)
    }
    yield LayerView(layer, list(layer.parameters()), tensors)


def _check_biases(layer: Any, weights: list[Tensor]) -> None:
    """Check that a layer with fewer biases than torch's does not need the others."""
    for gate, value in _spare_biases(layer, weights).items():
        if _place_of_spare(layer, gate) is None and bool(value.any()):
            raise ArgumentError(f"module: {layer.name} has fewer biases than the weights of the file")


def _write_recurrent(layer: Any, weights: list[Tensor]) -> None:
    """Put torch's weights into the rows of a layer's tensors; where it has one bias for two, their sum."""
    form, families = torch_form(layer.program()), layer.cell_parameters()
    assert form is not None
    for parts, weight in zip(form.weights, weights, strict=True):
        for part, value in zip(parts, weight.chunk(len(parts)), strict=True):
            if part is not None:
                families[part.family][part.start : part.stop].copy_(value)
    for gate, value in _spare_biases(layer, weights).items():
        part = _place_of_spare(layer, gate)
        if part is not None:
            families[part.family][part.start : part.stop].add_(value)


def _spare_biases(layer: Any, weights: list[Tensor]) -> dict[int, Tensor]:
    """Return the biases that the layer has no tensor for, by gate."""
    form = torch_form(layer.program())
    assert form is not None
    found: dict[int, Tensor] = {}
    for parts, weight in list(zip(form.weights, weights, strict=True))[2:4] if form.has_biases else []:
        for gate, (part, value) in enumerate(zip(parts, weight.chunk(len(parts)), strict=True)):
            if part is None:
                found[gate] = found[gate] + value if gate in found else value
    return found


def _place_of_spare(layer: Any, gate: int) -> Part | None:
    """Return the other bias of a gate, which may be added to; the two of a GRU's candidate are not alike."""
    form = torch_form(layer.program())
    assert form is not None
    if form.mode == "GRU" and gate == 2:
        return None
    return form.weights[2][gate] or form.weights[3][gate]


def _check_built(layer: Any) -> None:
    if not layer.built:
        raise ArgumentError(
            f"module: {layer.name} has no weights yet; build the model, for instance model.build(input_shape)"
        )
