"""The parts of the layers over sequences: Embedding, and those that run a cell over time, also both ways."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.layers import RNN, Bidirectional, Embedding
from nabi.scan import Layout, Options, TrainingPass, backward_pass, forward_pass
from nabi.training._step._core import Pass, Shape

__all__ = ["BothWaysPass", "EmbeddingPass", "MaskedPass", "RecurrentPass", "UnmaskedPass", "recurrent_pass"]


class EmbeddingPass(Pass):
    """A vector for each whole number, which has no gradient."""

    def __init__(self, layer: Embedding) -> None:
        self._layer, self._weight = layer, layer.embeddings
        self._width = layer.output_dim
        self._indices: Tensor | None = None
        self._gradient: Tensor | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """Every shape with a batch in it."""
        return (*shape, self._width) if shape else None

    def forward(self, x: Tensor) -> Tensor:
        """The vectors of the numbers."""
        self._indices = x
        try:
            return torch.embedding(self._weight, x)
        except IndexError:
            return self._layer.call(x)  # it says which number has no vector

    def backward(self, cotangent: Tensor, need_input: bool) -> None:
        """The gradient of the vectors: the sum over the places that had each."""
        assert self._indices is not None
        indices, self._indices = self._indices.reshape(-1), None
        gradient = self._gradient
        if gradient is None:
            # The next batch writes over it: memory of this size would be fetched from the system every time.
            gradient = self._gradient = torch.zeros_like(self._weight)
        else:
            gradient.zero_()
        self._weight.grad = gradient.index_add_(0, indices, cotangent.reshape(-1, self._width))


# A cell over time -----------------------------------------------------------------------------------------


def recurrent_pass(layer: RNN, masked: bool) -> "RecurrentPass | None":
    """The part of a layer, None where it does more than run a cell over whole sequences.

    Outputs stay at their own step, and what a layer that goes backwards returns is turned round.
    """
    if layer.go_backwards and layer.return_sequences:
        return None
    kind = MaskedPass if masked else UnmaskedPass
    return kind(layer) if kind.does(layer) else None


class RecurrentPass(Pass):
    """A cell run over time; outputs `[B, T, units]` stay at their own step, whichever the direction."""

    def __init__(self, layer: RNN) -> None:
        self._program = program = layer.program(training=True)
        self._options = Options(reverse=layer.go_backwards, only_finals=not layer.return_sequences)
        with torch.no_grad():
            self._families = layer.cell_parameters()
        self._gradients = _Gradients(layer, self._families)
        self._sequences = layer.return_sequences
        self._others = (None,) * (len(program.state_names) - 1)

    @classmethod
    @abstractmethod
    def does(cls, layer: RNN) -> bool:
        """Whether it does all that the layer does."""

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with the width of the weights."""
        if len(shape) != 3 or shape[2] != self._program.input_size or 0 in shape:
            return None
        width = self._program.state_widths[0]
        return (*shape[:2], width) if self._sequences else (shape[0], width)


class UnmaskedPass(RecurrentPass):
    """Sequences of which every step counts, by what is settled once for batches of a shape."""

    def __init__(self, layer: RNN) -> None:
        super().__init__(layer)
        self._layer, self._stateful = layer, layer.stateful
        self._zeros: tuple[Tensor, ...] = ()
        self._run: TrainingPass | None = None

    @classmethod
    def does(cls, layer: RNN) -> bool:
        """Whether the layer does nothing but run its equations, perhaps from kept states."""
        special = layer.unroll or layer.return_state or layer.time_major or layer.draws_in_training
        return layer.equations is not None and not special

    def fits(self, shape: Shape) -> Shape | None:
        """As any; a stateful layer also has the batch of its states."""
        if self._stateful:
            states = self._layer.kept_states()
            if not states or states[0].shape[0] != shape[0]:
                return None
        return super().fits(shape)

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[B, T, D]`; a stateful layer goes on from its states and keeps the new ones."""
        states = self._layer.kept_states() if self._stateful else self._start(x)
        run = self._run
        if run is None or x.shape != run.shape:
            run = self._run = TrainingPass(
                self._program, self._options, x, states, self._families, self._gradients.needed
            )
        kept, finals = run.forward(x, states)
        if self._stateful:
            self._layer.keep_states(finals)
        return kept[0] if self._sequences else finals[0]

    def _start(self, x: Tensor) -> tuple[Tensor, ...]:
        """Zeros; the kernels only read what they start from, so that one set serves many batches."""
        if not self._zeros or self._zeros[0].shape[0] != x.shape[0]:
            self._zeros = tuple([x.new_zeros((x.shape[0], width)) for width in self._program.state_widths])
        return self._zeros

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of the cell's weights."""
        run = self._run
        assert run is not None
        if self._sequences:
            dx, families = run.backward((cotangent,), (None, *self._others), need_input)
        else:
            dx, families = run.backward((), (cotangent, *self._others), need_input)
        self._gradients.put(families)
        return dx


class MaskedPass(RecurrentPass):
    """Sequences of which some steps do not count.

    What such a step gives is never read: all layers that a mask goes through leave such steps out. So outputs
    are not filled up over them, as a layer that is called by itself does.
    """

    takes_masks = True

    def __init__(self, layer: RNN) -> None:
        super().__init__(layer)
        self.ends_masks = not self._sequences
        self._kept = self._options.kept(self._program)
        self._layout = Layout(None, None, None)
        self._saved: tuple[Any, ...] | None = None

    @classmethod
    def does(cls, layer: RNN) -> bool:
        """Whether the layer does nothing but run its equations from zero."""
        special = layer.stateful or (layer.zero_output_for_mask and not layer.return_sequences)
        return UnmaskedPass.does(layer) and not special

    def mask(self, mask: Tensor | None) -> Tensor | None:
        """Keep the mask for the next batch."""
        self._layout = Layout(None if mask is None else mask.squeeze(-1), None, None)
        return mask if self._sequences else None

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[B, T, D]`."""
        states = tuple([x.new_zeros((x.shape[0], width)) for width in self._program.state_widths])
        kept, finals, rows, record = forward_pass(
            self._program, self._options, self._layout, x, states, self._families, (), save=True
        )
        self._saved = x, rows, record
        return kept[0] if self._sequences else finals[0]

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of the cell's weights."""
        assert self._saved is not None
        (x, rows, record), self._saved = self._saved, None
        finals = (None, *self._others) if self._sequences else (cotangent, *self._others)
        cotangents = (cotangent, *finals) if self._sequences else finals
        found = backward_pass(
            self._program, rows, record, self._kept, x, self._families, cotangents, need_input,
            self._gradients.needed, need_initial=False,
        )  # fmt: skip
        self._gradients.put(tuple(found[1 + len(finals) :]))
        return found[0]


class BothWaysPass(Pass):
    """A cell in each direction, the outputs side by side."""

    takes_masks = True

    def __init__(self, first: RecurrentPass, second: RecurrentPass) -> None:
        self._first, self._second = first, second
        self.ends_masks = first.ends_masks
        self._width = 0

    @classmethod
    def of(cls, layer: Bidirectional) -> "BothWaysPass | None":
        """The part of a layer, None where only autograd will do."""
        layers = layer.forward_layer, layer.backward_layer
        if layer.merge_mode != "concat" or not all(MaskedPass.does(one) for one in layers):
            return None
        return cls(*(MaskedPass(one) for one in layers))

    def fits(self, shape: Shape) -> Shape | None:
        """As of both."""
        first, second = self._first.fits(shape), self._second.fits(shape)
        return None if first is None or second is None else (*first[:-1], first[-1] + second[-1])

    def mask(self, mask: Tensor | None) -> Tensor | None:
        """Keep the mask for the next batch."""
        self._first.mask(mask)
        return self._second.mask(mask)

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


# From the families of a program to the weights of a layer -------------------------------------------------


class _Gradients:
    """The gradients of a layer's trained weights, put together from those of its program's families.

    Attributes:
        needed: for each family whether its gradient is.
    """

    def __init__(self, layer: RNN, families: Sequence[Tensor]) -> None:
        trained = [
            weight for weight in layer.parameters(recurse=False) if weight.requires_grad
        ]  # the families are views of them
        self._of_weights = [_Gradient(weight, families) for weight in trained]
        needed = {number for one in self._of_weights for number in one.numbers}
        self.needed = tuple([number in needed for number in range(len(families))])
        # The families' gradients seen last, and each weight with what shows the same memory.
        self._last: Sequence[Tensor | None] | None = None
        self._shown: list[tuple[Parameter, Tensor]] = []

    def put(self, found: Sequence[Tensor | None]) -> None:
        """Set `grad` of the weights from the gradients of all families."""
        if found is self._last:
            for weight, shown in self._shown:
                if weight.grad is not shown:
                    weight.grad = shown
            return
        shows = [one.put(found) for one in self._of_weights]
        # Kernels that write over what they gave before give the same tuple again.
        self._last = found if all(shows) else None
        self._shown = [
            (one.weight, one.weight.grad) for one in self._of_weights if one.weight.grad is not None
        ]


class _Gradient:
    """The gradient of one weight: that of one family, perhaps transposed, or those of several together."""

    def __init__(self, weight: Parameter, families: Sequence[Tensor]) -> None:
        self.weight = weight
        memory = weight.untyped_storage().data_ptr()
        self._parts = [
            (number, family.shape, family.stride(), family.storage_offset() - weight.storage_offset())
            for number, family in enumerate(families)
            if family.untyped_storage().data_ptr() == memory
        ]
        whole = families[self._parts[0][0]]
        self._is_whole, self._is_turned = whole.numel() == weight.numel(), whole.dim() == 2
        covered = sum(shape.numel() for _, shape, _, _ in self._parts) == weight.numel()
        self._new = torch.empty_like if covered else torch.zeros_like

    @property
    def numbers(self) -> list[int]:
        """Which families it is made from."""
        return [number for number, _, _, _ in self._parts]

    def put(self, found: Sequence[Tensor | None]) -> bool:
        """Set it; return whether it is the memory of the family's own gradient."""
        weight, value = self.weight, found[self._parts[0][0]]
        if self._is_whole and value is not None:
            shown = value.t() if self._is_turned else value
            # A fused optimizer walks through weight and gradient side by side: both need one layout.
            weight.grad = shown.contiguous()
            return shown.is_contiguous()
        weight.grad = gradient = self._new(weight)
        for number, shape, stride, offset in self._parts:
            part = found[number]
            assert part is not None
            gradient.as_strided(shape, stride, offset).copy_(part)
        return False
