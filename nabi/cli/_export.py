"""`nabi export`: a trained model for other programs, as a file or as machine code."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nabi.cli._load import CELL_HELP, load_any
from nabi.cli._outputs import Overwrite, Said, Together, beside_onnx, with_files
from nabi.errors import ArgumentError

__all__ = ["export"]


class Format(StrEnum):
    """The format to write."""

    ONNX = "onnx"
    OBJECT = "object"
    C = "c"


class Weights(StrEnum):
    """What weights are stored as."""

    FLOAT32 = "float32"
    INT8 = "int8"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def _place(said: Said) -> Path:
    """Return the file or folder to write."""
    out: Path | None = said["out"]
    model: Path = said["model"]
    return model.with_suffix(".onnx" if said["to"] is Format.ONNX else "") if out is None else out


def _label(said: Said) -> str:
    """Return what names of files and functions begin with."""
    from nabi.shipping import identifier

    name: str | None = said["name"]
    return identifier(said["model"].stem) if name is None else name


def _written(said: Said) -> list[Path] | Together:
    """Return the files to write."""
    place = _place(said)
    if said["to"] is Format.ONNX:
        return [place, *beside_onnx(place)]
    from nabi.shipping import c_files, object_files

    if said["to"] is Format.OBJECT:
        names = object_files(_label(said), said["target"], separate_weights=said["separate_weights"])
    else:
        names = c_files(_label(said), separate_weights=said["separate_weights"])
    return Together(tuple(place / name for name in names))


@with_files(reads={"MODEL": "model"}, writes={"--out": _written})
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
        typer.Option(
            help="File to write; of object and c the folder.",
            metavar="PATH",
            show_default="the model's name, with .onnx",
        ),
    ] = None,
    lengths: Annotated[
        bool, typer.Option("--lengths", help="onnx: have the lengths of sequences as an input.")
    ] = False,
    stateful: Annotated[
        bool,
        typer.Option("--stateful", help="onnx: have states as inputs and outputs, to read piece by piece."),
    ] = False,
    opset: Annotated[
        int | None, typer.Option(help="onnx: version of its operators, 17 to 22.", show_default="17")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="object: processor and system: x86-64, aarch64, armv7, cortex-m4, cortex-m7, cortex-m55, "
            "riscv32, riscv64, ...",
            show_default="x86-64",
        ),
    ] = None,
    cpu: Annotated[str | None, typer.Option(help="object: a processor of the target.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="object, c: what names of files and functions begin with.", show_default="MODEL's"),
    ] = None,
    weights: Annotated[
        Weights | None,
        typer.Option(help="object: what weights are stored as; see `nabi quantize`.", show_default="MODEL's"),
    ] = None,
    separate_weights: Annotated[
        bool, typer.Option("--separate-weights", help="object, c: have the weights in a file of their own.")
    ] = False,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Write a trained model for other programs: an ONNX file, machine code with a C header, or C source.

    An ONNX file runs in ONNX Runtime without nabi. What a system does with raw data before its network (a
    vocabulary) is written beside it, as JSON. Of a translator or captioner, PATH is the encoder; one step of
    its decoder is beside it, as model.step.onnx. What draws the chords of a model of notes is in
    model.chord.onnx.

    Machine code and C source compute one step of the model after the other, without an operating system or a
    library: machine code on any of many processors, C on all others.
    """
    of_onnx: dict[str, Any] = {"lengths": lengths or None, "stateful": stateful or None, "opset": opset}
    of_object: dict[str, Any] = {"target": target, "cpu": cpu, "weights": weights and str(weights)}
    of_both: dict[str, Any] = {"name": name, "separate_weights": separate_weights or None}
    if to is Format.ONNX:
        _refuse_options(to, {**of_object, **of_both})
        options = of_onnx
    else:
        _refuse_options(to, {**of_onnx, **(of_object if to is Format.C else {})})
        options = {
            **of_object, **of_both, "name": _label({"model": model, "name": name}),
            "overwrite": overwrite or None,
        }  # fmt: skip
    place = _place({"model": model, "to": to, "out": out})
    found = load_any(model, cell or ())
    import nabi

    given = {key: value for key, value in options.items() if value is not None}
    written = nabi.export(found, place, to.value, **given)
    if to is Format.ONNX:
        models = [str(one) for one in written if one.suffix != ".json"]
        typer.echo(f"The model is in {' and '.join(models)}")
    else:
        typer.echo(f"The model is in {', '.join(one.name for one in written)} in {place}")


def _refuse_options(to: Format, others: Mapping[str, Any]) -> None:
    """Refuse options of another format."""
    given = [f"--{key.replace('_', '-')}" for key, value in others.items() if value is not None]
    if given:
        raise ArgumentError(f"{given[0]}: expected no such option with --to {to.value}")
