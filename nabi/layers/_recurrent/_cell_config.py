"""Conversion of a recurrent layer's cell, nabi's or Keras-style, to and from a config."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nabi import cells
from nabi.cells import Cell
from nabi.errors import unknown_name
from nabi.ir import derived, initial
from nabi.layers._layer._registry import deserialize, is_serialized

__all__ = ["cell_config", "cell_from_config"]


def cell_config(cell: Cell) -> dict[str, Any]:
    """Describe a nabi cell by its class and its arguments; a cell among them is described alike."""
    given = [field.name for field in dataclasses.fields(cell) if field.init]
    fields = {name: _plain(getattr(cell, name)) for name in given}
    return {"class_name": type(cell).__name__, "config": fields, "module": "nabi.cells"}


def cell_from_config(described: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    """Make the cell described by a config; classes are looked up, never imported."""
    if not (is_serialized(described) and described.get("module") == "nabi.cells"):
        return deserialize(described, custom_objects)
    name = described["class_name"]
    if name in cells.__all__:
        getattr(cells, name)  # a cell of nabi is loaded when it is named
    known: dict[str, Any] = {kind.__name__: kind for kind in _cell_classes(Cell)} | dict(custom_objects or {})
    if name not in known:
        raise unknown_name("cell", name, [*known, *(cells.get(one).__name__ for one in cells.names())])
    fields = {field: _value(given, custom_objects) for field, given in described["config"].items()}
    return known[name](**fields)


def _plain(value: Any) -> Any:
    if isinstance(value, Cell):
        return cell_config(value)
    if isinstance(value, derived.Derived):
        return derived.to_config(value)
    return initial.to_config(value) if isinstance(value, initial.InitialValue) else value


def _value(given: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    if is_serialized(given) and given.get("module") == "nabi.cells":
        return cell_from_config(given, custom_objects)
    if isinstance(given, Mapping) and "derived" in given:
        return derived.from_config(given)
    return initial.from_config(given) if isinstance(given, Mapping) and "initial" in given else given


def _cell_classes(kind: type[Cell]) -> list[type[Cell]]:
    return [one for child in kind.__subclasses__() for one in [child, *_cell_classes(child)]]
