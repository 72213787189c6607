"""Writes a backward kernel; also the frame of its passes."""

from contextlib import nullcontext
from functools import partial, reduce
from math import lcm
from typing import Any

from llvmlite import ir

from nabi.ir import LEAVES, Node
from nabi.native.kernel_function import KernelFunction, smaller
from nabi.native.vectors import NOWHERE, index, loop_over
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._operand_groups import Segment
from nabi.targets.llvm._plan._schedule import Pass, Reductions
from nabi.targets.llvm._writer._packing import Matrix
from nabi.targets.llvm._writer._passes import PassWriter, Place
from nabi.targets.llvm._writer._products import Panel, RowAddress
from nabi.targets.llvm._writer._step_memory import WeightsWriter
from nabi.targets.llvm._writer._weight_gradients import WeightGradients

__all__ = ["BackwardWriter"]


class BackwardWriter(WeightGradients):
    """Writes a backward kernel; also the frame of its passes."""

    def __init__(self, kernel: BackwardKernel) -> None:
        k = KernelFunction(
            kernel.name, kernel.dtype, kernel.lanes, kernel.arguments, kernel.machine.architecture
        )
        states = tuple(range(len(kernel.program.state_names)))
        k.v.masks_are_cheap = kernel.machine.has_cheap_masks
        super().__init__(k, kernel.program, kernel.schedule, kernel.zeros, states, kernel)
        slots, in_place = kernel.values.panel_slots, kernel.in_place
        self.passes = PassWriter(
            k.v, kernel.schedule, kernel.tiles, self, kernel.machine.registers, kernel.few_rows,
            slots=slots, in_place=in_place,
        )  # fmt: skip
        self.saved = {
            node.index: (width, len(nodes), slot)
            for width, nodes in kernel.values.slots.items()
            for slot, node in enumerate(nodes)
        }
        self.packed = WeightsWriter(k, kernel.weights, kernel.program, kernel.columns_first)
        self.after: PassWriter | None = None
        self.packed_after: WeightsWriter | None = None
        if kernel.input_weights is not None:
            self.packed_after = WeightsWriter(k, kernel.input_weights, kernel.program, kernel.columns_first)
        if kernel.input_schedule is not None:
            frame = _InputFrame(self)
            self.after = PassWriter(
                k.v, kernel.input_schedule, kernel.input_tiles, frame, kernel.machine.registers, slots=slots
            )

    def write(self) -> ir.Module:
        """Write the whole function."""
        k, b, kernel = self.k, self.b, self.kernel
        grains = dict.fromkeys(kernel.program.state_widths, 1)
        for found in kernel.schedule.passes:
            # A tile must not cross from one thread's units to another's.
            grains[found.width] = lcm(grains.get(found.width, 1), kernel.tiles[found].vectors)
        counts = {width: self.columns(width).count for width in grains}
        k.divide(max(-(-counts[w] // grain) for w, grain in grains.items()), whole_rows=False)
        self.ranges = {
            width: k.part(index(counts[width]), k.unit_share, k.unit_shares, grain)
            for width, grain in grains.items()
        }
        self.passes.reserve()
        if self.after is not None:
            self.after.reserve()
        self.from_zeros = b.icmp_signed("!=", k["from_zeros"], index(0))
        self.needs_initial = reduce(b.or_, map(self._is_wanted, range(len(kernel.program.state_names))))
        self.packed.pack(self._is_read)
        if self.packed_after is not None:
            self.packed_after.pack()
        self.panel_line = b.mul(k["chunk_rows"], index(kernel.lanes))
        if kernel.need_weights:
            self.clear()
        for i in range(len(kernel.program.state_names)):
            self._begin(i)
        k.wait_for_all()
        with loop_over(b, 0, k["chunks"]) as turn:
            self._chunk(turn)
        for i in range(len(kernel.program.state_names)):
            self._end(i)
        b.ret_void()
        return k.module

    def _is_wanted(self, state: int) -> Any:
        """Return a flag whether the cotangent of an initial state is wanted."""
        return self.b.icmp_unsigned("!=", self.k[f"initial_gradient_{state}"], NOWHERE)

    def _is_for_states(self, found: Pass) -> bool:
        """Tell whether a pass gives nothing but cotangents of states before the step."""
        states = {node.index for node in self.derivative.states if node is not None}
        others = {*self.panels, *self.stored, *(node.index for node in self.kernel.operands)}
        if self.kernel.need_input:
            others.update(node.index for node in self.kernel.values.inputs_of_step)
        return bool(found.sums) and {node.index for node in found.stores} <= states - others

    def _is_read(self, found: Pass, _: Segment) -> Any:
        """Return a flag whether any step reads the packed weights of a pass; None if one does."""
        if not self._is_for_states(found):
            return None
        return self.b.or_(self.b.icmp_signed(">", self.k["steps"], index(1)), self.needs_initial)

    def _begin(self, state: int) -> None:
        """Copy the cotangent of a final state into both halves of the carried cotangents."""
        k, b, width = self.k, self.b, self.program.state_widths[state]
        name = f"final_gradient_{state}"
        given = b.icmp_unsigned("!=", k[name], NOWHERE)
        for half in (index(0), k["batch"]):
            target = partial(self._carried, state, half)
            with b.if_else(given) as (then, otherwise):
                with then:
                    self.copy_rows(width, k.row_range, partial(self.row_of_state, name, width), target)
                with otherwise:
                    self.copy_rows(width, k.row_range, None, target)

    def _end(self, state: int) -> None:
        """Output the cotangent of an initial state, which step 0 left in the second half."""
        k, b, width = self.k, self.b, self.program.state_widths[state]
        name = f"initial_gradient_{state}"
        with b.if_then(self._is_wanted(state)):
            source = partial(self._carried, state, k["batch"])
            self.copy_rows(width, k.row_range, source, partial(self.row_of_state, name, width))

    def _chunk(self, turn: Any) -> None:
        k, b = self.k, self.b
        start, stop = self.chunk(b.sub(b.sub(k["chunks"], index(1)), turn))
        self.first_row = self.offset(start)
        rows = b.sub(self.offset(stop), self.first_row)
        steps = b.sub(stop, start)
        with loop_over(b, 0, steps) as back:
            self._step(b.sub(b.sub(stop, index(1)), back))
        self.lay_operands(start, stop)
        k.wait_for_all()
        if self.kernel.need_weights:
            # States that were zero before the first step add nothing.
            starts = b.and_(self.from_zeros, b.icmp_signed("==", start, index(0)))
            following = self.offset(smaller(b, b.add(start, index(1)), stop))
            zeros = b.select(starts, b.sub(following, self.first_row), index(0))
            self.all_gradients(rows, b.icmp_signed(">", turn, index(0)), zeros)
        if self.kernel.need_input:
            self.clear_inputs(rows)
        if self.after is not None:
            share = k.part_of_all(rows)
            self.base_row, self.panel_shift = self.first_row, index(0)
            for found in self.after.schedule.passes:
                self.after.run_pass(found, (index(0), index(self.columns(found.width).count)), share)
        k.wait_for_all()

    def _step(self, step: Any) -> None:
        k, b = self.k, self.b
        self.enter(step)
        self.panel_shift = b.sub(self.row_start, self.first_row)
        self.other_half = b.sub(k["batch"], self.half)
        rows = self.own_rows()
        goes_on = b.or_(b.icmp_signed(">", step, index(0)), self.needs_initial)
        previous: Pass | Reductions | None = None
        for item in self.kernel.schedule.order:
            if isinstance(item, Reductions):
                k.wait_for_units()
                self.passes.run_reductions(item, self.reduction_rows(rows))
            else:
                # Before the first step there is nobody to read cotangents of states.
                with b.if_then(goes_on) if self._is_for_states(item) else nullcontext():
                    if item.sums or isinstance(previous, Reductions):
                        k.wait_for_units()
                    self.passes.run_pass(item, self.ranges[item.width], rows)
            previous = item
        for i, node in enumerate(self.derivative.states):
            if node is None:
                target = partial(self._carried, i, self.other_half)
                self.copy_rows(self.program.state_widths[i], rows, None, target)

    # The frame of the passes.

    def weights(self, found: Pass, place: int) -> Any:
        """Return the address of packed weights."""
        return self.packed.address(found, place)

    def matrices(self, segment: Segment) -> list[list[Matrix]]:
        """Return the locations of unpacked weights."""
        return self.packed.matrices(segment)

    def operand(self, segment: Segment) -> RowAddress | Panel:
        """Return the panel of cotangents that products of the derivative read."""
        return self.panel_of_step(segment.operand)

    def panel_of_step(self, node: Node) -> Panel:
        """Return a panel that starts at the first row computed by a pass."""
        panel = self.panel(node)
        shift = self.b.mul(self.panel_shift, index(self.v.lanes))
        return Panel(self.v.address(panel.start, shift), panel.stride, panel.slot)

    def load(self, node: Node, place: Place) -> Any:
        """Load a cotangent, a saved value or a new state; other values as in the forward pass."""
        if node.operation == "cotangent":
            return self._cotangent(node, place)
        if node.operation not in LEAVES:
            for i, output in enumerate(self.program.plan.outputs):
                if output is node:
                    address = self.row_of_packed(f"state_{i}", node.width or 1, place.row)
                    return self.v.load(self.column(address, place), 0, place.mask)
            if node.index in self.saved:
                width, slots, slot = self.saved[node.index]
                return self.v.load_padded(self.slot(f"saved_{width}", width, slots, slot, place), place.mask)
        return super().load(node, place)

    def _cotangent(self, node: Node, place: Place) -> Any:
        """Load the cotangent of a new state: from the next step, and from outside."""
        i = next(i for i, found in enumerate(self.derivative.cotangents) if found is node)
        width = self.program.state_widths[i]
        address = self.column(self._carried(i, self.half, place.row), place)
        value = self.v.load(address, 0, place.mask)
        if i in self.kernel.given:
            address = self.column(self.row_of_packed(f"given_{i}", width, place.row), place)
            value = self.v.add(value, self.v.load(address, 0, place.mask))
        return value

    def _carried(self, state: int, half: Any, row: Any) -> Any:
        """Return the address of a row of a state's cotangent carried from step to step."""
        return self.row_of_state(f"carry_{state}", self.program.state_widths[state], self.b.add(half, row))

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store the cotangent of a product or of a state before the step, or a value for a later pass."""
        v, b = self.v, self.b
        if node.index in self.panels:
            panel = self.panel_of_step(node)
            at = b.add(b.mul(place.vector, panel.stride), b.mul(place.row, index(v.lanes)))
            v.store_padded(value, panel.start, at, place.mask)
        if any(node is operand for operand in self.kernel.operands) and node.operation not in LEAVES:
            row = b.mul(b.add(self.panel_shift, place.row), index(v.lanes))
            at = b.add(b.mul(place.vector, self.panel_line), row)
            v.store_padded(value, self.k[f"operand_{node.index}"], at, place.mask)
        for i, found in enumerate(self.derivative.states):
            if found is node:
                kept = value
                if self.kernel.cuts:
                    kept = b.select(self.flag("cut", place.row), v.zero, value)
                v.store(kept, self.column(self._carried(i, self.other_half, place.row), place), 0, place.mask)
        if node.index in self.stored:
            v.store(value, self.column(self.row_stored(node, place.row), place), 0, place.mask)
        if self.kernel.need_input and any(node is found for found in self.kernel.values.inputs_of_step):
            self.store_input(node, value, place)

    def number_row(self, node: Node, row: Any) -> Any:
        """Return the index of a reduction; those of the forward pass were kept for every row."""
        if any(node is saved for saved in self.kernel.values.saved_numbers):
            return self.b.add(self.row_start, row)
        return super().number_row(node, row)


class _InputFrame:
    """The frame of the part of the input's gradient computed for all rows of a chunk."""

    def __init__(self, writer: BackwardWriter) -> None:
        self.writer = writer

    def load(self, node: Node, place: Place) -> Any:
        w = self.writer
        if node.index in w.panels:
            panel = w.panel_of_step(node)
            b = w.b
            at = b.add(b.mul(place.vector, panel.stride), b.mul(place.row, index(w.v.lanes)))
            return w.v.load(panel.start, at, place.mask)
        return w.load(node, place)

    def number(self, node: Node, row: Any) -> Any:
        raise RuntimeError(f"native code: {node!r} is a reduction, which a step must compute")

    def store_number(self, node: Node, value: Any, row: Any) -> None:
        raise RuntimeError(f"native code: {node!r} is a reduction, which a step must compute")

    def row_stored(self, node: Node, row: Any) -> Any:
        raise RuntimeError(f"native code: {node!r} reads other units, which a step must compute")

    def store(self, node: Node, value: Any, place: Place) -> None:
        w = self.writer
        w.store_input(node, value, place)
        if any(node is found for found in w.after.schedule.stored):  # type: ignore[union-attr]
            raise RuntimeError(f"native code: {node!r} would have to be stored between passes")

    def operand(self, segment: Segment) -> RowAddress | Panel:
        return self.writer.panel_of_step(segment.operand)

    def wanted(self, segment: Segment) -> Any:
        return None

    def weights(self, found: Pass, place: int) -> Any:
        packed = self.writer.packed_after
        assert packed is not None
        return packed.address(found, place)

    def matrices(self, segment: Segment) -> list[list[Matrix]]:
        return self.writer.matrices(segment)

    def parameter(self, node: Node) -> Any:
        return self.writer.parameter(node)
