"""Listening to a stream of sound: labels as they are spoken."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data import Resampler
from nabi.decoding import CTCGreedy
from nabi.errors import ShapeError
from nabi.models._sequences._stream import SequenceStream
from nabi.models._sound._samples import ENDING

__all__ = ["Heard", "SoundStream", "SpeechStream"]

Samples = npt.NDArray[np.float32]

_FRAME = 0.010  # seconds
# A stretch begins where a few frames are so much louder than the quietest ones of late, and ends after a
# pause. A little of what is quiet before and after belongs to it.
_LOUDER = 9.0  # in dB
_LOUD_FRAMES, _PAUSE_FRAMES, _QUIET_FRAMES, _SHORTEST = 3, 20, 3, 10
_QUIETEST = -80.0  # in dB below full scale: what is quieter counts as this
_RISE = 0.02  # dB by which the floor rises with each frame


@dataclass(frozen=True)
class Heard:
    """A label that was heard in a stream."""

    label: str
    seconds: float
    """Time in the stream at which it was known."""
    probability: float | None = None
    """Of the label, where a stretch has one label."""


class _Listener:
    """Takes sound of any rate in chunks of any size, and hands on frames of 10 ms at the rate of a model."""

    def __init__(self, stream: SequenceStream, rate: int, given: int | None) -> None:
        given = rate if given is None else _checks.whole("rate", given, otherwise=" or None")
        self._stream, self._rate, self._resampler = stream, rate, Resampler(given, rate)

    def _taken(self, chunk: Any) -> Samples:
        array = np.asarray(chunk)
        if array.ndim != 1 or array.dtype.kind != "f":
            raise ShapeError(
                f"chunk: expected real numbers [N] from -1 to 1, got {array.dtype} {array.shape}"
            )
        return self._resampler.feed(array.astype(np.float32, copy=False))


class SpeechStream(_Listener):
    """Says the words of a stream as they come; made by `SpeechRecognizer.stream`.

    What it says does not depend on where the stream is cut.
    """

    def __init__(
        self, stream: SequenceStream, names: tuple[str, ...], step: float, rate: int, given: int | None
    ) -> None:
        super().__init__(stream, rate, given)
        self._names, self._step, self._greedy = names, step, CTCGreedy()

    def push(self, chunk: Any) -> list[Heard]:
        """Return the words that begin in the next samples, real numbers `[N]` from -1 to 1.

        Raises:
            ShapeError: for something else.
        """
        return self._said(self._taken(chunk))

    def finish(self) -> list[Heard]:
        """Return the words that are said only when nothing follows them."""
        silence = np.zeros(round(ENDING * self._rate), np.float32)
        return self._said(np.concatenate([self._resampler.finish(), silence]))

    def _said(self, samples: Samples) -> list[Heard]:
        before = self._stream.steps
        found = []
        for number, row in enumerate(self._stream.push(samples), 1):
            # Their order is that of the logarithms.
            for code in self._greedy.feed(row[None]):
                found.append(Heard(self._names[code - 1], (before + number) * self._step))
        return found


class SoundStream(_Listener):
    """Says a label after each stretch of a stream that is loud; made by `SoundClassifier.stream`.

    A stretch begins when the level of some frames of 10 ms is 9 dB above the quietest of late, and ends after
    a pause of 200 ms. What it says does not depend on where the stream is cut.
    """

    def __init__(
        self,
        stream: SequenceStream,
        names: tuple[str, ...],
        rate: int,
        given: int | None,
        threshold: float,
    ) -> None:
        super().__init__(stream, rate, given)
        self._names, self._threshold = names, threshold
        self._size = max(round(_FRAME * rate), 1)
        self._rest = np.zeros(0, np.float32)
        self._held: list[Samples] = []
        """Quiet frames that belong to a stretch only if a loud one follows."""
        self._floor: float | None = None
        self._frames = self._loud = self._quiet = self._length = 0
        self._inside = False
        self._told: npt.NDArray[np.float32] | None = None

    def push(self, chunk: Any) -> list[Heard]:
        """Return the labels of the stretches that end in the next samples, real numbers `[N]` from -1 to 1.

        Raises:
            ShapeError: for something else.
        """
        return self._said(self._taken(chunk))

    def finish(self) -> list[Heard]:
        """Return the label of the stretch that the end of the stream cuts off."""
        found = self._said(self._resampler.finish())
        return found + self._end() if self._inside else found

    def _said(self, samples: Samples) -> list[Heard]:
        samples = np.concatenate([self._rest, samples])
        count = len(samples) // self._size
        self._rest = samples[count * self._size :]
        found: list[Heard] = []
        for frame in samples[: count * self._size].reshape(count, self._size):
            found += self._frame(frame)
        return found

    def _frame(self, frame: Samples) -> list[Heard]:
        self._frames += 1
        power = float(frame.dot(frame)) / len(frame)
        level = max(10 * math.log10(power + 1e-12), _QUIETEST)
        floor = level if self._floor is None else min(level, self._floor + _RISE)
        self._floor = floor
        loud = level > floor + _LOUDER
        self._loud = self._loud + 1 if loud else 0
        self._quiet = 0 if loud else self._quiet + 1
        self._held.append(frame)
        if self._inside:
            if loud or self._quiet <= _QUIET_FRAMES:
                self._hear()
            return self._end() if self._quiet >= _PAUSE_FRAMES else []
        self._held = self._held[-(_QUIET_FRAMES + _LOUD_FRAMES) :]
        if self._loud >= _LOUD_FRAMES:
            self._inside, self._length = True, 0
            self._stream.reset()
            self._hear()
        return []

    def _hear(self) -> None:
        """Read the frames that are held."""
        self._told = self._stream.push(np.concatenate(self._held))
        self._length += len(self._held)
        self._held = []

    def _end(self) -> list[Heard]:
        self._inside, self._held = False, []
        if self._length < _SHORTEST or self._told is None:
            return []
        best = int(self._told.argmax())
        if self._told[best] < self._threshold:
            return []
        return [Heard(self._names[best], self._frames * _FRAME, float(self._told[best]))]
