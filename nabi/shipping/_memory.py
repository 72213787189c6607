"""Where the values of a step lie, and how weights are packed.

There are three memories, all of float32 numbers: the state of one stream, scratch memory that nothing keeps
between two steps, and the weights. Every value has room for whole vectors, so code stores vectors and never
parts of them; what stands behind a value in its room is never read as if it belonged to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nabi.shipping._program import (
    Lookup,
    Map,
    Numbers,
    Product,
    StepProgram,
    Value,
    reads_of,
    results_of,
)

__all__ = [
    "ALIGNMENT",
    "DIGITS",
    "FOUR",
    "FOURS",
    "Layout",
    "PackedProduct",
    "Tiles",
    "lay_out",
    "pack_product",
]

ALIGNMENT = 64
"""Bytes to which weights are aligned, and state and scratch memory should be: a cache line."""
FOURS = "int8 by fours"
"""Of int8 weights for sums of four products of bytes: `[tile][term][column / 4][vector][lane][4]`."""
DIGITS, FOUR = 3, 4
"""Bytes of a number of a row that is multiplied with such weights, and how many columns one sum takes."""


@dataclass(frozen=True)
class Tiles:
    """Tiles of the same size in a product.

    Attributes:
        first: the first vector of units of the first tile.
        count: how many tiles.
        vectors: vectors of units of each tile.
        numbers: the weights: `[tile][term][column][vector][lane]`, flat.
        kind: of weights in fewer bits, whose bytes `numbers` has; empty for float32.
        scales: of int8 weights: `[tile][term][vector][lane]`, flat; of FOURS, behind those of each term
            what its sums start from, as int32.
    """

    first: int
    count: int
    vectors: int
    numbers: Numbers
    kind: str = ""
    scales: Numbers | None = None


@dataclass(frozen=True)
class PackedProduct:
    """The weights of a product in the order in which a step reads them.

    A step goes through the tiles; a tile keeps its sums in registers while it goes through the terms, and
    through the columns of each: one number of the operand is multiplied with a vector of units at a time.

    Attributes:
        bias: `[vector][lane]`, flat.
        tiles: from the first vector to the last.
    """

    bias: Numbers
    tiles: tuple[Tiles, ...]


Pack = Callable[[Product, int, int], PackedProduct]
PackTable = Callable[[Numbers], tuple[Numbers, Numbers | None] | None]


def pack_product(product: Product, lanes: int, most: int) -> PackedProduct:
    """Pack the weights of a product as float32.

    Args:
        product: the product.
        lanes: numbers of a vector. Every piece of the result begins with a vector of its own.
        most: how many vectors of sums a tile may have.
    """
    matrices = [_padded(term.matrix, product.result.pieces, lanes) for term in product.terms]
    bias = _padded(product.bias[:, None], product.result.pieces, lanes)[:, 0]
    vectors = len(bias) // lanes
    count = -(-vectors // most)
    size = -(-vectors // count)
    groups = [(0, vectors // size, size)]
    if vectors % size:
        groups.append((vectors - vectors % size, 1, vectors % size))
    tiles = []
    for first, many, wide in groups:
        parts = []
        for tile in range(many):
            rows = slice((first + tile * wide) * lanes, (first + (tile + 1) * wide) * lanes)
            parts += [np.ascontiguousarray(matrix[rows].T).reshape(-1) for matrix in matrices]
        tiles.append(Tiles(first, many, wide, np.concatenate(parts)))
    return PackedProduct(np.ascontiguousarray(bias), tuple(tiles))


def _padded(matrix: Numbers, pieces: tuple[int, ...], lanes: int) -> Numbers:
    """Return a matrix with rows of zeros behind each piece, up to whole vectors."""
    found, start = [], 0
    for width in pieces:
        part = matrix[start : start + width]
        found.append(np.pad(part, ((0, -width % lanes), (0, 0))))
        start += width
    return np.concatenate(found).astype(np.float32)


@dataclass(frozen=True)
class Layout:
    """Where everything lies, in numbers from the beginning of its memory.

    Attributes:
        lanes: numbers of a vector.
        weights: all weights, as bytes of float32.
        state_size, scratch_size: numbers of these memories.
        products: the packed weights of each product, without the numbers, and where its bias is.
        tables: where the table of each lookup is.
        input_copy: where in the scratch memory the input is copied, with room behind it for a whole vector;
            None if nothing reads it by vectors, or it is whole vectors.
        initial: where the initial values of all states are, in order and without gaps; None if all are zero.
        kind: of weights in fewer bits; empty if all are float32.
        scales: of each table in fewer bits where the scales of its lines are, or -1 if it has none.
        digits: where in the scratch memory the digits of rows are that FOURS multiply; None without.
    """

    lanes: int
    weights: Numbers
    state_size: int
    scratch_size: int
    products: "Mapping[int, PlacedProduct]"
    tables: Mapping[int, int]
    input_copy: int | None
    initial: int | None
    _places: Mapping[int, int]
    kind: str = ""
    scales: Mapping[int, int] = field(default_factory=dict)
    digits: int | None = None

    @property
    def stored(self) -> tuple[str, ...]:
        """What the code depends on beside the program: the kind of weights, and which matrices are of it."""
        if not self.kind:
            return ()
        tiles = [one.kind for placed in self.products.values() for _, one in placed.tiles]
        return (self.kind, repr(tiles), repr([one in self.scales for one in self.tables]))

    def room(self, width: int) -> int:
        """Return how many numbers a value of a width has room for."""
        return -(-width // self.lanes) * self.lanes

    def place(self, value: Value) -> int:
        """Return where a value begins in its memory."""
        if value.whole is None:
            return 0 if value.memory == "input" else self._places[id(value)]
        before = sum(self.room(width) for width in value.whole.pieces[: value.piece])
        return self.place(value.whole) + before


@dataclass(frozen=True)
class PlacedProduct:
    """Where the weights of a product lie.

    Attributes:
        bias: its bias.
        tiles: for each group of tiles where its weights begin, and the group.
        scales: for each group where its scales begin, or -1 if it has none.
    """

    bias: int
    tiles: tuple[tuple[int, Tiles], ...]
    scales: tuple[int, ...]


class _Weights:
    """Collects weights.

    Vectors that happen to be equal have places of their own: the code must fit the weights of every model of
    the same structure, also those after further training.
    """

    def __init__(self) -> None:
        self._parts: list[Numbers] = []
        self._size = 0

    def add(self, numbers: Numbers) -> int:
        """Return where numbers lie, each part on its own cache line."""
        flat = np.ascontiguousarray(numbers, np.float32).reshape(-1)
        place = self._size
        self._parts.append(np.pad(flat, (0, -len(flat) % (ALIGNMENT // 4))))
        self._size += len(self._parts[-1])
        return place

    def all(self) -> Numbers:
        """Return everything as one row."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)


def lay_out(
    program: StepProgram,
    lanes: int,
    most: int,
    pack: Pack = pack_product,
    *,
    kind: str = "",
    pack_table: PackTable | None = None,
) -> Layout:
    """Decide where everything lies.

    Args:
        program: the program.
        lanes: numbers of a vector.
        most: how many vectors of sums a tile of a product may have.
        pack: packs the weights of a product.
        kind: of weights in fewer bits, if `pack` makes such.
        pack_table: packs a table in fewer bits.
    """
    weights, scales = _Weights(), dict[int, int]()
    products, tables, places = {}, {}, {}

    def room(value: Value) -> int:
        return sum(-(-width // lanes) * lanes for width in value.pieces or (value.width,))

    for instruction in program.instructions:
        match instruction:
            case Product():
                packed = pack(instruction, lanes, most)
                bias = weights.add(packed.bias)
                tiles = tuple((weights.add(one.numbers), one) for one in packed.tiles)
                factors = tuple(-1 if one.scales is None else weights.add(one.scales) for one in packed.tiles)
                products[id(instruction)] = PlacedProduct(bias, tiles, factors)
            case Lookup(table=table):
                small = None if pack_table is None else pack_table(table)
                tables[id(instruction)] = weights.add(table if small is None else small[0])
                if small is not None:
                    scales[id(instruction)] = -1 if small[1] is None else weights.add(small[1])
        for value in reads_of(instruction):
            if value.memory == "weights" and value.numbers is not None and id(value) not in places:
                padded = np.pad(value.numbers, (0, room(value) - value.width))
                places[id(value)] = weights.add(padded)
    initial = None
    if any(state.initial.any() for state in program.states):
        initial = weights.add(np.concatenate([state.initial for state in program.states]))
    at = 0
    for state in program.states:
        places[id(state.value)] = at
        at += room(state.value)
    scratch = _place_scratch(program, room, places)
    input_copy = None
    # Pieces of a row have room behind them.
    if (
        program.row is None
        and program.input.width % lanes
        and any(program.input in reads_of(one) for one in program.instructions if isinstance(one, Map))
    ):
        input_copy, scratch = scratch, scratch + room(program.input)
    digits = None
    bytes_of_rows = [
        sum(DIGITS * _whole(term.matrix.shape[1], max(lanes, FOUR)) for term in one.terms)
        for one in program.instructions
        if isinstance(one, Product) and any(tiles.kind == FOURS for _, tiles in products[id(one)].tiles)
    ]
    if bytes_of_rows:
        digits, scratch = scratch, scratch + _whole(-(-max(bytes_of_rows) // 4), lanes)
    return Layout(
        lanes, weights.all(), at, scratch, products, tables, input_copy, initial, places, kind, scales, digits
    )  # fmt: skip


def _whole(count: int, of: int) -> int:
    """Return the next multiple."""
    return -(-count // of) * of


def _place_scratch(program: StepProgram, room: Callable[[Value], int], places: dict[int, int]) -> int:
    """Give places to values in scratch memory; two share one if they are never needed at the same time."""
    lives: dict[int, list[int]] = {}
    values: dict[int, Value] = {}
    for number, instruction in enumerate(program.instructions):
        for value in (*reads_of(instruction), *results_of(instruction)):
            whole = value.place
            if whole.memory == "scratch":
                values[id(whole)] = whole
                lives.setdefault(id(whole), [number, number])[1] = number
    output = program.output.place
    if id(output) in lives:
        lives[id(output)][1] = 1 << 30
    taken: list[tuple[int, int, int]] = []  # the last instruction, first and end of the place
    size = 0
    for key, (first, last) in sorted(lives.items(), key=lambda item: item[1][0]):
        wanted = room(values[key])
        busy = sorted((start, end) for until, start, end in taken if until >= first)
        at = 0
        for start, end in busy:
            if at + wanted <= start:
                break
            at = max(at, end)
        places[key] = at
        taken.append((last, at, at + wanted))
        size = max(size, at + wanted)
    return size
