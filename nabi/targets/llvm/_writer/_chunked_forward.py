"""Writes a forward kernel of a step whose loop holds no product."""

from functools import partial
from typing import Any

from llvmlite import ir

from nabi.ir import Node
from nabi.native.kernel_function import KernelFunction
from nabi.native.vectors import index, loop_over
from nabi.targets.llvm._plan._chunked import ChunkedForward
from nabi.targets.llvm._writer._chunk_memory import ANY_NUMBER, ChunkMemory, OnceWriter, StageWriter
from nabi.targets.llvm._writer._passes import Place
from nabi.targets.llvm._writer._time_loop import Carried, write_time_loop

__all__ = ["ChunkedForwardWriter"]


class ChunkedForwardWriter(ChunkMemory):
    """Writes the kernel; also the frame of its loop."""

    kernel: ChunkedForward

    def __init__(self, kernel: ChunkedForward) -> None:
        k = KernelFunction(
            kernel.name, kernel.dtype, kernel.lanes, kernel.arguments, kernel.machine.architecture
        )
        kept = (*kernel.keep, *kernel.recorded_states)
        super().__init__(k, kernel.program, kernel.schedule, kernel.flags, kept)
        self.kernel, self.strata = kernel, kernel.strata
        self.prepare()
        self.first = OnceWriter(self, kernel.once)
        self.before = StageWriter(self, kernel.before, in_place=kernel.in_place)
        self.after = StageWriter(self, kernel.after, in_place=kernel.in_place)
        self.leaves = {n.name: n for n in kernel.program.plan.nodes if n.operation == "state"}

    def write(self) -> ir.Module:
        """Write the whole function."""
        k, b, kernel = self.k, self.b, self.kernel
        k.divide(ANY_NUMBER, whole_rows=True)
        for width in kernel.program.state_widths:
            self.ranges[width] = k.part_of_all(index(self.columns_of(width).count))
        for stage in (self.before, self.after):
            stage.passes.reserve()
        if not kernel.is_packed:
            self.before.packed.pack()
            self.after.packed.pack()
            self.compute_once(self.first)
        self._finish_empty()
        k.wait_for_all()
        with loop_over(b, 0, k["chunks"]) as chunk:
            self.enter_chunk(chunk)
            self._chunk()
        b.ret_void()
        return k.module

    def _chunk(self) -> None:
        k = self.k
        for i in self.strata.shifted:
            self._shift(i)
            k.wait_for_all()
        self.run_stage(self.before)
        write_time_loop(
            self, self.kernel.schedule, self.kernel.loop_tiles, [self._carried(i) for i in self.strata.loop],
            backward=False,
        )  # fmt: skip
        k.wait_for_all()
        self.run_stage(self.after)
        if self.strata.readouts:
            self.copy_ends([self._end(i) for i in self.strata.readouts])
            k.wait_for_all()

    def _carried(self, place: int) -> Carried:
        program = self.program

        def entering(value: Any, here: Place) -> Any:
            if not self.flags:
                return value
            return self.b.select(self.flag("zero", here.row), self.v.zero, value)

        return Carried(
            self.leaves[program.state_names[place]], program.plan.outputs[place],
            partial(self._before_chunk, place),
            partial(self.row_of_state, f"final_{place}", program.state_widths[place]), entering,
        )  # fmt: skip

    def _before_chunk(self, place: int, sequence: Any) -> Any:
        """Return the address of a state before the chunk: where the last one left it, or the initial one."""
        is_first = self.b.icmp_signed("==", self.chunk_number, index(0))
        address = self.b.select(is_first, self.k[f"initial_{place}"], self.k[f"final_{place}"])
        return self.v.address(address, self.b.mul(sequence, index(self.program.state_widths[place])))

    def enter_row(self, step: Any, sequence: Any) -> None:
        """Nothing is to be prepared for a row."""

    def store_entered(self, values: list[tuple[Node, Any]], place: Place) -> None:
        """Store old states that passes after the loop read."""
        for node, value in values:
            if self.state_places[node.name] in self.kernel.old:
                self.v.store(value, self.column(self.row_of(node, place.row), place), 0, place.mask)

    # Shifted states.

    def _shift(self, place: int) -> None:
        """Copy a shifted state to the rows that read it, and its last value to where a chunk starts."""
        k, b = self.k, self.b
        width = self.program.state_widths[place]
        columns = self.columns_of(width)
        first, stop = k.part_of_all(self.sequences)
        with loop_over(b, first, stop) as sequence:
            end = self.end_of(sequence)
            with loop_over(b, self.first_step, end) as step:
                row = self.row_at(step, sequence)
                is_first = b.icmp_signed("==", step, self.first_step)
                before = b.select(is_first, step, b.sub(step, index(1)))
                old = self._row_of_source(place, self.row_at(before, sequence))
                source = b.select(is_first, self._before_chunk(place, sequence), old)
                if self.flags:
                    source = b.select(self.flag("zero", row), k["zeros"], source)
                self._copy(columns, source, self.row_of_chunk(f"old_{place}", width, row))
            last = self._row_of_source(place, self.row_at(b.sub(end, index(1)), sequence))
            target = self.row_of_state(f"final_{place}", width, sequence)
            self._copy(columns, last, target)

    def _row_of_source(self, place: int, row: Any) -> Any:
        """Return the address of the new value of a shifted state: the input, or another one's old value."""
        node = self.program.plan.outputs[place]
        return self.row_of(node, row)

    def _copy(self, columns: Any, source: Any, target: Any) -> None:
        v = self.v
        with loop_over(self.b, 0, columns.count) as vector:
            at, mask = self.b.mul(vector, index(v.lanes)), columns.mask(v, vector)
            v.store(v.load(source, at, mask), target, at, mask)

    # Final states.

    def _end(self, place: int) -> tuple[int, Any, Any]:
        width = self.program.state_widths[place]
        target = partial(self.row_of_state, f"final_{place}", width)
        return width, partial(self.row_of_new_state, place), target

    def _finish_empty(self) -> None:
        """Output the initial states of sequences without steps."""
        b, k = self.b, self.k
        has_steps = b.icmp_signed(">", k["steps"], index(0))
        first = b.select(has_steps, self.offset(b.select(has_steps, index(1), index(0))), index(0))
        for i, width in enumerate(self.program.state_widths):
            source = partial(self.row_of_state, f"initial_{i}", width)
            target = partial(self.row_of_state, f"final_{i}", width)
            self.copy_rows(width, (first, k["batch"]), source, target)

    # The frame of the passes.

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store a new state, a value saved for the derivative, or one for another pass."""
        super().store(node, value, place)
        for i, output in enumerate(self.program.plan.outputs):
            if output is node and f"state_{i}" in self.k.arguments:
                address = self.column(self.row_of_new_state(i, place.row), place)
                self.v.store(value, address, 0, place.mask)
        if self.kernel.save and node.index in self.saved:
            self.v.store(value, self.column(self.row_of_saved(node, place.row), place), 0, place.mask)

    def kept_numbers(self) -> tuple[Node, ...]:
        """Return the reductions that are kept for every row."""
        return self.kernel.kept_numbers
