"""How codes are chosen: what a user can ask for."""

from dataclasses import dataclass
from typing import Any

from nabi import _checks
from nabi.errors import ArgumentError

__all__ = ["BeamSearch", "Greedy", "Sampling", "Strategy"]


@dataclass(frozen=True)
class Greedy:
    """The most probable next code, at every step; of equally probable ones the smallest."""


@dataclass(frozen=True)
class Sampling:
    """A next code by chance, each as often as its probability says.

    What changes the probabilities is applied in this order: repetition penalty, temperature, `top_k`,
    `top_p`.

    Args:
        temperature: below 1 probable codes become more probable still, above 1 all become more alike: the
            probabilities are raised to 1 / temperature. 0 takes the most probable code.
        top_k: only the k most probable codes are drawn from; None for all.
        top_p: only the most probable codes that together have at least this probability are drawn from
            (nucleus sampling, Holtzman et al. 2020); 1 for all.
        repetition_penalty: the probability of a code that was chosen before is divided by this, compared with
            those of the others; 1 for no penalty. (Keskar et al. 2019 divide logits, which means something
            else for every zero that the logits may have.)
        repetition_window: how many of the last codes count as chosen before.
        seed: of the random numbers. Row r of a batch is drawn as a single row with the seed `seed + r`.

    Raises:
        ArgumentError: for a value that cannot be used.

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
    """The most probable whole sequences, as far as following the `beam` most probable beginnings finds them.

    A sequence that ends leaves the beam, which is smaller by one from then on; so a beam of 1 is `Greedy`.
    Sequences are compared by `log probability / length ** length_penalty`, their end counted. One that
    `maxlen` cut off comes after all that ended.

    Args:
        beam: how many beginnings are followed.
        best: how many sequences are wanted for each row, the best first; there may be fewer.
        length_penalty: 0 compares probabilities, which are higher for short sequences; 1 compares the mean
            log probability of a code.

    Raises:
        ArgumentError: for a beam below 1, more best sequences than the beam has, a negative penalty.
    """

    beam: int = 5
    best: int = 1
    length_penalty: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "beam", _checks.whole("beam", self.beam))
        object.__setattr__(self, "best", _checks.whole("best", self.best))
        if self.best > self.beam:
            raise ArgumentError(
                f"best: got {self.best}, but a beam of {self.beam} finds no more than {self.beam}"
            )
        penalty = _checks.real("length_penalty", self.length_penalty, least=0, most=100)
        object.__setattr__(self, "length_penalty", penalty)


Strategy = Greedy | Sampling | BeamSearch
