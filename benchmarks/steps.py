"""Compare single time steps of torch's modules and nabi's: `python benchmarks/steps.py`.

Both take a step in turn, many times, on one thread. The figures are medians of the CPU time of nabi's step
relative to torch's just before it; below 1 nabi is faster. `LSTM.step` is used like a policy called step by
step, with states reset where a sequence is done; torch's side is `torch.nn.LSTM` called with one step.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import nabi.nn

KINDS = ("LSTMCell", "GRUCell", "RNNCell", "LSTM.step", "GRU with resets")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--batch", default="1,16,64,256", help="batch sizes (default 1,16,64,256)")
    parser.add_argument("--units", default="32,64,128,256,512", help="units (default 32,64,128,256,512)")
    parser.add_argument("--rounds", type=int, default=40, help="pairs of measurements (default 40)")
    parser.add_argument("--kinds", default=",".join(KINDS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    units = [int(size) for size in arguments.units.split(",")]
    for kind in arguments.kinds.split(","):
        for training in (False, True):
            print(
                f"\n| {kind}, {'training' if training else 'inference'} | "
                + " | ".join(map(str, units))
                + " |"
            )
            print("|---|" + "---:|" * len(units))
            for batch in map(int, arguments.batch.split(",")):
                found = [ratio(kind, batch, size, training, arguments.rounds) for size in units]
                print(f"| {batch} | " + " | ".join(f"{value:.2f}" for value in found) + " |", flush=True)


def ratio(kind: str, batch: int, units: int, training: bool, rounds: int) -> float:
    """Return the median ratio of nabi's step time to torch's."""
    theirs, ours = calls(kind, batch, units, training)
    for call in (theirs, ours):
        call()
    start = time.perf_counter()
    theirs()
    count = max(1, min(30, int(2e-3 / max(time.perf_counter() - start, 1e-6))))
    found = []
    for _ in range(rounds):
        first = timed(theirs, count)
        found.append(timed(ours, count) / first)
    return statistics.median(found)


def calls(kind: str, batch: int, units: int, training: bool) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a torch step and a nabi step with the same weights."""
    name = kind.split(maxsplit=1)[0].removesuffix(".step")
    theirs, ours = getattr(torch.nn, name)(units, units), getattr(nabi.nn, name)(units, units)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(batch, units)
    done = torch.rand(batch) < 0.1
    shape = (batch, units) if name.endswith("Cell") else (1, batch, units)
    state: Any = tuple([torch.randn(shape) for _ in range(2 if name.startswith("LSTM") else 1)])
    if kind == "LSTM.step":
        steps = (lambda: theirs(x[None], reset(state, done))[0], lambda: ours.step(x, state, resets=done)[0])
    elif name == "GRU":
        steps = (
            lambda: theirs(x[None], reset(state, done)[0])[0],
            lambda: ours(x[None], state[0], resets=done[:, None])[0],
        )
    else:
        given = state if name == "LSTMCell" else state[0]
        steps = (lambda: theirs(x, given), lambda: ours(x, given))
    first, second = steps
    return wrapped(first, theirs, training), wrapped(second, ours, training)


def reset(state: tuple[Tensor, ...], done: Tensor) -> Any:
    """Return states set to zero where a sequence is done."""
    return tuple([values.masked_fill(done[:, None], 0.0) for values in state])


def wrapped(step: Callable[[], Any], module: torch.nn.Module, training: bool) -> Callable[[], Any]:
    """Return a step without gradients, or one with a backward pass to all weights."""
    weights = list(module.parameters())

    def infer() -> Any:
        with torch.no_grad():
            return step()

    def train() -> Any:
        found = step()
        return torch.autograd.grad((found if isinstance(found, Tensor) else found[0]).sum(), weights)

    return train if training else infer


def timed(call: Callable[[], Any], count: int) -> float:
    """Return the CPU time of some calls."""
    start = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
