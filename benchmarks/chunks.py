"""What do chunks of steps gain for cells without a product in their loop? `python benchmarks/chunks.py`.

Each row of the table is a layer, run forward and in training (forward and backward) with kernels that go
chunk by chunk and with those that go step by step, each in a process with a cache of its own. The two take
turns; the figure is the median of the processor's time in chunks divided by that step by step, on one thread.
Kernels go in chunks here whatever the rule in `nabi/targets/llvm/_plan/_strata.py` says, so that the table
shows where it is right.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
CASES = (
    ("hgrn", 1, 1024, 64), ("hgrn", 1, 1024, 256), ("hgrn", 4, 256, 64), ("hgrn", 4, 256, 256),
    ("hgrn", 32, 256, 64), ("hgrn", 32, 256, 512), ("rwkv-4", 1, 1024, 64), ("rwkv-4", 1, 1024, 256),
    ("rwkv-4", 4, 256, 64), ("rwkv-4", 8, 256, 64), ("rwkv-4", 32, 256, 64), ("rwkv-4", 32, 256, 512),
    ("lru", 1, 1024, 64), ("lru", 1, 1024, 256), ("lru", 4, 256, 64), ("lru", 5, 256, 64),
    ("lru", 8, 256, 64), ("lru", 32, 256, 64), ("lru", 32, 256, 512), ("sru", 1, 1024, 256),
    ("sru", 4, 256, 256),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (default 15)")
    parser.add_argument("--cases", nargs="+", type=int, metavar="ROW", help="rows of the table, from 0")
    parser.add_argument("--worker", choices=["chunks", "steps"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker == "chunks")
        return
    print("| | forward | training |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        workers = [start(name, Path(folder)) for name in ("chunks", "steps")]
        for number, (cell, batch, steps, units) in enumerate(CASES):
            if given.cases and number not in given.cases:
                continue
            shares = [share(workers, number, what, given.rounds) for what in ("forward", "training")]
            cells = " | ".join(f"{one:.2f}" for one in shares)
            print(f"| {cell}, {batch} × {steps:,} steps, {units} units | {cells} |", flush=True)
        for worker in workers:
            worker.communicate()


def start(name: str, folder: Path) -> "subprocess.Popen[str]":
    """Start a process that answers every line with seconds."""
    environment = {**os.environ, "NABI_CACHE_DIR": str(folder / name), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--worker", name]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def share(workers: "list[subprocess.Popen[str]]", case: int, what: str, rounds: int) -> float:
    """Return the median time of the first worker divided by that of the second."""
    found: list[list[float]] = [[], []]
    for _ in range(rounds):
        for worker, times in zip(workers, found, strict=True):
            assert worker.stdin is not None
            assert worker.stdout is not None
            print(case, what, file=worker.stdin, flush=True)
            times.append(float(worker.stdout.readline()))
    chunks, steps = (statistics.median(times) for times in found)
    return chunks / steps


def work(in_chunks: bool) -> None:
    """Answer requests, a case and what to run."""
    from nabi import cells, layers
    from nabi.targets.llvm._plan import _kinds
    from nabi.targets.llvm._plan._strata import strata_of

    # Also where the rule decides otherwise: the table shows whether the rule is right.
    _kinds.goes_in_chunks = lambda program, few_rows: in_chunks and strata_of(program) is not None
    torch.set_num_threads(1)
    made: dict[int, tuple[torch.nn.Module, torch.Tensor]] = {}
    for line in sys.stdin:
        case, what = line.split()
        cell, batch, steps, units = CASES[int(case)]
        if int(case) not in made:
            layer = layers.RNN(cells.get(cell)(units), return_sequences=True)
            made[int(case)] = layer, torch.randn(batch, steps, units)
        layer, x = made[int(case)]
        run(layer, x, what)  # compiles
        began, count = time.process_time(), 0
        while time.process_time() - began < 0.05:
            run(layer, x, what)
            count += 1
        print((time.process_time() - began) / count, flush=True)


def run(layer: torch.nn.Module, x: torch.Tensor, what: str) -> None:
    """Run a layer."""
    if what == "forward":
        with torch.no_grad():
            layer(x)
    else:
        layer(x).sum().backward()


if __name__ == "__main__":
    main()
