"""`nabi predict`: labels for any number of texts; for other models it asks `_predictors`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nabi.cli._bad_rows import BadRows
from nabi.cli._load import CELL_HELP, load_classifier
from nabi.cli._many_files._plan import Engine, is_of_many, matching, results_of
from nabi.cli._outputs import Overwrite, Said, with_files
from nabi.cli._predictors._registry import other_predictor, refuse_options
from nabi.cli._texts import HEADER_HELP, Reading, TextPart, holds_lines, line_parts, table_parts
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import TextClassifier

__all__ = ["predict", "predict_file"]

_ROWS_AT_ONCE = 1000  # in memory


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
            help="A table, or a .txt file with a text per line; - is standard input: lines, or with --text a "
            "table. A pattern such as 'reviews/*.csv' stands for many files."
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
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON object for each row.")] = False,
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
    header: Annotated[bool, typer.Option(help=HEADER_HELP)] = True,
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
    """Label texts, tokens, series, recordings, clips or DNA with a trained model, with probabilities.

    A model of texts takes texts, or a file with --file, which may be larger than memory; the rows keep their
    order, and the columns of a table stand before what is added.
    An empty text gets the label frequencies of the training data; long texts are truncated as in training.

    A tagger writes a line for each token and its tag; of a CoNLL file the columns stay, and one is added.

    Models of other data take files or folders in place of texts.

    A row or a file that cannot be read is named and has no label; the others go on.

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

    if bool(said["texts"]) == (said["file"] is not None):
        raise ArgumentError("TEXT: expected either texts or --file FILE, got both or neither")
    classifier = load_classifier(said["model"], said["cell"] or ())
    if said["top"] > 1 and classifier.labels.several:
        raise ArgumentError(
            "--top: expected a model with one label per text; with several, all probabilities are written"
        )
    bad = BadRows()
    parts = _parts(said, classifier, bad)
    with (
        on_threads(said["threads"]),
        PredictionWriter(said["out"], classifier, said["top"], said["threshold"], said["as_json"]) as writer,
    ):
        for part in parts:
            writer.write(part)
        bad.end(writer.count)


def _parts(said: Said, classifier: "TextClassifier", bad: BadRows) -> Iterator[TextPart]:
    texts, file, aspect, reading = said["texts"], said["file"], said["aspect"], Reading.of(said)
    if file is None:
        return iter([TextPart(texts, None if aspect is None else [aspect] * len(texts))])
    if holds_lines(file, reading, said["text"]):
        if classifier.has_aspects:
            raise ArgumentError(
                "--file: expected a table with a column of aspects, got lines; the model was trained with "
                "aspects"
            )
        return line_parts(file, said["encoding"], _ROWS_AT_ONCE)
    columns = classifier.columns_of(file, said["text"], None, aspect)
    if columns is None:
        raise ArgumentError(
            "--text: expected the column of the texts, as the model was not trained on a table, got none"
        )
    return table_parts(file, columns.text, columns.aspect, reading, bad, _ROWS_AT_ONCE)
