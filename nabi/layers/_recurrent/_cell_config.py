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
    """Describe a nabi cell by its class and its arguments; a cell among them is described alike.

    A class of the user's is marked as one: it may have the name of a cell of the catalogue.
    """
    given = [field.name for field in dataclasses.fields(cell) if field.init]
    fields = {name: _plain(getattr(cell, name)) for name in given}
    described = {"class_name": type(cell).__name__, "config": fields, "module": "nabi.cells"}
    return described if _is_of_nabi(type(cell)) else described | {"own": True}


def cell_from_config(described: Any, custom_objects: Mapping[str, Any] | None) -> Any:
    """Make the cell described by a config; classes are looked up, never imported."""
    if not (is_serialized(described) and described.get("module") == "nabi.cells"):
        return deserialize(described, custom_objects)
    name = described["class_name"]
    if name in cells.__all__:
        getattr(cells, name)  # a cell of nabi is loaded when it is named
    # Of two classes with one name, the last one counts: the user's where the config says that it is one.
    found = sorted(_cell_classes(Cell), key=_is_of_nabi, reverse=described.get("own") is True)
    known: dict[str, Any] = {kind.__name__: kind for kind in found} | dict(custom_objects or {})
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


def _is_of_nabi(kind: type[Cell]) -> bool:
    return kind.__module__.partition(".")[0] == "nabi"


def _cell_classes(kind: type[Cell]) -> list[type[Cell]]:
    return [one for child in kind.__subclasses__() for one in [child, *_cell_classes(child)]]
