"""Writes products of weights for the rows that a thread computes together.

Every weight that is loaded serves four rows, whose sums are in registers, and a few columns of weights serve
all rows, from the nearest cache. What is left of the rows is taken one by one. Each sum has its terms in the
same order either way, so that a row's results do not depend on those beside it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from nabi.native.vectors import Loop, Vectors, index
from nabi.targets.llvm._heads._products import tile_of

__all__ = ["write_product"]

_ROWS = 4
"""Rows whose sums are in registers together."""
_ALONE = 9
"""Vectors of results of a single row at most: as many sums as a processor adds up at a time."""


def write_product(
    builder: ir.IRBuilder,
    v: Vectors,
    weights: Any,
    operands: Sequence[int],
    places: Callable[[Any], tuple[Sequence[Any], Any]],
    count: Any,
    width: int,
    registers: int,
) -> None:
    """Write the product of some rows.

    Args:
        builder: receives the instructions.
        v: whole vectors of the machine.
        weights: where they lie, as `packed` lays them out.
        operands: how many numbers each piece of a row's vector has.
        places: returns where the pieces of a row lie, and where its results go, with room for whole vectors.
        count: how many rows.
        width: how many results there are.
        registers: of the machine.
    """
    b = builder
    length, vectors = sum(operands), -(-width // v.lanes)
    tile = tile_of(width, v.lanes, registers)
    whole, rest = divmod(vectors, tile)

    def part(first: Any, tiles: int, size: int, rows: Sequence[Any]) -> None:
        """Write some tiles of so many vectors of results of some rows."""
        vectors, apart = tiles * size, length * size * v.lanes
        sums = [v.zero] * (len(rows) * vectors)
        found = [places(row) for row in rows]
        start = v.address(weights, b.mul(first, index(length)))
        begin = 0
        for piece, numbers in enumerate(operands):
            loop = Loop(b, 0, numbers, carried=sums)
            place = v.address(start, b.mul(b.add(loop.at, index(begin)), index(size * v.lanes)))
            loaded = [v.load(place, t * apart + u * v.lanes) for t in range(tiles) for u in range(size)]
            sums = list(loop.carried)
            for r, (pieces, _) in enumerate(found):
                number = v.broadcast(pieces[piece], loop.at)
                for u in range(vectors):
                    at = r * vectors + u
                    sums[at] = v.fma(number, loaded[u], sums[at])
            sums = loop.close(sums)
            begin += numbers
        for r, (_, result) in enumerate(found):
            for u in range(vectors):
                v.store(sums[r * vectors + u], result, b.add(first, index(u * v.lanes)))

    def all_tiles(together: int, write: Callable[[Any, int, int], None]) -> None:
        """Write all results, so many tiles at a time."""
        step = tile * v.lanes
        groups, alone = divmod(whole, together)
        if groups:
            loop = Loop(b, 0, groups * together * step, together * step)
            write(loop.at, together, tile)
            loop.close()
        if alone:
            write(index(groups * together * step), alone, tile)
        if rest:
            write(index(whole * step), 1, rest)

    def many(first: Any, tiles: int, size: int) -> None:
        fours = b.mul(b.sdiv(count, index(_ROWS)), index(_ROWS))
        loop = Loop(b, 0, fours, _ROWS)
        part(first, tiles, size, [b.add(loop.at, index(row)) for row in range(_ROWS)])
        loop.close()
        last = Loop(b, fours, count)
        part(first, tiles, size, [last.at])
        last.close()

    def alone(first: Any, tiles: int, size: int) -> None:
        part(first, tiles, size, [row])

    with b.if_else(b.icmp_signed(">=", count, index(_ROWS))) as (at_least_four, less):
        with at_least_four:
            all_tiles(1, many)
        with less:
            each = Loop(b, 0, count)
            row = each.at
            all_tiles(max(_ALONE // tile, 1), alone)
            each.close()
