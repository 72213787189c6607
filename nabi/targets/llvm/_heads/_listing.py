"""What `nabi show` says about the kernels of a program with heads, above their code."""

from textwrap import wrap
from typing import Any, Literal

from nabi.ir import Program
from nabi.native import Machine, NativeError
from nabi.targets.llvm._heads._plan import HeadsKernel
from nabi.targets.llvm._heads._schedule import Schedule
from nabi.targets.llvm._heads._shapes import UnsupportedError

__all__ = ["head_and_module"]


def head_and_module(
    program: Program, direction: Literal["forward", "backward"], dtype: str, machine: Machine
) -> tuple[list[str], Any]:
    """Return the lines above the code, and the module of a kernel.

    Raises:
        NativeError: no kernel can be written for the program.
    """
    from nabi.targets.llvm._heads._kernels import write_module

    # What runs, where torch computes weights before the steps.
    runs = program.lowered.program if program.lowered else program
    kernel = HeadsKernel(runs, dtype, machine, direction, direction == "forward", (), ())
    try:
        heads = kernel.places.heads.count
    except UnsupportedError as problem:
        raise NativeError(
            f"There is no native code for {type(program.cell).__name__}, torch runs it: {problem}."
        ) from problem
    name, width = type(program.cell).__name__, program.input_size
    lines = [
        f"{name}, input of width {width}: the {direction} kernel in {dtype}",
        "",
        *(f"  {equation}" for equation in program.equations),
        "",
        f"heads     {heads}; steps of a chunk whose states are computed again backward: {kernel.chunk}",
        *([f"rows      {kernel.together} together multiply weights"] if kernel.together > 1 else []),
        f"machine   {machine.triple}, {machine.cpu}",
    ]
    if direction == "backward":
        lines += _loops("again", kernel.replay)
    lines += _loops("loop", kernel.schedule)
    lines += wrap("arguments " + ", ".join(kernel.arguments), 100, subsequent_indent=" " * 10)
    return lines, write_module(kernel)


def _loops(word: str, schedule: Schedule) -> list[str]:
    found = []
    for loop in schedule.loops:
        shape = " × ".join(map(str, loop.shape)) or ("1" if loop.product is None else "weights")
        operations = ", ".join(node.operation for node in loop.items)
        found += wrap(f"{word:<10}{shape}: {operations}", 100, subsequent_indent=" " * 10)
    return found
