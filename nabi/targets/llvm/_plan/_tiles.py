"""Register tiles: how many rows and vectors of units a product keeps in registers at a time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from nabi.native.vectors import Vectors

__all__ = ["Columns", "Tile", "choose_tile", "dot_tile", "row_steps", "side_by_side"]


class Tile(NamedTuple):
    """A register tile: `rows` rows of `vectors` vectors of units for every accumulator.

    Sums of few units may lie side by side in fewer vectors, see `side_by_side`: all of them are then one
    accumulator, and `places` says where each one begins.
    """

    rows: int
    vectors: int
    places: tuple[int, ...] = ()

    def product(self, width: int, lanes: int) -> "Columns":
        """Return the division of what products give, for a pass of so many units."""
        if not self.places:
            return Columns(width, lanes, self.vectors)
        outputs = width * len(self.places)
        return Columns(outputs, lanes, -(-outputs // lanes))

    def accumulators(self, sums: int) -> int:
        """Return how many accumulators so many sums take."""
        return 1 if self.places else sums

    def line(self, width: int, sums: int, lanes: int) -> int:
        """Return how many elements the sums of a row take in memory."""
        if not self.places:
            return sums * self.vectors * lanes
        # A whole vector is read from where the last sum begins.
        return (self.product(width, lanes).vectors + 1) * lanes


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

    >>> dot_tile(4, 32, 512, 16)[:2], dot_tile(1, 32, 512, 16)[:2]
    ((2, 1), (2, 4))
    """
    if not accumulators:
        return Tile(1, 1)
    count, wanted = -(-width // lanes), max(1, 4 // accumulators)
    sizes = [n for n in (4, 2, 1) if n <= wanted and (-(-count // n) * n - count) * 8 <= count]
    vectors = next((n for n in sizes if width % lanes or count % n == 0), 1)
    room = registers - registers // 4
    return Tile(max(1, min(4, room // (3 * accumulators * vectors))), vectors)


def side_by_side(places: tuple[int, ...], registers: int, *, width: int, lanes: int) -> Tile | None:
    """Return a tile for sums that lie side by side, if they take fewer vectors so.

    Five units use five of eight lanes. Four sums of them are 20 numbers: three vectors instead of four.

    Args:
        places: where each sum begins: all together are the outputs of one matrix.
        registers: number of vector registers of the machine.
        width: number of units of the pass.
        lanes: elements of a vector.
    """
    vectors = -(-width * len(places) // lanes)
    if width > lanes or vectors >= len(places):
        return None
    return choose_tile(vectors, registers, few_rows=False, width=width, lanes=lanes)._replace(places=places)


def row_steps(rows: int) -> list[int]:
    """Return the sizes of row tiles: full tiles, then powers of two.

    >>> row_steps(6)
    [6, 4, 2, 1]
    """
    return [rows, *(size for size in (8, 4, 2, 1) if size < rows)]
