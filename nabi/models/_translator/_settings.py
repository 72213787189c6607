"""What a translator can be told."""

from dataclasses import dataclass

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.models._task._described import Described
from nabi.models._task._setting_checks import (
    SCHEDULES,
    check_flags,
    check_rate,
    check_training,
    check_whole,
    check_wholes,
    keep,
    scheduled,
)
from nabi.models._task._shared_settings import ATTENTIONS

__all__ = ["TranslatorSettings"]

_UNITS = ("subwords", "words", "characters", "pieces")
# None of these may be left out or below the number.
_WHOLE = {
    "units": 1,
    "layers": 1,
    "minimum_count": 1,
    "embedding_size": 1,
    "batch_size": 1,
    "warmup": 0,
    "seed": 0,
}
# These may be None.
_WHOLE_OR_NONE = {"vocabulary_size": 6, "maxlen": 1, "epochs": 1, "patience": 1}


@dataclass(frozen=True)
class TranslatorSettings(Described):
    """The settings of a `Translator`, which says what each means; `epochs` None is chosen by `fit`."""

    cell: str = "gru"
    units: int = 256
    layers: int = 1
    bidirectional: bool = True
    attention: str | None = "luong"
    input_feeding: bool = False
    unit: str = "subwords"
    vocabulary_size: int | None = None
    minimum_count: int = 1
    lowercase: bool = False
    maxlen: int | None = 200
    embedding_size: int = 256
    tied: bool = True
    dropout: float = 0.3
    embedding_dropout: float = 0.0
    label_smoothing: float = 0.1
    scheduled_sampling: float = 0.0
    batch_size: int = 64
    epochs: int | None = None
    patience: int | None = None
    averaging: float | None = None
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup: int = 400
    clipnorm: float = 1.0
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_wholes(self, _WHOLE)
        for name, least in _WHOLE_OR_NONE.items():
            check_whole(self, name, least, optional=True)
        _checks.choice("unit", self.unit, _UNITS)
        _checks.choice("schedule", self.schedule, SCHEDULES)
        if self.attention is not None:
            _checks.choice("attention", self.attention, ATTENTIONS)
        check_training(self, ("dropout", "embedding_dropout", "label_smoothing"))
        sampling = _checks.real(
            "scheduled_sampling", self.scheduled_sampling, least=0, most=1, what="probability"
        )
        keep(self, "scheduled_sampling", sampling)
        if self.averaging is not None:
            check_rate(self, "averaging")
        check_flags(self, ("bidirectional", "input_feeding", "lowercase", "tied"))
        if self.input_feeding and self.attention != "luong":
            raise ArgumentError(
                f"input_feeding: True was given, but attention is {self.attention!r}, not 'luong'"
            )

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of training, counted from 0, of so many.

        It rises over the first `warmup` steps, or the first tenth of few; with "cosine" it then falls along
        half a cosine to a fiftieth.
        """
        return scheduled(self.learning_rate, self.schedule, self.warmup, step, steps)
