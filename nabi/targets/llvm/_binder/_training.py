"""A program bound to weights and to batches of one shape: memory is laid out, and arguments filled in, once.

A step of training is a run forward, then a run backward, with the same weights at the same place every time.
All results lie in the same memory at every step. Where steps of a batch do not count, its rows are fewer:
they take the front of the memory, and only what the layout of rows decides is written to the arguments anew.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import threads as _threads
from nabi.native.addresses import expect, to_fill, to_read
from nabi.native.bound import BoundPass, Run, Slot
from nabi.native.memory import Block, fresh, give_back, new_memory, take
from nabi.targets.llvm._binder._bound import (
    Bound,
    Fixed,
    bind_backward,
    bind_forward,
    gradient_like,
    is_read_in_place,
    is_short,
)
from nabi.targets.llvm._binder._runs import readable

__all__ = ["TrainingPasses"]


_Kind = tuple[bool, bool]
"""Whether the forward and the backward kernel read weights where they lie."""


class _Filled:
    """A kernel with one block of arguments, in which all that stays is filled in.

    Attributes:
        block: the arguments.
        rows: the layout taken last.
        views: the results, as many rows of each as the batch has.
        x_at, initial_at, final_at: where addresses go of the input and of initial and final states.
    """

    def __init__(self, bound: Bound, fixed: Fixed, results: Sequence[tuple[int, Tensor]]) -> None:
        bound.fix(fixed)
        compiled = bound.compiled
        self._bound, self._address, self._results = bound, compiled.address, results
        self.x_at, self.initial_at, self.final_at = compiled.x_at, compiled.initial_at, compiled.final_at
        self._threads = 0
        self._memory = new_memory(bound.memory.working_layout, kept=False)
        self.block: Any = None
        self.rows: Rows | None = None
        self.views: list[Tensor] = []
        # By place: what was put there last, and what is read, the same or a copy.
        self._seen: dict[int, Tensor | None] = {}
        self._read: dict[int, Tensor] = {}

    def take(self, rows: Rows) -> None:
        """Get ready for a layout of rows."""
        bound = self._bound
        if self.block is None:
            self.block = bound.new_block(rows, self._memory, _threads.processors())
        else:
            bound.lay(self.block, rows, self._threads)
        self.rows = rows
        self.views = [result[: rows.count] for _, result in self._results]
        for (at, _), view in zip(self._results, self.views, strict=True):
            self.block[at] = to_fill(view)
        self._seen.clear()

    def put(self, at: int, name: str, tensor: Tensor | None, rows: int, width: int) -> None:
        """Write where a tensor `[rows, width]` lies; nothing is to do for one that was put there last."""
        seen = self._seen
        if seen.get(at, self) is tensor:
            return
        address = 0
        if tensor is not None:
            self._read[at] = values = _threads.contiguous(tensor)
            if values.numel() != rows * width or values.dtype is not self._bound.dtype:
                expect(name, values, (rows, width), self._bound.dtype)
            address = to_read(values)
            if values is not tensor:
                seen.pop(at, None)  # it is copied at every step
                self.block[at] = address
                return
        self.block[at], seen[at] = address, tensor

    def as_run(self) -> Run | None:
        """Return the run just made, for others to repeat; None if several threads made it."""
        self._seen.clear()  # they write to the block
        return Run(self._address, self.block) if self._threads == 1 else None

    def run(self) -> None:
        """Run the kernel."""
        assert self.rows is not None
        threads = self._bound.threads_for(self.rows)
        if threads != self._threads:
            assert self.rows is not None
            self._threads = threads
            self._bound.lay(self.block, self.rows, threads)
        if threads > 1:
            self._bound.clear_counters(self.block, threads)
        self._bound.execute(self.block, threads)


class TrainingPasses:
    """The passes of a program in a training; one thread at a time may run them.

    Args:
        program: the program, without random inputs.
        dtype: of all tensors.
        batch, steps: the shape of a batch.
        families: the weights. They are read anew at every run, but must stay where they lie.
        keep: the states whose values at every step are wanted.
        need_families: for each family whether its gradient is wanted.
        new_finals: whether every step gives final states in memory of their own, for someone to keep.
        from_zeros: whether all initial states will be zeros, which the first step then does not multiply.
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
        need_families: tuple[bool, ...],
        new_finals: bool,
        from_zeros: bool,
    ) -> None:
        self._program, self._dtype, self._keep, self._new_finals = program, dtype, keep, new_finals
        self._from_zeros = from_zeros
        self._families, self._columns_first, self._lines = readable(program, families, dtype)
        self._batch, self._count, self._widths = batch, batch * steps, program.state_widths
        self._all_gradients: list[Tensor] = []
        if True in need_families:
            self._all_gradients = list(map(gradient_like, self._families, self._columns_first))
        found: Sequence[Tensor | None] = self._all_gradients or [None] * len(families)
        self._gradients = [g if needed else None for g, needed in zip(found, need_families, strict=True)]
        self._states = [fresh((self._count, self._widths[i]), dtype) for i in keep]
        self._finals = [torch.empty(batch, width, dtype=dtype) for width in self._widths]
        # By whether weights are read in place, which depends on how many steps a batch has that count.
        self._records: dict[_Kind, Block] = {}
        self._forward: dict[_Kind, _Filled] = {}
        # By that, by whether kept states have cotangents, and by whether the input's gradient is wanted.
        self._backward: dict[tuple[_Kind, bool, bool], tuple[_Filled, list[tuple[int, int]], Tensor | None]]
        self._backward = {}
        # Of the last run forward: its kernel, rows, input and initial states.
        self._now: _Filled | None = None
        self._rows: Rows | None = None
        self._kind = (False, False)
        self._x: Tensor | None = None
        self._initial: Sequence[Tensor] = ()

    def __del__(self) -> None:
        for memory, _ in vars(self).get("_records", {}).values():
            give_back(memory)

    def _fixed(self, bound: Bound, record: Block) -> Fixed:
        """The arguments that stay in both directions: what is saved for the way back, and weights."""
        place = bound.compiled.place
        fixed = {at: record[1] + offset for at, offset in bound.memory.record}
        fixed[bound.compiled.zeros_at] = int(self._from_zeros)
        for i, (family, line) in enumerate(zip(self._families, self._lines, strict=True)):
            fixed[place[f"family_{i}"]], fixed[place[f"line_{i}"]] = to_read(family), line
        return fixed

    def forward(
        self, rows: Rows, x: Tensor, initial: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Run forward.

        Args:
            rows: the layout.
            x: input rows, in any shape.
            initial: initial states `[B, width]`.

        Returns:
            The rows of the states that are kept, and the final states. The next step writes over them.

        Raises:
            NativeError: if the kernel cannot be made.
        """
        if rows is not self._rows:
            self._take(rows)
        filled = self._now
        assert filled is not None
        block = filled.block
        # Whoever gives the input may have given the tensor other memory since the last step.
        self._x = x = _threads.contiguous(x)
        if x.numel() != rows.count * self._program.row_size or x.dtype is not self._dtype:
            expect("x", x, (rows.count, self._program.row_size), self._dtype)
        block[filled.x_at] = to_read(x)
        for at, state, width in zip(filled.initial_at, initial, self._widths, strict=True):
            filled.put(at, "states", state, self._batch, width)
        if self._new_finals:
            self._finals = finals = list(map(torch.empty_like, self._finals))
            for at, final in zip(filled.final_at, finals, strict=True):
                block[at] = to_fill(final)
        filled.run()
        self._initial = initial
        return filled.views, self._finals

    def _take(self, rows: Rows) -> None:
        steps = len(rows.active)
        # Which kernels run forward and backward.
        self._kind = kind = (
            is_read_in_place(self._program, self._batch, steps), is_short(self._batch, steps)
        )  # fmt: skip
        self._now = now = self._forward.get(kind) or self._bind_forward(kind, len(rows.active))
        now.take(rows)
        self._rows = rows

    def _bind_forward(self, kind: _Kind, steps: int) -> _Filled:
        bound = bind_forward(
            self._program, self._dtype, self._columns_first, self._keep, True, False, self._batch,
            self._count, steps,
        )  # fmt: skip
        self._records[kind] = record = take(bound.memory.record_layout)
        fixed = self._fixed(bound, record)
        for at, final in zip(bound.compiled.final_at, self._finals, strict=True):
            fixed[at] = to_fill(final)
        results = [(at, state) for (_, at), state in zip(bound.compiled.state_at, self._states, strict=True)]
        found = self._forward[kind] = _Filled(bound, fixed, results)
        return found

    def backward(
        self, cotangents: Sequence[Tensor], final_cotangents: Sequence[Tensor | None], need_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        """Run backward what ran forward last.

        Args:
            cotangents: of the rows of the states that are kept; none of any stand for zeros.
            final_cotangents: for each state that of its final value, or None.
            need_input: whether the gradient of the input rows is wanted.

        Returns:
            The gradient of the input rows, and those of the weights. The next step writes over them.

        Raises:
            NativeError: if the kernel cannot be made.
        """
        rows, x, widths = self._rows, self._x, self._widths
        assert rows is not None
        assert x is not None
        key = self._kind, bool(cotangents), need_input
        filled, given_at, dx = self._backward.get(key) or self._bind_backward(*key, len(rows.active))
        if rows is not filled.rows:
            filled.take(rows)
        filled.block[filled.x_at] = to_read(x)
        for at, state, width in zip(filled.initial_at, self._initial, widths, strict=True):
            filled.put(at, "states", state, self._batch, width)
        for (at, width), cotangent in zip(given_at, cotangents, strict=True):
            filled.put(at, "cotangent of a state", cotangent, rows.count, width)
        for at, cotangent_, width in zip(filled.final_at, final_cotangents, widths, strict=True):
            filled.put(at, "cotangent of a final state", cotangent_, self._batch, width)
        filled.run()
        if dx is not None and not filled.views:  # no equation reads the input
            return dx[: rows.count].zero_(), self._gradients
        return filled.views[0] if filled.views else None, self._gradients

    def bound(self, of_finals: bool, need_input: bool) -> BoundPass | None:
        """Return what ran last, forward and backward, as two runs; None if a step is more than that.

        Args:
            of_finals: whether the output is the final value of the first state, not its values at every step.
            need_input: whether the gradient of the input was wanted.
        """
        there = self._now
        found = self._backward.get((self._kind, not of_finals, need_input))
        if there is None or found is None:
            return None
        back, given_at, dx = found
        forward, backward = there.as_run(), back.as_run()
        if forward is None or backward is None or (dx is not None and not back.views):
            return None
        return BoundPass(
            forward, backward,
            inputs=(Slot(there.block, there.x_at), Slot(back.block, back.x_at)),
            output=self._finals[0] if of_finals else there.views[0],
            cotangents=(Slot(back.block, back.final_at[0] if of_finals else given_at[0][0]),),
            input_gradient=back.views[0] if back.views else None,
            initial=[
                (Slot(there.block, at), Slot(back.block, other))
                for at, other in zip(there.initial_at, back.initial_at, strict=True)
            ],
            final=[Slot(there.block, at) for at in there.final_at],
            by_time=self._batch > 1,
            holds=(self, self._initial),
            families=self._gradients,
        )  # fmt: skip

    def _bind_backward(
        self, kind: _Kind, are_given: bool, need_input: bool, steps: int
    ) -> tuple[_Filled, list[tuple[int, int]], Tensor | None]:
        program, given = self._program, self._keep if are_given else ()
        bound = bind_backward(
            program, self._dtype, self._columns_first, self._keep, given, need_input,
            bool(self._all_gradients), False, False, self._batch, self._count, steps,
        )  # fmt: skip
        compiled = bound.compiled
        fixed = self._fixed(bound, self._records[kind])
        for i, gradient in enumerate(self._all_gradients):
            fixed[compiled.place[f"gradient_{i}"]] = to_fill(gradient)
        for (_, at), state in zip(compiled.state_at, self._states, strict=True):
            fixed[at] = to_read(state)
        dx = fresh((self._count, program.row_size), self._dtype) if need_input else None
        results = [] if dx is None or compiled.input_at is None else [(compiled.input_at, dx)]
        given_at = [(at, self._widths[i]) for i, at in compiled.given_at]
        found = _Filled(bound, fixed, results), given_at, dx
        self._backward[kind, are_given, need_input] = found
        return found
