"""Writes a forward kernel; also the frame of its passes."""

from functools import partial
from math import lcm
from typing import Any

from llvmlite import ir

from nabi.ir import Node
from nabi.native.kernel_function import KernelFunction
from nabi.native.vectors import index, loop_over
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._operand_groups import Segment
from nabi.targets.llvm._plan._schedule import Pass, Reductions
from nabi.targets.llvm._plan._tiles import Columns
from nabi.targets.llvm._writer._packing import Matrix
from nabi.targets.llvm._writer._passes import PassWriter, Place
from nabi.targets.llvm._writer._step_memory import StepMemory, WeightsWriter

__all__ = ["ForwardWriter"]


class ForwardWriter(StepMemory):
    """Writes a forward kernel; also the frame of its passes."""

    def __init__(self, kernel: ForwardKernel) -> None:
        k = KernelFunction(
            kernel.name, kernel.dtype, kernel.lanes, kernel.arguments, kernel.machine.architecture
        )
        kept = (*kernel.keep, *kernel.recorded_states)
        k.v.masks_are_cheap = kernel.machine.has_cheap_masks
        super().__init__(k, kernel.program, kernel.schedule, kernel.flags, kept)
        self.kernel = kernel
        self.packed = WeightsWriter(k, kernel.weights, kernel.program, kernel.columns_first)
        self.passes = PassWriter(
            k.v, kernel.schedule, kernel.tiles, self, kernel.machine.registers, kernel.few_rows,
            in_place=kernel.in_place, in_place_rows=kernel.in_place_rows, weight_type=kernel.weight_type,
            scales=self.packed.scales if kernel.weight_type == "int8" else None,
            starts=self.packed.starts if kernel.by_dots else None,
        )  # fmt: skip
        self.saved = {
            node.index: (width, len(nodes), slot)
            for width, nodes in (kernel.values.slots if kernel.save else {}).items()
            for slot, node in enumerate(nodes)
        }

    def write(self) -> ir.Module:
        """Write the whole function."""
        k, b, kernel = self.k, self.b, self.kernel
        grains: dict[int, int] = {}
        for found in kernel.schedule.passes:
            # A tile must not cross from one thread's units to another's.
            grains[found.width] = lcm(grains.get(found.width, 1), kernel.tiles[found].vectors)
        counts = {width: Columns(width, kernel.lanes, 1).count for width in grains}
        k.divide(max(-(-counts[w] // grain) for w, grain in grains.items()), whole_rows=kernel.few_rows)
        self.ranges = {
            width: k.part(index(counts[width]), k.unit_share, k.unit_shares, grain)
            for width, grain in grains.items()
        }
        self.passes.reserve()
        self.from_zeros = b.icmp_signed("!=", k["from_zeros"], index(0))
        if not kernel.is_packed:
            self.packed.pack(self._is_read)
        self._finish_empty()
        k.wait_for_all()
        with loop_over(b, 0, k["chunks"]) as chunk:
            start, stop = self.chunk(chunk)
            self.first_row = self.offset(start)
            if kernel.few_rows:
                self._early(stop)
            with loop_over(b, start, stop) as step:
                self._step(step)
        b.ret_void()
        return k.module

    def _is_read(self, found: Pass, segment: Segment) -> Any:
        """Return a flag whether any step reads the packed weights of a segment; None if one does."""
        if not self._may_be_left_out(segment):
            return None
        is_only = self.b.icmp_signed("==", self.k["steps"], index(1))
        return self.b.not_(self.b.and_(is_only, self.from_zeros))

    def _may_be_left_out(self, segment: Segment) -> bool:
        """Tell whether a segment multiplies a state, of which there is nothing to add if it is zero."""
        return segment.operand.operation == "state" and not self.kernel.by_dots

    def _early(self, stop: Any) -> None:
        """Write the products that read the input, for all rows of a chunk."""
        self.base_row = self.first_row
        rows = (index(0), self.b.sub(self.offset(stop), self.first_row))
        for found in self.kernel.schedule.passes:
            early = self.packed.early(found, index(0))
            if early is not None:
                self.passes.run_pass(found, self.ranges[found.width], rows, early, only_early=True)

    def _step(self, step: Any) -> None:
        k, b = self.k, self.b
        self.enter(step)
        is_first = b.icmp_signed("==", step, index(0))
        self.reads_states = b.not_(b.and_(is_first, self.from_zeros))
        rows = self.own_rows()
        if self.has_state_operand():
            k.wait_for_units()
        previous: Pass | Reductions | None = None
        for item in self.kernel.schedule.order:
            if isinstance(item, Reductions):
                k.wait_for_units()
                self.passes.run_reductions(item, self.reduction_rows(rows))
            else:
                stored = any(operand.index in self.stored for operand in item.operands)
                if stored or isinstance(previous, Reductions):
                    k.wait_for_units()
                early = self.packed.early(item, b.sub(self.row_start, self.first_row))
                self.passes.run_pass(item, self.ranges[item.width], rows, early)
            previous = item
        self._finish(rows)

    def _finish_empty(self) -> None:
        """Output the initial states of sequences without steps."""
        b, k = self.b, self.k
        has_steps = b.icmp_signed(">", k["steps"], index(0))
        first = b.select(has_steps, self.offset(b.select(has_steps, index(1), index(0))), index(0))
        start = b.select(b.icmp_signed(">", first, k.row_range[0]), first, k.row_range[0])
        for i, width in enumerate(self.program.state_widths):
            source = partial(self.row_of_state, f"initial_{i}", width)
            target = partial(self.row_of_state, f"final_{i}", width)
            self.copy_rows(width, (start, k.row_range[1]), source, target)

    def _finish(self, rows: tuple[Any, Any]) -> None:
        """Output the states of the sequences that end with this step."""
        b = self.b
        following = b.add(self.step, index(1))
        after = b.add(following, index(1))
        last = b.icmp_signed(">", after, self.k["steps"])
        stop = self.offset(b.select(last, self.k["steps"], after))
        still = b.sub(stop, self.offset(following))
        ends = (b.select(b.icmp_signed(">", still, rows[0]), still, rows[0]), rows[1])
        for i, width in enumerate(self.program.state_widths):
            target = partial(self.row_of_state, f"final_{i}", width)
            self.copy_rows(width, ends, partial(self._row_of_new_state, i), target)

    def _row_of_new_state(self, place: int, row: Any) -> Any:
        width = self.program.state_widths[place]
        start = self.row_start if place in self.kept else self.half
        at = self.b.mul(self.b.add(start, row), index(width))
        return self.v.address(self.k[f"state_{place}"], at)

    # The frame of the passes.

    def weights(self, found: Pass, place: int) -> Any:
        """Return the address of packed weights."""
        return self.packed.address(found, place)

    def wanted(self, segment: Segment) -> Any:
        """Return a flag whether a segment is multiplied: at the first step not with states that are zero."""
        return self.reads_states if self._may_be_left_out(segment) else None

    def matrices(self, segment: Segment) -> list[list[Matrix]]:
        """Return the locations of unpacked weights."""
        return self.packed.matrices(segment)

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store a new state, a saved value, or a value for a later pass."""
        for i, output in enumerate(self.program.plan.outputs):
            if output is node:
                address = self.column(self._row_of_new_state(i, place.row), place)
                self.v.store(value, address, 0, place.mask)
        if node.index in self.saved:
            width, slots, slot = self.saved[node.index]
            self.v.store_padded(value, self.slot(f"saved_{width}", width, slots, slot, place), 0, place.mask)
        if node.index in self.stored:
            self.v.store(value, self.column(self.row_stored(node, place.row), place), 0, place.mask)

    def number_row(self, node: Node, row: Any) -> Any:
        """Return the index of a reduction; it is kept for every row if the derivative reads it."""
        if any(node is kept for kept in self.kernel.kept_numbers):
            return self.b.add(self.row_start, row)
        return super().number_row(node, row)
