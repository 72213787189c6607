"""Measure how fast every cell trains: `python -m benchmarks.every_cell`; `--page` writes the table as a page.

Each cell runs forward and backward over 32 sequences of 256 steps, as wide as its units, on one thread,
beside nabi's GRU of that size and a loop over time in torch that computes the same equations, one operation
after another. Processor time, not wall time; the table has medians, and medians of the ratios of each round.
Backward from random cotangents: those of a sum would be nothing but rounding where a cell's output is
normalised, and numbers that small (subnormal) are many times slower.

What is measured is kept in a file, a line for each cell, size and width of vectors, and not measured again: a
run that was stopped goes on where it ended. `--minutes` stops it by itself, and `--part 1/2` and `--part 2/2`
divide it between two processes. Names of cells measure these alone; `--again` measures what is known already.

`NABI_CPU=x86-64-v3` measures code with vectors of 256 bits; the page has tables for each width.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.files import write_atomically
from nabi.native import host
from nabi.nn import RNN
from nabi.scan import static_scan

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "every_cell.jsonl"
PAGE = ROOT / "docs" / "speed-of-cells.md"
BATCH, STEPS, SIZES = 32, 256, (64, 512)
SECONDS = {"cell": 0.2, "gru": 0.2, "loop": 0.0}
"""How long a contender runs in a round at least, so that short times are measured well."""
GRU_IS_OLD = 10.0
"""After how many seconds the GRU is measured again."""
SHARE, LINEAR, LINEAR_SIZE = 1.15, 0.5, 512
"""What is aimed at: the time over the share of matrix work beside the GRU; linear cells, over the GRU's."""
HEAD = 64
"""The most values of a head, where a cell has a matrix a head: larger ones take gigabytes."""
NO_LOOP = ("ltc", "m2rnn")
"""Cells whose loop in torch takes gigabytes or half a minute."""
ONE_HEAD = ("dss", "s4d", "mamba")
NOT_ELEMENT_WISE = ("gilr-lstm", "hippo", "lmu")
"""Of the family of linear cells, those with a product of a state in the loop."""

LOOP_SIZE = 64
LOOPS = {"gated-deltanet": 5, "mamba-2": 5, "rwkv-7": 5}
"""How many times longer than some cells their loops are to take at least."""

Key = tuple[str, int, int]
"""The name of a cell, its units, and the bits of a vector."""
Known = dict[tuple[str, int], dict[str, Any]]
"""What has been measured with one width of vectors, by name and units."""

INTRODUCTION = f"""# The speed of every cell

Forward and backward over {BATCH} sequences of {STEPS} steps, as many inputs as units, float32, on one
thread, with torch {{torch}}. Processor time; medians of {{rounds}} or more rounds. The tables are of
different machines, which their headings name: compare ratios, not times.

- **GRU** is the time relative to nabi's GRU of the same size.
- **work** is the multiply-adds of a step's matrix products relative to those of the GRU. Element-wise work,
  and what a step does with a matrix state, are not in it.
- **loop** is how many times longer a loop in torch takes that computes the same equations, from its second
  run on; the first one traces.

Matrix states have heads of {HEAD} values. Cells without figures need more
memory than there was, or have not been measured yet.

Aimed at are {SHARE} times a cell's share of the work, and {LINEAR} of the GRU's time for cells that are
element-wise and linear in their state, with {LINEAR_SIZE} units. The loops of gated DeltaNet,
Mamba-2 and RWKV-7 are to take at least 5 times as long as the cells.

A share of the work is not all that a cell does. Where the state is a matrix, each step reads, scales and
writes all of it, which no product of weights is; with 64 units, what a step does number by number takes as
long as a product of a small matrix. What several threads do is in [Performance](performance.md).

Beside the plain torch of xlstm 2.0.6, what its authors offer for CPUs (`python -m benchmarks.xlstm_steps`),
`slstm` takes a 38th of the time with 64 units and a 41st with 512. For `matrix-lstm` it is a 25th of that of
their loop over the steps with 64 units and a 13th with 512, where two thirds of nabi's time are products with
weights, which the loop has too; of their form for all pairs of steps, whose memory grows with the square of
the length, a 7th and a third.

This page is written by `python -m benchmarks.every_cell --page`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="cells; all by default", metavar="CELL")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of units")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default 5)")
    parser.add_argument("--loop-to", type=int, default=max(SIZES), help="largest size with a loop in torch")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no cell after this time")
    parser.add_argument("--part", default="1/1", help="measure this part of the cells", metavar="N/PARTS")
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
    start = time.monotonic()
    torch.set_num_threads(1)
    part, parts = map(int, given.part.split("/"))
    names = (given.names or list(cells.names()))[part - 1 :: parts]
    known = {} if given.again else load(given.results)
    for size in given.sizes:
        for name in names:
            if time.monotonic() - start > 60 * given.minutes:
                return
            if (name, size, vector_bits()) not in known:
                loops = size <= given.loop_to and name not in NO_LOOP
                try:
                    found = measure(name, size, given.rounds, loops=loops)
                except (MemoryError, RuntimeError) as problem:
                    print(f"{name:28} {size:4}  {problem}", flush=True)
                    continue
                keep(given.results, found)
                print(f"{name:28} {size:4}  " + line(found), flush=True)


def make(name: str, units: int) -> Cell:
    kind = cells.get(name)
    more: dict[str, Any] = {"projection": units // 2} if name == "projected-lstm" else {}
    if issubclass(kind, cells.MatrixCell) and name not in ONE_HEAD:
        more["heads"] = max(units // HEAD, 1)
    return kind(units, **{**kind.needed_settings(units, units), **more})


def measure(name: str, units: int, rounds: int, *, loops: bool = True) -> dict[str, Any]:
    """Return the milliseconds of the cell, of the GRU and of the loop in each round."""
    torch.manual_seed(0)
    x, cell = torch.randn(BATCH, STEPS, units, requires_grad=True), make(name, units)
    own, program = RNN(cell, units), cell.program(units)
    more = {
        one.name: torch.ones(
            BATCH, *([] if one.per_sequence else [STEPS]), *([one.width] if one.width else [])
        )
        for one in program.inputs[1:]
        if one.default is None and one.name != "position"
    }
    times: dict[str, list[float]] = {"cell": [], "gru": [], "loop": []}
    loops = loops and not program.inputs[1:]
    train(own, x, more)  # compiles
    if loops:
        loop(own, cell, x)  # traces, which takes several times as long as a later run
    for _ in range(rounds):
        times["cell"].append(turn(lambda: train(own, x, more), SECONDS["cell"]))
        times["gru"].append(gru_time(units))
        if loops:
            times["loop"].append(turn(lambda: loop(own, cell, x), SECONDS["loop"]))
    about: dict[str, Any] = {"cell_name": name, "units": units, "bits": vector_bits()}
    about["parameters"] = sum(weight.numel() for weight in own.parameters())
    about["work"] = round(work(cell, units) / work(cells.GRU(units), units), 4)
    rounded = {kind: [round(one, 3) for one in values] for kind, values in times.items()}
    about["warm"] = True
    return about | {"torch": torch.__version__, "machine": machine(), "milliseconds": rounded}


def work(cell: Cell, units: int) -> int:
    """Return the multiply-adds of the matrix products of a step."""
    products = [node.arguments for node in cell.program(units).nodes if node.operation == "linear"]
    return sum(prod(matrix.axes) * prod(operand.axes) for matrix, operand in products)


def train(layer: RNN, x: Tensor, more: dict[str, Tensor]) -> None:
    output = layer(x, **more)[0]
    output.backward(cotangents(output.shape))


@functools.cache
def cotangents(shape: torch.Size) -> Tensor:
    """Return the cotangents of an output of this shape, the same in every run."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


_gru: dict[int, tuple[float, float]] = {}


def gru_time(units: int) -> float:
    """Return the milliseconds of the GRU, measured not long ago."""
    if units not in _gru or time.monotonic() - _gru[units][0] > GRU_IS_OLD:
        x, layer = torch.randn(BATCH, STEPS, units, requires_grad=True), RNN(cells.GRU(units), units)
        train(layer, x, {})
        _gru[units] = time.monotonic(), turn(lambda: train(layer, x, {}), SECONDS["gru"])
    return _gru[units][1]


def loop(layer: RNN, cell: Cell, x: Tensor) -> None:
    """The definition of the cell, a step at a time, which torch differentiates."""
    program = cell.program(x.shape[-1])
    weights = [getattr(layer, f"{family.name}_l0") for family in program.families]
    outputs = static_scan(program, list(x.unbind(1)), None, weights)[0]
    output = torch.stack(list(outputs), 1)
    output.backward(cotangents(output.shape))


def turn(piece: Callable[[], None], seconds: float) -> float:
    """Run for so long, and return the milliseconds of one run."""
    start, runs = time.process_time(), 0
    while True:
        piece()
        runs += 1
        used = time.process_time() - start
        if used >= seconds:
            return used / runs * 1e3


def vector_bits() -> int:
    """Return the width of the vectors of the code."""
    return 32 * host().lanes("float32")


def machine() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if text.startswith("model name"):
            return f"{text.partition(':')[2].strip()} ({host().cpu})"
    return f"this machine ({host().cpu})"


def load(path: Path) -> dict[Key, dict[str, Any]]:
    """Return what has been measured; what was measured last counts."""
    if not path.exists():
        return {}
    found = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    return {(one["cell_name"], one["units"], one["bits"]): one for one in found}


def keep(path: Path, found: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


def figures(found: dict[str, Any]) -> tuple[float, float, float | None]:
    """Return the milliseconds, the ratio to the GRU and how many times longer the loop takes, if known."""
    times = found["milliseconds"]

    def ratio(above: list[float], below: list[float]) -> float:
        return float(statistics.median(a / b for a, b in zip(above, below, strict=True)))

    # Once the first run of a loop was measured too, which traces.
    skip = 0 if found.get("warm") else 1
    loops = ratio(times["loop"][skip:], times["cell"][skip:]) if times["loop"][skip:] else None
    return statistics.median(times["cell"]), ratio(times["cell"], times["gru"]), loops


def line(found: dict[str, Any]) -> str:
    own, gru, slower = figures(found)
    text = f"{own:8.1f} ms  {gru:5.2f} of the GRU, of whose work it has {found['work']:5.2f}"
    return text if slower is None else f"{text}; the loop takes {slower:5.1f} times as long"


def write_page(path: Path, known: dict[Key, dict[str, Any]]) -> None:
    """Write tables for each width of vectors, of the cells that have been measured."""
    if not known:
        raise SystemExit("nothing has been measured yet: python -m benchmarks.every_cell")
    one = next(iter(known.values()))
    rounds = min(len(found["milliseconds"]["cell"]) for found in known.values())
    text = INTRODUCTION.format(torch=one["torch"].split("+")[0], rounds=rounds)
    for bits in sorted({key[2] for key in known}, reverse=True):
        own = {key[:2]: found for key, found in known.items() if key[2] == bits}
        machines = " and ".join(sorted({found["machine"] for found in own.values()}))
        text += f"\n## Vectors of {bits} bits: {machines}\n\n{summary(own)}\n"
        for family, title in cells.families().items():
            text += table(family, title, own)
    with write_atomically(path, "w") as file:
        file.write(text)


def summary(known: Known) -> str:
    """Say how many cells are as fast as is aimed at."""
    lines = []
    for size in sorted({size for _, size in known}):
        found = {name: one for (name, units), one in known.items() if units == size and one["work"]}
        good = [name for name, one in found.items() if figures(one)[1] <= SHARE * one["work"]]
        plain = [name for name in found if not issubclass(cells.get(name), cells.MatrixCell)]
        lines.append(
            f"- {size} units: {len(good)} of {len(found)} cells take at most {SHARE} of their share; of the "
            f"{len(plain)} whose state is no matrix, {len(set(good) & set(plain))}."
        )
    linear = [
        one
        for (name, size), one in known.items()
        if size == LINEAR_SIZE and name in cells.names("linear") and name not in NOT_ELEMENT_WISE
    ]
    if linear:
        good_linear = sum(figures(one)[1] <= LINEAR for one in linear)
        few = sum(one["work"] <= LINEAR for one in linear)
        lines.append(
            f"- {LINEAR_SIZE} units: {good_linear} of {len(linear)} cells that are element-wise and linear "
            f"in their state take at most {LINEAR} of the GRU's time; {few} have at most that of its work."
        )
    for name, least in LOOPS.items():
        slower = figures(known[name, LOOP_SIZE])[2] if (name, LOOP_SIZE) in known else None
        if slower is not None:
            word = "reached" if slower >= least else "missed"
            lines.append(
                f"- {LOOP_SIZE} units: the loop of `{name}` takes {slower:.1f} times as long: {word}."
            )
    return "\n".join(lines)


def table(family: str, title: str, known: Known) -> str:
    """Return the table of a family."""
    sizes = sorted({size for _, size in known})
    names = [name for name in cells.names(family) if any((name, size) in known for size in sizes)]
    if not names:
        return ""
    head = " | ".join(f"{size} units, ms | GRU | work | loop" for size in sizes)
    text = f"\n### {title}\n\n| cell | {head} |\n|---|{'---:|---:|---:|---:|' * len(sizes)}\n"
    for name in names:
        row = [f"[`{name}`](cells/{family}.md#{name})"]
        for size in sizes:
            if (name, size) not in known:
                row += [""] * 4
                continue
            own, gru, slower = figures(known[name, size])
            row += [f"{own:.1f}", f"{gru:.2f}", f"{known[name, size]['work']:.2f}"]
            row.append("" if slower is None else f"{slower:.1f}")
        text += f"| {' | '.join(row)} |\n"
    return text


if __name__ == "__main__":
    main()
