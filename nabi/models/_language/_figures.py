"""How well a language model foresees a text."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nabi.models._task._described import Described

__all__ = ["LanguageFigures"]


@dataclass(frozen=True)
class LanguageFigures(Described):
    """What a language model says of a text, by whatever it is cut into.

    Models of characters, words and pieces can be compared by `bits_per_character`, as long as few codes are
    unknown: an unknown word costs only what "unknown" costs.
    """

    _called: ClassVar[str] = "figures"

    unit: str
    """What a code is: "characters", "words" or "pieces"."""
    codes: int
    """How many the text has; of several texts, their ends counted."""
    characters: int
    """How many the text has."""
    unknown: int
    """Codes of what the model does not know."""
    nats: float
    """Mean negative natural logarithm of the probability of a code."""

    @property
    def perplexity(self) -> float:
        """The exponential of the mean nats per code: among how many equally probable codes it wavers."""
        return math.exp(self.nats)

    @property
    def bits_per_character(self) -> float:
        """Mean negative logarithm to base 2 of the probability of what stands for a character."""
        return self.nats * self.codes / (self.characters * math.log(2))

    def __str__(self) -> str:
        one = self.unit.removesuffix("s")
        return (
            f"{self.bits_per_character:.4f} bits per character, {self.nats:.4f} nats per {one}, perplexity "
            f"{self.perplexity:,.2f}\n{self.characters:,} characters in {self.codes:,} codes, "
            f"{self.unknown / self.codes:.1%} of them unknown"
        )
