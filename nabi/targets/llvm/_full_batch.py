"""A program over batches of one shape in which every sequence has every step, called again and again.

A small layer computes for some tens of microseconds; finding kernels, memory and arguments would take as long
again at every call. What the shape decides is settled here once. A call copies a block of arguments, so that
threads of Python can call at the same time, and fills in addresses.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import NativeError, give_up, threads as _threads
from nabi.native.addresses import NO_MEMORY, Arguments, to_fill, to_read
from nabi.native.memory import Block, fresh, take, working_memory, zeros
from nabi.targets._full_batch import BatchShape
from nabi.targets._run import name_of
from nabi.targets.llvm._compiled import Compiled, Sizes
from nabi.targets.llvm._kernel import NativeRecord, backward_for, forward_for, gradient_like

__all__ = ["NativeFullBatch"]

_TEMPLATES = 64
"""Blocks of arguments that a kernel keeps: one for each thread of Python that calls it."""


class NativeFullBatch:
    """See `nabi.targets.FullBatch`.

    Args:
        program: the program, without random inputs.
        shape: the batches.
        rows: their layout.
        dtype: of all tensors.

    Raises:
        NativeError: if the forward kernel cannot be made.
    """

    def __init__(self, program: Program, shape: BatchShape, rows: Rows, dtype: torch.dtype) -> None:
        self._program, self._shape, self._rows, self._dtype = program, shape, rows, dtype
        compiled, sizes, limits = forward_for(
            program, rows, dtype, shape.columns_first, keep=(0,), save=shape.save
        )
        self._forward = _Call(compiled, sizes, rows, limits)
        self._backward: dict[tuple[bool, bool, bool], _Call] = {}
        batch, widths = shape.batch, program.state_widths
        self._zeros = zeros(batch * max(widths) * dtype.itemsize)
        self._final_shapes = [(1, batch, width) if shape.stacked else (batch, width) for width in widths]

    def forward(
        self, x: Tensor, initial: Sequence[Tensor] | None, families: Sequence[Tensor], lines: Sequence[int]
    ) -> tuple[Tensor, tuple[Tensor, ...], NativeRecord | None]:
        """Run forward."""
        call = self._forward
        block, threads = call.arguments()
        output = self._sequences(self._program.state_widths[0])
        block[call.x_at], block[call.output_at] = to_read(x), to_fill(output)
        at, step = call.family_at, call.family_step
        for family, line in zip(families, lines, strict=True):
            if not (address := to_read(family)):
                raise ArgumentError(NO_MEMORY)
            block[at], block[at + 1] = address, line
            at += step
        finals = []
        for i, shape in enumerate(self._final_shapes):
            finals.append(final := torch.empty(shape, dtype=self._dtype))
            block[call.initial_at[i]] = self._zeros if initial is None else to_read(initial[i])
            block[call.final_at[i]] = to_fill(final)
        record = None
        if self._shape.save:
            memory = take(call.sizes.record_layout)
            record = NativeRecord(x, tuple(initial or ()), (), (), memory)
            for at, offset in call.sizes.record:
                block[at] = memory[1] + offset
        call.run(block, threads)
        return output, tuple(finals), record

    def backward(
        self,
        record: NativeRecord,
        output: Tensor,
        families: Sequence[Tensor],
        lines: Sequence[int],
        output_cotangent: Tensor | None,
        final_cotangents: Sequence[Tensor | None],
        *,
        need_input: bool,
        need_initial: bool,
        need_families: bool,
    ) -> tuple[Tensor | None, list[Tensor | None], list[Tensor]] | None:
        """Run backward."""
        key = (output_cotangent is not None, need_input, need_families)
        call = self._backward.get(key) or self._backward_call(*key)
        if call is None:
            return None
        memory, initial = record.memory, record.initial
        assert memory is not None
        block, threads = call.arguments()
        block[call.x_at], block[call.output_at] = to_read(record.x), to_read(output)
        for at, offset in call.sizes.record:
            block[at] = memory[1] + offset
        gradients = []
        at, step = call.family_at, call.family_step
        for family, line, first in zip(families, lines, self._shape.columns_first, strict=True):
            if not (address := to_read(family)):
                raise ArgumentError(NO_MEMORY)
            block[at], block[at + 1] = address, line
            if need_families:
                gradients.append(gradient := gradient_like(family, first))
                block[at + 2] = to_fill(gradient)
            at += step
        wanted: list[Tensor | None] = [None] * len(final_cotangents)
        for i, cotangent in enumerate(final_cotangents):
            block[call.initial_at[i]] = to_read(initial[i]) if initial else self._zeros
            if need_initial:
                wanted[i] = gradient = torch.empty_like(initial[i])
                block[call.initial_gradient_at[i]] = to_fill(gradient)
            if cotangent is not None:
                block[call.final_at[i]] = to_read(cotangent)
        if output_cotangent is not None:
            block[call.given_at] = to_read(output_cotangent)
        dx = None
        if need_input:
            dx = self._sequences(self._program.input_size)
            if call.input_at is None:
                dx.zero_()  # no equation reads the input
            else:
                block[call.input_at] = to_fill(dx)
        call.run(block, threads)
        return dx, wanted, gradients

    def _sequences(self, width: int) -> Tensor:
        """Return memory for all steps: a batch as a caller sees it, in memory time first. It is never a view.

        autograd forbids changing a view that a function made.
        """
        batch, time = self._shape.batch, self._shape.time
        if self._shape.time_major:
            return fresh((time, batch, width), self._dtype)
        return fresh((batch, time, width), self._dtype, (width, batch * width, 1))

    def _backward_call(self, given: bool, need_input: bool, need_weights: bool) -> "_Call | None":
        try:
            compiled, sizes, limits = backward_for(
                self._program, self._rows, self._dtype, self._shape.columns_first,
                keep=(0,), given=(0,) if given else (), need_input=need_input, need_weights=need_weights,
            )  # fmt: skip
        except NativeError as problem:
            give_up(self._program.key, name_of(self._program), problem)
            return None
        call = self._backward[given, need_input, need_weights] = _Call(compiled, sizes, self._rows, limits)
        return call


class _Call:
    """A kernel, its arguments as far as they stay, and where the others go."""

    def __init__(self, compiled: Compiled, sizes: Sizes, rows: Rows, limits: tuple[int, int]) -> None:
        self.sizes = sizes
        self._compiled, self._rows, self._limits = compiled, rows, limits
        self._work = float(rows.count) * compiled.multiply_adds
        self._templates: dict[tuple[int, int], tuple[Any, bytes]] = {}
        place, program = compiled.place, compiled.kernel.program
        self._barriers_at = place["barriers"]
        self.x_at = place["x"]
        self.family_at = place["family_0"] if program.families else 0
        self.family_step = compiled.kernel.family_step
        states = range(len(program.state_names))
        end = "final" if "final_0" in place else "final_gradient"
        self.initial_at = [place[f"initial_{i}"] for i in states]
        self.final_at = [place[f"{end}_{i}"] for i in states]
        self.initial_gradient_at = [place.get(f"initial_gradient_{i}", 0) for i in states]
        self.output_at = place["state_0"]
        self.given_at = place.get("given_0", 0)
        self.input_at = place.get("input_gradient")

    def arguments(self) -> tuple[Arguments, int]:
        """Return a block of arguments of the caller's own, and the threads that shall run the kernel."""
        memory = working_memory(self.sizes.working_layout)
        start = memory[1]
        threads = _threads.threads_for(self._work)
        found = self._templates.get((start, threads)) or self._template(memory, threads)
        block = found[0].from_buffer_copy(found[1])
        block[self._barriers_at] += ctypes.addressof(block)
        block.memory = memory[0]
        return block, threads

    def run(self, block: Arguments, threads: int) -> None:
        """Run the kernel on arguments that are complete."""
        _threads.run(self._compiled.address, block, threads)

    def _template(self, memory: Block, threads: int) -> tuple[Any, bytes]:
        compiled = self._compiled
        values = compiled.arguments(self.sizes, self._rows, *self._limits, memory)
        block = compiled.block(values, self._rows, threads, memory)
        # Where the counters of barriers lie, from the start of any copy.
        block[self._barriers_at] = 8 * compiled.count
        if len(self._templates) >= _TEMPLATES:
            self._templates.clear()
        self._templates[memory[1], threads] = found = type(block), bytes(block)
        return found
