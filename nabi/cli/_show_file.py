"""`nabi show FILE`: what is in a model file of any format."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nabi.cli._terminal import make_console

if TYPE_CHECKING:
    from nabi.interchange import Description

__all__ = ["is_model_file", "show_file"]


def is_model_file(name: str) -> bool:
    """Tell whether an argument names a file: a name of a cell has no dot and no folder."""
    from nabi import cells

    if name.rpartition(":")[0].endswith(".py") or name.endswith(".py") or name in cells.names():
        return False
    path = Path(name)
    return path.exists() or "." in path.name or len(path.parts) > 1


def show_file(name: str, own_cells: Sequence[str], out: Path | None) -> None:
    """Print or write what is in a model file."""
    from nabi.cli._cell import find_class
    from nabi.interchange import describe

    described = describe(name, {one.__name__: one for one in map(find_class, own_cells)})
    if out is not None:
        from nabi.files import write_atomically

        with write_atomically(out, "w") as file:
            file.write(f"{described}\n")
        typer.echo(f"Written to {out}")
    elif sys.stdout.isatty():
        _print_in_colour(described)
    else:
        typer.echo(str(described))


def _print_in_colour(described: "Description") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console = make_console()
    console.print(Text.assemble((str(described.path), "bold"), ": ", described.format))
    if described.facts:
        facts = Table(box=None, show_header=False, pad_edge=False)
        for label, value in described.facts:
            facts.add_row(Text(label, "dim"), Text(value))
        console.print(facts)
    for one in described.tables:
        table = Table(title=Text(one.title, "bold"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for column in one.columns:
            table.add_column(column, overflow="fold")
        for row in one.rows:
            table.add_row(*map(Text, row))
        console.print(table)
    for label, lines in described.equations.items():
        console.print(Text(f"equations of {label}", "bold"))
        for line in lines:
            console.print(Text(f"  {line}"))
