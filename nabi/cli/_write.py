"""`nabi write` and `nabi next`: what a language model writes, and what it expects."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["next_words", "write"]

_Model = Annotated[
    Path, typer.Argument(help="A language model: of `nabi train FILE.txt` or `nabi run shakespeare`.")
]


def write(
    model: _Model,
    start: Annotated[
        str, typer.Option(help="What comes before.", show_default="the beginning of a text", metavar="TEXT")
    ] = "",
    length: Annotated[int, typer.Option(help="Characters or words at most.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 it is more careful, above 1 bolder; 0: always the most probable.")
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from so many of the most probable only.", show_default="all")
    ] = None,
    top_p: Annotated[
        float, typer.Option(help="Draw from the most probable that together are so probable.")
    ] = 1.0,
    repetition_penalty: Annotated[
        float, typer.Option(help="What was written lately is so many times less probable.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the random numbers: the same seed writes the same.")] = 0,
) -> None:
    """Write on after a beginning, with a language model; the text appears while it is written."""
    from nabi.models import LanguageModel

    written = LanguageModel.load(model).write(
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


def next_words(
    model: _Model,
    text: Annotated[str, typer.Argument(help='What comes before, such as "the clouds are in the".')],
    number: Annotated[int, typer.Option("--number", "-n", help="How many words.")] = 5,
) -> None:
    """Show the words that a language model expects next, with their probabilities."""
    from rich.console import Console
    from rich.table import Table

    from nabi.models import LanguageModel

    loaded = LanguageModel.load(model)
    unknown = loaded.unknown(text)
    found = loaded.next_words(text, number)
    console = Console()
    if unknown:
        console.print(f"Unknown to the model: {', '.join(unknown)}", highlight=False, markup=False)
    table = Table("next word", "probability")
    table.columns[1].justify = "right"
    for word, probability in found:
        table.add_row(word, f"{probability:.1%}")
    console.print(table)
