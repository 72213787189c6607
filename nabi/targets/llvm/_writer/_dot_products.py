"""Products of rows with int8 weights by the processor's sums of four products of bytes (VNNI).

Such an instruction multiplies four unsigned bytes with four signed ones and adds the products to an int32.
Widening int8 weights to float32 costs more than multiplying them; here they are read as they are, and it is
the row that becomes bytes, once for all outputs: its numbers, divided by the largest of them, as whole
numbers of 24 bits, in three digits of a byte each. All products and sums are then exact. What is rounded is
the row, to as many bits as the largest of its float32 numbers has, and the sum, once for each digit. Nothing
can overflow: a digit is at most 255 and a weight 127, so an int32 holds sums of 66,000 terms.

A digit has no sign: 2^23 is added to the numbers of a row, and 2^23 times the sum of an output's weights is
taken away again, by what the sum of the highest digit starts from.

Weights are packed as `[tile][k / 4][accumulator][vector][lane][4]`.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from nabi.native import operations as _operations
from nabi.native.vectors import INDEX, Loop, Mask, Vectors, index, loop_over, reserve
from nabi.targets.llvm._plan._operand_groups import DIGITS, FOUR, Segment
from nabi.targets.llvm._plan._tiles import Columns, row_steps
from nabi.targets.llvm._writer._products import RowAddress, row_tiles

__all__ = ["DotProducts"]

_BYTE, _INT16, _INT32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_MIDDLE = 1 << 23
_LARGEST = float(_MIDDLE - 128)
"""Of a row as whole numbers; less than 2^23, so that rounding does not lead beyond it."""

_SMALLEST = 1e-30
"""A row whose numbers are all smaller counts as zero."""


class DotProducts:
    """Writes the digits of rows, and products with them.

    Args:
        v: the instruction writer.
        widths: the largest number of units of the operands of a pass, one for each operand.
        rows: how many rows have digits at a time.
    """

    def __init__(self, v: Vectors, widths: Sequence[int], rows: int) -> None:
        self.v, self.rows = v, rows
        self._bytes = ir.VectorType(_BYTE, v.lanes)
        self._strides = [Columns(width, v.lanes, 1).count * v.lanes for width in widths]
        self._digits = [reserve(v.builder, _BYTE, DIGITS * rows * stride) for stride in self._strides]
        self._units = [reserve(v.builder, v.element, rows) for _ in widths]

    # Digits.

    def take(self, place: int, width: int, rows: tuple[Any, Any], address: RowAddress) -> None:
        """Write the digits of an operand for some rows, at most `rows`."""
        v, b = self.v, self.v.builder
        columns = Columns(width, v.lanes, 1)
        with loop_over(b, *rows) as row:
            source = address(row)
            loop = Loop(b, 0, columns.count, 1, [v.zero])
            value, _ = self._some(source, columns, loop.at)
            (most,) = loop.close(
                [_operations.apply(v, "maximum", loop.carried[0], v.call("llvm.fabs", value))]
            )
            largest = v.largest(most)
            number = b.sub(row, rows[0])
            unit = b.fmul(largest, ir.Constant(v.element, 1 / _LARGEST))
            v.store_scalar(unit, self._units[place], number)
            # NaN and infinity are in the unit, which all sums are multiplied by.
            counts = b.fcmp_ordered(">", largest, ir.Constant(v.element, _SMALLEST))
            inverse = b.fdiv(ir.Constant(v.element, _LARGEST), largest)
            factor = v.splat(b.select(counts, inverse, ir.Constant(v.element, 0.0)))
            line = b.mul(number, index(DIGITS * self._strides[place]))
            with loop_over(b, 0, columns.count) as vector:
                value, at = self._some(source, columns, vector)
                whole = b.add(self._rounded(v.mul(value, factor)), v.integer_constant(_MIDDLE))
                for digit in range(DIGITS):
                    shifted = b.lshr(whole, v.integer_constant(8 * digit)) if digit else whole
                    to = b.add(b.add(line, at), index(digit * self._strides[place]))
                    b.store(b.trunc(shifted, self._bytes), self._byte(self._digits[place], to), align=1)

    def _some(self, source: Any, columns: Columns, vector: Any) -> tuple[Any, Any]:
        v = self.v
        mask: Mask | None = columns.mask(v, vector)
        at = v.builder.mul(vector, index(v.lanes))
        return v.load(source, at, mask), at

    def _byte(self, pointer: Any, at: Any) -> Any:
        return self.v.builder.gep(pointer, [at], source_etype=_BYTE)

    def _rounded(self, value: Any) -> Any:
        """Round to whole numbers; NaN becomes some number, which LLVM's own conversion leaves open."""
        v = self.v
        if v.lanes == 16:
            arguments = (value, v.integer_constant(0), _INT16(-1), _INT32(4))
            return v.intrinsic("llvm.x86.avx512.mask.cvtps2dq.512", v.integers, *arguments)
        name = "llvm.x86.avx.cvt.ps2dq.256" if v.lanes == 8 else "llvm.x86.sse2.cvtps2dq"
        return v.intrinsic(name, v.integers, value)

    # Products.

    def accumulate(
        self,
        *,
        rows: tuple[Any, Any],
        tile_rows: int,
        vectors: int,
        accumulators: int,
        segments: Sequence[tuple[Segment, Any, Any, Any]],
        scratch: RowAddress,
        resume: bool,
    ) -> None:
        """Write the products of one tile of units for the rows whose digits have been taken.

        Args:
            rows, tile_rows, vectors, accumulators, scratch, resume: as for `accumulate`.
            segments: each with the addresses of its packed weights, of the factors of its sums, and of what
                the sums of its highest digit start from, all for this tile; in the order of `take`.
        """
        v, b = self.v, self.v.builder
        if not resume:
            with loop_over(b, *rows) as row:
                for n in range(accumulators * vectors):
                    v.store(v.zero, scratch(row), n * v.lanes)
        for place, (segment, weights, scales, starts) in enumerate(segments):
            size = len(segment.targets) * vectors
            places = [target * vectors + n for target in segment.targets for n in range(vectors)]
            for row, count in row_tiles(v, rows, row_steps(tile_rows)):
                lines = [b.sub(b.add(row, index(r)), rows[0]) for r in range(count)]
                sums = self._sums(place, segment.width, size, weights, starts, lines)
                for r, line in enumerate(lines):
                    unit = v.broadcast(self._units[place], line)
                    address = scratch(b.add(row, index(r)))
                    for j in range(size):
                        at = (r * size + j) * DIGITS
                        total = self._joined(sums[at : at + DIGITS])
                        factor = v.mul(unit, v.load(scales, j * v.lanes))
                        before = v.load(address, places[j] * v.lanes)
                        v.store(v.fma(total, factor, before), address, places[j] * v.lanes)

    def _sums(
        self, place: int, width: int, size: int, weights: Any, starts: Any, lines: Sequence[Any]
    ) -> list[Any]:
        """Return the sums of each digit, lowest first, of each vector, of each row."""
        v, b = self.v, self.v.builder
        zero = v.integer_constant(0)
        highest = [b.load(v.address(starts, j * v.lanes), align=4, typ=v.integers) for j in range(size)]
        sums = [one for _ in lines for start in highest for one in (*(DIGITS - 1) * [zero], start)]
        stride = self._strides[place]
        digits = [self._byte(self._digits[place], b.mul(line, index(DIGITS * stride))) for line in lines]

        def turn(k: Any, sums: list[Any]) -> list[Any]:
            found = list(sums)
            here = b.mul(k, index(FOUR * size * v.lanes))
            at = b.mul(k, index(FOUR))
            values = [
                self._four(self._byte(line, b.add(at, index(digit * stride))))
                for line in digits
                for digit in range(DIGITS)
            ]
            for j in range(size):
                address = self._byte(weights, b.add(here, index(FOUR * j * v.lanes)))
                four = b.load(address, align=FOUR, typ=v.integers)
                for r in range(len(lines)):
                    for digit in range(DIGITS):
                        to = (r * size + j) * DIGITS + digit
                        found[to] = self._dot(found[to], values[r * DIGITS + digit], four)
            return found

        groups = -(-width // FOUR)
        unroll = 2 if groups > 1 else 1
        loop = Loop(b, 0, groups // unroll * unroll, unroll, sums)
        sums = list(loop.carried)
        for u in range(unroll):
            sums = turn(b.add(loop.at, index(u)), sums)
        sums = loop.close(sums)
        return turn(ir.Constant(INDEX, groups - 1), sums) if groups % unroll else sums

    def _four(self, pointer: Any) -> Any:
        """Load four digits into every lane."""
        return self.v.splat(self.v.builder.load(pointer, align=1, typ=_INT32))

    def _dot(self, total: Any, digits: Any, weights: Any) -> Any:
        v = self.v
        return v.intrinsic(f"llvm.x86.avx512.vpdpbusd.{32 * v.lanes}", v.integers, total, digits, weights)

    def _joined(self, sums: Sequence[Any]) -> Any:
        """Return the sum of numbers from those of their digits."""
        v, b = self.v, self.v.builder
        total = b.sitofp(sums[-1], v.type)
        for one in sums[-2::-1]:
            total = v.fma(total, v.constant(256.0), b.sitofp(one, v.type))
        return total
