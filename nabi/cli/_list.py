"""`nabi list`: the available recipes and cells."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from nabi.cli._terminal import make_console

__all__ = ["list_all"]


def list_all(
    what: Annotated[
        str | None,
        typer.Argument(
            help="recipes, cells, or a family of cells such as lstm, with a line about each; everything by "
            "default, cells by their names alone.",
            metavar="WHAT",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print names and descriptions as JSON.")] = False,
) -> None:
    """List the recipes (for `nabi run`) and the cells (for `nabi show`), family by family."""
    from nabi import cells
    from nabi.errors import unknown_name

    families = cells.families()
    if what not in (None, "recipes", "cells", *families):
        raise unknown_name("WHAT", what, ["recipes", "cells", *families])
    if as_json:
        _print_json(what)
    else:
        _show(what, families)


def _print_json(what: str | None) -> None:
    from nabi import cells, recipes

    found: dict[str, Any] = {}
    if what in (None, "recipes"):
        found["recipes"] = {name: recipes.get(name).summary for name in recipes.names()}
    if what != "recipes":
        found["cells"] = {
            family: {
                "title": title,
                "cells": {
                    name: (cells.get(name).__doc__ or "").partition("\n")[0] for name in cells.names(family)
                },
            }
            for family, title in cells.families().items()
            if what in (None, "cells", family)
        }
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _show(what: str | None, families: Mapping[str, str]) -> None:
    from rich.table import Table

    from nabi import cells, recipes

    table = Table(box=None, show_header=False, pad_edge=False)
    if what in (None, "recipes"):
        table.add_row("[bold]recipes[/bold]", "[dim]nabi run NAME[/dim]")
        for name in recipes.names():
            table.add_row(f"  {name}", recipes.get(name).summary)
    if what is None:
        table.add_row()
        table.add_row("[bold]cells[/bold]", "[dim]nabi show NAME --as equations; nabi list FAMILY[/dim]")
        for family, title in families.items():
            table.add_row(f"  {family}", f"{title}: [bold]{', '.join(cells.names(family))}[/bold]")
    elif what != "recipes":
        for family in families if what == "cells" else (what,):
            table.add_row(f"[bold]{family}[/bold]", f"[bold]{families[family]}[/bold]")
            for name in cells.names(family):
                table.add_row(f"  {name}", (cells.get(name).__doc__ or "").partition("\n")[0])
    make_console().print(table)
