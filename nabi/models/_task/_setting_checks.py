"""What the settings of models that generate have in common: their checks, and the learning rate over time."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nabi import _checks

__all__ = [
    "SCHEDULES",
    "check_flags",
    "check_rate",
    "check_training",
    "check_whole",
    "check_wholes",
    "keep",
    "scheduled",
]

SCHEDULES = ("cosine", "constant")
"""What the learning rate does after it has risen."""


def keep(settings: object, name: str, value: Any) -> None:
    """Put a checked value, now Python's own, into settings that are frozen."""
    object.__setattr__(settings, name, value)


def check_whole(settings: object, name: str, least: int, *, optional: bool = False) -> None:
    """Refuse a setting that is no whole number from `least` on; where it is optional, None is right too."""
    value = getattr(settings, name)
    otherwise = " or None" if optional else ""
    if value is not None or not optional:
        keep(settings, name, _checks.whole(name, value, least, otherwise=otherwise))


def check_wholes(settings: object, least: Mapping[str, int]) -> None:
    """Refuse settings of these names that are no whole numbers from the least of each on, or no seeds."""
    for name, number in least.items():
        if name == "seed":
            keep(settings, name, _checks.seed(name, getattr(settings, name)))
        else:
            check_whole(settings, name, number)


def check_rate(settings: object, name: str) -> None:
    """Refuse a setting that is no share of at least 0 and below 1."""
    keep(settings, name, _checks.rate(name, getattr(settings, name)))


def check_flags(settings: object, names: Iterable[str]) -> None:
    """Refuse settings that are neither True nor False."""
    for name in names:
        keep(settings, name, _checks.flag(name, getattr(settings, name)))


def check_training(settings: Any, rates: Iterable[str]) -> None:
    """Refuse shares of these names that cannot be, and settings of AdamW that every training has."""
    for name in rates:
        check_rate(settings, name)
    for name in ("learning_rate", "clipnorm"):  # they are for learning something, unlike an optimizer alone
        keep(settings, name, _checks.real(name, getattr(settings, name), above=0))
    keep(settings, "weight_decay", _checks.real("weight_decay", settings.weight_decay, least=0))


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
