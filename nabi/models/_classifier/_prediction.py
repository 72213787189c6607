"""What a text classifier predicts for a text."""

from dataclasses import dataclass

__all__ = ["Prediction"]


@dataclass(frozen=True)
class Prediction:
    """What a classifier predicts for a text."""

    label: str | tuple[str, ...]
    """The likeliest label; with several at once, all whose probability is above the threshold."""
    probability: float
    """Of that label; with several at once, of the likeliest label, given or not."""
    probabilities: dict[str, float]
    """Of all labels."""
