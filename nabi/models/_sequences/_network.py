"""The network on sequences: a front, convolutions over time, recurrent layers of any cell, and an answer."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from nabi import layers
from nabi.cells import Cell
from nabi.models._networks._directions import make_directions, read_directions
from nabi.models._networks._dropout import drop_features
from nabi.models._sequences._baselines import Baselines
from nabi.models._sequences._fronts import Front
from nabi.models._sequences._settings import SequenceNetworkSettings

__all__ = [
    "ANSWERS",
    "BLANK",
    "OF_SEQUENCE",
    "SequenceNetwork",
    "SequenceNetworks",
    "TimeConvolution",
    "pool",
]

ANSWERS = ("class", "number", "step", "string")
"""What a network says: a class of a sequence, a number, a class of every step, or a string of classes."""
OF_SEQUENCE = ("class", "number")
"""Those that are one answer for the whole sequence."""
BLANK = 0
"""The number that means "no label here" in the answer "string"; class c is number c + 1 there."""
# Else a new network says as often a label as nothing, and first has to unlearn the labels.
_FIRST_BLANK = -2.0
_MOMENTUM, _EPSILON = 0.1, 1e-5


class BatchNormalization(torch.nn.Module):
    """Features normalized by their mean and deviation over all steps that count (Ioffe and Szegedy 2015).

    In training these are those of the batch; otherwise those of the last batches, so that every step is
    computed by itself.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor, inside: Tensor | None = None) -> Tensor:
        """Return `[..., channels]`; `inside` `[...]` says in training which steps count."""
        if inside is not None:
            variance, mean = torch.var_mean(x[inside], 0, correction=0)
            with torch.no_grad():
                self.mean.lerp_(mean, _MOMENTUM)
                self.variance.lerp_(variance, _MOMENTUM)
            factors = (variance + _EPSILON).rsqrt() * self.weight
            return torch.addcmul(self.bias - mean * factors, x, factors)
        factors, shifts = self.fixed()
        return torch.addcmul(shifts, x, factors)

    def fixed(self) -> tuple[Tensor, Tensor]:
        """Return by what features are multiplied outside of training, and what is added to them."""
        factors = (self.variance + _EPSILON).rsqrt() * self.weight
        return factors, self.bias - self.mean * factors


class TimeConvolution(torch.nn.Module):
    """A convolution over time that never reads padding, a normalization, and ReLU.

    Row by row a sequence of L steps becomes one of ceil(L / stride), whatever stands beside it in the batch:
    steps outside a sequence are zero.

    Args:
        reads: features of a step.
        channels: features it gives.
        kernel: steps it reads.
        stride: steps by which it moves on.
        causal: whether it reads only the present step and those before.
        normalization: "layer", of the features of each step, or "batch", of each feature.
    """

    def __init__(
        self, reads: int, channels: int, kernel: int, stride: int, causal: bool, normalization: str = "layer"
    ) -> None:
        """Make the convolution with weights from torch's random numbers."""
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.before = kernel - 1 if causal else (kernel - 1) // 2
        self.convolution = torch.nn.Conv1d(reads, channels, kernel, stride)
        by_batch = normalization == "batch"
        self.normalization = BatchNormalization(channels) if by_batch else torch.nn.LayerNorm(channels)

    def forward(self, x: Tensor, lengths: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Return `[B, ceil(T / stride), channels]` and the lengths of its rows."""
        x = functional.pad(_mask(x, lengths).transpose(1, 2), (self.before, self.kernel - 1 - self.before))
        x = self.convolution(x).transpose(1, 2)
        lengths = self.frames(lengths)
        if training and isinstance(self.normalization, BatchNormalization):
            return self.normalization(x, _inside(x, lengths)).relu(), lengths
        return self.normalization(x).relu(), lengths

    def frames(self, lengths: Tensor) -> Tensor:
        """Return how many steps are left of so many."""
        return (lengths + self.stride - 1).div(self.stride, rounding_mode="floor")


class SequenceNetwork(torch.nn.Module):
    """From sequences to logits.

    The answers "class" and "number" are read from three summaries of the outputs of the last recurrent layer:
    the last step (with two directions the last step of each), the mean and the largest of all steps. "step"
    and "string" are read from every step.

    Args:
        front: makes vectors of what a sequence is.
        cell: of every recurrent layer.
        settings: layers, directions, convolutions and dropout.
        outputs: number of classes, 1 for a number.
        answer: one of `ANSWERS`.
    """

    def __init__(
        self, front: Front, cell: Cell, settings: SequenceNetworkSettings, outputs: int, answer: str
    ) -> None:
        """Make the network with weights from torch's random numbers."""
        super().__init__()
        self.front, self.answer, self.dropout = front, answer, settings.dropout
        self.directions = 2 if settings.bidirectional else 1
        self.convolutions = torch.nn.ModuleList()
        width = front.width
        for channels in settings.convolutions or ():
            self.convolutions.append(
                TimeConvolution(
                    width,
                    channels,
                    settings.kernel,
                    settings.stride,
                    causal=not settings.bidirectional,
                    normalization=settings.normalization,
                )
            )
            width = channels
        width += front.placed
        self.recurrent, width = make_directions(cell, width, settings.layers, self.directions)
        reads = 3 * width if answer in OF_SEQUENCE else width
        self.head = torch.nn.Linear(reads, outputs + (answer == "string"))
        if answer == "string":
            with torch.no_grad():
                self.head.bias[BLANK] = _FIRST_BLANK

    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and how many steps of each row count.

        Args:
            x: sequences `[B, T, ...]`, padded at the end.
            lengths: `[B]`, from 1 to T.
            generator: of random numbers for dropout and the front; None for none, which is not training.

        Returns:
            `[B, classes]` for "class", `[B, 1]` for "number", `[B, T', classes]` for "step", and for "string"
            `[B, T', 1 + classes]`, where number 0 is the blank; and the lengths `[B]` of the T' steps.
        """
        x, lengths = self.front(x, lengths, generator)
        for convolution in self.convolutions:
            x, lengths = convolution(x, lengths, generator is not None)
        x = self.front.place(drop_features(x, self.dropout, generator))
        reads = read_directions(self.recurrent, self.directions, x, lengths, generator, self.dropout)
        x = reads[0].output if len(reads) == 1 else torch.cat([one.output for one in reads], 2)
        if self.answer in OF_SEQUENCE:
            last = [
                _last_output(cast(layers.RNN, layer), *read, lengths, reverse=bool(direction))
                for direction, (layer, read) in enumerate(
                    zip(self.recurrent[-self.directions :], reads, strict=True)
                )
            ]
            x = pool(torch.cat(last, 1), x, lengths)[:, None]
        logits: Tensor = self.head(drop_features(x, self.dropout, generator))
        return (logits[:, 0] if self.answer in OF_SEQUENCE else logits), lengths

    def frames(self, lengths: Tensor) -> Tensor:
        """Return how many steps are left of sequences of these lengths where the answer is given."""
        lengths = self.front.frames(lengths)
        for convolution in self.convolutions:
            assert isinstance(convolution, TimeConvolution)
            lengths = convolution.frames(lengths)
        return lengths


def _last_output(
    layer: layers.RNN, output: Tensor, final: Sequence[Tensor], lengths: Tensor, *, reverse: bool
) -> Tensor:
    """Return the output of the last step that a layer read, `[B, width]`; it may be no state."""
    if not layer.cell.output:
        return final[0]
    if reverse:
        return output[:, 0]
    return output[torch.arange(len(output)), (lengths - 1).clamp(min=0)]


class SequenceNetworks(torch.nn.Module):
    """Networks that are trained side by side and whose probabilities are averaged.

    Args:
        make: makes one of them.
        count: how many there are.
        baselines: the simple models that stand beside them, so that one file holds all.
    """

    def __init__(
        self, make: Callable[[], SequenceNetwork], count: int, baselines: Baselines | None = None
    ) -> None:
        """Make the networks with weights from torch's random numbers."""
        super().__init__()
        self.members = torch.nn.ModuleList(make() for _ in range(count))
        self.baselines = baselines

    @property
    def answer(self) -> str:
        """What they answer."""
        return self.networks[0].answer

    @property
    def networks(self) -> Sequence[SequenceNetwork]:
        """All of them."""
        return list(self.members)  # type: ignore[arg-type]

    def forward(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """Return logits and lengths of each network, as `SequenceNetwork.forward`."""
        return [member(x, lengths, generator) for member in self.members]

    def probabilities(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of their probabilities, and how many steps of each row count."""
        found = self(x, lengths)
        total = found[0][0].softmax(-1)
        for logits, _ in found[1:]:
            total = total + logits.softmax(-1)
        return total / len(found), found[0][1]


def pool(last: Tensor, x: Tensor, lengths: Tensor) -> Tensor:
    """Return `[B, 3 D]`: what is given as the last step, then mean and maximum of the steps `[B, T, D]`."""
    inside = _inside(x, lengths)[:, :, None]
    mean = x.masked_fill(~inside, 0.0).sum(1) / lengths[:, None]
    return torch.cat([last, mean, x.masked_fill(~inside, -torch.inf).amax(1)], 1)


def _inside(x: Tensor, lengths: Tensor) -> Tensor:
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None]


def _mask(x: Tensor, lengths: Tensor) -> Tensor:
    return x.masked_fill(~_inside(x, lengths)[:, :, None], 0.0)
