"""Recreating a program in another process from its cell, the cell's arguments and the input width.

Graphs saved by `torch.export` refer to programs this way. A file contains only data: the class has to be a
cell of nabi, or of a module that has already been imported.
"""

import dataclasses
import json
import sys
from importlib import import_module
from typing import Any

from nabi.errors import CellError
from nabi.ir._traced._traced import Traced

__all__ = ["make_again", "recipe_of"]


def recipe_of(program: Traced, *, is_part: bool) -> str:
    """Describe a program as JSON, or by its key if the cell's arguments are not plain values.

    `is_part` says that it is the part of one that runs at every step.
    """
    cell = program.cell
    arguments = {field.name: getattr(cell, field.name) for field in dataclasses.fields(cell) if field.init}
    kind = type(cell)
    found = {
        "key": program.key,
        "cell": f"{kind.__module__}:{kind.__qualname__}",
        "arguments": arguments,
        "input_size": program.input_size,
        "training": program.training,
        **({"part": "at_every_step"} if is_part else {}),
    }
    if program.values:
        found["values"] = list(program.values)
    if program.readout is None and cell.output:
        found["as_states"] = True
    if program.is_lowered:
        found["lowered"] = True
    try:
        text = json.dumps(found)
    except (TypeError, ValueError):
        return program.key
    return text if json.loads(text) == found else program.key


def make_again(recipe: str, cells: type) -> Any:
    """Trace the program that a recipe describes; only subclasses of `cells` are taken for a cell.

    Raises:
        CellError: the cell is unknown in this process, or its equations have changed.
    """
    try:
        found = json.loads(recipe)
        key, name = str(found["key"]), str(found["cell"])
        arguments, input_size, training = (
            dict(found["arguments"]),
            found["input_size"],
            bool(found["training"]),
        )
        as_states = bool(found.get("as_states", False))
        values = tuple(map(str, found.get("values", ())))
    except (TypeError, KeyError, ValueError):
        raise CellError(f"program: {recipe!r} is not known in this process; build its layer first") from None
    try:
        program = _class(name, cells)(**arguments).program(input_size, training, values)
        program = program.lowered.program if found.get("lowered") else program
        if found.get("part") == "at_every_step":
            program = program.at_every_step
    except TypeError as problem:
        raise CellError(f"program: {name} does not take the arguments {arguments}: {problem}") from None
    program = program.as_states if as_states else program
    if program.key != key:
        raise CellError(f"program: the equations of {name} are not those that the graph was made with")
    return program


def _class(name: str, cells: type) -> Any:
    module_name, _, path = name.partition(":")
    try:
        in_nabi = module_name.startswith("nabi.")
        found: Any = import_module(module_name) if in_nabi else sys.modules[module_name]
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, KeyError, AttributeError):
        found = None
    if not (isinstance(found, type) and issubclass(found, cells)):
        raise CellError(
            f"program: the cell {path} is not known here; import {module_name}, which defines it, first"
        )
    return found
