"""Time PyTorch programs before and after `nabi.interchange.from_torch`: `python -m benchmarks.from_torch`.

Each of the twelve programs exists twice with the same weights: as it is, and with nabi's modules. The
two take turns on one thread, a training step each (forward, backward, Adam) or a call without gradients; the
figure is the median of nabi's CPU time relative to torch's just before it. `--write` puts the table into
docs/interchange.md.
"""

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.torch_programs import PROGRAMS, Program, Size
from nabi.files import write_atomically
from nabi.interchange import from_torch

PAGE = Path(__file__).parent.parent / "docs" / "interchange.md"
BEGIN, END = "<!-- from torch: written by python -m benchmarks.from_torch -->", "<!-- from torch: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--rounds", type=int, default=20, help="pairs of measurements (default 20)")
    parser.add_argument("--batch", type=int, default=16, help="sequences (default 16)")
    parser.add_argument("--time", type=int, default=30, help="time steps (default 30)")
    parser.add_argument("--units", type=int, default=64, help="units of each recurrent module (default 64)")
    parser.add_argument("--only", default="", help="part of the name of a program")
    parser.add_argument("--write", action="store_true", help="write the table into docs/interchange.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
    size = Size(arguments.batch, arguments.time, arguments.units, 100)
    rows = ["| program | training step, torch | nabi | ratio | inference, torch | nabi | ratio |"]
    rows.append("|---|---:|---:|---:|---:|---:|---:|")
    print("\n".join(rows), flush=True)
    for program in PROGRAMS:
        if arguments.only in program.name:
            figures = [measured(program, size, training, arguments.rounds) for training in (True, False)]
            cells = [f"{figure[0]:.2f} ms | {figure[1]:.2f} ms | {figure[2]:.2f}" for figure in figures]
            rows.append(f"| {program.name} | {cells[0]} | {cells[1]} |")
            print(rows[-1], flush=True)
    if arguments.write:
        write(rows, size)


def measured(program: Program, size: Size, training: bool, rounds: int) -> tuple[float, float, float]:
    """Return the median milliseconds of torch and of nabi, and the median ratio."""
    torch.manual_seed(0)
    theirs, batch = program.make(size), program.batch(size)
    ours = from_torch(copy.deepcopy(theirs))
    calls = [call(module, batch, training) for module in (theirs, ours)]
    for each in calls:
        for _ in range(3):  # the first ones compile
            each()
    begin = time.process_time()
    calls[0]()
    count = max(1, min(20, int(0.02 / max(time.process_time() - begin, 1e-6))))
    found: list[tuple[float, float]] = []
    for _ in range(rounds):
        first, second = (timed(each, count) for each in calls)
        found.append((first, second))
    medians = [1000 * statistics.median(pair[side] for pair in found) for side in (0, 1)]
    return medians[0], medians[1], statistics.median(pair[1] / pair[0] for pair in found)


def call(module: nn.Module, batch: tuple[Any, ...], training: bool) -> Callable[[], None]:
    """Return a training step, or a call without gradients."""
    module.train(training)
    optimizer = torch.optim.Adam(module.parameters(), foreach=True)

    def step() -> None:
        optimizer.zero_grad()
        sum(one.square().mean() for one in leaves(module(*batch))).backward()  # type: ignore[union-attr]
        optimizer.step()

    @torch.no_grad()
    def infer() -> None:
        module(*batch)

    return step if training else infer


def timed(each: Callable[[], None], count: int) -> float:
    """Return the CPU seconds of a call, the mean of several."""
    begin = time.process_time()
    for _ in range(count):
        each()
    return (time.process_time() - begin) / count


def leaves(value: Any) -> list[Tensor]:
    """Return all tensors in nested tuples."""
    return [value] if isinstance(value, Tensor) else [leaf for part in value for leaf in leaves(part)]


def write(rows: list[str], size: Size) -> None:
    """Put the table into the page, between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    said = (
        f"Batches of {size.batch} sequences with {size.time} time steps, {size.units} units, float32, one "
        "thread; medians of CPU time, the two in turn. A ratio below 1 means that nabi is faster."
    )
    with write_atomically(PAGE) as file:
        file.write("\n".join([before + BEGIN, "", said, "", *rows, "", END + after]).encode())


if __name__ == "__main__":
    main()
