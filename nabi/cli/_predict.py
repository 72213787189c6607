"""`nabi predict`: the labels of texts, as many as there are."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._load import CELL_HELP, load_classifier
from nabi.cli._outputs import Overwrite, cell_files, check_outputs
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import TextClassifier

__all__ = ["predict"]

_ROWS_AT_ONCE = 1000  # in memory
_LINES = (".txt", ".text")
_STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class _Part:
    texts: list[str]
    aspects: list[str] | None


def predict(
    model: Annotated[
        Path,
        typer.Argument(help="A file that `nabi train` has written.", metavar="MODEL", show_default=False),
    ],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts.", metavar="[TEXT]...", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="A table, or a .txt file with a text in every line; - for lines of the standard input."
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Column of the texts.", metavar="COLUMN", show_default="as in training"),
    ] = None,
    aspect: Annotated[
        str | None,
        typer.Option(
            help="Column of the aspects; for TEXT, the aspect itself.",
            metavar="COLUMN",
            show_default="as in training",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write, .csv or .jsonl.", show_default="CSV on the standard output"),
    ] = None,
    top: Annotated[int, typer.Option(help="How many of the likeliest labels to give.", min=1)] = 1,
    threshold: Annotated[
        float, typer.Option(help="Where a text has several labels: give those above it.", min=0.0, max=1.0)
    ] = 0.5,
    encoding: Annotated[str, typer.Option(help="Of the file.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Between columns.", metavar="CHARACTER", show_default="found out")
    ] = None,
    quotes: Annotated[bool, typer.Option(help="Whether fields of a .csv file may stand in quotes.")] = True,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="To compute on.", min=1)] = None,
) -> None:
    """Label texts with a trained model: each with its label and the probability of that label.

    A file may be larger than memory. Texts come out in the order in which they went in. A text without a word
    gets the shares of the labels in training; of a long text as much is read as in training.
    """
    from nabi.cli._predictions import PredictionWriter
    from nabi.training import on_threads

    if bool(texts) == (file is not None):
        raise ArgumentError("TEXT: give texts, or a file of them with --file FILE")
    check_outputs(
        {"--out": out},
        {
            "MODEL": model,
            "--file": None if file == _STANDARD_INPUT else file,
            "--cell": cell_files(cell or ()),
        },
        overwrite=overwrite,
    )
    classifier = load_classifier(model, cell or ())
    if top > 1 and classifier.labels.several:
        raise ArgumentError(
            "--top: the model gives several labels at once, and the probabilities of all are written"
        )
    if file is None:
        assert texts is not None
        parts: Iterator[_Part] = iter([_Part(texts, None if aspect is None else [aspect] * len(texts))])
    elif file == _STANDARD_INPUT:
        parts = _lines(iter(sys.stdin), classifier)
    elif any(suffix.lower() in _LINES for suffix in file.suffixes) and separator is None:
        parts = _lines(_lines_of(file, encoding), classifier)
    else:
        parts = _rows(classifier, file, text, aspect, encoding=encoding, separator=separator, quoted=quotes)
    with on_threads(threads), PredictionWriter(out, classifier, top, threshold) as writer:
        for part in parts:
            writer.write(part.texts, part.aspects)


def _lines_of(file: Path, encoding: str) -> Iterator[str]:
    from nabi.data import TextFile, check_file

    check_file(file)
    return TextFile(file, encoding).lines("\n")


def _lines(lines: Iterator[str], classifier: "TextClassifier") -> Iterator[_Part]:
    if classifier.has_aspects:
        raise ArgumentError(
            "--file: the model was trained with aspects, so a table with their column is expected"
        )
    while part := [line.rstrip("\r\n") for line in islice(lines, _ROWS_AT_ONCE)]:
        yield _Part(part, None)


def _rows(
    classifier: "TextClassifier", file: Path, text: str | None, aspect: str | None, **options: Any
) -> Iterator[_Part]:
    from nabi.data import stream_table

    columns = classifier.columns_of(file, text, None, aspect)
    if columns is None:
        raise ArgumentError("--text: the model was not trained on a table; name the column of the texts")
    names = [columns.text] if columns.aspect is None else [columns.text, columns.aspect]
    for table in stream_table(file, names, rows=_ROWS_AT_ONCE, **options):
        texts = [_as_text(value) for value in table[columns.text]]
        about = None if columns.aspect is None else [_as_text(value) for value in table[columns.aspect]]
        yield _Part(texts, about)


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)
