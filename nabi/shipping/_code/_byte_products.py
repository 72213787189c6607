"""Products with int8 weights by sums of four products of bytes (VNNI), for one row.

Widening weights takes longer than multiplying them. Here they are read as they are, and the row becomes
bytes: its numbers, divided by the largest of them, as whole numbers of 24 bits, in three digits of a byte
each. Sums are exact; the method is that of `nabi.targets.llvm`'s products of rows with int8 weights, which
explains it.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from nabi.native.operations import apply
from nabi.native.vectors import Vectors
from nabi.shipping._memory import DIGITS, FOUR

__all__ = ["Row", "dot_products", "take_row"]

_BYTE, _INT16, _INT32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_MIDDLE = 1 << 23
_LARGEST = float(_MIDDLE - 128)  # less than 2^23, so that rounding does not lead beyond it
_SMALLEST = 1e-30  # a row whose numbers are all smaller counts as zero


class Row:
    """A row as digits: where they lie, how far one digit is from the next, and the factor of its sums."""

    def __init__(self, digits: Any, stride: int, columns: int, unit: Any) -> None:
        self.digits, self.stride, self.columns, self.unit = digits, stride, columns, unit


def take_row(v: Vectors, kind: Any, operand: Any, digits: Any, columns: int) -> Row:
    """Write the digits of a row.

    Args:
        v: writes the instructions.
        kind: the type of an index.
        operand: address of the row.
        digits: where they go: DIGITS bytes for each column, up to whole vectors.
        columns: how many numbers.
    """
    b, lanes = v.builder, v.lanes
    whole, rest = columns // lanes, columns % lanes
    stride = (whole + (rest > 0)) * lanes

    def at(number: int) -> Any:
        return ir.Constant(kind, number)

    def last() -> Any:
        """Return what is left behind whole vectors, with zeros behind it."""
        found = v.zero
        for lane in range(rest):
            number = b.load(v.address(operand, at(whole * lanes + lane)), align=4, typ=v.element)
            found = b.insert_element(found, number, ir.Constant(_INT32, lane))
        return found

    def each(start: Sequence[Any], turn: Any) -> list[Any]:
        """Write a loop over vectors, and what follows for the last one."""
        values = list(start)
        if whole:
            before, body, after = b.block, b.append_basic_block("row"), b.append_basic_block("rest")
            b.branch(body)
            b.position_at_end(body)
            number = b.phi(kind)
            phis = [b.phi(value.type) for value in values]
            place = b.mul(number, at(lanes))
            found = turn(v.load(operand, place), place, phis)
            following = b.add(number, at(1))
            for phi, first, new in zip([number, *phis], [at(0), *values], [following, *found], strict=True):
                phi.add_incoming(first, before)
                phi.add_incoming(new, b.block)
            b.cbranch(b.icmp_signed("<", following, at(whole)), body, after)
            b.position_at_end(after)
            values = list(found)
        return turn(last(), at(whole * lanes), values) if rest else values

    def larger(value: Any, _: Any, so_far: list[Any]) -> list[Any]:
        return [apply(v, "maximum", so_far[0], v.call("llvm.fabs", value))]

    largest = v.largest(each([v.zero], larger)[0])
    # NaN and infinity are in the unit, by which all sums are multiplied.
    unit = b.fmul(largest, ir.Constant(v.element, 1 / _LARGEST))
    counts = b.fcmp_ordered(">", largest, ir.Constant(v.element, _SMALLEST))
    inverse = b.fdiv(ir.Constant(v.element, _LARGEST), largest)
    factor = v.splat(b.select(counts, inverse, ir.Constant(v.element, 0.0)))

    def write(value: Any, place: Any, _: list[Any]) -> list[Any]:
        number = b.add(_rounded(v, v.mul(value, factor)), v.integer_constant(_MIDDLE))
        for digit in range(DIGITS):
            shifted = b.lshr(number, v.integer_constant(8 * digit)) if digit else number
            to = _byte(v, digits, b.add(place, at(digit * stride)))
            b.store(b.trunc(shifted, ir.VectorType(_BYTE, lanes)), to, align=1)
        return []

    each([], write)
    return Row(digits, stride, columns, unit)


def dot_products(
    v: Vectors, kind: Any, row: Row, weights: Any, factors: Any, sums: Sequence[Any]
) -> list[Any]:
    """Write the products of one tile with a row, and return the sums that they are added to.

    Args:
        v: writes the instructions.
        kind: the type of an index.
        row: the operand.
        weights: `[column / 4][vector][lane][4]`.
        factors: `[vector][lane]` scales, and behind them `[vector][lane]` what the sums of the highest digit
            start from, in int32.
        sums: one vector for each of the tile.
    """
    b, lanes, count = v.builder, v.lanes, len(sums)

    def at(number: int) -> Any:
        return ir.Constant(kind, number)

    zero = v.integer_constant(0)
    starts = [
        b.load(v.address(factors, at((count + n) * lanes)), align=4, typ=v.integers) for n in range(count)
    ]
    totals = [one for start in starts for one in (*(DIGITS - 1) * [zero], start)]
    before, body, after = b.block, b.append_basic_block("fours"), b.append_basic_block("sums")
    b.branch(body)
    b.position_at_end(body)
    number = b.phi(kind)
    phis = [b.phi(total.type) for total in totals]
    values = [
        v.splat(b.load(_byte(v, row.digits, b.add(b.mul(number, at(FOUR)), at(digit * row.stride))),
                       align=1, typ=_INT32))
        for digit in range(DIGITS)
    ]  # fmt: skip
    here = _byte(v, weights, b.mul(number, at(FOUR * count * lanes)))
    found = []
    for n in range(count):
        four = b.load(_byte(v, here, at(FOUR * n * lanes)), align=FOUR, typ=v.integers)
        for digit in range(DIGITS):
            found.append(_dot(v, phis[n * DIGITS + digit], values[digit], four))
    following = b.add(number, at(1))
    for phi, first, new in zip([number, *phis], [at(0), *totals], [following, *found], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(new, body)
    b.cbranch(b.icmp_signed("<", following, at(-(-row.columns // FOUR))), body, after)
    b.position_at_end(after)
    unit, results = v.splat(row.unit), []
    for n, before_sum in enumerate(sums):
        total = b.sitofp(found[n * DIGITS + DIGITS - 1], v.type)
        for digit in range(DIGITS - 2, -1, -1):
            total = v.fma(total, v.constant(256.0), b.sitofp(found[n * DIGITS + digit], v.type))
        factor = v.mul(unit, v.load(factors, at(n * lanes)))
        results.append(v.fma(total, factor, before_sum))
    return results


def _byte(v: Vectors, pointer: Any, at: Any) -> Any:
    return v.builder.gep(pointer, [at], source_etype=_BYTE)


def _dot(v: Vectors, total: Any, digits: Any, weights: Any) -> Any:
    return v.intrinsic(f"llvm.x86.avx512.vpdpbusd.{32 * v.lanes}", v.integers, total, digits, weights)


def _rounded(v: Vectors, value: Any) -> Any:
    """Round to whole numbers; NaN becomes some number, which LLVM's own conversion leaves open."""
    if v.lanes == 16:
        arguments = (value, v.integer_constant(0), _INT16(-1), _INT32(4))
        return v.intrinsic("llvm.x86.avx512.mask.cvtps2dq.512", v.integers, *arguments)
    name = "llvm.x86.avx.cvt.ps2dq.256" if v.lanes == 8 else "llvm.x86.sse2.cvtps2dq"
    return v.intrinsic(name, v.integers, value)
