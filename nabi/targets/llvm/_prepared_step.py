"""One step of a program by native code, with weights that are packed once.

A kernel packs its weights at every run, because they may have changed since the last. Where steps come one by
one, each with the same weights, packing costs several times what the step itself does: here a kernel without
any step packs them into memory that is kept, and kernels that leave packing out go on from there.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import threads as _threads
from nabi.native.addresses import expect, lay_out, to_fill, to_read
from nabi.native.memory import Block, new_memory
from nabi.targets.llvm._compiled import Compiled, forward_kernel
from nabi.targets.llvm._kernel import FEW, laid_out
from nabi.targets.llvm._plan._forward import ForwardKernel

__all__ = ["NativeStep"]

_BATCH_SIZES = 64


@dataclass(eq=False)
class _Ready:
    """Arguments for one batch size; only input and states are filled in for a step. One thread uses it."""

    compiled: Compiled
    block: Any
    counters: int
    threads: int
    x_at: int
    states_at: int
    alive: tuple[Any, ...]


class NativeStep:
    """Takes one step after the other; called with `[B, D]` and states, it gives the new states."""

    def __init__(self, program: Program, families: Sequence[Tensor]) -> None:
        self._program = program
        self._families, self._columns_first, self._lines = laid_out(program, families, families[0].dtype)
        self._dtype = families[0].dtype
        self._multiply_adds = float(program.parameter_count)
        self._packed: dict[bool, _Arrays] = {}
        self._ready: dict[int, list[_Ready]] = {}
        self._pack(few=True)

    def __call__(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Take a step."""
        batch = x.shape[0]
        if not batch:
            return tuple([state.clone() for state in states])
        threads = _threads.threads_for(batch * self._multiply_adds)
        # Taken out while it is used: a thread that calls meanwhile gets arguments and memory of its own.
        try:
            ready = self._ready[batch].pop()
        except (KeyError, IndexError):
            ready = self._make(batch, threads)
        if ready.threads != threads:
            ready = self._make(batch, threads)
        block, at = ready.block, ready.states_at
        x = x.contiguous()
        if x.numel() != batch * self._program.input_size or x.dtype is not self._dtype:
            expect("x", x, (batch, self._program.input_size), self._dtype)
        block[ready.x_at] = to_read(x)
        alive, finals = [x], []
        for state, width in zip(states, self._program.state_widths, strict=True):
            state = state.contiguous()
            if state.numel() != batch * width or state.dtype is not self._dtype:
                expect("states", state, (batch, width), self._dtype)
            final = torch.empty_like(state)
            # An initial state and its final state lie side by side among the arguments.
            block[at], block[at + 1] = to_read(state), to_fill(final)
            at += 2
            alive.append(state)
            finals.append(final)
        if threads > 1:
            ctypes.memset(ready.counters, 0, 8 * (threads + 2) * _threads.COUNTER_STRIDE)
        _threads.run(ready.compiled.address, block, threads)
        del alive
        self._keep(batch, ready)
        return tuple(finals)

    def _pack(self, few: bool) -> "_Arrays":
        """Pack the weights, as kernels for few rows or for many read them, by a run without any step."""
        found = self._packed.get(few)
        if found is not None:
            return found
        compiled = self._kernel(few, is_packed=False)
        kernel = compiled.kernel
        assert isinstance(kernel, ForwardKernel)
        found = _Arrays(kernel.weights.sizes, self._dtype)
        batch = 1 if few else FEW + 1
        rows = Rows([], batch)
        values, own, alive = self._values(compiled, rows, found)
        states = [torch.zeros(batch, width, dtype=self._dtype) for width in self._program.state_widths]
        finals = [torch.empty_like(state) for state in states]
        # Without a step nothing reads the input.
        for i, (state, final) in enumerate(zip(states, finals, strict=True)):
            values[compiled.place[f"initial_{i}"]] = to_read(state)
            values[compiled.place[f"final_{i}"]] = to_fill(final)
        compiled.run(values, rows, own)
        del alive
        # Only now may other threads read it. Of two that packed at the same time each keeps its own.
        self._packed[few] = found
        return found

    def _make(self, batch: int, threads: int) -> _Ready:
        few = batch <= FEW
        packed = self._pack(few)
        compiled = self._kernel(few, is_packed=True)
        rows = Rows([batch], batch)
        values, own, alive = self._values(compiled, rows, packed)
        block = compiled.block(values, rows, threads, own)
        counters = ctypes.addressof(block) + 8 * compiled.count
        return _Ready(
            compiled, block, counters, threads, compiled.place["x"], compiled.place["initial_0"],
            (*alive, packed),
        )  # fmt: skip

    def _keep(self, batch: int, ready: _Ready) -> None:
        spare = self._ready.get(batch)
        if spare is None:
            if len(self._ready) >= _BATCH_SIZES:
                self._ready.clear()
            spare = self._ready.setdefault(batch, [])
        spare.append(ready)

    def _kernel(self, few: bool, is_packed: bool) -> Compiled:
        return forward_kernel(
            self._program, self._dtype, False, (), False, self._columns_first, few, False, is_packed
        )

    def _values(
        self, compiled: Compiled, rows: Rows, packed: "_Arrays"
    ) -> tuple[list[int], Block, tuple[Any, ...]]:
        """Return the arguments without input and states, their working memory, and what else must live."""
        kernel, place = compiled.kernel, compiled.place
        assert isinstance(kernel, ForwardKernel)
        values = [0] * compiled.count
        sizes = {name: size * rows.batch for name, size in kernel.exchange.items()}
        sizes.update({name: size * rows.batch for name, size in kernel.weights.early_lines.items()})
        own = _Arrays(sizes, self._dtype)
        for name, address in (packed.addresses | own.addresses).items():
            values[place[name]] = address
        chunks = rows.chunks(rows.batch)
        values[place["chunks"]] = len(chunks) - 1
        values[place["chunk_start"]] = to_read(chunks)
        values[place["chunk_rows"]] = rows.batch
        values[place["batch"]] = rows.batch
        values[place["steps"]] = len(rows.active)
        values[place["offset"]] = to_read(rows.offset)
        for i, (family, line) in enumerate(zip(self._families, self._lines, strict=True)):
            values[place[f"family_{i}"]], values[place[f"line_{i}"]] = to_read(family), line
        return values, own.block, (packed, rows, chunks)


class _Arrays:
    """Arrays in memory of their own, and the address of each."""

    def __init__(self, sizes: dict[str, int], dtype: torch.dtype) -> None:
        layout = lay_out(sizes, dtype.itemsize)
        self.block = new_memory(layout)
        self.addresses = {name: self.block[1] + at for name, at in layout.places.items()}
