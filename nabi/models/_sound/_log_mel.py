"""Log-mel features of sound, frame by frame."""

import itertools

import numpy as np
import numpy.typing as npt
from torch import Tensor

__all__ = ["FRAME", "LogMel", "Samples", "logarithm"]

Samples = npt.NDArray[np.float32]

FRAME = 0.010
"""Seconds from the beginning of a frame to that of the next."""
_WINDOW = 0.025
_LOWEST = 60.0  # in Hz
_FLOOR = np.float32(1e-6)  # of the power, about what 16 bits can hold


class LogMel:
    """Logarithms of the power in bands that are equally wide on the mel scale (Davis and Mermelstein 1980).

    A frame has 25 ms under a Hann window, the next one begins 10 ms later, and none reads what follows it.
    Frames are computed each by itself by the same operations, so a stream gives the same numbers as the whole
    recording, to the last bit.

    Args:
        rate: samples per second.
        mels: number of bands from 60 Hz to half the rate.

    Attributes:
        window, hop: in samples.
    """

    def __init__(self, rate: int, mels: int) -> None:
        """Make the filters."""
        self.rate, self.mels = rate, mels
        self.window, self.hop = max(round(_WINDOW * rate), 2), max(round(FRAME * rate), 1)
        self.size = 1 << (self.window - 1).bit_length()
        self.frequencies = np.arange(self.size // 2 + 1) * rate / self.size
        self._hann = np.float32(0.5) - np.float32(0.5) * np.cos(
            2 * np.pi * np.arange(self.window) / self.window, dtype=np.float32
        )
        # A band is a triangle. Between two neighbouring edges lie the rising side of one and the falling side
        # of another, so that sums over such parts of the power, weighted by both slopes, give all bands.
        edges = self.band_edges()
        places = np.searchsorted(self.frequencies, edges)
        slopes = np.zeros((2, len(self.frequencies)), np.float32)
        for number, (low, high) in enumerate(itertools.pairwise(edges)):
            inside = slice(places[number], places[number + 1])
            slopes[0, inside] = (self.frequencies[inside] - low) / (high - low)
            slopes[1, inside] = 1 - slopes[0, inside]
        self._slopes, self._parts = slopes, places[:-1].clip(max=len(self.frequencies) - 1)
        filled = np.diff(places) > 0
        scales = 1 / np.maximum(self.filters().sum(0), 1e-3)
        # What numpy says of a part without frequencies is not zero.
        self._rising, self._falling = ((scales * one).astype(np.float32) for one in (filled[:-1], filled[1:]))

    def band_edges(self, warp: float = 1.0) -> npt.NDArray[np.float64]:
        """Return the edges of the bands in Hz, two more than bands; `warp` shifts all of them by a factor."""
        lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST, self.rate / 2))
        mels = np.linspace(lowest, highest, self.mels + 2)
        edges: npt.NDArray[np.float64] = 700 * (10 ** (mels / 2595) - 1) * warp
        return edges

    def filters(self, warp: float = 1.0) -> npt.NDArray[np.float64]:
        """Return the triangles as weights `[bins, mels]`, each with 1 at its top."""
        edges, bins = self.band_edges(warp), self.frequencies[:, None]
        rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
        return np.clip(np.minimum(rising, falling), 0, None)

    def frames(self, lengths: Tensor) -> Tensor:
        """Return how many frames recordings of so many samples have; a shorter one than a window has one."""
        return (lengths - self.window).div(self.hop, rounding_mode="floor").clamp_min(0) + 1

    def power(self, samples: Samples) -> Samples:
        """Return the power of each frequency `[..., T, bins]` of samples `[..., N]`."""
        short = self.window - samples.shape[-1]
        if short > 0:
            samples = np.concatenate([samples, np.zeros((*samples.shape[:-1], short), np.float32)], -1)
        # What numpy's sliding_window_view gives, in a tenth of the time for one frame of a stream.
        samples = np.ascontiguousarray(samples)
        windows = np.ndarray(
            (*samples.shape[:-1], 1 + (samples.shape[-1] - self.window) // self.hop, self.window),
            samples.dtype,
            samples,
            0,
            (*samples.strides[:-1], samples.strides[-1] * self.hop, samples.strides[-1]),
        )
        parts = np.fft.rfft(windows * self._hann, self.size).astype(np.complex64, copy=False)
        power: Samples = parts.real**2 + parts.imag**2
        return power

    def bands(self, power: Samples) -> Samples:
        """Return the mean power `[..., T, mels]` of the bands."""
        sums = np.add.reduceat(power[..., None, :] * self._slopes, self._parts, -1)
        bands: Samples = sums[..., 0, :-1] * self._rising + sums[..., 1, 1:] * self._falling
        return bands

    def white_noise(self, frames: int) -> Samples:
        """Return the power of the bands `[frames, mels]` of white noise, 1 in the mean; always the same."""
        random = np.random.default_rng(0)
        samples = random.standard_normal((frames - 1) * self.hop + self.window, np.float32)
        bands = self.bands(self.power(samples))
        bands /= bands.mean()
        return bands

    def __call__(self, samples: Samples) -> Samples:
        """Return log-mels `[..., T, mels]` of samples `[..., N]` from -1 to 1."""
        return logarithm(self.bands(self.power(samples)))


def logarithm(bands: Samples) -> Samples:
    """Return the logarithm of the power of bands, which never is below a floor."""
    found: Samples = np.log(bands + _FLOOR)
    return found
