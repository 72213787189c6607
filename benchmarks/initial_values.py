"""An LSTM with the initial values of Keras and with chrono ones: `python benchmarks/initial_values.py`.

The task is the adding problem (Hochreiter and Schmidhuber 1997): a sequence of numbers from 0 to 1, two of
which, one in each half, are marked; the answer is their sum. Who always answers 1 has a mean squared error of
1/6 = .167. Cell, data, optimizer and number of updates are the same for all; only the numbers that weights
start with differ.
"""

import argparse
import time
from typing import Any

import torch
from torch import Tensor

import nabi.nn
from nabi.cells import LSTM
from nabi.ir import initial

__all__ = ["WAYS", "adding", "train"]

WAYS: dict[str, dict[str, Any]] = {
    "keras": {"initializer": "keras"},
    "torch": {"initializer": "torch"},
    "chrono": {"initializer": "keras"},
}


def adding(count: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences `[count, steps, 2]` and their answers `[count, 1]`."""
    numbers = torch.rand(count, steps, generator=generator)
    marks = torch.zeros(count, steps)
    half = steps // 2
    rows = torch.arange(count)
    for low, high in ((0, half), (half, steps)):
        marks[rows, torch.randint(low, high, (count,), generator=generator)] = 1.0
    return torch.stack((numbers, marks), 2), (numbers * marks).sum(1, keepdim=True)


def train(way: str, steps: int = 100, units: int = 32, updates: int = 1500, seed: int = 0) -> float:
    """Train and return the mean squared error on 1,000 new sequences."""
    options = dict(WAYS[way])
    if way == "chrono":
        options["initial_values"] = {"b_f": initial.Chrono(steps), "b_i": initial.Opposite("b_f")}
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    rnn, head = nabi.nn.RNN(LSTM(units), 2, **options), torch.nn.Linear(units, 1)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(updates):
        x, y = adding(32, steps, generator)
        loss = (head(rnn(x)[0][:, -1]) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, y = adding(1000, steps, generator)
    with torch.no_grad():
        return float((head(rnn(x)[0][:, -1]) - y).square().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--steps", type=int, default=100, help="length of the sequences (default 100)")
    parser.add_argument("--updates", type=int, default=1500, help="steps of Adam (default 1,500)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (default 3)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| start | mean squared error, seeds 0 to {arguments.seeds - 1} | seconds a run |\n|---|---|---:|")
    for way in WAYS:
        start = time.process_time()
        errors = [
            train(way, arguments.steps, updates=arguments.updates, seed=seed)
            for seed in range(arguments.seeds)
        ]
        seconds = (time.process_time() - start) / arguments.seeds
        print(f"| {way} | {', '.join(f'{error:.4f}' for error in errors)} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
