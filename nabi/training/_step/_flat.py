"""A step as two lists of kernel runs: what is left of the parts once all their memory is known.

The parts of a chain check what they are given, write addresses and call kernels, one after the other. Where
a step is nothing but kernels at addresses that stay, it is taken down after a batch that the parts trained.
Batches of the same shape are then trained by two calls, forward with the loss, and backward with the update;
in between it is decided whether the loss is finite. What the kernels compute is what they computed for the
parts, to the last bit.
"""

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor

from nabi.layers import RNN
from nabi.native import NativeError
from nabi.native.addresses import GUARDED, to_fill, to_read, to_update
from nabi.native.bound import BoundPass, Run, Slot
from nabi.native.kernel_list import KernelList
from nabi.training._optimizers._classes import Optimizer
from nabi.training._step._core import Pass
from nabi.training._step._losses import ClosedForm
from nabi.training._step._several import SeveralSteps

__all__ = ["FlatStep", "StatesOfSteps"]

# Numbers of new final states for which memory is taken at once.
_STATE_NUMBERS = 1 << 12


class StatesOfSteps:
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
        # For several steps by one call: the states before and after each.
        self._rows: list[Tensor] = []

    def kept(self) -> Sequence[Tensor] | None:
        """Return the states that the layer keeps; None if they are not as they were when this was made."""
        states: Sequence[Tensor] = self.new
        if states and self._layer.still_keeps(states):
            return states
        states = self._layer.kept_states()
        for state, like in zip(states, self._like, strict=True):
            fits = state.shape == like.shape and state.dtype is like.dtype and state.is_contiguous()
            if not (fits and state.is_cpu):
                return None
        return states

    def begin(self) -> bool:
        """Write the addresses of the states; return whether these are as they were when this was made."""
        states = self.kept()
        if states is None:
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

    # Several steps by one call -----------------------------------------------------------------------------

    @property
    def slots(self) -> list[Slot]:
        """The places of the addresses that change from step to step."""
        return [*(slot for slots in self._initial for slot in slots), *self._final, *self.readers]

    def begin_several(self, count: int) -> tuple[list[int], list[int]]:
        """Return what is in each slot at the first of some steps, and how far it moves on, in bytes."""
        states = self.kept()
        assert states is not None
        if not self._rows or len(self._rows[0]) <= count:
            self._rows = [state.new_zeros((count + 1, *state.shape)) for state in self._like]
        starts: list[int] = []
        final: list[int] = []
        sizes = [state.nbytes for state in self._like]
        for state, rows, slots in zip(states, self._rows, self._initial, strict=True):
            rows[0].copy_(state)
            starts += [to_update(rows)] * len(slots)
            final.append(to_update(rows[1:]))
        strides = [size for size, slots in zip(sizes, self._initial, strict=True) for _ in slots]
        readers = len(self.readers)
        return [*starts, *final, *final[:1] * readers], [*strides, *sizes, *sizes[:1] * readers]

    def keep_several(self, count: int) -> None:
        """Give the layer the states after some steps, in memory that it may keep."""
        new = self.new = self._fresh()
        for state, rows in zip(new, self._rows, strict=True):
            state.copy_(rows[count])
        self._layer.keep_states(new)

    def outputs_of(self, count: int) -> Sequence[Tensor]:
        """Return the first state after each of the steps just made."""
        return self._rows[0][1 : count + 1].clone().unbind()


class FlatStep:
    """A step for batches of one shape; `of` makes it where that is possible.

    Attributes:
        outputs: the outputs of the last batch; those of the next may lie in the same memory.
    """

    def __init__(
        self,
        parts: Sequence[BoundPass],
        states: Sequence[StatesOfSteps],
        closed: ClosedForm,
        flow: Sequence[Tensor],
    ) -> None:
        loss = closed.bound()
        assert loss is not None
        self._parts, self._states, self._closed, self._loss = parts, states, closed, loss
        self._inputs = parts[0].inputs
        self.outputs = flow[-1]
        # The last layer may give its states, in new memory at every step.
        self._gives_states = bool(states) and loss.outputs in states[-1].readers
        self._threads = torch.get_num_threads()
        self._by_time: Tensor | None = None
        if not all(slot.leads_to(flow[0]) for slot in self._inputs):
            self._by_time = flow[0].transpose(0, 1).contiguous()
        self._gradients = [pair for part in parts for pair in part.gradients]
        self._forward = KernelList([*(part.forward for part in parts), loss.run])
        self._runs_back = [run for part in reversed(parts) for run in (part.backward, *part.copies)]
        self._backward = KernelList(self._runs_back)
        self._after = [part.after for part in parts if part.after is not None]
        self._to_update: KernelList | None = None
        self._several: SeveralSteps | None = None
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
        states: list[StatesOfSteps] = []
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
                states.append(StatesOfSteps(kept, bound, readers if ends_in_states else ()))
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
        else:
            x = self._by_time.copy_(x.transpose(0, 1))
        _put(self._inputs, to_read(x))
        block, at = self._loss.targets
        block[at] = to_read(targets)
        self._alive = x, targets
        self._forward.run()
        for one in self._states:
            one.keep()
        if self._gives_states:
            self.outputs = self._states[-1].new[0]
        return self._loss.value()

    def backward(self, optimizer: Optimizer) -> None:
        """Run backward what ran forward last, set the gradients of the weights and update these."""
        self._set_gradients()
        update = None if self._after else optimizer.prepare()
        if update is None:
            self._backward.run()
            for complete in self._after:
                complete()
            optimizer.step()
        else:
            self._with_update(update.run).run()
            optimizer.has_run(update)
        self._alive = None

    def _set_gradients(self) -> None:
        for weight, gradient in self._gradients:
            if weight.grad is not gradient:
                weight.grad = gradient

    def _with_update(self, run: Run) -> KernelList:
        if self._to_update is None:
            self._to_update = KernelList([*self._runs_back, run])
        self._to_update.replace_last(run)
        return self._to_update

    def train_several(
        self, x: Tensor, y: Tensor, size: int, optimizer: Optimizer, keep: bool
    ) -> tuple[list[float], Sequence[Tensor]]:
        """Train on batches that lie side by side, as many as one call may take.

        Args:
            x: the inputs of all, in the dtype for which this was made.
            y: their targets.
            size: samples in each.
            optimizer: what updates the weights.
            keep: whether the outputs are wanted.

        Returns:
            The loss and the outputs of each batch trained on. The last loss may not be finite: then that
            batch changed no weights. None, with nothing done, if batches have to come one by one.
        """
        if GUARDED or self._after or torch.get_num_threads() != self._threads:
            return [], ()
        if not optimizer.has_steady_rate or any(one.kept() is None for one in self._states):
            return [], ()
        several = self._several
        count = len(x) // size if several is None else several.at_once(len(x) // size)
        rows = count * size
        targets = self._closed.targets_of_several(y[:rows], self.outputs, count)
        if targets is None:
            return [], ()
        self._set_gradients()
        update = optimizer.prepare()
        if update is None:
            return [], ()
        backward = self._with_update(update.run)
        if several is None:
            loss = self._loss
            outputs = None if self._gives_states else self.outputs
            several = self._several = SeveralSteps(
                self._forward, backward, loss.loss, self._inputs, loss.targets, self._states, outputs
            )
            count = several.at_once(count)
        x = x[: count * size]
        if self._by_time is not None:
            x = x.view(count, size, *x.shape[1:]).transpose(1, 2)
        losses, outputs_of = several.run(x.contiguous(), targets[: count * size], count, keep)
        optimizer.has_run(update, len(losses) - (not isfinite(losses[-1])))
        return losses, outputs_of


def _put(slots: Sequence[Slot], address: int) -> None:
    for block, at in slots:
        block[at] = address
