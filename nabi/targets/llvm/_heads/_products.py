"""Products of weights in the loop: what each multiplies by what, and how its weights lie in memory.

All products of one value are one, its matrices side by side. The product of a derivative adds up several,
with matrices one below the other. The weights of as many results as are in registers together lie together,
`[results, operand, vectors of results]`, so that they are read from the first number to the last: numbers
that are whole lines of results apart would share few places of the caches and displace one another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nabi.ir import Node, Program
from nabi.targets.llvm._heads._schedule import Schedule

__all__ = ["Product", "packed", "products_of", "tile_of"]

_FEW_REGISTERS = 16


def tile_of(width: int, lanes: int, registers: int) -> int:
    """Return how many vectors of results are in registers together, of four rows; the last may be fewer."""
    vectors = -(-width // lanes)
    return -(-vectors // -(-vectors // (3 if registers <= _FEW_REGISTERS else 6)))


@dataclass(frozen=True, eq=False)
class Product:
    """A row vector times a matrix.

    Attributes:
        operands: the row vector, in pieces.
        matrices: the weights, of every result or of every operand.
        results: the pieces of what comes out, and where each begins.
        width: how many numbers come out.
    """

    operands: tuple[Node, ...]
    matrices: tuple[Node, ...]
    results: tuple[tuple[Node, int], ...]
    width: int

    @property
    def length(self) -> int:
        """How many numbers the row vector has."""
        return sum(node.width or 1 for node in self.operands)


def products_of(schedule: Schedule) -> tuple[Product, ...]:
    """Return the products of a schedule, in order."""
    return tuple(_product(loop.items) for loop in schedule.loops if loop.product is not None)


def _product(items: Sequence[Node]) -> Product:
    first = items[0]
    if first.operation == "linear_transposed":
        operands, matrices = first.arguments[1::2], first.arguments[::2]
        return Product(operands, matrices, ((first, 0),), first.width or 1)
    results, at = [], 0
    for node in items:
        results.append((node, at))
        at += node.width or 1
    return Product((first.arguments[1],), tuple(n.arguments[0] for n in items), tuple(results), at)


def packed(
    product: Product, program: Program, families: Sequence[Tensor], lanes: int, registers: int
) -> Tensor:
    """Return the weights of a product, in whole vectors with zeros after the last result."""
    line = -(-product.width // lanes) * lanes
    found = torch.zeros(product.length, line, dtype=families[0].dtype)
    at = 0
    for matrix in product.matrices:
        family, rows = program.family_of(matrix.name)
        weights = families[family][rows]
        if product.results[0][0].operation == "linear":
            found[:, at : at + len(weights)] = weights.t()
        else:
            found[at : at + len(weights), : product.width] = weights
        at += len(weights)
    tile = tile_of(product.width, lanes, registers) * lanes
    whole = line // tile * tile
    tiles = found[:, :whole].unflatten(1, (-1, tile)).transpose(0, 1).reshape(-1)
    return tiles if whole == line else torch.cat((tiles, found[:, whole:].reshape(-1)))
