"""Strings of words, made by joining recordings of single ones."""

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sound._log_mel import FRAME

__all__ = ["Join", "join_bands", "join_recordings", "made_strings"]

_PAUSE, _LONG_PAUSE, _LONG = 0.3, 1.5, 0.1  # seconds at most, and the share that are long
_GAIN = 0.35  # of a word, as the logarithm of a factor: 3 dB
_FADE = 0.005  # seconds over which the noise of a recording begins and ends
_QUIETEST, _LOUDEST = math.log(1e-4), math.log(1e-2)  # noise in all of a string, of the largest sample
# The loudest band of a recording has about so much of the power of a tone that is as large as its largest
# sample; white noise as large has 2 % of it.
_OF_A_TONE = 0.25

Samples = npt.NDArray[np.float32]
Join = Callable[[list[Samples], np.random.Generator, float | None], Samples]
"""From words to a string; the last pause has so many seconds, or is random."""
Kind = TypeVar("Kind", bound=SequenceSamples)


def join_recordings(
    words: list[Samples], random: np.random.Generator, ending: float | None, *, rate: int
) -> Samples:
    """Return recordings one after the other, with pauses before, between and after them, and with noise.

    Each gets a level of its own, its ends are faded, and a little noise lies under all of it: pauses in which
    every sample is zero would give the words away. The last pause has `ending` seconds, if that is said.
    """

    def pause(seconds: float) -> Samples:
        return np.zeros(round(seconds * rate), np.float32)

    parts = [pause(_pause(random))]
    fade = max(round(_FADE * rate), 1)
    slope = np.linspace(0, 1, fade, dtype=np.float32)
    for word in words:
        faded: Samples = (word * math.exp(random.uniform(-_GAIN, _GAIN))).astype(np.float32)
        if len(faded) > 2 * fade:
            faded[:fade] *= slope
            faded[-fade:] *= slope[::-1]
        parts += [faded, pause(_pause(random))]
    if ending is not None:
        parts[-1] = pause(ending)
    joined = np.concatenate(parts)
    level = float(np.abs(joined).max()) * math.exp(random.uniform(_QUIETEST, _LOUDEST))
    noise = random.standard_normal(len(joined), dtype=np.float32) * np.float32(level)
    return joined + noise


def join_bands(
    words: list[Samples], random: np.random.Generator, ending: float | None, *, white: Samples
) -> Samples:
    """Do as `join_recordings` with the power of bands `[T, mels]` in place of samples, which takes less time.

    `white` is the power of the bands of white noise, `[any, mels]`, 1 in the mean.
    """

    def pause(seconds: float) -> Samples:
        return np.zeros((round(seconds / FRAME), white.shape[1]), np.float32)

    parts = [pause(_pause(random))]
    for word in words:
        louder = np.float32(math.exp(2 * random.uniform(-_GAIN, _GAIN)))
        parts += [word * louder, pause(_pause(random))]
    if ending is not None:
        parts[-1] = pause(ending)
    joined = np.concatenate(parts)
    level = float(joined.max()) * _OF_A_TONE * math.exp(2 * random.uniform(_QUIETEST, _LOUDEST))
    first = int(random.integers(len(white)))
    noise = white.take(np.arange(first, first + len(joined)), 0, mode="wrap")
    return joined + noise * np.float32(level)


def made_strings(
    samples: Kind,
    join: Join,
    most: int,
    random: np.random.Generator,
    count: int | None = None,
    ending: float | None = None,
) -> Kind:
    """Return strings of 1 to `most` recordings of one group, in a random order.

    Every recording occurs about once where `count` is not said.

    Args:
        samples: recordings with targets `[L]`, mostly of one word.
        join: makes a string of them.
        most: recordings of a string at most.
        random: decides everything.
        count: how many strings to make.
        ending: seconds of the last pause of each; random by default.
    """
    rows_of: dict[Hashable, list[int]] = {}
    for row in range(len(samples)):
        rows_of.setdefault(None if samples.groups is None else samples.groups[row], []).append(row)
    targets: Any = samples.targets
    if count is None:
        count = max(round(2 * len(samples) / (most + 1)), 1)
    weights = np.array([len(rows) for rows in rows_of.values()], np.float64)
    members, names = list(rows_of.values()), list(rows_of)
    inputs: list[Samples] = []
    strings: list[npt.NDArray[np.int64]] = []
    groups: list[Hashable] = []
    for _ in range(count):
        group = int(random.choice(len(members), p=weights / weights.sum()))
        chosen = random.choice(members[group], int(random.integers(1, most + 1)))
        inputs.append(join([samples.inputs[row] for row in chosen], random, ending))
        strings.append(np.concatenate([targets[row] for row in chosen]))
        groups.append(names[group])
    return replace(
        samples,
        inputs=inputs,
        targets=strings,
        names=tuple(f"string {number + 1}" for number in range(count)),
        groups=None if samples.groups is None else tuple(groups),
    )


def _pause(random: np.random.Generator) -> float:
    """Return how many seconds the next pause has."""
    return float(random.uniform(0, _LONG_PAUSE if random.random() < _LONG else _PAUSE))
