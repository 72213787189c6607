"""Writes products of weights for the rows that a thread computes together.

Every weight that is loaded serves four rows, whose sums are in registers; fewer rows take one at a time. Each
sum has its terms in the same order either way, so that a row's results do not depend on those beside it.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from nabi.native.vectors import Loop, Vectors, index

__all__ = ["write_product"]

_FEW_REGISTERS = 16
_ALONE = 8
"""Vectors of results of a single row: as many sums as a processor adds up at a time."""


def write_product(
    builder: ir.IRBuilder,
    v: Vectors,
    weights: Any,
    operands: Sequence[Sequence[tuple[Any, int]]],
    results: Sequence[Any],
    width: int,
    registers: int,
) -> None:
    """Write the product of some rows.

    Args:
        builder: receives the instructions.
        v: whole vectors of the machine.
        weights: where they lie, in rows of whole vectors.
        operands: for every row the pieces of its vector: where each lies, and how many numbers it has.
        results: for every row where they go, with room for whole vectors.
        width: how many results there are.
        registers: of the machine.
    """
    rows = len(results)
    most = _ALONE if rows == 1 else 3 if registers <= _FEW_REGISTERS else 6
    count = -(-width // v.lanes)
    line = count * v.lanes
    tile = -(-count // -(-count // most))

    def part(first: Any, vectors: int) -> None:
        sums = [v.zero] * (rows * vectors)
        begin = 0
        for pieces in zip(*operands, strict=True):
            loop = Loop(builder, 0, pieces[0][1], carried=sums)
            row = builder.mul(builder.add(loop.at, index(begin)), index(line))
            place = v.address(weights, builder.add(row, first))
            loaded = [v.load(place, u * v.lanes) for u in range(vectors)]
            sums = list(loop.carried)
            for r, (pointer, _) in enumerate(pieces):
                number = v.broadcast(pointer, loop.at)
                for u in range(vectors):
                    at = r * vectors + u
                    sums[at] = v.fma(number, loaded[u], sums[at])
            sums = loop.close(sums)
            begin += pieces[0][1]
        for r, pointer in enumerate(results):
            for u in range(vectors):
                v.store(sums[r * vectors + u], pointer, builder.add(first, index(u * v.lanes)))

    whole = count // tile
    if whole > 1:
        loop = Loop(builder, 0, whole * tile * v.lanes, tile * v.lanes)
        part(loop.at, tile)
        loop.close()
    else:
        part(index(0), tile)
    if count % tile:
        part(index(whole * tile * v.lanes), count % tile)
