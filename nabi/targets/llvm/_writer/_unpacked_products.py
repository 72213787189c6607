"""Products with unpacked weights, for a few rows.

Packing reads all weights and writes them once more. This pays off if many rows read the packed copy; few
rows of a short sequence would spend most of their time on the copy. So here rows are multiplied with the
unpacked matrices, in one of two ways:

- contiguous weights of one input: a number of the row, in all lanes, times vectors of outputs;
- contiguous weights of one output: a vector of the row times a vector of each output's weights, for as many
  outputs as a vector has lanes; each has a sum in every lane, and these are added at the end.

Several rows are multiplied at a time, so that a weight is read from a far cache once for all of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from nabi.native.vectors import Loop, Vectors, index, loop_over, only_if
from nabi.targets.llvm._plan._operand_groups import Segment
from nabi.targets.llvm._plan._tiles import Columns
from nabi.targets.llvm._writer._packing import Matrix, sum_few, sum_lines
from nabi.targets.llvm._writer._products import LONGEST_CHAIN, PIECE, Panel, RowAddress, row_tiles

__all__ = ["accumulate_in_place"]

_Unpacked = tuple[Segment, RowAddress | Panel, Sequence[Sequence[Matrix]], Any]
"""A segment, its operand, the matrix of each accumulator for each of its operands, and a flag whether it is
wanted at this step, None if it always is."""


def accumulate_in_place(
    v: Vectors,
    *,
    rows: tuple[Any, Any],
    block_rows: int,
    tile: Any,
    columns: Columns,
    accumulators: int,
    segments: Sequence[_Unpacked],
    scratch: RowAddress,
    resume: bool,
    far: bool,
) -> None:
    """Write the products of one tile of units.

    Args:
        v: the instruction writer.
        rows: the first row and the one after the last.
        block_rows: how many rows to multiply at a time.
        tile: number of the tile.
        columns: the division of units into tiles.
        accumulators: the number of sums.
        segments: each with its operand, the matrix of each accumulator for each of its operands, and a flag
            whether it is wanted at this step, None if always.
        scratch: the address of the stored sums of a row, `[accumulator][vector][lane]`.
        resume: whether the sums continue from the stored ones.
        far: whether the weights do not stay in the second-level cache.
    """
    writer = _Writer(v, tile, columns)
    if block_rows == 1 or v.lanes < _OUTPUTS:
        _write_rows(v, writer, rows, accumulators, segments, scratch, resume)
        return
    alone = v.builder.icmp_signed("<=", v.builder.sub(rows[1], rows[0]), index(1))
    with v.builder.if_else(alone) as (then, otherwise):
        with then:
            _write_rows(v, writer, rows, accumulators, segments, scratch, resume)
        with otherwise:
            _Blocks(v, writer, block_rows, rows, accumulators, segments, scratch, far).write(resume)


def _write_rows(
    v: Vectors,
    writer: "_Writer",
    rows: tuple[Any, Any],
    accumulators: int,
    segments: Sequence[_Unpacked],
    scratch: RowAddress,
    resume: bool,
) -> None:
    """Write the products row by row."""
    columns = writer.columns
    with loop_over(v.builder, *rows) as row:
        size = accumulators * columns.vectors
        address = scratch(row)
        sums = [v.load(address, n * v.lanes) if resume else v.zero for n in range(size)]
        factors = [
            _Factors(_source(v, operand, number, row), segment.width, segment.targets, of_operand, wanted)
            for segment, operand, matrices, wanted in segments
            for number, of_operand in enumerate(matrices)
        ]
        writer.multiply(factors, sums)
        for n, total in enumerate(sums):
            v.store(total, address, n * v.lanes)


@dataclass(frozen=True)
class _Source:
    """A row of an operand: its address and the distance of its vectors."""

    start: Any
    stride: Any


@dataclass(frozen=True)
class _Factors:
    """A row of an operand, its length, its matrices by accumulator, and whether they are wanted."""

    source: _Source
    length: int
    targets: Sequence[int]
    matrices: Sequence[Matrix]
    wanted: Any


_Dotted = tuple[_Source, int, Matrix, Any]
"""A row of an operand, its length, a matrix whose lines hold the weights of one output, and whether it is
wanted."""

_DottedRows = tuple[Any, int, int, Matrix, Any]
"""The same for rows: the operand and its number, its length, the matrix, and whether it is wanted."""


def _source(v: Vectors, operand: RowAddress | Panel, number: int, row: Any) -> _Source:
    if not isinstance(operand, Panel):
        return _Source(operand(row), index(v.lanes))
    start = operand.start
    if number:
        start = v.address(start, v.builder.mul(index(number), operand.slot))
    return _Source(v.address(start, v.builder.mul(row, index(v.lanes))), operand.stride)


class _Writer:
    """Adds products of one row to the sums of one tile."""

    def __init__(self, v: Vectors, tile: Any, columns: Columns) -> None:
        self.v, self.columns = v, columns
        first = v.builder.mul(tile, index(columns.vectors))
        self.vectors = [v.builder.add(first, index(n)) for n in range(columns.vectors)]
        self.masks = [columns.mask(v, vector) for vector in self.vectors]

    def multiply(self, factors: Sequence[_Factors], sums: list[Any]) -> None:
        """Add all products to the sums of their accumulators."""
        size = self.columns.vectors
        read: dict[int, list[_Dotted]] = {}
        for found in factors:
            pairs = list(zip(found.targets, found.matrices, strict=True))
            outer = [(target, matrix) for target, matrix in pairs if matrix.side_by_side]
            for target, matrix in pairs:
                if not matrix.side_by_side:
                    read.setdefault(target, []).append((found.source, found.length, matrix, found.wanted))
            if outer:
                places = [target * size + n for target, _ in outer for n in range(size)]
                matrices = [matrix for _, matrix in outer]
                add = partial(self._outer, matrices, found.source, found.length)
                totals = only_if(self.v.builder, found.wanted, [sums[place] for place in places], add)
                for place, total in zip(places, totals, strict=True):
                    sums[place] = total
        for target, terms in read.items():
            for n in range(size):
                sums[target * size + n] = self.v.add(sums[target * size + n], self._dots(terms, n))

    # Contiguous weights of one input.

    def _outer(
        self,
        matrices: Sequence[Matrix],
        source: _Source,
        length: int,
        totals: list[Any],
    ) -> list[Any]:
        if length <= LONGEST_CHAIN:
            return self._piece(matrices, source, index(0), length, totals)
        v, b = self.v, self.v.builder
        # A long sum is computed in pieces, to lose fewer digits.
        full = length // PIECE
        loop = Loop(b, 0, full, 1, totals)
        zeros = [v.zero] * len(totals)
        piece = self._piece(matrices, source, b.mul(loop.at, index(PIECE)), PIECE, zeros)
        totals = loop.close([v.add(one, other) for one, other in zip(loop.carried, piece, strict=True)])
        if length % PIECE:
            piece = self._piece(matrices, source, index(full * PIECE), length % PIECE, zeros)
            totals = [v.add(one, other) for one, other in zip(totals, piece, strict=True)]
        return totals

    def _piece(
        self, matrices: Sequence[Matrix], source: _Source, start: Any, length: int, sums: Sequence[Any]
    ) -> list[Any]:
        """Add the products with `length` numbers of the row from `start` on, a multiple of the lanes."""
        v, b = self.v, self.v.builder
        first = b.sdiv(start, index(v.lanes))
        full, rest = divmod(length, v.lanes)
        found = list(sums)
        if full:
            loop = Loop(b, first, b.add(first, index(full)), 1, found)
            found = self._lines(matrices, source, loop.at, v.lanes, list(loop.carried))
            found = loop.close(found)
        if rest:
            found = self._lines(matrices, source, b.add(first, index(full)), rest, found)
        return found

    def _lines(
        self,
        matrices: Sequence[Matrix],
        source: _Source,
        vector: Any,
        count: int,
        sums: list[Any],
    ) -> list[Any]:
        v, b = self.v, self.v.builder
        numbers = v.address(source.start, b.mul(vector, source.stride))
        line = b.mul(vector, index(v.lanes))
        starts = [v.address(m.start, b.mul(line, m.apart)) for m in matrices]
        at = [b.mul(place, index(v.lanes)) for place in self.vectors]
        loop = Loop(b, 0, count // _UNROLL * _UNROLL, _UNROLL, sums)
        found = list(loop.carried)
        for u in range(_UNROLL):
            found = self._line(matrices, starts, numbers, b.add(loop.at, index(u)), at, found)
        found = loop.close(found)
        for k in range(count // _UNROLL * _UNROLL, count):
            found = self._line(matrices, starts, numbers, index(k), at, found)
        return found

    def _line(
        self,
        matrices: Sequence[Matrix],
        starts: Sequence[Any],
        numbers: Any,
        k: Any,
        at: Sequence[Any],
        sums: list[Any],
    ) -> list[Any]:
        v = self.v
        number = v.broadcast(numbers, k)
        shifts: dict[int, Any] = {}  # gates of one family have the same line distance
        found = list(sums)
        for j, (matrix, start) in enumerate(zip(matrices, starts, strict=True)):
            if id(matrix.apart) not in shifts:
                shifts[id(matrix.apart)] = v.builder.mul(k, matrix.apart)
            line = v.address(start, shifts[id(matrix.apart)])
            for n, (place, mask) in enumerate(zip(at, self.masks, strict=True)):
                here = j * len(at) + n
                found[here] = v.fma(number, v.load(line, place, mask), found[here])
        return found

    # Contiguous weights of one output.

    def _dots(self, terms: Sequence[_Dotted], n: int) -> Any:
        """Return the sum of products of rows with a vector of outputs."""
        v = self.v
        lines = [
            (source, length, self._lines_of_outputs(matrix, n), wanted)
            for source, length, matrix, wanted in terms
        ]
        sums = []
        for first in range(0, v.lanes, _OUTPUTS):
            some = [v.zero] * min(_OUTPUTS, v.lanes)
            for source, length, of_outputs, wanted in lines:
                add = partial(self._add_dots, source, length, of_outputs[first : first + _OUTPUTS])
                some = only_if(v.builder, wanted, some, add)
            sums.extend(some)
        return sum_lines(v, sums)

    def _lines_of_outputs(self, matrix: Matrix, n: int) -> list[Any]:
        v, b = self.v, self.v.builder
        first = b.mul(self.vectors[n], index(v.lanes))
        last = index(self.columns.width - 1)
        lines = []
        for lane in range(v.lanes):
            output = b.add(first, index(lane))
            if not self.columns.is_even:
                # Beyond the last output, the last one is read again; the results are never used.
                output = b.select(b.icmp_signed("<", output, last), output, last)
            lines.append(v.address(matrix.start, b.mul(output, matrix.apart)))
        return lines

    def _add_dots(self, source: _Source, length: int, lines: Sequence[Any], sums: Sequence[Any]) -> list[Any]:
        v, b = self.v, self.v.builder
        full, rest = divmod(length, v.lanes)
        turns = _RUN
        while full % turns:
            turns //= 2
        parts = [*sums, *[v.zero] * ((turns - 1) * len(sums))]
        loop = Loop(b, 0, full, turns, parts)
        parts = list(loop.carried)
        for u in range(turns):
            vector = b.add(loop.at, index(u))
            numbers = v.load(source.start, b.mul(vector, source.stride))
            at = b.mul(vector, index(v.lanes))
            for i, line in enumerate(lines):
                place = u * len(lines) + i
                parts[place] = v.fma(numbers, v.load(line, at), parts[place])
        parts = loop.close(parts)
        found = parts[: len(sums)]
        for u in range(1, turns):
            found = [v.add(one, parts[u * len(sums) + i]) for i, one in enumerate(found)]
        if rest:
            mask = v.lanes_below(rest)
            numbers = v.load(source.start, b.mul(index(full), source.stride), mask)
            pairs = zip(lines, found, strict=True)
            found = [v.fma(numbers, v.load(line, full * v.lanes, mask), total) for line, total in pairs]
        return found


class _Blocks:
    """Multiplies several rows at a time with the weights of one tile.

    Weights are the outer loop and rows the inner one: a few outputs' weights stay in the first-level cache
    for all rows.

    Args:
        v: the instruction writer.
        writer: knows the places of the tile's outputs.
        size: rows of a block; those that are left are taken in smaller blocks.
        rows: the first row and the one after the last.
        accumulators, segments, scratch, far: as for `accumulate_in_place`.
    """

    def __init__(
        self,
        v: Vectors,
        writer: _Writer,
        size: int,
        rows: tuple[Any, Any],
        accumulators: int,
        segments: Sequence[_Unpacked],
        scratch: RowAddress,
        far: bool,
    ) -> None:
        self.v, self.writer, self.size, self.rows = v, writer, size, rows
        self.accumulators, self.segments, self.scratch, self.far = accumulators, segments, scratch, far

    def write(self, resume: bool) -> None:
        """Write all products; without `resume` the sums start at zero."""
        v, vectors = self.v, self.writer.columns.vectors
        if not resume:
            with loop_over(v.builder, *self.rows) as row:
                address = self.scratch(row)
                for n in range(self.accumulators * vectors):
                    v.store(v.zero, address, n * v.lanes)
        read: dict[int, list[_DottedRows]] = {}
        for segment, operand, matrices, wanted in self.segments:
            for number, of_operand in enumerate(matrices):
                pairs = list(zip(segment.targets, of_operand, strict=True))
                outer = [(target, matrix) for target, matrix in pairs if matrix.side_by_side]
                if outer:
                    with nullcontext() if wanted is None else v.builder.if_then(wanted):
                        self._lines(operand, number, segment.width, outer)
                for target, matrix in pairs:
                    if not matrix.side_by_side:
                        read.setdefault(target, []).append((operand, number, segment.width, matrix, wanted))
        for target, terms in read.items():
            for n in range(vectors):
                with loop_over(v.builder, 0, v.lanes, _OUTPUTS) as first:
                    self._dots(target * vectors + n, n, first, terms)

    def _row_tiles(self) -> Iterator[tuple[Any, int]]:
        """Write loops over blocks of rows; three rows are one block, not two that read all weights twice."""
        return row_tiles(self.v, self.rows, range(self.size, 0, -1))

    def _sources(self, operand: Any, number: int, row: Any, count: int) -> list[_Source]:
        return [_source(self.v, operand, number, self.v.builder.add(row, index(r))) for r in range(count)]

    def _dots(self, place: int, n: int, first: Any, terms: Sequence[_DottedRows]) -> None:
        """Add the products of some outputs, each with a sum in every lane, to the stored sums."""
        v, b, columns = self.v, self.v.builder, self.writer.columns
        last = index(columns.width - 1)
        start = b.add(b.mul(self.writer.vectors[n], index(v.lanes)), first)
        outputs = [b.add(start, index(i)) for i in range(_OUTPUTS)]
        if not columns.is_even:
            # Beyond the last output, the last one is read again; the results are never used.
            outputs = [b.select(b.icmp_signed("<", output, last), output, last) for output in outputs]
        lines = [[v.address(m.start, b.mul(o, m.apart)) for o in outputs] for _, _, _, m, _ in terms]
        apart = [b.mul(matrix.apart, index(_OUTPUTS)) for *_, matrix, _ in terms]
        few = Vectors(b, v.dtype, _OUTPUTS)
        for row, count in self._row_tiles():
            # The next outputs' weights are fetched meanwhile, if they are far.
            sums = [v.zero] * (count * _OUTPUTS)
            for (operand, number, length, _, wanted), of_outputs, ahead in zip(
                terms, lines, apart, strict=True
            ):
                sources = self._sources(operand, number, row, count)
                add = partial(self._add_dots, sources, length, of_outputs, ahead)
                sums = only_if(b, wanted, sums, add)
            for r in range(count):
                totals = sum_few(v, few, sums[r * _OUTPUTS : (r + 1) * _OUTPUTS])
                at = v.address(self.scratch(b.add(row, index(r))), b.add(index(place * v.lanes), first))
                few.store(few.add(few.load(at, 0), totals), at, 0)

    def _add_dots(
        self, sources: Sequence[_Source], length: int, lines: Sequence[Any], ahead: Any, sums: list[Any]
    ) -> list[Any]:
        v, b = self.v, self.v.builder
        full, rest = divmod(length, v.lanes)

        def turn(vector: Any, mask: Any, sums: list[Any]) -> list[Any]:
            at = b.mul(vector, index(v.lanes))
            numbers = [v.load(s.start, b.mul(vector, s.stride), mask) for s in sources]
            found = list(sums)
            for i, line in enumerate(lines):
                weights = v.load(line, at, mask)
                if mask is None and self.far:
                    v.fetch(v.address(line, b.add(at, ahead)), v.lanes)
                for r, number in enumerate(numbers):
                    place = r * _OUTPUTS + i
                    found[place] = v.fma(number, weights, found[place])
            return found

        if full:
            loop = Loop(b, 0, full, 1, sums)
            sums = loop.close(turn(loop.at, None, list(loop.carried)))
        return turn(index(full), v.lanes_below(rest), sums) if rest else sums

    def _lines(self, operand: Any, number: int, length: int, pairs: Sequence[tuple[int, Matrix]]) -> None:
        """Add the products with the weights of one input after the other to the stored sums, in pieces."""
        v, b, vectors = self.v, self.v.builder, self.writer.columns.vectors
        places = [target * vectors + n for target, _ in pairs for n in range(vectors)]
        full = length // PIECE * PIECE if length > LONGEST_CHAIN else 0

        def piece(start: Any, count: int) -> None:
            starts = [v.address(matrix.start, b.mul(start, matrix.apart)) for _, matrix in pairs]
            for row, number_of_rows in self._row_tiles():
                sources = self._sources(operand, number, row, number_of_rows)
                self._piece(sources, start, count, [m.apart for _, m in pairs], starts, places, row)

        if full:
            with loop_over(b, 0, full, PIECE) as start:
                piece(start, PIECE)
        if length > full:
            piece(index(full), length - full)

    def _piece(
        self,
        sources: Sequence[_Source],
        start: Any,
        count: int,
        apart: Sequence[Any],
        starts: Sequence[Any],
        places: Sequence[int],
        row: Any,
    ) -> None:
        v, b, writer = self.v, self.v.builder, self.writer
        at = [b.mul(vector, index(v.lanes)) for vector in writer.vectors]
        first = b.sdiv(start, index(v.lanes))

        def turn(vector: Any, k: Any, shift: Any, sums: list[Any]) -> list[Any]:
            numbers = [v.broadcast(v.address(s.start, b.mul(vector, s.stride)), k) for s in sources]
            found = list(sums)
            for j, (line, distance) in enumerate(zip(starts, apart, strict=True)):
                here = v.address(line, b.mul(shift, distance))
                for n, (place, mask) in enumerate(zip(at, writer.masks, strict=True)):
                    weights = v.load(here, place, mask)
                    for r, number in enumerate(numbers):
                        sum_at = r * len(places) + j * len(at) + n
                        found[sum_at] = v.fma(number, weights, found[sum_at])
            return found

        sums = [v.zero] * (len(sources) * len(places))
        whole, rest = divmod(count, v.lanes)
        if whole:
            outer = Loop(b, 0, whole, 1, sums)
            vector = b.add(first, outer.at)
            base = b.mul(outer.at, index(v.lanes))
            inner = Loop(b, 0, v.lanes, 1, list(outer.carried))
            found = turn(vector, inner.at, b.add(base, inner.at), list(inner.carried))
            sums = outer.close(inner.close(found))
        if rest:
            vector = b.add(first, index(whole))
            inner = Loop(b, 0, rest, 1, sums)
            shift = b.add(index(whole * v.lanes), inner.at)
            sums = inner.close(turn(vector, inner.at, shift, list(inner.carried)))
        for r in range(len(sources)):
            address = self.scratch(b.add(row, index(r)))
            for i, place in enumerate(places):
                before = v.load(address, place * v.lanes)
                v.store(v.add(before, sums[r * len(places) + i]), address, place * v.lanes)


_UNROLL = 4
"""Lines of outputs per iteration of the inner loop."""

_OUTPUTS, _RUN = 4, 4
"""Outputs read at a time, and vectors of each: few streams, each of several cache lines."""
