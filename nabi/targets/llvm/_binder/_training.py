"""A program bound to weights and to batches of one shape: memory is laid out, and arguments filled in, once.

A step of training is a run forward, then a run backward, with the same weights at the same place every time.
All results lie in the same memory at every step. Where steps of a batch do not count, its rows are fewer:
they take the front of the memory, and only what the layout of rows decides is written to the arguments anew.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import made_natively, threads as _threads
from nabi.native.addresses import expect, to_fill, to_read
from nabi.native.memory import Block, fresh, give_back, new_memory, take
from nabi.targets.llvm._binder._bound import (
    Bound,
    Fixed,
    NativeRecord,
    bind_backward,
    bind_forward,
    gradient_like,
    is_read_in_place,
)
from nabi.targets.llvm._binder._runs import readable

__all__ = ["TrainingPasses"]

_Kernel = TypeVar("_Kernel", bound=Bound)


class _Filled:
    """A kernel with one block of arguments, in which all that stays is filled in.

    Attributes:
        rows: the layout taken last.
        x_at, final_at: where the addresses of the input and of the final states go.
        block: the arguments.
        initial: the states whose addresses it has.
        views: the results, as many rows of each as the batch has.
    """

    def __init__(self, bound: Bound, fixed: Fixed, results: Sequence[tuple[int, Tensor]]) -> None:
        bound.fix(fixed)
        self._bound, self._address, self._results = bound, bound.compiled.address, results
        self.x_at, self.final_at = bound.compiled.x_at, bound.compiled.final_at
        self._memory = new_memory(bound.memory.working_layout, kept=False)
        self.rows: Rows | None = None
        self._threads = 0
        self._work = 0.0
        self.block: Any = None
        self.initial: Sequence[Tensor] | None = None
        self.views: list[Tensor] = []

    def take(self, rows: Rows) -> None:
        """Get ready for a layout of rows."""
        bound = self._bound
        self.rows, self._work = rows, bound.work * rows.count / max(bound.count, 1)
        self.views = [result[: rows.count] for _, result in self._results]
        if self.block is not None:
            self._lay(rows)

    def _lay(self, rows: Rows) -> None:
        self._bound.lay(self.block, rows, self._threads)
        for (at, _), view in zip(self._results, self.views, strict=True):
            self.block[at] = to_fill(view)

    def ready(self) -> Any:
        """Return the block of arguments, for a run over the rows taken last."""
        threads = _threads.threads_for(self._work)
        if threads != self._threads:
            assert self.rows is not None
            self._threads, self.initial = threads, None
            self.block = self._bound.new_block(self.rows, self._memory, threads)
            self._lay(self.rows)
        elif threads > 1:
            self._bound.clear_counters(self.block, threads)
        return self.block

    def start_from(self, initial: Sequence[Tensor]) -> None:
        """Write the addresses of initial states to the block."""
        for at, state in zip(self._bound.compiled.initial_at, initial, strict=True):
            self.block[at] = to_read(state)
        self.initial = initial

    def run(self) -> None:
        """Run the kernel."""
        _threads.run(self._address, self.block, self._threads)


class TrainingPasses:
    """The passes of a program in a training; one thread at a time may run them.

    Args:
        program: the program, without random inputs.
        dtype: of all tensors.
        batch, steps: the shape of a batch.
        families: the weights. They are read anew at every run, but must stay where they lie.
        keep: the states whose values at every step are wanted.
        need_gradients: whether the weights are trained.
        new_finals: whether every step gives final states in memory of their own, for someone to keep.

    Attributes:
        gradients: of the weights, if they are trained; every backward pass writes over them.
    """

    def __init__(
        self,
        program: Program,
        dtype: torch.dtype,
        batch: int,
        steps: int,
        families: Sequence[Tensor],
        *,
        keep: tuple[int, ...],
        need_gradients: bool,
        new_finals: bool,
    ) -> None:
        self._program, self._dtype, self._keep, self._new_finals = program, dtype, keep, new_finals
        self._families, self._columns_first, self._lines = readable(program, families, dtype)
        self._batch, self._count = batch, batch * steps
        self.gradients: list[Tensor] = []
        if need_gradients:
            self.gradients = list(map(gradient_like, self._families, self._columns_first))
        widths = program.state_widths
        self._states = [fresh((self._count, widths[i]), dtype) for i in keep]
        self._finals = [torch.empty(batch, width, dtype=dtype) for width in widths]
        # By whether weights are read in place, which depends on how many steps a batch has that count.
        self._records: dict[bool, Block] = {}
        self._forward: dict[bool, _Filled] = {}
        self._backward: dict[tuple[bool, tuple[int, ...], bool], _Backward] = {}
        # Of the last run forward: its kernel, rows, input, and initial states as given and as read.
        self._now: _Filled | None = None
        self._rows: Rows | None = None
        self._x_size = 0
        self._x: Tensor | None = None
        self._initial: Sequence[Tensor] | None = None
        self._starts: Sequence[Tensor] = ()

    def __del__(self) -> None:
        for memory, _ in vars(self).get("_records", {}).values():
            give_back(memory)

    def _fixed(self, bound: Bound, record: Block) -> Fixed:
        """The arguments that stay in both directions: what is saved for the way back, and weights."""
        place = bound.compiled.place
        fixed = {at: record[1] + offset for at, offset in bound.memory.record}
        for i, (family, line) in enumerate(zip(self._families, self._lines, strict=True)):
            fixed[place[f"family_{i}"]], fixed[place[f"line_{i}"]] = to_read(family), line
        return fixed

    def _bind(self, bind: Callable[[], _Kernel]) -> _Kernel | None:
        return made_natively(self._program.key, type(self._program.cell).__name__, bind)

    def forward(
        self, rows: Rows, x: Tensor, initial: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]] | None:
        """Run forward; None if the kernel cannot be made.

        Args:
            rows: the layout.
            x: input rows, in any shape.
            initial: initial states `[B, width]`; the same sequence again stands for the same states.

        Returns:
            The rows of the states that are kept, and the final states. The next step writes over them.
        """
        if rows is not self._rows and not self._take_rows(rows):
            return None
        filled = self._now
        assert filled is not None
        x = x.contiguous()
        if x.numel() != self._x_size or x.dtype is not self._dtype:
            expect("x", x, (rows.count, self._program.input_size), self._dtype)
        block = filled.ready()
        block[filled.x_at] = to_read(x)
        if initial is not self._initial:
            self._start_from(initial)
        if filled.initial is not self._starts:
            filled.start_from(self._starts)
        if self._new_finals:
            self._finals = finals = list(map(torch.empty_like, self._finals))
            for at, final in zip(filled.final_at, finals, strict=True):
                block[at] = to_fill(final)
        filled.run()
        self._x = x
        return filled.views, self._finals

    def _start_from(self, initial: Sequence[Tensor]) -> None:
        self._initial, self._starts = initial, [state.contiguous() for state in initial]
        for state, final in zip(self._starts, self._finals, strict=True):
            if state.numel() != final.numel() or state.dtype is not self._dtype:
                expect("states", state, final.shape, self._dtype)

    def _take_rows(self, rows: Rows) -> bool:
        """Get ready for rows; False if there is no kernel for them."""
        short = self._is_short(rows)
        now = self._forward.get(short) or self._bind_forward(short, len(rows.active))
        if now is None:
            return False
        now.take(rows)
        self._now, self._rows, self._x_size = now, rows, rows.count * self._program.input_size
        return True

    def _is_short(self, rows: Rows) -> bool:
        return is_read_in_place(self._batch, len(rows.active))

    def _bind_forward(self, short: bool, steps: int) -> _Filled | None:
        bound = self._bind(
            lambda: bind_forward(
                self._program, self._dtype, self._columns_first, self._keep, True, False, self._batch,
                self._count, steps,
            )
        )  # fmt: skip
        if bound is None:
            return None
        self._records[short] = record = take(bound.memory.record_layout)
        fixed = self._fixed(bound, record)
        for at, final in zip(bound.compiled.final_at, self._finals, strict=True):
            fixed[at] = to_fill(final)
        results = [(at, state) for (_, at), state in zip(bound.compiled.state_at, self._states, strict=True)]
        found = self._forward[short] = _Filled(bound, fixed, results)
        return found

    def backward(
        self, cotangents: Sequence[Tensor | None], final_cotangents: Sequence[Tensor | None], need_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor]] | None:
        """Run backward what ran forward last; None if the kernel cannot be made.

        Args:
            cotangents: for each state those of its rows, or None.
            final_cotangents: for each state that of its final value, or None.
            need_input: whether the gradient of the input rows is wanted.

        Returns:
            The gradient of the input rows, and those of the weights. The next step writes over them.
        """
        rows, x = self._rows, self._x
        assert rows is not None
        assert x is not None
        given = tuple([i for i, cotangent in enumerate(cotangents) if cotangent is not None])
        key = self._is_short(rows), given, need_input
        backward = self._backward.get(key) or self._bind_backward(*key, len(rows.active))
        if backward is None:
            return None
        return backward.run(rows, x, self._starts, cotangents, final_cotangents), self.gradients

    def _bind_backward(
        self, short: bool, given: tuple[int, ...], need_input: bool, steps: int
    ) -> "_Backward | None":
        bound = self._bind(
            lambda: bind_backward(
                self._program, self._dtype, self._columns_first, self._keep, given, need_input,
                bool(self.gradients), False, False, self._batch, self._count, steps,
            )
        )  # fmt: skip
        if bound is None:
            return None
        fixed = self._fixed(bound, self._records[short])
        for i, gradient in enumerate(self.gradients):
            fixed[bound.compiled.place[f"gradient_{i}"]] = to_fill(gradient)
        found = self._backward[short, given, need_input] = _Backward(bound, fixed, self._states, need_input)
        return found

    def record(self) -> tuple[Rows, NativeRecord]:
        """The rows of the last run forward, and all that is needed to run it again by other means."""
        assert self._rows is not None
        assert self._x is not None
        return self._rows, NativeRecord(self._x, self._starts, (), None)


class _Backward:
    """The run backward, for cotangents of some states."""

    def __init__(self, bound: Bound, fixed: Fixed, states: Sequence[Tensor], need_input: bool) -> None:
        self._compiled, self._dtype, self._batch = bound.compiled, bound.dtype, bound.batch
        self._program = bound.compiled.kernel.program
        for (_, at), state in zip(bound.compiled.state_at, states, strict=True):
            fixed[at] = to_read(state)
        self._dx: Tensor | None = None
        results: list[tuple[int, Tensor]] = []
        if need_input:
            self._dx = fresh((bound.count, self._program.input_size), bound.dtype)
            if bound.compiled.input_at is None:
                self._dx.zero_()  # no equation reads the input
            else:
                results = [(bound.compiled.input_at, self._dx)]
        self._filled = _Filled(bound, fixed, results)

    def run(
        self,
        rows: Rows,
        x: Tensor,
        initial: Sequence[Tensor],
        cotangents: Sequence[Tensor | None],
        final_cotangents: Sequence[Tensor | None],
    ) -> Tensor | None:
        """Run the kernel; the gradient of the input rows if it is wanted."""
        compiled, dtype, filled = self._compiled, self._dtype, self._filled
        widths = self._program.state_widths
        if rows is not filled.rows:
            filled.take(rows)
        block = filled.ready()
        block[compiled.x_at] = to_read(x)
        if filled.initial is not initial:
            filled.start_from(initial)
        alive: list[Tensor] = []
        for i, at in compiled.given_at:
            cotangent = cotangents[i]
            assert cotangent is not None
            alive.append(cotangent := cotangent.contiguous())
            if cotangent.numel() != rows.count * widths[i] or cotangent.dtype is not dtype:
                expect("cotangent of a state", cotangent, (rows.count, widths[i]), dtype)
            block[at] = to_read(cotangent)
        for at, width, cotangent in zip(compiled.final_at, widths, final_cotangents, strict=True):
            address = 0
            if cotangent is not None:
                alive.append(cotangent := cotangent.contiguous())
                if cotangent.numel() != self._batch * width or cotangent.dtype is not dtype:
                    expect("cotangent of a final state", cotangent, (self._batch, width), dtype)
                address = to_read(cotangent)
            block[at] = address
        filled.run()
        return None if self._dx is None else filled.views[0] if filled.views else self._dx[: rows.count]
