"""`nabi train`: a network from one's own data; the options say of which kind it is."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._train_writer import WriterTask, is_text, train_writer
from nabi.errors import ArgumentError, NabiError

__all__ = ["FORMS", "Form", "train"]


@dataclass(frozen=True)
class Form:
    """A kind of data that `nabi train` learns from."""

    name: str
    usage: str
    what: str


FORMS = (
    Form(
        "a table of texts and labels",
        "nabi train FILE --text COLUMN --label COLUMN",
        "FILE: .csv, .tsv, .jsonl, .parquet, the first three also compressed",
    ),
    Form(
        "a text to write on from",
        "nabi train FILE.txt",
        "FILE: .txt, also compressed; with --lines each line is a text of its own",
    ),
)
"""All kinds; `train` finds out by the options which of them is meant."""


class Unit(StrEnum):
    """What texts are cut into."""

    AUTO = "auto"
    WORDS = "words"
    CHARACTERS = "characters"
    PIECES = "pieces"


class Pooling(StrEnum):
    """What is taken of the outputs of all steps."""

    MAX = "max"
    MEAN = "mean"
    LAST = "last"


class Truncating(StrEnum):
    """What is cut off a text that is too long."""

    POST = "post"
    PRE = "pre"


_TABLE, _NETWORK, _TRAINING = "Table of texts and labels", "Network", "Training"
_TEXT = "Text to write on from"
# What can be said of a text; the other options are about tables.
_OF_TEXTS = {
    "file", "lines", "encoding", "unit", "vocabulary_size", "cell", "units", "layers", "embedding_size",
    "tied", "dropout", "weight_drop", "window", "epochs", "batch_size", "learning_rate", "seed", "threads",
    "out",
}  # fmt: skip
_ONLY_OF_TEXTS = {"lines", "layers", "tied", "weight_drop", "window"}


def train(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="The data.", metavar="FILE", show_default=False)] = None,
    text: Annotated[
        str | None, typer.Option(help="Column of the texts.", metavar="COLUMN", rich_help_panel=_TABLE)
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of the labels; given more than once, columns of 0 and 1.",
            metavar="COLUMN",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    aspect: Annotated[
        str | None,
        typer.Option(
            help="Column that says what a text is asked about.", metavar="COLUMN", rich_help_panel=_TABLE
        ),
    ] = None,
    label_separator: Annotated[
        str | None,
        typer.Option(help="Between several labels in one column.", metavar="TEXT", rich_help_panel=_TABLE),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="A table of the rows that say when to stop.",
            show_default="a tenth of FILE",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(
            help="A table of the rows to report on.", show_default="a tenth of FILE", rich_help_panel=_TABLE
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of the files.")] = "utf-8",
    separator: Annotated[
        str | None,
        typer.Option(
            help="Between columns.", show_default="found out", metavar="CHARACTER", rich_help_panel=_TABLE
        ),
    ] = None,
    quotes: Annotated[
        bool,
        typer.Option(
            help="Whether a field of a .csv file may stand in quotes; if not, a quote is a character like "
            "others.",
            rich_help_panel=_TABLE,
        ),
    ] = True,
    unit: Annotated[
        Unit,
        typer.Option(help="What texts are cut into; auto: words or pieces.", rich_help_panel=_TABLE),
    ] = Unit.AUTO,
    maxlen: Annotated[
        int | None,
        typer.Option(
            help="Tokens of a text that are read.", min=4, show_default="by the texts", rich_help_panel=_TABLE
        ),
    ] = None,
    truncating: Annotated[
        Truncating,
        typer.Option(help="What is cut off a longer text: its end or its beginning.", rich_help_panel=_TABLE),
    ] = Truncating.POST,
    vocabulary_size: Annotated[
        int | None,
        typer.Option(
            help="Codes at most.",
            min=5,
            show_default="20,000 words, or 8,000 pieces",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    balanced: Annotated[
        bool,
        typer.Option(
            "--balanced", help="Let rare labels count as much as frequent ones.", rich_help_panel=_TABLE
        ),
    ] = False,
    lines: Annotated[
        bool, typer.Option("--lines", help="Whether each line is a text of its own.", rich_help_panel=_TEXT)
    ] = False,
    window: Annotated[
        int | None,
        typer.Option(
            help="Characters or words through which gradients flow back.",
            min=1,
            show_default="128",
            rich_help_panel=_TEXT,
        ),
    ] = None,
    layers: Annotated[
        int | None,
        typer.Option(
            help="Recurrent layers on top of each other.", min=1, show_default="1", rich_help_panel=_TEXT
        ),
    ] = None,
    tied: Annotated[
        bool,
        typer.Option(
            "--tied", help="Let the last layer have the embedding's weights.", rich_help_panel=_TEXT
        ),
    ] = False,
    weight_drop: Annotated[
        float | None,
        typer.Option(
            help="Share of recurrent weights left out in training.",
            min=0.0,
            max=0.99,
            rich_help_panel=_TEXT,
        ),
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help="A name of `nabi list`, or FILE.py:Class; given more than once, cells are compared.",
            metavar="CELL",
            show_default="lstm",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    units: Annotated[
        int | None, typer.Option(help="Width of the cell's states.", min=1, rich_help_panel=_NETWORK)
    ] = None,
    embedding_size: Annotated[
        int | None, typer.Option(help="Width of the vector of a token.", min=1, rich_help_panel=_NETWORK)
    ] = None,
    bidirectional: Annotated[
        bool,
        typer.Option(
            "--bidirectional/--one-direction",
            help="Whether texts are read backwards too.",
            rich_help_panel=_NETWORK,
        ),
    ] = True,
    pooling: Annotated[
        Pooling,
        typer.Option(help="What is taken of the outputs of all steps.", rich_help_panel=_NETWORK),
    ] = Pooling.MAX,
    dropout: Annotated[
        float | None,
        typer.Option(
            help="Share of features left out in training.", min=0.0, max=0.99, rich_help_panel=_NETWORK
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="At most.", min=1, show_default="by the texts", rich_help_panel=_TRAINING),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Epochs without a lower validation loss before the end.", min=1, rich_help_panel=_TRAINING
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Texts per step.", min=1, rich_help_panel=_TRAINING)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of Adam.", min=0.0, rich_help_panel=_TRAINING)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0, rich_help_panel=_TRAINING)] = 0,
    threads: Annotated[
        int | None,
        typer.Option(
            help="To compute on.", min=1, show_default="as many as torch takes", rich_help_panel=_TRAINING
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Model file; figures (.json) and a picture (.png) are put beside it.",
            show_default="the name of FILE with .nabi",
            metavar="MODEL.nabi",
        ),
    ] = None,
) -> None:
    """Train a network on your own data, say how good it is on rows held out, and save one model file.

    The options say what the data is: --text and --label mean a table. Without them a .txt file is a text to
    learn writing from; for any other file the forms are listed.

    What is not given is chosen from the data. Training stops early; Ctrl-C ends it after the current batch,
    and what has been learnt is saved (status 130).
    """
    if file is not None and (text is not None or label):
        from nabi.cli._train_text import TextTask, train_text

        _refuse(context, _ONLY_OF_TEXTS, FORMS[0])
        if text is None or not label:
            missing = "--text" if text is None else "--label"
            raise ArgumentError(
                f"{missing}: the name of a column is expected; {_columns(file, encoding, separator)}"
            )
        task = TextTask(
            file=file,
            text=text,
            labels=label,
            aspect=aspect,
            validation=validation,
            test=test,
            encoding=encoding,
            separator=separator,
            quoted=quotes,
            cells=cell or ["lstm"],
            out=out,
            settings={
                "units": units,
                "unit": unit.value,
                "vocabulary_size": vocabulary_size,
                "maxlen": maxlen,
                "truncating": truncating.value,
                "bidirectional": bidirectional,
                "pooling": pooling.value,
                "embedding_size": embedding_size,
                "dropout": dropout,
                "batch_size": batch_size,
                "epochs": epochs,
                "patience": patience,
                "learning_rate": learning_rate,
                "class_weight": "balanced" if balanced else None,
                "label_separator": label_separator,
                "seed": seed,
            },
        )
        train_text(task, threads)
        return
    if file is not None and is_text(file):
        _refuse(context, set(context.params) - _OF_TEXTS, FORMS[1])
        settings = {
            "units": units,
            "layers": layers,
            "unit": "characters" if unit is Unit.AUTO else unit.value,
            "vocabulary_size": vocabulary_size,
            "embedding_size": embedding_size,
            "tied": tied,
            "dropout": dropout,
            "weight_drop": weight_drop,
            "batch_size": batch_size,
            "window": window,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "seed": seed,
        }
        train_writer(WriterTask(file, lines, encoding, cell or ["lstm"], out, settings), threads)
        return
    _list_forms(file, encoding, separator)
    raise typer.Exit(2)


def _refuse(context: typer.Context, names: set[str], form: Form) -> None:
    """Refuse options that were given and mean nothing for a kind of data."""
    for name in sorted(names):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ArgumentError(f"--{name.replace('_', '-')}: it means nothing for {form.name}")


def _list_forms(file: Path | None, encoding: str, separator: str | None) -> None:
    typer.echo("nabi train learns from:", err=True)
    for form in FORMS:
        typer.echo(f"\n  {form.name}\n    {form.usage}\n    {form.what}", err=True)
    if file is not None:
        typer.echo(f"\n{_columns(file, encoding, separator)}", err=True)
    typer.echo("\nnabi train --help has all options.", err=True)


def _columns(file: Path, encoding: str, separator: str | None) -> str:
    """What the columns of the file are, or why it has none."""
    from nabi.data import table_columns

    try:
        names = table_columns(file, encoding=encoding, separator=separator)
    except NabiError as problem:
        return str(problem)
    return f"{file} has the columns {', '.join(names)}"
