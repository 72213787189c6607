"""`nabi quantize`: a trained model with weights in fewer bits."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nabi.cli._figures import give_figures
from nabi.cli._load import CELL_HELP, load_any
from nabi.cli._outputs import Overwrite, Said, with_files
from nabi.cli._terminal import make_console
from nabi.errors import ArgumentError

__all__ = ["quantize"]

_MEASURED = (
    "TextClassifier", "SeriesClassifier", "ClipClassifier", "SoundClassifier", "Forecaster",
    "LanguageModel", "NoteModel", "SeriesRegressor", "Tagger", "TextRegressor",
)  # fmt: skip
"""Models whose data are one file or folder."""


class Weights(StrEnum):
    """What weights become."""

    INT8 = "int8"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def _place(said: Said) -> Path:
    """Return the file to write."""
    out: Path | None = said["out"]
    model: Path = said["model"]
    return model.with_suffix(f".{said['weights']}.nabi") if out is None else out


@with_files(reads={"MODEL": "model", "--file": "file"}, writes={"--out": _place})
def quantize(
    model: Annotated[
        Path,
        typer.Argument(
            help="A model from `nabi train`, `nabi run` or `save`.", metavar="MODEL", show_default=False
        ),
    ],
    weights: Annotated[Weights, typer.Option(help="What weights become.")] = Weights.INT8,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write.", metavar="FILE", show_default="the model's name with .int8.nabi"),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Data with labels, as `nabi evaluate` takes them: both models are measured on them.",
            metavar="DATA",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
    threads: Annotated[int | None, typer.Option(help="Number of threads.", min=1)] = None,
) -> None:
    """Store a trained model's weights in fewer bits: a quarter (int8) or half of the file.

    Matrices of recurrent layers, Dense, Embedding and convolutions become int8 with a scale for each output,
    bfloat16 or float16; states and sums stay float32. No data are needed. With --file, it says what this
    costs in accuracy.
    The new file is used as the old one, except for training.
    """
    from nabi.training import on_threads

    place = _place({"model": model, "weights": weights, "out": out})
    found = load_any(model, cell or (), compile=True)
    if file is not None and type(found).__name__ not in _MEASURED:
        raise ArgumentError(
            f"--file: expected none for a {type(found).__name__}, whose data are not one file; measure both "
            "models in a program"
        )
    with on_threads(threads):
        before = None if file is None else found.evaluate(file)
        report = found.quantize(str(weights))
        after = None if file is None else found.evaluate(file)
    found.save(place)
    if as_json:
        content = {**asdict(report), "file": str(place), "file_bytes": place.stat().st_size}
        if file is not None:
            content |= {"before": _as_figures(before), "after": _as_figures(after)}
        give_figures("quantize", content, None, True, lambda: None)
        return
    typer.echo(str(report))
    if file is not None:
        _print_figures(before, after, str(weights))
    typer.echo(f"The model is in {place}: {_size(place)} instead of {_size(model)}")


def _as_figures(measured: Any) -> Any:
    """Return what a model was measured to be, as JSON can hold it."""
    if hasattr(measured, "to_dict"):
        return measured.to_dict()
    if hasattr(measured, "table"):  # of forecasts
        return {name: scores.to_dict() for name, scores in measured.table().items()}
    return measured


def _print_figures(before: Any, after: Any, weights: str) -> None:
    """Print how good the model was and is, and the difference in accuracy where there is one."""

    for name, report in (("float32", before), (weights, after)):
        typer.echo(f"With {name} weights:")
        make_console().print(report)
    one, two = getattr(before, "accuracy", None), getattr(after, "accuracy", None)
    if one is not None and two is not None:
        points = 100 * (two - one)
        typer.echo(f"Accuracy: {100 * one:.2f} % before, {100 * two:.2f} % now ({points:+.2f} points)")


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB"
