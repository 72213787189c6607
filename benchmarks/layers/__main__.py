"""Measure the recurrent layers of nabi and of its peers, and write docs/performance.md.

    python -m benchmarks.layers --write

The peers are listed in benchmarks/requirements.txt. Results are kept in runs/layers.json; a later run of a
part (`--parts points --points lstm/training`) replaces that part. The exit status is 1 if a peer failed to
run, or its results differ from nabi's.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.layers import page
from benchmarks.layers.crew import ROOT, Crew
from benchmarks.layers.figures import fastest
from benchmarks.layers.machine import describe
from benchmarks.layers.points import PEERS, choose
from benchmarks.layers.sections import OTHERS, Bench
from nabi.files import write_atomically

PARTS = ("points", *OTHERS)


def main() -> None:
    arguments = parse()
    if not arguments.only_write:
        failures = measure(arguments)
        if failures:
            sys.exit(f"{len(failures)} failures; nothing was written to the documents")
    if arguments.write or arguments.only_write:
        page.write(json.loads(arguments.out.read_text(encoding="utf-8")))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="smoke test with small sizes and three rounds")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all by default")
    parser.add_argument(
        "--points", nargs="+", metavar="TEXT", help="only points whose name contains one of these texts"
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="all by default")
    parser.add_argument("--threads", type=int, default=2, help="threads of every library (default 2)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds per point (default 9)")
    parser.add_argument(
        "--milliseconds", type=float, default=40, help="approximate duration of a turn (default 40)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "layers.json", help="file of the results")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md afterwards")
    parser.add_argument("--only-write", action="store_true", help="write the page, measure nothing")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.milliseconds = 3, 10
    return arguments


def measure(arguments: argparse.Namespace) -> list[dict[str, str]]:
    """Measure the chosen parts, merge them with existing results, and return the failures."""
    console = Console()
    settings = {
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "milliseconds": arguments.milliseconds,
        "quick": arguments.quick,
        "machine": describe(),
    }
    results = earlier(arguments.out, settings)
    points = choose(arguments.points, quick=arguments.quick) if "points" in arguments.parts else []
    others = [name for name in OTHERS if name in arguments.parts]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        Crew(arguments.threads, arguments.milliseconds) as crew,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task("starting", total=len(points) + len(others))
        bench = Bench(crew, arguments.rounds, arguments.peers, arguments.quick, progress.console.print)
        for point in points:
            progress.update(task, description=point.name)
            results["points"].pop(point.name, None)
            if entry := bench.point(point):
                results["points"][point.name] = entry
                console.print(line(point.name, entry))
            save(arguments.out, results)
            progress.advance(task)
        for name in others:
            progress.update(task, description=name.replace("_", " "))
            results[name] = OTHERS[name](bench)
            save(arguments.out, results)
            progress.advance(task)
    for failure in bench.failures:
        console.print(f"[red]failed[/] {failure['where']}: {failure['who']}: {failure['problem']}")
    return bench.failures


def earlier(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return earlier results from the same machine with the same settings."""
    if out.exists():
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        if found["settings"] == settings:
            return found
    return {"settings": settings, "points": {}}


def save(out: Path, results: dict[str, Any]) -> None:
    with write_atomically(out, "w") as file:
        json.dump(results, file, indent=1)


def line(name: str, entry: dict[str, Any]) -> str:
    peers = entry["peers"]
    best = fastest({peer: each["ratio"] for peer, each in peers.items()})
    figures = peers[best]
    share = f", {entry['peak']['share']:.0%} of the peak" if "peak" in entry else ""
    times = f"{figures['own']:.3g} ms, {PEERS[best]} {figures['peer']:.3g} ms"
    return f"{name}: {times}, {figures['ratio']:.2f} times faster{share}"


if __name__ == "__main__":
    main()
