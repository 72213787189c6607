"""The network that captions pictures: convolutions that read one, and a decoder that writes about it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi import layers
from nabi.cells import Cell
from nabi.models._captioner._settings import CaptionSettings
from nabi.models._networks._decoder import DecoderNetwork
from nabi.models._networks._memory import Memory

__all__ = ["COLOURS", "CaptionNetwork", "PictureEncoder"]

_KERNEL = 3
_MOMENTUM, _EPSILON = 0.1, 1e-5

COLOURS = 32
"""Features of the colour of a region."""


class _Convolution(torch.nn.Module):
    """A convolution, batch normalisation (Ioffe and Szegedy 2015), and what is above zero."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, filters: int, kernel: int, name: str) -> None:
        super().__init__()
        self.convolution = layers.Conv2D(
            filters, kernel, padding="same", use_bias=False, kernel_initializer="he_uniform", name=name
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

    def fixed(self) -> tuple[Tensor, Tensor]:
        """Return by what features are multiplied outside of training, and what is added to them."""
        factors = (self.variance + _EPSILON).rsqrt() * self.scale
        return factors, self.shift - self.mean * factors


class PictureEncoder(torch.nn.Module):
    """Convolutions with pooling between them: pictures `[B, size, size, 3]` to regions and a summary.

    Forms and colours go separate ways, so that a form is the same in every colour, also in one that it never
    had in training. Forms are read by convolutions that see of each place only how far its colour is from the
    mean of the picture. Colours are read in each region by two layers that see the mean colour there, in
    which a place counts the more, the farther its colour is from that of the picture.

    The last convolution reads, beside the features of a place, where it is: two channels go from -1 to 1 from
    top to bottom and from left to right (Liu et al. 2018, CoordConv). Each is followed by batch
    normalisation. The memory is the form and the colour of each region, row by row; the summary the largest
    values of all regions.

    Args:
        channels: of each convolution.
    """

    least_weight = 0.01
    """Of a place whose colour is the mean."""

    def __init__(self, channels: Sequence[int]) -> None:
        """Make the encoder with weights from torch's random numbers."""
        super().__init__()
        # The last one has two channels more to read.
        reads = [1, *channels[:-1]]
        reads[-1] += 2
        self.forms = torch.nn.ModuleList(
            _Convolution(width, filters, _KERNEL, f"form_{number}")
            for number, (width, filters) in enumerate(zip(reads, channels, strict=True))
        )
        self.colours = torch.nn.ModuleList(
            _Convolution(width, COLOURS, 1, f"colour_{number}") for number, width in enumerate((3, COLOURS))
        )
        self.pooling = layers.MaxPooling2D(2)
        self.averaging = layers.AveragePooling2D(2 ** (len(channels) - 1))
        self.width = channels[-1] + COLOURS

    def forward(self, pictures: Tensor, training: bool = False) -> Memory:
        """Read pictures.

        Args:
            pictures: `[B, size, size, 3]`, uint8.
            training: whether batches are normalised by their own means and variances.
        """
        x = pictures.to(torch.get_default_dtype()) / 127.5 - 1
        away = (x - x.mean((1, 2), keepdim=True)).square().sum(3, keepdim=True)
        form, weight = away.sqrt(), away + self.least_weight
        for layer in self.forms[:-1]:
            form = self.pooling(layer(form, training))
        form = self.forms[-1](torch.cat([form, _places(form)], dim=3), training)
        colour = self.averaging(weight * x) / self.averaging(weight)
        for layer in self.colours:
            colour = layer(colour, training)
        regions = torch.cat([form, colour], dim=3).flatten(1, 2)
        return Memory(regions, None, regions.amax(1))


class CaptionNetwork(torch.nn.Module):
    """Encoder and decoder: pictures and the codes of captions to logits of the code after each."""

    def __init__(self, codes: int, settings: CaptionSettings, cell: Cell) -> None:
        """Make the network with weights from torch's random numbers."""
        super().__init__()
        self.encoder = PictureEncoder(settings.channels)
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
            embedding_dropout=settings.word_dropout,
        )

    def forward(self, pictures: Tensor, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return logits `[B, T, V]` for pictures `[B, size, size, 3]` and codes `[B, T]`."""
        memory = self.encoder(pictures, generator is not None)
        logits: Tensor = self.decoder(memory, codes, None, generator)
        return logits


def _places(x: Tensor) -> Tensor:
    """Where each place of `[B, H, W, C]` is: `[B, H, W, 2]`, row and column."""
    rows, columns = (torch.linspace(-1, 1, size, dtype=x.dtype, device=x.device) for size in x.shape[1:3])
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=2)
    return grid.expand(len(x), *grid.shape)
