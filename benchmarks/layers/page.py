"""Writing the results into docs/performance.md, between its markers."""

from typing import Any

from benchmarks.layers import chart, tables
from benchmarks.layers.aims import aims
from benchmarks.layers.crew import ROOT
from benchmarks.layers.points import PEERS, choose, runs
from benchmarks.layers.sections import OTHERS
from nabi.files import write_atomically

__all__ = ["generated", "missing", "write"]

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "pictures" / "performance.svg"
BEGIN = "<!-- performance: written by python -m benchmarks.layers -->"
END = "<!-- performance: end -->"

Results = dict[str, Any]


def write(results: Results) -> None:
    """Write the page and its chart.

    Raises:
        SystemExit: the results are incomplete, or the page lacks the markers.
    """
    if gaps := missing(results):
        raise SystemExit("nothing was written, because these results are missing: " + "; ".join(gaps))
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END} for the tables")
    chart.draw(results["points"], PICTURE)
    with write_atomically(PAGE, "w") as file:
        file.write(f"{before}{BEGIN}\n\n{generated(results)}\n\n{END}{after}")
    print(f"The tables are in {PAGE.relative_to(ROOT)}, the chart is {PICTURE.relative_to(ROOT)}")


def missing(results: Results) -> list[str]:
    """Return what the page needs and the results lack."""
    gaps = ["a run without --quick"] if results["settings"]["quick"] else []
    for point in choose():
        entry = results["points"].get(point.name)
        if entry is None:
            gaps.append(point.name)
            continue
        gaps += [f"{point.name} of {PEERS[peer]}" for peer in PEERS if not there(entry, peer)]
    return gaps + [f"the part {name}" for name in OTHERS if not results.get(name)]


def there(entry: dict[str, Any], peer: str) -> bool:
    return peer in entry["peers"] or not runs(peer, entry["kind"])


def generated(results: Results) -> str:
    """Return the text between the markers."""
    return "\n\n".join(
        [
            tables.machine(results["settings"]),
            "### Targets",
            tables.aims(aims(results)),
            "### Comparison with other libraries",
            "![Time of every peer relative to nabi at every point](pictures/performance.svg)",
            tables.points(results["points"], "inference"),
            tables.points(results["points"], "training"),
            "### Share of peak performance",
            tables.peak(results["points"]),
            "### Cells that torch does not have",
            tables.variants(results["variants"]),
            "### Ragged batches",
            tables.ragged(results["ragged"]),
            "### The song",
            tables.song(results["song"]),
            "### Memory",
            tables.memory(results["memory"]),
            "### The first call",
            tables.first_call(results["first_call"], results["imports"]),
        ]
    )
