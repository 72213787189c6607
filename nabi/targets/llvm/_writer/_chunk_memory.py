"""Memory around the passes over all rows of a chunk of steps, and around the loop between them.

Rows are numbered from the first of the chunk. Values saved for the derivative lie as `[row][slot][vector]
[lane]`, values of the chunk as `[row][vector][lane]`, so that passes and the loop find them without asking
which step a row belongs to.
"""

from collections.abc import Callable
from typing import Any

from nabi.ir import LEAVES, Node
from nabi.native.kernel_function import smaller
from nabi.native.vectors import index, loop_over
from nabi.targets.llvm._plan._chunked import ChunkedBackward, ChunkedForward, Stage, padded
from nabi.targets.llvm._plan._operand_groups import Segment
from nabi.targets.llvm._plan._schedule import Pass, Reductions
from nabi.targets.llvm._plan._tiles import Columns
from nabi.targets.llvm._writer._packing import Matrix
from nabi.targets.llvm._writer._passes import PassWriter, Place
from nabi.targets.llvm._writer._products import Panel, RowAddress
from nabi.targets.llvm._writer._step_memory import StepMemory, WeightsWriter

__all__ = ["ANY_NUMBER", "ChunkMemory", "OnceWriter", "StageWriter"]

ANY_NUMBER = 1 << 20
"""Pieces into which work can be divided: threads of which some find nothing to do wait for the others."""

_MANY_ROWS = 16
"""Rows for each thread from which on threads share rows; else they share units."""


class ChunkMemory(StepMemory):
    """The memory of a chunk; mixed into the writers of both directions, which set up the rest."""

    kernel: ChunkedForward | ChunkedBackward
    first_row: Any
    first_step: Any
    stop: Any
    rows: Any

    def prepare(self) -> None:
        """Say where values lie; called once."""
        values = self.kernel.values
        self.saved = {
            node.index: (width, len(nodes), slot)
            for width, nodes in values.slots.items()
            for slot, node in enumerate(nodes)
        }
        self.held = {node.index for node in self.kernel.held}
        self.once = {node.index for node in self.kernel.strata.once}

    # Where a chunk is.

    def enter_chunk(self, number: Any) -> None:
        """Compute where a chunk and its rows begin."""
        b = self.b
        self.chunk_number = number
        self.first_step, self.stop = self.chunk(number)
        self.first_row = self.offset(self.first_step)
        self.rows = b.sub(self.offset(self.stop), self.first_row)
        # Without any step there is one chunk all the same.
        following = smaller(b, b.add(self.first_step, index(1)), self.stop)
        self.sequences = b.sub(self.offset(following), self.first_row)
        self.leave_step()

    def leave_step(self) -> None:
        """Number rows from the first of the chunk again."""
        self.base_row = self.row_start = self.first_row

    def active_at(self, step: Any) -> Any:
        """Return how many sequences have a step."""
        return self.b.sub(self.offset(self.b.add(step, index(1))), self.offset(step))

    def row_at(self, step: Any, sequence: Any) -> Any:
        """Return the row of a sequence at a step."""
        return self.b.add(self.b.sub(self.offset(step), self.first_row), sequence)

    def end_of(self, sequence: Any) -> Any:
        """Return the step of the chunk after the last that a sequence has."""
        b, one = self.b, index(1)
        entry = b.block
        head, done = b.append_basic_block("end"), b.append_basic_block("ended")
        b.branch(head)
        b.position_at_end(head)
        stop = b.phi(self.stop.type)
        stop.add_incoming(self.stop, entry)
        before = b.sub(stop, one)
        has = b.icmp_signed(">", self.active_at(before), sequence)
        stop.add_incoming(before, b.block)
        b.cbranch(has, done, head)
        b.position_at_end(done)
        return stop

    # Passes.

    def run_stage(self, stage: "StageWriter") -> None:
        """Write the passes and reductions of a stage for all rows of the chunk."""
        k, b = self.k, self.b
        many = b.icmp_signed(">=", self.rows, b.mul(k.shares, index(_MANY_ROWS)))
        own = k.part_of_all(self.rows)
        for item in stage.stage.schedule.order:
            if isinstance(item, Reductions):
                stage.passes.run_reductions(item, own)
            else:
                vectors = self.columns_of(item.width).count
                part = k.part_of_all(index(vectors), stage.stage.tiles[item].vectors)
                rows = (b.select(many, own[0], index(0)), b.select(many, own[1], self.rows))
                units = (b.select(many, index(0), part[0]), b.select(many, index(vectors), part[1]))
                stage.passes.run_pass(item, units, rows)
            k.wait_for_all()

    def columns_of(self, width: int) -> Columns:
        """Return the vectors of a width."""
        return Columns(width, self.v.lanes, 1)

    # Addresses of rows.

    def row_of_chunk(self, name: str, width: int, row: Any) -> Any:
        """Return the address of a row of an array of the chunk."""
        return self.v.address(self.k[name], self.b.mul(row, index(padded(width, self.v.lanes))))

    def row_of_new_state(self, place: int, row: Any) -> Any:
        """Return the address of a state after a step."""
        width = self.program.state_widths[place]
        if place in self.kept:
            row = self.b.add(self.first_row, row)
        return self.v.address(self.k[f"state_{place}"], self.b.mul(row, index(width)))

    def row_of_saved(self, node: Node, row: Any) -> Any:
        """Return the address of a row of a value saved for the derivative."""
        width, slots, slot = self.saved[node.index]
        b, line = self.b, padded(width, self.v.lanes)
        at = b.mul(b.add(self.first_row, row), index(slots * line))
        return self.v.address(self.k[f"saved_{width}"], b.add(at, index(slot * line)))

    def row_of(self, node: Node, row: Any) -> Any:
        """Return the address of a row of a value."""
        if node.operation == "state":
            place = self.state_places[node.name]
            return self.row_of_chunk(f"old_{place}", node.width or 1, row)
        if node.operation in LEAVES:
            return self.row_of_leaf(node, row)
        if node.index in self.once:
            return self.k[f"once_{node.index}"]
        if node.index in self.saved and f"saved_{node.width}" in self.k.arguments:
            return self.row_of_saved(node, row)
        for i, output in enumerate(self.program.plan.outputs):
            if output is node and f"state_{i}" in self.k.arguments:
                return self.row_of_new_state(i, row)
        if node.index in self.held:
            return self.row_of_chunk(f"held_{node.index}", node.width or 1, row)
        raise RuntimeError(f"native code: {node!r} is neither available nor stored")

    # The frame of passes.

    def load(self, node: Node, place: Place) -> Any:
        """Load units of a value of the chunk."""
        if node.operation == "input" and node.width is None:
            return super().load(node, place)
        return self.v.load(self.column(self.row_of(node, place.row), place), 0, place.mask)

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store a new state, a value saved for the derivative, or one for another pass."""
        if node.index in self.held:
            row = self.row_of_chunk(f"held_{node.index}", node.width or 1, place.row)
            self.v.store(value, self.column(row, place), 0, place.mask)

    def number_row(self, node: Node, row: Any) -> Any:
        """Return the index of a reduction; those that the derivative reads are kept for every row."""
        if any(node is kept for kept in self.kept_numbers()):
            return self.b.add(self.first_row, row)
        return row

    def kept_numbers(self) -> tuple[Node, ...]:
        """Return the reductions that are kept for every row."""
        raise NotImplementedError

    # Steps of the chunk.

    def copy_ends(self, names: list[tuple[int, Callable[[Any], Any], Callable[[Any], Any]]]) -> None:
        """Copy something of the last row of the chunk that each sequence has.

        Args:
            names: the width, the address of a source by row of the chunk, and that of the target by sequence.
        """
        b, k = self.b, self.k
        with loop_over(b, self.first_step, self.stop) as step:
            following = b.add(step, index(1))
            is_last = b.icmp_signed("==", following, self.stop)
            # Behind the last step of all there is no further one to ask.
            after = b.select(is_last, index(0), self.active_at(b.select(is_last, step, following)))
            start = b.sub(self.offset(step), self.first_row)
            for width, source, target in names:
                columns = self.columns_of(width)
                first, stop = k.part_of_all(index(columns.count))
                with (
                    loop_over(b, after, self.active_at(step)) as sequence,
                    loop_over(b, first, stop) as vector,
                ):
                    place = Place(sequence, vector, columns.mask(self.v, vector))
                    value = self.v.load(self.column(source(b.add(start, sequence)), place), 0, place.mask)
                    self.v.store(value, self.column(target(sequence), place), 0, place.mask)

    def compute_once(self, stage: "OnceWriter") -> None:
        """Write the computation of what depends on weights and numbers alone."""
        for item in stage.stage.schedule.order:
            assert isinstance(item, Pass)
            part = self.k.part_of_all(
                index(self.columns_of(item.width).count), stage.stage.tiles[item].vectors
            )
            stage.passes.run_pass(item, part, (index(0), index(1)))


class StageWriter:
    """The passes of a stage in a kernel; also their frame.

    Args:
        memory: the kernel's memory.
        stage: the stage.
        slots: for each cotangent its slot among the panels of its width, in a derivative.
        in_place: whether products read the unpacked weights.
    """

    def __init__(self, memory: Any, stage: Stage, slots: Any = None, in_place: bool = False) -> None:
        self.memory, self.stage = memory, stage
        kernel = memory.kernel
        self.packed = WeightsWriter(memory.k, stage.weights, kernel.program, kernel.columns_first)
        self.passes = PassWriter(
            memory.v, stage.schedule, stage.tiles, self, kernel.machine.registers, slots=slots,
            in_place=in_place, in_place_rows=getattr(kernel, "in_place_rows", 1),
        )  # fmt: skip

    def load(self, node: Node, place: Place) -> Any:
        """Load units of a value of the chunk."""
        return self.memory.load(node, place)

    def number(self, node: Node, row: Any) -> Any:
        """Load a reduction."""
        return self.memory.number(node, row)

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store a value of the chunk."""
        self.memory.store(node, value, place)

    def store_number(self, node: Node, value: Any, row: Any) -> None:
        """Store a reduction."""
        self.memory.store_number(node, value, row)

    def row_stored(self, node: Node, row: Any) -> Any:
        """Return the address of a row of a value of the chunk."""
        return self.memory.row_of(node, row)

    def parameter(self, node: Node) -> Any:
        """Return the address of a parameter vector."""
        return self.memory.parameter(node)

    def operand(self, segment: Segment) -> RowAddress | Panel:
        """Return the location at which products read an operand."""
        if segment.operand.reads_cotangent:
            panel: Panel = self.memory.panel(segment.operand)
            return panel
        return lambda row: self.memory.row_of(segment.operand, row)

    def wanted(self, segment: Segment) -> Any:
        """Return None: a segment is multiplied for all rows."""
        return None

    def weights(self, found: Pass, place: int) -> Any:
        """Return the address of packed weights."""
        return self.packed.address(found, place)

    def matrices(self, segment: Segment) -> list[list[Matrix]]:
        """Return the locations of unpacked weights."""
        return self.packed.matrices(segment)


class OnceWriter(StageWriter):
    """The passes of what depends on weights and numbers alone: of one row, before there is any chunk."""

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store a value where all rows read it, and nowhere else, even if it is a new state."""
        memory = self.memory
        memory.v.store(value, memory.column(memory.k[f"once_{node.index}"], place), 0, place.mask)
