"""Composing: frame after frame, the keys of each drawn together from what a network of notes says."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nabi import _checks
from nabi.data import KEYS, LOWEST, Frame
from nabi.errors import NotFiniteError
from nabi.models._notes._network import END, NoteSteps

__all__ = ["FrameSampling", "compose"]

Floats = npt.NDArray[np.float64]

# Whole chords that are drawn before one is taken that has been cut at the most voices.
_TRIES = 100


@dataclass(frozen=True)
class FrameSampling:
    """How frames are drawn: the keys of a frame together, never more than `voices` of them.

    The logits are divided by the temperature. Of independent keys, a frame is drawn as often as they would
    give it by chance if frames with fewer keys than `fewest` or more than `voices` were thrown away and drawn
    anew. It is done without throwing any away, from the sums of the products of odds (Chen and Liu 1997). Of
    keys that know those below them, that is done indeed.

    Args:
        temperature: below 1 what is probable becomes more probable still; 0 takes the keys that are more
            probable than not, of too many the most probable.
        voices: keys of a frame at most.
        fewest: keys of a frame at least.
        seed: of the random numbers.

    Raises:
        ArgumentError: for a value that cannot be used.
    """

    temperature: float = 1.0
    voices: int = 4
    fewest: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        voices = _checks.whole("voices", self.voices, 1, KEYS)
        plain = {
            "temperature": _checks.real("temperature", self.temperature, least=0),
            "voices": voices,
            "fewest": _checks.whole("fewest", self.fewest, 0, voices),
            "seed": _checks.seed("seed", self.seed),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    def drawer(self, coupling: Floats | None) -> "Drawer":
        """Return what draws one frame after the other; `coupling` is that of a network of chords."""
        return Drawer(self, coupling)


class Drawer:
    """Draws frames, with random numbers of its own."""

    def __init__(self, sampling: FrameSampling, coupling: Floats | None) -> None:
        self._sampling, self._coupling = sampling, coupling
        self._random = np.random.default_rng(sampling.seed)

    def ends(self, logit: float) -> bool:
        """Whether something happens that a network gives this logit."""
        if self._sampling.temperature == 0:
            return logit > 0
        return self._random.random() < _sigmoid(logit / self._sampling.temperature)

    def keys(self, logits: Floats) -> list[int]:
        """Return the keys, 0 to 87, of the next frame, the lowest first.

        Raises:
            NotFiniteError: for logits that are no numbers.
        """
        if not np.isfinite(logits).all():
            raise NotFiniteError(
                "logits: those of the next frame are NaN or infinite; the model's weights may have become so"
            )
        if self._sampling.temperature == 0:
            return self._most_probable(logits)
        if self._coupling is None:
            return self._independent(logits / self._sampling.temperature)
        return self._chord(logits)

    def _most_probable(self, logits: Floats) -> list[int]:
        sampling, logits = self._sampling, logits.copy()
        if self._coupling is not None:
            for key in range(KEYS):
                if logits[key] > 0:
                    logits += self._coupling[key]
        ranked = np.argsort(-logits, kind="stable")
        count = min(max(int((logits > 0).sum()), sampling.fewest), sampling.voices)
        return sorted(int(key) for key in ranked[:count])

    def _independent(self, logits: Floats) -> list[int]:
        fewest, voices = self._sampling.fewest, self._sampling.voices
        # sums[k, j]: the logarithm of the sum, over all choices of j of the keys from k on, of their odds.
        sums = np.full((KEYS + 1, voices + 1), -np.inf)
        sums[KEYS, 0] = 0.0
        for key in range(KEYS - 1, -1, -1):
            sums[key, 0] = 0.0
            sums[key, 1:] = np.logaddexp(sums[key + 1, 1:], logits[key] + sums[key + 1, :-1])
        counts = sums[0, fewest:]
        weights = np.exp(counts - counts.max())
        left = fewest + int((weights.cumsum() <= self._random.random() * weights.sum()).sum())
        keys = []
        for key in range(KEYS):
            if not left:
                break
            share = math.exp(min(0.0, logits[key] + sums[key + 1, left - 1] - sums[key, left]))
            if self._random.random() < share:
                keys.append(key)
                left -= 1
        return keys

    def _chord(self, logits: Floats) -> list[int]:
        assert self._coupling is not None
        fewest, voices = self._sampling.fewest, self._sampling.voices
        for _ in range(_TRIES):
            draws, now, keys = self._random.random(KEYS), logits.copy(), list[int]()
            for key in range(KEYS):
                if draws[key] < _sigmoid(now[key] / self._sampling.temperature):
                    keys.append(key)
                    now += self._coupling[key]
            if fewest <= len(keys) <= voices:
                return keys
        return keys[:voices] if len(keys) > voices else keys


def compose(
    steps: NoteSteps, roll: Tensor, frames: int, sampling: FrameSampling, *, ends: bool
) -> Iterator[Frame]:
    """Compose at most so many frames after those of a beginning."""
    drawer = sampling.drawer(steps.coupling)
    logits, states = steps.start(roll)
    for number in range(frames):
        values = logits.double().numpy()
        # Something is played in any case.
        if ends and (number or len(roll)) and drawer.ends(float(values[END])):
            return
        keys = drawer.keys(values[:KEYS])
        yield tuple([key + LOWEST for key in keys])
        if number + 1 < frames:
            logits, states = steps.step(keys, states)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
