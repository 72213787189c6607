"""Register tiles: how many rows and vectors of units a product keeps in registers at a time."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from nabi._record import record

if TYPE_CHECKING:
    from nabi.native.vectors import Vectors

__all__ = [
    "NEAR", "Columns", "Places", "Tile", "choose_tile", "dot_tile", "parts_of_segment", "row_steps",
    "rows_of_segment", "side_by_side",
]  # fmt: skip

NEAR = 512 << 10
"""Bytes of weights assumed to stay in the second-level cache from step to step, besides everything else."""


class Places(NamedTuple):
    """Where the sums of a pass lie if every operand gives them side by side, as the outputs of one matrix.

    Two sums may begin at the same output, if the first operands give one of them and the later operands the
    other: the products of a GRU with `x` are `z`, `r` and one part of the candidate, those with `h` are `z`,
    `r` and the other part. What only the first operands give is then put aside before the others begin.

    Attributes:
        starts: the output at which each sum begins.
        aside: the sums that are put aside: of the first operands, those with the last outputs.
        turn: the number of the first operand that does not give them; 0 if there are none.
    """

    starts: tuple[int, ...]
    aside: tuple[int, ...] = ()
    turn: int = 0

    @property
    def per_operand(self) -> int:
        """How many sums an operand gives."""
        return len(set(self.starts))

    @property
    def kept(self) -> int:
        """The number of outputs before those that are put aside."""
        return min(self.starts[j] for j in self.aside)


class Tile(NamedTuple):
    """A register tile: `rows` rows of `vectors` vectors of units for every accumulator.

    Sums may lie side by side in fewer vectors, see `side_by_side`: all that an operand gives are then one
    accumulator. Such a tile has all units, and products give `part` vectors of the line of outputs at a time.
    """

    rows: int
    vectors: int
    places: Places | None = None
    part: int = 0

    def product(self, width: int, lanes: int) -> "Columns":
        """Return the division of what products give, for a pass of so many units."""
        if self.places is None:
            return Columns(width, lanes, self.vectors)
        return Columns(width * self.places.per_operand, lanes, self.part)

    def line(self, width: int, sums: int, lanes: int) -> int:
        """Return how many elements the sums of a row take in memory."""
        if self.places is None:
            return sums * self.vectors * lanes
        # Nobody reads the last vector: without it, lines of three vectors of 8 lanes take 4% longer.
        return self._room(width, lanes) * (2 if self.places.aside else 1) + lanes

    def starts(self, width: int, sums: int, lanes: int) -> list[int]:
        """Return where the first vector of each sum is read, in the sums of a row."""
        if self.places is None:
            return [j * self.vectors * lanes for j in range(sums)]
        room, aside = self._room(width, lanes), self.places.aside
        return [start + (room if j in aside else 0) for j, start in enumerate(self.places.starts)]

    def is_short(self, j: int, width: int, lanes: int) -> bool:
        """Tell whether the last vector of a sum ends after all that an operand gives, and must be masked.

        What lies there was never written. Even numbers that nobody reads take long to compute with if they
        are too small, as parts of addresses are.
        """
        if self.places is None:
            return False
        return self.places.starts[j] + -(-width // lanes) * lanes > self._room(width, lanes)

    def _room(self, width: int, lanes: int) -> int:
        """Return how many elements the sums of one operand take."""
        columns = self.product(width, lanes)
        return columns.tiles * columns.vectors * lanes


@record
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


def choose_tile(
    accumulators: int, registers: int, *, few_rows: bool, width: int, lanes: int, given: int = 0
) -> Tile:
    """Choose the tile of a pass.

    Weights stream through the cache once for every tile of rows, so for many rows, tiles of many rows and few
    vectors are best; with few rows, more vectors keep the multipliers busy.

    Args:
        accumulators: number of sums of products per unit.
        registers: number of vector registers of the machine.
        few_rows: whether there are fewer rows than an ideal tile has.
        width: number of units of the pass.
        lanes: elements of a vector.
        given: the most sums that one operand gives, if known; the tile is one for those if they are few.

    >>> choose_tile(4, 16, few_rows=False, width=512, lanes=8, given=1)[:2]
    (3, 4)
    """
    if not accumulators:
        return Tile(1, 1)
    # A quarter of the registers hold weights, a broadcast value and addresses of the next iteration.
    room = registers - registers // 4
    best = 8 if few_rows else 4
    if max(1, best // accumulators) < best // (given or accumulators):
        accumulators = given  # one operand after the other, each with more vectors
    wanted = max(1, best // accumulators)
    count = -(-width // lanes)
    # Vectors of a tile beyond the width are wasted work, and ask for masks: there are none for three sums and
    # more. Fewer of them wait for each other's multipliers in a tile of one vector: at most one in eight is
    # wasted, or in four where rows are few, too.
    most = 4 if few_rows and accumulators < 3 else 8
    unused = {n: -(-count // n) * n - count for n in (4, 3, 2) if n <= wanted}
    sizes = [n for n in unused if unused[n] * most <= count]
    full = [n for n in sizes if width % lanes or not unused[n]]
    if accumulators < 3 and not full:
        full = sorted(sizes, key=lambda n: 0 if few_rows else unused[n])
    vectors = full[0] if full else 1
    sums = accumulators * vectors
    # Besides the sums, registers hold a number of each row and a vector of weights.
    rows = max(1, min(8, room // sums, (registers - 1) // (sums + 1)))
    if rows < 3 and given:
        # Such sums are computed in parts, and parts have more rows.
        columns = max(map(len, parts_of_segment(given * vectors, registers)))
        rows = max(rows, rows_of_segment(rows, columns, registers))
    return Tile(rows, vectors)


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


def side_by_side(places: Places, registers: int, *, width: int, lanes: int) -> Tile | None:
    """Return a tile for sums that lie side by side, if their products take less time so.

    Five units use five of eight lanes. Four sums of them are 20 numbers: three vectors instead of four.

    Args:
        places: where the sums lie.
        registers: number of vector registers of the machine.
        width: number of units of the pass.
        lanes: elements of a vector.

    >>> tile = side_by_side(Places((0, 17, 34, 34), (2,), 1), 32, width=17, lanes=16)
    >>> tile.rows, tile.part, tile.starts(17, 4, 16)
    (6, 4, [0, 17, 98, 34])
    """
    apart = choose_tile(len(places.starts), registers, few_rows=False, width=width, lanes=lanes)
    tiles = Columns(width, lanes, apart.vectors).tiles
    best, least = None, _PAYS * tiles * _time(apart.rows, places.per_operand * apart.vectors)
    room, outputs = registers - registers // 4, -(-width * places.per_operand // lanes)
    # Weights come from the second-level cache no faster than so many rows take to use them.
    fewest = 4 if registers >= 32 else 2
    for part in range(min(outputs, room // fewest), 0, -1):
        if -(-outputs // part) > _PARTS or part < min(outputs, 3):
            break
        rows = min(8, room // part, (registers - 1) // (part + 1))
        time = -(-outputs // part) * _time(rows, part)
        if time < least:
            best, least = Tile(rows, -(-width // lanes), places, part), time
    return best


_PAYS = 0.9
"""Part of the time of the products that those side by side may take: sums take longer to read then."""

_PARTS = 4
"""Most parts of a line. Many small ones take no less time than the vectors they save."""


def _time(rows: int, vectors: int) -> float:
    """Return the time of products of a number of a row with vectors of weights, in products.

    A processor loads as many vectors at a time as it multiplies. For each tile it loads the weights, and a
    number of every row.
    """
    return max(vectors, (rows + vectors) / rows)


def parts_of_segment(columns: int, registers: int) -> list[range]:
    """Divide the sums that an operand gives into those that are computed at a time, as even as can be.

    All at once while two rows of them fit into registers. A single row would read each weight for one product
    only, and so many weights that they do not stay in the first-level cache for the next row.

    Args:
        columns: vectors of sums that the operand gives.
        registers: number of vector registers of the machine.

    >>> parts_of_segment(6, 16), parts_of_segment(8, 16), parts_of_segment(8, 32)
    ([range(0, 6)], [range(0, 4), range(4, 8)], [range(0, 8)])
    """
    room = registers - registers // 4
    count = 1 if 2 * columns <= room else -(-columns // (room // 3))
    ends = [columns * n // count for n in range(count + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


def rows_of_segment(rows: int, columns: int, registers: int) -> int:
    """Return how many rows are multiplied at a time by an operand that gives only some of a tile's sums.

    The registers of the other sums hold more rows. Where a tile of rows has eight sums, the multipliers
    are busy without them.

    Args:
        rows: rows of the tile.
        columns: vectors of sums that are computed at a time.
        registers: number of vector registers of the machine.

    >>> rows_of_segment(3, 3, 16), rows_of_segment(3, 4, 16), rows_of_segment(6, 3, 32)
    (4, 3, 6)
    >>> rows_of_segment(4, 1, 16), rows_of_segment(3, 6, 16)
    (7, 2)
    """
    room = registers - registers // 4
    if rows >= 4 and 8 <= rows * columns <= room:
        return rows
    # Beside the sums, the fewer of numbers of rows and vectors of weights, and one of the others. A single
    # vector of weights is used by all rows in turn, and compilers load the numbers of all of them before.
    beside = [(r, r if columns == 1 else min(r, columns)) for r in range(1, 9)]
    fit = [r for r, others in beside if r * columns <= room and r * columns + others < registers]
    return max(fit, default=1)


def row_steps(rows: int) -> list[int]:
    """Return the sizes of row tiles: full tiles, then powers of two.

    >>> row_steps(6)
    [6, 4, 2, 1]
    """
    return [rows, *(size for size in (8, 4, 2, 1) if size < rows)]
