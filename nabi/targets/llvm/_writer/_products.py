"""Products of rows with packed weights: accumulators in registers, stored for the maps that follow.

Weights are packed as `[tile][k][accumulator][vector][lane]`, so that a tile of units reads them sequentially.
An operand is either rows of memory (`x`, a state) or a panel `[vector][slot][row][lane]`, as used for
cotangents.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from nabi.native.kernel_function import smaller
from nabi.native.vectors import Loop, Vectors, index, loop_over, only_if
from nabi.native.weight_vectors import WeightVectors
from nabi.targets.llvm._plan._operand_groups import Segment
from nabi.targets.llvm._plan._tiles import parts_of_segment, row_steps, rows_of_segment

__all__ = ["LONGEST_CHAIN", "PIECE", "Aside", "Panel", "RowAddress", "accumulate", "row_tiles"]

RowAddress = Callable[[Any], Any]
"""Returns the address of a row of an operand, by its number."""


@dataclass(frozen=True)
class Panel:
    """An operand in panels.

    Attributes:
        start: address of row 0 of its first vector.
        stride: elements from one vector to the next.
        slot: elements from one operand of a stack to the next.
    """

    start: Any
    stride: Any
    slot: Any = None


@dataclass(frozen=True)
class Aside:
    """Sums that only the first segments give, and that are put aside before the others.

    Attributes:
        turn: the number of the first segment that does not give them.
        kept: the number of outputs before them, whose sums go on; negative or large where there are none or
            only such.
        apart: elements from the sums to where they are put.
    """

    turn: int
    kept: Any
    apart: int

    def put(self, v: Vectors, sums: Sequence[Any], address: Any) -> list[Any]:
        """Store the sums of a row elsewhere, and return what the next segments start from."""
        found = list(sums)
        first = self.kept // v.lanes if isinstance(self.kept, int) else 0
        for n in range(first, len(sums)):
            v.store(sums[n], address, self.apart + n * v.lanes)
            if isinstance(self.kept, int):
                lanes = v.lanes_below(self.kept - n * v.lanes)
            else:
                lanes = v.lanes_below(v.builder.sub(self.kept, index(n * v.lanes)))
            # Not a product with zeros: sums may be infinite.
            found[n] = v.select(lanes, sums[n], v.zero)
        return found


def accumulate(
    v: Vectors,
    *,
    rows: tuple[Any, Any],
    tile_rows: int,
    vectors: int,
    accumulators: int,
    segments: Sequence[tuple[Segment, RowAddress | Panel, Any]],
    scratch: RowAddress,
    resume: bool,
    registers: int,
    many_rows: bool = True,
    far: bool = False,
    w: Vectors | WeightVectors | None = None,
    scales: Sequence[Any] = (),
    flags: Sequence[Any] = (),
    aside: Aside | None = None,
) -> None:
    """Write the products of one tile of units for a range of rows.

    Long sums are split into pieces that are added at their ends: the rounding error of n sequential additions
    grows with n. A piece of the weights also stays in a near cache for all rows. If weights are far, the next
    piece is prefetched meanwhile.

    Args:
        v: the instruction writer.
        rows: the first row and the one after the last.
        tile_rows: rows of a full tile.
        vectors: vectors of the tile.
        accumulators: the number of sums.
        segments: each with its operand and the address of its packed weights for this tile.
        scratch: the address of the stored sums of a row, `[accumulator][vector][lane]`.
        resume: whether the sums continue from the stored ones.
        registers: number of vector registers of the machine.
        many_rows: whether there are usually more rows than a tile has.
        far: whether the weights are too large to stay in the second-level cache between steps.
        w: loads the weights; `v` unless they are stored as smaller numbers.
        scales: for each segment the address of the factors of its sums, `[accumulator][vector][lane]`; empty
            if there are none.
        flags: for each segment whether it is wanted at this step, None if always; empty if all always are.
        aside: what is put aside between two segments, if sums lie side by side; they never resume then.
    """
    size = accumulators * vectors
    flags = flags or [None] * len(segments)
    w = v if w is None else w
    is_short = sum(segment.length for segment, _, _ in segments) <= LONGEST_CHAIN
    if is_short and not scales and all(len(segment.operands) == 1 for segment, _, _ in segments):
        places = [_places(segment.targets, vectors) for segment, _, _ in segments]
        for row, count, part, _ in _blocks(v, rows, tile_rows, size, size, registers, many_rows):
            given = [[column for column, place in enumerate(of_one) if place in part] for of_one in places]
            read = [number for number, columns in enumerate(given) if columns]
            last = {places[number][column]: number for number in read for column in given[number]}
            block = _Block(v, w, count, vectors, accumulators)
            if resume:
                block.load(_lines(v, scratch, row, count), part)
            for number in read:
                segment, operand, weights = segments[number]
                if aside is not None and number == aside.turn:
                    block.put_aside(aside, _lines(v, scratch, row, count))
                add = partial(block.multiply_all, segment, operand, weights, row, given[number])
                block.sums = only_if(v.builder, flags[number], block.sums, add)
                # What is complete leaves its registers: the next loop needs them.
                of_columns = [places[number][column] for column in given[number]]
                done = [place for place in of_columns if last[place] == number]
                block.store(_lines(v, scratch, row, count), done)
            block.store(_lines(v, scratch, row, count), [place for place in part if place not in last])
        return
    if not resume:
        with loop_over(v.builder, *rows) as row:
            for place in range(size):
                v.store(v.zero, scratch(row), place * v.lanes)
    for number, ((segment, operand, weights), flag) in enumerate(zip(segments, flags, strict=True)):
        if aside is not None and number == aside.turn:
            with loop_over(v.builder, *rows) as row:
                block = _Block(v, w, 1, vectors, accumulators)
                block.load([scratch(row)], range(size))
                block.put_aside(aside, [scratch(row)])
                block.store([scratch(row)], range(size))
        with nullcontext() if flag is None else v.builder.if_then(flag):
            for piece in _pieces(v, w, segment, operand, weights, vectors, PIECE):
                columns = len(segment.targets) * vectors
                blocks = _blocks(v, rows, tile_rows, size, columns, registers, many_rows)
                for row, count, part, most in blocks:
                    block = _Block(v, w, count, vectors, accumulators)
                    is_first = far and part.start == 0  # the weights of all parts are fetched with it
                    ahead = _ahead(v, w, piece, row, rows, most) if is_first else None
                    block.multiply(segment, piece, row, part, ahead)
                    factors = scales[number] if scales else None
                    block.add_to(_lines(v, scratch, row, count), segment.targets, part, factors)


def _places(targets: Sequence[int], vectors: int) -> list[int]:
    """Return the number of the sum that each vector of weights of a segment gives."""
    return [target * vectors + n for target in targets for n in range(vectors)]


def _blocks(
    v: Vectors,
    rows: tuple[Any, Any],
    tile_rows: int,
    sums: int,
    columns: int,
    registers: int,
    many_rows: bool,
) -> Iterator[tuple[Any, int, range, int]]:
    """Write loops over the blocks whose sums are in registers.

    Args:
        v: the instruction writer.
        rows: the first row and the one after the last.
        tile_rows: rows of a full tile.
        sums: vectors of sums of a row of the tile.
        columns: those that are given.
        registers: number of vector registers of the machine.
        many_rows: whether there are usually more rows than a tile has.

    Yields:
        The first row of a block and how many it has, which of the sums, and the rows of a full block of them.
    """
    parts = parts_of_segment(columns, registers)

    room = registers - registers // 4

    def most(part: range) -> int:
        is_whole = len(part) == sums and tile_rows * sums <= room
        return tile_rows if is_whole else rows_of_segment(tile_rows, len(part), registers)

    def steps(full: int) -> list[int]:
        return sorted({tile_rows, *row_steps(full)}, reverse=True)

    if many_rows:
        for part in parts:
            full = most(part)
            for row, count in row_tiles(v, rows, steps(full)):
                yield row, count, part, full
        return
    full = most(max(parts, key=len))
    for row, count in row_tiles(v, rows, steps(full)):
        # Of a row alone, all sums at once: a few of them would wait for each other's multipliers.
        for part in parts if count > 1 else [range(columns)]:
            yield row, count, part, full


LONGEST_CHAIN = 192
PIECE = 128
"""Terms of a sum added sequentially: up to the first number at once, otherwise in pieces of about the second,
as even as can be: a small piece at the end would load and store all sums for a few products."""

_GRAIN = 4
"""Units of a row in a piece are a multiple of it, so that only the last piece has single ones left over."""

_PARTS = 4
"""Tiles of rows that prefetch the next piece, each a part of it: a few cache lines at a time.

Prefetched all at once, they would delay each other and the weights that are needed now. So with fewer than
two tiles of rows, nothing is prefetched: then all weights arrive at the speed of the next cache level anyway.
"""


def row_tiles(v: Vectors, rows: tuple[Any, Any], sizes: Iterable[int]) -> Iterator[tuple[Any, int]]:
    """Write loops over tiles of rows of some sizes, the largest first; yield the first row and the size."""
    b = v.builder
    now, stop = rows
    for size in sizes:
        left = b.sub(stop, now)
        end = b.add(now, b.mul(b.sdiv(left, index(size)), index(size))) if size > 1 else stop
        with loop_over(b, now, end, size) as row:
            yield row, size
        now = end


def _ahead(
    v: Vectors, w: Vectors | WeightVectors, piece: "_Piece", row: Any, rows: tuple[Any, Any], tile_rows: int
) -> Any:
    """Return where a tile of rows starts to prefetch weights: in the next piece.

    The last piece of a segment is followed by the weights of the next tile of units, which will be read soon.
    """
    b = v.builder
    size = index(piece.size)
    part = smaller(b, b.mul(b.sub(row, rows[0]), index(piece.size // (_PARTS * tile_rows))), size)
    many = b.icmp_signed(">=", b.sub(rows[1], rows[0]), index(2 * tile_rows))
    # Prefetching near weights costs nothing.
    return w.address(piece.weights, b.select(many, b.add(part, size), index(0)))


def _lines(v: Vectors, address: RowAddress, row: Any, count: int) -> list[Any]:
    return [address(v.builder.add(row, index(r))) for r in range(count)]


@dataclass(frozen=True)
class _Piece:
    """A part of the units that a segment reads.

    Attributes:
        rows: returns the address of the first unit in a row.
        weights: the address of the weights of the first unit.
        vectors: for a panel, the number of full vectors of units; 0 if units are contiguous.
        stride: for a panel, elements from one vector to the next.
        length: the number of contiguous units, after the vectors if there are any.
        size: the number of elements of its weights.
    """

    rows: RowAddress
    weights: Any
    vectors: int
    stride: Any
    length: int
    size: int


def _pieces(
    v: Vectors,
    w: Vectors | WeightVectors,
    segment: Segment,
    operand: RowAddress | Panel,
    weights: Any,
    vectors: int,
    limit: int | None,
) -> Iterator[_Piece]:
    """Write loops over the pieces of a segment, of at most `limit` units; yield each kind of piece."""
    b = v.builder
    line = len(segment.targets) * vectors * v.lanes
    if not isinstance(operand, Panel):
        reads = operand
        for start, length, _ in _cut(segment.length, limit, v, _GRAIN):

            def side_by_side(row: Any, start: Any = start) -> Any:
                return v.address(reads(row), start)

            here = w.address(weights, b.mul(start, index(line)))
            yield _Piece(side_by_side, here, 0, None, length, length * line)
        return
    if len(segment.operands) == 1:
        yield from _pieces_of_panel(v, segment, operand, weights, line, limit)
        return
    with loop_over(b, 0, len(segment.operands)) as number:
        panel = Panel(v.address(operand.start, b.mul(number, operand.slot)), operand.stride)
        here = v.address(weights, b.mul(number, index(segment.width * line)))
        yield from _pieces_of_panel(v, segment, panel, here, line, limit)


def _pieces_of_panel(
    v: Vectors, segment: Segment, panel: Panel, weights: Any, line: int, limit: int | None
) -> Iterator[_Piece]:
    b = v.builder
    full, rest = divmod(segment.width, v.lanes)
    if not full:
        yield _Piece(_row_of_panel(v, panel.start), weights, 0, panel.stride, rest, rest * line)
        return
    for start, count, is_last in _cut(full, None if limit is None else limit // v.lanes, v):
        source = v.address(panel.start, b.mul(start, panel.stride))
        here = v.address(weights, b.mul(start, index(v.lanes * line)))
        tail = rest if is_last else 0
        size = (count * v.lanes + tail) * line
        yield _Piece(_row_of_panel(v, source), here, count, panel.stride, tail, size)


def _row_of_panel(v: Vectors, start: Any) -> RowAddress:
    return lambda row: v.address(start, v.builder.mul(row, index(v.lanes)))


def _cut(length: int, limit: int | None, v: Vectors, grain: int = 1) -> Iterator[tuple[Any, int, bool]]:
    """Write loops over pieces of a length; yield start and size, and whether it is the last piece.

    Args:
        length: the length.
        limit: about the size of a piece; None for one piece.
        v: the instruction writer.
        grain: the size of all pieces but the last is a multiple of it.
    """
    pieces = 1 if limit is None else max(1, round(length / limit))
    size = -(-length // (pieces * grain)) * grain
    before = max(0, -(-length // size) - 1) * size
    if before > size:
        with loop_over(v.builder, 0, before, size) as start:
            yield start, size, False
    elif before:
        yield index(0), size, False
    yield index(before), length - before, True


class _Block:
    """The accumulators of one tile: `sums[row][accumulator][vector]`."""

    def __init__(
        self, v: Vectors, w: Vectors | WeightVectors, rows: int, vectors: int, accumulators: int
    ) -> None:
        self.v, self.w, self.rows, self.vectors, self.accumulators = v, w, rows, vectors, accumulators
        self.sums = [v.zero] * (rows * accumulators * vectors)

    def load(self, addresses: Sequence[Any], places: Iterable[int]) -> None:
        """Load stored sums, of each row those at some places."""
        v, size = self.v, self.accumulators * self.vectors
        for r, address in enumerate(addresses):
            for place in places:
                self.sums[r * size + place] = v.load(address, place * v.lanes)

    def store(self, addresses: Sequence[Any], places: Iterable[int]) -> None:
        """Store sums, of each row those at some places."""
        v, size = self.v, self.accumulators * self.vectors
        for r, address in enumerate(addresses):
            for place in places:
                v.store(self.sums[r * size + place], address, place * v.lanes)

    def put_aside(self, aside: Aside, addresses: Sequence[Any]) -> None:
        """Put some sums aside, before the segments that do not give them."""
        size = self.accumulators * self.vectors
        rows = [self.sums[r * size : (r + 1) * size] for r in range(self.rows)]
        parts = [aside.put(self.v, sums, at) for sums, at in zip(rows, addresses, strict=True)]
        self.sums = [total for part in parts for total in part]

    def add_to(
        self, addresses: Sequence[Any], targets: Sequence[int], part: range, factors: Any = None
    ) -> None:
        """Add sums to the stored ones, each times its factor if there are any.

        Args:
            addresses: of the stored sums of each row.
            targets: the accumulators of a segment.
            part: those of their vectors that are added.
            factors: the address of the factors of all their vectors.
        """
        v, size = self.v, self.accumulators * self.vectors
        of_all = _places(targets, self.vectors)
        places = [of_all[column] for column in part]
        scales = [] if factors is None else [v.load(factors, column * v.lanes) for column in part]
        for r, address in enumerate(addresses):
            for j, place in enumerate(places):
                before, total = v.load(address, place * v.lanes), self.sums[r * size + place]
                after = v.fma(total, scales[j], before) if scales else v.add(before, total)
                v.store(after, address, place * v.lanes)

    def multiply_all(
        self,
        segment: Segment,
        operand: RowAddress | Panel,
        weights: Any,
        row: Any,
        columns: Sequence[int],
        sums: list[Any],
    ) -> list[Any]:
        """Return sums with the products of a whole segment added, for rows from `row` on."""
        self.sums = sums
        for piece in _pieces(self.v, self.w, segment, operand, weights, self.vectors, None):
            self.multiply(segment, piece, row, columns)
        return self.sums

    def multiply(
        self, segment: Segment, piece: _Piece, row: Any, columns: Sequence[int], ahead: Any = None
    ) -> None:
        """Add the products with a piece, for rows from `row` on; prefetch weights from `ahead` meanwhile.

        `columns` are the numbers of the vectors of weights that are multiplied.
        """
        v, b = self.v, self.v.builder
        rows = _lines(v, piece.rows, row, self.rows)
        if not piece.vectors:
            self._loop(segment, rows, piece.weights, piece.length, ahead, columns)
            return
        line = len(segment.targets) * self.vectors * v.lanes
        loop = Loop(b, 0, piece.vectors, 1, self.sums)
        self.sums = list(loop.carried)
        shift = b.mul(loop.at, piece.stride)
        here = v.address(piece.weights, b.mul(loop.at, index(v.lanes * line)))
        if ahead is not None:
            ahead = v.address(ahead, b.mul(loop.at, index(v.lanes * line // _PARTS)))
        self._loop(segment, [v.address(line_of, shift) for line_of in rows], here, v.lanes, ahead, columns)
        self.sums = loop.close(self.sums)
        if piece.length:
            shift = b.mul(index(piece.vectors), piece.stride)
            here = v.address(piece.weights, piece.vectors * v.lanes * line)
            last = [v.address(line_of, shift) for line_of in rows]
            self._loop(segment, last, here, piece.length, None, columns)

    def _loop(
        self,
        segment: Segment,
        rows: Sequence[Any],
        weights: Any,
        length: int,
        ahead: Any,
        columns: Sequence[int],
    ) -> None:
        v, b = self.v, self.v.builder
        line = len(segment.targets) * self.vectors * v.lanes
        # Enough multiplications per iteration to hide the loop overhead. More take longer to compile; and
        # with a single row, where each reads its weights from memory, 32 took a quarter longer than 16 (on
        # Zen 5).
        unroll = min(length, 4 if len(self.sums) <= 4 else 2)
        main = length // unroll * unroll
        loop = Loop(b, 0, main, unroll, self.sums)
        self.sums = list(loop.carried)
        here = self.w.address(weights, b.mul(loop.at, index(line)))
        places = [v.address(row, loop.at) for row in rows]
        if ahead is not None:
            here_ahead = self.w.address(ahead, b.mul(loop.at, index(line // _PARTS)))
            self.w.fetch(here_ahead, -(-unroll * line // _PARTS))
        for u in range(unroll):
            self._turn(segment, places, u, here, u * line, columns)
        self.sums = loop.close(self.sums)
        for k in range(main, length):
            self._turn(segment, rows, k, weights, k * line, columns)

    def _turn(
        self, segment: Segment, places: Sequence[Any], k: int, weights: Any, at: int, columns: Sequence[int]
    ) -> None:
        v = self.v
        # The fewer of both stay in registers, while each of the others is used up.
        if len(columns) < len(places):
            loaded = [self.w.load(weights, at + column * v.lanes) for column in columns]
            for r, row in enumerate(places):
                value = v.broadcast(row, k)
                for column, weight in zip(columns, loaded, strict=True):
                    self._add(segment, r, column, value, weight)
            return
        values = [v.broadcast(row, k) for row in places]
        for column in columns:
            weight = self.w.load(weights, at + column * v.lanes)
            for r, value in enumerate(values):
                self._add(segment, r, column, value, weight)

    def _add(self, segment: Segment, r: int, column: int, value: Any, weight: Any) -> None:
        """Add a product to the sum of a row and a vector of weights."""
        j, n = divmod(column, self.vectors)
        place = (r * self.accumulators + segment.targets[j]) * self.vectors + n
        self.sums[place] = self.v.fma(value, weight, self.sums[place])
