"""A step as two lists of kernel runs: what is left of the parts once all their memory is known.

The parts of a chain check what they are given, write addresses and call kernels, one after the other. Where
a step is nothing but kernels at addresses that stay, it is taken down after a batch that the parts trained.
Batches of the same shape are then trained by two calls, forward with the loss, and backward with the update;
in between it is decided whether the loss is finite. What the kernels compute is what they computed for the
parts, to the last bit.
"""

from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor

from nabi.native import NativeError
from nabi.native.addresses import GUARDED, to_read
from nabi.native.bound import BoundPass, Run
from nabi.native.kernel_list import KernelList
from nabi.training._optimizers._classes import Optimizer
from nabi.training._step._between import Draws, StatesOfSteps, put
from nabi.training._step._core import Pass
from nabi.training._step._losses import ClosedForm
from nabi.training._step._several import SeveralSteps

__all__ = ["FlatStep"]


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
        draws: Draws,
        untrained: int,
        accepts: Callable[[Tensor], bool] | None,
    ) -> None:
        self._accepts = accepts
        self._draws = draws
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
        self._gradients = [pair for part in parts[untrained:] for pair in part.gradients]
        self._forward = KernelList(
            [*(run for part in parts for run in (*part.before, part.forward)), loss.run]
        )
        self._runs_back = [
            run for part in reversed(parts[untrained:]) for run in (part.backward, *part.copies)
        ]
        self._backward = KernelList(self._runs_back)
        self._after = [part.after for part in parts[untrained:] if part.after is not None]
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
        draws, untrained = Draws(), 0
        # Asking most parts would be a waste of time.
        accepts = None if type(passes[0]).accepts is Pass.accepts else passes[0].accepts
        # From the loss to the input: who reads the output of a part, and the cotangent that it is given.
        readers, cotangent = [loss.outputs], loss.gradient
        for number in reversed(range(len(passes))):
            own, given, output = passes[number], flow[number], flow[number + 1]
            if own.is_view:
                if given.data_ptr() != output.data_ptr() or not given.is_contiguous():
                    return None
                continue
            bound = own.bound(number > start)
            if bound is None or not all(slot.leads_to(bound.output) for slot in readers):
                return None
            if number < start:
                untrained += 1
            elif not all(slot.leads_to(cotangent) for slot in bound.cotangents):
                return None
            kept = own.stateful_layer
            if kept is not None:
                ends_in_states = any(slot.leads_to(bound.output) for slot in bound.final)
                states.append(StatesOfSteps(kept, bound, readers if ends_in_states else ()))
            if own.random_layer is not None and bound.key is not None:
                draws.add(own.random_layer, bound.key)
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
            return cls(parts[::-1], states[::-1], closed, flow, draws, untrained, accepts)
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
        if not self._draws.are_as_before() or (self._accepts is not None and not self._accepts(x)):
            return None
        for one in self._states:
            if not one.begin():
                return None
        if self._draws.slots:
            for (block, at), start in zip(self._draws.slots, self._draws.draw(1)[0], strict=True):
                block[at] = start
        if self._by_time is None:
            x = x.contiguous()
        else:
            x = self._by_time.copy_(x.transpose(0, 1))
        put(self._inputs, to_read(x))
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
            batch changed no weights. No loss, with nothing done, if batches have to come one by one.
        """
        if GUARDED or self._after or torch.get_num_threads() != self._threads:
            return [], ()
        if (
            not optimizer.has_steady_rate
            or not self._draws.are_as_before()
            or any(one.kept() is None for one in self._states)
        ):
            return [], ()
        several = self._several
        available = x.shape[0] // size
        count = available if several is None else several.at_once(available)
        rows = count * size
        targets = self._closed.targets_of_several(y[:rows], self.outputs, count)
        if targets is None:
            return [], ()
        if self._accepts is not None and not self._accepts(x[:rows]):
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
                self._forward,
                backward,
                loss.loss,
                self._inputs,
                loss.targets,
                self._states,
                self._draws,
                outputs,
            )
            count = several.at_once(count)
        x = x[: count * size]
        if self._by_time is not None:
            x = x.view(count, size, *x.shape[1:]).transpose(1, 2)
        losses, outputs_of = several.run(x.contiguous(), targets[: count * size], count, keep)
        optimizer.has_run(update, len(losses) - (not isfinite(losses[-1])))
        return losses, outputs_of
