"""Compare all cells on five tasks, and write the table of docs/comparing.md.

    python -m benchmarks.compare_cells --write            every cell on two cores: less than two hours
    python -m benchmarks.compare_cells gru lstm --write   some cells
    python -m benchmarks.compare_cells --only-write       only write the page from existing results

Each cell is trained by `nabi.compare` with its defaults. Results are kept in
runs/compare-cells, a folder for each task and family of cells; what is there is not trained again, so a run
that was stopped goes on where it ended. Memory is measured on the adding problem alone.
"""

import argparse
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.layers.machine import describe
from nabi import cells
from nabi.comparison import Comparison, Row, compare
from nabi.errors import MissingFileError
from nabi.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "compare-cells"
PAGE, PICTURE = ROOT / "docs" / "comparing.md", "comparing.svg"
BEGIN = "<!-- all cells: written by python -m benchmarks.compare_cells -->"
END = "<!-- all cells: end -->"
TASKS = ("adding", "copy", "parity", "recall", "pixels")
CHRONO = "lstm+chrono"
OTHERS = "others"
"""The family of what is not in the catalogue."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_cells",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="cells; by default the catalogue", metavar="CELL")
    parser.add_argument("--jobs", type=int, default=2, help="processes, each on one thread (default 2)")
    parser.add_argument("--write", action="store_true", help="write the page afterwards")
    parser.add_argument("--only-write", action="store_true", help="write the page and train nothing")
    given = parser.parse_args()
    names = given.names or [*cells.names(), CHRONO]
    if not given.only_write:
        train(by_family(names), given.jobs)
    if given.write or given.only_write:
        write(found())
        print(f"written: {PAGE}")


def by_family(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the cells of each family."""
    families = {name: family for family in cells.families() for name in cells.names(family)}
    grouped: dict[str, list[str]] = defaultdict(list)
    for name in names:
        grouped[families.get(name, OTHERS)].append(name)
    return grouped


def train(grouped: Mapping[str, Sequence[str]], jobs: int) -> None:
    """Train every cell on every task, unless that has been done."""
    start, pairs = time.time(), len(TASKS) * sum(map(len, grouped.values()))
    # Each process is a new one: torch's threads do not live through a fork.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        work = {
            pool.submit(train_family, names, task, FOLDER / f"{task}-{family}"): (task, family)
            for task in TASKS
            for family, names in grouped.items()
        }
        try:
            for done in as_completed(work):
                task, family = work[done]
                print(f"{task}, {family}: {done.result():.0f} s", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    seconds = time.time() - start
    print(f"{pairs} pairs in {seconds / 60:.1f} minutes, {seconds / pairs:.1f} s each, in {jobs} processes")


def train_family(names: Sequence[str], task: str, folder: Path) -> float:
    """Train cells on a task; return the seconds that it took."""
    start = time.time()
    found = compare(list(names), task, memory=task == TASKS[0], out=folder, resume=True)
    if found.interrupted:
        raise KeyboardInterrupt
    return time.time() - start


def found() -> dict[str, Comparison]:
    """Return the comparison of each task, of all families together."""
    results = {}
    for task in TASKS:
        parts = []
        for family in (*cells.families(), OTHERS):
            try:
                parts.append(Comparison.read(FOLDER / f"{task}-{family}"))
            except MissingFileError:
                continue
        if not parts:
            raise SystemExit(f"there are no results of {task}: python -m benchmarks.compare_cells")
        runs = [run for part in parts for run in part.runs]
        results[task] = Comparison(parts[0].task, parts[0].settings, runs)
    return results


def table(results: Mapping[str, Comparison]) -> list[str]:
    """Return the table: a row for each cell, in the order of the catalogue."""
    rows = {task: {row.cell: row for row in comparison.rows} for task, comparison in results.items()}
    baselines = [f"{comparison.task['baseline']:.3f}" for comparison in results.values()]
    lines = [
        f"| cell | {' | '.join(TASKS)} | parameters | ms a step | MB a step |",
        f"|---|{'---:|' * (len(TASKS) + 3)}",
        f"| *without memory* | {' | '.join(baselines)} | | | |",
    ]
    best = {task: comparison.rows[0].figure for task, comparison in results.items()}
    order = [*cells.names(), *(row for row in rows[TASKS[0]] if row not in cells.names())]
    for name in order:
        own = {task: found[name] for task, found in rows.items() if name in found}
        if own:
            figures = [figure(own.get(task), best[task]) for task in TASKS]
            lines.append(f"| {linked(name)} | {' | '.join([*figures, *cost(own.get(TASKS[0]))])} |")
    problems = {row.cell: row.problem for found in rows.values() for row in found.values() if row.problem}
    if problems:
        lines += ["", "Without a figure:", ""]
        lines += [f"- `{name}`: {problem}" for name, problem in problems.items()]
    return lines


def figure(row: Row | None, best: float | None) -> str:
    """Return a figure, bold if none is better as it is shown."""
    if row is None or row.figure is None or best is None:
        return "" if row is None else "–"
    text, best_text = (f"{one:.4f}" if one < 0.1 else f"{one:.3f}" for one in (row.figure, best))
    return f"**{text}**" if text == best_text else text


def cost(row: Row | None) -> list[str]:
    """Return parameters, milliseconds and megabytes."""
    if row is None or row.figure is None:
        return ["", "", ""]
    memory = "" if row.memory is None else f"{row.memory / 1e6:.1f}"
    return [f"{row.parameters:,}", f"{row.milliseconds:.2f}", memory]


def linked(name: str) -> str:
    """Return a name with a link to its equations."""
    family = next((one for one in cells.families() if name in cells.names(one)), None)
    return f"`{name}`" if family is None else f"[`{name}`](cells/{family}.md#{name})"


def write(results: Mapping[str, Comparison]) -> None:
    """Write the table and the picture of the adding problem."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END} for the table")
    machine, settings = describe(), results[TASKS[0]].settings
    lines = [
        f"{settings['units']} units, {settings['steps']:,} steps, seed 0, one thread of "
        f"{machine['processor']}, torch {machine['torch']}.",
        "",
        *table(results),
    ]
    results[TASKS[0]].picture(PAGE.parent / "pictures" / PICTURE)
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


if __name__ == "__main__":
    main()
