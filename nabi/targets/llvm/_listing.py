"""The code of a kernel to read: LLVM's language, or the assembly of a machine."""

from importlib import import_module
from textwrap import wrap
from typing import TYPE_CHECKING, Literal

from nabi.errors import unknown_name
from nabi.ir import Program
from nabi.native import OTHER_MACHINES, Machine, NativeError, host

if TYPE_CHECKING:
    from nabi.targets.llvm._plan._backward import BackwardKernel
    from nabi.targets.llvm._plan._forward import ForwardKernel
    from nabi.targets.llvm._plan._schedule import Pass
    from nabi.targets.llvm._plan._tiles import Tile

__all__ = ["listing"]


def listing(
    program: Program,
    form: Literal["llvm", "asm"],
    *,
    direction: Literal["forward", "backward"] = "forward",
    dtype: Literal["float32", "float64"] = "float32",
    machine: str | None = None,
) -> str:
    """Return the code of a program's kernel, below comments that say what it is.

    It is the kernel of plain batches of more than a few sequences: the first state is handed out at every
    step, nothing is masked or reset, and weights lie as torch has them. Forward it is that of inference;
    backward gives the gradients of the input, of the initial states and of all weights.

    Args:
        program: the program.
        form: `"llvm"` for LLVM's language, `"asm"` for assembly.
        direction: which of the two kernels.
        dtype: of all numbers.
        machine: one of `OTHER_MACHINES` by name; this machine unless given.

    Raises:
        NativeError: where llvmlite is missing, this machine is none that native code runs on, or the program
            has axes that are not divided among heads.
        UnknownNameError: if `machine` is not known.

    >>> from nabi import cells
    >>> program = cells.SimpleRNN(units=16).program(input_size=4)
    >>> text = listing(program, "asm", machine="x86_64-linux-avx2")
    >>> print(text.partition(chr(10))[0])
    # SimpleRNN, input of width 4: the forward kernel in float32
    >>> "vfmadd" in text
    True
    """
    if machine is not None and machine not in OTHER_MACHINES:
        raise unknown_name("machine", machine, OTHER_MACHINES)
    target = host() if machine is None else OTHER_MACHINES[machine]
    try:
        import_module("llvmlite.binding")
    except (ImportError, OSError) as problem:
        raise NativeError(f"There is no code to show: llvmlite cannot be loaded ({problem}).") from problem
    from nabi.native import emit_assembly

    if program.has_axes:
        from nabi.targets.llvm._heads._listing import head_and_module

        head_lines, module = head_and_module(program, direction, dtype, target)
    else:
        from nabi.targets.llvm._writer._module import write_module

        runs = program.lowered.program if program.lowered else program
        kernel = _kernel(runs.as_states, direction, dtype, target)
        head_lines, module = _head(kernel), write_module(kernel)
    module.triple = target.triple
    sign = "//" if form == "asm" and target.architecture == "aarch64" else "#" if form == "asm" else ";"
    head = "\n".join(f"{sign} {line}".rstrip() for line in head_lines)
    text = emit_assembly(module, target) if form == "asm" else str(module)
    return f"{head}\n\n{text.strip()}"


def _kernel(
    program: Program, direction: str, dtype: str, machine: Machine
) -> "ForwardKernel | BackwardKernel":
    from nabi.targets.llvm._plan._kinds import make_backward, make_forward

    columns_first = (True,) * len(program.families)
    if direction == "forward":
        return make_forward(
            program, dtype, machine,
            save=False, keep=(0,), flags=False, columns_first=columns_first, few_rows=False,
        )  # fmt: skip
    return make_backward(
        program, dtype, machine,
        keep=(0,), given=(0,), zeros=False, cuts=False, columns_first=columns_first,
        need_input=program.derivative.reaches_inputs, need_weights=bool(program.families), few_rows=False,
    )  # fmt: skip


def _head(kernel: "ForwardKernel | BackwardKernel") -> list[str]:
    from nabi.targets.llvm._plan._backward import BackwardKernel

    program, machine = kernel.program, kernel.machine
    widths = [
        f"{name} {width}" for name, width in zip(program.state_names, program.state_widths, strict=True)
    ]
    cell, width = type(program.cell).__name__, program.input_size
    lines = [
        f"{cell}, input of width {width}: the {kernel.name} kernel in {kernel.dtype}",
        "",
        *(f"  {equation}" for equation in program.equations),
        "",
        f"states    {', '.join(widths)}",
        f"machine   {machine.triple}, {machine.cpu}",
        f"vectors   {kernel.lanes} × {kernel.dtype}, {machine.registers} registers",
    ]
    lines.extend(_tile(found, tile) for found, tile in kernel.tiles.items())
    after = kernel.input_tiles if isinstance(kernel, BackwardKernel) else {}
    lines.extend(_tile(found, tile, " (the input's gradient)") for found, tile in after.items())
    arguments = wrap("arguments " + ", ".join(kernel.arguments), 100, subsequent_indent=" " * 10)
    return [*lines, *arguments]


def _tile(found: "Pass", tile: "Tile", note: str = "") -> str:
    count = len(found.sums)
    sums = f"{count} sum{'' if count == 1 else 's'} of products" if count else "no products"
    size = f"tile of {tile.rows} × {tile.vectors} vectors" if count else "row by row"
    return f"pass      {found.width} units, {sums}, {size}{note}"
