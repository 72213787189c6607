"""Forward and backward passes of recurrent layers over masked steps, and in both directions.

What a masked step gives is never read: all layers that a mask goes through leave such steps out. So outputs
are not filled up over them, as a layer that is called by itself does.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.layers import RNN, Bidirectional
from nabi.scan import Layout, Options, backward_pass, forward_pass
from nabi.training._step._recurrent import _Gradient

__all__ = ["direct_bidirectional", "direct_masked_recurrent"]

Shape = tuple[int, ...]


def direct_masked_recurrent(layer: RNN) -> "DirectMaskedRecurrent | None":
    """The passes of a layer over masked steps, None where it does more than run a cell over time."""
    if layer.go_backwards and layer.return_sequences:
        return None
    return DirectMaskedRecurrent(layer) if _is_plain(layer) else None


def direct_bidirectional(layer: Bidirectional) -> "DirectBidirectional | None":
    """The passes of a layer in both directions, None where only autograd will do."""
    layers = layer.forward_layer, layer.backward_layer
    if layer.merge_mode != "concat" or not all(_is_plain(one) for one in layers):
        return None
    return DirectBidirectional(*(DirectMaskedRecurrent(one) for one in layers))


def _is_plain(layer: RNN) -> bool:
    if layer.equations is None or layer.unroll or layer.return_state or layer.time_major or layer.stateful:
        return False
    if layer.zero_output_for_mask and not layer.return_sequences:
        return False
    return not (layer._draws or layer._input_dropout)


class DirectMaskedRecurrent:
    """A cell run over time; outputs `[B, T, units]` stay at their own step, whichever the direction."""

    def __init__(self, layer: RNN) -> None:
        self._program = program = layer.program(training=True)
        self._options = Options(reverse=layer.go_backwards, only_finals=not layer.return_sequences)
        self._kept = self._options.kept(program)
        with torch.no_grad():
            self._families = layer.cell_parameters()
        trained = [weight for weight in layer.parameters(recurse=False) if weight.requires_grad]
        self._gradients = [_Gradient(weight, self._families) for weight in trained]
        needed = {number for gradient in self._gradients for number in gradient.numbers}
        self._needed = tuple(number in needed for number in range(len(self._families)))
        self._sequences = layer.return_sequences
        self._no_cotangents = (None,) * len(program.state_names)
        self._mask: Tensor | None = None
        self._saved: tuple[Any, ...] | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with the width of the weights."""
        if len(shape) != 3 or shape[2] != self._program.input_size or 0 in shape:
            return None
        width = self._program.state_widths[0]
        return (*shape[:2], width) if self._sequences else (shape[0], width)

    @property
    def ends_mask(self) -> bool:
        """Whether no steps are left."""
        return not self._sequences

    def masked(self, mask: Tensor | None) -> Tensor | None:
        """Take the mask of the next batch."""
        self._mask = None if mask is None else mask.squeeze(-1)
        return mask if self._sequences else None

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[B, T, D]`."""
        layout = Layout(self._mask, None, None)
        states = tuple(x.new_zeros((x.shape[0], width)) for width in self._program.state_widths)
        kept, finals, rows, record = forward_pass(
            self._program, self._options, layout, x, states, self._families, (), save=True
        )
        self._saved = x, rows, record
        return kept[0] if self._sequences else finals[0]

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of the cell's weights."""
        assert self._saved is not None
        (x, rows, record), self._saved = self._saved, None
        none = self._no_cotangents
        cotangents: Sequence[Tensor | None]
        cotangents = (cotangent, *none) if self._sequences else (cotangent, *none[1:])
        found = backward_pass(
            self._program, rows, record, self._kept, x, self._families, cotangents, need_input, self._needed,
            need_initial=False,
        )  # fmt: skip
        for gradient in self._gradients:
            gradient.put(found[1 + len(none) :])
        return found[0]


class DirectBidirectional:
    """A cell in each direction, the outputs side by side."""

    def __init__(self, first: DirectMaskedRecurrent, second: DirectMaskedRecurrent) -> None:
        self._first, self._second = first, second
        self._width = 0

    def fits(self, shape: Shape) -> Shape | None:
        """As of both."""
        first, second = self._first.fits(shape), self._second.fits(shape)
        return None if first is None or second is None else (*first[:-1], first[-1] + second[-1])

    @property
    def ends_mask(self) -> bool:
        """Whether no steps are left."""
        return self._first.ends_mask

    def masked(self, mask: Tensor | None) -> Tensor | None:
        """Take the mask of the next batch."""
        self._first.masked(mask)
        return self._second.masked(mask)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of both directions."""
        first, second = self._first.forward(x), self._second.forward(x)
        self._width = first.shape[-1]
        return torch.cat([first, second], -1)

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of the weights of both."""
        first = self._first.backward(cotangent[..., : self._width], need_input)
        second = self._second.backward(cotangent[..., self._width :], need_input)
        return None if first is None or second is None else first.add_(second)
