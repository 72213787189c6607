"""Performance targets of the layers, and the measured values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.layers.figures import fastest, geometric_mean
from benchmarks.layers.isa import uncapped
from benchmarks.layers.points import CELLS, KINDS, LARGE, PAIR, Point

__all__ = ["Aim", "aims", "best_peer", "best_ratio"]

Entry = dict[str, Any]


@dataclass(frozen=True)
class Aim:
    """A figure with its target.

    Attributes:
        what: description.
        limit: the target: a minimum, or a maximum if `at_most`.
        found: the measured value; None if its part was not measured.
        at_most: whether the target is a maximum.
        form: number format.
    """

    what: str
    limit: float
    found: float | None
    at_most: bool = False
    form: str = "{:.2f} times"

    @property
    def is_met(self) -> bool:
        if self.found is None:
            return False
        return self.found <= self.limit if self.at_most else self.found >= self.limit


def best_peer(entry: Entry, apart: frozenset[str] = frozenset()) -> str:
    """Return the fastest peer, without those `apart` whose instructions are not capped as nabi's are.

    Where no other was measured, it is one of those.
    """
    ratios = {peer: each["ratio"] for peer, each in entry["peers"].items()}
    return fastest({peer: each for peer, each in ratios.items() if peer not in apart} or ratios)


def best_ratio(entry: Entry, apart: frozenset[str] = frozenset()) -> float:
    """Return the ratio of the fastest peer's time to nabi's."""
    ratio: float = entry["peers"][best_peer(entry, apart)]["ratio"]
    return ratio


def aims(results: dict[str, Any]) -> list[Aim]:
    """Return all figures of a run, each the worst measured value or a mean over the points."""
    apart = uncapped(results)
    fixed: dict[str, Entry] = results["points"]
    drawn: dict[str, Entry] = results.get("random", {}).get("points", {})
    busy: list[Entry] = list(results.get("busy", {}).get("points", {}).values())
    song = results.get("song") or {}
    imports = results.get("imports") or {}
    found = []
    for name, entries in (("", list(fixed.values())), ("random points: ", list(drawn.values()))):
        ratios = {kind: [best_ratio(e, apart) for e in entries if e["kind"] == kind] for kind in KINDS}
        every = [ratio for kind in KINDS for ratio in ratios[kind]]
        found += [
            Aim(f"{name}faster than the fastest peer, at every one", 1, least(every)),
            Aim(f"{name}the same, geometric mean of inference", 1.6, mean(ratios["inference"])),
            Aim(f"{name}the same, geometric mean of training", 2.2, mean(ratios["training"])),
        ]
    for kind, limit in (("inference", 85), ("training", 78)):
        shares = (e["peak"]["share"] * 100 for e in fixed.values() if e["kind"] == kind and "peak" in e)
        found.append(Aim(f"share of the peak in {kind}, H ≥ {LARGE}", limit, least(shares), form="{:.0f} %"))
    return [
        *found,
        Aim("share of the peak at 650 units, relative to 640", 95, pair(fixed), form="{:.0f} %"),
        Aim(
            "another cell's time, relative to the plain cell",
            1.15,
            most(1 / e["to_plain"]["ratio"] for e in results.get("variants", [])),
            True,
        ),
        Aim(
            "time of a batch with 40 % valid steps, relative to the padded batch",
            48,
            most(e[how]["ratio"] * 100 for e in results.get("ragged", []) for how in ("lengths", "packed")),
            True,
            "{:.0f} %",
        ),
        Aim(
            "peak memory in training, relative to torch.nn",
            0.6,
            most(e["nabi"] / e["torch"] for e in results.get("memory", [])),
            True,
        ),
        Aim(
            "a training step of the song inside fit",
            40,
            most(each["own"] * 1000 for each in song.values()),
            True,
            "{:.0f} µs",
        ),
        Aim(
            "on a busy machine, nabi's time relative to the fastest peer's",
            1.3,
            most(1 / best_ratio(entry, apart) for entry in busy),
            True,
        ),
        Aim(
            "on a busy machine, 99 of 100 calls within so many medians",
            4,
            most(entry["tails"]["nabi"]["p99"] / entry["tails"]["nabi"]["median"] for entry in busy),
            True,
            "{:.1f}",
        ),
        *calls(results.get("first_call") or []),
        Aim(
            "import of nabi and a model's layers, after import torch",
            0.3,
            imports["nabi"] + imports["model"] if imports else None,
            True,
            "{:.2f} s",
        ),
    ]


def calls(entries: list[Entry]) -> list[Aim]:
    cold, warm = (most(e[how]["first"] * 1e3 for e in entries) for how in ("cold", "warm"))
    return [
        Aim("first training call of a new cell", 1000, cold, True, "{:.0f} ms"),
        Aim("the same, from the cache", 20, warm, True, "{:.0f} ms"),
    ]


def pair(fixed: dict[str, Entry]) -> float | None:
    """Return the smallest share of the peak at 650 units, in percent of that at 640."""
    shares = []
    for cell in CELLS:
        for kind in KINDS:
            even, odd = (fixed.get(Point(cell, shape, kind).name, {}).get("peak") for shape in PAIR)
            if even and odd:
                shares.append(odd["share"] / even["share"] * 100)
    return least(shares)


def least(values: Iterable[float]) -> float | None:
    return min(values, default=None)


def most(values: Iterable[float]) -> float | None:
    return max(values, default=None)


def mean(values: list[float]) -> float | None:
    return geometric_mean(values) if values else None
