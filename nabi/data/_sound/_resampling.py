"""Other sampling rates: a windowed sinc, for whole recordings and for streams."""

from math import gcd

import numpy as np
import numpy.typing as npt

from nabi._checks import whole
from nabi._public import public
from nabi.data._sound._wav_format import Samples
from nabi.errors import ArgumentError, ShapeError

__all__ = ["Resampler", "resample"]

_ZEROS = 24  # of the sinc on each side
_ROLL_OFF = 0.945  # of the lower Nyquist frequency, where the filter begins to fall
_BETA = 9.0  # of the Kaiser window: about 90 dB
_BLOCK = 8192  # samples made at once
_MOST_WEIGHTS = 10_000_000


class Resampler:
    """Changes the rate of a stream; chunks of any size give the same samples as the whole.

    A sample of the output is a sum of the input samples around its time, weighted by a sinc under a Kaiser
    window whose cut-off is below the lower of both Nyquist frequencies. `latency` samples of input have to be
    known beyond its time.

    Args:
        rate: samples per second of what is fed.
        to: samples per second of what is returned.

    Raises:
        ArgumentError: for rates below 1, and for two whose ratio needs too many different filters.
    """

    @public
    def __init__(self, rate: int, to: int) -> None:
        rate, to = whole("rate", rate), whole("to", to)
        divisor = gcd(rate, to)
        self._up, self._down = to // divisor, rate // divisor
        cut = _ROLL_OFF * min(1.0, self._up / self._down)
        self._half = int(np.ceil(_ZEROS / cut))
        if self._up * 2 * self._half > _MOST_WEIGHTS:
            raise ArgumentError(f"rate: {rate} Hz to {to} Hz needs too many filters; choose a simpler ratio")
        self._filters = _filters(self._up, self._half, cut) if rate != to else None
        self._held = np.zeros(self._half, np.float32)
        self._first = -self._half
        """Number of the first sample held."""
        self._made = 0
        self._ended = False

    @property
    def latency(self) -> int:
        """Input samples that have to follow before the output of a time is known."""
        return self._half if self._filters is not None else 0

    def feed(self, samples: Samples) -> Samples:
        """Return what the next input samples make known."""
        if self._filters is None:
            return samples
        self._held = np.concatenate([self._held, samples])
        known = self._first + len(self._held)
        # The last output whose filter ends before what is known.
        until = max(-(-(known - self._half) * self._up // self._down), self._made)
        return self._make(until)

    def finish(self) -> Samples:
        """Return the rest; what follows the input counts as zero."""
        if self._filters is None:
            return np.zeros(0, np.float32)
        count = self._first + len(self._held)
        until = max(-(-count * self._up // self._down), self._made)
        self._held = np.concatenate([self._held, np.zeros(self._half + 1, np.float32)])
        return self._make(until)

    def _make(self, until: int) -> Samples:
        parts = [np.zeros(0, np.float32)]
        assert self._filters is not None
        taps = self._filters.shape[1]
        while self._made < until:
            numbers = np.arange(self._made, min(until, self._made + _BLOCK))
            place, phase = numbers * self._down // self._up, numbers * self._down % self._up
            begins = place - self._half + 1 - self._first
            around = np.lib.stride_tricks.sliding_window_view(self._held, taps)[begins]
            parts.append((around * self._filters[phase]).sum(1, dtype=np.float32))
            self._made = int(numbers[-1]) + 1
        # Earlier samples are not needed again.
        needed = self._made * self._down // self._up - self._half + 1
        if needed > self._first:
            self._held = self._held[needed - self._first :]
            self._first = needed
        return np.concatenate(parts)


@public
def resample(samples: Samples, rate: int, to: int) -> Samples:
    """Return a recording at another rate.

    Args:
        samples: `[N]`, real numbers.
        rate: samples per second now.
        to: samples per second wanted.

    Returns:
        float32 `[ceil(N * to / rate)]`; see `Resampler`.

    Raises:
        ArgumentError: for rates below 1.
        ShapeError: for several channels.

    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    >>> half = resample(tone, 16_000, 8_000)
    >>> len(half), bool(np.abs(half - tone[::2])[100:-100].max() < 1e-3)
    (8000, True)
    """
    array = np.asarray(samples, dtype=np.float32)
    if array.ndim != 1:
        raise ShapeError(f"samples: expected one channel [N], got {array.shape}")
    resampler = Resampler(rate, to)
    return np.concatenate([resampler.feed(array), resampler.finish()])


def _filters(phases: int, half: int, cut: float) -> npt.NDArray[np.float32]:
    """Return the weights `[phases, 2 half]` of the samples from `half - 1` before to `half` after."""
    offsets = np.arange(-half + 1, half + 1)[None, :] - np.arange(phases)[:, None] / phases
    inside = np.clip(1 - (offsets / half) ** 2, 0, None)
    weights = cut * np.sinc(cut * offsets) * np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA)
    # A constant stays what it is.
    scaled: Samples = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return scaled
