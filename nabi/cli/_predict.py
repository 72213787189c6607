"""`nabi predict`: labels for any number of texts; for other models it asks `_predictors`."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nabi.cli._load import CELL_HELP, load_classifier
from nabi.cli._many_files._plan import Engine, is_of_many, matching, results_of
from nabi.cli._outputs import Overwrite, Said, with_files
from nabi.cli._predictors._registry import other_predictor, refuse_options
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import TextClassifier

__all__ = ["predict", "predict_file"]

_ROWS_AT_ONCE = 1000  # in memory
_LINES = (".txt", ".text")
_STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class _Part:
    texts: list[str]
    aspects: list[str] | None
    columns: dict[str, list[Any]] | None = None
    """Of the table that they are from, by name; None for texts by themselves."""


def _files_among_texts(said: Said) -> list[Path]:
    """Return the arguments that are files, which they are for models of other data than texts."""
    return [Path(text) for text in said["texts"] or () if os.path.exists(text)]


def _files_to_read(said: Said) -> list[Path]:
    return matching(said["file"])


def _files_to_write(said: Said) -> list[Path]:
    if is_of_many(said):
        return results_of(said)
    return [] if said["out"] is None else [said["out"]]


@with_files(
    reads={"MODEL": "model", "--file": _files_to_read, "FILE": _files_among_texts},
    writes={"--out": _files_to_write},
)
def predict(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(help="A model from `nabi train`.", metavar="MODEL", show_default=False),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Texts; for other models, files.", metavar="[TEXT]...", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="A table, or a .txt file with a text per line; - reads lines from standard input. A pattern "
            "such as 'reviews/*.csv' stands for many files."
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Column of the texts.", metavar="COLUMN", show_default="as in training"),
    ] = None,
    aspect: Annotated[
        str | None,
        typer.Option(
            help="Column of the aspects, or the aspect itself for TEXT.",
            metavar="COLUMN",
            show_default="as in training",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write, .csv or .jsonl; for many files, a folder.",
            show_default="CSV to standard output",
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="Number of most probable labels to output.", min=1)] = 1,
    threshold: Annotated[
        float,
        typer.Option(help="Minimum probability of a label, for texts with several labels.", min=0.0, max=1.0),
    ] = 0.5,
    encoding: Annotated[str, typer.Option(help="Encoding of the file.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Column separator.", metavar="CHARACTER", show_default="detected")
    ] = None,
    quotes: Annotated[bool, typer.Option(help="Whether fields of a .csv file can be quoted.")] = True,
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="What predicts for many files: processes of this machine, or a Ray cluster.",
            show_default="processes, for a pattern",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of processes for many files.", min=1, show_default="processors"),
    ] = None,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Label texts, series, recordings, clips or DNA with a trained model, with the probability of each label.

    A model of texts takes texts, or a file with --file, which may be larger than memory; the rows keep their
    order, and the columns of a table stand before what is added.
    An empty text gets the label frequencies of the training data; long texts are truncated as in training.

    Models of other data take files or folders in place of texts.

    Many files are predicted for by several processes, with one result file each in the folder --out. Started
    again, it goes on with the files that have no result yet; a process that ends is replaced.

    nabi predict reviews.nabi --file 'reviews/*.csv' --out labels
    """
    many = is_of_many(context.params)
    if workers is not None and not many:
        raise ArgumentError("--workers: expected many files, as --file 'FOLDER/*.csv', or an --engine")
    other = other_predictor(model)
    if other is None:
        said = dict(context.params)
    else:
        of_many = frozenset({"engine", "workers"}) if many else frozenset()
        said = refuse_options(context, other.predict_options | of_many, other.what)
    if many:
        from nabi.cli._many_files._command import predict_files

        predict_files(said, predict_file)
    else:
        predict_file(said)


def predict_file(said: Said) -> None:
    """Predict for one file, or for texts, as a command line says by the names of its arguments."""
    from nabi.files import writing_as

    other = other_predictor(said["model"])
    # Other processes do not know yet who writes.
    with writing_as("nabi predict"):
        if other is not None:
            other.predict(said)
        else:
            _predict_texts(said)


def _predict_texts(said: Said) -> None:
    from nabi.cli._predictions import PredictionWriter
    from nabi.training import on_threads

    texts, file, aspect, encoding = said["texts"], said["file"], said["aspect"], said["encoding"]
    if bool(texts) == (file is not None):
        raise ArgumentError("TEXT: expected either texts or --file FILE, got both or neither")
    classifier = load_classifier(said["model"], said["cell"] or ())
    if said["top"] > 1 and classifier.labels.several:
        raise ArgumentError(
            "--top: expected a model with one label per text; with several, all probabilities are written"
        )
    if file is None:
        parts: Iterator[_Part] = iter([_Part(texts, None if aspect is None else [aspect] * len(texts))])
    elif file == _STANDARD_INPUT:
        parts = _lines(iter(sys.stdin), classifier)
    elif any(suffix.lower() in _LINES for suffix in file.suffixes) and said["separator"] is None:
        parts = _lines(_lines_of(file, encoding), classifier)
    else:
        reading = {"encoding": encoding, "separator": said["separator"], "quoted": said["quotes"]}
        parts = _rows(classifier, file, said["text"], aspect, **reading)
    with (
        on_threads(said["threads"]),
        PredictionWriter(said["out"], classifier, said["top"], said["threshold"]) as writer,
    ):
        for part in parts:
            writer.write(part.texts, part.aspects, part.columns)


def _lines_of(file: Path, encoding: str) -> Iterator[str]:
    from nabi.data import TextFile, check_file

    check_file(file)
    return TextFile(file, encoding).lines("\n")


def _lines(lines: Iterator[str], classifier: "TextClassifier") -> Iterator[_Part]:
    if classifier.has_aspects:
        raise ArgumentError(
            "--file: expected a table with a column of aspects, got lines; the model was trained with aspects"
        )
    while part := [line.rstrip("\r\n") for line in islice(lines, _ROWS_AT_ONCE)]:
        yield _Part(part, None)


def _rows(
    classifier: "TextClassifier", file: Path, text: str | None, aspect: str | None, **options: Any
) -> Iterator[_Part]:
    from nabi.data import stream_table, table_columns

    columns = classifier.columns_of(file, text, None, aspect)
    if columns is None:
        raise ArgumentError(
            "--text: expected the column of the texts, as the model was not trained on a table, got none"
        )
    first = [columns.text] if columns.aspect is None else [columns.text, columns.aspect]
    every = table_columns(file, encoding=options["encoding"], separator=options["separator"])
    # A column that is named twice cannot be told from the other; then only those that are read are kept.
    names = list(every) if len(set(every)) == len(every) and set(first) <= set(every) else first
    for table in stream_table(file, names, rows=_ROWS_AT_ONCE, **options):
        texts = [_as_text(value) for value in table[columns.text]]
        about = None if columns.aspect is None else [_as_text(value) for value in table[columns.aspect]]
        yield _Part(texts, about, {name: table[name] for name in names})


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)
