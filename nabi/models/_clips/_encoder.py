"""From frames to vectors: a small convolutional network that reads each frame, and what changed in it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.models._sequences._fronts import Front, FrontState

__all__ = ["FrameEncoder"]

_KERNEL = 3
_READ = 8  # Red, green, blue, the distance from the mean colour of the frame; and the change of each of them.
_FRAMES_AT_ONCE = 512  # where nothing is learnt, so that long clips need little memory


class FrameEncoder(Front):
    """Convolutions of stride 2 with normalization, then the mean of all places and a layer that knows places.

    The first convolution reads of each place the three colours, how far they are from the mean colour of the
    frame (so that a form is the same in every colour), and how much each of these four changed since the
    frame before; in the first frame nothing changed. A vector is the mean of the last features over all
    places, and one linear layer over all of them, which sees where something is.

    All frames of a batch are read side by side, without the padding. In training a whole clip is moved, and
    its brightness and contrast changed; all its frames alike, so that its motion stays what it is.

    Args:
        size: height and width of the frames.
        channels: of each convolution.
        features: of the linear layer.
        shift: largest move in training, as a share of the size.
        colour: largest change of brightness and contrast in training.
    """

    def __init__(
        self, size: int, channels: Sequence[int], features: int, shift: float, colour: float
    ) -> None:
        """Make the encoder with weights from torch's random numbers."""
        super().__init__()
        self.width = channels[-1] + features
        self.size, self.shift, self.colour = size, round(shift * size), colour
        parts: list[torch.nn.Module] = []
        for reads, filters in zip((_READ, *channels), channels, strict=False):
            parts.append(torch.nn.Conv2d(reads, filters, _KERNEL, stride=2, padding=_KERNEL // 2))
            # Over all channels and places of one frame: no frame depends on others in its batch.
            parts += [torch.nn.GroupNorm(1, filters), torch.nn.ReLU()]
            size = -(-size // 2)
        self.convolutions = torch.nn.Sequential(*parts)
        self.places = torch.nn.Linear(channels[-1] * size * size, features)

    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return `[B, T, width]` for frames `[B, T, size, size, 3]`, uint8; zeros at the padding."""
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        frames = x[inside]
        # The number of the frame before each; the first of a clip is its own.
        before = torch.arange(-1, len(frames) - 1, device=x.device)
        first = lengths.cumsum(0) - lengths
        before[first] = first
        if generator is not None:
            frames = self._changed(frames, inside, generator)
        parts = before.split(len(before) if torch.is_grad_enabled() else _FRAMES_AT_ONCE)
        start, vectors = 0, []
        for part in parts:
            vectors.append(self._vectors(frames[start : start + len(part)], frames[part]))
            start += len(part)
        features = vectors[0].new_zeros(*x.shape[:2], self.width)
        features[inside] = torch.cat(vectors)
        return features, lengths

    def start(self) -> FrontState:
        """Return no frame: before the first there is none."""
        return {"before": torch.zeros(0, self.size, self.size, 3, dtype=torch.uint8)}

    def read(self, chunk: Tensor, state: FrontState) -> tuple[Tensor, FrontState]:
        """Return the vectors of a chunk of a stream: frame by frame, so that no cut changes a bit."""
        before, vectors = state["before"], [self.places.weight.new_zeros(0, self.width)]
        for frame in chunk.split(1) if len(chunk) else ():
            vectors.append(self._vectors(frame, before if len(before) else frame))
            before = frame
        return torch.cat(vectors), {"before": before.clone()}

    def _vectors(self, frames: Tensor, before: Tensor) -> Tensor:
        """Return `[N, width]` for `[N, size, size, 3]` and the frames before, numbers from 0 to 255."""
        now, then = self._seen(frames), self._seen(before)
        # The channels of a place stay beside each other in memory, torch's fastest layout.
        x = self.convolutions(torch.cat([now, now - then], 3).permute(0, 3, 1, 2))
        return torch.cat([x.mean((2, 3)), self.places(x.flatten(1)).relu()], 1)

    def _seen(self, frames: Tensor) -> Tensor:
        """Return the colours, from -1 to 1, and their distance from the mean colour: `[N, size, size, 4]`."""
        x = frames.to(self.places.weight.dtype) / 127.5 - 1
        away = (x - x.mean((1, 2), keepdim=True)).square().sum(3, keepdim=True)
        return torch.cat([x, away], 3)

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
