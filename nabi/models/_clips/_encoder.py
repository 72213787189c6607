"""From frames to vectors: a small convolutional network that sees each frame by itself."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.models._sequences._fronts import Front, FrontState

__all__ = ["FrameEncoder"]

_KERNEL = 3
_FRAMES_AT_ONCE = 512  # where nothing is learnt, so that long clips need little memory


class FrameEncoder(Front):
    """Convolutions of stride 2 with normalization, then one linear layer over all places of the last.

    That layer sees which place is which, so that a vector says where something is. All frames of a batch are
    read side by side, without the padding. In training a whole clip is moved, and its brightness and contrast
    changed; all its frames alike, so that its motion stays what it is.

    Args:
        size: height and width of the frames.
        channels: of each convolution.
        width: of the vectors.
        shift: largest move in training, as a share of the size.
        colour: largest change of brightness and contrast in training.
    """

    def __init__(self, size: int, channels: Sequence[int], width: int, shift: float, colour: float) -> None:
        """Make the encoder with weights from torch's random numbers."""
        super().__init__()
        self.width, self.shift, self.colour = width, round(shift * size), colour
        parts: list[torch.nn.Module] = []
        for reads, filters in zip((3, *channels), channels, strict=False):
            parts.append(torch.nn.Conv2d(reads, filters, _KERNEL, stride=2, padding=_KERNEL // 2))
            # Over all channels and places of one frame: no frame depends on others in its batch.
            parts += [torch.nn.GroupNorm(1, filters), torch.nn.ReLU()]
            size = -(-size // 2)
        self.convolutions = torch.nn.Sequential(*parts)
        self.places = torch.nn.Linear(channels[-1] * size * size, width)

    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return `[B, T, width]` for frames `[B, T, size, size, 3]`, uint8; zeros at the padding."""
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        frames = x[inside]
        if generator is not None:
            frames = self._changed(frames, inside, generator)
        if torch.is_grad_enabled():
            vectors = self._vectors(frames)
        else:
            vectors = torch.cat([self._vectors(part) for part in frames.split(_FRAMES_AT_ONCE)])
        features = vectors.new_zeros(*x.shape[:2], self.width)
        features[inside] = vectors
        return features, lengths

    def read(self, chunk: Tensor, state: FrontState) -> tuple[Tensor, FrontState]:
        """Return the vectors of a chunk of a stream: frame by frame, so that no cut changes a bit."""
        if not len(chunk):
            return self.places.weight.new_zeros(0, self.width), state
        return torch.cat([self._vectors(frame) for frame in chunk.split(1)]), state

    def _vectors(self, frames: Tensor) -> Tensor:
        """Return `[N, width]` for `[N, size, size, 3]`, numbers from 0 to 255."""
        x = frames.to(self.places.weight.dtype) / 127.5 - 1
        # The channels of a place stay beside each other in memory, torch's fastest layout.
        vectors: Tensor = self.places(self.convolutions(x.permute(0, 3, 1, 2)).flatten(1))
        return vectors.relu()

    def _changed(self, frames: Tensor, inside: Tensor, generator: torch.Generator) -> Tensor:
        """Move clips and change their brightness and contrast; edges are repeated."""
        clips, (count, size) = inside.nonzero()[:, 0], (len(inside), frames.shape[1])
        if self.shift:
            moves = torch.randint(-self.shift, self.shift + 1, (2, count, 1), generator=generator)
            rows, columns = (torch.arange(size) + moves).clamp(0, size - 1)[:, clips]
            frames = frames[torch.arange(len(frames))[:, None, None], rows[:, :, None], columns[:, None]]
        if self.colour:
            drawn = torch.rand(2, count, 1, 1, 1, generator=generator) * 2 - 1
            contrast, brightness = (self.colour * drawn)[:, clips]
            middle = 127.5
            frames = (frames - middle) * (1 + contrast) + middle * (1 + brightness)
        return frames
