"""Strings of words, made by joining recordings of single ones."""

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nabi.models._sequences._samples import SequenceSamples
from nabi.models._sound._log_mel import FRAME

__all__ = ["Join", "Wordless", "join_bands", "join_recordings", "made_strings", "noise_bands"]

_PAUSE, _LONG_PAUSE, _LONG = 0.3, 1.5, 0.1  # seconds at most, and the share that are long
_GAIN = 0.35  # of a word, as the logarithm of a factor: 3 dB
_FADE = 0.005  # seconds over which the noise of a recording begins and ends
_QUIETEST, _LOUDEST = math.log(1e-4), math.log(1e-2)  # noise in all of a string, of the largest sample
# The loudest band of a recording has about so much of the power of a tone that is as large as its largest
# sample; white noise as large has 2 % of it.
_OF_A_TONE = 0.25
# Of the strings so many have a stretch of noise without words, and half of these nothing else.
_WORDLESS = 0.1
_STRETCH = (1.0, 4.0)  # seconds
_LOUDEST_STRETCH = math.log(0.3)  # of the largest sample of a word: noise alone may be as loud as speech

Samples = npt.NDArray[np.float32]
Join = Callable[[list[Samples], np.random.Generator, float | None], Samples]
"""From words to a string; the last pause has so many seconds, or is random."""
Wordless = Callable[[Samples, np.random.Generator], Samples]
"""From a word to a stretch of noise of a level that goes with it."""
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


def noise_bands(word: Samples, random: np.random.Generator, *, white: Samples) -> Samples:
    """Return the power of bands `[T, mels]` of white noise of any level up to about that of a word.

    Who has heard noise only under words says words in noise alone. `white` is as for `join_bands`.
    """
    level = float(word.max()) * _OF_A_TONE * math.exp(2 * random.uniform(_QUIETEST, _LOUDEST_STRETCH))
    first, frames = int(random.integers(len(white))), round(random.uniform(*_STRETCH) / FRAME)
    noise: Samples = white.take(np.arange(first, first + frames), 0, mode="wrap") * np.float32(level)
    return noise


def made_strings(
    samples: Kind,
    join: Join,
    most: int,
    random: np.random.Generator,
    count: int | None = None,
    ending: float | None = None,
    wordless: Wordless | None = None,
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
        wordless: makes stretches without words, with which some strings begin and of which others consist;
            none by default.
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
        words = [samples.inputs[row] for row in chosen]
        groups.append(names[group])
        stretch = []
        if wordless is not None and random.random() < _WORDLESS:
            stretch = [wordless(words[0], random)]
            if random.random() < 0.5:
                inputs += stretch
                strings.append(np.zeros(0, np.int64))
                continue
        inputs.append(np.concatenate([*stretch, join(words, random, ending)]))
        strings.append(np.concatenate([targets[row] for row in chosen]))
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
