"""Forward and backward passes of the layers that run a cell over time; see `nabi.layers._direct`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.layers._rnn import RNN
from nabi.scan._definition import Layout, Options
from nabi.scan._operator import backward_pass, forward_pass

__all__ = ["direct_recurrent"]

Shape = tuple[int, ...]
_PLAIN = Layout(None, None, None)


def direct_recurrent(layer: RNN) -> "DirectRecurrent | None":
    """The passes of a layer over time, None where it does more than run a cell over whole sequences."""
    if layer.equations is None or layer.unroll or layer.return_state or layer.time_major:
        return None
    if layer._draws or layer._input_dropout or (layer.go_backwards and layer.return_sequences):
        return None
    return DirectRecurrent(layer)


class DirectRecurrent:
    """A cell run over time without masks, by the kernels behind `scan`."""

    def __init__(self, layer: RNN) -> None:
        self._layer = layer
        self._program = program = layer.program(training=True)
        self._options = Options(reverse=layer.go_backwards, only_finals=not layer.return_sequences)
        self._kept = self._options.kept(program)
        with torch.no_grad():
            self._families = layer.cell_parameters()
        trained = [
            weight for weight in layer._parameters.values() if weight is not None and weight.requires_grad
        ]
        self._gradients = [_Gradient(weight, self._families) for weight in trained]
        needed = {number for gradient in self._gradients for number in gradient.numbers}
        self._needed = tuple(number in needed for number in range(len(self._families)))
        self._sequences = layer.return_sequences
        self._no_cotangents = (None,) * len(program.state_names)
        self._zeros: tuple[Tensor, ...] = ()
        self._saved: tuple[Any, ...] | None = None
        self._last: Sequence[Tensor | None] | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with the width of the weights and, in a stateful layer, the batch of its states."""
        if len(shape) != 3 or shape[2] != self._program.input_size or 0 in shape:
            return None
        if self._layer.stateful:
            states = self._layer._kept_states()
            if not states or states[0].shape[0] != shape[0]:
                return None
        width = self._program.state_widths[0]
        return (*shape[:2], width) if self._sequences else (shape[0], width)

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[B, T, D]`; a stateful layer goes on from its states and keeps the new ones."""
        stateful = self._layer.stateful
        states = self._layer._kept_states() if stateful else self._start(x)
        kept, finals, rows, record = forward_pass(
            self._program, self._options, _PLAIN, x, states, self._families, (), save=True
        )
        self._saved = (x, rows, record)
        if stateful:
            self._layer._keep_states(finals)
        return kept[0] if self._sequences else finals[0]

    def _start(self, x: Tensor) -> tuple[Tensor, ...]:
        """Zeros; the kernels only read what they start from, so that one set serves many batches."""
        if not self._zeros or self._zeros[0].shape[0] != x.shape[0]:
            self._zeros = tuple(x.new_zeros((x.shape[0], width)) for width in self._program.state_widths)
        return self._zeros

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of the cell's weights."""
        assert self._saved is not None
        (x, rows, record), self._saved = self._saved, None
        none = self._no_cotangents
        cotangents: Sequence[Tensor | None]
        cotangents = (cotangent, *none) if self._sequences else (cotangent, *none[1:])
        found = backward_pass(
            self._program, rows, record, self._kept, x, self._families, cotangents, need_input, self._needed,
            need_initial=False, into=self._last,
        )  # fmt: skip
        # The next batch writes its gradients over these, which are still in the processor's cache.
        self._last = families = found[1 + len(none) :]
        for gradient in self._gradients:
            gradient.put(families)
        return found[0]


class _Gradient:
    """The gradient of one weight: that of one family, perhaps transposed, or those of several together."""

    def __init__(self, weight: Parameter, families: Sequence[Tensor]) -> None:
        self._weight = weight
        memory = weight.untyped_storage().data_ptr()
        self._parts = [
            (number, family.shape, family.stride(), family.storage_offset() - weight.storage_offset())
            for number, family in enumerate(families)
            if family.untyped_storage().data_ptr() == memory
        ]
        self._number = self._parts[0][0]
        whole = families[self._number]
        self._whole = whole.numel() == weight.numel()
        self._turned = whole.dim() == 2

    @property
    def numbers(self) -> list[int]:
        """Which families it is made from."""
        return [number for number, _, _, _ in self._parts]

    def put(self, found: Sequence[Tensor | None]) -> None:
        """Set it from the gradients of all families."""
        weight = self._weight
        value = found[self._number]
        if self._whole and value is not None:
            value = value.t() if self._turned else value
            # A fused optimizer walks through weight and gradient side by side: both need one layout.
            weight.grad = value if value.is_contiguous() else value.contiguous()
            return
        weight.grad = gradient = torch.empty_like(weight)
        for number, shape, stride, offset in self._parts:
            part = found[number]
            assert part is not None
            gradient.as_strided(shape, stride, offset).copy_(part)
