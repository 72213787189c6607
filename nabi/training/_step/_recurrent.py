"""Forward and backward passes of the layers that run a cell over time; see `nabi.training._step._chain`."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.layers import RNN
from nabi.scan import Options, TrainingPass

__all__ = ["direct_recurrent"]

Shape = tuple[int, ...]


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
        with torch.no_grad():
            self._families = layer.cell_parameters()
        trained = [
            weight for weight in layer._parameters.values() if weight is not None and weight.requires_grad
        ]
        self._gradients = [_Gradient(weight, self._families) for weight in trained]
        needed = {number for gradient in self._gradients for number in gradient.numbers}
        self._needed = tuple(number in needed for number in range(len(self._families)))
        self._sequences, self._stateful = layer.return_sequences, layer.stateful
        self._others = (None,) * (len(program.state_names) - 1)
        self._zeros: tuple[Tensor, ...] = ()
        self._pass: TrainingPass | None = None

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
        states = self._layer._kept_states() if self._stateful else self._start(x)
        run = self._pass
        if run is None or x.shape != run.shape:
            run = self._pass = TrainingPass(
                self._program, self._options, x, states, self._families, self._needed
            )
        kept, finals = run.forward(x, states)
        if self._stateful:
            self._layer._keep_states(finals)
        return kept[0] if self._sequences else finals[0]

    def _start(self, x: Tensor) -> tuple[Tensor, ...]:
        """Zeros; the kernels only read what they start from, so that one set serves many batches."""
        if not self._zeros or self._zeros[0].shape[0] != x.shape[0]:
            self._zeros = tuple(x.new_zeros((x.shape[0], width)) for width in self._program.state_widths)
        return self._zeros

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of the cell's weights."""
        run = self._pass
        assert run is not None
        if self._sequences:
            dx, families = run.backward((cotangent,), (None, *self._others), need_input)
        else:
            dx, families = run.backward((), (cotangent, *self._others), need_input)
        for gradient in self._gradients:
            gradient.put(families)
        return dx


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
        covered = sum(shape.numel() for _, shape, _, _ in self._parts) == weight.numel()
        self._new = torch.empty_like if covered else torch.zeros_like
        # The family's gradient seen last, and the same memory in the shape of the weight.
        self._last: Tensor | None = None
        self._shown: Tensor | None = None

    @property
    def numbers(self) -> list[int]:
        """Which families it is made from."""
        return [number for number, _, _, _ in self._parts]

    def put(self, found: Sequence[Tensor | None]) -> None:
        """Set it from the gradients of all families."""
        weight = self._weight
        value = found[self._number]
        if value is self._last and self._shown is not None:
            if weight.grad is not self._shown:
                weight.grad = self._shown
            return
        if self._whole and value is not None:
            if value is not self._last:
                self._last, turned = value, value.t() if self._turned else value
                # A fused optimizer walks through weight and gradient side by side: both need one layout.
                self._shown = turned if turned.is_contiguous() else None
            shown = self._shown
            weight.grad = value.t().contiguous() if shown is None else shown
            return
        weight.grad = gradient = self._new(weight)
        for number, shape, stride, offset in self._parts:
            part = found[number]
            assert part is not None
            gradient.as_strided(shape, stride, offset).copy_(part)
