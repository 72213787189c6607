"""Is the register tile of a product well chosen? Every candidate beside a model of its cost.

    python benchmarks/tiles.py
    NABI_CPU=x86-64-v3 python benchmarks/tiles.py --cells lstm --widths 256 650

`choose_tile` follows from the number of registers and sums alone. Here every tile that fits the registers is
compiled and timed, on one thread, and compared with what a simple model expects; the last column says how far
the chosen tile is behind the fastest one. Times are the shortest of many, so that a busy machine disturbs
little.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import nabi.nn
from nabi.native import Machine, host
from nabi.targets.llvm._plan import _forward
from nabi.targets.llvm._plan._tiles import Tile, choose_tile

SUMS = {"rnn": 1, "gru": 4, "lstm": 4}
LAYERS = {"rnn": nabi.nn.RNN, "gru": nabi.nn.GRU, "lstm": nabi.nn.LSTM}
BATCH, STEPS, INPUTS = 64, 20, 128
PIECE, LATENCY, LOOP = 128, 4.0, 0.75
"""Units of a row between two loads of all sums; cycles of a multiply-add, and of a turn of the loop."""
FROM_SECOND_CACHE = 29.0
"""Bytes in a cycle from the second-level cache."""


def cost(tile: Tile, sums: int, width: int, machine: Machine, first_cache: int) -> float:
    """Return the cycles that a vector of multiply-adds takes by the model.

    A turn of the inner loop loads a number of every row and a vector of weights for every sum, and multiplies
    each with each. It takes as long as the multiplications, the loads, or a chain of dependent
    multiplications, whichever is slowest; weights of a piece that are larger than the first-level cache come
    from the second.
    """
    lanes = machine.lanes("float32")
    # Zen 4 computes half of a wide vector at a time.
    in_a_cycle = 1 if machine.cpu == "znver4" and lanes == 16 else 2
    weights = sums * tile.vectors
    products = tile.rows * weights
    cycles = max(products / in_a_cycle, (tile.rows + weights) / in_a_cycle, LATENCY)
    stream = weights * lanes * 4
    if PIECE * stream > first_cache:
        cycles = max(cycles, stream / FROM_SECOND_CACHE)
    count = -(-width // lanes)
    unused = -(-count // tile.vectors) * tile.vectors / count
    return (cycles + LOOP) / products * unused


def candidates(sums: int, registers: int) -> list[Tile]:
    """Return every tile whose sums, a number of each row and a vector of weights fit into registers."""
    found = [
        Tile(rows, vectors)
        for vectors in (1, 2, 3, 4)
        for rows in range(1, 13)
        if sums * vectors * rows + rows + 1 <= registers
    ]
    least = max(tile.rows * tile.vectors for tile in found) // 3
    return [tile for tile in found if tile.rows * tile.vectors >= least]


def measure(cell: str, width: int, tile: Tile, seconds: float) -> float:
    """Return the shortest time of a forward pass, in seconds, with a tile for passes of so many sums."""
    chosen = choose_tile

    def choose(accumulators: int, registers: int, *, few_rows: bool, width: int, lanes: int) -> Tile:
        if accumulators == SUMS[cell]:
            return tile
        return chosen(accumulators, registers, few_rows=few_rows, width=width, lanes=lanes)

    _forward.choose_tile = choose
    torch.set_num_threads(1)
    layer = LAYERS[cell](INPUTS, width)
    x = torch.randn(STEPS, BATCH, INPUTS)
    shortest, began = float("inf"), time.perf_counter()
    with torch.inference_mode():
        layer(x)
        while time.perf_counter() - began < seconds:
            start = time.perf_counter()
            layer(x)
            shortest = min(shortest, time.perf_counter() - start)
    return shortest


def first_cache() -> int:
    """Return the bytes of the first-level data cache; 32 KiB if the system does not say."""
    path = Path("/sys/devices/system/cpu/cpu0/cache/index0/size")
    text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    return int(text.removesuffix("K")) * 1024 if text.endswith("K") else 32 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cells", nargs="+", choices=sorted(SUMS), default=list(SUMS))
    parser.add_argument("--widths", nargs="+", type=int, default=[100, 256, 650])
    parser.add_argument("--seconds", type=float, default=0.3, help="for every tile (default 0.3)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:  # in a process of its own: kernels are compiled once in each
        cell, width, rows, vectors = json.loads(arguments.one)
        print(measure(cell, width, Tile(rows, vectors), arguments.seconds))
        return
    console, machine, size = Console(), host(), first_cache()
    lanes = machine.lanes("float32")
    table = Table(title=f"{machine.cpu}, {lanes} lanes, {machine.registers} registers")
    for name in ("cell", "units", "fastest", "by the model", "chosen", "behind the fastest"):
        table.add_column(name, justify="left" if name == "cell" else "right")
    jobs = [(cell, width) for cell in arguments.cells for width in arguments.widths]
    for cell, width in track(jobs, console=console):
        sums = SUMS[cell]
        chosen = choose_tile(sums, machine.registers, few_rows=False, width=width, lanes=lanes)
        tiles = sorted({*candidates(sums, machine.registers), chosen})
        times = {tile: ask(cell, width, tile, arguments.seconds) for tile in tiles}
        fastest = min(times, key=lambda tile: times[tile])
        expected = min(tiles, key=lambda tile: cost(tile, sums, width, machine, size))
        behind = times[chosen] / times[fastest] - 1
        shown = [f"{tile.rows} × {tile.vectors}" for tile in (fastest, expected, chosen)]
        table.add_row(cell, str(width), *shown, f"{behind:.1%}")
    console.print(table)


def ask(cell: str, width: int, tile: Tile, seconds: float) -> float:
    """Measure a tile in a process of its own, without kept code."""
    request = json.dumps([cell, width, tile.rows, tile.vectors])
    command = [sys.executable, __file__, "--one", request, "--seconds", str(seconds)]
    result = subprocess.run(
        command, env={**os.environ, "NABI_CACHE_SIZE": "0"}, capture_output=True, text=True, check=True
    )
    return float(result.stdout)


if __name__ == "__main__":
    main()
