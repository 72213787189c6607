"""`nabi show`: the forms of a cell, and what is in a model file."""

from collections.abc import Sequence
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nabi.cli._bench import Precision
from nabi.cli._load import CELL_HELP, file_of
from nabi.cli._outputs import Overwrite, Said, with_files
from nabi.errors import ArgumentError, unknown_name

if TYPE_CHECKING:
    from nabi.ir import Program

__all__ = ["show"]


class Form(StrEnum):
    """The form in which to show a cell."""

    EQUATIONS = "equations"
    LATEX = "latex"
    IR = "ir"
    PICTURE = "picture"
    ANIMATION = "animation"
    PARAMETERS = "parameters"
    TORCH = "torch"
    LLVM = "llvm"
    ASM = "asm"


class Direction(StrEnum):
    """The kernel whose code to show."""

    FORWARD = "forward"
    BACKWARD = "backward"


def _model_file(said: Said) -> Path | None:
    """Return the model file to show; None for a cell."""
    from nabi.cli._show_file import is_model_file

    return Path(said["cell"]) if is_model_file(said["cell"]) else None


def _written(said: Said) -> Path | None:
    """Return the file to write; a picture and an animation always are one."""
    out: Path | None = said["out"]
    if out is not None:
        return out
    model = _model_file(said)
    if said["form"] is Form.ANIMATION:
        name = said["cell"].rpartition(":")[2] if model is None else model.stem
        return Path(f"{name}.html")
    if said["form"] is Form.PICTURE and model is None:
        return Path(f"{said['cell'].rpartition(':')[2]}.svg")
    return None


@with_files(
    reads={"FILE": _model_file, "--data": lambda said: file_of(said["data"])}, writes={"--out": _written}
)
def show(
    cell: Annotated[
        str,
        typer.Argument(
            help="A name from `nabi list`, FILE.py:Class for a custom cell, or a model file: .nabi, .onnx, "
            ".keras, .h5, .pt, .pt2, .safetensors, or the .index of a checkpoint of TensorFlow.",
            metavar="CELL|FILE",
        ),
    ],
    form: Annotated[Form, typer.Option("--as", help="The form to show.")] = Form.EQUATIONS,
    units: Annotated[int, typer.Option(help="Width of its states.", min=1)] = 5,
    inputs: Annotated[int, typer.Option(help="Width of its input.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Time steps in the picture.", min=1)] = 3,
    data: Annotated[
        str | None,
        typer.Option(
            help="For an animation: what is read. A cell reads characters, or numbers: '0.1 0.2 0.3', a .npy "
            "file, or a file with a step in each line. A model reads a text, or a file as in training.",
            metavar="TEXT|FILE",
            show_default="hello, for a cell",
        ),
    ] = None,
    layer: Annotated[
        int, typer.Option(help="For an animation of a model: which recurrent layer.", min=1)
    ] = 1,
    language: Annotated[
        str | None,
        typer.Option(help="Of an animation: en or ko.", metavar="en|ko", show_default="NABI_LANG, locale"),
    ] = None,
    direction: Annotated[
        Direction, typer.Option(help="For llvm and asm: the step, or its derivative.")
    ] = Direction.FORWARD,
    dtype: Annotated[
        Precision, typer.Option(help="Data type of the numbers in llvm and asm.")
    ] = Precision.FLOAT32,
    machine: Annotated[
        str | None,
        typer.Option(
            help="Target machine of llvm and asm: this one, or one of aarch64-linux, arm64-macos, "
            "x86_64-linux-avx512, x86_64-linux-avx2, x86_64-windows-avx2, x86_64-windows-sse.",
            metavar="NAME",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Another argument of the cell: full=true, activation=relu.", metavar="NAME=VALUE"
        ),
    ] = None,
    own_cells: Annotated[
        list[str] | None,
        typer.Option("--cell", help="For a model file: " + CELL_HELP, metavar="FILE.py:Class"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write instead of printing; a picture is always a file, .svg or .png, and an "
            "animation, .html or .gif.",
            metavar="FILE",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show a cell: its equations, their LaTeX, the traced operations, a picture over time, the parameters.

    An animation shows a sequence running through the unrolled network, with all gates and states in colour:
    through a cell with initial weights, or through a trained model given as CELL.

    Also a twin of it as a plain PyTorch module, to read and to run (torch), and its native code, as LLVM IR
    (llvm) or assembly (asm).

    For a model file, show what is in it: its layers with shapes and parameters and the equations of their
    cells; for a trained system, its settings, classes and vocabulary; for weights alone, the tensors and the
    recurrent layers that their names and shapes show.
    """
    from nabi.cli._cell import find_cell, trace
    from nabi.cli._show_file import is_model_file, show_file

    if form is Form.ANIMATION:
        out = _written({"cell": cell, "form": form, "out": out})
        assert out is not None
        _animate(cell, data, out, layer, language, units, settings or (), own_cells or ())
        return
    if data is not None:
        raise ArgumentError(f"--data: expected it with --as animation, got --as {form}")
    if is_model_file(cell):
        if form is not Form.EQUATIONS:
            raise ArgumentError(f"--as: expected a cell for --as {form}, got the file {cell}")
        show_file(cell, own_cells or (), out)
        return
    found = find_cell(cell, units, settings or (), inputs)
    program = trace(found, inputs)
    if form is Form.PICTURE:
        from nabi.targets import picture

        out = _written({"cell": cell, "form": form, "out": out})
        assert out is not None
        picture.unrolled(program, steps, out)
        typer.echo(f"The picture is in {out}")
        return
    if form in (Form.LLVM, Form.ASM):
        text = _code(program, form, direction, dtype, machine)
    else:
        text = _text(program, form, document=out is not None)
    if out is None:
        typer.echo(text)
        return
    from nabi.files import write_atomically

    with write_atomically(out, "w") as file:
        file.write(text + "\n")
    typer.echo(f"Written to {out}")


def _animate(
    name: str,
    data: str | None,
    out: Path,
    layer: int,
    language: str | None,
    units: int,
    settings: Sequence[str],
    own_cells: Sequence[str],
) -> None:
    """Write the animation of a cell or of a model."""
    from nabi.cli._cell import find_cell
    from nabi.cli._load import load_any
    from nabi.cli._show_file import is_model_file
    from nabi.explain import animation_of, cell_animation, check_animation, read_sequence

    check_animation(out)
    if is_model_file(name):
        animation_of(load_any(Path(name), own_cells), data, out, layer=layer, language=language)
    else:
        sequence = data or "hello"
        numbers, _ = read_sequence(sequence)
        cell = find_cell(name, units, settings, numbers.shape[1])
        cell_animation(cell, sequence, out, language=language)
    typer.echo(f"The animation is in {out}")


def _text(program: "Program", form: Form, document: bool) -> str:
    if form is Form.EQUATIONS:
        return "\n".join(program.equations)
    if form is Form.IR:
        return str(program)
    if form is Form.PARAMETERS:
        return _parameters(program)
    if form is Form.TORCH:
        from nabi.targets.torch_source import module_source

        return module_source(program)
    from nabi.targets import latex

    return latex.document(program) if document else "\n".join(latex.equations(program))


def _code(program: "Program", form: Form, direction: Direction, dtype: Precision, machine: str | None) -> str:
    from nabi.targets import llvm

    kind: Literal["llvm", "asm"] = "llvm" if form is Form.LLVM else "asm"
    if machine is not None and machine not in llvm.OTHER_MACHINES:
        raise unknown_name("--machine", machine, llvm.OTHER_MACHINES)
    return llvm.listing(program, kind, direction=direction.value, dtype=dtype.value, machine=machine)


def _parameters(program: "Program") -> str:
    rows = [("name", "gate", "reads", "shape", "count")]
    for parameter in program.parameters:
        shape = " × ".join(map(str, parameter.shape))
        reads = parameter.role if parameter.trained else f"{parameter.role}, fixed"
        rows.append((parameter.name, parameter.gate, reads, shape, f"{prod(parameter.shape):,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*lines, "", f"together  {program.parameter_sum}"])
