"""Pairs of texts of a translator: checked, divided, turned into codes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data import Vocabulary
from nabi.errors import ArgumentError

__all__ = [
    "Encoded",
    "Pairs",
    "check_texts",
    "divide",
    "encode_pairs",
    "encode_texts",
    "first_few",
    "unknown_share",
]

Codes = npt.NDArray[np.int32]
_SHOWN = 5


@dataclass
class Pairs:
    """Sources and targets, as many of each, and where in what was given each pair is."""

    sources: list[str]
    targets: list[str]
    places: list[int]

    def __len__(self) -> int:
        return len(self.sources)

    def select(self, rows: Sequence[int]) -> "Pairs":
        """Return some of the pairs."""
        parts = ([values[row] for row in rows] for values in (self.sources, self.targets, self.places))
        return Pairs(*parts)  # type: ignore[arg-type]

    @classmethod
    def checked(cls, sources: Any, targets: Any, prefix: str = "") -> "Pairs":
        """Return the pairs that were given.

        Raises:
            ArgumentError: for what is no list of texts, and another number of targets than of sources.
        """
        left = check_texts(f"{prefix}sources", sources)
        right = check_texts(f"{prefix}targets", targets)
        if len(left) != len(right):
            raise ArgumentError(
                f"{prefix}sources, {prefix}targets: got {len(left)} and {len(right)} texts, "
                "expected as many of each"
            )
        return cls(left, right, list(range(len(left))))


@dataclass
class Encoded:
    """Pairs as codes, without `START`, and which pairs were left out."""

    sources: list[Codes] = field(default_factory=list)
    targets: list[Codes] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Which and why, in words."""

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def room(self) -> int:
        """How many codes a target has beyond twice those of its source, at most."""
        return max(
            len(target) - 2 * len(source) for source, target in zip(self.sources, self.targets, strict=True)
        )


def check_texts(name: str, texts: Any) -> list[str]:
    """Return texts as a list.

    Raises:
        ArgumentError: for what is no list of texts.
    """
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        raise ArgumentError(f"{name}: expected a list of texts, got {_short(texts)}")
    every = list(texts)
    for place, text in enumerate(every):
        if not isinstance(text, str):
            raise ArgumentError(f"{name}[{place}]: expected a text, got {_short(text)}")
    return every


def divide(pairs: Pairs, share: float, seed: int) -> tuple[Pairs, Pairs]:
    """Hold out about a share of the pairs; those with the same source stay together.

    So a source that was learnt from is not held out, however many targets it has.
    """
    order = np.random.default_rng(seed).permutation(len(pairs))
    wanted = round(len(pairs) * share)
    held: set[str] = set()
    together: dict[str, int] = {}
    for source in pairs.sources:
        together[source] = together.get(source, 0) + 1
    count = 0
    for row in order.tolist():
        source = pairs.sources[row]
        if source not in held and count + together[source] <= wanted:
            held.add(source)
            count += together[source]
    rows: tuple[list[int], list[int]] = ([], [])
    for row, source in enumerate(pairs.sources):
        rows[source in held].append(row)
    return pairs.select(rows[0]), pairs.select(rows[1])


def encode_texts(vocabulary: Vocabulary, texts: Sequence[str]) -> list[Codes]:
    """Return the codes of each text, without `START`."""
    return [codes[1:] for codes in vocabulary.encode(texts)]


def encode_pairs(
    pairs: Pairs, source: Vocabulary, target: Vocabulary, maxlen: int | None, prefix: str = ""
) -> Encoded:
    """Turn pairs into codes; those with an empty side or more than `maxlen` codes on one are left out."""
    encoded = Encoded()
    sides = {
        "sources": encode_texts(source, pairs.sources),
        "targets": encode_texts(target, pairs.targets),
    }
    for row, place in enumerate(pairs.places):
        problem = None
        for name, codes in sides.items():
            count = len(codes[row])
            if not count:
                problem = problem or f"{prefix}{name}[{place}] is empty"
            elif maxlen is not None and count > maxlen:
                problem = problem or f"{prefix}{name}[{place}] has {count} {source.unit}"
        if problem is None:
            encoded.sources.append(sides["sources"][row])
            encoded.targets.append(sides["targets"][row])
        else:
            encoded.left_out.append(problem)
    return encoded


def unknown_share(sequences: Sequence[Codes]) -> float:
    """Return which share of all codes is unknown."""
    codes = np.concatenate(sequences)
    return float((codes == Vocabulary.UNKNOWN).mean())


def first_few(left_out: Sequence[str]) -> list[str]:
    """Return the first few of what was left out."""
    return list(left_out[:_SHOWN])


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
