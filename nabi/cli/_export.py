"""`nabi export`: a trained model for other programs, as a file, as machine code, or as a page."""

from collections.abc import Mapping, Sequence
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
    WASM = "wasm"
    WEB = "web"


_OPTIONS = {
    Format.ONNX: ("lengths", "stateful", "opset"),
    Format.OBJECT: ("target", "cpu", "weights", "name", "separate_weights"),
    Format.C: ("name", "separate_weights"),
    Format.WASM: ("weights", "name", "simd"),
    Format.WEB: ("name",),
}
"""The options of each format."""


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


def _name(said: Said) -> str:
    """Return the title of a page, or what names of files begin with."""
    from nabi.shipping import identifier

    given: str = said["model"].stem if said["name"] is None else said["name"]
    return given if said["to"] is Format.WEB else identifier(given)


def _written(said: Said) -> list[Path] | Together:
    """Return the files to write."""
    from nabi.shipping import WEB_FILE, c_files, object_files, web_assembly_names

    place, to, separate = _place(said), said["to"], said["separate_weights"]
    if to is Format.ONNX:
        return [place, *beside_onnx(place)]
    if to is Format.WEB:
        return [place / WEB_FILE]
    if to is Format.WASM:
        names: Sequence[str] = web_assembly_names(_name(said))
    elif to is Format.C:
        names = c_files(_name(said), separate_weights=separate)
    else:
        names = object_files(_name(said), said["target"], separate_weights=separate)
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
            help="File to write; of all formats but onnx the folder.",
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
        typer.Option(
            help="object, c, wasm: what names of files and functions begin with; web: the title of the page.",
            show_default="MODEL's",
        ),
    ] = None,
    weights: Annotated[
        Weights | None,
        typer.Option(
            help="object, wasm: what weights are stored as; see `nabi quantize`.", show_default="MODEL's"
        ),
    ] = None,
    separate_weights: Annotated[
        bool, typer.Option("--separate-weights", help="object, c: have the weights in a file of their own.")
    ] = False,
    simd: Annotated[
        bool, typer.Option("--simd/--no-simd", help="wasm: use vectors, which all browsers have since 2023.")
    ] = True,
    overwrite: Overwrite = False,
    cell: Annotated[list[str] | None, typer.Option(help=CELL_HELP, metavar="FILE.py:Class")] = None,
) -> None:
    """Write a trained model for other programs: ONNX, machine code, C source, WebAssembly, or a page.

    An ONNX file runs in ONNX Runtime without nabi. What a system does with raw data before its network (a
    vocabulary) is written beside it, as JSON. Of a translator or captioner, PATH is the encoder; one step of
    its decoder is beside it, as model.step.onnx. What draws the chords of a model of notes is in
    model.chord.onnx.

    Machine code and C source compute one step of the model after the other, or whole sequences if it has
    bidirectional layers, without an operating system or a library: machine code on any of many processors, C
    on all others. A WebAssembly module does so in browsers and other engines. A page runs the model where one
    looks on: a classifier shows the words that moved it, a language model writes on, a model of notes
    composes and plays, a forecaster forecasts as one changes the past.
    """
    options: dict[str, Any] = {
        "lengths": lengths or None, "stateful": stateful or None, "opset": opset, "target": target,
        "cpu": cpu, "weights": weights and str(weights), "name": name,
        "separate_weights": separate_weights or None, "simd": simd and None,
    }  # fmt: skip
    _refuse_options(to, options)
    place = _place({"model": model, "to": to, "out": out})
    if to is not Format.ONNX:
        options["name"] = _name({"model": model, "to": to, "name": name})
        options["overwrite"] = overwrite or None
    found = load_any(model, cell or ())
    import nabi
    from nabi.shipping import left_out

    given = {key: value for key, value in options.items() if value is not None}
    written = nabi.export(found, place, to.value, **given)
    if to is Format.ONNX:
        models = [str(one) for one in written if one.suffix != ".json"]
        typer.echo(f"The model is in {' and '.join(models)}")
    else:
        typer.echo("\n".join(["Written:", *(f"  {place / one.name}" for one in written)]))
        missing = "" if to is Format.WEB else left_out(found)
        if missing:
            typer.echo(f"It is the network alone: {missing}")


def _refuse_options(to: Format, options: Mapping[str, Any]) -> None:
    """Refuse options of another format."""
    for key, value in options.items():
        if value is not None and key not in _OPTIONS[to]:
            shown = "--no-simd" if key == "simd" else f"--{key.replace('_', '-')}"
            raise ArgumentError(f"{shown}: expected no such option with --to {to.value}")
