"""What a language model can be told."""

from dataclasses import dataclass

from nabi import _checks
from nabi.models._task._described import Described
from nabi.models._task._setting_checks import (
    SCHEDULES,
    check_flags,
    check_training,
    check_whole,
    check_wholes,
    scheduled,
)

__all__ = ["LanguageSettings"]

_UNITS = ("characters", "words", "pieces")
# None of these may be left out or below the number.
_WHOLE = {
    "units": 1,
    "layers": 1,
    "embedding_size": 1,
    "vocabulary_size": 5,
    "minimum_count": 1,
    "batch_size": 1,
    "window": 1,
    "warmup": 0,
    "seed": 0,
}
_RATES = ("embedding_dropout", "input_dropout", "dropout", "weight_drop")


@dataclass(frozen=True)
class LanguageSettings(Described):
    """The settings of a `LanguageModel`, which says what each means; `epochs` None is chosen by `fit`."""

    cell: str = "lstm"
    units: int = 512
    layers: int = 1
    unit: str = "characters"
    vocabulary_size: int = 20_000
    minimum_count: int = 1
    lowercase: bool = False
    embedding_size: int = 128
    tied: bool = False
    embedding_dropout: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.2
    weight_drop: float = 0.0
    batch_size: int = 32
    window: int = 128
    epochs: int | None = None
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    warmup: int = 100
    clipnorm: float = 1.0
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_wholes(self, _WHOLE)
        check_whole(self, "epochs", 1, optional=True)
        _checks.choice("unit", self.unit, _UNITS)
        _checks.choice("schedule", self.schedule, SCHEDULES)
        check_training(self, _RATES)
        check_flags(self, ("lowercase", "tied"))

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of training, counted from 0, of so many.

        It rises over the first `warmup` steps, or the first tenth of few; with "cosine" it then falls along
        half a cosine to a fiftieth.
        """
        return scheduled(self.learning_rate, self.schedule, self.warmup, step, steps)
