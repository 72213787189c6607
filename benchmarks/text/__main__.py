"""Train all networks of docs/reading-text.md and write its tables and picture.

    python -m benchmarks.text                        everything, well within 100 minutes on two cores
    python -m benchmarks.text --only imdb nsmc       some of it
    python -m benchmarks.text --write                only write the page from existing results
    python -m benchmarks.text --quick                smoke test with a few hundred texts, one epoch each

The data are read from the folder NABI_DATA. Every run is its own process and writes a folder with result.json
(runs/text-results/NAME/SEED). Existing runs are not repeated, so the same command resumes after Ctrl-C.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.text import page
from benchmarks.text.experiments import EXPERIMENTS, Experiment
from benchmarks.text.quick import make_small

ROOT = Path(__file__).resolve().parents[2]
Result = dict[str, Any]


def main() -> None:
    arguments = parse()
    console = Console(soft_wrap=True)
    chosen = [
        experiment for experiment in EXPERIMENTS if not arguments.only or experiment.name in arguments.only
    ]
    if not arguments.write:
        data = None
        if arguments.quick:
            data = arguments.folder / "data"
            make_small(Path(os.environ.get("NABI_DATA", "")), data)
        run_all(chosen, arguments, data, console)
    results = {experiment.name: find_all(arguments.folder, experiment.name) for experiment in EXPERIMENTS}
    for path in page.write(results, arguments.page):
        console.print(f"written: {path}")


def parse() -> argparse.Namespace:
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.text",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}; all by default"
    )
    parser.add_argument("--again", action="store_true", help="repeat existing runs")
    parser.add_argument("--write", action="store_true", help="only write the page, train nothing")
    parser.add_argument(
        "--quick", action="store_true", help="use a small part of the data, and separate files"
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of each run (default 2)")
    parser.add_argument("--folder", type=Path, help="folder of the runs (default runs/text-results)")
    parser.add_argument("--page", type=Path, help="page to write (default docs/reading-text.md)")
    arguments = parser.parse_args()
    folder = ROOT / "runs" / ("text-results-quick" if arguments.quick else "text-results")
    # A smoke test always runs again.
    arguments.again = arguments.again or arguments.quick
    arguments.folder = arguments.folder or folder
    arguments.page = arguments.page or (folder / "page.md" if arguments.quick else page.PAGE)
    return arguments


def run_all(
    chosen: list[Experiment], arguments: argparse.Namespace, data: Path | None, console: Console
) -> None:
    """Train the missing runs, one after another."""
    everything = [
        (experiment, seed)
        for experiment in chosen
        for seed in range(1 if arguments.quick else experiment.seeds)
    ]
    waiting = [
        (experiment, seed)
        for experiment, seed in everything
        if arguments.again or find(arguments.folder, experiment.name, seed) is None
    ]
    there = len(everything) - len(waiting)
    if there:
        console.print(f"{there} of {len(everything)} runs exist already; --again repeats them")
    start = time.perf_counter()
    for number, (experiment, seed) in enumerate(waiting, there + 1):
        minutes = (time.perf_counter() - start) / 60
        title = f"{experiment.data}, {experiment.network}, seed {seed}"
        console.rule(f"run {number} of {len(everything)}: {title}; {minutes:.1f} minutes so far")
        run_one(experiment, seed, arguments, data)


def run_one(experiment: Experiment, seed: int, arguments: argparse.Namespace, data: Path | None) -> None:
    command = [sys.executable, "-m", "benchmarks.text.worker", experiment.name, "--seed", str(seed)]
    command += [
        "--out",
        str(place(arguments.folder, experiment.name, seed)),
        "--threads",
        str(arguments.threads),
    ]
    if data is not None:
        command += ["--data", str(data)]
    if arguments.quick:
        command += ["--epochs", "1"]
    # The same number of threads for torch and the libraries below it.
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads), "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            # The run receives the Ctrl-C as well and writes its results so far.
            process.wait()
            sys.exit(130)
    if status == 130:
        sys.exit(130)
    if status or find(arguments.folder, experiment.name, seed) is None:
        sys.exit(
            f"{experiment.name}, seed {seed}: failed with status {status}; run the command again to resume"
        )


def place(folder: Path, name: str, seed: int) -> Path:
    return folder / name / str(seed)


def find(folder: Path, name: str, seed: int) -> Result | None:
    """Return the result of a finished run; None if it does not exist or was stopped."""
    try:
        result: Result = json.loads((place(folder, name, seed) / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return None if result.get("interrupted") else result


def find_all(folder: Path, name: str) -> list[Result]:
    """Return the results of an experiment's finished runs, by seed."""
    seeds = sorted(int(path.parent.name) for path in (folder / name).glob("*/result.json"))
    return [result for seed in seeds if (result := find(folder, name, seed)) is not None]


if __name__ == "__main__":
    main()
