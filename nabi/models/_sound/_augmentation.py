"""Random changes of recordings in training: other speeds, voices, rooms and levels."""

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nabi.models._sound._log_mel import LogMel

__all__ = ["Augmentation"]

_WARPS = 21
_SPEED = 0.15  # at most, as the logarithm of a factor
_GAIN = 1.5  # of the power, likewise: 6.5 dB
_LEAST_SNR, _MOST_SNR = 5.0, 45.0  # in dB
_NOISE_TILT = 4.0  # by which the highest frequency may have less noise, as a logarithm
_NOISE_FRAMES = 6000
_WAVES = 4  # of which a filter is made, from half a wave over all bands to two whole ones
_FEWEST_FRAMES = 2
# A group of bands has up to a fifth of them; one of frames up to 100 ms, less than a word.
_MOST_BANDS, _MOST_FRAMES = 0.2, 10


class Augmentation(torch.nn.Module):
    """Changes recordings and their features at random, with what a generator draws.

    The power of each frame and band is changed, which costs nearly nothing: time is stretched by
    interpolation between frames, the bands are moved along the frequencies as by a longer or shorter vocal
    tract (Jaitly and Hinton 2013), some frequencies become louder than others as by another microphone, room
    or voice (filters that change slowly along the frequencies, as Nam et al. 2022 have them in steps), and
    noise adds to the power. Bands and times are then left out (Park et al. 2019, SpecAugment).

    Args:
        log_mel: of the features.
        warp: by how much the frequencies are moved at most, as the logarithm of a factor.
        noise: share of the recordings that get noise.
        masks: how many groups of neighbouring bands, and of frames, are left out.
        speed: whether the speed is changed.
        filters: how strong filters are: the standard deviation of the logarithm of the power in their slowest
            wave; 0 for none.
    """

    moves: Tensor
    waves: Tensor
    tilts: Tensor

    def __init__(
        self,
        log_mel: LogMel,
        *,
        warp: float,
        noise: float,
        masks: int,
        speed: bool = True,
        filters: float = 0.0,
    ) -> None:
        super().__init__()
        self._warp, self._noise, self._masks, self._speed = warp, noise, masks, speed
        self._filters = filters
        middles, bands = log_mel.band_edges()[1:-1], np.arange(log_mel.mels)
        moves = []
        for factor in np.exp(np.linspace(-warp, warp, _WARPS)):
            # A band gets the power at its frequency times the factor, between the two nearest bands.
            places = np.interp(middles * factor, middles, bands)
            moves.append(np.clip(1 - np.abs(places[None, :] - bands[:, None]), 0, None))
        self.register_buffer("moves", torch.from_numpy(np.stack(moves)).float(), persistent=False)
        self.register_buffer("tilts", torch.from_numpy(middles / middles[-1]).float(), persistent=False)
        # Faster waves are weaker, so that neighbouring bands are changed alike.
        numbers = np.arange(1, _WAVES + 1)[:, None]
        waves = np.cos(np.pi * numbers * bands / max(log_mel.mels - 1, 1)) / np.sqrt(numbers)
        self.register_buffer("waves", torch.from_numpy(waves).float(), persistent=False)
        self._log_mel = log_mel

    @cached_property
    def _white(self) -> Tensor:
        return torch.from_numpy(self._log_mel.white_noise(_NOISE_FRAMES))

    def changed(self, bands: Tensor, lengths: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the power of bands `[B, T', mels]`, and lengths, for those `[B, T, mels]` of recordings."""
        batch = len(bands)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator)

        if self._speed:
            bands, lengths = _stretched(bands, lengths, torch.exp(_SPEED * (2 * uniform(batch) - 1)))
        if self._warp:
            drawn = torch.randint(len(self.moves), (batch,), generator=generator)
            bands = torch.bmm(bands, self.moves[drawn])
        if self._filters:
            strengths = self._filters * torch.randn(batch, _WAVES, generator=generator)
            bands = bands * torch.exp(strengths @ self.waves)[:, None, :]
        if self._noise:
            level = bands.sum((1, 2)) / (lengths * bands.shape[2])
            ratio = _LEAST_SNR + (_MOST_SNR - _LEAST_SNR) * uniform(batch)
            level = level * 10 ** (-ratio / 10) * (uniform(batch) < self._noise)
            shares = level[:, None] * torch.exp(-_NOISE_TILT * uniform(batch, 1) * self.tilts)
            first = torch.randint(len(self._white), (batch, 1), generator=generator)
            white = self._white[(first + torch.arange(bands.shape[1])) % len(self._white)]
            bands = torch.addcmul(bands, white, shares[:, None, :])
        return bands * torch.exp(_GAIN * (2 * uniform(batch, 1, 1) - 1)), lengths

    def masked(self, features: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """Return features `[B, T, D]` with groups of bands and of frames set to zero, their mean."""
        batch, steps, width = features.shape
        places, bands = torch.arange(steps), torch.arange(width)
        for _ in range(self._masks):
            first, size = torch.rand(2, batch, 1, generator=generator) * width
            hidden = (bands >= first) & (bands < first + _MOST_BANDS * size)
            features = features.masked_fill(hidden[:, None, :], 0.0)
            first, size = torch.rand(2, batch, 1, generator=generator)
            first = first * lengths[:, None]
            hidden = (places >= first) & (places < first + _MOST_FRAMES * size)
            features = features.masked_fill(hidden[:, :, None], 0.0)
        return features


def _stretched(power: Tensor, lengths: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows `[B, T', D]` that are longer by a factor each, interpolated between frames."""
    new = (lengths * factors).round().long().clamp_min(_FEWEST_FRAMES)
    new = torch.minimum(new, (lengths * math.exp(_SPEED)).ceil().long().clamp_min(_FEWEST_FRAMES))
    places = torch.arange(int(new.max()))[None, :] * ((lengths - 1) / (new - 1))[:, None]
    last = (lengths - 1)[:, None]
    before = torch.minimum(places.long(), last)
    share = (places - before).clamp(0, 1)[:, :, None]
    after = torch.minimum(before + 1, last)
    rows = torch.arange(len(power))[:, None]
    return torch.lerp(power[rows, before], power[rows, after], share), new
