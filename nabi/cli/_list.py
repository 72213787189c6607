"""`nabi list`: the available recipes and cells."""

__all__ = ["list_all"]


def list_all() -> None:
    """List the recipes (for `nabi run`) and the cells (for `nabi show`)."""
    from rich.console import Console
    from rich.table import Table

    from nabi import cells, recipes

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("[bold]recipes[/bold]", "[dim]nabi run NAME[/dim]")
    for name in recipes.names():
        table.add_row(f"  {name}", recipes.get(name).summary)
    table.add_row()
    table.add_row("[bold]cells[/bold]", "[dim]nabi show NAME --as equations[/dim]")
    for name in cells.names():
        table.add_row(f"  {name}", (cells.get(name).__doc__ or "").partition("\n")[0])
    Console().print(table)
