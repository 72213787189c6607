"""Writing the results into docs/performance.md, between its markers."""

from collections.abc import Sequence
from typing import Any

from benchmarks.layers import chart, summary, tables
from benchmarks.layers.crew import ROOT
from benchmarks.layers.isa import NATIVE, uncapped
from benchmarks.layers.points import KINDS, PEERS, choose, runs
from nabi.files import write_atomically

__all__ = ["generated", "missing", "write"]

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "pictures" / "performance.svg"
BEGIN = "<!-- performance: written by python -m benchmarks.layers -->"
END = "<!-- performance: end -->"

Results = dict[str, Any]


def write(found: Sequence[Results]) -> None:
    """Write the page and its chart from the results of several runs.

    Raises:
        SystemExit: there are no results, they are incomplete, or the page lacks the markers.
    """
    gaps = [gap for results in found for gap in missing(results)] if found else ["a run"]
    if gaps:
        raise SystemExit("nothing was written, because these results are missing: " + "; ".join(gaps))
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END} for the tables")
    chart.draw(found[0]["points"], PICTURE)
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{generated(found)}\n\n{END}{after}")
    print(f"The tables are in {PAGE.relative_to(ROOT)}, the chart is {PICTURE.relative_to(ROOT)}")


def missing(results: Results) -> list[str]:
    """Return what the page needs of a run and the results lack.

    The points of the grid must be there; another part may be missing, but not be half there.
    """
    name, isa = summary.title(results), results["settings"]["isa"]
    gaps = [] if not results["settings"]["quick"] else [f"{name}: a run without --quick"]
    gaps += [f"{name}: {point.name}" for point in choose() if point.name not in results["points"]]
    drawn = results.get("random", {"number": 0, "points": {}})
    if len(drawn["points"]) < drawn["number"]:
        gaps.append(f"{name}: {drawn['number'] - len(drawn['points'])} random points")
    for entries in (results["points"], drawn["points"], results.get("busy", {}).get("points", {})):
        for point, entry in entries.items():
            gaps += [f"{name}: {point} of {PEERS[peer]}" for peer in PEERS if lacks(entry, peer, isa)]
    return gaps


def lacks(entry: dict[str, Any], peer: str, isa: str) -> bool:
    return peer not in entry["peers"] and runs(peer, entry["kind"], isa)


def generated(found: Sequence[Results]) -> str:
    """Return the text between the markers: a summary of all runs, then each with its tables."""
    return "\n\n".join(
        [
            summary.described(found),
            "### Targets",
            summary.targets(found),
            "### The worst ten points",
            *map(summary.worst, found),
            f"### Chart of the points: {summary.title(found[0])}",
            "![Time of every peer relative to nabi at every point](pictures/performance.svg)",
            *[run(results) for results in found],
        ]
    )


def run(results: Results) -> str:
    """Return the tables of one run."""
    apart = uncapped(results)
    name = summary.title(results)
    fixed = results["points"]
    drawn = results.get("random", {}).get("points", {})
    busy = results.get("busy", {}).get("points", {})
    parts = [f"### {name}"]

    def part(head: str, *texts: str) -> None:
        parts.extend([f"#### {head}: {name}", *texts])

    if results["settings"]["isa"] != NATIVE and results.get("caps"):
        part("Caps", tables.caps(results["caps"], apart))
    part("Points", *[tables.points(fixed.values(), kind, apart) for kind in KINDS])
    if drawn:
        shown = [kind for kind in KINDS if any(entry["kind"] == kind for entry in drawn.values())]
        part("Random points", *[tables.points(drawn.values(), kind, apart) for kind in shown])
    if busy:
        part("A busy machine", tables.busy(busy.values(), {**drawn, **fixed}, apart))
    part("Share of peak performance", tables.peak([*fixed.values(), *drawn.values()], apart))
    if results.get("variants"):
        part("Cells that torch does not have", tables.variants(results["variants"]))
    if results.get("ragged"):
        part("Ragged batches", tables.ragged(results["ragged"]))
    if results.get("song"):
        part("The song", tables.song(results["song"]))
    if results.get("memory"):
        part("Memory", tables.memory(results["memory"]))
    if results.get("first_call") and results.get("imports"):
        part("The first call", tables.first_call(results["first_call"], results["imports"]))
    return "\n\n".join(parts)
