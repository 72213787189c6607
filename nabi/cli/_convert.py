"""`nabi convert`: a model file of one format as another."""

from pathlib import Path
from typing import Annotated

import typer

from nabi.cli._load import CELL_HELP
from nabi.cli._outputs import Overwrite, Said, beside_onnx, with_files
from nabi.errors import ArgumentError, UnknownNameError

__all__ = ["convert"]


def _written(said: Said) -> list[Path]:
    """Return the file to write, and what may be beside it."""
    target: Path = said["target"]
    return [target, *(beside_onnx(target) if target.suffix == ".onnx" else [])]


@with_files(reads={"IN": "source"}, writes={"OUT": _written})
def convert(
    source: Annotated[
        Path,
        typer.Argument(help="The file to read. Its format is seen in its content.", metavar="IN"),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="The file to write. Its ending says the format: .nabi, .onnx, .keras, .h5, "
            ".weights.h5, .safetensors, .pt.",
            metavar="OUT",
        ),
    ],
    own_cells: Annotated[
        list[str] | None,
        typer.Option("--cell", help=CELL_HELP, metavar="FILE.py:Class"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert a model file to another format, by the ending of its name.

    Models become models, or their weights alone (.safetensors, .pt, .weights.h5). Weights alone, such as a
    checkpoint of TensorFlow 1 (.index) or of PyTorch (.pt), become .safetensors or .pt. Training states are
    kept only from .nabi to .nabi. Nothing in a file is executed.

    Examples: nabi convert song.nabi song.onnx; nabi convert model.ckpt.index weights.safetensors
    """
    from nabi.cli._cell import find_class
    from nabi.interchange import convert as convert_file

    classes = {one.__name__: one for one in map(find_class, own_cells or ())}
    try:
        read, written = convert_file(source, target, classes)
    except UnknownNameError as problem:
        raise ArgumentError(f"{problem}; pass a custom cell as --cell FILE.py:Class") from problem
    typer.echo(f"Written to {target}: {written}, from {read}")
