"""`nabi write` and `nabi next`: text and next words from a language model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import with_files
from nabi.cli._terminal import make_console

if TYPE_CHECKING:
    pass

__all__ = ["next_words", "write"]

_Model = Annotated[
    Path, typer.Argument(help="A language model, from `nabi train FILE.txt` or `nabi run shakespeare`.")
]
_Cells = Annotated[list[str] | None, typer.Option("--cell", help=CELL_HELP, metavar="FILE.py:Class")]


@with_files(reads={"MODEL": "model"})
def write(
    model: _Model,
    start: Annotated[
        str, typer.Option(help="Text to continue.", show_default="the beginning of a text", metavar="TEXT")
    ] = "",
    length: Annotated[int, typer.Option(help="Maximum number of characters or words.")] = 500,
    temperature: Annotated[
        float,
        typer.Option(help="Below 1 more predictable, above 1 more varied; 0 is always the most probable."),
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(help="Draw only from this many most probable.", show_default="all")
    ] = None,
    top_p: Annotated[
        float, typer.Option(help="Draw only from the most probable with this total probability.")
    ] = 1.0,
    repetition_penalty: Annotated[
        float, typer.Option(help="Divides the probability of recently generated tokens.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed writes the same text.")] = 0,
    cell: _Cells = None,
) -> None:
    """Continue a text with a language model; the output is streamed."""
    written = load_with_cells("LanguageModel", model, cell or ()).write(
        start,
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    typer.echo(start, nl=False)
    for piece in written:
        typer.echo(piece, nl=False)
    typer.echo()


@with_files(reads={"MODEL": "model"})
def next_words(
    model: _Model,
    text: Annotated[str, typer.Argument(help='Preceding text, such as "the clouds are in the".')],
    number: Annotated[int, typer.Option("--number", "-n", help="Number of words.")] = 5,
    cell: _Cells = None,
) -> None:
    """Show the most probable next words of a language model, with their probabilities."""
    from rich.table import Table

    loaded = load_with_cells("LanguageModel", model, cell or ())
    unknown = loaded.unknown(text)
    found = loaded.next_words(text, number)
    console = make_console()
    if unknown:
        console.print(f"Unknown to the model: {', '.join(unknown)}", highlight=False, markup=False)
    table = Table("next word", "probability")
    table.columns[0].overflow = "fold"
    table.columns[1].justify, table.columns[1].no_wrap = "right", True
    for word, probability in found:
        table.add_row(word, f"{probability:.1%}")
    console.print(table)
