"""Results as they are kept: a file for every machine, instruction set and number of threads.

They are small and part of the repository, so that the page can be written again beside those of other
machines. A file belongs to one set of settings; numbers are kept with five digits.
"""

import json
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.layers.crew import ROOT
from benchmarks.layers.machine import slug
from nabi.files import write_atomically

__all__ = ["FOLDER", "QUICK", "Results", "estimate", "load_all", "open_results", "place", "save"]

FOLDER = ROOT / "benchmarks" / "results"
QUICK = ROOT / "runs" / "layers-quick"
"""Where smoke tests go, so that they never replace results."""
SECONDS = 20.0
"""What a point takes, as long as none has been measured: most of it is compiling the peers' code."""

Results = dict[str, Any]


def place(folder: Path, settings: dict[str, Any]) -> Path:
    """Return the file of a machine, an instruction set and a number of threads."""
    name = slug(settings["machine"]["processor"])
    isa = "" if settings["isa"] == "native" else f"-as-{settings['isa']}"
    return folder / f"{name}{isa}-{settings['threads']}-threads.json"


def open_results(path: Path, settings: dict[str, Any], *, anew: bool = False) -> Results:
    """Return the earlier results of these settings, or empty ones.

    Raises:
        SystemExit: the file has results of other settings, and `anew` isn't given.
    """
    if path.exists() and not anew:
        found: Results = json.loads(path.read_text(encoding="utf-8"))
        other = [key for key in settings if found["settings"].get(key) != settings[key]]
        if other:
            told = "; ".join(f"{key} was {found['settings'].get(key)}, is {settings[key]}" for key in other)
            raise SystemExit(f"{path} has results of other settings: {told}. --anew replaces them")
        return found
    return {"settings": settings, "date": time.strftime("%Y-%m-%d"), "points": {}}


def save(path: Path, results: Results) -> None:
    """Write results, a point a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path, "w") as file:
        file.write(text(rounded(results)) + "\n")


def text(results: Results) -> str:
    parts = []
    for name, part in results.items():
        if name == "points":
            parts.append(f"{json.dumps(name)}: {lines(part)}")
        elif isinstance(part, dict) and "points" in part:
            rest = "".join(
                f"{json.dumps(key)}: {json.dumps(value)}, " for key, value in part.items() if key != "points"
            )
            parts.append(f'{json.dumps(name)}: {{{rest}"points": {lines(part["points"])}}}')
        else:
            parts.append(f"{json.dumps(name)}: {json.dumps(part)}")
    return "{\n" + ",\n".join(parts) + "\n}"


def lines(points: dict[str, Any]) -> str:
    return (
        "{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in points.items())
        + "\n}"
    )


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


def load_all(folder: Path) -> list[Results]:
    """Return all results of a folder, those of the machine's own instructions and most threads first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=rank)


def rank(results: Results) -> tuple[str, bool, int]:
    settings = results["settings"]
    return settings["machine"]["processor"], settings["isa"] != "native", -settings["threads"]


def estimate(results: Results) -> float:
    """Return the seconds that a point takes, from those already measured."""
    parts = [results["points"], *(results.get(name, {}).get("points", {}) for name in ("random", "busy"))]
    taken = [each["seconds"] for part in parts for each in part.values()]
    return statistics.fmean(taken) if taken else SECONDS
