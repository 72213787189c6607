"""What a captioner can be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nabi import _checks
from nabi.errors import ArgumentError
from nabi.models._networks._attention import ATTENTIONS
from nabi.models._task._described import Described
from nabi.models._task._setting_checks import (
    check_flags,
    check_training,
    check_whole,
    check_wholes,
    keep,
    scheduled,
)

__all__ = ["CaptionSettings"]

_UNITS = ("words", "characters", "pieces")
# None of these may be left out or below the number.
_WHOLE = {
    "units": 1,
    "layers": 1,
    "image_size": 8,
    "vocabulary_size": 5,
    "minimum_count": 1,
    "embedding_size": 1,
    "batch_size": 1,
    "warmup": 0,
    "seed": 0,
}


@dataclass(frozen=True)
class CaptionSettings(Described):
    """The settings of a `Captioner`, which says what each means; `epochs` None is chosen by `fit`."""

    cell: str = "gru"
    units: int = 128
    layers: int = 1
    image_size: int = 48
    channels: tuple[int, ...] = (16, 32, 64, 64)
    attention: str | None = "bahdanau"
    unit: str = "words"
    vocabulary_size: int = 10_000
    minimum_count: int = 1
    lowercase: bool = True
    embedding_size: int = 64
    dropout: float = 0.1
    word_dropout: float = 0.2
    batch_size: int = 32
    epochs: int | None = None
    learning_rate: float = 4e-3
    warmup: int = 100
    clipnorm: float = 1.0
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_wholes(self, _WHOLE)
        check_whole(self, "epochs", 1, optional=True)
        channels: object = self.channels
        if not isinstance(channels, Sequence | np.ndarray) or isinstance(channels, str) or not len(channels):
            raise ArgumentError(
                f"channels: expected a list of whole numbers of at least 1, got {_checks.short(channels)}"
            )
        channels = tuple(_checks.whole(f"channels[{place}]", one) for place, one in enumerate(channels))
        keep(self, "channels", channels)
        if self.image_size < 2 ** (len(channels) - 1):
            raise ArgumentError(
                f"image_size: {self.image_size} is too small for {len(channels)} convolutions, each but the "
                f"last of which halves it; expected {2 ** (len(channels) - 1)} at least"
            )
        _checks.choice("unit", self.unit, _UNITS)
        if self.attention is not None:
            _checks.choice("attention", self.attention, ATTENTIONS)
        check_training(self, ("dropout", "word_dropout"))
        check_flags(self, ["lowercase"])

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, as JSON can hold them and gives them back."""
        return {**super().to_dict(), "channels": list(self.channels)}

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of training, counted from 0, of so many.

        It rises over the first `warmup` steps, or the first tenth of few, and then falls along half a cosine
        to a fiftieth.
        """
        return scheduled(self.learning_rate, "cosine", self.warmup, step, steps)
