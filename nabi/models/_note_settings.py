"""What a model of notes can be told."""

import math
from dataclasses import dataclass

from nabi.data._midi_frames import check_steps
from nabi.errors import ArgumentError, unknown_name
from nabi.models._described import Described

__all__ = ["OUTPUTS", "NoteSettings"]

OUTPUTS = ("keys", "chords")
_SCHEDULES = ("cosine", "constant")
# None of these may be left out or below the number.
_WHOLE = {
    "units": 1,
    "layers": 1,
    "embedding_size": 1,
    "transpose": 0,
    "batch_size": 1,
    "window": 1,
    "epochs": 1,
    "warmup": 0,
    "seed": 0,
}
_MOST = {"transpose": 11}
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
        for name, least in _WHOLE.items():
            value, most = getattr(self, name), _MOST.get(name, math.inf)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                upto = f" to {most}" if name in _MOST else ""
                raise ArgumentError(f"{name}: got {value!r}, expected a whole number from {least}{upto}")
        if self.steps_per_beat is not None:
            check_steps(self.steps_per_beat)
        for name, known in (("output", OUTPUTS), ("schedule", _SCHEDULES)):
            if getattr(self, name) not in known:
                raise unknown_name(name, getattr(self, name), known)
        for name in _RATES:
            rate = getattr(self, name)
            if not (_is_number(rate) and 0 <= rate < 1):
                raise ArgumentError(f"{name}: got {rate!r}, expected a rate of 0 or more and below 1")
        for name in ("learning_rate", "clipnorm"):
            value = getattr(self, name)
            if not (_is_number(value) and value > 0):
                raise ArgumentError(f"{name}: got {value!r}, expected a number above 0")
        if not (_is_number(self.weight_decay) and self.weight_decay >= 0):
            raise ArgumentError(f"weight_decay: got {self.weight_decay!r}, expected a number of 0 or more")

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of training, counted from 0, of so many.

        It rises over the first `warmup` steps, or the first tenth of few; with "cosine" it then falls along
        half a cosine to a fiftieth.
        """
        rising = max(min(self.warmup, steps // 10), 1)
        rate = self.learning_rate * min(1.0, (step + 1) / rising)
        if self.schedule == "cosine":
            rate *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0)))
        return rate


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
