"""Cells named on the command line: a built-in name, or a class in a user's file."""

import dataclasses
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nabi import cells
from nabi.errors import ArgumentError, CellError, NabiError, unknown_name
from nabi.ir import Cell, Program

__all__ = ["find_cell", "find_class", "trace"]


def find_cell(name: str, units: int, settings: Sequence[str] = (), inputs: int = 1) -> Cell:
    """Make the cell named `name`: one of `cells.names()`, or `FILE.py:Class`.

    `settings` are `NAME=VALUE` for the cell's other arguments, `inputs` the width of its input. Raises
    `ArgumentError` if the file, the class or an argument does not exist or is invalid.
    """
    cell_class = find_class(name)
    arguments = _arguments(cell_class, settings)
    try:
        return cell_class(units, **{**cell_class.needed_settings(units, inputs), **arguments})
    except NabiError:
        raise
    except Exception as problem:
        raise CellError(f"{name}: {_where(problem, cell_class)}") from problem


def find_class(name: str) -> type[Cell]:
    """Find the class named `name`."""
    file, colon, class_name = name.rpartition(":")
    if not colon:
        if name.endswith(".py"):
            raise ArgumentError(f"cell: expected {name}:Class, a class of the file, got {name!r}")
        return cells.get(name)
    path = Path(file)
    if not path.is_file():
        raise ArgumentError(f"cell: expected FILE.py:Class, got {name!r}; there is no file {file}")
    specification = importlib.util.spec_from_file_location(f"nabi_user_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise ArgumentError(f"cell: expected a Python file (*.py), got {name!r}")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses resolve annotations there
    sys.path.insert(0, str(path.parent.resolve()))  # let the file import its neighbours, as a script can
    try:
        specification.loader.exec_module(module)
    except NabiError:
        raise
    except Exception as problem:
        raise ArgumentError(f"cell: {file} cannot be loaded: {_where(problem, file=file)}") from problem
    finally:
        sys.path.pop(0)
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not issubclass(found, Cell):
        there = [
            name
            for name, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Cell) and value.__module__ == module.__name__
        ]
        if found is None:
            raise unknown_name(f"cell: class of {file}", class_name, there)
        raise ArgumentError(f"cell: expected a subclass of nabi.cells.Cell, got {class_name} in {file}")
    return found


def trace(cell: Cell, inputs: int) -> Program:
    """Trace the cell's equations; raise a `CellError` that says where they are wrong."""
    try:
        return cell.program(inputs)
    except NabiError:
        raise
    except Exception as problem:
        raise CellError(
            f"{type(cell).__name__}: the equations do not work: {_where(problem, type(cell))}"
        ) from problem


def _fields(cell_class: type[Cell]) -> dict[str, str]:
    return {field.name: str(field.type) for field in dataclasses.fields(cell_class) if field.name != "units"}


def _arguments(cell_class: type[Cell], settings: Sequence[str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    known = _fields(cell_class)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ArgumentError(f"--set: expected NAME=VALUE such as use_bias=false, got {setting!r}")
        if name not in known:
            raise unknown_name(f"--set: argument of {cell_class.__name__}", name, known)
        arguments[name] = _value(value)
    return arguments


def _value(text: str) -> object:
    words: dict[str, object] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _where(problem: Exception, cell_class: type[Cell] | None = None, file: str = "") -> str:
    """Return the error message, and the innermost line of the user's file involved."""
    if isinstance(problem, SyntaxError):
        return f"line {problem.lineno}: {problem.msg}" if problem.lineno else str(problem.msg)
    if cell_class is not None:
        file = getattr(sys.modules.get(cell_class.__module__), "__file__", None) or ""
    own = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == file]
    where = f" ({Path(file).name}, line {own[-1].lineno}: {own[-1].line})" if own else ""
    return f"{type(problem).__name__}: {problem}{where}"
