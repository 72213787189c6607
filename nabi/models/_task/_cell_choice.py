"""The cell of a system: as it was given, by its name, and made."""

from typing import Any

from nabi import cells
from nabi.cells import Cell
from nabi.errors import ArgumentError

__all__ = ["CellChoice", "cell_name", "check_cell", "make_cell"]

CellChoice = str | Cell | type[Cell]


def check_cell(cell: object, units: int | None) -> None:
    """Refuse what is no cell.

    Raises:
        UnknownNameError: for a name that no cell has.
        ArgumentError: for anything else, and for units beside a cell that has its own.
    """
    kind: Any = cell
    if isinstance(cell, str):
        kind = cells.get(cell)
    elif isinstance(cell, Cell):
        if units is not None and units != cell.units:
            raise ArgumentError(f"units: got {units}, but the cell given has {cell.units}")
    elif not (isinstance(cell, type) and issubclass(cell, Cell)):
        raise ArgumentError(f"cell: expected a name such as 'lstm' or a cell of nabi.cells, got {cell!r}")
    needed = cell.inputs_to_give if isinstance(cell, Cell) else kind.needed_inputs()
    if needed:
        raise ArgumentError(
            f"cell: expected one that reads x only, got {cell_name(cell)}, which needs {needed[0]}"
        )


def cell_name(cell: CellChoice) -> str:
    """Return the name of a cell for people: as it was given, or that of its class."""
    if isinstance(cell, str):
        return cell
    return (cell if isinstance(cell, type) else type(cell)).__name__


def make_cell(cell: CellChoice, units: int) -> Cell:
    """Return the cell with so many units; one given as an object is it already."""
    if isinstance(cell, Cell):
        return cell
    kind = cells.get(cell) if isinstance(cell, str) else cell
    return kind(units, **kind.needed_settings(units, units))
