"""`nabi run`: a recipe from its data to what it shows."""

from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._outputs import Overwrite, check_run_folder

__all__ = ["run"]


def run(
    recipe: Annotated[
        str, typer.Argument(help="song, reuters, ...; `nabi list` names all of them and says what each does.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="runs/RECIPE", metavar="DIR")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    epochs: Annotated[
        int | None, typer.Option(help="How long to train.", min=1, show_default="the recipe's own number")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="File or folder with the data of a recipe that reads some (reuters, imdb, fake-news, "
            "shakespeare, chorales, translate).",
            show_default="the folder NABI_DATA, or downloaded",
            metavar="PATH",
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            help="The languages of the recipe translate: en-de or en-ko.",
            show_default="en-de",
            metavar="PAIR",
        ),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            help="How the recipe translate looks at a sentence: luong, bahdanau or none.",
            show_default="luong",
            metavar="KIND",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a recipe's network and write model, figures (result.json) and pictures into a folder.

    Ctrl-C ends the training after the current batch; what there is gets written, and the status is 130.
    """
    from rich.console import Console

    from nabi import recipes

    console = Console()
    said = {"pair": pair, "attention": attention}
    choices = {name: value for name, value in said.items() if value is not None}
    chosen = recipes.get(recipe)
    if out is not None:
        check_run_folder(out, overwrite=overwrite)
    result = chosen.run(out, seed=seed, epochs=epochs, data=data, choices=choices, console=console)
    console.print(
        f"{'Stopped' if result.interrupted else 'Done'} after {result.seconds:.1f} s; "
        f"model, figures and pictures are in {result.folder}",
        highlight=False,
        soft_wrap=True,
    )
    if result.interrupted:
        raise typer.Exit(130)
