"""Measure the recurrent layers of nabi and of its peers, and write docs/performance.md.

    python -m benchmarks.layers --write                 # everything, with 2 threads; the points with 1 too
    python -m benchmarks.layers --isa avx2 --write      # the same, as on a processor without AVX-512
    python -m benchmarks.layers --random 100 --seed 7   # random points of another draw
    python -m benchmarks.layers --busy                  # beside a process that computes

The peers are listed in benchmarks/requirements.txt. Results are kept in benchmarks/results, a file for every
machine, instruction set and number of threads; a later run of a part (`--parts points --points lstm`)
replaces that part, and `--resume` measures only what is missing. The page shows all files of the folder. The
exit status is 1 if a peer failed to run, or its results differ from nabi's.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks.layers import page
from benchmarks.layers.aims import best_peer
from benchmarks.layers.crew import Crew
from benchmarks.layers.isa import ISAS, NATIVE, uncapped
from benchmarks.layers.load import Load, busy_processor
from benchmarks.layers.machine import describe
from benchmarks.layers.plan import ONLY_POINTS, PARTS, Job, jobs, slot
from benchmarks.layers.points import PEERS
from benchmarks.layers.random_points import NUMBER, release_seed
from benchmarks.layers.results import FOLDER, QUICK, estimate, load_all, open_results, place, save
from benchmarks.layers.sections import OTHERS, Bench

LONGER = 10
"""How many times longer a turn is on a busy machine: for the longest of a hundred calls, and because a system
lets one process wait for another for some milliseconds."""


def main() -> None:
    arguments = parse()
    if not arguments.only_write:
        failures = [failure for threads in arguments.threads for failure in measure(arguments, threads)]
        if failures:
            sys.exit(f"{len(failures)} failures; nothing was written to the documents")
    if arguments.write or arguments.only_write:
        page.write(load_all(arguments.results))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="smoke test: two points of each part, three rounds")
    add("--parts", nargs="+", choices=PARTS, help="all by default; with fewer threads than the most: points")
    add("--busy", action="store_true", help="only the part `busy`: beside a process that computes")
    add("--points", nargs="+", metavar="TEXT", help="only points whose name contains one of these texts")
    add("--random", type=int, default=NUMBER, metavar="N", help=f"number of random points (default {NUMBER})")
    add("--seed", type=int, help="of the random points (default: that of the release)")
    add("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="all by default")
    add("--isa", choices=ISAS, default=NATIVE, help="vector instructions: the machine's own by default")
    add("--threads", type=int, nargs="+", default=[2, 1], help="threads of every library (default 2 1)")
    add("--rounds", type=int, default=9, help="rounds per point (default 9)")
    add(
        "--random-rounds",
        type=int,
        default=5,
        help="rounds per random or busy point (default 5)",
    )
    add("--milliseconds", type=float, default=40, help="approximate duration of a turn (default 40)")
    add("--results", type=Path, help="folder of the results (default benchmarks/results)")
    add("--resume", action="store_true", help="measure only points that the results lack")
    add("--anew", action="store_true", help="replace results of other settings")
    add("--write", action="store_true", help="write docs/performance.md afterwards")
    add("--only-write", action="store_true", help="write the page, measure nothing")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = arguments.random_rounds = 3
        arguments.milliseconds = 10
    if arguments.busy:
        arguments.parts = ["busy"]
    if arguments.seed is None:
        arguments.seed = release_seed()
    arguments.results = arguments.results or (QUICK if arguments.quick else FOLDER)
    return arguments


def measure(arguments: argparse.Namespace, threads: int) -> list[dict[str, str]]:
    """Measure the chosen parts with some threads, merge them with earlier results; return the failures."""
    console = Console()
    settings = {
        "threads": threads,
        "isa": arguments.isa,
        "rounds": arguments.rounds,
        "milliseconds": arguments.milliseconds,
        "quick": arguments.quick,
        "machine": describe(),
    }
    about = {
        "random": {"seed": arguments.seed, "number": arguments.random, "rounds": arguments.random_rounds},
        "busy": {
            "seed": arguments.seed,
            "rounds": arguments.random_rounds,
            "milliseconds": arguments.milliseconds * LONGER,
        },
    }
    path = place(arguments.results, settings)
    results = open_results(path, settings, anew=arguments.anew)
    parts = arguments.parts or list(PARTS if threads == max(arguments.threads) else ONLY_POINTS)
    todo = list(jobs(parts, about, arguments.points, quick=arguments.quick))
    if arguments.resume:
        todo = [job for job in todo if not is_there(job, results, about)]
    seconds, points = estimate(results), sum(job.point is not None for job in todo)
    console.print(
        f"{threads} threads, {arguments.isa}: {points} points of about {seconds:.0f} s, "
        f"{points * seconds / 60:.0f} minutes, and {len(todo) - points} other parts; kept in {path}"
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        Crew(threads, arguments.milliseconds, arguments.isa) as crew,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task("starting", total=len(todo))
        bench = Bench(crew, arguments.rounds, arguments.peers, arguments.quick, progress.console.print)
        for job in todo:
            progress.update(task, description=job.name)
            if job.point is None:
                results[job.part] = OTHERS[job.part](bench)
            else:
                kept = slot(results, job.part, about)
                kept.pop(job.point.name, None)
                if entry := measure_point(bench, job, about, arguments.milliseconds):
                    kept[job.point.name] = entry
                    console.print(line(job.name, entry, results))
            save(path, results)
            progress.advance(task)
    for failure in bench.failures:
        console.print(f"[red]failed[/] {failure['where']}: {failure['who']}: {failure['problem']}")
    return bench.failures


def is_there(job: Job, results: dict[str, Any], about: dict[str, Any]) -> bool:
    if job.point is None:
        return bool(results.get(job.part))
    return job.point.name in slot(results, job.part, about)


def measure_point(
    bench: Bench, job: Job, about: dict[str, Any], milliseconds: float
) -> dict[str, Any] | None:
    """Measure a point as its part has it: by itself, or on a busy machine with longer turns."""
    assert job.point is not None
    rounds = about[job.part]["rounds"] if job.part in about else None
    with ExitStack() as stack:
        bench.crew.milliseconds = milliseconds
        if job.part == "busy":
            bench.crew.milliseconds = about["busy"]["milliseconds"]
            stack.enter_context(Load(busy_processor(bench.crew.threads), bench.crew.isa))
        return bench.point(job.point, rounds, peak=job.part != "busy")


def line(name: str, entry: dict[str, Any], results: dict[str, Any]) -> str:
    best = best_peer(entry, uncapped(results))
    figures = entry["peers"][best]
    share = f", {entry['peak']['share']:.0%} of the peak" if "peak" in entry else ""
    times = f"{figures['own']:.3g} ms, {PEERS[best]} {figures['peer']:.3g} ms"
    return f"{name}: {times}, {figures['ratio']:.2f} times faster{share}, {entry['seconds']:.0f} s"


if __name__ == "__main__":
    main()
