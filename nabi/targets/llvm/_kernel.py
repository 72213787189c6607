"""Runs native kernels on torch tensors: the same contract as the eager target's kernel.

A small layer takes some tens of microseconds, so what is done here around a kernel counts: arguments are
filled into a list by their place, and nothing is computed that sizes met before have settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import NativeError
from nabi.native.addresses import NO_MEMORY, expect, to_fill, to_read
from nabi.native.memory import LARGE, Block, fresh, give_back, take, working_memory
from nabi.targets.llvm._compiled import Compiled, Sizes, backward_kernel, forward_kernel

__all__ = [
    "FEW",
    "NativeError",
    "NativeRecord",
    "backward_for",
    "fill_weights",
    "forward_for",
    "gradient_like",
    "laid_out",
    "run_backward",
    "run_forward",
]

FEW = 4
"""A batch of so many rows is a small one: products with the input go before the steps."""

_SHORT = 8
"""A sequence alone of so many steps reads weights where they lie: packing would take as long as the steps."""

_EARLY_ROWS = 128
_PANEL_ROWS = 512
"""Rows of a chunk of steps at most, of a small batch forward and of any batch backward."""


@dataclass(eq=False, repr=False)
class NativeRecord:
    """What a native forward pass leaves for the backward pass.

    Attributes:
        x: input rows.
        initial: initial states.
        states: rows of the states that were handed out; the others lie in `memory`.
        noises: rows of every random input.
        memory: where saved values lie; None once they are used up.
    """

    x: Tensor
    initial: tuple[Tensor, ...]
    states: tuple[Tensor | None, ...]
    noises: tuple[Tensor, ...]
    memory: Block | None

    def __del__(self) -> None:
        if self.memory is not None:
            give_back(self.memory[0])
            self.memory = None


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
) -> tuple[list[Tensor | None], tuple[Tensor, ...], NativeRecord | None]:
    """Run a program over packed rows; see the eager kernel. Noises come as rows."""
    x = x.contiguous()
    initial = tuple([state.contiguous() for state in initial])
    noises = tuple([noise.contiguous() for noise in noises])
    _check(program, rows, x, initial, noises)
    families, columns_first, lines = laid_out(program, families, x.dtype)
    compiled, sizes, limits = forward_for(program, rows, x.dtype, columns_first, keep=keep, save=save)
    place = compiled.place
    memory = working_memory(sizes.working_layout)
    values = compiled.arguments(sizes, rows, *limits, memory)
    record_memory = None
    if save:
        record_memory = take(sizes.record_layout)
        for at, offset in sizes.record:
            values[at] = record_memory[1] + offset
    _fill(compiled, values, x, initial, families, lines, noises)
    finals = []
    states: list[Tensor | None] = [None] * len(initial)
    for i, state in enumerate(initial):
        final = torch.empty_like(state)
        values[place[f"final_{i}"]] = to_fill(final)
        finals.append(final)
    for i in keep:
        states[i] = kept = fresh((rows.count, program.state_widths[i]), x.dtype)
        values[place[f"state_{i}"]] = to_fill(kept)
    compiled.run(values, rows, memory)
    record = NativeRecord(x, initial, tuple(states), noises, record_memory) if save else None
    return states, tuple(finals), record


def run_backward(
    program: Program,
    rows: Rows,
    record: NativeRecord,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_initial: bool,
    need_families: tuple[bool, ...],
    into: Sequence[Tensor | None] | None = None,
) -> tuple[Tensor | None, tuple[Tensor | None, ...], tuple[Tensor | None, ...]]:
    """Run the derivative over packed rows; see the eager kernel."""
    x = record.x
    families, columns_first, lines = laid_out(program, families, x.dtype)
    given = tuple([i for i, cotangent in enumerate(state_cotangents) if cotangent is not None])
    keep = tuple([i for i, state in enumerate(record.states) if state is not None])
    need_weights = True in need_families
    compiled, sizes, limits = backward_for(
        program, rows, x.dtype, columns_first,
        keep=keep, given=given, need_input=need_input, need_weights=need_weights,
    )  # fmt: skip
    place = compiled.place
    memory = working_memory(sizes.working_layout)
    values = compiled.arguments(sizes, rows, *limits, memory)
    assert record.memory is not None
    for at, offset in sizes.record:
        values[at] = record.memory[1] + offset
    _fill(compiled, values, x, record.initial, families, lines, record.noises)
    dx = None
    if need_input:
        dx = fresh((rows.count, program.input_size), x.dtype)
        if "input_gradient" in place:
            values[place["input_gradient"]] = to_fill(dx)
        else:
            dx.zero_()
    gradients: list[Tensor | None] = [None] * len(families)
    if need_weights:
        for i, family in enumerate(families):
            reused = into[i] if into is not None else None
            gradient = gradients[i] = gradient_like(family, columns_first[i]) if reused is None else reused
            if reused is not None and (reused.shape != family.shape or reused.dtype is not x.dtype):
                raise ShapeError(f"into: expected shape {tuple(family.shape)}, got {tuple(reused.shape)}")
            values[place[f"gradient_{i}"]] = to_fill(gradient)
    initial: list[Tensor | None] = [None] * len(record.initial)
    alive = []
    for i, cotangent in enumerate(final_cotangents):
        if need_initial:
            wanted = initial[i] = torch.empty_like(record.initial[i])
            values[place[f"initial_gradient_{i}"]] = to_fill(wanted)
        if cotangent is not None:
            alive.append(cotangent := cotangent.contiguous())
            if cotangent.numel() != record.initial[i].numel() or cotangent.dtype is not x.dtype:
                expect("cotangent of a final state", cotangent, record.initial[i].shape, x.dtype)
            values[place[f"final_gradient_{i}"]] = to_read(cotangent)
    for i in keep:
        kept = record.states[i]
        assert kept is not None
        values[place[f"state_{i}"]] = to_read(kept)
    for i in given:
        given_rows = state_cotangents[i]
        assert given_rows is not None
        alive.append(given_rows := given_rows.contiguous())
        if given_rows.numel() != rows.count * program.state_widths[i] or given_rows.dtype is not x.dtype:
            expect("cotangent of a state", given_rows, (rows.count, program.state_widths[i]), x.dtype)
        values[place[f"given_{i}"]] = to_read(given_rows)
    if rows.cut is not None:
        values[place["cut"]] = to_read(rows.cut)
    compiled.run(values, rows, memory)
    del alive
    wanted_families = [g if needed else None for g, needed in zip(gradients, need_families, strict=True)]
    return dx, tuple(initial), tuple(wanted_families)


def forward_for(
    program: Program,
    rows: Rows,
    dtype: torch.dtype,
    columns_first: tuple[bool, ...],
    *,
    keep: tuple[int, ...],
    save: bool,
) -> tuple[Compiled, Sizes, tuple[int, int]]:
    """Return the forward kernel for rows, its memory, and the rows of a chunk: at most, and in memory."""
    count, batch = rows.count, rows.batch
    few = batch <= FEW
    compiled = forward_kernel(
        program, dtype, save, keep, rows.zero is not None, columns_first, few, _is_read_in_place(rows)
    )
    chunk_rows = min(count, max(_EARLY_ROWS, batch)) if few else 0
    limit = _EARLY_ROWS if few else max(count, 1)
    return compiled, compiled.sizes(batch, count, chunk_rows), (limit, chunk_rows)


def backward_for(
    program: Program,
    rows: Rows,
    dtype: torch.dtype,
    columns_first: tuple[bool, ...],
    *,
    keep: tuple[int, ...],
    given: tuple[int, ...],
    need_input: bool,
    need_weights: bool,
) -> tuple[Compiled, Sizes, tuple[int, int]]:
    """Return the backward kernel for rows, as `forward_for`."""
    count, batch = rows.count, rows.batch
    reads_input = need_input and program.derivative.input is not None
    compiled = backward_kernel(
        program, dtype, keep, given, rows.zero is not None, rows.cut is not None, columns_first, reads_input,
        need_weights, batch <= FEW, _is_read_in_place(rows),
    )  # fmt: skip
    # Off powers of two: vectors of a panel would else compete for the same lines of the cache.
    panel_rows = min(count, max(_PANEL_ROWS, batch))
    panel_rows += (8 - panel_rows) % 64 if count > 64 else 0
    return compiled, compiled.sizes(batch, count, panel_rows), (_PANEL_ROWS, panel_rows)


def _is_read_in_place(rows: Rows) -> bool:
    return rows.batch == 1 and len(rows.active) <= _SHORT


def _check(
    program: Program, rows: Rows, x: Tensor, initial: Sequence[Tensor], noises: Sequence[Tensor]
) -> None:
    """Refuse what is not as large as a kernel takes it to be; it reads without looking."""
    dtype, count = x.dtype, rows.count
    if x.numel() != count * program.input_size:
        expect("x", x, (count, program.input_size), dtype)
    for i, width in enumerate(program.state_widths):
        if (state := initial[i]).numel() != rows.batch * width or state.dtype is not dtype:
            expect("states", state, (rows.batch, width), dtype)
    for noise, values in zip(program.noises, noises, strict=True):
        expect("noise", values, (count, noise.width), dtype)


def laid_out(
    program: Program, families: Sequence[Tensor], dtype: torch.dtype
) -> tuple[Sequence[Tensor], tuple[bool, ...], list[int]]:
    """Bring weights into a layout that kernels read; say which, and how far lines lie apart.

    Raises:
        ShapeError, ArgumentError: weights are not those of the program, or of another type.
    """
    found, columns_first, lines = [], [], []
    for declared, family in zip(program.families, families, strict=True):
        if family.shape != declared.shape or family.dtype is not dtype:
            expect(declared.name, family.contiguous(), declared.shape, dtype)
            raise ShapeError(f"{declared.name}: expected shape {declared.shape}, got {tuple(family.shape)}")
        first, line = True, family.shape[-1]
        if not family.is_contiguous():
            if family.dim() == 2 and 1 in (stride := family.stride()):
                first, line = (True, stride[0]) if stride[1] == 1 else (False, stride[1])
            else:
                family = family.detach().contiguous()
        found.append(family)
        columns_first.append(first)
        lines.append(line)
    return found, tuple(columns_first), lines


def gradient_like(family: Tensor, columns_first: bool) -> Tensor:
    """Return a tensor for a gradient, laid out as its weights."""
    if family.nbytes < LARGE:
        return torch.empty_like(family)  # keeps the order of the dimensions in memory
    if columns_first:
        return fresh(tuple(family.shape), family.dtype)
    return fresh((family.shape[1], family.shape[0]), family.dtype).t()


def fill_weights(
    compiled: Compiled, values: list[int], families: Sequence[Tensor], lines: Sequence[int]
) -> None:
    """Fill in where weights lie and how far apart their lines are."""
    at = compiled.place["family_0"] if families else 0
    step = compiled.kernel.family_step
    for family, line in zip(families, lines, strict=True):
        if not (address := to_read(family)):
            raise ArgumentError(NO_MEMORY)
        values[at], values[at + 1] = address, line
        at += step


def _fill(
    compiled: Compiled,
    values: list[int],
    x: Tensor,
    initial: Sequence[Tensor],
    families: Sequence[Tensor],
    lines: Sequence[int],
    noises: Sequence[Tensor],
) -> None:
    """Fill in the tensors that both directions read."""
    place = compiled.place
    values[place["x"]] = to_read(x)
    fill_weights(compiled, values, families, lines)
    for i, state in enumerate(initial):
        values[place[f"initial_{i}"]] = to_read(state)
    for i, noise in enumerate(noises):
        values[place[f"noise_{i}"]] = to_read(noise)
