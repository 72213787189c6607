"""How good a translator is."""

import math
from dataclasses import dataclass
from typing import ClassVar

from nabi.models._task._described import Described

__all__ = ["TranslatorReport"]


@dataclass(frozen=True)
class TranslatorReport(Described):
    """What a translator says of pairs that it has not learnt from.

    `validation` is in nats per code of the targets, their ends among them: the mean of the negative natural
    logarithm of the probability that it gave to what really came next, after the right beginning. None where
    nothing was held out.
    """

    _called: ClassVar[str] = "report"

    unit: str
    """What a code is: "subwords", "words", "characters" or "pieces"."""
    train_pairs: int
    """How many were learnt from."""
    validation_pairs: int
    source_codes: int
    """How many the vocabulary of the sources has, without the reserved ones."""
    target_codes: int
    unknown_source: float
    """Share of the codes of the sources that are unknown, where pairs were held out of those, else of all."""
    unknown_target: float
    left_out: int
    """Pairs that were left out, since one side was empty or too long."""
    first_left_out: list[str]
    """Which these are and why, the first few."""
    validation: float | None
    seconds: float
    """How long training took."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __str__(self) -> str:
        lines = [f"pairs: {self.train_pairs:,} to learn from, {self.validation_pairs:,} for validation"]
        if self.left_out:
            more = "" if self.left_out == len(self.first_left_out) else ", ..."
            lines.append(f"left out: {self.left_out:,} ({'; '.join(self.first_left_out)}{more})")
        lines.append(
            f"known: {self.source_codes:,} {self.unit} of the sources ({self.unknown_source:.2%} unknown), "
            f"{self.target_codes:,} of the targets ({self.unknown_target:.2%} unknown)"
        )
        if self.validation is None:
            lines.append("nothing was held out")
        else:
            lines.append(
                f"validation: {self.validation:.4f} nats per {self.unit.removesuffix('s')} "
                f"(perplexity {math.exp(min(self.validation, 700)):,.2f})"
            )
        return "\n".join(lines)
