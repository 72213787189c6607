"""`nabi show`: the forms of a cell, and what is in a model file."""

from enum import StrEnum
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nabi.cli._bench import Precision
from nabi.cli._load import CELL_HELP
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
    """Return the file to write; a picture always is one."""
    out: Path | None = said["out"]
    if out is None and said["form"] is Form.PICTURE and _model_file(said) is None:
        return Path(f"{said['cell'].rpartition(':')[2]}.svg")
    return out


@with_files(reads={"FILE": _model_file}, writes={"--out": _written})
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
            help="File to write instead of printing; a picture is always a file, .svg or .png.",
            metavar="FILE",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show a cell: its equations, their LaTeX, the traced operations, a picture over time, the parameters.

    Also a twin of it as a plain PyTorch module, to read and to run (torch), and its native code, as LLVM IR
    (llvm) or assembly (asm).

    For a model file, show what is in it: its layers with shapes and parameters and the equations of their
    cells; for a trained system, its settings, classes and vocabulary; for weights alone, the tensors and the
    recurrent layers that their names and shapes show.
    """
    from nabi.cli._cell import find_cell, trace
    from nabi.cli._show_file import is_model_file, show_file

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
