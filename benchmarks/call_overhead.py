"""Measure the overhead of calling a small layer: `python benchmarks/call_overhead.py`.

The kernels are skipped, which leaves the overhead: checks, memory, arguments and, in training, torch's
autograd. The figures are CPU times on one thread, medians of many consecutive calls.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch

import nabi.nn
from nabi.native import threads as _threads

CALLS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--shape", default="32,50,8,32", help="sequences, steps, inputs, units")
    parser.add_argument("--rounds", type=int, default=80, help=f"of {CALLS} calls each (default 80)")
    arguments = parser.parse_args()
    shape = [int(size) for size in arguments.shape.split(",")]
    torch.set_num_threads(1)
    print(f"| {arguments.shape}, µs around the kernels | inference | training |\n|---|---:|---:|")
    for name in ("RNN", "LSTM", "GRU"):
        found = [f"{measure(call, arguments.rounds):.1f}" for call in calls(name, *shape)]
        print(f"| {name} | {' | '.join(found)} |")


def calls(name: str, batch: int, steps: int, inputs: int, units: int) -> list[Callable[[], Any]]:
    """Return an inference call and a training call (forward, and backward to the input and all weights)."""
    module = getattr(nabi.nn, name)(inputs, units)
    x = torch.randn(steps, batch, inputs)
    cotangent = torch.randn(steps, batch, units)
    learned = (x.clone().requires_grad_(), *module.parameters())

    def infer() -> Any:
        with torch.inference_mode():
            return module(x)[0]

    def train() -> Any:
        output = module(learned[0])[0]
        return output.detach(), *torch.autograd.grad(output, learned, cotangent)

    return [infer, train]


def measure(call: Callable[[], Any], rounds: int) -> float:
    """Return the time of a call without its kernels, in microseconds."""
    call()  # compiles
    times = []
    with mock.patch.object(_threads, "run", leave_out):
        for _ in range(rounds):
            start = time.process_time()
            for _ in range(CALLS):
                call()
            times.append((time.process_time() - start) / CALLS * 1e6)
    return statistics.median(times)


def leave_out(*_: Any) -> None:
    """Replace a kernel by doing nothing."""


if __name__ == "__main__":
    main()
