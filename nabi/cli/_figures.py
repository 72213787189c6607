"""Figures that a command shows: as text, or as JSON, and in a file where one is named."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

__all__ = ["give_figures"]


def give_figures(
    command: str, content: Mapping[str, Any], out: Path | None, as_json: bool, show: Callable[[], None]
) -> None:
    """Show figures, or print them as JSON, and write them to a file.

    Args:
        command: whose figures they are, "evaluate"; it knows its files by that.
        content: what JSON can hold.
        out: the file, if one is named.
        as_json: print JSON instead of showing them.
        show: shows them as text.

    Raises:
        OutputError: if the file cannot be written.
    """
    from nabi.files import write_atomically

    written = json.dumps({"written_by": f"nabi {command}", **content}, indent=2, ensure_ascii=False)
    if as_json:
        typer.echo(written)
    else:
        show()
    if out is not None:
        with write_atomically(out, "w") as file:
            file.write(written + "\n")
