"""`nabi evaluate`: the scores of a trained model on labelled data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._load import CELL_HELP, load_classifier
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._predictors._registry import other_predictor, refuse_options
from nabi.cli._terminal import make_console

__all__ = ["evaluate"]


@with_files(reads={"MODEL": "model", "FILE": "file"}, writes={"--out": "out", "--picture": "picture"})
def evaluate(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(help="A model from `nabi train`.", metavar="MODEL", show_default=False),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="A table of texts and labels; for other models, files as in training.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    text: Annotated[
        str | None,
        typer.Option(help="Column of the texts.", metavar="COLUMN", show_default="as in training"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Column or columns of the labels.", metavar="COLUMN", show_default="as in training"
        ),
    ] = None,
    aspect: Annotated[
        str | None,
        typer.Option(help="Column of the aspects.", metavar="COLUMN", show_default="as in training"),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(help="Minimum probability of a label, for texts with several labels.", min=0.0, max=1.0),
    ] = 0.5,
    out: Annotated[Path | None, typer.Option(help="File for the figures.", metavar="FILE.json")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="File for the confusion matrix, .png or .svg.", metavar="FILE")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of the table.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Column separator.", metavar="CHARACTER", show_default="detected")
    ] = None,
    quotes: Annotated[bool, typer.Option(help="Whether fields of a .csv file can be quoted.")] = True,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Evaluate a model on data with correct labels, or a forecaster on the end of each series."""
    from nabi.drawing import check_suffix
    from nabi.files import write_atomically
    from nabi.training import on_threads

    other = other_predictor(model)
    if other is not None:
        other.evaluate(refuse_options(context, other.evaluate_options, other.what))
        return
    if picture is not None:
        check_suffix(picture)
    classifier = load_classifier(model, cell or ())
    with on_threads(threads):
        report = classifier.evaluate(
            file,
            text=text,
            label=label or None,
            aspect=aspect,
            threshold=threshold,
            encoding=encoding,
            separator=separator,
            quoted=quotes,
        )
    make_console().print(report)
    if out is not None:
        with write_atomically(out, "w") as written:
            content = {"written_by": "nabi evaluate", **report.to_dict()}
            json.dump(content, written, indent=2, ensure_ascii=False)
            written.write("\n")
    if picture is not None:
        report.picture(picture)
