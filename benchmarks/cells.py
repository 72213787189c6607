"""Measure the speed of each cell and write the table of docs/results.md: `python benchmarks/cells.py`.

All cells do the same work in turns, round after round, on one thread. The table has the medians; each cell's
ratio to the LSTM is the median of the ratios within a round, so that drift of the machine's speed cancels
out.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from nabi import cells, nn
from nabi.files import write_atomically

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results.md"
BEGIN = "<!-- cells: written by benchmarks/cells.py -->"
END = "<!-- cells: end -->"
NAMES = ["simple-rnn", "gru", "gru-2014", "coupled-lstm", "lstm", "peephole-lstm"]
Times = dict[str, list[float]]  # milliseconds of each round, by cell
BATCH, TIME, INPUTS, UNITS = 32, 50, 64, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25, help="number of rounds (default 25)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(BATCH, TIME, INPUTS, requires_grad=True)
    layers = {name: nn.RNN(cells.get(name)(UNITS), INPUTS) for name in NAMES}
    forward = {name: lambda layer=layer: run(layer, x) for name, layer in layers.items()}
    training = {name: lambda layer=layer: train(layer, x) for name, layer in layers.items()}
    write(layers, measure(forward, rounds), measure(training, rounds))


def run(layer: nn.RNN, x: Tensor) -> None:
    with torch.no_grad():
        layer(x)


def train(layer: nn.RNN, x: Tensor) -> None:
    layer(x)[0].sum().backward()


def measure(work: dict[str, Callable[[], None]], rounds: int) -> Times:
    """Return the milliseconds of each piece of work in each round, without the first two rounds."""
    times: Times = {name: [] for name in work}
    for number in range(rounds + 2):
        for name, piece in work.items():
            start = time.perf_counter()
            piece()
            if number >= 2:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def write(
    layers: dict[str, nn.RNN], forward: dict[str, list[float]], training: dict[str, list[float]]
) -> None:
    lines = [
        f"{BATCH} sequences of {TIME} steps, {INPUTS} inputs, {UNITS} units, float32, one thread, "
        f"torch {torch.__version__.split('+')[0]}.",
        "",
        "| cell | parameters | forward, ms | relative to LSTM | training, ms | relative to LSTM |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, layer in layers.items():
        count = sum(parameter.numel() for parameter in layer.parameters())
        figures = []
        for times in (forward, training):
            ratios = [own / lstm for own, lstm in zip(times[name], times["lstm"], strict=True)]
            figures += [f"{statistics.median(times[name]):.1f}", f"{statistics.median(ratios):.2f}"]
        lines.append(f"| `{name}` | {count:,} | {' | '.join(figures)} |")
    table = "\n".join(lines)
    before, _, rest = RESULTS.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    with write_atomically(RESULTS, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
    print(table)


if __name__ == "__main__":
    main()
