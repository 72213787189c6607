"""Writes the passes and reductions of a schedule: products, then elementwise maps of their results.

Only the kernel around a pass knows the memory that the pass reads and writes; a `Frame` provides its
addresses.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from llvmlite import ir

from nabi.ir import Node
from nabi.native import operations as _operations
from nabi.native.vectors import Loop, Vectors, index, loop_over, reserve
from nabi.native.weight_vectors import WeightVectors
from nabi.targets.llvm._plan._operand_groups import (
    Segment,
    joined_segments,
    packed_inputs,
    segments_of,
)
from nabi.targets.llvm._plan._schedule import Pass, Reductions, Schedule, is_across, is_reduction
from nabi.targets.llvm._plan._tiles import NEAR, Columns, Places, Tile
from nabi.targets.llvm._writer._along import write_along
from nabi.targets.llvm._writer._dot_products import DotProducts
from nabi.targets.llvm._writer._packing import Matrix
from nabi.targets.llvm._writer._products import Aside, Panel, RowAddress, accumulate
from nabi.targets.llvm._writer._unpacked_products import accumulate_in_place

__all__ = ["Early", "Frame", "PassWriter", "Place", "Values"]

_DIGITS = 16 << 10
"""Numbers of rows whose digits are kept at a time: they stay in the first two caches."""


@dataclass(frozen=True)
class Place:
    """The location of a vector of units: a row, the number of the vector, and a mask of its units or None."""

    row: Any
    vector: Any
    mask: Any


@dataclass(frozen=True)
class Early:
    """The location of the sums of early products.

    Attributes:
        start: the address of the first tile.
        stride: elements from one tile to the next.
        shift: offset of row numbers.
    """

    start: Any
    stride: Any
    shift: Any


class Frame(Protocol):
    """The memory around a pass."""

    def load(self, node: Node, place: Place) -> Any:
        """Load units of an available or stored value."""

    def number(self, node: Node, row: Any) -> Any:
        """Load a reduction of a row."""

    def store(self, node: Node, value: Any, place: Place) -> None:
        """Store units of a value that other passes or steps read."""

    def store_number(self, node: Node, value: Any, row: Any) -> None:
        """Store a reduction of a row."""

    def row_stored(self, node: Node, row: Any) -> Any:
        """Return the address of a row of a stored value."""

    def operand(self, segment: Segment) -> RowAddress | Panel:
        """Return the location at which products read an operand."""

    def weights(self, found: Pass, place: int) -> Any:
        """Return the address of the packed weights of a segment of a pass."""

    def matrices(self, segment: Segment) -> list[list[Matrix]]:
        """Return the unpacked weights: for each operand of a segment, the matrix of each accumulator."""

    def parameter(self, node: Node) -> Any:
        """Return the address of a parameter vector."""

    def wanted(self, segment: Segment) -> Any:
        """Return a flag whether a segment is multiplied at this step; None if it always is."""


@dataclass
class Values:
    """The values of one place, computed once each."""

    level: int
    place: Place
    sums: dict[int, Any] = field(default_factory=dict)
    parameters: dict[int, Any] = field(default_factory=dict)
    known: dict[int, Any] = field(default_factory=dict)
    between: bool = False


class PassWriter:
    """Writes passes and reductions of one schedule into a kernel.

    Args:
        v: the instruction writer; its builder may change position.
        schedule: the schedule.
        tiles: the tile of each pass.
        frame: the locations of values.
        registers: number of vector registers of the machine.
        few_rows: whether steps have few rows; products that read the input are then computed before them.
        slots: for each cotangent its slot among the panels of its width, in a derivative.
        in_place: whether products read the unpacked weights.
        in_place_rows: rows that are multiplied with them at a time.
        weight_type: the type of stored weights, if it is not that of the kernel.
        scales: returns the address of the factors of the sums of a segment; None if they have none.
        starts: returns the address of what sums of its highest digits start from; None unless products are
            dot products of bytes.
    """

    def __init__(
        self,
        v: Vectors,
        schedule: Schedule,
        tiles: dict[Pass, Tile],
        frame: Frame,
        registers: int,
        few_rows: bool = False,
        slots: Mapping[int, int] | None = None,
        in_place: bool = False,
        in_place_rows: int = 1,
        weight_type: str = "",
        scales: Callable[[Pass, int], Any] | None = None,
        starts: Callable[[Pass, int], Any] | None = None,
    ) -> None:
        self.v, self.schedule, self.tiles, self.frame = v, schedule, tiles, frame
        self.few_rows, self.in_place, self.registers = few_rows, in_place, registers
        self.in_place_rows = in_place_rows
        self._weight_type, self._scales, self._starts = weight_type, scales, starts
        self._dots: DotProducts | None = None
        self.segments = {
            found: segments if tile.places is None else joined_segments(segments, tile.places)
            for found, tile in tiles.items()
            for segments in [segments_of(found, few_rows, slots)]
        }
        self._scratch: dict[int, Any] = {}
        self._line: Any = None  # one row on the stack, which values along the units are made from

    def columns(self, found: Pass) -> Columns:
        """Return the division of a pass's units into tiles."""
        return Columns(found.width, self.v.lanes, self.tiles[found].vectors)

    def block_rows(self, found: Pass) -> int:
        """Return the number of rows whose sums are kept for the maps: what fits the first-level cache."""
        tile = self.tiles[found]
        line = self._line_of(found) * self.v.size
        # With tiles of three rows, 32 are one block then: the second one would read all weights again.
        most = 11 if self.registers <= 16 else 8
        return tile.rows * max(1, min(most, 16384 // max(1, line * tile.rows)))

    def _line_of(self, found: Pass) -> int:
        """Return the number of elements of the sums of a row of a tile."""
        return self.tiles[found].line(found.width, len(found.sums), self.v.lanes)

    def reserve(self) -> None:
        """Reserve memory on the stack for sums; called once, at the start of the kernel."""
        sizes = [self.block_rows(found) * self._line_of(found) for found in self.schedule.passes]
        if max(sizes, default=0):
            self._scratch[0] = reserve(self.v.builder, self.v.element, max(sizes))
        lines = [
            Columns(node.arguments[0].width or 1, self.v.lanes, 1).count * self.v.lanes
            for found in self.schedule.order
            if isinstance(found, Reductions)
            for node in found.nodes
            if is_across(node)
        ]
        if self._starts is not None:
            self._dots = DotProducts(self.v, *self._digits())
        if lines:
            self._line = reserve(self.v.builder, self.v.element, max(lines))

    def run_pass(
        self,
        found: Pass,
        vectors: tuple[Any, Any],
        rows: tuple[Any, Any],
        early: Early | None = None,
        only_early: bool = False,
    ) -> None:
        """Write a pass for a range of vectors of units and a range of rows.

        Args:
            found: the pass.
            vectors: the first vector and the one after the last; tiles do not cross either.
            rows: the first row and the one after the last.
            early: the location of the sums of early products, if some are hoisted.
            only_early: whether to write only the early products.
        """
        b = self.v.builder
        columns = self.columns(found)
        size = index(columns.vectors)
        first = b.sdiv(vectors[0], size)
        stop = b.sdiv(b.add(vectors[1], index(columns.vectors - 1)), size)
        if self._dots is None:
            with loop_over(b, first, stop) as tile:
                self._tile(found, tile, rows, early, only_early)
            return
        with self._blocks(rows, min(self._dots.rows, self.block_rows(found))) as some:
            for number, (_, segment) in enumerate(self._read(found, only_early)):
                operand = self.frame.operand(segment)
                assert not isinstance(operand, Panel)
                self._dots.take(number, segment.width, some, operand)
            with loop_over(b, first, stop) as tile:
                self._tile(found, tile, some, early, only_early)

    @contextmanager
    def _blocks(self, rows: tuple[Any, Any], size: int) -> Iterator[tuple[Any, Any]]:
        """Write a loop over blocks of rows; yield the first row of each and the one after its last."""
        b = self.v.builder
        with loop_over(b, rows[0], rows[1], size) as begin:
            limit = b.add(begin, index(size))
            yield begin, b.select(b.icmp_signed("<", limit, rows[1]), limit, rows[1])

    def _read(self, found: Pass, only_early: bool) -> list[tuple[int, Segment]]:
        """Return the segments of a pass that are computed early, or the others, with their places."""
        return [(n, one) for n, one in enumerate(self.segments[found]) if one.early == only_early]

    def _digits(self) -> tuple[list[int], int]:
        """Return the widths of operands whose digits are needed together, and for how many rows."""
        kinds = [[s.width for _, s in self._read(p, e)] for p in self.schedule.passes for e in (True, False)]
        most = max(map(len, kinds), default=0)
        widths = [max(kind[i] for kind in kinds if i < len(kind)) for i in range(most)]
        return widths, max(1, min(16, _DIGITS // max(1, sum(widths))))

    def _tile(
        self,
        found: Pass,
        tile: Any,
        rows: tuple[Any, Any],
        early: Early | None,
        only_early: bool,
    ) -> None:
        v, b = self.v, self.v.builder
        vectors = self.tiles[found].vectors
        first = b.mul(tile, index(vectors))
        if not found.sums:
            self._maps(found, first, rows, None)
            return
        line_of_all = self.tiles[found].places
        if line_of_all is not None:
            self._side_by_side(found, line_of_all, rows)
            return
        line = self._line_of(found)
        segments: list[tuple[Any, ...]] = []
        scales: list[Any] = []
        read = self._read(found, only_early)
        flags = [self.frame.wanted(segment) for _, segment in read]
        w = self._weights()
        for (place, segment), flag in zip(read, flags, strict=True):
            if self.in_place:
                segments.append((segment, self.frame.operand(segment), self.frame.matrices(segment), flag))
            elif self._starts is not None and self._scales is not None:
                factors = b.mul(tile, index(len(segment.targets) * vectors * v.lanes))
                places = [v.address(at(found, place), factors) for at in (self._scales, self._starts)]
                step = index(packed_inputs(segment.length, True) * len(segment.targets) * vectors * v.lanes)
                weights = w.address(self.frame.weights(found, place), b.mul(tile, step))
                segments.append((segment, weights, *places))
            else:
                step = segment.elements(1, vectors, v.lanes)
                weights = w.address(self.frame.weights(found, place), b.mul(tile, index(step)))
                segments.append((segment, self.frame.operand(segment), weights))
                if self._scales is not None:
                    factors = index(len(segment.targets) * vectors * v.lanes)
                    scales.append(v.address(self._scales(found, place), b.mul(tile, factors)))
        if early is not None:
            start = v.address(early.start, b.mul(tile, early.stride))

            def far(row: Any) -> Any:
                return v.address(start, b.mul(b.add(row, early.shift), index(line)))

            if segments:
                self._accumulate(
                    found, tile, rows, segments, scales, flags, far,
                    resume=not only_early, only_early=only_early,
                )  # fmt: skip
            if not only_early:
                self._maps(found, first, rows, far)
            return
        block = self.block_rows(found)
        with self._blocks(rows, block) as (begin, end):

            def near(row: Any) -> Any:
                return v.address(self._scratch[0], b.mul(b.sub(row, begin), index(line)))

            self._accumulate(
                found, tile, (begin, end), segments, scales, flags, near, resume=False, only_early=False
            )
            self._maps(found, first, (begin, end), near)

    def _side_by_side(self, found: Pass, places: Places, rows: tuple[Any, Any]) -> None:
        """Write a pass whose sums lie side by side: the parts of their line, then the maps."""
        v, b, tile, segments = self.v, self.v.builder, self.tiles[found], self.segments[found]
        line, columns = self._line_of(found), tile.product(found.width, v.lanes)
        size = columns.vectors * v.lanes
        operands = [self.frame.operand(segment) for segment in segments]
        flags = [self.frame.wanted(segment) for segment in segments]
        with self._blocks(rows, self.block_rows(found)) as (begin, end):

            def of_row(shift: Any, row: Any) -> Any:
                return v.address(self._scratch[0], b.add(b.mul(b.sub(row, begin), index(line)), shift))

            with loop_over(b, 0, columns.tiles) as part:
                shift = b.mul(part, index(size))
                weights = [
                    v.address(self.frame.weights(found, n), b.mul(shift, index(segment.length)))
                    for n, segment in enumerate(segments)
                ]
                aside = None
                if places.aside:
                    kept = places.kept if columns.tiles == 1 else b.sub(index(places.kept), shift)
                    aside = Aside(places.turn, kept, columns.tiles * size)
                accumulate(
                    v,
                    rows=(begin, end),
                    tile_rows=tile.rows,
                    vectors=columns.vectors,
                    accumulators=1,
                    segments=list(zip(segments, operands, weights, strict=True)),
                    scratch=partial(of_row, shift),
                    resume=False,
                    registers=self.registers,
                    far=self._is_far(found),
                    flags=flags,
                    aside=aside,
                )
            with loop_over(b, 0, self.columns(found).count) as vector:
                shift = b.mul(vector, index(v.lanes))
                self._maps(found, vector, (begin, end), partial(of_row, shift))

    def _accumulate(
        self,
        found: Pass,
        tile: Any,
        rows: tuple[Any, Any],
        segments: Any,
        scales: list[Any],
        flags: list[Any],
        scratch: Any,
        *,
        resume: bool,
        only_early: bool,
    ) -> None:
        if self.in_place:
            accumulate_in_place(
                self.v,
                rows=rows,
                block_rows=self.in_place_rows,
                tile=tile,
                columns=self.columns(found),
                accumulators=len(found.sums),
                segments=segments,
                scratch=scratch,
                resume=resume,
                far=self._is_far(found),
            )
            return
        if self._dots is not None:
            self._dots.accumulate(
                rows=rows,
                tile_rows=self.tiles[found].rows,
                vectors=self.tiles[found].vectors,
                accumulators=len(found.sums),
                segments=segments,
                scratch=scratch,
                resume=resume,
            )
            return
        accumulate(
            self.v,
            rows=rows,
            tile_rows=self.tiles[found].rows,
            vectors=self.tiles[found].vectors,
            accumulators=len(found.sums),
            segments=segments,
            scratch=scratch,
            resume=resume,
            registers=self.registers,
            many_rows=only_early or not self.few_rows,
            far=self._is_far(found) and (only_early or not self.few_rows),
            w=self._weights(),
            scales=scales,
            flags=flags,
        )

    def _weights(self) -> Vectors | WeightVectors:
        """Return what loads weights."""
        return WeightVectors(self.v, self._weight_type) if self._weight_type else self.v

    def _is_far(self, found: Pass) -> bool:
        """Tell whether the weights of a pass do not stay in the second-level cache between steps."""
        columns = self.tiles[found].product(found.width, self.v.lanes)
        sizes = [s.elements(columns.tiles, columns.vectors, columns.lanes) for s in self.segments[found]]
        return sum(sizes) * self._weights().size > NEAR

    def _maps(self, found: Pass, first: Any, rows: tuple[Any, Any], scratch: RowAddress | None) -> None:
        """Write the maps on the sums of a tile, row by row."""
        v, b, tile = self.v, self.v.builder, self.tiles[found]
        columns = self.columns(found) if tile.places is None else Columns(found.width, v.lanes, 1)
        if columns.vectors * len(found.sums) <= (8 if self.few_rows else 4):
            vectors = [b.add(first, index(n)) for n in range(columns.vectors)]
            self._maps_of(found, columns, vectors, rows, scratch)
            return
        # Code for each of so many values would take long to compile.
        with loop_over(b, 0, columns.vectors) as n:
            shift = b.mul(n, index(v.lanes))

            def line(row: Any) -> Any:
                assert scratch is not None
                return v.address(scratch(row), shift)

            self._maps_of(found, columns, [b.add(first, n)], rows, line)

    def _maps_of(
        self,
        found: Pass,
        columns: Columns,
        vectors: list[Any],
        rows: tuple[Any, Any],
        scratch: RowAddress | None,
    ) -> None:
        """Write the maps on the sums of some vectors of a tile, which follow each other, row by row."""
        v, b, tile = self.v, self.v.builder, self.tiles[found]
        starts = tile.starts(found.width, len(found.sums), v.lanes)
        masks = [columns.mask(v, vector) for vector in vectors]
        parameters = self._parameters(found, vectors, masks)
        with loop_over(b, rows[0], rows[1]) as row:
            sums = scratch(row) if scratch is not None else None
            for n, (vector, mask) in enumerate(zip(vectors, masks, strict=True)):
                place = Place(row, vector, mask)
                values = Values(found.level, place, parameters=parameters[n])
                for j, total in enumerate(found.sums):
                    inside = mask if tile.is_short(j, found.width, v.lanes) else None
                    values.sums[total.node.index] = v.load(sums, starts[j] + n * v.lanes, inside)
                # All values before the first store: a store may overwrite an operand of another value.
                results = [self.value(node, values) for node in found.stores]
                for node, result in zip(found.stores, results, strict=True):
                    self.frame.store(node, result, place)

    def _parameters(self, found: Pass, vectors: list[Any], masks: list[Any]) -> list[dict[int, Any]]:
        """Load the parameter vectors that a pass reads, before its rows."""
        v = self.v
        nodes = [n for n in self.schedule.loaded(found.stores, found.level) if n.operation == "parameter"]
        loaded = []
        for vector, mask in zip(vectors, masks, strict=True):
            at = v.builder.mul(vector, index(v.lanes))
            loaded.append({node.index: self._parameter(node, at, mask) for node in nodes})
        return loaded

    def _parameter(self, node: Node, at: Any, mask: Any) -> Any:
        """Load units of a parameter vector; a scalar is the same for all of them."""
        address = self.frame.parameter(node)
        return self.v.broadcast(address, 0) if node.width is None else self.v.load(address, at, mask)

    # Values.

    def value(self, node: Node, values: Values) -> Any:
        """Return a node's vector at a place, computing it if it is not available."""
        if node.index not in values.known:
            values.known[node.index] = self._value(node, values)
        return values.known[node.index]

    def _value(self, node: Node, values: Values) -> Any:
        v = self.v
        if node.operation == "constant":
            return v.constant(node.value)
        if node.operation == "parameter":
            if node.index in values.parameters:
                return values.parameters[node.index]
            at = v.builder.mul(values.place.vector, index(v.lanes))
            return self._parameter(node, at, values.place.mask)
        if is_reduction(node):
            return v.splat(self.frame.number(node, values.place.row))
        if self.schedule.is_loaded(node, values.level, values.between):
            return self.frame.load(node, values.place)
        total = self.schedule.sums.get(node.index)
        if total is not None:
            result = values.sums[node.index]
            for other in total.others:
                result = v.add(result, self.value(other, values))
            return result
        return _operations.apply(v, node.operation, *(self.value(a, values) for a in node.arguments))

    # Reductions.

    def run_reductions(self, found: Reductions, rows: tuple[Any, Any]) -> None:
        """Write reductions over the units for a range of rows."""
        by_width: dict[int, list[Node]] = {}
        across = [node for node in found.nodes if is_across(node)]
        for node in found.nodes:
            if is_reduction(node):
                by_width.setdefault(node.arguments[0].width or 1, []).append(node)
        with loop_over(self.v.builder, rows[0], rows[1]) as row:
            for node in across:
                self._lay_line(found, node, row)
                write_along(
                    self.v,
                    node.operation,
                    self._line,
                    self.frame.row_stored(node, row),
                    node.arguments[0].width or 1,
                    int(node.arguments[1].value),
                )
            for width, nodes in by_width.items():
                for node, number in zip(nodes, self._reduce(found, nodes, width, row), strict=True):
                    self.frame.store_number(node, number, row)

    def _lay_line(self, found: Reductions, node: Node, row: Any) -> None:
        """Lay the argument of a map along the units into the line on the stack, zeros after its last unit."""
        v = self.v
        columns = Columns(node.arguments[0].width or 1, v.lanes, 1)
        with loop_over(v.builder, 0, columns.count) as vector:
            mask = columns.mask(v, vector)
            values = Values(found.level, Place(row, vector, mask), between=True)
            value = self.value(node.arguments[0], values)
            value = value if mask is None else v.select(mask.lanes, value, v.zero)
            v.store(value, self._line, v.builder.mul(vector, index(v.lanes)))

    def _reduce(self, found: Reductions, nodes: list[Node], width: int, row: Any) -> list[Any]:
        v, b = self.v, self.v.builder
        largest = ("max", "largest")
        starts = [v.constant(float("-inf")) if node.operation in largest else v.zero for node in nodes]
        columns = Columns(width, v.lanes, 1)
        loop = Loop(b, 0, columns.count, 1, starts)
        mask = columns.mask(v, loop.at)
        values = Values(found.level, Place(row, loop.at, mask), between=True)
        sums = []
        for node, total, start in zip(nodes, loop.carried, starts, strict=True):
            value = self.value(node.arguments[0], values)
            value = value if mask is None else v.select(mask.lanes, value, start)
            name = "maximum" if node.operation in largest else "add"
            sums.append(_operations.apply(v, name, total, value))
        sums = loop.close(sums)
        results = []
        for node, total in zip(nodes, sums, strict=True):
            number = v.largest(total) if node.operation in largest else v.sum(total)
            if node.operation == "mean":
                number = b.fmul(number, ir.Constant(v.element, 1.0 / width))
            results.append(number)
        return results
