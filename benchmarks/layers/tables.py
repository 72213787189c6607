"""The tables of docs/performance.md."""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.layers.aims import Aim, best_ratio
from benchmarks.layers.figures import geometric_mean
from benchmarks.layers.machine import LIBRARIES
from benchmarks.layers.points import CELLS, PEERS, SHAPES, Point, runs

__all__ = ["aims", "first_call", "machine", "memory", "peak", "points", "ragged", "song", "variants"]

Entry = dict[str, Any]
TITLES = {"simple-rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table with a text column followed by number columns."""
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def number(value: float) -> str:
    """Format a number with three digits, without an exponent.

    >>> [number(value) for value in (0.01234, 1.2345, 123.45, 1234.5)]
    ['0.0123', '1.23', '123', '1234']
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def sizes(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))


def times(figures: Entry) -> str:
    """Format a ratio with its quartiles."""
    return f"{figures['ratio']:.2f} ({figures['low']:.2f} to {figures['high']:.2f})"


def machine(settings: Entry) -> str:
    described = settings["machine"]
    versions = ", ".join(f"{name} {described[name]}" for name in LIBRARIES)
    return (
        f"{described['processor']}, {described['cores']} cores, {described['system']}, Python "
        f"{described['python']}; {settings['threads']} threads, {settings['rounds']} rounds; {versions}."
    )


def aims(found: list[Aim]) -> str:
    rows = []
    for aim in found:
        limit = ("at most " if aim.at_most else "at least ") + aim.form.format(aim.limit)
        rows.append((aim.what, limit, aim.form.format(aim.found), "yes" if aim.is_met else "**no**"))
    return table(["", "target", "measured", "met"], rows)


def points(entries: dict[str, Entry], kind: str) -> str:
    """Return a table for inference or training: every point with all peers."""
    peers = [peer for peer in PEERS if runs(peer, kind)]
    rows, ratios = [], []
    for cell in CELLS:
        for shape in SHAPES:
            entry = entries[Point(cell, shape, kind).name]
            best = best_ratio(entry)
            ratios.append(best)
            row = [f"{TITLES[cell]} {sizes(shape)}", number(own_time(entry))]
            for peer in peers:
                figures = entry["peers"][peer]
                text = number(figures["peer"])
                if figures["ratio"] == best:
                    text, against = f"**{text}**", times(figures)
                row.append(text)
            rows.append([*row, against])
    head = [f"{kind}, ms", "nabi", *[PEERS[peer] for peer in peers], "times faster than the fastest"]
    mean = (
        f"Geometric mean over all points, relative to the fastest peer: {geometric_mean(ratios):.2f} times."
    )
    return table(head, rows) + "\n\n" + mean


def own_time(entry: Entry) -> float:
    """Return nabi's time when compared with the fastest peer."""
    fastest = min(entry["peers"].values(), key=lambda figures: figures["ratio"])
    return float(fastest["own"])


def peak(entries: dict[str, Entry]) -> str:
    rows = []
    for entry in entries.values():
        if "peak" not in entry:
            continue
        operations = entry["operations"] / own_time(entry) / 1e6
        rows.append(
            (
                f"{TITLES[entry['cell']]} {sizes(entry['shape'])}, {entry['kind']}",
                number(operations),
                number(entry["peak"]["gflops"]),
                f"{entry['peak']['share']:.0%}",
            )
        )
    return table(["", "GFLOP/s", "multiply-add peak", "share"], rows)


def variants(entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        plain, loop = entry["to_plain"], entry["to_loop"]
        rows.append(
            (
                f"`{entry['cell']}` {sizes(entry['shape'])}, {entry['kind']}",
                number(loop["own"]),
                f"{1 / plain['ratio']:.2f} (`{entry['plain']}`)",
                number(loop["peer"]),
                times(loop),
            )
        )
    return table(["", "nabi, ms", "relative to plain cell", "loop in torch, ms", "times faster"], rows)


def ragged(entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        rows.append(
            (
                f"{TITLES[entry['cell']]} {sizes(entry['shape'])}, {entry['kind']}",
                f"{entry['valid']:.0%}",
                number(entry["lengths"]["own"]),
                f"{entry['lengths']['ratio']:.0%}",
                f"{entry['packed']['ratio']:.0%}",
                number(entry["torch-padded"]["peer"]),
                number(entry["torch-packed"]["peer"]),
            )
        )
    head = ["", "valid steps", "nabi, padded, ms", "with `lengths`", "`PackedSequence`"]
    return table([*head, "torch.nn, padded, ms", "torch.nn, packed, ms"], rows)


def song(entries: dict[str, Entry]) -> str:
    own = next(iter(entries.values()))["own"]
    rows = [("nabi", "`fit` and `reset_states` for every epoch", number(own * 1000), "")]
    for peer, figures in entries.items():
        rows.append((PEERS[peer], figures["note"], number(figures["peer"] * 1000), times(figures)))
    return table(["", "how", "µs per step", "ratio to nabi"], rows)


def memory(entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        rows.append(
            (
                f"{TITLES[entry['cell']]} {sizes(entry['shape'])}",
                f"{entry['nabi'] / 2**20:.0f}",
                f"{entry['torch'] / 2**20:.0f}",
                f"{entry['nabi'] / entry['torch']:.2f}",
            )
        )
    what = (
        "The table shows how much two training steps raise the memory of a new process above its level "
        "before the layer is created. By then, libraries are loaded and code is compiled."
    )
    return what + "\n\n" + table(["training", "nabi, MiB", "torch.nn, MiB", "ratio"], rows)


def first_call(entries: list[Entry], imports: dict[str, float]) -> str:
    rows = []
    for entry in entries:
        cold, warm = entry["cold"], entry["warm"]
        seconds = [cold["first"], warm["first"], cold["second"], cold["other_sizes"], cold["build"]]
        rows.append((f"`{entry['cell']}` {sizes(entry['shape'])}", *[number(each * 1e3) for each in seconds]))
    head = [
        "ms",
        "first training call",
        "from the cache",
        "second call",
        "other B and T",
        "building the module",
    ]
    sentence = (
        f"After `import torch`, which takes {imports['torch']:.2f} s, `import nabi` takes "
        f"{number(imports['nabi'] * 1e3)} ms, because it loads nothing until it is used. Loading what a "
        f"model of layers needs takes {imports['model']:.2f} s."
    )
    return table(head, rows) + "\n\n" + sentence
