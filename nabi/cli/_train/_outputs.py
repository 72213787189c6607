"""What `nabi train` does alike for all models that generate: their files, their cell, and the end."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from nabi.errors import ArgumentError

__all__ = [
    "SECONDS_TO_DRAW",
    "draw_confusion",
    "make_model",
    "say_what_is_left_out",
    "say_where_it_goes_on",
    "write_figures",
]

SECONDS_TO_DRAW = 1.5
"""About what a common machine takes for a picture, most of it to load what draws."""

_NAMED = 5  # of what is left out; the file of the figures has them all


def make_model(kind: Any, cells: list[str], settings: Mapping[str, Any], *, learnt: str) -> Any:
    """Make a model of a cell whose equations are tried out; `learnt` begins the message about several."""
    from nabi.cli._cell import find_cell, find_class, trace

    if len(cells) > 1:
        raise ArgumentError(f"--cell: {len(cells)} were given; {learnt} learnt by one")
    name = cells[0]
    cell = find_class(name)
    trace(find_cell(name, settings.get("units", 8), inputs=8), 8)
    return kind(cell if ":" in name else name, **settings)


def say_where_it_goes_on(checkpoint: Path) -> None:
    """Say that an earlier training is taken up again, where one was interrupted."""
    if checkpoint.exists():
        typer.echo(f"going on from {checkpoint}")


def say_what_is_left_out(skipped: Sequence[str], kept: int, what: str) -> None:
    """Say what is wrong with the first few of what is left out; `what` they are: "clips"."""
    if not skipped:
        return
    typer.echo(f"{len(skipped)} of {len(skipped) + kept} {what} are left out:")
    for problem in skipped[:_NAMED]:
        typer.echo(f"  {problem}")
    if len(skipped) > _NAMED:
        typer.echo(f"  and {len(skipped) - _NAMED} more")


def draw_confusion(model: Any, path: Path) -> None:
    """Draw the confusion matrix of what was held out."""
    if model.report.scores is None:
        typer.echo("Nothing was held out, so there is no confusion matrix.")
    else:
        model.report.picture(path)


def write_figures(path: Path, content: Mapping[str, Any]) -> None:
    """Write what was measured, as JSON."""
    from nabi.files import write_atomically

    with write_atomically(path, "w") as file:
        # The first entry tells later runs that they may replace the file.
        json.dump({"written_by": "nabi train", **content}, file, indent=2, ensure_ascii=False)
        file.write("\n")
