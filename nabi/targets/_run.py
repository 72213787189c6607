"""Runs a program over packed rows on the target that can and is fastest: native code, else torch.

Native code is for float32 and float64 on the CPU. What it does not do (another device or dtype, tensors
that only pretend to hold data) goes to the eager target by itself, and so does everything where llvmlite is
missing, the processor is unknown, or `NABI_NATIVE=0` says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import DTYPES, PLAIN, give_up, has_failed, is_available, is_ordinary, is_watched
from nabi.targets import eager

__all__ = ["Gradients", "Record", "is_native", "name_of", "run_backward", "run_forward"]

Gradients = eager.Gradients


@dataclass(eq=False)
class Record:
    """What a forward pass leaves for the backward pass on the same target."""

    native: bool
    kept: Any


def run_forward(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: tuple[Tensor, ...],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    save: bool,
) -> tuple[list[Tensor | None], tuple[Tensor, ...], Record]:
    """Run a program over packed rows.

    Args:
        program: the program.
        rows: the layout.
        x: input rows `[N, D]`.
        initial: initial states `[B, width]`, sequences in the order of the rows.
        families: weights.
        noises: random inputs: `[B, width]` in the order of the rows, or `[N, width]` when per step.
        keep: the states whose rows are wanted.
        save: whether a backward pass will follow.

    Returns:
        The rows of each state (None where not kept), the final states `[B, width]` in the order of the
        rows, and the record for `run_backward`, empty unless `save`.
    """
    if is_native(program, (x, *initial, *families, *noises)):
        from nabi.targets.llvm import _kernel

        try:
            noise_rows = eager.noise_rows(program, rows, noises) if noises else ()
            states, finals, kept = _kernel.run_forward(
                program, rows, x, initial, families, noise_rows, keep=keep, save=save
            )
        except _kernel.NativeError as problem:
            give_up(program.key, name_of(program), problem)
        else:
            return states, finals, Record(True, kept)
    states, finals, record = eager.run_forward(
        program, rows, x, initial, families, noises, keep=keep, save=save
    )
    return states, finals, Record(False, record)


def run_backward(
    program: Program,
    rows: Rows,
    record: Record,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_initial: bool = True,
    need_families: tuple[bool, ...],
    into: Sequence[Tensor | None] | None = None,
) -> Gradients:
    """Run the derivative over packed rows, last step first.

    Args:
        program, rows, record, families: as in and from `run_forward`.
        state_cotangents: for each state the cotangents of its rows `[N, width]`, or None.
        final_cotangents: for each state the cotangent of its final value `[B, width]`, or None.
        need_input: whether the gradient of the input is wanted.
        need_initial: whether those of the initial states are; they may be given all the same.
        need_families: for each family whether its gradient is wanted.
        into: gradients of families that an earlier run returned for the same weights, to be written over.
    """
    if record.native:
        from nabi.targets.llvm import _kernel

        try:
            dx, initial, gradients = _kernel.run_backward(
                program, rows, record.kept, families, state_cotangents, final_cotangents,
                need_input=need_input, need_initial=need_initial, need_families=need_families, into=into,
            )  # fmt: skip
        except _kernel.NativeError as problem:
            give_up(program.key, name_of(program), problem)
            record = _run_again(program, rows, record.kept, families)
        else:
            return Gradients(dx, initial, gradients)
    return eager.run_backward(
        program, rows, record.kept, families, state_cotangents, final_cotangents,
        need_input=need_input, need_families=need_families,
    )  # fmt: skip


def _run_again(program: Program, rows: Rows, kept: Any, families: Sequence[Tensor]) -> Record:
    """Run a native forward pass once more on torch, for a backward pass that cannot be native."""
    first = rows.active[0] if rows.active else 0
    # Random inputs were given as rows; those of the first step serve whole sequences.
    noises = [
        values if noise.per_step else values[:first]
        for noise, values in zip(program.noises, kept.noises, strict=True)
    ]
    _, _, record = eager.run_forward(
        program, rows, kept.x, kept.initial, families, noises, keep=(), save=True
    )
    return Record(False, record)


def is_native(program: Program, tensors: Sequence[Tensor]) -> bool:
    """Whether native code runs a program on these tensors."""
    first = tensors[0]
    dtype = first.dtype
    if dtype not in DTYPES or has_failed(program.key):
        return False
    if first.is_neg():  # its memory holds the numbers with the other sign
        return False
    for tensor in tensors:
        kind = type(tensor)
        if (kind not in PLAIN and not is_ordinary(kind)) or tensor.dtype is not dtype or not tensor.is_cpu:
            return False
        # A parameter is never such a view, unless it lies so that it is copied; asking costs a little.
        if kind is Tensor and tensor.is_neg():
            return False
    if is_watched():
        return False
    return is_available()


def name_of(program: Program) -> str:
    """What a warning calls a program."""
    return type(program.cell).__name__
