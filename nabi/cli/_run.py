"""`nabi run`: a recipe, from its data to its results."""

from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._outputs import Overwrite, Results, Said, with_files
from nabi.cli._terminal import make_console

__all__ = ["run"]


def _choices(said: Said) -> dict[str, str]:
    """Return the choices that are given."""
    return {name: said[name] for name in ("pair", "attention", "speakers") if said[name] is not None}


def _results(said: Said) -> Results:
    """Return the folder of the results, which an earlier run of the same recipe may have written."""
    from nabi import recipes

    recipe = recipes.get(said["recipe"])
    return Results(said["out"] or recipe.usual_folder(_choices(said)), f'"recipe": "{recipe.name}"')


@with_files(reads={"--data": "data"}, writes={"--out": _results})
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
    from nabi import recipes

    console = make_console()
    choices = _choices({"pair": pair, "attention": attention, "speakers": speakers})
    result = recipes.get(recipe).run(
        out, seed=seed, epochs=epochs, data=data, choices=choices, console=console
    )
    console.print(
        f"{'Stopped' if result.interrupted else 'Done'} after {result.seconds:.1f} s; "
        f"model, figures and pictures are in {result.folder}",
        highlight=False,
        soft_wrap=True,
    )
    if result.interrupted:
        raise typer.Exit(130)
