"""`nabi write` and `nabi next`: text and next words from a language model."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._load import CELL_HELP, load_with_cells
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._rows import RowWriter
from nabi.cli._terminal import make_console

__all__ = ["next_words", "write"]

_Model = Annotated[
    Path, typer.Argument(help="A language model, from `nabi train FILE.txt` or `nabi run shakespeare`.")
]
_Cells = Annotated[list[str] | None, typer.Option("--cell", help=CELL_HELP, metavar="FILE.py:Class")]


@with_files(reads={"MODEL": "model"}, writes={"--out": "out"})
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
    out: Annotated[
        Path | None,
        typer.Option(help="File for the text.", metavar="FILE", show_default="standard output"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a JSON object with the beginning and what comes after it.")
    ] = False,
    overwrite: Overwrite = False,
    cell: _Cells = None,
) -> None:
    """Continue a text with a language model; the output is streamed."""
    import json
    import sys

    from nabi.files import write_atomically

    written = load_with_cells("LanguageModel", model, cell or ()).write(
        start,
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    with nullcontext(sys.stdout) if out is None else write_atomically(out, "w") as file:
        if as_json:
            file.write(json.dumps({"start": start, "text": "".join(written)}, ensure_ascii=False) + "\n")
            return
        file.write(start)
        for piece in written:
            file.write(piece)
            file.flush()
        file.write("\n")


@with_files(reads={"MODEL": "model"}, writes={"--out": "out"})
def next_words(
    model: _Model,
    text: Annotated[str, typer.Argument(help='Preceding text, such as "the clouds are in the".')],
    number: Annotated[int, typer.Option("--number", "-n", help="Number of words.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, .csv or .jsonl.", metavar="FILE", show_default="standard output"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON object for each row.")] = False,
    overwrite: Overwrite = False,
    cell: _Cells = None,
) -> None:
    """Show the most probable next words of a language model, with their probabilities."""
    from rich.table import Table

    writer = RowWriter(out, as_json) if as_json or out is not None else None
    loaded = load_with_cells("LanguageModel", model, cell or ())
    unknown = loaded.unknown(text)
    found = loaded.next_words(text, number)
    console = make_console(stderr=writer is not None)
    if unknown:
        console.print(f"Unknown to the model: {', '.join(unknown)}", highlight=False, markup=False)
    if writer is not None:
        with writer:
            for word, probability in found:
                writer.write({"text": text}, {"word": word, "probability": round(probability, 6)})
        return
    table = Table("next word", "probability")
    table.columns[0].overflow = "fold"
    table.columns[1].justify, table.columns[1].no_wrap = "right", True
    for word, probability in found:
        table.add_row(word, f"{probability:.1%}")
    console.print(table)
