"""How good a language model is."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nabi.models._task._described import Described

__all__ = ["LanguageReport"]


@dataclass(frozen=True)
class LanguageReport(Described):
    """What a language model says of texts that it has not learnt from.

    `validation` and `test` are in nats per code, a code being a character or a word: the mean of the
    negative natural logarithm of the probability that it gave to what really came next. None where
    nothing was held out.
    """

    _called: ClassVar[str] = "report"

    unit: str
    """What a code is: "characters", "words" or "pieces"."""
    train_codes: int
    """How many were learnt from."""
    validation_codes: int
    test_codes: int
    validation: float | None
    test: float | None
    seconds: float
    """How long training took."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __str__(self) -> str:
        lines = []
        for name in ("validation", "test"):
            value = getattr(self, name)
            if value is not None:
                counted = f"{getattr(self, f'{name}_codes'):,} {self.unit}"
                lines.append(
                    f"{name}: {value:.4f} nats per {self._one} "
                    f"({value / math.log(2):.3f} bits, perplexity {math.exp(value):,.2f}; {counted})"
                )
        return "\n".join(lines) or "nothing was held out"

    @property
    def _one(self) -> str:
        return self.unit.removesuffix("s")
