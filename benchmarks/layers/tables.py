"""The tables of a run in docs/performance.md."""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.layers.aims import best_peer, best_ratio
from benchmarks.layers.figures import geometric_mean
from benchmarks.layers.points import PEERS, runs

__all__ = [
    "TITLES",
    "busy",
    "caps",
    "first_call",
    "memory",
    "number",
    "peak",
    "points",
    "ragged",
    "sizes",
    "song",
    "table",
    "times",
    "variants",
]

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


def named(entry: Entry) -> str:
    return f"{TITLES[entry['cell']]} {sizes(entry['shape'])}"


def worst_first(entries: Iterable[Entry], apart: frozenset[str]) -> list[Entry]:
    return sorted(entries, key=lambda entry: best_ratio(entry, apart))


def points(entries: Iterable[Entry], kind: str, apart: frozenset[str]) -> str:
    """Return a table for inference or training: every point with all peers, the worst first.

    Args:
        entries: the points.
        kind: which of them to show.
        apart: peers whose instructions are not capped as nabi's are; they stand at the end, uncounted.
    """
    chosen = worst_first((entry for entry in entries if entry["kind"] == kind), apart)
    counted = [peer for peer in PEERS if runs(peer, kind) and peer not in apart]
    beside = [peer for peer in PEERS if peer in apart and peer in chosen[0]["peers"]]
    rows = []
    for entry in chosen:
        best = best_peer(entry, apart)
        row = [named(entry), number(entry["peers"][best]["own"])]
        for peer in counted:
            text = number(entry["peers"][peer]["peer"])
            row.append(f"**{text}**" if peer == best else text)
        row.append(times(entry["peers"][best]))
        row += [f"{number(e['peer'])} ({e['ratio']:.2f})" for e in (entry["peers"][peer] for peer in beside)]
        rows.append(row)
    head = [f"{kind}, ms", "nabi", *[PEERS[peer] for peer in counted], "times faster than the fastest"]
    head += [f"{PEERS[peer]}, not capped (times faster)" for peer in beside]
    mean = geometric_mean(best_ratio(entry, apart) for entry in chosen)
    return table(head, rows) + f"\n\nGeometric mean, relative to the fastest peer: {mean:.2f} times."


def busy(entries: Iterable[Entry], idle: dict[str, Entry], apart: frozenset[str]) -> str:
    """Return a table of the points on a busy machine: medians of single calls, and the 99th percentile.

    Args:
        entries: the points.
        idle: the points by themselves, by their names.
        apart: peers whose instructions are not capped as nabi's are.
    """
    shown = worst_first(entries, apart)
    peers = [peer for peer in PEERS if any(peer in entry["peers"] for entry in shown)]
    rows = []
    for entry in shown:
        alone = idle.get(entry_name(entry))
        row = [f"{named(entry)}, {entry['kind']}"]
        row.append(number(alone["peers"][best_peer(alone, apart)]["own"]) if alone else "")
        for worker in ("nabi", *peers):
            tail = entry["tails"].get(worker)
            row.append(f"{number(tail['median'])} ({tail['p99'] / tail['median']:.1f})" if tail else "")
        best = best_peer(entry, apart)
        rows.append([*row, PEERS[best], times(entry["peers"][best])])
    names = [f"{PEERS[peer]}, not capped" if peer in apart else PEERS[peer] for peer in peers]
    head = ["median, ms (99 of 100 calls, in medians)", "nabi, alone", "nabi", *names]
    return table([*head, "fastest peer", "times faster"], rows)


def entry_name(entry: Entry) -> str:
    return f"{entry['cell']}/{entry['kind']}/{'x'.join(map(str, entry['shape']))}"


def peak(entries: Iterable[Entry], apart: frozenset[str]) -> str:
    rows = []
    for entry in sorted((e for e in entries if "peak" in e), key=lambda e: e["peak"]["share"]):
        operations = entry["operations"] / entry["peers"][best_peer(entry, apart)]["own"] / 1e6
        rows.append(
            (
                f"{named(entry)}, {entry['kind']}",
                number(operations),
                number(entry["peak"]["gflops"]),
                f"{entry['peak']['share']:.0%}",
            )
        )
    return table(["", "GFLOP/s", "multiply-add peak", "share"], rows)


def caps(checks: dict[str, Entry], apart: frozenset[str]) -> str:
    """Return what caps each library, and whether it was found to hold."""
    rows = []
    for worker, check in checks.items():
        used = "not told" if check["threads"] is None else "{} of {}".format(*check["threads"])
        rows.append(
            (
                {**PEERS, "peak": "the peak kernel"}.get(worker, worker),
                ", ".join(f"`{name}`" for name in check["switches"]) or "none",
                check["report"],
                used,
                "**no**" if worker in apart else "yes",
            )
        )
    return table(["", "switch", "its own report", "threads that used AVX-512", "capped"], rows)


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
                f"{named(entry)}, {entry['kind']}",
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
                named(entry),
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
