"""`nabi evaluate`: the scores of a trained model on labelled data."""

from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._figures import give_figures
from nabi.cli._load import CELL_HELP, load_classifier
from nabi.cli._outputs import Overwrite, with_files
from nabi.cli._predictors._registry import other_evaluator, refuse_options
from nabi.cli._terminal import make_console
from nabi.cli._texts import HEADER_HELP

__all__ = ["evaluate"]

_OF_LABELS = frozenset(
    {"model", "file", "text", "label", "aspect", "threshold", "out", "as_json", "picture", "encoding",
     "separator", "quotes", "header", "overwrite", "cell", "threads"}
)  # fmt: skip


@with_files(
    reads={"MODEL": "model", "FILE": "file", "--folder": "folder"},
    writes={"--out": "out", "--picture": "picture"},
)
def evaluate(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(help="A model from `nabi train`.", metavar="MODEL", show_default=False),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="A table of texts and labels, - for one from standard input; for other models, files as in "
            "training.",
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
    source: Annotated[
        str | None,
        typer.Option(
            help="For a translator: column of the sources.", metavar="COLUMN", show_default="the first of two"
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="For a translator: column of the targets.",
            metavar="COLUMN",
            show_default="the second of two",
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            help="For a captioner: column of the file names.",
            metavar="COLUMN",
            show_default="image, or the first",
        ),
    ] = None,
    caption: Annotated[
        str | None,
        typer.Option(
            help="For a captioner: column of the captions.",
            metavar="COLUMN",
            show_default="caption, or the second",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the pictures or recordings that the table names.",
            show_default="that of the table",
        ),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="For a language model: each line is a text of its own.")
    ] = False,
    beam: Annotated[int, typer.Option(help="Beam width, for models that write; 1 is greedy.", min=1)] = 5,
    out: Annotated[Path | None, typer.Option(help="File for the figures.", metavar="FILE.json")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="File for the confusion matrix, .png or .svg.", metavar="FILE")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of the table.")] = "utf-8",
    separator: Annotated[
        str | None, typer.Option(help="Column separator.", metavar="CHARACTER", show_default="detected")
    ] = None,
    quotes: Annotated[bool, typer.Option(help="Whether fields of a .csv file can be quoted.")] = True,
    header: Annotated[bool, typer.Option(help=HEADER_HELP)] = True,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Evaluate a model of any kind on data that it has not learnt from.

    Labels: accuracy, F1 and the confusion matrix. Tags of tokens: accuracy, and precision, recall and F1 of
    the spans that they mark, by type. Translations and captions: BLEU, chrF, the share that is
    exactly right, and the error rates of words and characters. A text: bits per character and perplexity.
    Music: nats per frame. Speech: the error rate of words. Series: the errors of forecasts of their ends.

    Rows and files that cannot be read are named and left out.
    """
    from nabi.drawing import check_suffix
    from nabi.training import on_threads

    other = other_evaluator(model)
    if other is not None:
        other.evaluate(refuse_options(context, other.evaluate_options, other.what))
        return
    refuse_options(context, _OF_LABELS, "texts with labels")
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
            header=header,
            wrong_rows="keep",
        )
    give_figures("evaluate", report.to_dict(), out, as_json, lambda: make_console().print(report))
    if picture is not None:
        report.picture(picture)
