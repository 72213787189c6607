"""Gradients of weights: one large product over all rows of a chunk of steps, from panels to panels.

A panel is `[vector][row][lane]`. A block of the gradient is the sum over rows of outer products: `_ROWS`
elements of one panel's vector, each times `_VECTORS` vectors of the other, kept in registers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nabi.targets.llvm._function import KernelFunction
from nabi.targets.llvm._products import Panel
from nabi.targets.llvm._tiles import Columns
from nabi.targets.llvm._vectors import INDEX, POINTER, Loop, Vectors, index, loop_over

__all__ = ["GradientWriter", "Side"]


@dataclass(frozen=True)
class Side:
    """One factor of a product over rows.

    Attributes:
        panel: where it lies.
        width: how many units it has.
    """

    panel: Panel
    width: int


class GradientWriter:
    """Writes sums over rows into a kernel.

    Args:
        k: the kernel.
        registers: vector registers of the machine.
    """

    def __init__(self, k: KernelFunction, registers: int) -> None:
        self.k, self.v, self.b = k, k.v, k.b
        # As many accumulators as registers allow beside the vectors, one broadcast and addresses.
        self.block_rows = min(8 if registers >= 32 else 4, self.v.lanes)

    def product(self, rows: Any, one: Side, other: Side, target: Any, line: int, add: Any) -> None:
        """Write `target[i, j] (+)= sum over rows of one[row, i] * other[row, j]`, divided among all threads.

        Args:
            rows: how many rows there are.
            one, other: the factors; `i` counts units of the first, `j` of the second.
            target: address of element (0, 0).
            line: elements from one `i` to the next.
            add: a flag, whether to add to what is there.
        """
        k, b, lanes = self.k, self.b, self.v.lanes
        first = Columns(one.width, lanes, 1)
        width = -(-other.width // lanes)
        second = Columns(other.width, lanes, min(width, 3 if width % 3 == 0 or width > 4 else 2))
        count = index(first.count)
        begin, end = k.part_of_all(index(second.tiles * first.count))
        with loop_over(b, begin, end) as place:
            block = b.sdiv(place, count)
            vector = b.srem(place, count)
            source = self.v.address(one.panel.start, b.mul(vector, one.panel.stride))
            size = index(second.vectors)
            against = self.v.address(other.panel.start, b.mul(b.mul(block, size), other.panel.stride))
            row = b.mul(vector, index(lanes * line))
            column = b.mul(block, index(second.vectors * lanes))
            here = self.v.address(target, b.add(row, column))
            valid = index(lanes)
            if one.width % lanes:
                last = b.icmp_signed("==", vector, index(first.count - 1))
                valid = b.select(last, index(one.width % lanes), valid)
            left = b.sub(index(other.width), column)
            whole = b.mul(b.sdiv(valid, index(self.block_rows)), index(self.block_rows))
            for step, start, stop in ((self.block_rows, index(0), whole), (1, whole, valid)):
                with loop_over(b, start, stop, step) as m:
                    there = self.v.address(here, b.mul(m, index(line)))
                    arguments = [self.v.address(source, m), against, other.panel.stride, rows]
                    b.call(self._block(step, second.vectors), [*arguments, there, index(line), left, add])

    def _block(self, size: int, vectors: int) -> Any:
        """A block of a product: `size` lines of vectors, of which `left` elements are part of the target."""
        module = self.k.module
        name = f"outer_{size}_{vectors}"
        if name in module.globals:
            return module.globals[name]
        kinds = [POINTER, POINTER, INDEX, INDEX, POINTER, INDEX, INDEX, ir.IntType(1)]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        function.linkage = "internal"
        source, against, stride, rows, target, line, left, add = function.args
        v = Vectors(ir.IRBuilder(function.append_basic_block("entry")), self.v.dtype, self.v.lanes)
        b = v.builder
        # Of vectors beyond the last there is none to read; what is made of them is never stored.
        last = b.sdiv(b.sub(left, index(1)), index(v.lanes))
        places = [b.select(b.icmp_signed("<", last, index(n)), last, index(n)) for n in range(vectors)]
        panels = [v.address(against, b.mul(stride, place)) for place in places]
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
        masks = [v.lanes_below(b.sub(left, index(n * v.lanes))) for n in range(vectors)]
        for m in range(size):
            place = v.address(target, b.mul(line, index(m)))
            for n, mask in enumerate(masks):
                old = b.select(add, v.load(place, n * v.lanes, mask), v.zero)
                v.store(v.add(old, sums[m * vectors + n]), place, n * v.lanes, mask)
        b.ret_void()
        return function

    def totals(self, rows: Any, sides: Sequence[Side], targets: Sequence[Any], add: Any) -> None:
        """Write `target[j] (+)= sum over rows of side[row, j]` for sides of one width, threads sharing."""
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
