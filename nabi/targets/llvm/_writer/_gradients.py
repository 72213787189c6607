"""Gradients of weights: one large product over all rows of a chunk of steps, from panels to panels.

A panel is `[vector][row][lane]`. A block of the gradient is the sum over rows of outer products, kept in
registers: some elements of one panel's vector, each times a strip of two or three vectors of the other. A
strip is multiplied with a group of vectors, which stay in the second-level cache for all strips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nabi.native.kernel_function import KernelFunction, larger, smaller
from nabi.native.vectors import INDEX, POINTER, Loop, Vectors, index, loop_over
from nabi.targets.llvm._plan._tiles import Columns
from nabi.targets.llvm._writer._products import Panel

__all__ = ["GradientWriter", "Side"]

_GROUP = 8
"""The maximum number of vectors in a group: with 500 rows, a quarter of a mebibyte."""

_ROWS_TO_FETCH = 32
"""The number of rows from which prefetching the target lines of the sums pays off."""


@dataclass(frozen=True)
class Side:
    """One factor of a product over rows.

    Attributes:
        panel: its panel.
        width: its number of units.
    """

    panel: Panel
    width: int


def _strips(count: int) -> list[tuple[int, int, int]]:
    """Divide vectors into strips of three and then of two, without a remainder.

    Returns:
        For each size the first vector and the number of strips.
    """
    threes = count // 3 - (count % 3 == 1 and count > 1)
    size = min(2, count)
    found = [(3, 0, threes), (size, 3 * threes, (count - 3 * threes) // size)]
    return [strip for strip in found if strip[2]]


class GradientWriter:
    """Writes sums over rows into a kernel.

    Args:
        k: the kernel.
        registers: vector registers of the machine.
    """

    def __init__(self, k: KernelFunction, registers: int) -> None:
        self.k, self.v, self.b = k, k.v, k.b
        # As many accumulators as registers allow, besides the vectors, one broadcast and addresses.
        self.block_rows = min(8 if registers >= 32 else 4, self.v.lanes)

    def product(self, rows: Any, one: Side, other: Side, target: Any, line: int, add: Any) -> None:
        """Write `target[i, j] (+)= Σ one[row, i] * other[row, j]` over rows, divided among all threads.

        Args:
            rows: the number of rows.
            one, other: the factors; `i` counts units of the first, `j` of the second.
            target: address of element (0, 0).
            line: elements from one `i` to the next.
            add: a flag, whether to add to the existing values.
        """
        k, b, v = self.k, self.b, self.v
        count = Columns(one.width, v.lanes, 1).count
        groups = -(-count // _GROUP)
        group = -(-count // groups)
        for vectors, first, strips in _strips(Columns(other.width, v.lanes, 1).count):
            begin, end = k.part_of_all(index(groups * strips * group))
            against = v.address(other.panel.start, b.mul(index(first), other.panel.stride))
            factors = [one.panel.start, one.panel.stride, against, other.panel.stride, rows]
            numbers = (line, one.width, other.width - first * v.lanes, group, strips)
            function = self._strip(vectors, one.width % self.block_rows == 0)
            there = v.address(target, first * v.lanes)
            b.call(function, [*factors, there, add, begin, end, *map(index, numbers)])

    def _strip(self, vectors: int, is_even: bool) -> Any:
        """Return a function that multiplies groups of vectors with strips: the places `begin` to `end`.

        A place is a vector of a group and a strip, counted as `[group][strip][vector]`.
        """
        name = f"product_{vectors}" if is_even else f"product_some_{vectors}"
        kinds = [POINTER, INDEX, POINTER, INDEX, INDEX, POINTER, ir.IntType(1), *[INDEX] * 7]
        function, is_new = self._function(name, kinds)
        if not is_new:
            return function
        one, apart, other, stride, rows, target, add, begin, end, line, width, left, group, strips = (
            function.args
        )
        v = Vectors(ir.IRBuilder(function.append_basic_block("entry")), self.v.dtype, self.v.lanes)
        b, lanes = v.builder, index(v.lanes)
        count = b.sdiv(b.add(width, index(v.lanes - 1)), lanes)
        last = b.sdiv(b.sub(b.add(end, group), index(1)), group)
        with loop_over(b, b.sdiv(begin, group), last) as cell:
            strip, place = b.srem(cell, strips), b.mul(cell, group)
            # The index of a place's vector in this cell; the last group may hold fewer.
            shift = b.sub(place, b.mul(b.sdiv(cell, strips), group))
            start = b.sub(larger(b, begin, place), shift)
            stop = smaller(b, b.sub(smaller(b, end, b.add(place, group)), shift), count)
            column = b.mul(strip, index(vectors * v.lanes))
            against = v.address(other, b.mul(b.mul(strip, index(vectors)), stride))
            with loop_over(b, start, stop) as vector:
                first = b.mul(vector, lanes)
                source = v.address(one, b.mul(vector, apart))
                here = v.address(target, b.add(b.mul(first, line), column))
                valid = smaller(b, b.sub(width, first), lanes)
                size = index(self.block_rows)
                whole = valid if is_even else b.mul(b.sdiv(valid, size), size)
                for step, low, high in ((self.block_rows, index(0), whole), (1, whole, valid)):
                    if step == 1 and is_even:
                        continue
                    with loop_over(b, low, high, step) as m:
                        factors = [v.address(source, m), against, stride, rows]
                        there = v.address(here, b.mul(m, line))
                        rest = b.sub(left, column)
                        b.call(self._block(step, vectors), [*factors, there, line, rest, add])
        b.ret_void()
        return function

    def _block(self, size: int, vectors: int) -> Any:
        """Return the function of a block: `size` lines of vectors with `left` elements in the target."""
        kinds = [POINTER, POINTER, INDEX, INDEX, POINTER, INDEX, INDEX, ir.IntType(1)]
        function, is_new = self._function(f"outer_{size}_{vectors}", kinds)
        if not is_new:
            return function
        source, against, stride, rows, target, line, left, add = function.args
        v = Vectors(ir.IRBuilder(function.append_basic_block("entry")), self.v.dtype, self.v.lanes)
        b = v.builder
        panels = [v.address(against, b.mul(stride, index(n))) for n in range(vectors)]
        lines = [v.address(target, b.mul(line, index(m))) for m in range(size)]
        # With few rows, the sums are ready before the lines.
        with b.if_then(b.icmp_signed(">=", rows, index(_ROWS_TO_FETCH))):
            for place in lines:
                v.fetch(place, vectors * v.lanes, write=True)
        loop = Loop(b, 0, rows, 1, [v.zero] * (size * vectors))
        at = b.mul(loop.at, index(v.lanes))
        loaded = [v.load(panel, at) for panel in panels]
        one = v.address(source, at)
        sums = []
        for m in range(size):
            value = v.broadcast(one, m)
            for n, vector in enumerate(loaded):
                sums.append(v.fma(value, vector, loop.carried[m * vectors + n]))
        sums = loop.close(sums)
        places = [(place, n * v.lanes) for place in lines for n in range(vectors)]
        masks = [v.lanes_below(b.sub(left, index(n * v.lanes))) for n in range(vectors)] * size
        with b.if_else(b.icmp_signed(">=", left, index(vectors * v.lanes))) as (then, otherwise):
            with then:
                self._leave(v, add, sums, [(*place, None) for place in places])
            with otherwise:
                pairs = zip(places, masks, strict=True)
                self._leave(v, add, sums, [(*place, mask) for place, mask in pairs])
        b.ret_void()
        return function

    def _leave(
        self, v: Vectors, add: Any, sums: Sequence[Any], places: Sequence[tuple[Any, int, Any]]
    ) -> None:
        """Store sums, or add them to what is there."""
        with v.builder.if_else(add) as (then, otherwise):
            with then:
                # All loads before the first store: lines a power of two apart would appear to alias.
                before = [v.load(*place) for place in places]
                for old, total, place in zip(before, sums, places, strict=True):
                    v.store(v.add(old, total), *place)
            with otherwise:
                for total, place in zip(sums, places, strict=True):
                    v.store(total, *place)

    def _function(self, name: str, kinds: Sequence[Any]) -> tuple[Any, bool]:
        """Return a function of the module, and whether its body must still be written."""
        module = self.k.module
        if name in module.globals:
            return module.globals[name], False
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), list(kinds)), name)
        function.linkage = "internal"
        return function, True

    def totals(self, rows: Any, sides: Sequence[Side], targets: Sequence[Any], add: Any) -> None:
        """Write `target[j] (+)= Σ side[row, j]` over rows for sides of one width, divided among threads."""
        v, b, lanes = self.v, self.b, self.v.lanes
        width = sides[0].width
        columns = Columns(width, lanes, 1)
        first, stop = self.k.part_of_all(index(columns.count))
        with loop_over(b, first, stop) as vector:
            self._totals(rows, sides, targets, add, vector, columns.mask(v, vector))

    def _totals(
        self, rows: Any, sides: Sequence[Side], targets: Sequence[Any], add: Any, vector: Any, mask: Any
    ) -> None:
        v, b = self.v, self.b
        sources = [v.address(side.panel.start, b.mul(vector, side.panel.stride)) for side in sides]
        loop = Loop(b, 0, rows, 1, [v.zero] * len(sides))
        at = b.mul(loop.at, index(v.lanes))
        added = [v.add(total, v.load(p, at)) for total, p in zip(loop.carried, sources, strict=True)]
        sums = loop.close(added)
        place = b.mul(vector, index(v.lanes))
        for total, target in zip(sums, targets, strict=True):
            old = b.select(add, v.load(target, place, mask), v.zero)
            v.store(v.add(old, total), target, place, mask)
