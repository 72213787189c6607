"""What docs/performance.md begins with: all runs side by side, the targets, the worst points."""

from collections.abc import Sequence
from typing import Any

from benchmarks.layers.aims import aims, best_peer, best_ratio
from benchmarks.layers.isa import label, uncapped
from benchmarks.layers.machine import LIBRARIES
from benchmarks.layers.points import PEERS
from benchmarks.layers.tables import TITLES, number, sizes, table, times

__all__ = ["described", "targets", "title", "worst"]

Results = dict[str, Any]
WORST = 10


def title(results: Results) -> str:
    """Return the name of a run: processor, instructions, threads."""
    settings = results["settings"]
    processor, threads = settings["machine"]["processor"], settings["threads"]
    name = processor.partition(" (")[0]
    return f"{name}, {label(settings['isa'], processor)}, {threads} thread{'s' if threads > 1 else ''}"


def described(runs: Sequence[Results]) -> str:
    """Return a line for every run: its machine, libraries and rounds, and how many points nabi leads."""
    lines = []
    for results in runs:
        settings = results["settings"]
        machine = settings["machine"]
        versions = ", ".join(f"{name} {machine[name]}" for name in LIBRARIES)
        counts = ", ".join(
            led(name, part, results)
            for name, part in (
                ("points", results["points"]),
                ("random points", results.get("random", {}).get("points", {})),
                ("points on a busy machine", results.get("busy", {}).get("points", {})),
            )
            if part
        )
        beside = [name for peer, name in PEERS.items() if peer in uncapped(results)]
        not_counted = f" among those that can be capped (not {', '.join(beside)})" if beside else ""
        drawn = f"; random points of seed {results['random']['seed']}" if "random" in results else ""
        lines.append(
            f"- **{title(results)}**: nabi is the fastest{not_counted} at {counts}. "
            f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}, {versions}; "
            f"{settings['rounds']} rounds{drawn}; measured on {results['date']}."
        )
    return "\n".join(lines)


def led(name: str, entries: Results, results: Results) -> str:
    apart = uncapped(results)
    first = sum(best_ratio(entry, apart) >= 1 for entry in entries.values())
    return f"{first} of {len(entries)} {name}"


def targets(runs: Sequence[Results]) -> str:
    """Return the table of the targets, a column for every run."""
    columns = [aims(results) for results in runs]
    rows = []
    for row in zip(*columns, strict=True):
        first = row[0]
        limit = ("at most " if first.at_most else "at least ") + first.form.format(first.limit)
        cells = []
        for aim in row:
            if aim.found is None:
                cells.append("not measured")
            else:
                text = aim.form.format(aim.found)
                cells.append(text if aim.is_met else f"**{text}**")
        rows.append((first.what, limit, *cells))
    return table(["", "target", *map(title, runs)], rows) + "\n\nA figure in bold misses its target."


def worst(results: Results) -> str:
    """Return the ten points at which nabi does worst beside the fastest peer, fixed and random ones."""
    apart = uncapped(results)
    drawn = results.get("random", {}).get("points", {})
    found = [("", entry) for entry in results["points"].values()]
    found += [("random: ", entry) for entry in drawn.values()]
    rows = []
    for mark, entry in sorted(found, key=lambda each: best_ratio(each[1], apart))[:WORST]:
        best = best_peer(entry, apart)
        figures = entry["peers"][best]
        name = f"{mark}{TITLES[entry['cell']]} {sizes(entry['shape'])}, {entry['kind']}"
        rows.append((name, number(figures["own"]), PEERS[best], number(figures["peer"]), times(figures)))
    return table([title(results), "nabi, ms", "fastest peer", "its ms", "times faster"], rows)
