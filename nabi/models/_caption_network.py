"""The network that captions pictures: convolutions that read one, and a decoder that writes about it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi import layers
from nabi.cells import Cell
from nabi.models._caption_settings import CaptionSettings
from nabi.models._decoder_network import DecoderNetwork
from nabi.models._memory import Memory
from nabi.models._variational import drop_features

__all__ = ["CaptionNetwork", "PictureEncoder", "regions_across"]

_KERNEL = 3
_MOMENTUM, _EPSILON = 0.1, 1e-5


def regions_across(image_size: int, channels: Sequence[int]) -> int:
    """Return how many regions a picture has in a row, and in a column: each convolution but the last halves.

    >>> regions_across(48, (16, 32, 64, 64))
    6
    """
    return int(image_size // 2 ** (len(channels) - 1))


class _Convolution(torch.nn.Module):
    """A convolution, batch normalisation (Ioffe and Szegedy 2015), and what is above zero."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, filters: int, name: str) -> None:
        super().__init__()
        self.convolution = layers.Conv2D(
            filters, _KERNEL, padding="same", use_bias=False, kernel_initializer="he_uniform", name=name
        )
        self.convolution.build((None, None, None, channels))
        self.scale = torch.nn.Parameter(torch.ones(filters))
        self.shift = torch.nn.Parameter(torch.zeros(filters))
        self.register_buffer("mean", torch.zeros(filters))
        self.register_buffer("variance", torch.ones(filters))

    def forward(self, x: Tensor, training: bool) -> Tensor:
        """Return `[B, H, W, filters]` for `[B, H, W, channels]`."""
        x = self.convolution(x).permute(0, 3, 1, 2)
        # Not torch.nn.functional's, which refuses a batch of one place in training.
        x = torch.batch_norm(
            x, self.scale, self.shift, self.mean, self.variance, training, _MOMENTUM, _EPSILON, False
        )
        return x.relu_().permute(0, 2, 3, 1)


class PictureEncoder(torch.nn.Module):
    """Convolutions with pooling between them: pictures `[B, size, size, 3]` to regions and a summary.

    Each is followed by batch normalisation. The last reads, beside the features of a place, where it is: two
    channels go from -1 to 1 from top to bottom and from left to right (Liu et al. 2018, CoordConv), so that
    what is said of places can be learnt. The memory is its outputs, a vector for each region, row by row; the
    summary their largest values.

    Args:
        channels: of each convolution.
        dropout: share of the features of regions left out in training, the same in all regions.
    """

    def __init__(self, channels: Sequence[int], dropout: float = 0.0) -> None:
        """Make the encoder with weights from torch's random numbers."""
        super().__init__()
        self.dropout = dropout
        # The last one has two channels more to read.
        reads = [4, *channels[:-1]]
        reads[-1] += 2
        self.convolutions = torch.nn.ModuleList(
            _Convolution(width, filters, f"convolution_{number}")
            for number, (width, filters) in enumerate(zip(reads, channels, strict=True))
        )
        self.pooling = layers.MaxPooling2D(2)
        self.width = channels[-1]

    def forward(self, pictures: Tensor, generator: torch.Generator | None = None) -> Memory:
        """Read pictures.

        Args:
            pictures: `[B, size, size, 3]`, uint8.
            generator: of random numbers for dropout; None for none, which is not training.
        """
        training = generator is not None
        x = pictures.to(torch.get_default_dtype()) / 127.5 - 1
        away = (x - x.mean((1, 2), keepdim=True)).square().sum(3, keepdim=True).sqrt()
        x = torch.cat([x, away], dim=3)
        for layer in self.convolutions[:-1]:
            x = self.pooling(layer(x, training))
        x = self.convolutions[-1](torch.cat([x, _places(x)], dim=3), training)
        regions = drop_features(x.flatten(1, 2), self.dropout, generator)
        return Memory(regions, None, regions.amax(1))


class CaptionNetwork(torch.nn.Module):
    """Encoder and decoder: pictures and the codes of captions to logits of the code after each."""

    def __init__(self, codes: int, settings: CaptionSettings, cell: Cell) -> None:
        """Make the network with weights from torch's random numbers."""
        super().__init__()
        self.encoder = PictureEncoder(settings.channels, settings.dropout)
        self.decoder = DecoderNetwork(
            codes,
            cell,
            memory_width=self.encoder.width,
            summary_width=self.encoder.width,
            layer_count=settings.layers,
            embedding_size=settings.embedding_size,
            attention=settings.attention,
            tied=False,
            dropout=settings.dropout,
        )

    def forward(self, pictures: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return logits `[B, T, V]` for pictures `[B, size, size, 3]` and codes `[B, T]`."""
        memory = self.encoder(pictures, generator)
        logits: Tensor = self.decoder(memory, codes, None, generator)
        return logits


def _places(x: Tensor) -> Tensor:
    """Where each place of `[B, H, W, C]` is: `[B, H, W, 2]`, row and column."""
    rows, columns = (torch.linspace(-1, 1, size, dtype=x.dtype, device=x.device) for size in x.shape[1:3])
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=2)
    return grid.expand(len(x), *grid.shape)
