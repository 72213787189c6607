"""The cells of a comparison: which they are, and what they start with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nabi import _checks, cells
from nabi.cells import Cell
from nabi.errors import ArgumentError
from nabi.ir import initial

__all__ = ["ALL", "Contender", "as_contenders"]

ALL = "all"
"""Stands for every cell of the catalogue."""
_CHRONO = "+chrono"


@dataclass(frozen=True)
class Contender:
    """A cell that takes part in a comparison.

    Attributes:
        name: as it was given.
        kind: its class, or the cell itself, with its own number of units.
        chrono: whether its forget gate starts with biases for memories as long as the sequences.
    """

    name: str
    kind: type[Cell] | Cell
    chrono: bool = False

    def cell(self, units: int, inputs: int) -> Cell:
        """Return the cell, which is tried out on an input of this width.

        Raises:
            ArgumentError, CellError: it has no such form, or needs more than its input.
        """
        kind = self.kind
        cell = kind if isinstance(kind, Cell) else kind(units, **kind.needed_settings(units, inputs))
        needed = cell.needed_inputs()
        if needed:
            raise ArgumentError(f"it needs {needed[0]} beside its input")
        cell.program(inputs)
        return cell

    def initial_values(self, cell: Cell, inputs: int, steps: int) -> dict[str, initial.InitialValue] | None:
        """Return the initial values that differ from those that the cell declares.

        Raises:
            ArgumentError: chrono values were asked for, and the cell has no forget gate.
        """
        if not self.chrono:
            return None
        names = {parameter.name for parameter in cell.program(inputs).parameters}
        if "b_f" not in names:
            biases = ", ".join(sorted(name for name in names if name.startswith("b_"))) or "none"
            raise ArgumentError(f"{_CHRONO} expects a forget gate with the bias b_f; its biases are {biases}")
        values: dict[str, initial.InitialValue] = {"b_f": initial.Chrono(max(steps, 2))}
        return values | ({"b_i": initial.Opposite("b_f")} if "b_i" in names else {})


def as_contenders(
    given: Any, find: Callable[[str], type[Cell]] = cells.get, argument: str = "cells"
) -> tuple[Contender, ...]:
    """Return the cells that names, classes and cells stand for.

    Args:
        given: one, or several in a list; a name may be several, separated by commas, and end in `+chrono`.
        find: returns the class of a name.
        argument: for messages.

    Raises:
        UnknownNameError: for an unknown name.
        ArgumentError: for anything else, nothing, and one that is given twice.
    """
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    found: list[Contender] = []
    for one in several:
        if isinstance(one, Contender):
            found.append(one)
        elif isinstance(one, str):
            found += [_named(name, find) for name in _names(one)]
        elif isinstance(one, Cell):
            found.append(Contender(repr(one), one))
        elif isinstance(one, type) and issubclass(one, Cell):
            found.append(Contender(one.__name__, one))
        else:
            raise ArgumentError(
                f"{argument}: expected names such as 'lstm', classes or cells of nabi.cells, "
                f"got {_checks.short(one)}"
            )
    if not found:
        raise ArgumentError(f"{argument}: expected at least one cell, got none")
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ArgumentError(f"{argument}: expected each cell once, got {twice} more than once")
    return tuple(found)


def _names(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    return [name for part in parts if part for name in (cells.names() if part == ALL else [part])]


def _named(name: str, find: Callable[[str], type[Cell]]) -> Contender:
    plain = name.removesuffix(_CHRONO)
    return Contender(name, find(plain), chrono=plain != name)
