"""Performance targets of the layers, and the measured values."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.layers.figures import fastest, geometric_mean
from benchmarks.layers.points import LARGE

__all__ = ["Aim", "aims", "best_ratio"]

Entry = dict[str, Any]


@dataclass(frozen=True)
class Aim:
    """A figure with its target.

    Attributes:
        what: description.
        limit: the target: a minimum, or a maximum if `at_most`.
        found: the measured value.
        at_most: whether the target is a maximum.
        form: number format.
    """

    what: str
    limit: float
    found: float
    at_most: bool = False
    form: str = "{:.2f} times"

    @property
    def is_met(self) -> bool:
        return self.found <= self.limit if self.at_most else self.found >= self.limit


def best_ratio(entry: Entry) -> float:
    """Return the ratio of the fastest peer's time to nabi's."""
    ratios: dict[str, float] = {peer: each["ratio"] for peer, each in entry["peers"].items()}
    return ratios[fastest(ratios)]


def aims(results: dict[str, Any]) -> list[Aim]:
    """Return all figures of a complete run, each the worst measured value or a mean over the points."""
    entries: list[Entry] = list(results["points"].values())

    def of(kind: str) -> list[Entry]:
        return [entry for entry in entries if entry["kind"] == kind]

    def to_torch(entry: Entry) -> float:
        return min(entry["peers"][peer]["ratio"] for peer in ("torch", "torch-tuned"))

    large_lstm = [entry for entry in entries if entry["cell"] == "lstm" and entry["shape"][3] >= LARGE]
    without_lstm = [entry for entry in of("training") if entry["cell"] != "lstm"]
    share: Callable[[str], Iterable[float]] = lambda kind: (  # noqa: E731
        entry["peak"]["share"] * 100 for entry in of(kind) if "peak" in entry
    )
    variants, ragged = results["variants"], results["ragged"]
    song = next(iter(results["song"].values()))["own"] * 1000
    calls = results["first_call"]
    return [
        Aim("faster than the fastest peer, at every point", 1, min(map(best_ratio, entries))),
        Aim("the same, large LSTMs", 1.1, min(map(best_ratio, large_lstm))),
        Aim("the same, geometric mean of inference", 1.4, geometric_mean(map(best_ratio, of("inference")))),
        Aim("the same, geometric mean of training", 2, geometric_mean(map(best_ratio, of("training")))),
        Aim("GRU and SimpleRNN in training, faster than torch.nn", 2.5, min(map(to_torch, without_lstm))),
        Aim(f"share of the peak in inference, H ≥ {LARGE}", 80, min(share("inference")), form="{:.0f} %"),
        Aim(f"share of the peak in training, H ≥ {LARGE}", 70, min(share("training")), form="{:.0f} %"),
        Aim(
            "a variant's time relative to the plain cell",
            1.3,
            max(1 / e["to_plain"]["ratio"] for e in variants),
            True,
        ),
        Aim("a variant, faster than a loop in torch", 10, min(e["to_loop"]["ratio"] for e in variants)),
        Aim(
            "time of a batch with 40 % valid steps, relative to the padded batch",
            50,
            max(each[how]["ratio"] * 100 for each in ragged for how in ("lengths", "packed")),
            True,
            "{:.0f} %",
        ),
        Aim("a training step of the song inside fit", 150, song, True, "{:.0f} µs"),
        Aim(
            "peak memory in training, relative to torch.nn",
            1,
            max(e["nabi"] / e["torch"] for e in results["memory"]),
            True,
        ),
        Aim(
            "first training call of a new cell",
            1000,
            max(e["cold"]["first"] for e in calls) * 1e3,
            True,
            "{:.0f} ms",
        ),
        Aim("the same, from the cache", 20, max(e["warm"]["first"] for e in calls) * 1e3, True, "{:.0f} ms"),
        Aim(
            "import of nabi and a model's layers, after import torch",
            0.3,
            results["imports"]["nabi"] + results["imports"]["model"],
            True,
            "{:.2f} s",
        ),
    ]
