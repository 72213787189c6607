"""Runs native kernels on torch tensors: the same contract as the eager target's kernel.

A small layer takes some tens of microseconds, so what is done here around a kernel counts: arguments are
filled into a list by their place, and nothing is computed that sizes met before have settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.targets._rows import Rows
from nabi.targets.llvm._compiled import Compiled, backward_kernel, forward_kernel
from nabi.targets.llvm._machine import NativeError
from nabi.targets.llvm._memory import Block, fresh, give_back, take

__all__ = ["FEW", "NativeError", "NativeRecord", "families_for_kernels", "run_backward", "run_forward"]

FEW = 4
_EARLY_ROWS = 128
_PANEL_ROWS = 512


@dataclass(eq=False)
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
    count, batch = rows.count, rows.batch
    x = x.contiguous()
    initial = tuple([state.contiguous() for state in initial])
    noises = tuple([noise.contiguous() for noise in noises])
    families, columns_first, lines = families_for_kernels(families)
    few = batch <= FEW
    compiled = forward_kernel(program, x.dtype, save, keep, rows.zero is not None, columns_first, few)
    chunk_rows = min(count, max(_EARLY_ROWS, batch)) if few else 0
    sizes = compiled.sizes(batch, count, chunk_rows)
    place = compiled.place
    values = compiled.arguments(sizes, rows, _EARLY_ROWS if few else max(count, 1), chunk_rows)
    record_memory = None
    if save:
        record_memory = take(sizes.record_bytes)
        for at, offset in sizes.record:
            values[at] = record_memory[1] + offset
    _fill(compiled, values, x, initial, families, lines, noises)
    finals = []
    states: list[Tensor | None] = [None] * len(initial)
    for i, state in enumerate(initial):
        final = torch.empty_like(state)
        values[place[f"final_{i}"]] = final.data_ptr()
        finals.append(final)
    for i in keep:
        states[i] = kept = fresh((count, program.state_widths[i]), x.dtype)
        values[place[f"state_{i}"]] = kept.data_ptr()
    compiled.run(values, rows)
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
    x, batch, count = record.x, rows.batch, rows.count
    families, columns_first, lines = families_for_kernels(families)
    given = tuple([i for i, cotangent in enumerate(state_cotangents) if cotangent is not None])
    keep = tuple([i for i, state in enumerate(record.states) if state is not None])
    need_weights = True in need_families
    reads_input = need_input and program.derivative.input is not None
    options = (
        keep, given, rows.zero is not None, rows.cut is not None, columns_first, reads_input, need_weights,
        batch <= FEW,
    )  # fmt: skip
    compiled = backward_kernel(program, x.dtype, *options)
    # Off powers of two: vectors of a panel would else compete for the same lines of the cache.
    panel_rows = min(count, max(_PANEL_ROWS, batch))
    panel_rows += (8 - panel_rows) % 64 if count > 64 else 0
    sizes = compiled.sizes(batch, count, panel_rows)
    place = compiled.place
    values = compiled.arguments(sizes, rows, _PANEL_ROWS, panel_rows)
    assert record.memory is not None
    for at, offset in sizes.record:
        values[at] = record.memory[1] + offset
    _fill(compiled, values, x, record.initial, families, lines, record.noises)
    dx = None
    if need_input:
        dx = fresh((count, program.input_size), x.dtype) if reads_input else torch.zeros_like(x)
        if reads_input:
            values[place["input_gradient"]] = dx.data_ptr()
    gradients: list[Tensor | None] = [None] * len(families)
    if need_weights:
        for i, family in enumerate(families):
            reused = into[i] if into is not None else None
            gradient = gradients[i] = _gradient_like(family, columns_first[i]) if reused is None else reused
            values[place[f"gradient_{i}"]] = gradient.data_ptr()
    initial: list[Tensor | None] = [None] * len(record.initial)
    alive = []
    for i, cotangent in enumerate(final_cotangents):
        if need_initial:
            wanted = initial[i] = torch.empty_like(record.initial[i])
            values[place[f"initial_gradient_{i}"]] = wanted.data_ptr()
        if cotangent is not None:
            alive.append(cotangent := cotangent.contiguous())
            values[place[f"final_gradient_{i}"]] = cotangent.data_ptr()
    for i in keep:
        kept = record.states[i]
        assert kept is not None
        values[place[f"state_{i}"]] = kept.data_ptr()
    for i in given:
        given_rows = state_cotangents[i]
        assert given_rows is not None
        alive.append(given_rows := given_rows.contiguous())
        values[place[f"given_{i}"]] = given_rows.data_ptr()
    if rows.cut is not None:
        values[place["cut"]] = rows.cut.data_ptr()
    compiled.run(values, rows)
    del alive
    wanted_families = [g if needed else None for g, needed in zip(gradients, need_families, strict=True)]
    return dx, tuple(initial), tuple(wanted_families)


def families_for_kernels(families: Sequence[Tensor]) -> tuple[Sequence[Tensor], tuple[bool, ...], list[int]]:
    """Bring weights into a layout that kernels read; say which, and how far lines lie apart."""
    found, columns_first, lines = [], [], []
    for family in families:
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


def _gradient_like(family: Tensor, columns_first: bool) -> Tensor:
    """Return a tensor for a gradient, laid out as its weights."""
    if columns_first:
        return fresh(tuple(family.shape), family.dtype)
    return fresh((family.shape[1], family.shape[0]), family.dtype).t()


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
    values[place["x"]] = x.data_ptr()
    at = place["family_0"] if families else 0
    step = compiled.kernel.family_step
    for family, line in zip(families, lines, strict=True):
        values[at], values[at + 1] = family.data_ptr(), line
        at += step
    for i, state in enumerate(initial):
        values[place[f"initial_{i}"]] = state.data_ptr()
    for i, noise in enumerate(noises):
        values[place[f"noise_{i}"]] = noise.data_ptr()
