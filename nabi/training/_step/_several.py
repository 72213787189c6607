"""Several flat steps by one call, where nobody looks on between them.

Between two flat steps Python reads the loss, writes a few addresses and counts. A loop in native code does
the same for batches that lie side by side: addresses move on by the size of a batch, the losses are kept in a
row, and a loss that is not finite ends the loop before it changes a weight. What the kernels compute is what
they compute one step at a time, to the last bit.
"""

from collections.abc import Sequence
from time import perf_counter

from torch import Tensor

from nabi.native.addresses import to_read, to_update
from nabi.native.bound import Slot
from nabi.native.kernel_list import KernelList, StepLoop
from nabi.training._step._between import Draws, StatesOfSteps

__all__ = ["SeveralSteps"]

# A call takes no longer than this, so that Ctrl-C, and other threads of Python, need not wait.
_SECONDS = 0.005


class SeveralSteps:
    """The loop over the steps of one shape.

    Args:
        forward, backward: the lists of kernels.
        loss: where the loss is.
        inputs: where the address of the batch is.
        targets: where that of the targets is.
        states: the layers that keep states.
        draws: what draws random numbers.
        outputs: the outputs of a step; None if the last layer gives its states.
    """

    def __init__(
        self,
        forward: KernelList,
        backward: KernelList,
        loss: Slot,
        inputs: Sequence[Slot],
        targets: Slot,
        states: Sequence[StatesOfSteps],
        draws: Draws,
        outputs: Tensor | None,
    ) -> None:
        self._states, self._inputs, self._outputs = states, len(inputs), outputs
        self._draws = draws
        slots = [*inputs, targets, *draws.slots, *(slot for one in states for slot in one.slots)]
        kept = [] if outputs is None else [(to_read(outputs), outputs.nbytes)]
        self._lists = forward, backward, loss, slots
        self._loop = StepLoop(forward, backward, loss, slots)
        # Outputs are kept for metrics only.
        self._keeping = StepLoop(forward, backward, loss, slots, kept) if kept else self._loop
        self._seconds = 0.0
        self._is_timed = False

    def at_once(self, count: int) -> int:
        """Return how many of so many steps may be made by the next call."""
        if not self._is_timed:
            return 1
        return max(1, min(count, int(_SECONDS / self._seconds)))

    def run(self, x: Tensor, targets: Tensor, count: int, keep: bool) -> tuple[list[float], Sequence[Tensor]]:
        """Make some steps.

        Args:
            x: the inputs `[count, ...]` as the kernels read them, without gaps.
            targets: the targets `[count · batch, ...]`, without gaps.
            count: how many.
            keep: whether the outputs are wanted.

        Returns:
            The loss of each step, up to the first that is not finite, and the outputs of those steps.
        """
        starts = [to_read(x)] * self._inputs + [to_read(targets)]
        strides = [x.nbytes // count] * self._inputs + [targets.nbytes // count]
        for more, by in [
            *([self._draws.draw(count)] if self._draws.slots else []),
            *(one.begin_several(count) for one in self._states),
        ]:
            starts += more
            strides += by
        kept: list[int] = []
        outputs: Sequence[Tensor] = ()
        loop = self._loop
        if keep and self._outputs is not None:
            loop, memory = self._keeping, self._outputs.new_zeros((count, *self._outputs.shape))
            kept, outputs = [to_update(memory)], memory.unbind()
        before = perf_counter()
        losses = loop.run(count, starts, strides, kept)
        self._seconds = (perf_counter() - before) / count
        self._is_timed = True
        for one in self._states:
            one.keep_several(len(losses))
        if keep and self._outputs is None:
            outputs = self._states[-1].outputs_of(len(losses))
        return losses, outputs
