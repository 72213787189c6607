"""The size of register tiles."""

import re
from itertools import pairwise, permutations

import pytest

from nabi import cells
from nabi.ir import Program
from nabi.targets.llvm import listing
from nabi.targets.llvm._plan._operand_groups import places_of, segments_of
from nabi.targets.llvm._plan._saved_values import values_of
from nabi.targets.llvm._plan._tiles import (
    Columns,
    Places,
    Tile,
    choose_tile,
    parts_of_segment,
    rows_of_segment,
    side_by_side,
)


@pytest.mark.parametrize("few_rows", [False, True])
@pytest.mark.parametrize(("registers", "lanes"), [(32, 16), (16, 8), (32, 4), (16, 4)])
def test_a_tile_and_what_it_reads_fit_the_registers(registers: int, lanes: int, few_rows: bool) -> None:
    """Beside the sums there are a number of each row and a vector of weights."""
    for accumulators in range(1, registers // 2):
        for width in (1, 32, 33, 256):
            tile = choose_tile(accumulators, registers, few_rows=few_rows, width=width, lanes=lanes)
            assert tile.rows * (accumulators * tile.vectors + 1) + 1 <= registers
            assert tile.rows >= 1


@pytest.mark.parametrize(("registers", "lanes"), [(32, 16), (16, 8), (32, 4), (16, 4)])
def test_more_rows_of_some_sums_fit_the_registers(registers: int, lanes: int) -> None:
    """Then a vector of weights for each sum and a number of one row are beside them."""
    for accumulators in range(2, registers):
        tile = choose_tile(accumulators, registers, few_rows=False, width=64, lanes=lanes)
        for columns in range(1, accumulators * tile.vectors + 1):
            parts = parts_of_segment(columns, registers)
            assert [column for part in parts for column in part] == list(range(columns))
            for part in parts:
                rows = rows_of_segment(tile.rows, len(part), registers)
                assert rows >= max(2, tile.rows)
                if rows > tile.rows:
                    assert rows * len(part) + min(rows, len(part)) + 1 <= registers


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("inputs", [32, 256])
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_sums_stay_in_registers(name: str, inputs: int) -> None:
    """Not the sums alone: with AVX2, a GRU's candidate has two, of which each operand gives one."""
    program = cells.get(name)(units=32).program(input_size=inputs)
    code = listing(program, "asm", machine="x86_64-linux-avx2")
    products = 0
    # From one label to the next: a loop is what jumps back to its start.
    for (label, _), (_, body) in pairwise(re.findall(r"^(\.\w+):|((?:^[^.\n].*\n|^\n)+)", code, re.M)):
        loop = re.match(rf"[\s\S]*?\bj\w+\s+{re.escape(label)}$", body, re.M) if label else None
        if loop is None or loop[0].count("vfmadd") < 12 or "vdiv" in loop[0]:
            continue
        products += 1
        assert not re.search(r"\(%rsp\S*, %ymm|%ymm\d+, \S*\(%rsp", loop[0]), loop[0]
    assert products >= 2


def _lines(width: int) -> list[Places]:
    """The gates of an LSTM in every order, and those of a GRU."""
    orders = permutations(range(0, 4 * width, width))
    return [*map(Places, orders), Places((0, width, 2 * width, 2 * width), aside=(2,), turn=1)]


@pytest.mark.parametrize(("registers", "lanes"), [(32, 16), (16, 8), (32, 4), (16, 4)])
def test_sums_side_by_side_take_fewer_vectors_and_fit_the_registers(registers: int, lanes: int) -> None:
    for width in range(1, 5 * lanes):
        for places in _lines(width):
            tile = side_by_side(places, registers, width=width, lanes=lanes)
            if width % lanes == 0:
                assert tile is None  # no lane is empty
            if tile is None:
                continue
            columns = tile.product(width, lanes)
            apart = choose_tile(4, registers, few_rows=False, width=width, lanes=lanes)
            count = Columns(width, lanes, apart.vectors)
            assert columns.tiles * columns.vectors < places.per_operand * count.tiles * count.vectors
            assert columns.tiles * columns.vectors * lanes >= places.per_operand * width
            assert tile.rows * (tile.part + 1) + 1 <= registers
            assert tile.rows >= (4 if registers == 32 else 2)
            _check_reads(tile, width, lanes)


def _check_reads(tile: Tile, width: int, lanes: int) -> None:
    """Nothing is read that no product has written, and no sum where another one lies."""
    line, starts = tile.line(width, 4, lanes), tile.starts(width, 4, lanes)
    assert len({*starts}) == 4
    ends = []
    for j, start in enumerate(starts):
        vectors = -(-width // lanes) * lanes
        ends.append(start + (width if tile.is_short(j, width, lanes) else vectors))
    assert max(ends) <= line


@pytest.mark.parametrize(
    ("width", "registers", "lanes", "gru", "lstm"),
    [
        (17, 32, 16, (6, 4, 1), (4, 5, 1)),
        (33, 32, 16, (6, 4, 2), (7, 3, 3)),
        (40, 32, 16, (6, 4, 2), (4, 5, 2)),
        (12, 32, 16, None, (7, 3, 1)),
        (31, 32, 16, None, None),
        (17, 16, 8, (3, 4, 2), (3, 3, 3)),
        (9, 16, 8, (3, 4, 1), (2, 5, 1)),
        (33, 16, 8, None, None),
    ],
)
def test_whether_sums_lie_side_by_side(
    width: int,
    registers: int,
    lanes: int,
    gru: tuple[int, int, int] | None,
    lstm: tuple[int, int, int] | None,
) -> None:
    """As measured: rows, vectors of a part and parts; None where it takes no less time."""
    places = [Places((0, width, 2 * width, 2 * width), (2,), 1), Places((0, width, 2 * width, 3 * width))]
    for one, wanted in zip(places, (gru, lstm), strict=True):
        tile = side_by_side(one, registers, width=width, lanes=lanes)
        found = None if tile is None else (tile.rows, tile.part, tile.product(width, lanes).tiles)
        assert found == wanted


def _places(program: Program) -> list[Places | None]:
    return [places_of(found, program) for found in values_of(program).forward(False).passes]


def test_the_gates_of_a_cell_are_the_outputs_of_one_matrix_for_each_operand() -> None:
    (places,) = _places(cells.LSTM(5).program(3))
    assert places is not None
    assert sorted(places.starts) == [0, 5, 10, 15]
    assert places.aside == ()
    gates, candidate = _places(cells.GRU2014(5).program(3))
    assert gates is not None
    assert sorted(gates.starts) == [0, 5]
    assert candidate == Places((0,))


def test_the_candidate_of_a_gru_has_a_part_of_the_input_and_one_of_the_state() -> None:
    (found,) = values_of(program := cells.GRU(5).program(3)).forward(False).passes
    places = places_of(found, program)
    assert places is not None
    assert sorted(places.starts) == [0, 5, 10, 10]
    (aside,) = places.aside
    assert places.kept == places.starts[aside] == 10
    first = segments_of(found, False)[0]
    assert (places.turn, aside in first.targets) == (1, True)
