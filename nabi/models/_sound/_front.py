"""The front of networks that listen: from samples to features that are ready for recurrent layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.models._sequences._fronts import Front, FrontState
from nabi.models._sound._augmentation import Augmentation
from nabi.models._sound._log_mel import LogMel, Samples, logarithm

__all__ = ["SoundFront"]

_PRIOR = 20
"""The mean of the training data counts as so many frames that were heard before the first."""
_HORIZON = 300
"""A mean over more frames than this forgets the earliest ones: 3 s."""
_SCALE = np.float32(1 / 3)
_DELTA = (-0.2, -0.1, 0.0, 0.1, 0.2)  # the slope of a line through five frames
_MOST_TO_LEARN = 500  # recordings


class SoundFront(Front):
    """Log-mels from which the mean of what was heard so far is subtracted, band by band.

    The mean is that of the training data at first, and of the last seconds later on: voices, microphones and
    rooms that are new differ less then. It never reads what follows, so that a stream gives the same numbers
    as the whole recording, to the last bit.

    Args:
        rate: samples per second.
        mels: number of bands.
        deltas: whether the slope of each band is added; it is that around the frame before the last.
        augmentation: settings of `Augmentation`, or None for none.
    """

    mean: Tensor

    def __init__(
        self, rate: int, mels: int, deltas: bool, augmentation: dict[str, Any] | None = None
    ) -> None:
        """Make a front that subtracts nothing until `learn`."""
        super().__init__()
        self.width = mels * (1 + deltas)
        self.deltas = deltas
        self.log_mel = LogMel(rate, mels)
        self.augmentation = None if augmentation is None else Augmentation(self.log_mel, **augmentation)
        self.register_buffer("mean", torch.zeros(mels))

    def learn(self, sequences: Sequence[npt.NDArray[Any]]) -> None:
        """Take the mean of each band over all frames."""
        total, count = torch.zeros(self.log_mel.mels, dtype=torch.float64), 0
        step = -(-len(sequences) // _MOST_TO_LEARN)
        for one in sequences[::step]:
            bands = self.log_mel(np.asarray(one, np.float32))
            total += torch.from_numpy(bands).double().sum(0)
            count += len(bands)
        self.mean.copy_(total / count)

    def frames(self, lengths: Tensor) -> Tensor:
        """Return how many frames there are in so many samples."""
        return self.log_mel.frames(lengths)

    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return features `[B, T, width]` of samples `[B, N]`, changed at random with a generator.

        In place of samples, the power of their bands `[B, T, mels]` can be given, and lengths in frames.
        """
        if x.ndim == 2:
            power = self.log_mel.power(x.numpy())
            x, lengths = torch.from_numpy(self.log_mel.bands(power)), self.frames(lengths)
        if generator is not None and self.augmentation is not None:
            x, lengths = self.augmentation.changed(x, lengths, generator)
        features = torch.from_numpy(self._normalized(logarithm(x.numpy()), self.mean.numpy(), 0)[0])
        if generator is not None and self.augmentation is not None:
            features = self.augmentation.masked(features, lengths, generator)
        if self.deltas:
            before = features[:, :1].expand(-1, len(_DELTA) - 1, -1)
            features = torch.cat([features, self._slopes(torch.cat([before, features], 1))], 2)
        return features, lengths

    def start(self) -> FrontState:
        """Return the state before the first chunk: nothing was heard."""
        mean = self.mean.numpy().copy()
        state: FrontState = {"rest": np.zeros(0, np.float32), "mean": mean, "heard": 0}
        if self.deltas:
            state["before"] = self.mean.new_zeros(0, len(self.mean))
        return state

    def read(self, chunk: Tensor, state: FrontState) -> tuple[Tensor, FrontState]:
        """Return the frames that a chunk `[n]` of samples completes, and the new state."""
        samples = np.concatenate([np.asarray(state["rest"]), chunk.numpy()])
        if len(samples) < self.log_mel.window:
            return self.mean.new_zeros(0, self.width), {**state, "rest": samples}
        bands = self.log_mel(samples)
        heard = int(state["heard"])
        found, mean = self._normalized(bands, np.asarray(state["mean"]), heard)
        features = torch.from_numpy(found)
        after: FrontState = {
            "rest": samples[len(bands) * self.log_mel.hop :],
            "mean": mean,
            "heard": heard + len(bands),
        }
        if self.deltas:
            before = state["before"] if heard else features[:1].expand(len(_DELTA) - 1, -1)
            joined = torch.cat([before, features])
            after["before"] = joined[-(len(_DELTA) - 1) :].clone()
            features = torch.cat([features, self._slopes(joined[None])[0]], 1)
        return features, after

    def _normalized(self, bands: Samples, mean: Samples, heard: int) -> tuple[Samples, Samples]:
        """Return `[..., T, mels]` without the running mean, and the mean after the last frame."""
        # One step after the other: numpy needs a fraction of torch's time for so little.
        frames = bands.swapaxes(0, -2)
        means = np.empty_like(frames)
        for number, frame in enumerate(frames):
            share = np.float32(max(1 / (_PRIOR + heard + number + 1), 1 / _HORIZON))
            mean = mean + (frame - mean) * share
            means[number] = mean
        return ((frames - means) * _SCALE).swapaxes(0, -2), mean

    def _slopes(self, features: Tensor) -> Tensor:
        """Return the slopes `[B, T, D]` of features `[B, T + 4, D]`."""
        steps = features.shape[1] - len(_DELTA) + 1
        total = features[:, :steps] * _DELTA[0]
        for number, weight in enumerate(_DELTA[1:], 1):
            total = total + features[:, number : number + steps] * weight
        return total
