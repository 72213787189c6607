"""Register tiles: how many rows and vectors of units a product keeps in registers at a time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from nabi.native.vectors import Vectors

__all__ = ["Columns", "Tile", "choose_tile", "dot_tile", "row_steps"]


class Tile(NamedTuple):
    """A register tile: `rows` rows of `vectors` vectors of units for every accumulator."""

    rows: int
    vectors: int


@dataclass(frozen=True, repr=False)
class Columns:
    """The units of one width, divided into tiles of vectors.

    Attributes:
        width: number of units.
        lanes: elements of a vector.
        vectors: vectors of a tile.
    """

    width: int
    lanes: int
    vectors: int

    @property
    def count(self) -> int:
        """The number of vectors that hold the units; the last may be partial."""
        return -(-self.width // self.lanes)

    @property
    def tiles(self) -> int:
        """The number of tiles; the last may hold fewer units."""
        return -(-self.count // self.vectors)

    @property
    def is_even(self) -> bool:
        """Whether all tiles are full, so that no masks are needed."""
        return self.width % (self.lanes * self.vectors) == 0

    def mask(self, v: "Vectors", vector: Any) -> Any:
        """Return the mask of the units in a vector, or None if all vectors of all tiles are full."""
        if self.is_even:
            return None
        b, (whole, rest) = v.builder, divmod(self.width, self.lanes)
        first = b.mul(vector, vector.type(self.lanes))
        lanes = v.lanes_below(b.sub(vector.type(self.width), first))
        number = vector.type(whole)
        is_whole, is_last = b.icmp_signed("<", vector, number), b.icmp_signed("==", vector, number)
        beyond = self.count % self.vectors
        is_inside = b.icmp_signed("<", vector, vector.type(self.count)) if beyond else None
        return v.part_of_row(lanes, is_whole, is_last, rest, is_inside)


def choose_tile(accumulators: int, registers: int, *, few_rows: bool, width: int, lanes: int) -> Tile:
    """Choose the tile of a pass.

    Weights stream through the cache once for every tile of rows, so for many rows, tiles of many rows and few
    vectors are best; with few rows, more vectors keep the multipliers busy.

    Args:
        accumulators: number of sums of products per unit.
        registers: number of vector registers of the machine.
        few_rows: whether there are fewer rows than an ideal tile has.
        width: number of units of the pass.
        lanes: elements of a vector.
    """
    if not accumulators:
        return Tile(1, 1)
    # A quarter of the registers hold weights, a broadcast value and addresses of the next iteration.
    room = registers - registers // 4
    wanted = max(1, (8 if few_rows else 4) // accumulators)
    count = -(-width // lanes)
    # Vectors of a tile beyond the width are wasted work: at most one in eight.
    sizes = [n for n in (4, 3, 2, 1) if n <= wanted and (-(-count // n) * n - count) * 8 <= count]
    vectors = next((n for n in sizes if width % lanes or count % n == 0), 1)
    sums = accumulators * vectors
    # Besides the sums, registers hold a number of each row and a vector of weights.
    rows = min(8, room // sums, (registers - 1) // (sums + 1))
    return Tile(max(1, rows), vectors)


def dot_tile(accumulators: int, registers: int, width: int, lanes: int) -> Tile:
    """Choose the tile of a pass whose sums have three digits each, for any number of rows.

    >>> dot_tile(4, 32, 512, 16), dot_tile(1, 32, 512, 16)
    (Tile(rows=2, vectors=1), Tile(rows=2, vectors=4))
    """
    if not accumulators:
        return Tile(1, 1)
    count, wanted = -(-width // lanes), max(1, 4 // accumulators)
    sizes = [n for n in (4, 2, 1) if n <= wanted and (-(-count // n) * n - count) * 8 <= count]
    vectors = next((n for n in sizes if width % lanes or count % n == 0), 1)
    room = registers - registers // 4
    return Tile(max(1, min(4, room // (3 * accumulators * vectors))), vectors)


def row_steps(rows: int) -> list[int]:
    """Return the sizes of row tiles: full tiles, then powers of two.

    >>> row_steps(6)
    [6, 4, 2, 1]
    """
    return [rows, *(size for size in (8, 4, 2, 1) if size < rows)]
