"""What a model of notes can be told."""

from dataclasses import dataclass

from nabi import _checks
from nabi.data import check_steps
from nabi.models._task._described import Described
from nabi.models._task._setting_checks import SCHEDULES, check_training, check_wholes, keep, scheduled

__all__ = ["OUTPUTS", "NoteSettings"]

OUTPUTS = ("keys", "chords")
# None of these may be left out or below the number.
_WHOLE = {
    "units": 1,
    "layers": 1,
    "embedding_size": 1,
    "batch_size": 1,
    "window": 1,
    "epochs": 1,
    "warmup": 0,
    "seed": 0,
}
_MOST_TRANSPOSED = 11
_RATES = ("input_dropout", "dropout", "weight_drop")


@dataclass(frozen=True)
class NoteSettings(Described):
    """The settings of a `NoteModel`, which says what each means; `steps_per_beat` None is chosen by `fit`."""

    cell: str = "lstm"
    units: int = 256
    layers: int = 1
    embedding_size: int = 128
    output: str = "keys"
    steps_per_beat: int | None = None
    transpose: int = 0
    input_dropout: float = 0.0
    dropout: float = 0.3
    weight_drop: float = 0.0
    batch_size: int = 16
    window: int = 256
    epochs: int = 100
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    warmup: int = 100
    clipnorm: float = 1.0
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_wholes(self, _WHOLE)
        keep(self, "transpose", _checks.whole("transpose", self.transpose, 0, _MOST_TRANSPOSED))
        if self.steps_per_beat is not None:
            keep(self, "steps_per_beat", check_steps(self.steps_per_beat))
        _checks.choice("output", self.output, OUTPUTS)
        _checks.choice("schedule", self.schedule, SCHEDULES)
        check_training(self, _RATES)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of training, counted from 0, of so many.

        It rises over the first `warmup` steps, or the first tenth of few; with "cosine" it then falls along
        half a cosine to a fiftieth.
        """
        return scheduled(self.learning_rate, self.schedule, self.warmup, step, steps)
