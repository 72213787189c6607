"""How good a model of notes is."""

from dataclasses import dataclass
from typing import ClassVar

from nabi.models._task._described import Described

__all__ = ["NoteReport"]


@dataclass(frozen=True)
class NoteReport(Described):
    """What a model of notes says of pieces that it has not learnt from.

    `validation` and `test` are in nats per frame: the mean over all frames of the negative natural logarithm
    of the probability that the model gave to the keys that really sounded, and to all others to be silent.
    With the output "keys" these are 88 independent probabilities, the measure of Boulanger-Lewandowski et al.
    (2012) for networks without anything on top. None where nothing was held out.
    """

    _called: ClassVar[str] = "report"

    output: str
    """What the probabilities are: of "keys" by themselves, or of "chords"."""
    train_pieces: int
    train_frames: int
    """How many were learnt from."""
    validation_pieces: int
    validation_frames: int
    test_pieces: int
    test_frames: int
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
                pieces, frames = getattr(self, f"{name}_pieces"), getattr(self, f"{name}_frames")
                lines.append(
                    f"{name}: {value:.3f} nats per frame ({frames:,} frames of {pieces:,} "
                    f"{'piece' if pieces == 1 else 'pieces'})"
                )
        return "\n".join(lines) or "nothing was held out"
