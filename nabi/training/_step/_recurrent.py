"""The parts of the layers over sequences: Embedding, and those that run a cell over time, also both ways."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.kernels import SmallEmbedding, small_embedding
from nabi.layers import RNN, Bidirectional, Embedding
from nabi.native.bound import BoundPass, Run
from nabi.scan import Options, TrainingPass, initial_states, is_lowered
from nabi.training._step._core import Pass, Shape

__all__ = ["BothWaysPass", "EmbeddingPass", "RecurrentPass"]


class EmbeddingPass(Pass):
    """A vector for each whole number, which has no gradient.

    Where a layer over time follows that reads all steps, native code lays out the vectors as that reads them,
    time before the sequences.
    """

    def __init__(self, layer: Embedding) -> None:
        self._layer, self._weight = layer, layer.embeddings
        self._width, self._count = layer.output_dim, layer.input_dim
        # Under a mask no step is taken down, and torch's operations are as good.
        self.is_native = self.by_time = False
        self._indices: Tensor | None = None
        self._gradient: Tensor | None = None
        self._small: SmallEmbedding | None = None
        self._shape: torch.Size | None = None

    def fits(self, shape: Shape) -> Shape | None:
        """Every shape with a batch in it."""
        return (*shape, self._width) if shape else None

    def accepts(self, x: Tensor) -> bool:
        """Whether all numbers have a vector."""
        if not x.numel() or x.dtype is not torch.int64:
            return False
        least, most = torch.aminmax(x)
        return least.item() >= 0 and most.item() < self._count

    def forward(self, x: Tensor) -> Tensor:
        """The vectors of the numbers."""
        if x.shape != self._shape:
            self._shape = x.shape
            self._small = small_embedding(self._weight, x.numel()) if self.is_native else None
        if self._small is not None and self.accepts(x):
            self._indices = None
            if self._turns(x):
                y = self._small.forward(x.t().contiguous())
                return y.view(x.shape[1], x.shape[0], self._width).transpose(0, 1)
            return self._small.forward(x.contiguous()).view(*x.shape, self._width)
        self._indices = x
        try:
            return torch.embedding(self._weight, x)
        except IndexError:
            return self._layer.call(x)  # it says which number has no vector

    def _turns(self, x: Tensor) -> bool:
        return self.by_time and x.dim() == 2

    def backward(self, cotangent: Tensor, need_input: bool) -> None:
        """The gradient of the vectors: the sum over the places that had each."""
        if self._indices is None:
            small = self._small
            assert small is not None
            if self.by_time and cotangent.dim() == 3:
                cotangent = cotangent.transpose(0, 1)
            small.backward(cotangent.contiguous())
            self._weight.grad = small.gradient
            return
        indices, self._indices = self._indices.reshape(-1), None
        gradient = self._gradient
        if gradient is None:
            # The next batch writes over it: memory of this size would be fetched from the system every time.
            gradient = self._gradient = torch.zeros_like(self._weight)
        else:
            gradient.zero_()
        self._weight.grad = gradient.index_add_(0, indices, cotangent.reshape(-1, self._width))

    def bound(self, need_input: bool) -> BoundPass | None:
        """Return the runs of native code, where that found the vectors."""
        if self._small is None or self._indices is not None:
            return None
        weight = self._weight
        gradients = [(weight, self._small.gradient)] if weight.requires_grad else []
        return self._small.bound()._replace(gradients=gradients, by_time=self.by_time)


# A cell over time -----------------------------------------------------------------------------------------


class RecurrentPass(Pass):
    """A cell run over time; outputs `[B, T, units]` stay at their own step, whichever the direction.

    What a step gives that does not count is never read: all layers that a mask goes through leave such steps
    out. So outputs are not filled up over them, as a layer that is called by itself does.
    """

    takes_masks = True

    @classmethod
    def of(cls, layer: RNN, masked: bool, *, turns_back: bool = False) -> "RecurrentPass | None":
        """The part of a layer, None where it does more than run its equations over whole sequences.

        It may go on from kept states, but not under a mask. What a layer that goes backwards returns is
        turned round, unless who asks `turns_back`.
        """
        special = layer.unroll or layer.return_state or layer.time_major or layer.draws_in_training
        if layer.equations is None or special or len(layer.program().inputs) > 1:
            return None
        if layer.program(training=True).needs_autograd:
            return None  # weights that torch computes from others, and learned initial states
        if layer.go_backwards and layer.return_sequences and not turns_back:
            return None
        if masked and (layer.stateful or (layer.zero_output_for_mask and not layer.return_sequences)):
            return None
        return cls(layer)

    def __init__(self, layer: RNN) -> None:
        self._layer, self._stateful = layer, layer.stateful
        self.stateful_layer = layer if layer.stateful else None
        self._program = program = layer.program(training=True)
        self._sequences = layer.return_sequences
        self._options = Options(reverse=layer.go_backwards, only_finals=not self._sequences)
        with torch.no_grad():
            self._families = layer.cell_parameters()
        self._gradients = _Gradients(layer, self._families)
        self._readouts = program.readouts
        self._no_finals = (None,) * len(program.as_states.state_names)
        self._zeros: tuple[Tensor, ...] = ()
        self._run: TrainingPass | None = None
        self._mask: Tensor | None = None
        self.ends_masks = not self._sequences

    def fits(self, shape: Shape) -> Shape | None:
        """`[B, T, D]` with the width of the weights; a stateful layer also has the batch of its states."""
        if len(shape) != 3 or shape[2] != self._program.input_size or 0 in shape:
            return None
        if is_lowered(self._program, shape[0] * shape[1]):
            return None  # what is better computed once a call goes through autograd
        if self._stateful:
            states = self._layer.kept_states()
            if not states or states[0].shape[0] != shape[0]:
                return None
        width = self._program.output_width
        return (*shape[:2], width) if self._sequences else (shape[0], width)

    def mask(self, mask: Tensor | None) -> Tensor | None:
        """Keep the mask for the next batch."""
        self._mask = None if mask is None else mask.squeeze(-1)
        return mask if self._sequences else None

    def forward(self, x: Tensor) -> Tensor:
        """The output for `[B, T, D]`; a stateful layer goes on from its states and keeps the new ones."""
        run = self._run
        if run is None or x.shape != run.shape:
            run = self._bind(x)
        states = self._layer.kept_states() if self._stateful else self._zeros
        kept, finals = run.forward(x, states, self._mask)
        if self._stateful:
            self._layer.keep_states(finals[self._readouts :])
        return kept[0] if self._sequences else finals[0]

    def _bind(self, x: Tensor) -> TrainingPass:
        self._zeros = initial_states(self._program, self._families, x.shape[0], x)
        self._run = run = TrainingPass(
            self._program, self._options, x, self._zeros, self._families, self._gradients.needed,
            new_finals=self._stateful,
            from_zeros=not self._stateful and self._program.starts_with_zeros,
        )  # fmt: skip
        return run

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """The gradients of the cell's weights."""
        run, others = self._run, self._no_finals
        assert run is not None
        if self._sequences:
            dx, families = run.backward((cotangent,), others, need_input)
        else:
            dx, families = run.backward((), (cotangent, *others[1:]), need_input)
        self._gradients.put(families)
        return dx

    def bound(self, need_input: bool) -> BoundPass | None:
        """Return the runs of native code; what families make up together is put together after them."""
        found = None if self._run is None else self._run.bound(need_input)
        if found is None:
            return None
        gradients = self._gradients
        if gradients.lie_fixed:
            return found._replace(gradients=gradients.shown)
        copies = gradients.copies(found.families)
        if copies is not None:
            return found._replace(gradients=gradients.shown, copies=copies)
        return found._replace(after=lambda: gradients.put(found.families))


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
        if layer.merge_mode != "concat":
            return None
        first, second = (RecurrentPass.of(one, masked=True, turns_back=True) for one in layers)
        return None if first is None or second is None else cls(first, second)

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
        shown: each weight with its gradient of the last step.
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
        self.shown: list[tuple[Parameter, Tensor]] = []

    def put(self, found: Sequence[Tensor | None]) -> None:
        """Set `grad` of the weights from the gradients of all families."""
        if found is self._last:
            for weight, shown in self.shown:
                if weight.grad is not shown:
                    weight.grad = shown
            return
        shows = [one.put(found) for one in self._of_weights]
        # Kernels that write over what they gave before give the same tuple again.
        self._last = found if all(shows) else None
        self.shown = [
            (one.weight, one.weight.grad) for one in self._of_weights if one.weight.grad is not None
        ]

    @property
    def lie_fixed(self) -> bool:
        """Whether the gradients are the memory of the families' own, the same at every step."""
        return self._last is not None

    def copies(self, found: Sequence[Tensor | None]) -> list[Run] | None:
        """Return what puts them together as runs of native code; None if it is more than copying.

        Args:
            found: those of the families, which always lie there.
        """
        runs: list[Run] = []
        for one in self._of_weights:
            more = one.copies(found)
            if more is None:
                return None
            runs += more
        return runs


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
        # Where several are put together, and the place of each in it.
        self._memory: Tensor | None = None
        self._places: list[Tensor] = []

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
        memory = self._memory
        if memory is None:
            self._memory = memory = self._new(weight)
            self._places = [
                memory.as_strided(shape, stride, offset) for _, shape, stride, offset in self._parts
            ]
        for (number, *_), place in zip(self._parts, self._places, strict=True):
            part = found[number]
            assert part is not None
            place.copy_(part)
        if weight.grad is not memory:
            weight.grad = memory
        return False

    def copies(self, found: Sequence[Tensor | None]) -> list[Run] | None:
        """Return what `put` copies as runs of native code; None if its memory does not stay."""
        value = found[self._parts[0][0]]
        if self._is_whole and value is not None:
            return [] if (value.t() if self._is_turned else value).is_contiguous() else None
        from nabi.native.kernel_list import copy_run  # loads what makes native code

        runs: list[Run] = []
        for (number, *_), place in zip(self._parts, self._places, strict=True):
            part = found[number]
            if part is None or part.stride() != place.stride():
                return None
            if not (part.is_contiguous() or part.t().is_contiguous()):
                return None
            runs.append(copy_run(part, place))
        return runs
