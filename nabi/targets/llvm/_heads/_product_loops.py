"""Writes products of weights for the rows that a thread computes together.

Every weight that is loaded serves four rows, whose sums are in registers, and a few columns of weights serve
all rows, from the nearest cache. What is left of the rows is taken one by one. Each sum has its terms in the
same order either way, so that a row's results do not depend on those beside it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from nabi.native.vectors import Loop, Vectors, index

__all__ = ["write_product"]

_ROWS = 4
"""Rows whose sums are in registers together."""
_FEW_REGISTERS = 16
_ALONE = 8
"""Vectors of results of a single row: as many sums as a processor adds up at a time."""


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
        weights: where they lie, in rows of whole vectors.
        operands: how many numbers each piece of a row's vector has.
        places: returns where the pieces of a row lie, and where its results go, with room for whole vectors.
        count: how many rows.
        width: how many results there are.
        registers: of the machine.
    """
    b = builder
    line = -(-width // v.lanes) * v.lanes

    def part(first: Any, vectors: int, rows: Sequence[Any]) -> None:
        """Write some vectors of results of some rows."""
        sums = [v.zero] * (len(rows) * vectors)
        found = [places(row) for row in rows]
        begin = 0
        for piece, size in enumerate(operands):
            loop = Loop(b, 0, size, carried=sums)
            row = b.mul(b.add(loop.at, index(begin)), index(line))
            place = v.address(weights, b.add(row, first))
            loaded = [v.load(place, u * v.lanes) for u in range(vectors)]
            sums = list(loop.carried)
            for r, (pieces, _) in enumerate(found):
                number = v.broadcast(pieces[piece], loop.at)
                for u in range(vectors):
                    at = r * vectors + u
                    sums[at] = v.fma(number, loaded[u], sums[at])
            sums = loop.close(sums)
            begin += size
        for r, (_, result) in enumerate(found):
            for u in range(vectors):
                v.store(sums[r * vectors + u], result, b.add(first, index(u * v.lanes)))

    def tiles(most: int, write: Callable[[Any, int], None]) -> None:
        """Write all results, so many vectors at a time."""
        vectors = line // v.lanes
        tile = -(-vectors // -(-vectors // most))
        whole = vectors // tile
        loop = Loop(b, 0, whole * tile * v.lanes, tile * v.lanes)
        write(loop.at, tile)
        loop.close()
        if vectors % tile:
            write(index(whole * tile * v.lanes), vectors % tile)

    def many(first: Any, vectors: int) -> None:
        whole = b.mul(b.sdiv(count, index(_ROWS)), index(_ROWS))
        loop = Loop(b, 0, whole, _ROWS)
        part(first, vectors, [b.add(loop.at, index(row)) for row in range(_ROWS)])
        loop.close()
        rest = Loop(b, whole, count)
        part(first, vectors, [rest.at])
        rest.close()

    def alone(first: Any, vectors: int) -> None:
        part(first, vectors, [row])

    with b.if_else(b.icmp_signed(">=", count, index(_ROWS))) as (at_least_four, less):
        with at_least_four:
            tiles(3 if registers <= _FEW_REGISTERS else 6, many)
        with less:
            each = Loop(b, 0, count)
            row = each.at
            tiles(_ALONE, alone)
            each.close()
