"""The front of a network on sequences: from what a sequence is to vectors that the network reads."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Front", "FrontState", "SeriesFront"]

FrontState = dict[str, Any]
"""What a front keeps between two chunks of a stream: tensors, arrays or numbers. A front is also given
tensors in their place, where a stream goes on from what was kept."""


class Front(torch.nn.Module, ABC):
    """Base of fronts.

    A front that treats each step by itself gives `forward` alone. One that joins steps (windows of sound,
    differences) also gives `frames`, `start` and `read`.

    Attributes:
        width: of the vectors that it gives.
    """

    width: int
    placed: int = 0
    """Features that `place` puts beside those of each step after the convolutions."""

    def place(self, x: Tensor) -> Tensor:
        """Return what the recurrent layers read, for the outputs of the convolutions `[B, T, D]`."""
        return x

    def learn(self, sequences: Sequence[npt.NDArray[Any]]) -> None:
        """Take what it needs from the training data, such as means, into buffers; nothing by default."""

    @abstractmethod
    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return vectors `[B, T, width]` and how many of each row count.

        Args:
            x: sequences `[B, T, ...]`, padded with zeros.
            lengths: `[B]`, from 1 to T.
            generator: of random numbers in training, where sequences may be changed at random; None
                otherwise.
        """

    def frames(self, lengths: Tensor) -> Tensor:
        """Return how many vectors sequences of these lengths become; the same number by default."""
        return lengths

    def start(self) -> FrontState:
        """Return the state before the first chunk of a stream."""
        return {}

    def read(self, chunk: Tensor, state: FrontState) -> tuple[Tensor, FrontState]:
        """Return the vectors `[m, width]` that a chunk `[n, ...]` of a stream completes, and the new state.

        The vectors must not depend on where the stream is cut. By default each step is one vector.
        """
        features, _ = self(chunk[None], torch.tensor([len(chunk)]))
        return features[0], state


class SeriesFront(Front):
    """Standardizes channels, and puts beside each one that had gaps whether it was observed.

    A missing value (NaN) becomes 0, the mean of its channel, with 0 in the channel that says whether it was
    observed. A channel that is constant in the training data is only shifted.

    Args:
        channels: D of the sequences `[T, D]`.
        flagged: whether channels that say what was observed are added.
        noise: standard deviation of noise that is added in training to standardized values.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, flagged: bool, noise: float = 0.0) -> None:
        """Make a front that changes nothing until `learn`."""
        super().__init__()
        self.width = channels * (1 + flagged)
        self.flagged, self.noise = flagged, noise
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def learn(self, sequences: Sequence[npt.NDArray[Any]]) -> None:
        """Take mean and standard deviation of each channel over all steps that were observed."""
        steps = np.concatenate([one.astype(np.float64) for one in sequences])
        count = np.maximum((~np.isnan(steps)).sum(0), 1)
        mean = np.nansum(steps, 0) / count
        deviation = np.sqrt(np.nansum((steps - mean) ** 2, 0) / count)
        # Rounding leaves a little deviation in a large constant.
        deviation[deviation <= 1e-6 * np.abs(mean)] = 1.0
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation))

    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return `[B, T, D]`, or `[B, T, 2 D]` with what was observed."""
        return self._features(x, generator), lengths

    def read(self, chunk: Tensor, state: FrontState) -> tuple[Tensor, FrontState]:
        """Return the features of a chunk: each step's are its own."""
        return self._features(chunk, None), state

    def _features(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        scaled = (x.to(self.mean.dtype) - self.mean) / self.deviation
        if generator is not None and self.noise:
            scaled = scaled + self.noise * torch.empty_like(scaled).normal_(generator=generator)
        features = scaled.nan_to_num(0.0)
        if self.flagged:
            features = torch.cat([features, (~scaled.isnan()).to(features.dtype)], dim=-1)
        return features
