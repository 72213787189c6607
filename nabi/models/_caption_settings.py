"""What a captioner can be told."""

import math
from dataclasses import dataclass
from typing import Any

from nabi.errors import ArgumentError, unknown_name
from nabi.models._attention import ATTENTIONS
from nabi.models._described import Described

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
        for name, least in _WHOLE.items():
            _check_whole(name, getattr(self, name), least)
        if self.epochs is not None:
            _check_whole("epochs", self.epochs, 1, " or None")
        channels: object = self.channels
        if not isinstance(channels, list | tuple) or not channels:
            raise ArgumentError(f"channels: got {channels!r}, expected a list of whole numbers from 1")
        for number, one in enumerate(channels):
            _check_whole(f"channels[{number}]", one, 1)
        object.__setattr__(self, "channels", tuple(channels))
        if self.image_size < 2 ** (len(channels) - 1):
            raise ArgumentError(
                f"image_size: {self.image_size} is too small for {len(channels)} convolutions, each but the "
                f"last of which halves it; expected {2 ** (len(channels) - 1)} at least"
            )
        if self.unit not in _UNITS:
            raise unknown_name("unit", self.unit, _UNITS)
        if self.attention is not None and self.attention not in ATTENTIONS:
            raise unknown_name("attention", self.attention, ATTENTIONS)
        for name in ("dropout", "word_dropout"):
            rate = getattr(self, name)
            if not (_is_number(rate) and 0 <= rate < 1):
                raise ArgumentError(f"{name}: got {rate!r}, expected a rate of 0 or more and below 1")
        for name in ("learning_rate", "clipnorm"):
            value = getattr(self, name)
            if not (_is_number(value) and value > 0):
                raise ArgumentError(f"{name}: got {value!r}, expected a number above 0")
        if not (_is_number(self.weight_decay) and self.weight_decay >= 0):
            raise ArgumentError(f"weight_decay: got {self.weight_decay!r}, expected a number of 0 or more")
        if not isinstance(self.lowercase, bool):
            raise ArgumentError(f"lowercase: got {self.lowercase!r}, expected True or False")

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, as JSON can hold them and gives them back."""
        return {**super().to_dict(), "channels": list(self.channels)}

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step of training, counted from 0, of so many.

        It rises over the first `warmup` steps, or the first tenth of few, and then falls along half a cosine
        to a fiftieth.
        """
        rising = max(min(self.warmup, steps // 10), 1)
        rate = self.learning_rate * min(1.0, (step + 1) / rising)
        return rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0))))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_whole(name: str, value: object, least: int, otherwise: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name}: got {value!r}, expected a whole number from {least}{otherwise}")
