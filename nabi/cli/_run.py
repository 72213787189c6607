"""`nabi run`: a recipe, from its data to its results."""

from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._outputs import Overwrite, check_run_folder

__all__ = ["run"]


def run(
    recipe: Annotated[str, typer.Argument(help="song, reuters, ...; `nabi list` describes all recipes.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.", show_default="runs/RECIPE", metavar="DIR")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.", min=0)] = 0,
    epochs: Annotated[
        int | None, typer.Option(help="Number of epochs.", min=1, show_default="the recipe's default")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="File or folder with the data, for recipes that need some (reuters, imdb, fake-news, "
            "shakespeare, chorales, translate, digits, digit-strings).",
            show_default="the folder NABI_DATA, or downloaded",
            metavar="PATH",
        ),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            help="Languages of the recipe translate: en-de or en-ko.",
            show_default="en-de",
            metavar="PAIR",
        ),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            help="Attention of the recipe translate: luong, bahdanau or none.",
            show_default="luong",
            metavar="KIND",
        ),
    ] = None,
    speakers: Annotated[
        str | None,
        typer.Option(
            help="Speakers of the test in the recipes digits and digit-strings: known, or unknown (each is "
            "left out in turn).",
            show_default="known",
            metavar="WHICH",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a recipe's network and write the model, figures (result.json) and pictures into a folder.

    Ctrl-C ends the training after the current batch; the results so far are written, with exit status 130.
    """
    from rich.console import Console

    from nabi import recipes

    console = Console()
    said = {"pair": pair, "attention": attention, "speakers": speakers}
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
