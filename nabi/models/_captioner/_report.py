"""How good a captioner is."""

from dataclasses import dataclass
from typing import Any, ClassVar

from nabi.models._task._described import Described

__all__ = ["CaptionReport"]


@dataclass(frozen=True)
class CaptionReport(Described):
    """What a captioner says of pictures that it has not learnt from.

    `validation` and `exact` are None where nothing was held out.
    """

    _called: ClassVar[str] = "report"

    train: int
    """Captions that were learnt from."""
    held_out: int
    """Captions that were held out."""
    validation: float | None
    """Of these: the mean of the negative logarithm of the probability of each word, in nats."""
    exact: float | None
    """Share of their pictures that it captions exactly so, always taking the most probable word."""
    seconds: float
    """How long training took."""
    skipped: tuple[str, ...] = ()
    """What is wrong with each picture that was passed over."""
    interrupted: bool = False
    """Whether training was stopped before its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "skipped", tuple(self.skipped))

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, as JSON can hold them and gives them back."""
        return {**super().to_dict(), "skipped": list(self.skipped)}

    def __str__(self) -> str:
        if self.validation is None or self.exact is None:
            return "nothing was held out"
        return (
            f"{self.held_out:,} captions held out: {self.validation:.4f} nats per word, "
            f"{self.exact:.1%} said exactly so"
        )
