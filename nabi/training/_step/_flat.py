"""A step as two lists of kernel runs: what is left of the parts once all their memory is known.

The parts of a chain check what they are given, write addresses and call kernels, one after the other. Where
a step is nothing but kernels at addresses that stay, it is taken down after a batch that the parts trained.
Batches of the same shape are then trained by two calls, forward with the loss, and backward with the update;
in between it is decided whether the loss is finite. What the kernels compute is what they computed for the
parts, to the last bit.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.layers import RNN
from nabi.native import NativeError
from nabi.native.addresses import to_fill, to_read
from nabi.native.bound import BoundPass, Slot
from nabi.native.kernel_list import KernelList
from nabi.training._optimizers._classes import Optimizer
from nabi.training._step._core import Pass
from nabi.training._step._losses import ClosedForm

__all__ = ["FlatStep"]

# Numbers of new final states for which memory is taken at once.
_STATE_NUMBERS = 1 << 12


class _States:
    """The states that a stateful layer keeps: where they are read and where new ones are written.

    Args:
        layer: the layer.
        bound: its runs.
        readers: where else the address of the new first state goes, if that is the layer's output.
    """

    def __init__(self, layer: RNN, bound: BoundPass, readers: Sequence[Slot]) -> None:
        self._layer, self._initial, self._final, self.readers = layer, bound.initial, bound.final, readers
        self._like = layer.kept_states()
        # Read backward too, when the layer has new ones.
        self._given: Sequence[Tensor] = ()
        self._spare: list[tuple[Tensor, ...]] = []
        self.new: tuple[Tensor, ...] = ()

    def begin(self) -> bool:
        """Write the addresses of the states; return whether these are as they were when this was made."""
        states: Sequence[Tensor] = self.new
        if not (states and self._layer.still_keeps(states)):
            states = self._layer.kept_states()
            for state, like in zip(states, self._like, strict=True):
                fits = state.shape == like.shape and state.dtype is like.dtype and state.is_contiguous()
                if not (fits and state.is_cpu):
                    return False
        for state, slots in zip(states, self._initial, strict=True):
            _put(slots, to_read(state))
        self._given = states
        new = self.new = self._fresh()
        for state, (block, at) in zip(new, self._final, strict=True):
            block[at] = to_fill(state)
        if self.readers:
            _put(self.readers, to_read(new[0]))
        return True

    def _fresh(self) -> tuple[Tensor, ...]:
        """Memory for new states, which someone may keep for ever."""
        if not self._spare:
            numbers = max(state.numel() for state in self._like)
            count = max(1, _STATE_NUMBERS // numbers)
            several = [state.new_empty((count, *state.shape)).unbind() for state in self._like]
            self._spare = list(zip(*several, strict=True))
        return self._spare.pop()

    def keep(self) -> None:
        """Give the layer its new states, after a run."""
        self._layer.keep_states(self.new)


class FlatStep:
    """A step for batches of one shape; `of` makes it where that is possible.

    Attributes:
        outputs: the outputs of the last batch; those of the next may lie in the same memory.
    """

    def __init__(
        self,
        parts: Sequence[BoundPass],
        states: Sequence[_States],
        closed: ClosedForm,
        flow: Sequence[Tensor],
    ) -> None:
        loss = closed.bound()
        assert loss is not None
        self._parts, self._states, self._closed, self._value = parts, states, closed, loss.value
        self._inputs, self._targets = parts[0].inputs, loss.targets
        self.outputs = flow[-1]
        # The last layer may give its states, in new memory at every step.
        self._gives_states = bool(states) and loss.outputs in states[-1].readers
        self._threads = torch.get_num_threads()
        self._by_time: Tensor | None = None
        if not all(slot.leads_to(flow[0]) for slot in self._inputs):
            self._by_time = flow[0].transpose(0, 1).contiguous()
            _put(self._inputs, to_read(self._by_time))
        self._gradients = [pair for part in parts for pair in part.gradients]
        self._forward = KernelList([*(part.forward for part in parts), loss.run])
        self._runs_back = [part.backward for part in reversed(parts)]
        self._backward = KernelList(self._runs_back)
        self._after = [part.after for part in parts if part.after is not None]
        self._to_update: KernelList | None = None
        self._alive: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(
        cls, passes: Sequence[Pass], start: int, closed: ClosedForm, flow: Sequence[Tensor]
    ) -> "FlatStep | None":
        """Return the step that passes just made, or None if it was more than runs of kernels.

        Args:
            passes: the parts, each of which ran forward, and from number `start` on backward.
            start: the first one with weights to train.
            closed: the loss.
            flow: the input, and the output of each part.
        """
        loss = closed.bound()
        if loss is None:
            return None
        parts: list[BoundPass] = []
        states: list[_States] = []
        # From the loss to the input: who reads the output of a part, and the cotangent that it is given.
        readers, cotangent = [loss.outputs], loss.gradient
        for number in reversed(range(len(passes))):
            own, given, output = passes[number], flow[number], flow[number + 1]
            if own.is_view:
                if given.data_ptr() != output.data_ptr() or not given.is_contiguous():
                    return None
                continue
            bound = own.bound(number > start) if number >= start else None
            if bound is None or not all(slot.leads_to(bound.output) for slot in readers):
                return None
            if not all(slot.leads_to(cotangent) for slot in bound.cotangents):
                return None
            kept = own.stateful_layer
            if kept is not None:
                ends_in_states = any(slot.leads_to(bound.output) for slot in bound.final)
                states.append(_States(kept, bound, readers if ends_in_states else ()))
            parts.append(bound)
            readers = list(bound.inputs)
            if bound.input_gradient is not None:
                cotangent = bound.input_gradient
            elif number > start:
                return None
        reads_batch = all(slot.leads_to(flow[0]) for slot in readers)
        if not parts or not (reads_batch or (parts[-1].by_time and not passes[0].is_view)):
            return None
        try:
            return cls(parts[::-1], states[::-1], closed, flow)
        except NativeError:
            return None

    def forward(self, x: Tensor, y: Tensor) -> float | None:
        """Run forward and return the loss; None, with nothing done, if the parts have to do it.

        Args:
            x: inputs in the shape and dtype for which this was made.
            y: the targets.

        Raises:
            ShapeError: if the targets do not fit the outputs.
        """
        targets = self._closed.targets(y, self.outputs)
        if targets is None or torch.get_num_threads() != self._threads:
            return None
        for one in self._states:
            if not one.begin():
                return None
        if self._by_time is None:
            x = x.contiguous()
            _put(self._inputs, to_read(x))
        else:
            self._by_time.copy_(x.transpose(0, 1))
        block, at = self._targets
        block[at] = to_read(targets)
        self._alive = x, targets
        self._forward.run()
        for one in self._states:
            one.keep()
        if self._gives_states:
            self.outputs = self._states[-1].new[0]
        return self._value()

    def backward(self, optimizer: Optimizer) -> None:
        """Run backward what ran forward last, set the gradients of the weights and update these."""
        for weight, gradient in self._gradients:
            if weight.grad is not gradient:
                weight.grad = gradient
        update = None if self._after else optimizer.prepare()
        if update is None:
            self._backward.run()
            for complete in self._after:
                complete()
            optimizer.step()
        else:
            if self._to_update is None:
                self._to_update = KernelList([*self._runs_back, update.run])
            self._to_update.replace_last(update.run)
            self._to_update.run()
            optimizer.has_run(update)
        self._alive = None


def _put(slots: Sequence[Slot], address: int) -> None:
    for block, at in slots:
        block[at] = address
