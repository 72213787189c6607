"""Measure how fast every cell trains: `python -m benchmarks.every_cell`; `--page` writes the table as a page.

Each cell runs forward and backward over 32 sequences of 256 steps, as wide as its units, on one thread, in
turns with nabi's GRU of that size and with a loop over time in torch that computes the same equations, one
operation after another. Processor time, not wall time; the table has medians, and medians of the ratios of
each round.

What is measured is kept in a file, a line for each cell and size, and not measured again: a run that was
stopped goes on where it ended. Names of cells measure these alone; `--again` measures what is known already.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.files import write_atomically
from nabi.nn import RNN
from nabi.scan import static_scan

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "every_cell.jsonl"
PAGE = ROOT / "docs" / "speed-of-cells.md"
BATCH, STEPS, SIZES = 32, 256, (64, 512)
SECONDS = {"cell": 0.2, "gru": 0.2, "loop": 0.0}
"""How long a contender runs in a round at least, so that short times are measured well."""

INTRODUCTION = f"""# The speed of every cell

Forward and backward over {BATCH} sequences of {STEPS} steps, as many inputs as units, float32, on one
thread of {{machine}}, with torch {{torch}}. *GRU* is the time relative to nabi's GRU of the same size, *loop*
how many times longer a loop in torch takes that computes the same equations. Processor time; medians of
{{rounds}} rounds in turns.

This page is written by `python -m benchmarks.every_cell --page`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="cells; all by default", metavar="CELL")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of units")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default 5)")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="file of what is measured", metavar="FILE"
    )
    parser.add_argument("--again", action="store_true", help="measure what is known already")
    parser.add_argument("--page", nargs="?", type=Path, const=PAGE, help="write the page and measure nothing")
    given = parser.parse_args()
    if given.page is not None:
        write_page(given.page, load(given.results))
        print(f"wrote {given.page}")
        return
    torch.set_num_threads(1)
    names = [name for name in given.names or cells.names() if cells.get(name)]
    known = {} if given.again else load(given.results)
    for size in given.sizes:
        for name in names:
            if (name, size) not in known:
                found = measure(name, size, given.rounds)
                keep(given.results, found)
                print(f"{name:28} {size:4}  " + line(found))


def make(name: str, units: int) -> Cell:
    more = {"projection": units // 2} if name == "projected-lstm" else {}
    return cells.get(name)(units, **more)


def measure(name: str, units: int, rounds: int) -> dict[str, Any]:
    """Return the milliseconds of the cell, of the GRU and of the loop in each round."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, STEPS, units, requires_grad=True)
    own, gru = RNN(make(name, units), units), RNN(cells.GRU(units), units)
    work: dict[str, Callable[[], None]] = {
        "cell": lambda: train(own, x),
        "gru": lambda: train(gru, x),
        "loop": loop(own, make(name, units), x),
    }
    times: dict[str, list[float]] = {kind: [] for kind in work}
    for kind in ("cell", "gru"):
        work[kind]()  # compiles
    for _ in range(rounds):
        for kind, piece in work.items():
            times[kind].append(turn(piece, SECONDS[kind]))
    parameters = sum(weight.numel() for weight in own.parameters())
    about = {"cell_name": name, "units": units, "parameters": parameters, "torch": torch.__version__}
    return about | {"machine": machine(), "milliseconds": times}


def train(layer: RNN, x: Tensor) -> None:
    layer(x)[0].sum().backward()


def loop(layer: RNN, cell: Cell, x: Tensor) -> Callable[[], None]:
    """The definition of the cell, a step at a time, which torch differentiates."""
    program = cell.program(x.shape[-1])
    weights = [getattr(layer, f"{family.name}_l0") for family in program.families]

    def run() -> None:
        outputs = static_scan(program, list(x.unbind(1)), None, weights)[0]
        torch.stack(list(outputs), 1).sum().backward()

    return run


def turn(piece: Callable[[], None], seconds: float) -> float:
    """Run for so long, and return the milliseconds of one run."""
    start, runs = time.process_time(), 0
    while True:
        piece()
        runs += 1
        used = time.process_time() - start
        if used >= seconds:
            return used / runs * 1e3


def machine() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return "this machine"


def load(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Return what has been measured; what was measured last counts."""
    if not path.exists():
        return {}
    found = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    return {(one["cell_name"], one["units"]): one for one in found}


def keep(path: Path, found: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


def figures(found: dict[str, Any]) -> tuple[float, float, float]:
    """Return the milliseconds, the ratio to the GRU and how many times longer the loop takes."""
    times = found["milliseconds"]

    def ratio(above: str, below: str) -> float:
        return statistics.median(a / b for a, b in zip(times[above], times[below], strict=True))

    return statistics.median(times["cell"]), ratio("cell", "gru"), ratio("loop", "cell")


def line(found: dict[str, Any]) -> str:
    own, gru, slower = figures(found)
    return f"{own:8.1f} ms  {gru:5.2f} of the GRU  the loop takes {slower:5.1f} times as long"


def write_page(path: Path, known: dict[tuple[str, int], dict[str, Any]]) -> None:
    """Write a table for each family, of the cells that have been measured."""
    sizes = sorted({size for _, size in known})
    if not sizes:
        raise SystemExit("nothing has been measured yet: python -m benchmarks.every_cell")
    one = next(iter(known.values()))
    rounds = min(len(found["milliseconds"]["cell"]) for found in known.values())
    version = one["torch"].split("+")[0]
    text = INTRODUCTION.format(machine=one["machine"], torch=version, rounds=rounds)
    for family, title in cells.families().items():
        names = [name for name in cells.names(family) if any((name, size) in known for size in sizes)]
        if not names:
            continue
        head = " | ".join(f"{size} units, ms | GRU | loop" for size in sizes)
        text += f"\n## {title}\n\n| cell | {head} |\n|---|{'---:|---:|---:|' * len(sizes)}\n"
        for name in names:
            row = [f"[`{name}`](cells/{family}.md#{name})"]
            for size in sizes:
                if (name, size) in known:
                    own, gru, slower = figures(known[name, size])
                    row += [f"{own:.1f}", f"{gru:.2f}", f"{slower:.1f}"]
                else:
                    row += ["", "", ""]
            text += f"| {' | '.join(row)} |\n"
    with write_atomically(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
