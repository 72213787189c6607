"""Measure how language models learn and write, and write the figures of docs/writing.md.

    python -m benchmarks.writing                     everything, about an hour on one thread
    python -m benchmarks.writing --parts speed       some of it: speed, curves, shakespeare
    python -m benchmarks.writing --write             only write the page from existing results

The text is read from the folder NABI_DATA. Results are kept in runs/writing-results; existing parts are not
repeated without --again. The recipe resumes after Ctrl-C.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.writing import curves, page, speed
from nabi import recipes
from nabi.files import write_atomically
from nabi.recipes import shakespeare

FOLDER = Path(__file__).resolve().parents[2] / "runs" / "writing-results"
PARTS = ("shakespeare", "curves", "speed")


def main() -> None:
    arguments = parse()
    if arguments.write:
        for path in page.write(found()):
            print(f"written: {path}")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    networks = [arguments.network] if arguments.network else curves.NETWORKS
    for part in arguments.parts:
        if part == "shakespeare":
            if arguments.again or part not in found():
                recipe = recipes.get("shakespeare")
                recipe.run(FOLDER / "shakespeare", data=None, console=Console(soft_wrap=True))
            continue
        for name in networks if part == "curves" else ("speed",):
            if name in found() and not arguments.again:
                continue
            if part == "curves":
                keep(name, curves.train(name, shakespeare.find(None), arguments.minutes))
            else:
                keep(name, speed.measure(arguments.characters))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.writing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all by default")
    parser.add_argument("--network", choices=curves.NETWORKS, help="network of the curves; all by default")
    parser.add_argument("--minutes", type=float, default=10, help="minutes of training per curve (10)")
    parser.add_argument(
        "--characters", type=int, default=10_000, help="characters to write for measuring speed (10000)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads (1)")
    parser.add_argument("--again", action="store_true", help="repeat existing results")
    parser.add_argument("--write", action="store_true", help="only write the page, measure nothing")
    return parser.parse_args()


def found() -> dict[str, Any]:
    """Return the results so far, by part or network."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}
    recipe = FOLDER / "shakespeare" / "result.json"
    if recipe.exists():
        results["shakespeare"] = json.loads(recipe.read_text(encoding="utf-8"))
    return results


def keep(name: str, result: dict[str, Any]) -> None:
    with write_atomically(FOLDER / f"{name}.json", "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
