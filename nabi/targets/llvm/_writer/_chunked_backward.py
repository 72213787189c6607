"""Writes a backward kernel of a step whose loop holds no product."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from nabi.ir import LEAVES, Node
from nabi.native.kernel_function import KernelFunction
from nabi.native.vectors import NOWHERE, index, loop_over
from nabi.targets.llvm._plan._chunked import ChunkedBackward
from nabi.targets.llvm._writer._chunk_memory import ANY_NUMBER, ChunkMemory, OnceWriter, StageWriter
from nabi.targets.llvm._writer._passes import Place
from nabi.targets.llvm._writer._time_loop import Carried, write_time_loop
from nabi.targets.llvm._writer._weight_gradients import WeightGradients

__all__ = ["ChunkedBackwardWriter"]


class ChunkedBackwardWriter(ChunkMemory, WeightGradients):
    """Writes the kernel; also the frame of its loop."""

    kernel: ChunkedBackward

    def __init__(self, kernel: ChunkedBackward) -> None:
        k = KernelFunction(
            kernel.name, kernel.dtype, kernel.lanes, kernel.arguments, kernel.machine.architecture
        )
        states = tuple(range(len(kernel.program.state_names)))
        super().__init__(k, kernel.program, kernel.schedule, kernel.zeros, states, kernel)
        self.strata = kernel.strata
        self.prepare()
        self.first = OnceWriter(self, kernel.once)
        slots, in_place = kernel.values.panel_slots, kernel.in_place
        self.stages = {
            name: StageWriter(self, stage, slots, in_place) for name, stage in kernel.stages.items()
        }
        self.cotangent_places = {node.index: i for i, node in enumerate(self.derivative.cotangents)}

    def write(self) -> ir.Module:
        """Write the whole function."""
        k, b, kernel = self.k, self.b, self.kernel
        k.divide(ANY_NUMBER, whole_rows=True)
        for width in kernel.program.state_widths:
            self.ranges[width] = k.part_of_all(index(self.columns_of(width).count))
        self.first.passes.reserve()
        for stage in self.stages.values():
            stage.passes.reserve()
            stage.packed.pack()
        self.compute_once(self.first)
        self.panel_line = b.mul(k["chunk_rows"], index(kernel.lanes))
        if kernel.need_weights:
            self.clear()
        for i in range(len(kernel.program.state_names)):
            self._begin(i)
        k.wait_for_all()
        with loop_over(b, 0, k["chunks"]) as turn:
            self.enter_chunk(b.sub(b.sub(k["chunks"], index(1)), turn))
            self._chunk(turn)
        for i in range(len(kernel.program.state_names)):
            self._end(i)
        b.ret_void()
        return k.module

    def _begin(self, state: int) -> None:
        """Copy the cotangent of a final state to where it is carried, zeros where there is none."""
        k, b, width = self.k, self.b, self.program.state_widths[state]
        name = f"final_gradient_{state}"
        rows, target = (index(0), k["batch"]), partial(self.row_carried, state)
        with b.if_else(b.icmp_unsigned("!=", k[name], NOWHERE)) as (then, otherwise):
            with then:
                self.copy_rows(width, rows, partial(self.row_of_state, name, width), target)
            with otherwise:
                self.copy_rows(width, rows, None, target)

    def _end(self, state: int) -> None:
        """Output the cotangent of an initial state."""
        k, b, width = self.k, self.b, self.program.state_widths[state]
        name = f"initial_gradient_{state}"
        with b.if_then(b.icmp_unsigned("!=", k[name], NOWHERE)):
            target = partial(self.row_of_state, name, width)
            self.copy_rows(width, (index(0), k["batch"]), partial(self.row_carried, state), target)

    def row_carried(self, state: int, sequence: Any) -> Any:
        """Return the address of a state's cotangent that is carried from chunk to chunk."""
        return self.row_of_state(f"carry_{state}", self.program.state_widths[state], sequence)

    def _chunk(self, turn: Any) -> None:
        k, b, kernel = self.k, self.b, self.kernel
        for i in sorted(kernel.old):
            self._lay_old(i)
        for i in self.strata.readouts:
            self._gather(i, None)
        k.wait_for_all()
        self.run_stage(self.stages["begin"])
        carried = [self._carried(i) for i in self.strata.loop]
        write_time_loop(self, kernel.schedule, kernel.loop_tiles, carried, backward=True)
        self.old_rows = ()
        k.wait_for_all()
        self.run_stage(self.stages["end"])
        for i in reversed(self.strata.shifted):
            root = self.derivative.states[i]
            if root is not None:
                self.run_stage(self.stages[f"shifted_{i}"])
            self._gather(i, root)
            k.wait_for_all()
        if "input" in self.stages:
            self.run_stage(self.stages["input"])
            self.clear_inputs(self.rows)
        if kernel.need_weights:
            self.lay_operands(self.first_step, self.stop)
            self.leave_step()
            k.wait_for_all()
            self.all_gradients(self.rows, b.icmp_signed(">", turn, index(0)))
            k.wait_for_all()

    def _carried(self, place: int) -> Carried:
        width = self.program.state_widths[place]

        def entering(value: Any, here: Place) -> Any:
            if place not in self.kernel.given:
                return value
            given = self.column(self.row_of_packed(f"given_{place}", width, here.row), here)
            return self.v.add(value, self.v.load(given, 0, here.mask))

        def leaving(value: Any, here: Place) -> Any:
            if not self.kernel.cuts:
                return value
            return self.b.select(self.flag("cut", here.row), self.v.zero, value)

        carried = partial(self.row_carried, place)
        leaf, result = self.derivative.cotangents[place], self.derivative.states[place]
        return Carried(leaf, result, carried, carried, entering, leaving)

    def enter_row(self, step: Any, sequence: Any) -> None:
        """Find the states before a step of a sequence."""
        b = self.b
        is_first = b.icmp_signed("==", step, index(0))
        before = b.add(self.offset(b.select(is_first, step, b.sub(step, index(1)))), sequence)
        found = []
        for i, width in enumerate(self.program.state_widths):
            initial = self.row_of_state(f"initial_{i}", width, sequence)
            address = self.row_of_state(f"state_{i}", width, before)
            address = b.select(is_first, initial, address)
            if self.flags:
                row = self.row_at(step, sequence)
                address = b.select(self.flag("zero", row), self.k["zeros"], address)
            found.append(address)
        self.old_rows = found

    def store_entered(self, values: list[tuple[Node, Any]], place: Place) -> None:
        """Store nothing: no pass reads a carried cotangent unless it is a value of the loop."""

    def _lay_old(self, place: int) -> None:
        """Copy a state before each step to the row of the step."""
        k, b, v = self.k, self.b, self.v
        width = self.program.state_widths[place]
        columns = self.columns_of(width)
        first, stop = k.part_of_all(self.sequences)
        with (
            loop_over(b, first, stop) as sequence,
            loop_over(b, self.first_step, self.end_of(sequence)) as step,
        ):
            self.enter_row(step, sequence)
            target = self.row_of_chunk(f"old_{place}", width, self.row_at(step, sequence))
            source = self.old_rows[place]
            with loop_over(b, 0, columns.count) as vector:
                at, mask = b.mul(vector, index(v.lanes)), columns.mask(v, vector)
                v.store(v.load(source, at, mask), target, at, mask)
        self.old_rows = ()

    def _gather(self, place: int, root: Node | None) -> None:
        """Add up what comes to the new value of a state that is not of the loop, for every row.

        Args:
            place: the state.
            root: the cotangent of its old value, which goes to the new value of the step before.
        """
        k, b, v = self.k, self.b, self.v
        width = self.program.state_widths[place]
        columns = self.columns_of(width)
        first, stop = k.part_of_all(self.sequences)
        with loop_over(b, first, stop) as sequence, loop_over(b, 0, columns.count) as vector:
            here = Place(sequence, vector, columns.mask(v, vector))
            carried = self.column(self.row_carried(place, sequence), here)
            end = self.end_of(sequence)
            with loop_over(b, self.first_step, end) as step:
                row = self.row_at(step, sequence)
                following = b.add(step, index(1))
                is_last = b.icmp_signed("==", following, end)
                value = v.load(carried, 0, here.mask)
                value = b.select(is_last, value, v.zero)
                if root is not None:
                    inside = b.select(is_last, step, following)
                    other = self._of_old(root, place, self.row_at(inside, sequence), here)
                    value = b.select(is_last, value, other)
                if place in self.kernel.given:
                    given = self.column(self.row_of_packed(f"given_{place}", width, row), here)
                    value = v.add(value, v.load(given, 0, here.mask))
                target = self.column(self.row_of_chunk(f"cotangent_{place}", width, row), here)
                v.store(value, target, 0, here.mask)
            start = self.row_at(self.first_step, sequence)
            value = v.zero if root is None else self._of_old(root, place, start, here)
            v.store(value, carried, 0, here.mask)

    def _of_old(self, root: Node, place: int, row: Any, here: Place) -> Any:
        """Load the cotangent of the old value of a state at a row; zeros where gradients are cut."""
        value = self.load(root, Place(row, here.vector, here.mask))
        if not self.kernel.cuts:
            return value
        return self.b.select(self.flag("cut", row), self.v.zero, value)

    # The frame of the passes.

    old_rows: Sequence[Any] = ()

    def row_of(self, node: Node, row: Any) -> Any:
        """Return the address of a row of a value; within the loop, states before a step have none."""
        if node.operation == "state" and self.old_rows:
            return self.old_rows[self.state_places[node.name]]
        if node.operation == "cotangent":
            place = self.cotangent_places[node.index]
            name = f"held_{node.index}" if place in self.strata.loop else f"cotangent_{place}"
            return self.row_of_chunk(name, node.width or 1, row)
        return super().row_of(node, row)

    def load(self, node: Node, place: Place) -> Any:
        """Load a cotangent of a product, or another value of the chunk."""
        is_gathered = self.cotangent_places.get(node.index, -1) in (
            *self.strata.readouts,
            *self.strata.shifted,
        )
        if node.index in self.panels and node.index not in self.held and not is_gathered:
            panel = self.panel(node)
            b = self.b
            at = b.add(b.mul(place.vector, panel.stride), b.mul(place.row, index(self.v.lanes)))
            return self.v.load(panel.start, at, place.mask)
        return super().load(node, place)

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store the cotangent of a product, an operand of one, the input's gradient, or another value."""
        super().store(node, value, place)
        v, b = self.v, self.b
        if node.index in self.panels:
            panel = self.panel(node)
            at = b.add(b.mul(place.vector, panel.stride), b.mul(place.row, index(v.lanes)))
            v.store(value, panel.start, at, place.mask)
        if any(node is operand for operand in self.kernel.operands) and node.operation not in LEAVES:
            row = b.mul(place.row, index(v.lanes))
            v.store(
                value,
                self.k[f"operand_{node.index}"],
                b.add(b.mul(place.vector, self.panel_line), row),
                place.mask,
            )
        if self.kernel.need_input:
            self.store_input(node, value, place)

    def kept_numbers(self) -> tuple[Node, ...]:
        """Return the reductions of the forward pass."""
        return self.kernel.values.saved_numbers
