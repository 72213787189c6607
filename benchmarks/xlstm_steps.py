"""Measure sLSTM and mLSTM beside the package of their authors on a CPU: `python -m benchmarks.xlstm_steps`.

Forward and backward over 32 sequences of 256 steps, as wide as the units, on one thread; processor time,
medians. xlstm 2.0.6 has fallbacks in plain torch for machines without its CUDA kernels: for the sLSTM a loop
over the steps, the backend "vanilla"; for the mLSTM a step to loop over, and a form that computes all pairs
of steps at once, whose memory and time grow with the square of the length. Its files are loaded one by one,
since the package imports kernels for graphics cards: `pip install --no-deps xlstm==2.0.6`.
"""

import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import cells
from nabi.nn import RNN

BATCH, STEPS = 32, 256
CASES = (("slstm", 64, 1), ("slstm", 512, 1), ("matrix-lstm", 64, 1), ("matrix-lstm", 512, 8))
"""Cells with their units and heads."""

Run = Callable[[Tensor], Tensor]


def load(name: str, file: str, **more: Any) -> Any:
    """Return a file of the package as a module."""
    found = find_spec("xlstm")
    if found is None or not found.submodule_search_locations:
        sys.exit("xlstm is not installed: pip install --no-deps xlstm==2.0.6")
    path = Path(next(iter(found.submodule_search_locations))) / file
    specification = spec_from_file_location(name, path, **more)
    assert specification is not None
    assert specification.loader is not None
    module = module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


def theirs(name: str, units: int, heads: int) -> dict[str, Run]:
    """Return the package's ways to run a cell, with new weights."""
    if name == "slstm":
        vanilla = load("xlstm_vanilla", "blocks/slstm/src/vanilla/__init__.py", submodule_search_locations=[
            str(Path(find_spec("xlstm").submodule_search_locations[0]) / "blocks/slstm/src/vanilla")
        ])  # fmt: skip
        width = units // heads
        of_input = torch.nn.Linear(units, 4 * units, bias=False)
        of_state = torch.nn.Parameter(torch.randn(heads, 4 * width, width) / width**0.5)
        bias = torch.nn.Parameter(torch.zeros(4 * units))
        step = vanilla.slstm_pointwise_function_registry["slstm"]

        def loop(x: Tensor) -> Tensor:
            sums, zeros = of_input(x).transpose(0, 1), torch.zeros(4, BATCH, units)
            states, _, _ = vanilla.slstm_forward(sums, zeros, of_state, bias, step)
            found: Tensor = states[0, 1:].transpose(0, 1)
            return found

        return {"loop": loop}
    package, width = load("xlstm_mlstm", "blocks/mlstm/backends.py"), units // heads
    of_input = torch.nn.Linear(units, 4 * units + 2 * heads)

    def parts(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        q, k, v, o, i, f = of_input(x).split([*[units] * 4, heads, heads], -1)
        by_head = [one.view(BATCH, STEPS, heads, -1).transpose(1, 2) for one in (q, k, v, i, f)]
        return torch.sigmoid(o), by_head

    def joined(o: Tensor, y: Tensor) -> Tensor:
        return o * y.transpose(1, 2).reshape(BATCH, STEPS, units)

    def loop_of_steps(x: Tensor) -> Tensor:
        o, values = parts(x)
        c, n = torch.zeros(BATCH, heads, width, width), torch.zeros(BATCH, heads, width, 1)
        m, found = torch.zeros(BATCH, heads, 1, 1), []
        for t in range(STEPS):
            # It changes the shape of what it is given, so that is a copy.
            given = [one[:, :, t : t + 1].clone() for one in values]
            y, (c, n, m) = package.recurrent_step_stabilized_simple(c, n, m, *given)
            found.append(y)
        return joined(o, torch.cat(found, 2))

    def pairs(x: Tensor) -> Tensor:
        o, values = parts(x)
        return joined(o, package.parallel_stabilized_simple(*values))

    return {"loop": loop_of_steps, "all pairs": pairs}


def milliseconds(run: Run, x: Tensor, cotangent: Tensor, rounds: int) -> float:
    """Return the median of the processor time of forward and backward."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        torch.autograd.backward(run(x), cotangent)
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    """Print a line for every case."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, units, heads in CASES:
        x, cotangent = torch.randn(BATCH, STEPS, units, requires_grad=True), torch.randn(BATCH, STEPS, units)
        rnn = RNN(cells.get(name)(units, heads=heads), units)

        def own(x: Tensor, rnn: RNN = rnn) -> Tensor:
            output: Tensor = rnn(x)[0]
            return output

        milliseconds(own, x, cotangent, 1)  # compiles
        here = milliseconds(own, x, cotangent, 7)
        for way, run in theirs(name, units, heads).items():
            there = milliseconds(run, x, cotangent, 1)
            times = f"{here:6.1f} ms, xlstm's {way} {there:7.0f} ms, {there / here:.0f} times as long"
            print(f"{name:12} {units:4} units, {heads} heads  {times}", flush=True)


if __name__ == "__main__":
    main()
