"""Time layers whose weights are int8, bfloat16 or float16: `python benchmarks/small_weights.py`.

One thread; the shortest of several runs of each, in alternation. `step` is one step of `PreparedStep`, whose
weights are packed once in float32 too.
"""

import argparse
import copy
import time
from collections.abc import Callable
from typing import Any

import torch

from nabi import layers
from nabi.layers import quantize_layers
from nabi.scan import PreparedStep
from nabi.small_weights import KINDS

SHAPES = ((512, 512, 1, 100), (512, 128, 1, 100), (128, 128, 1, 100), (512, 512, 32, 20), (128, 128, 32, 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--rounds", type=int, default=7, help="runs of each (default 7)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    names = ("float32", *KINDS)
    print(f"| layer | units | inputs | sequences | steps | {' | '.join(names)} |")
    print(f"|---|---:|---:|---:|---:|{'---:|' * len(names)}")
    for kind in (layers.LSTM, layers.GRU):
        for units, inputs, batch, steps in SHAPES:
            found = models(kind, units, inputs)
            x = torch.randn(batch, steps, inputs)
            row(kind.__name__, units, inputs, batch, str(steps), [run_of(one, x) for one in found], rounds)
        found = models(kind, 512, 512)
        row(kind.__name__, 512, 512, 1, "step", [step_of(one, 512) for one in found], rounds)


def models(kind: Any, units: int, inputs: int) -> list[Any]:
    """Return the same layer with weights of every kind."""
    layer = kind(units, return_sequences=True)
    layer.build((None, None, inputs))
    found = [layer]
    for name in KINDS:
        found.append(copy.deepcopy(layer))
        quantize_layers(found[-1], name)
    return found


def run_of(layer: Any, x: torch.Tensor) -> Callable[[], Any]:
    """Return a call over a batch."""

    def run() -> Any:
        with torch.no_grad():
            return layer(x)

    return run


def step_of(layer: Any, inputs: int) -> Callable[[], Any]:
    """Return a single step."""
    step = PreparedStep(layer.program(), layer.cell_parameters())
    x, state = torch.randn(1, inputs), step.start(1)
    return lambda: step(x, state)


def row(
    name: str, units: int, inputs: int, batch: int, steps: str, calls: list[Callable[[], Any]], rounds: int
) -> None:
    """Print the microseconds of each call, and how many times as fast as the first it is."""
    shortest = [float("inf")] * len(calls)
    for call in calls:
        call()  # compiles
    for _ in range(rounds):
        for number, call in enumerate(calls):
            start = time.perf_counter()
            call()
            shortest[number] = min(shortest[number], time.perf_counter() - start)
    cells = [f"{1e6 * one:,.0f} ({shortest[0] / one:.2f})" for one in shortest]
    print(f"| {name} | {units} | {inputs} | {batch} | {steps} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
