"""Products of rows with packed weights: accumulators in registers, stored for the maps that follow.

Weights are packed as `[tile][k][accumulator][vector][lane]`, so that a tile of units reads them in one
stream. An operand is either rows of memory (`x`, a state) or a panel `[vector][slot][row][lane]`, which is
how cotangents are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nabi.ir import Node
from nabi.targets.llvm._schedule import Pass
from nabi.targets.llvm._tiles import row_steps
from nabi.targets.llvm._vectors import Loop, Vectors, index, loop_over

__all__ = ["Panel", "RowAddress", "Segment", "accumulate", "segments_of"]

RowAddress = Callable[[Any], Any]
"""Gives the address of a row of an operand, by its number."""


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


@dataclass(frozen=True, eq=False)
class Segment:
    """Products that read the same operand: one loop over its units.

    Cotangents that lie side by side in panels and go into the same accumulators are stacked: one loop over
    all of them.

    Attributes:
        operands: what is read; more than one only for a stack.
        targets: the accumulators that take part.
        matrices: for each operand the matrix of each accumulator.
        transposed: whether matrices are transposed.
        early: whether it can be computed before the steps, for many rows at once.
    """

    operands: tuple[Node, ...]
    targets: tuple[int, ...]
    matrices: tuple[tuple[Node, ...], ...]
    transposed: bool
    early: bool

    @property
    def operand(self) -> Node:
        """What is read; the first of a stack."""
        return self.operands[0]

    @property
    def width(self) -> int:
        """Width of an operand."""
        return self.operand.width or 1

    @property
    def length(self) -> int:
        """Units of all operands."""
        return self.width * len(self.operands)

    def elements(self, tiles: int, vectors: int, lanes: int) -> int:
        """Return how many elements its packed weights take."""
        return tiles * self.length * len(self.targets) * vectors * lanes


def segments_of(found: Pass, hoist: bool, slots: Mapping[int, int] | None = None) -> list[Segment]:
    """Group the products of a pass by what they read.

    Args:
        found: the pass.
        hoist: whether products that read the input come early.
        slots: for each cotangent its slot among the panels of its width, when operands are cotangents.
    """
    groups: list[tuple[Node, dict[int, Node], bool]] = []
    for place, total in enumerate(found.sums):
        for matrix, operand in total.terms:
            for node, targets, transposed in groups:
                if node is operand and transposed == total.transposed and place not in targets:
                    targets[place] = matrix
                    break
            else:
                groups.append((operand, {place: matrix}, total.transposed))
    if slots is not None:
        groups.sort(key=lambda group: (group[0].width or 1, tuple(group[1]), slots[group[0].index]))
    segments: list[Segment] = []
    for node, targets, transposed in groups:
        places, matrices = tuple(targets), tuple(targets.values())
        if segments and slots is not None:
            last = segments[-1]
            adjacent = slots[node.index] == slots[last.operands[-1].index] + 1
            if adjacent and last.targets == places and last.width == node.width:
                stack = (*last.operands, node), places, (*last.matrices, matrices)
                segments[-1] = Segment(*stack, transposed, False)
                continue
        early = hoist and node.operation == "input"
        segments.append(Segment((node,), places, (matrices,), transposed, early))
    return segments


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
) -> None:
    """Write the products of one tile of units for a range of rows.

    Args:
        v: where to write.
        rows: first row and the one behind the last.
        tile_rows: rows of a full tile.
        vectors: vectors of the tile.
        accumulators: how many sums there are.
        segments: each with its operand and the address of its packed weights for this tile.
        scratch: address at which the sums of a row are stored, `[accumulator][vector][lane]`.
        resume: whether the sums go on from what is stored there.
    """
    b = v.builder
    now, stop = rows
    for size in row_steps(tile_rows):
        left = b.sub(stop, now)
        end = b.add(now, b.mul(b.sdiv(left, index(size)), index(size))) if size > 1 else stop
        with loop_over(b, now, end, size) as row:
            addresses = [scratch(b.add(row, index(r))) for r in range(size)]
            block = _Block(v, size, vectors, accumulators)
            if resume:
                block.load(addresses)
            for segment, operand, weights in segments:
                if isinstance(operand, Panel):
                    block.multiply_panel(segment, operand, row, weights)
                else:
                    block.multiply_rows(
                        segment, [operand(b.add(row, index(r))) for r in range(size)], weights
                    )
            block.store(addresses)
        now = end


class _Block:
    """The accumulators of one tile: `sums[row][accumulator][vector]`."""

    def __init__(self, v: Vectors, rows: int, vectors: int, accumulators: int) -> None:
        self.v, self.rows, self.vectors, self.accumulators = v, rows, vectors, accumulators
        self.sums = [v.zero] * (rows * accumulators * vectors)

    def load(self, addresses: Sequence[Any]) -> None:
        size = self.accumulators * self.vectors
        self.sums = [
            self.v.load(address, place * self.v.lanes) for address in addresses for place in range(size)
        ]

    def store(self, addresses: Sequence[Any]) -> None:
        size = self.accumulators * self.vectors
        for r, address in enumerate(addresses):
            for place in range(size):
                self.v.store(self.sums[r * size + place], address, place * self.v.lanes)

    def multiply_rows(self, segment: Segment, rows: Sequence[Any], weights: Any) -> None:
        """Add the products with an operand whose units lie side by side."""
        self._loop(segment, rows, weights, segment.width)

    def multiply_panel(self, segment: Segment, panel: Panel, row: Any, weights: Any) -> None:
        """Add the products with operands in panels, vector by vector of their units."""
        v, b = self.v, self.v.builder
        full, rest = divmod(segment.width, v.lanes)
        line = len(segment.targets) * self.vectors * v.lanes
        first = v.address(panel.start, b.mul(row, index(v.lanes)))
        stack = Loop(b, 0, len(segment.operands), 1, self.sums)
        self.sums = list(stack.carried)
        source, weight = first, weights
        if len(segment.operands) > 1:
            source = v.address(first, b.mul(stack.at, panel.slot))
            weight = v.address(weights, b.mul(stack.at, index(segment.width * line)))

        def lines(vector: Any) -> list[Any]:
            start = v.address(source, b.mul(vector, panel.stride))
            return [v.address(start, r * v.lanes) for r in range(self.rows)]

        if full:
            loop = Loop(b, 0, full, 1, self.sums)
            self.sums = list(loop.carried)
            here = v.address(weight, b.mul(loop.at, index(v.lanes * line)))
            self._loop(segment, lines(loop.at), here, v.lanes)
            self.sums = loop.close(self.sums)
        if rest:
            self._loop(segment, lines(index(full)), v.address(weight, full * v.lanes * line), rest)
        self.sums = stack.close(self.sums)

    def _loop(self, segment: Segment, rows: Sequence[Any], weights: Any, length: int) -> None:
        v, b = self.v, self.v.builder
        line = len(segment.targets) * self.vectors * v.lanes
        # Enough multiplications in a turn to hide the loop; more would only be more to compile.
        unroll = min(length, 4 if len(self.sums) < 16 else 2)
        main = length // unroll * unroll
        loop = Loop(b, 0, main, unroll, self.sums)
        self.sums = list(loop.carried)
        here = v.address(weights, b.mul(loop.at, index(line)))
        places = [v.address(row, loop.at) for row in rows]
        for u in range(unroll):
            self._turn(segment, places, u, here, u * line)
        self.sums = loop.close(self.sums)
        for k in range(main, length):
            self._turn(segment, rows, k, weights, k * line)

    def _turn(self, segment: Segment, rows: Sequence[Any], k: int, weights: Any, at: int) -> None:
        v = self.v
        values = [v.broadcast(row, k) for row in rows]
        for j, target in enumerate(segment.targets):
            for n in range(self.vectors):
                weight = v.load(weights, at + (j * self.vectors + n) * v.lanes)
                for r, value in enumerate(values):
                    place = (r * self.accumulators + target) * self.vectors + n
                    self.sums[place] = v.fma(value, weight, self.sums[place])
