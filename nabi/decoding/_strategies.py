"""Decoding strategies."""

from dataclasses import dataclass
from typing import Any

from nabi import _checks
from nabi.errors import ArgumentError

__all__ = ["BeamSearch", "Greedy", "Sampling", "Strategy"]


@dataclass(frozen=True)
class Greedy:
    """The most probable code at every step; the smallest of equally probable ones."""


@dataclass(frozen=True)
class Sampling:
    """A random next code, drawn from the predicted probabilities.

    The options are applied in this order: repetition penalty, temperature, `top_k`, `top_p`.

    Args:
        temperature: the probabilities are raised to 1 / temperature: below 1 probable codes become more
            probable, above 1 the distribution becomes flatter. 0 takes the most probable code.
        top_k: draw from the k most probable codes only; None for all.
        top_p: draw only from the most probable codes that together have at least this probability (nucleus
            sampling, Holtzman et al. 2020); 1 for all.
        repetition_penalty: divides the relative probability of codes chosen before; 1 for no penalty.
            (Keskar et al. 2019 divide logits, whose effect depends on the arbitrary zero of the logits.)
        repetition_window: how many of the last codes count as chosen before.
        seed: of the random numbers. Row r of a batch is drawn like a single row with the seed `seed + r`.

    Raises:
        ArgumentError: for a value out of range.

    >>> Sampling(temperature=0.7, top_k=5).top_k
    5
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    repetition_window: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        plain: dict[str, Any] = {
            "temperature": _checks.real("temperature", self.temperature, least=0),
            "top_p": _checks.real("top_p", self.top_p, above=0, most=1, what="probability"),
            "repetition_penalty": _checks.real("repetition_penalty", self.repetition_penalty, least=1),
            "repetition_window": _checks.whole("repetition_window", self.repetition_window),
            "seed": _checks.seed("seed", self.seed),
        }
        if self.top_k is not None:
            plain["top_k"] = _checks.whole("top_k", self.top_k, otherwise=" or None")
        for name, value in plain.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class BeamSearch:
    """Approximately the most probable sequences, found by following the `beam` most probable prefixes.

    A sequence that ends leaves the beam, which then shrinks by one; a beam of 1 is therefore `Greedy`.
    Sequences are ranked by `log probability / length ** length_penalty`, including their end. Sequences cut
    off by `maxlen` rank after all that ended.

    Args:
        beam: number of prefixes to follow.
        best: number of sequences to return for each row, best first; there may be fewer.
        length_penalty: 0 compares probabilities, which favours short sequences; 1 compares the mean log
            probability per code.

    Raises:
        ArgumentError: for a beam below 1, `best` larger than the beam, or a negative penalty.
    """

    beam: int = 5
    best: int = 1
    length_penalty: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "beam", _checks.whole("beam", self.beam))
        object.__setattr__(self, "best", _checks.whole("best", self.best))
        if self.best > self.beam:
            raise ArgumentError(f"best: expected at most the beam of {self.beam}, got {self.best}")
        penalty = _checks.real("length_penalty", self.length_penalty, least=0, most=100)
        object.__setattr__(self, "length_penalty", penalty)


Strategy = Greedy | Sampling | BeamSearch
