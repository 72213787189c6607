"""A kernel bound to batches of one size: the one place that fills in the arguments of a program's kernels.

A small layer computes for some tens of microseconds; finding kernels, memory and arguments would take as long
again at every call. So what a size decides is found once, and what the rows of a batch decide stays in blocks
of arguments, which live as long as the layout of the rows. A run takes such a block, writes the addresses of
what is new to it, runs the kernel and puts the block back; threads of Python that run a kernel at the same
time have different ones.
"""

import ctypes
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from nabi._once import cached_property
from nabi.errors import ArgumentError
from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import threads as _threads
from nabi.native.addresses import NO_MEMORY, arguments, expect, to_fill, to_read
from nabi.native.memory import (
    LARGE,
    Block,
    fresh,
    fresh_like,
    new_memory,
    working_memory,
    zeros,
)
from nabi.targets.llvm._binder._records import NativeRecord, RecordMemory
from nabi.targets.llvm._compiled import Compiled, backward_kernel, forward_kernel
from nabi.targets.llvm._plan._chunked import CHUNK_ROWS, ChunkedForward

__all__ = [
    "EARLY_ROWS",
    "FEW",
    "Backward",
    "Bound",
    "Fixed",
    "Forward",
    "bind_backward",
    "bind_forward",
    "bound_backward",
    "bound_forward",
    "gradient_like",
    "is_read_in_place",
    "is_short",
]

FEW = 4
"""A batch of so many rows is a small one: products with the input go before the steps."""

_SHORT = 8
"""The derivative of a sequence alone of at most so many steps reads weights where they lie."""

_SUMMING = 8.0
"""How many weights can be packed in the time that one sum of an unpacked product takes longer: its lanes are
added up, and vectors of weights lie across two lines of the cache."""

EARLY_ROWS = 128
_PANEL_ROWS = 512
"""Rows of a chunk of steps at most, of a small batch forward and of any batch backward."""

_OWN_MEMORY = 128 << 10
"""Bytes of working memory at most that the blocks of a prepared call have to themselves."""

_KINDS = 64
"""Kinds of blocks that one layout of rows keeps: one for each kernel, place of working memory, and team."""

Fixed = dict[int, int]
"""Arguments that are the same at every run, by their place."""


class Bound:
    """A kernel bound to batches of one size.

    Args:
        compiled: the kernel.
        dtype: of all tensors.
        batch, count: sequences, and their steps that are valid.
        steps: of the longest sequence.
        limit: rows of a chunk of steps at most.
        chunk_rows: rows that the arrays of a chunk hold.
        batched: None for results in rows. For a batch in which every sequence has every step: how many steps,
            whether results have time before the sequences in their shape (in memory it comes first always),
            and whether final states are `[1, B, width]`.
    """

    def __init__(
        self,
        compiled: Compiled,
        dtype: torch.dtype,
        batch: int,
        count: int,
        steps: int,
        limit: int,
        chunk_rows: int,
        batched: tuple[int, bool, bool] | None = None,
    ) -> None:
        program = compiled.kernel.program
        self.compiled, self.dtype, self.batch, self.count = compiled, dtype, batch, count
        self.memory = compiled.lay_out(batch, count, chunk_rows)
        self._limit, self._chunk_rows, self._batched = limit, chunk_rows, batched
        self._record, self._fixed = self.memory.record, Fixed()
        self.work = float(count) * compiled.multiply_adds
        self._steps = steps
        self._pays: dict[tuple[bool, int], bool] = {}
        self._x_size = count * program.row_size
        self._sizes = [batch * width for width in program.state_widths]

    def fix(self, values: Fixed) -> None:
        """Say which arguments are the same at every run; before the first."""
        self._fixed = values
        self._record = tuple([entry for entry in self._record if entry[0] not in values])

    def _laid_out(self, width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shape and strides (none if contiguous) of values at every step."""
        if self._batched is None:
            return (self.count, width), ()
        time, time_major, _ = self._batched
        if time_major:
            return (time, self.batch, width), ()
        return (self.batch, time, width), (width, self.batch * width, 1)

    @cached_property
    def _new_dx(self) -> Callable[[], Tensor]:
        """What makes the tensor for the gradient of the input."""
        shape, strides = self._laid_out(self.compiled.kernel.program.row_size)
        return fresh_like(shape, self.dtype, strides)

    @cached_property
    def _zero_states(self) -> int:
        return zeros(max(self._sizes) * self.dtype.itemsize)

    def _block(self, rows: Rows) -> tuple[Any, list[Any], int]:
        """Return a block of arguments, where to put it after the run, and how many threads shall run it."""
        threads = self.threads_for(rows)
        memory = working_memory(self.memory.working_layout)
        spare = rows.blocks.get((self, memory[1], threads))
        if spare is None:
            spare = self._kind_of_block(rows, memory, threads)
        try:
            block = spare.pop()
        except IndexError:
            block = self.new_block(rows, memory, threads)
        else:
            # Addresses in the block lead there: see `nabi.native.addresses`.
            block.memory = memory[0]
            if threads > 1:
                self.clear_counters(block, threads)
        return block, spare, threads

    @property
    def is_light(self) -> bool:
        """Whether one thread always runs it, in so little working memory that blocks can have their own."""
        is_for_one = _threads.is_for_one(self.work) and _threads.threads_for(self.work) == 1
        return is_for_one and self.memory.working_layout.size <= _OWN_MEMORY

    def _light_block(self, rows: Rows, spare: list[Any]) -> Any:
        """Return a block with working memory of its own."""
        try:
            return spare.pop()
        except IndexError:
            return self.new_block(rows, new_memory(self.memory.working_layout, kept=False), 1)

    def _kind_of_block(self, rows: Rows, memory: Block, threads: int) -> list[Any]:
        if len(rows.blocks) >= _KINDS:
            rows.blocks.clear()
        return rows.blocks.setdefault((self, memory[1], threads), [])

    def new_block(self, rows: Rows, memory: Block, threads: int) -> Any:
        """Return a block with all that rows, working memory and threads decide."""
        compiled, start = self.compiled, memory[1]
        values, place = [0] * compiled.count, compiled.place
        for at, offset in self.memory.working:
            values[at] = start + offset
        values[place["chunk_rows"]] = self._chunk_rows
        for at, value in self._fixed.items():
            values[at] = value
        # Counters of barriers lie behind the arguments, zero.
        block: Any = arguments(compiled.count + _counters(threads), values)
        block[place["barriers"]] = ctypes.addressof(block) + 8 * compiled.count
        block.memory = memory[0]
        block.weights, block.lines = (), ()
        self.lay(block, rows, threads)
        return block

    def _put_weights(self, block: Any, weights: Sequence[int], lines: Sequence[int]) -> None:
        """Write to a block where weights lie; a run that finds them there need not."""
        at, step = self.compiled.family_at, self.compiled.family_step
        for address, line in zip(weights, lines, strict=True):
            if not address:
                raise ArgumentError(NO_MEMORY)
            block[at], block[at + 1] = address, line
            at += step
        block.weights, block.lines = weights, lines

    def lay(self, block: Any, rows: Rows, threads: int) -> None:
        """Write to a block what rows decide; they hold the memory that it then leads to."""
        compiled, place = self.compiled, self.compiled.place
        chunks = rows.chunks(self._limit)
        block[place["chunks"]] = len(chunks) - 1
        block[place["chunk_start"]] = to_read(chunks)
        block[place["batch"]] = rows.batch
        block[place["steps"]] = len(rows.active)
        block[place["offset"]] = to_read(rows.offset)
        if rows.zero is not None:
            block[place["zero"]] = to_read(rows.zero)
            block[place["zeros"]] = zeros(max(compiled.kernel.program.state_widths) * self.dtype.itemsize)
        if rows.cut is not None and "cut" in place:
            block[place["cut"]] = to_read(rows.cut)
        block[place["split_units"]] = 0 if self._by_rows(rows, threads) else 1

    def threads_for(self, rows: Rows) -> int:
        """Return how many threads shall run the kernel over rows."""
        threads = _threads.threads_for(self.work)
        if threads == 1:
            return 1
        key = rows.is_even, threads
        pays = self._pays.get(key)
        if pays is None:
            compiled, steps = self.compiled, 0 if self._by_rows(rows, threads) else self._steps
            row_bytes = compiled.kernel.program.state_widths[0] * self.dtype.itemsize
            pays = _threads.pays(
                self.count * compiled.nanoseconds, steps * compiled.barriers, threads,
                _threads.exchange(self.batch, row_bytes),
            )  # fmt: skip
            self._pays[key] = pays
        return threads if pays else 1

    def _by_rows(self, rows: Rows, threads: int) -> bool:
        """Tell whether threads share out rows, which then need no barrier, and not units."""
        # Rows of sequences that end early would be too little work for the thread that has the last ones.
        return self.compiled.is_small and rows.is_even and rows.batch >= 4 * threads

    def execute(self, block: Any, threads: int) -> None:
        """Run the kernel with the arguments of a block."""
        address = self.compiled.address
        if threads == 1:
            _threads.run(address, block, 1)
            return
        start = time.monotonic()
        _threads.run(address, block, threads)
        if checks := block[self.compiled.count + 1]:
            _threads.report(checks, time.monotonic() - start)

    def clear_counters(self, block: Any, threads: int) -> None:
        """Set the counters of barriers back, before a block is used again by so many threads."""
        ctypes.memset(ctypes.addressof(block) + 8 * self.compiled.count, 0, 8 * _counters(threads))


class Forward(Bound):
    """A forward kernel."""

    @cached_property
    def _new_kept(self) -> list[tuple[int, int, Callable[[], Tensor]]]:
        """Number and argument of each state that is handed out, and what makes the tensor for its values."""
        found = []
        for i, at in self.compiled.state_at:
            shape, strides = self._laid_out(self.compiled.kernel.program.state_widths[i])
            found.append((i, at, fresh_like(shape, self.dtype, strides)))
        return found

    @cached_property
    def _new_finals(self) -> list[tuple[int, int, Callable[[], Tensor]]]:
        """Arguments of each state's first and last values, and what makes the tensor for the last ones."""
        compiled, batched = self.compiled, self._batched
        lead = (1, self.batch) if batched is not None and batched[2] else (self.batch,)
        widths = compiled.kernel.program.state_widths
        places = zip(compiled.initial_at, compiled.final_at, widths, strict=True)
        return [(start, end, fresh_like((*lead, width), self.dtype)) for start, end, width in places]

    def run(
        self,
        rows: Rows,
        x: Tensor,
        initial: Sequence[Tensor] | None,
        weights: Sequence[int] = (),
        lines: Sequence[int] = (),
        noises: Sequence[Tensor] = (),
        light: list[Any] | None = None,
    ) -> tuple[list[Tensor | None], tuple[Tensor, ...], NativeRecord | None]:
        """Run the kernel.

        Args:
            rows: the layout, of the size for which the kernel is bound.
            x: input rows, in any shape.
            initial: initial states, or None for zeros.
            weights, lines: where weights lie, which the caller holds, and how far the lines of each lie
                apart; nothing where they are fixed.
            noises: rows of the random inputs.
            light: of a prepared call of a light kernel, the blocks that no thread uses now; empty at first.

        Returns:
            For each state its values at every step, None where they are not kept; the final states; and the
            record for the backward pass, None if there will be none.
        """
        compiled, dtype = self.compiled, self.dtype
        x = x if x.is_contiguous() else _threads.contiguous(x)
        if x.numel() != self._x_size or x.dtype is not dtype:
            expect("x", x, (self.count, compiled.kernel.program.row_size), dtype)
        if light is None:
            block, spare, threads = self._block(rows)
        else:
            block, spare, threads = self._light_block(rows, light), light, 1
        block[compiled.x_at] = to_read(x)
        if block.weights != weights or block.lines != lines:
            self._put_weights(block, weights, lines)
        starts: list[Tensor] = []
        finals: list[Tensor] = []
        block[compiled.zeros_at] = initial is None
        if initial is None:
            zero_states = self._zero_states
            for start_at, end_at, new in self._new_finals:
                finals.append(final := new())
                block[start_at], block[end_at] = zero_states, to_fill(final)
        else:
            for state, start_at, end_at, size in zip(
                initial, compiled.initial_at, compiled.final_at, self._sizes, strict=True
            ):
                starts.append(state := state.contiguous())
                if state.numel() != size or state.dtype is not dtype:
                    expect("states", state, (self.batch, size // max(self.batch, 1)), dtype)
                finals.append(final := torch.empty_like(state))
                block[start_at], block[end_at] = to_read(state), to_fill(final)
        states: list[Tensor | None] = [None] * len(finals)
        for i, at, new in self._new_kept:
            states[i] = kept = new()
            block[at] = to_fill(kept)
        if noises:
            noises = self._fill_noises(block, noises)
        record = None
        if compiled.saves:
            memory = self._records.take() if self._record else None
            if memory is not None:
                for at, offset in self._record:
                    block[at] = memory[1] + offset
            record = NativeRecord(x, starts, noises, memory, self._records)
        self.execute(block, threads)
        if light is None:
            block.memory = None
        spare.append(block)
        return states, tuple(finals), record

    @cached_property
    def _records(self) -> RecordMemory:
        return RecordMemory(self.memory.record_layout)

    def _fill_noises(self, block: Any, noises: Sequence[Tensor]) -> list[Tensor]:
        found = []
        for noise, values, at in zip(
            self.compiled.kernel.program.noises, noises, self.compiled.noise_at, strict=True
        ):
            found.append(values := values.contiguous())
            expect("noise", values, (self.count, noise.width), self.dtype)
            block[at] = to_read(values)
        return found


class Backward(Bound):
    """A backward kernel."""

    @cached_property
    def _new_gradients(self) -> list[Callable[[], Tensor]]:
        """What makes the tensor for the gradient of each family, laid out as its weights."""
        kernel = self.compiled.kernel
        found: list[Callable[[], Tensor]] = []
        for family, first in zip(kernel.program.families, kernel.columns_first, strict=True):
            strides = () if first or len(family.shape) == 1 else (1, family.shape[0])
            found.append(fresh_like(tuple(family.shape), self.dtype, strides))
        return found

    def run(
        self,
        rows: Rows,
        record: NativeRecord,
        families: Sequence[Tensor],
        lines: Sequence[int],
        states: Sequence[Tensor | None],
        cotangents: Sequence[Tensor | None],
        final_cotangents: Sequence[Tensor | None],
        *,
        need_input: bool,
        need_initial: bool,
        light: list[Any] | None = None,
    ) -> tuple[Tensor | None, list[Tensor | None], list[Tensor]]:
        """Run the kernel.

        Args:
            rows: the layout, of the size for which the kernel is bound.
            record: what the forward pass left.
            families, lines: as in the forward pass.
            states: what the forward pass handed out for each state.
            cotangents: for each state those of its values at every step, or None, as the kernel takes them.
            final_cotangents: for each state that of its final value, or None.
            need_input, need_initial: whether the gradients of the input and of the initial states are wanted.
            light: as in the forward pass.

        Returns:
            The gradients of the input and of the initial states, None unless wanted, and those of `families`
            if the kernel computes them.
        """
        compiled, dtype, memory, initial = self.compiled, self.dtype, record.memory, record.initial
        kernel = compiled.kernel
        gradients: list[Tensor] = []
        if compiled.family_step == 3:
            gradients = [new() for new in self._new_gradients]
        if light is None:
            block, spare, threads = self._block(rows)
        else:
            block, spare, threads = self._light_block(rows, light), light, 1
        block[compiled.x_at] = to_read(record.x)
        block[compiled.zeros_at] = not initial
        if memory is not None:
            for at, offset in self._record:
                block[at] = memory[1] + offset
        alive: list[Tensor] = []
        for i, at in compiled.state_at:
            state = states[i]
            assert state is not None
            block[at] = to_read(state)
        for i, at in compiled.given_at:
            cotangent = cotangents[i]
            assert cotangent is not None
            alive.append(cotangent := _threads.contiguous(cotangent))
            width = kernel.program.state_widths[i]
            if cotangent.numel() != self.count * width or cotangent.dtype is not dtype:
                expect("cotangent of a state", cotangent, (self.count, width), dtype)
            block[at] = to_read(cotangent)
        wanted: list[Tensor | None] = [None] * len(final_cotangents)
        for i, cotangent in enumerate(final_cotangents):
            block[compiled.initial_at[i]] = to_read(initial[i]) if initial else self._zero_states
            address = 0
            if need_initial:
                wanted[i] = of_state = torch.empty_like(initial[i])
                address = to_fill(of_state)
            block[compiled.initial_gradient_at[i]] = address
            address = 0
            if cotangent is not None:
                alive.append(cotangent := _threads.contiguous(cotangent))
                if cotangent.numel() != self._sizes[i] or cotangent.dtype is not dtype:
                    width = kernel.program.state_widths[i]
                    expect("cotangent of a final state", cotangent, (self.batch, width), dtype)
                address = to_read(cotangent)
            block[compiled.final_at[i]] = address
        for values, at in zip(record.noises, compiled.noise_at, strict=True):
            block[at] = to_read(values)
        weights, at = [*map(to_read, families)], compiled.family_at
        if block.weights != weights or block.lines != lines:
            self._put_weights(block, weights, lines)
        if gradients:
            block[at + 2 : at + 3 * len(gradients) : 3] = [*map(to_fill, gradients)]
        dx = None
        if need_input:
            dx = self._new_dx()
            if compiled.input_at is None:
                dx.zero_()  # no equation reads the input
            else:
                block[compiled.input_at] = to_fill(dx)
        self.execute(block, threads)
        if light is None:
            block.memory = None
        spare.append(block)
        return dx, wanted, gradients


def gradient_like(family: Tensor, columns_first: bool) -> Tensor:
    """Return a tensor for a gradient, laid out as its weights."""
    if family.nbytes < LARGE:
        return torch.empty_like(family)  # keeps the order of the dimensions in memory
    if columns_first:
        return fresh(tuple(family.shape), family.dtype)
    return fresh((family.shape[1], family.shape[0]), family.dtype).t()


def bind_forward(
    program: Program,
    dtype: torch.dtype,
    columns_first: tuple[bool, ...],
    keep: tuple[int, ...],
    save: bool,
    flags: bool,
    batch: int,
    count: int,
    steps: int,
    batched: tuple[int, bool, bool] | None = None,
    from_zeros: bool = False,
) -> Forward:
    """Bind the forward kernel to batches of a size.

    `flags`: states may become zero on the way; `from_zeros`: nobody will give states to start from.
    """
    few = batch <= FEW
    compiled = forward_kernel(
        program, dtype, save, keep, flags, columns_first, few,
        is_read_in_place(program, batch, steps, from_zeros),
    )  # fmt: skip
    in_chunks = isinstance(compiled.kernel, ChunkedForward)
    limit = CHUNK_ROWS if in_chunks else EARLY_ROWS if few else max(count, 1)
    chunk_rows = min(count, max(limit, batch)) if in_chunks or few else 0
    return Forward(compiled, dtype, batch, count, steps, limit, chunk_rows, batched)


def bind_backward(
    program: Program,
    dtype: torch.dtype,
    columns_first: tuple[bool, ...],
    keep: tuple[int, ...],
    given: tuple[int, ...],
    need_input: bool,
    need_weights: bool,
    flags: bool,
    cuts: bool,
    batch: int,
    count: int,
    steps: int,
    batched: tuple[int, bool, bool] | None = None,
) -> Backward:
    """Bind the backward kernel; `keep` are states handed out, `given` those with cotangents at every step."""
    compiled = backward_kernel(
        program, dtype, keep, given, flags, cuts, columns_first,
        need_input and program.derivative.reaches_inputs, need_weights, batch <= FEW,
        is_short(batch, steps),
    )  # fmt: skip
    # Off powers of two: vectors of a panel would else compete for the same lines of the cache.
    panel_rows = min(count, max(_PANEL_ROWS, batch))
    panel_rows += (8 - panel_rows) % 64 if count > 64 else 0
    return Backward(compiled, dtype, batch, count, steps, _PANEL_ROWS, panel_rows, batched)


bound_forward = lru_cache(maxsize=1024)(bind_forward)
bound_backward = lru_cache(maxsize=1024)(bind_backward)


def is_read_in_place(program: Program, batch: int, steps: int, from_zeros: bool = False) -> bool:
    """Whether forward kernels for so many sequences and steps read weights where they lie.

    Packing takes time for every weight, and reading in place for every sum of every row. Of a single step
    `from_zeros`, only the weights are counted that do not multiply its states.
    """
    outputs, weights = _read_weights(program, from_zeros and steps == 1)
    return batch * steps * outputs * _SUMMING <= weights


@lru_cache(maxsize=1024)
def _read_weights(program: Program, without_states: bool) -> tuple[int, int]:
    """How many sums the products of a step have, and how many weights; perhaps without those of states."""
    if not without_states:
        outputs = sum(family.shape[0] for family in program.families if len(family.shape) == 2)
        return outputs, program.parameter_count
    widths = [
        (node.width or 1, operand.width or 1)
        for node in program.plan.nodes
        if node.operation == "linear"
        for operand in node.arguments[1::2]
        if operand.operation != "state"
    ]
    return sum(outputs for outputs, _ in widths), sum(outputs * inputs for outputs, inputs in widths)


def is_short(batch: int, steps: int) -> bool:
    """Whether backward kernels for so many sequences and steps read weights where they lie."""
    return batch == 1 and steps <= _SHORT


def _counters(threads: int) -> int:
    """How many numbers the counters of barriers take."""
    return (threads + 2) * _threads.COUNTER_STRIDE
