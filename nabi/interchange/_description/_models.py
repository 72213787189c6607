"""A model in memory, described: its layers, their shapes and parameters, the equations of its cells."""

from typing import Any

import torch

from nabi import models
from nabi.errors import NabiError
from nabi.interchange._description._description import Table, counted, shape_text
from nabi.interchange._description._weights import describe_weights, infos_of
from nabi.ir import Program

__all__ = ["describe_model_object", "equations_of_module"]

Described = tuple[list[tuple[str, str]], list[Table], dict[str, tuple[str, ...]]]


def describe_model_object(model: Any) -> Described:
    """Return facts, tables and equations of a model that was read from a file."""
    if not isinstance(model, models.Model):
        network, what = model, "module"
        if not isinstance(model, torch.nn.Module):  # a ready system
            network, what = model.model if hasattr(model, "model") else model.network, "system"
        facts, tables = describe_weights(infos_of(network.state_dict()))
        return [(what, type(model).__name__), *facts], tables, equations_of_module(network)
    layers = list(model.layers)
    shapes, called_on = model.output_shapes(), model.connections()
    rows = []
    for number, layer in enumerate(layers):
        count = f"{layer.count_params():,}" if layer.built else "?"
        row = [layer.name, _class_of(layer), _shapes_text(shapes[number]), count]
        rows.append(tuple(row if called_on is None else [*row, called_on[number]]))
    columns = ("name", "class", "output shape", "parameters", *(() if called_on is None else ("called on",)))
    facts = [
        ("model", f"{type(model).__name__} {model.name!r}"),
        ("input shape", _shapes_text(model.input_shape)),
        ("parameters", f"{model.count_params():,}" if model.built else "unknown until it is built"),
    ]
    # A model from another program's file may say which.
    producer = getattr(getattr(model, "imported", None), "producer", None)
    if producer:
        facts.append(("written by", str(producer)))
    return facts, [Table(counted(len(layers), "layer"), columns, tuple(rows))], equations_of_module(model)


def equations_of_module(module: torch.nn.Module) -> dict[str, tuple[str, ...]]:
    """Return the equations of each cell in a module, by the names of cells; the same once."""
    found: dict[str, tuple[str, ...]] = {}
    for part in module.modules():
        cell = getattr(part, "equations", None)
        program = getattr(part, "program", None)
        if cell is None or not callable(program):
            continue
        try:
            traced = program()
        except (NabiError, AssertionError, TypeError):  # it has no weights yet
            continue
        if isinstance(traced, Program):
            found.setdefault(type(cell).__name__, tuple(traced.equations))
    return found


def _class_of(layer: Any) -> str:
    """Return the class of a layer, with that of what it wraps."""
    inner = getattr(layer, "forward_layer", None) or getattr(layer, "layer", None)
    name = type(layer).__name__
    if isinstance(inner, torch.nn.Module):
        return f"{name} of {_class_of(inner)}"
    cell = getattr(layer, "equations", None)
    return f"{name} of {type(cell).__name__}" if cell is not None and name == "RNN" else name


def _shapes_text(shape: Any) -> str:
    if shape is None:
        return "?"
    if isinstance(shape, dict):
        return ", ".join(f"{name}: {_shapes_text(one)}" for name, one in shape.items())
    members = list(shape)
    if members and not all(size is None or isinstance(size, int) for size in members):
        return ", ".join(map(_shapes_text, members))
    return shape_text(members)
