"""The size of register tiles."""

import pytest

from nabi.targets.llvm._plan._tiles import choose_tile


@pytest.mark.parametrize("few_rows", [False, True])
@pytest.mark.parametrize(("registers", "lanes"), [(32, 16), (16, 8), (32, 4), (16, 4)])
def test_a_tile_and_what_it_reads_fit_the_registers(registers: int, lanes: int, few_rows: bool) -> None:
    """Beside the sums there are a number of each row and a vector of weights."""
    for accumulators in range(1, registers // 2):
        for width in (1, 32, 33, 256):
            tile = choose_tile(accumulators, registers, few_rows=few_rows, width=width, lanes=lanes)
            assert tile.rows * (accumulators * tile.vectors + 1) + 1 <= registers
            assert tile.rows >= 1
