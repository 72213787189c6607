"""Measure what `check_finite` costs: `python -m benchmarks.check_finite`.

A training step of a layer, forward and backward over 32 sequences, in the block and without it, in turns;
medians of the processor's time on one thread.
"""

import statistics
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

import nabi.nn
from nabi import cells
from nabi.cells import Cell
from nabi.explain import check_finite

BATCH, STEPS, ROUNDS = 32, 100, 15
NAMES = ("gru", "lstm", "min-gru", "gated-deltanet")


def main() -> None:
    torch.set_num_threads(1)
    print(f"{BATCH} sequences of {STEPS} steps, 64 units: ms a step, and how many times as long in the block")
    for name in NAMES:
        plain, checked = measure(cells.get(name)(64))
        print(f"{name:16} {plain:6.1f} {checked:6.1f}  {checked / plain:4.1f}")


def measure(cell: Cell) -> tuple[float, float]:
    """Return the milliseconds of a step without the block and in it."""
    rnn, x = nabi.nn.RNN(cell, 64), torch.randn(BATCH, STEPS, 64)
    times: tuple[list[float], list[float]] = [], []
    for _ in range(ROUNDS + 1):
        times[0].append(milliseconds(rnn, x, nullcontext()))
        times[1].append(milliseconds(rnn, x, check_finite(rnn)))
    # The first round compiles.
    return statistics.median(times[0][1:]), statistics.median(times[1][1:])


def milliseconds(rnn: nabi.nn.RNN, x: Tensor, block: AbstractContextManager[None]) -> float:
    start = time.process_time()
    with block:
        rnn(x)[0].sum().backward()
    return (time.process_time() - start) * 1e3


if __name__ == "__main__":
    main()
