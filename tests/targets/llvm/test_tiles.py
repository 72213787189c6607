"""The size of register tiles."""

from itertools import permutations

import pytest

from nabi import cells
from nabi.ir import Program
from nabi.targets.llvm._plan._operand_groups import places_of
from nabi.targets.llvm._plan._saved_values import values_of
from nabi.targets.llvm._plan._tiles import choose_tile, side_by_side


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
def test_sums_lie_side_by_side_where_they_then_take_fewer_vectors(registers: int, lanes: int) -> None:
    for width in range(1, 2 * lanes):
        for places in permutations(range(0, 4 * width, width)):
            tile = side_by_side(places, registers, width=width, lanes=lanes)
            vectors = -(-4 * width // lanes)
            assert (tile is not None) == (width <= lanes and vectors < 4)
            if tile is not None:
                assert tile.product(width, lanes).vectors == vectors
                assert tile.rows * (vectors + 1) + 1 <= registers
                # Each sum is read as a whole vector.
                assert max(places) + lanes <= tile.line(width, 4, lanes)


def _places(program: Program) -> list[tuple[int, ...] | None]:
    return [places_of(found, program) for found in values_of(program).forward(False).passes]


def test_the_gates_of_an_lstm_are_the_outputs_of_one_matrix_and_those_of_a_gru_of_two() -> None:
    (places,) = _places(cells.LSTM(5).program(3))
    assert places is not None
    assert sorted(places) == [0, 5, 10, 15]
    assert _places(cells.GRU(5).program(3)) == [None]
    gates, candidate = _places(cells.GRU2014(5).program(3))
    assert gates is not None
    assert sorted(gates) == [0, 5]
    assert candidate == (0,)
