"""Statistics of turns: the ratio of a peer's time to nabi's, and its spread."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

__all__ = ["Comparison", "compare", "fastest", "geometric_mean", "tail"]


@dataclass(frozen=True)
class Comparison:
    """A peer compared with nabi in turns, times in milliseconds.

    Attributes:
        own, peer: medians over the rounds.
        ratio: median over the rounds of the peer's time to nabi's: how many times faster nabi is.
        low, high: quartiles of those ratios.
        rounds: number of rounds.
    """

    own: float
    peer: float
    ratio: float
    low: float
    high: float
    rounds: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def compare(own: Sequence[tuple[float, float]], peer: Sequence[float]) -> Comparison:
    """Compare a peer's turns with nabi's turns right before and after each.

    Args:
        own: for every round nabi's times before and after the peer's turn; slow drift is the same in
            their mean as in the peer's time.
        peer: the peer's time in every round.

    Raises:
        ValueError: there are no rounds, or their numbers differ.
    """
    if not peer or len(own) != len(peer):
        raise ValueError(
            f"turns: expected the same number of each, got {len(own)} of nabi and {len(peer)} of the peer"
        )
    beside = [(before + after) / 2 for before, after in own]
    ratios = [theirs / ours for ours, theirs in zip(beside, peer, strict=True)]
    low, high = quartiles(ratios)
    return Comparison(
        statistics.median(beside),
        statistics.median(peer),
        statistics.median(ratios),
        low,
        high,
        len(ratios),
    )


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the first and third quartile; for a single value, the value itself.

    >>> quartiles([1, 2, 3, 4, 5])
    (2.0, 4.0)
    """
    if len(values) == 1:
        return float(values[0]), float(values[0])
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def tail(calls: Sequence[float]) -> dict[str, float]:
    """Return the median of single calls, the time that 99 of 100 stay below, and how many calls there are.

    Of fewer than a hundred calls, that time is the longest.

    >>> tail([1.0] * 98 + [3.0, 9.0])
    {'median': 1.0, 'p99': 3.0, 'calls': 100}
    """
    ordered = sorted(calls)
    return {
        "median": statistics.median(ordered),
        "p99": ordered[math.ceil(0.99 * len(ordered)) - 1],
        "calls": len(ordered),
    }


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean, suited to ratios: that of 2 and 1/2 is 1.

    >>> geometric_mean([2, 0.5])
    1.0
    """
    return math.exp(statistics.fmean(math.log(value) for value in values))


def fastest(ratios: dict[str, float]) -> str:
    """Return the peer with the smallest time relative to nabi's.

    >>> fastest({"torch": 2.1, "jax": 1.4})
    'jax'
    """
    return min(ratios, key=lambda peer: ratios[peer])
