"""Log-mel features of sound, frame by frame."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["FRAME", "LogMel"]

FRAME = 0.010
"""Seconds from the beginning of a frame to that of the next."""
_WINDOW = 0.025
_LOWEST = 60.0  # in Hz
_FLOOR = 1e-6  # of the power, about what 16 bits can hold


class LogMel(torch.nn.Module):
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

    hann: Tensor
    slopes: Tensor
    edges: Tensor
    scales: Tensor

    def __init__(self, rate: int, mels: int) -> None:
        """Make the filters."""
        super().__init__()
        self.rate, self.mels = rate, mels
        self.window, self.hop = max(round(_WINDOW * rate), 2), max(round(FRAME * rate), 1)
        self.size = 1 << (self.window - 1).bit_length()
        self.frequencies = np.arange(self.size // 2 + 1) * rate / self.size
        self.register_buffer("hann", torch.hann_window(self.window), persistent=False)
        # A band is a triangle. Between two neighbouring edges lie the rising side of one and the falling side
        # of another, so that running sums of the power, weighted by both slopes, give all bands at once.
        edges = self.band_edges()
        places = np.searchsorted(self.frequencies, edges)
        rising = np.zeros_like(self.frequencies)
        for number, (low, high) in enumerate(itertools.pairwise(edges)):
            inside = slice(places[number], places[number + 1])
            rising[inside] = (self.frequencies[inside] - low) / (high - low)
        slopes = torch.from_numpy(np.stack([rising, 1 - rising]))
        self.register_buffer("slopes", slopes, persistent=False)
        self.register_buffer("edges", torch.from_numpy(places - 1), persistent=False)
        scales = torch.from_numpy(1 / np.maximum(self.filters().sum(0), 1e-3))
        self.register_buffer("scales", scales, persistent=False)

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

    def power(self, samples: Tensor) -> Tensor:
        """Return the power of each frequency `[..., T, bins]` of samples `[..., N]`."""
        short = self.window - samples.shape[-1]
        if short > 0:
            samples = torch.nn.functional.pad(samples, (0, short))
        windows = samples.unfold(-1, self.window, self.hop) * self.hann
        return torch.view_as_real(torch.fft.rfft(windows, n=self.size)).square().sum(-1)

    def bands(self, power: Tensor) -> Tensor:
        """Return the mean power `[..., T, mels]` of the bands, in float64."""
        # Differences of sums are exact enough in it.
        sums = (power.double().unsqueeze(-2) * self.slopes).cumsum(-1)[..., self.edges]
        rising = sums[..., 0, 1:-1] - sums[..., 0, :-2]
        falling = sums[..., 1, 2:] - sums[..., 1, 1:-1]
        return (rising + falling).clamp_min(0) * self.scales

    def white_noise(self, frames: int) -> Tensor:
        """Return the power of the bands `[frames, mels]` of white noise, 1 in the mean; always the same."""
        random = torch.Generator().manual_seed(0)
        samples = torch.randn((frames - 1) * self.hop + self.window, generator=random)
        bands = self.bands(self.power(samples)).float()
        return bands / bands.mean()

    @staticmethod
    def logarithm(bands: Tensor) -> Tensor:
        """Return the logarithm of the mean power of bands, which never is below a floor."""
        return (bands + _FLOOR).log()

    def forward(self, samples: Any) -> Tensor:
        """Return log-mels `[..., T, mels]` of samples `[..., N]` from -1 to 1."""
        return self.logarithm(self.bands(self.power(samples))).float()
