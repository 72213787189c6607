"""Measure what a call of a small layer costs around its kernels: `python benchmarks/call_overhead.py`.

The kernels are left out, so that what remains is the rest: checks, memory, arguments and, in training,
torch's autograd. Times are of the processor, on one thread, medians of many calls in a row.
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
    """Return a call in inference, and one of training: forward, and back to the input and all weights."""
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
    """Return the microseconds of a call without its kernels."""
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
    """Stand where a kernel is run."""


if __name__ == "__main__":
    main()
