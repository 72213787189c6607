"""Memory around the passes of one step: rows of packed data, previous states, and exchanged values.

Row `j` of step `t` is row `offset[t] + j` of packed data. Memory used by one step only has two halves that
steps use alternately, so a thread may start a step while another still reads the previous one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nabi.ir import LEAVES, Input, Node, Program
from nabi.native.kernel_function import KernelFunction
from nabi.native.vectors import BYTE, INDEX, index, loop_over
from nabi.targets.llvm._plan._operand_groups import Segment, Weights, exchange_sizes, scale_name, start_name
from nabi.targets.llvm._plan._schedule import Pass, Schedule
from nabi.targets.llvm._plan._tiles import Columns
from nabi.targets.llvm._writer._packing import Matrix, Packer
from nabi.targets.llvm._writer._passes import Early, Place
from nabi.targets.llvm._writer._products import Panel, RowAddress

__all__ = ["StepMemory", "WeightsWriter"]


class WeightsWriter:
    """The weights of a schedule's passes in a kernel.

    Args:
        k: the kernel being written.
        layout: their layout.
        program: the program.
        columns_first: for each family whether the weights of one output are contiguous in memory.
    """

    def __init__(
        self, k: KernelFunction, layout: Weights, program: Program, columns_first: Sequence[bool]
    ) -> None:
        self.k, self.layout, self.program, self.columns_first = k, layout, program, columns_first

    def address(self, found: Pass, place: int) -> Any:
        """Return the address of the packed weights of a segment."""
        return self.k[self.layout.names[found, place]]

    def scales(self, found: Pass, place: int) -> Any:
        """Return the address of the factors of a segment's sums."""
        return self.k[scale_name(self.layout.names[found, place])]

    def starts(self, found: Pass, place: int) -> Any:
        """Return the address of what the sums of a segment's highest digits start from."""
        return self.k[start_name(self.layout.names[found, place])]

    def early(self, found: Pass, shift: Any) -> Early | None:
        """Return the location of the early sums of a pass; they hold `chunk_rows` rows."""
        if found not in self.layout.early:
            return None
        k = self.k
        name, columns = self.layout.early[found]
        line = columns.vectors * self.layout.lanes * len(found.sums)
        return Early(k[name], k.b.mul(k["chunk_rows"], index(line)), shift)

    def pack(self, is_read: Callable[[Pass, Segment], Any] = lambda *_: None) -> None:
        """Write the packing, divided among all threads.

        Args:
            is_read: returns a flag whether anything will read the weights of a segment; None if something
                will.
        """
        k, lanes = self.k, self.layout.lanes
        packer = Packer(k.v)
        for name, (found, segment, columns) in self.layout.entries.items():
            first, stop = k.part_of_all(index(columns.tiles))
            if (flag := is_read(found, segment)) is not None:
                stop = k.b.select(flag, stop, first)
            line = len(segment.targets) * columns.vectors * lanes
            for number, matrices in enumerate(segment.matrices):
                packer.pack(
                    columns=columns,
                    tiles=(first, stop),
                    length=segment.width,
                    stride=segment.length * line,
                    slots=[self._matrix(segment, matrix) for matrix in matrices],
                    target=k.v.address(k[name], number * segment.width * line),
                )

    def matrices(self, segment: Segment) -> list[list[Matrix]]:
        """Return the unpacked weights of a segment: for each operand, the matrix of each accumulator."""
        return [[self._matrix(segment, matrix) for matrix in matrices] for matrices in segment.matrices]

    def _matrix(self, segment: Segment, matrix: Node) -> Matrix:
        """Return the address of a matrix, the distance of its lines, and whether outputs are contiguous."""
        k = self.k
        family, rows = self.program.family_of(matrix.name)
        line, start = k[f"line_{family}"], index(rows.start)
        columns_first = self.columns_first[family]
        address = k.v.address(k[f"family_{family}"], k.b.mul(start, line) if columns_first else start)
        return Matrix(address, line, columns_first == segment.transposed)


class StepMemory:
    """The memory of a step; the base of the forward and the backward writer.

    Args:
        k: the kernel being written.
        program: the program.
        schedule: the computations of a step.
        flags: whether states may be reset to zero between steps.
        kept: states whose value at every step is kept.
    """

    def __init__(
        self, k: KernelFunction, program: Program, schedule: Schedule, flags: bool, kept: Sequence[int]
    ) -> None:
        self.k, self.b, self.v = k, k.b, k.v
        self.program, self.schedule, self.flags, self.kept = program, schedule, flags, kept
        self.stored = {int(n.split("_")[1]) for n in exchange_sizes(schedule) if n.startswith("stored")}
        self.state_places = {name: i for i, name in enumerate(program.state_names)}
        self.noise_places = {noise.name: i for i, noise in enumerate(program.noises)}
        self.ranges: dict[int, tuple[Any, Any]] = {}

    # Steps.

    def offset(self, step: Any) -> Any:
        """Return the first row of a step."""
        return self.b.load(self.b.gep(self.k["offset"], [step], source_etype=INDEX), align=8, typ=INDEX)

    def chunk(self, number: Any) -> tuple[Any, Any]:
        """Return the first step of a chunk and the one after its last."""
        place = self.b.gep(self.k["chunk_start"], [number], source_etype=INDEX)
        following = self.b.gep(place, [index(1)], source_etype=INDEX)
        return self.b.load(place, align=8, typ=INDEX), self.b.load(following, align=8, typ=INDEX)

    def enter(self, step: Any) -> None:
        """Compute the addresses of the rows and states of a step."""
        b = self.b
        self.step = step
        self.row_start = self.offset(step)
        self.active = b.sub(self.offset(b.add(step, index(1))), self.row_start)
        self.half = b.mul(b.and_(step, index(1)), self.k["batch"])
        first = b.icmp_signed("==", step, index(0))
        before = b.select(first, index(0), b.sub(step, index(1)))
        kept_row = self.offset(before)
        other_half = b.mul(b.and_(before, index(1)), self.k["batch"])
        self.previous: list[Any] = []
        for i, width in enumerate(self.program.state_widths):
            row = kept_row if i in self.kept else other_half
            if f"state_{i}" not in self.k.arguments:
                self.previous.append(None)
                continue
            address = self.v.address(self.k[f"state_{i}"], b.mul(row, index(width)))
            self.previous.append(b.select(first, self.k[f"initial_{i}"], address))
        self.base_row = self.row_start

    def own_rows(self) -> tuple[Any, Any]:
        """Return the rows of the step that this thread computes."""
        first, stop = self.k.row_range
        b = self.b
        return first, b.select(b.icmp_signed("<", stop, self.active), stop, self.active)

    def reduction_rows(self, rows: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return this thread's share of rows to reduce, among the threads that work on them together."""
        b, k = self.b, self.k
        count = b.sub(rows[1], rows[0])
        count = b.select(b.icmp_signed(">", count, index(0)), count, index(0))
        first, stop = k.part(count, k.unit_share, k.unit_shares)
        return b.add(rows[0], first), b.add(rows[0], stop)

    def has_state_operand(self) -> bool:
        """Tell whether a product of a step reads a state, which several threads have written."""
        return any(o.operation == "state" for found in self.schedule.passes for o in found.operands)

    # Addresses of rows.

    def row_of_packed(self, name: str, width: int, row: Any) -> Any:
        """Return the address of a row of packed data."""
        return self.v.address(self.k[name], self.b.mul(self.b.add(self.base_row, row), index(width)))

    def row_of_input(self, name: str, given: Input, row: Any) -> Any:
        """Return the address of an input in a row of all inputs, or of their gradients."""
        address = self.row_of_packed(name, self.program.row_size, row)
        return self.v.address(address, given.start) if given.start else address

    def row_of_state_before(self, place: int, row: Any) -> Any:
        """Return the address of a state before the step; zeros where it was reset."""
        width = self.program.state_widths[place]
        address = self.v.address(self.previous[place], self.b.mul(row, index(width)))
        if not self.flags:
            return address
        return self.b.select(self.flag("zero", row), self.k["zeros"], address)

    def row_of_state(self, name: str, width: int, row: Any) -> Any:
        """Return the address of a row of states by its number in the batch."""
        return self.v.address(self.k[name], self.b.mul(row, index(width)))

    def flag(self, name: str, row: Any) -> Any:
        """Return whether a row of the step is flagged."""
        place = self.b.gep(self.k[name], [self.b.add(self.row_start, row)], source_etype=BYTE)
        return self.b.icmp_unsigned("!=", self.b.load(place, align=1, typ=BYTE), BYTE(0))

    def row_stored(self, node: Node, row: Any) -> Any:
        """Return the address of a row of a stored value."""
        at = self.b.mul(self.b.add(self.half, row), index(node.width or 1))
        return self.v.address(self.k[f"stored_{node.index}"], at)

    def slot(self, name: str, width: int, slots: int, slot: int, place: Place) -> Any:
        """Return the address of a saved value: `[step][vector][row][slot][lane]`."""
        b, lanes = self.b, self.v.lanes
        count = Columns(width, lanes, 1).count
        start = b.mul(self.row_start, index(count))
        line = b.add(b.mul(place.vector, self.active), place.row)
        at = b.mul(b.add(start, line), index(slots * lanes))
        return self.v.address(self.k[name], b.add(at, index(slot * lanes)))

    def column(self, address: Any, place: Place) -> Any:
        """Return the address of a place in a row."""
        return self.v.address(address, self.b.mul(place.vector, index(self.v.lanes)))

    # Values loaded by both the forward pass and the derivative.

    def load(self, node: Node, place: Place) -> Any:
        """Load units of the input, a state before the step, a random input or a stored value."""
        if node.operation == "input" and node.width is None:
            return self.v.splat(self.v.load_scalar(self.row_of_leaf(node, place.row), index(0)))
        if node.operation in ("input", "noise", "state"):
            address = self.row_of_leaf(node, place.row)
        elif node.index in self.stored:
            address = self.row_stored(node, place.row)
        else:
            raise RuntimeError(f"native code: {node!r} is neither available nor stored")
        return self.v.load(self.column(address, place), 0, place.mask)

    def number(self, node: Node, row: Any) -> Any:
        """Load a reduction."""
        return self.v.load_scalar(self.k[f"number_{node.index}"], self.number_row(node, row))

    def store_number(self, node: Node, value: Any, row: Any) -> None:
        """Store a reduction."""
        self.v.store_scalar(value, self.k[f"number_{node.index}"], self.number_row(node, row))

    def number_row(self, node: Node, row: Any) -> Any:
        """Return the index of a row's reduction."""
        return self.b.add(self.half, row)

    def operand(self, segment: Segment) -> RowAddress | Panel:
        """Return the location at which products read a leaf or a stored value."""
        node = segment.operand
        if node.operation in LEAVES:
            return lambda row: self.row_of_leaf(node, row)
        return lambda row: self.row_stored(node, row)

    def wanted(self, segment: Segment) -> Any:
        """Return a flag whether a segment is multiplied at this step; None, as it always is."""
        return None

    def row_of_leaf(self, node: Node, row: Any) -> Any:
        """Return the address of a row of the input, a state before the step, a random input or a weight."""
        if node.operation == "input":
            return self.row_of_input("x", self.program.trace.inputs[node.name], row)
        if node.operation == "noise":
            return self.row_of_packed(f"noise_{self.noise_places[node.name]}", node.width or 1, row)
        if node.operation == "state":
            return self.row_of_state_before(self.state_places[node.name], row)
        return self.parameter(node)

    def parameter(self, node: Node) -> Any:
        """Return the address of a parameter vector."""
        family, rows = self.program.family_of(node.name)
        return self.v.address(self.k[f"family_{family}"], rows.start)

    def copy_rows(
        self, width: int, rows: tuple[Any, Any], source: RowAddress | None, target: RowAddress
    ) -> None:
        """Copy this thread's units of some rows; zeros without a source."""
        v, b = self.v, self.b
        columns = Columns(width, v.lanes, 1)
        first, stop = self.ranges[width]
        with loop_over(b, rows[0], rows[1]) as row, loop_over(b, first, stop) as vector:
            mask = columns.mask(v, vector)
            at = b.mul(vector, index(v.lanes))
            v.store(v.load(source(row), at, mask) if source else v.zero, target(row), at, mask)
