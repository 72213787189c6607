"""`nabi export`: a trained model as a file for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._load import CELL_HELP, load_any
from nabi.cli._outputs import Overwrite, beside_onnx, cell_files, check_outputs

__all__ = ["export"]


class Format(StrEnum):
    """The format to write."""

    ONNX = "onnx"


def export(
    model: Annotated[
        Path,
        typer.Argument(
            help="A model from `nabi train`, `nabi run` or `save`.", metavar="MODEL", show_default=False
        ),
    ],
    to: Annotated[Format, typer.Option(help="The format to write.")] = Format.ONNX,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write.", metavar="FILE", show_default="the model's name with .onnx"),
    ] = None,
    lengths: Annotated[
        bool, typer.Option("--lengths", help="Have the lengths of sequences as an input.")
    ] = False,
    stateful: Annotated[
        bool,
        typer.Option("--stateful", help="Have states as inputs and outputs, to read piece by piece."),
    ] = False,
    opset: Annotated[int, typer.Option(help="Version of ONNX's operators, 17 to 22.")] = 17,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Write a trained model for other programs: an ONNX file, which ONNX Runtime runs without nabi.

    What a system does with raw data before its network (a vocabulary) is written beside it, as JSON. Of a
    translator or captioner, FILE is the encoder; one step of its decoder is beside it, as model.step.onnx.
    What draws the chords of a model of notes is in model.chord.onnx.
    """
    place = model.with_suffix(f".{to}") if out is None else out
    check_outputs(
        {"--out": [place, *beside_onnx(place)]},
        {"MODEL": model, "--cell": cell_files(cell or ())},
        overwrite=overwrite,
    )
    found = load_any(model, cell or ())
    from nabi.interchange import write_onnx

    written = write_onnx(found, place, lengths=lengths, stateful=stateful, opset=opset)
    models = [str(one) for one in written if one.suffix != ".json"]
    typer.echo(f"The model is in {' and '.join(models)}")
