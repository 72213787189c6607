"""Compare all cells on five tasks, and write the table and the picture of docs/comparing.md.

    python -m benchmarks.compare_cells --write            every cell that is not known yet
    python -m benchmarks.compare_cells gru lstm --write   some cells
    python -m benchmarks.compare_cells --only-write       only write the page from what is known

Each cell is trained by `nabi.compare` with its defaults. What is found is kept in a file, a line for each
cell, after every training. What is known is not trained again unless the equations of the cell have changed,
so a run that was stopped goes on where it ended; `--again` trains it all the same. The whole catalogue takes
about three hours of one core. Time and memory are those of the adding problem.
"""

import argparse
import hashlib
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.compare_cells_picture import Dot, draw
from benchmarks.layers.machine import describe
from nabi import cells
from nabi.comparison import Run, as_contenders, compare, find_task
from nabi.errors import NabiError
from nabi.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "compare_cells.jsonl"
PAGE, PICTURE = ROOT / "docs" / "comparing.md", "comparing.svg"
BEGIN = "<!-- all cells: written by python -m benchmarks.compare_cells -->"
END = "<!-- all cells: end -->"
TASKS = ("adding", "copy", "parity", "recall", "pixels")
TIMED = TASKS[0]
"""The task whose time and memory are kept."""
UNITS, STEPS = 32, 1500
CHRONO = "lstm+chrono"
MARKS = "†‡§¶"
"""Of times on other machines than that of most cells."""


@dataclass
class Record:
    """What is known of a cell: a line of the file.

    Attributes:
        cell_name: of the catalogue, or `lstm+chrono`.
        equations: stands for its equations: others, another text; empty if it has none for these tasks.
        figures: by task, and `problems`, why there is none.
        parameters: of the whole network.
        milliseconds: of a training step.
        megabytes: by which a step raises the peak memory of a process.
        machine: that `milliseconds` was measured on, and its version of `torch`.
    """

    cell_name: str
    equations: str
    figures: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    parameters: int | None = None
    milliseconds: float | None = None
    megabytes: float | None = None
    machine: str = ""
    torch: str = ""

    def missing(self) -> list[str]:
        """Return the tasks with neither a figure nor a reason for there being none."""
        return [task for task in TASKS if task not in self.figures and task not in self.problems]


Records = dict[str, Record]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_cells",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="cells; by default the catalogue", metavar="CELL")
    parser.add_argument("--jobs", type=int, default=2, help="processes, each on one thread (default 2)")
    parser.add_argument("--again", action="store_true", help="train what is known already")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of what is known", metavar="FILE")
    parser.add_argument("--write", action="store_true", help="write the page afterwards")
    parser.add_argument("--only-write", action="store_true", help="write the page and train nothing")
    given = parser.parse_args()
    if not given.only_write:
        train(given.names or [*cells.names(), CHRONO], given.results, given.jobs, again=given.again)
    if given.write or given.only_write:
        write(load(given.results))
        print(f"written: {PAGE}")


def equations(name: str) -> str:
    """Return what stands for the equations of a cell."""
    [contender] = as_contenders(name)
    inputs = find_task(TIMED).features
    try:
        program = contender.cell(UNITS, inputs).program(inputs, training=True)
    except NabiError:
        return ""
    return hashlib.sha256(str(program).encode()).hexdigest()[:16]


def load(path: Path) -> Records:
    """Return what is known."""
    if not path.exists():
        return {}
    found = [Record(**json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines()]
    return {one.cell_name: one for one in found}


def keep(path: Path, known: Records) -> None:
    """Write what is known, in the order of the catalogue."""
    with write_atomically(path, "w") as file:
        for name in in_order(known):
            file.write(json.dumps(asdict(known[name])) + "\n")


def in_order(known: Records) -> list[str]:
    """Return the names: those of the catalogue first."""
    catalogue = cells.names()
    return [
        *(name for name in catalogue if name in known),
        *(name for name in known if name not in catalogue),
    ]


def train(names: Sequence[str], path: Path, jobs: int = 1, *, again: bool = False) -> None:
    """Train every cell on every task that is not known, and keep what is found after each training."""
    known = load(path)
    fresh = {name: Record(name, equations(name)) for name in names}
    for name, record in fresh.items():
        if again or name not in known or known[name].equations != record.equations:
            known[name] = record
    work = [(name, task) for name in fresh for task in known[name].missing()]
    start = time.monotonic()
    for run, task in trained(work, jobs):
        add(known[run.cell], run, task)
        keep(path, known)
        print(f"{run.cell}, {task}: {run.problem or f'{run.figure:.4g}'}", flush=True)
    print(f"{len(work)} trainings in {(time.monotonic() - start) / 60:.1f} minutes, in {jobs} processes")


def trained(work: Sequence[tuple[str, str]], jobs: int) -> Iterator[tuple[Run, str]]:
    """Yield trainings with their tasks, as they end."""
    if jobs == 1:
        for name, task in work:
            yield train_one(name, task), task
        return
    # Each process is a new one: torch's threads do not live through a fork.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        tasks = {pool.submit(train_one, name, task): task for name, task in work}
        try:
            for done in as_completed(tasks):
                yield done.result(), tasks[done]
        finally:
            pool.shutdown(cancel_futures=True)


def train_one(name: str, task: str) -> Run:
    """Train a cell on a task."""
    found = compare([name], task, units=UNITS, steps=STEPS, memory=task == TIMED)
    if found.interrupted:
        raise KeyboardInterrupt
    return found.runs[0]


def add(record: Record, run: Run, task: str) -> None:
    """Add what a training has found."""
    if run.figure is None or run.milliseconds is None:
        record.problems[task] = run.problem
        return
    record.figures[task] = float(f"{run.figure:.4g}")
    if task == TIMED:
        machine = describe()
        record.parameters, record.milliseconds = run.parameters, round(run.milliseconds, 3)
        record.megabytes = None if run.memory is None else round(run.memory / 1e6, 2)
        record.machine, record.torch = machine["processor"], machine["torch"]


def table(known: Records, marks: dict[str, str]) -> list[str]:
    """Return the table: a row for each cell, in the order of the catalogue."""
    tasks = [find_task(task) for task in TASKS]
    best: dict[str, float] = {}
    for task in tasks:
        figures = [one.figures[task.name] for one in known.values() if task.name in one.figures]
        if figures:
            best[task.name] = (min if task.measure.smaller_is_better else max)(figures)
    lines = [
        f"| cell | {' | '.join(TASKS)} | parameters | ms a step | MB a step |",
        f"|---|{'---:|' * (len(TASKS) + 3)}",
        f"| *without memory* | {' | '.join(f'{task.baseline:.3f}' for task in tasks)} | | | |",
    ]
    for name in in_order(known):
        record = known[name]
        row = [linked(name), *(figure(record, task, best) for task in TASKS), *cost(record, marks)]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def figure(record: Record, task: str, best: dict[str, float]) -> str:
    """Return a figure, bold if none is better as it is shown."""
    if task not in record.figures:
        return "–"
    text, best_text = shown(record.figures[task]), shown(best[task])
    return f"**{text}**" if text == best_text else text


def shown(value: float) -> str:
    return f"{value:.6f}" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def cost(record: Record, marks: dict[str, str]) -> list[str]:
    """Return parameters, milliseconds with the mark of their machine, and megabytes."""
    if record.milliseconds is None:
        return ["", "", ""]
    mark = marks[place(record)]
    memory = "" if record.megabytes is None else f"{record.megabytes:.1f}"
    return [f"{record.parameters:,}", f"{record.milliseconds:.2f}{mark and f' {mark}'}", memory]


def place(record: Record) -> str:
    """Return what the time of a step was measured with."""
    return f"{record.machine}, torch {record.torch}"


def marks_of(known: Records) -> dict[str, str]:
    """Return the mark of each machine; that of most cells has none."""
    machines = Counter(place(one) for one in known.values() if one.milliseconds is not None)
    return {machine: mark for (machine, _), mark in zip(machines.most_common(), ["", *MARKS], strict=False)}


def linked(name: str) -> str:
    """Return a name with a link to its equations."""
    family = None if name == CHRONO else family_of(name)
    return f"`{name}`" if family is None else f"[`{name}`](cells/{family}.md#{name})"


def family_of(name: str) -> str | None:
    """Return the family of a cell; that of `lstm+chrono` is the LSTM's."""
    plain = name.partition("+")[0]
    return next((one for one in cells.families() if plain in cells.names(one)), None)


def without_figure(known: Records, changed: Sequence[str]) -> list[str]:
    """Return a line for each cell without a figure on some task, with the reason."""
    lines = []
    for name, record in known.items():
        reasons = dict(record.problems) | dict.fromkeys(record.missing(), "not trained yet")
        for reason in dict.fromkeys(reasons.values()):
            tasks = [task for task in TASKS if reasons.get(task) == reason]
            which = "" if len(tasks) == len(TASKS) else f", {', '.join(tasks)}"
            lines.append(f"- `{name}`{which}: {reason}")
    lines += [f"- `{name}`: its equations have changed since it was trained" for name in changed]
    lines += [f"- `{name}`: not trained yet" for name in cells.names() if name not in {*known, *changed}]
    return lines


def write(found: Records) -> None:
    """Write the table, what is not in it, and the picture of the adding problem."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END} for the table")
    changed = [name for name, record in found.items() if equations(name) != record.equations]
    known = {name: record for name, record in found.items() if name not in changed}
    marks = marks_of(known)
    machines = "; ".join(f"with {mark}, of {machine}" if mark else machine for machine, mark in marks.items())
    lines = [
        f"{UNITS} units, {STEPS:,} steps, seed 0, one thread of {machines}.",
        "",
        *table(known, marks),
    ]
    missing = without_figure(known, changed)
    if missing:
        lines += ["", "Without a figure:", "", *missing]
    dots = [
        Dot(name, family_of(name), one.milliseconds, one.figures[TIMED], bool(marks[place(one)]))
        for name, one in known.items()
        if one.milliseconds is not None
    ]
    draw(dots, find_task(TIMED), PAGE.parent / "pictures" / PICTURE)
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


if __name__ == "__main__":
    main()
