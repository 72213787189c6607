"""`nabi explain`: which words of a text determined a model's decision."""

from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._load import CELL_HELP, load_classifier
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._terminal import make_console

__all__ = ["explain"]


@with_files(reads={"MODEL": "model"}, writes={"--out": "out"})
def explain(
    model: Annotated[
        Path,
        typer.Argument(help="A model from `nabi train`.", metavar="MODEL", show_default=False),
    ],
    text: Annotated[str, typer.Argument(help="The text to explain.", metavar="TEXT", show_default=False)],
    label: Annotated[
        str | None, typer.Option(help="The label to explain.", show_default="the most probable")
    ] = None,
    aspect: Annotated[str | None, typer.Option(help="The aspect to judge, for a model with aspects.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a picture, .png or .svg.", metavar="PICTURE")
    ] = None,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Show how a model reads a text: the probability after each word, and each word's contribution.

    Words that count for the label are blue, or [+ marked] without colours; those against it are orange, or
    [- marked].
    """

    from nabi.drawing import check_suffix
    from nabi.explain import read_text, reading_picture

    if out is not None:
        check_suffix(out)
    reading = read_text(load_classifier(model, cell or ()), text, aspect, label=label)
    make_console().print(reading)
    if out is not None:
        reading_picture(reading, out)
        typer.echo(f"\nThe picture is in {out}")
