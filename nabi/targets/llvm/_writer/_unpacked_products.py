"""Products of single rows with unpacked weights.

Packing reads all weights and writes them once more. This pays off if many rows read the packed copy; a batch
of one reads every weight once per step, and a short sequence would spend most of its time on the copy. So
here a row is multiplied with the unpacked matrices, in one of two ways:

- contiguous weights of one input: a number of the row, in all lanes, times vectors of outputs;
- contiguous weights of one output: a vector of the row times a vector of each output's weights, for as many
  outputs as a vector has lanes; each has a sum in every lane, and these are added at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nabi.native.vectors import Loop, Vectors, index, loop_over
from nabi.targets.llvm._plan._operand_groups import Segment
from nabi.targets.llvm._plan._tiles import Columns
from nabi.targets.llvm._writer._packing import Matrix, sum_lines
from nabi.targets.llvm._writer._products import LONGEST_CHAIN, PIECE, Panel, RowAddress

__all__ = ["accumulate_in_place"]


def accumulate_in_place(
    v: Vectors,
    *,
    rows: tuple[Any, Any],
    tile: Any,
    columns: Columns,
    accumulators: int,
    segments: Sequence[tuple[Segment, RowAddress | Panel, Sequence[Sequence[Matrix]]]],
    scratch: RowAddress,
    resume: bool,
) -> None:
    """Write the products of one tile of units, row by row.

    Args:
        v: the instruction writer.
        rows: the first row and the one after the last.
        tile: number of the tile.
        columns: the division of units into tiles.
        accumulators: the number of sums.
        segments: each with its operand and, for each of its operands, the matrix of each accumulator.
        scratch: the address of the stored sums of a row, `[accumulator][vector][lane]`.
        resume: whether the sums continue from the stored ones.
    """
    writer = _Writer(v, tile, columns)
    with loop_over(v.builder, *rows) as row:
        size = accumulators * columns.vectors
        address = scratch(row)
        sums = [v.load(address, n * v.lanes) if resume else v.zero for n in range(size)]
        factors = [
            _Factors(_source(v, operand, number, row), segment.width, segment.targets, of_operand)
            for segment, operand, matrices in segments
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
    """A row of an operand, its length, and its matrices by accumulator."""

    source: _Source
    length: int
    targets: Sequence[int]
    matrices: Sequence[Matrix]


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
        read: dict[int, list[tuple[_Source, int, Matrix]]] = {}
        for found in factors:
            pairs = list(zip(found.targets, found.matrices, strict=True))
            outer = [(target, matrix) for target, matrix in pairs if matrix.side_by_side]
            for target, matrix in pairs:
                if not matrix.side_by_side:
                    read.setdefault(target, []).append((found.source, found.length, matrix))
            if outer:
                places = [target * size + n for target, _ in outer for n in range(size)]
                matrices = [matrix for _, matrix in outer]
                totals = self._outer(matrices, found.source, found.length, places, sums)
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
        places: Sequence[int],
        sums: Sequence[Any],
    ) -> list[Any]:
        totals = [sums[place] for place in places]
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

    def _dots(self, terms: Sequence[tuple[_Source, int, Matrix]], n: int) -> Any:
        """Return the sum of products of rows with a vector of outputs."""
        v = self.v
        lines = [(source, length, self._lines_of_outputs(matrix, n)) for source, length, matrix in terms]
        sums = []
        for first in range(0, v.lanes, _OUTPUTS):
            some = [v.zero] * min(_OUTPUTS, v.lanes)
            for source, length, of_outputs in lines:
                some = self._add_dots(source, length, of_outputs[first : first + _OUTPUTS], some)
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


_UNROLL = 4
"""Lines of outputs per iteration of the inner loop."""

_OUTPUTS, _RUN = 4, 4
"""Outputs read at a time, and vectors of each: few streams, each of several cache lines."""
