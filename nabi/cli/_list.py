"""`nabi list`: the available recipes and cells."""

from typing import Annotated

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
) -> None:
    """List the recipes (for `nabi run`) and the cells (for `nabi show`), family by family."""
    from rich.table import Table

    from nabi import cells, recipes
    from nabi.errors import unknown_name

    families = cells.families()
    if what not in (None, "recipes", "cells", *families):
        raise unknown_name("WHAT", what, ["recipes", "cells", *families])
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
