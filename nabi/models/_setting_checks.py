"""What the settings of models that generate have in common: their checks, and the learning rate over time."""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from nabi.errors import ArgumentError, unknown_name

__all__ = [
    "SCHEDULES",
    "check_choice",
    "check_flag",
    "check_not_negative",
    "check_positive",
    "check_rate",
    "check_training",
    "check_whole",
    "check_wholes",
    "scheduled",
]

SCHEDULES = ("cosine", "constant")
"""What the learning rate does after it has risen."""


def check_whole(name: str, value: object, least: int, otherwise: str = "") -> None:
    """Refuse what is no whole number from `least` on; `otherwise` is what else the message says is right."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name}: got {value!r}, expected a whole number from {least}{otherwise}")


def check_wholes(settings: object, least: Mapping[str, int], otherwise: str = "") -> None:
    """Refuse settings of these names that are no whole numbers from the least of each on."""
    for name, number in least.items():
        check_whole(name, getattr(settings, name), number, otherwise)


def check_rate(name: str, value: object) -> None:
    """Refuse what is no share of 0 or more and below 1."""
    if not (_is_number(value) and 0 <= value < 1):  # type: ignore[operator]
        raise ArgumentError(f"{name}: got {value!r}, expected a rate of 0 or more and below 1")


def check_positive(name: str, value: object) -> None:
    """Refuse what is no number above 0."""
    if not (_is_number(value) and value > 0):  # type: ignore[operator]
        raise ArgumentError(f"{name}: got {value!r}, expected a number above 0")


def check_not_negative(name: str, value: object) -> None:
    """Refuse what is no number of 0 or more."""
    if not (_is_number(value) and value >= 0):  # type: ignore[operator]
        raise ArgumentError(f"{name}: got {value!r}, expected a number of 0 or more")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise ArgumentError(f"{name}: got {value!r}, expected True or False")


def check_choice(name: str, value: object, known: Collection[str]) -> None:
    """Refuse what is not among the known names, with an `UnknownNameError`."""
    if value not in known:
        raise unknown_name(name, str(value), known)


def check_training(settings: Any, rates: Iterable[str]) -> None:
    """Refuse shares of these names that cannot be, and settings of AdamW that every training has."""
    for name in rates:
        check_rate(name, getattr(settings, name))
    for name in ("learning_rate", "clipnorm"):
        check_positive(name, getattr(settings, name))
    check_not_negative("weight_decay", settings.weight_decay)


def scheduled(rate: float, schedule: str, warmup: int, step: int, steps: int) -> float:
    """Return the learning rate of a step of training, counted from 0, of so many.

    It rises to `rate` over the first `warmup` steps, or the first tenth of few; with the schedule "cosine" it
    then falls along half a cosine to a fiftieth.
    """
    rising = max(min(warmup, steps // 10), 1)
    rate *= min(1.0, (step + 1) / rising)
    if schedule == "cosine":
        rate *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(step / max(steps, 1), 1.0)))
    return rate


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
