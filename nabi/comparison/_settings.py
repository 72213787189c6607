"""How all cells of a comparison are trained."""

from dataclasses import asdict, dataclass
from typing import Any

from nabi import _checks

__all__ = ["STEPS", "Settings"]

STEPS = 1500


@dataclass(frozen=True)
class Settings:
    """The settings that all cells share.

    Attributes:
        units: of every cell.
        steps: of training, each on a batch; None for no end but that of the time.
        minutes: of training, at most.
        batch_size: sequences of a batch.
        learning_rate: of Adam.
        tune: whether each cell gets the best of several learning rates instead.
        threads: that compute.
        memory: whether memory is measured.
    """

    units: int = 32
    steps: int | None = STEPS
    minutes: float | None = None
    batch_size: int = 32
    learning_rate: float = 5e-3
    tune: bool = False
    threads: int = 1
    memory: bool = True

    def __post_init__(self) -> None:
        for name in ("units", "batch_size", "threads"):
            object.__setattr__(self, name, _checks.whole(name, getattr(self, name)))
        if self.steps is not None:
            object.__setattr__(self, "steps", _checks.whole("steps", self.steps))
        if self.minutes is not None:
            object.__setattr__(self, "minutes", _checks.real("minutes", self.minutes, above=0))
        elif self.steps is None:
            object.__setattr__(self, "steps", STEPS)
        object.__setattr__(self, "learning_rate", _checks.real("learning_rate", self.learning_rate, above=0))
        for name in ("tune", "memory"):
            object.__setattr__(self, name, _checks.flag(name, getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """Return what decides about figures; whether memory is measured does not."""
        return {name: value for name, value in asdict(self).items() if name != "memory"}
