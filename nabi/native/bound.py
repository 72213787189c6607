"""Runs of kernels whose arguments lie in blocks that stay, for others to repeat."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from torch.nn import Parameter

if TYPE_CHECKING:
    from nabi.native.addresses import Arguments

__all__ = ["BoundLoss", "BoundPass", "Run", "Slot"]


class Run(NamedTuple):
    """A run of a kernel by one thread.

    Attributes:
        address: of the kernel.
        block: its arguments. Whoever holds a run also holds the memory that they lead to.
    """

    address: int
    block: "Arguments"


class Slot(NamedTuple):
    """The place of one address among the arguments of a kernel."""

    block: "Arguments"
    at: int

    def leads_to(self, tensor: Tensor) -> bool:
        """Return whether the address in it is that of a tensor."""
        return self.block[self.at] == tensor.data_ptr()


class BoundPass(NamedTuple):
    """A layer in a training, forward and backward, if it is nothing but two runs at the same addresses.

    Attributes:
        forward, backward: the runs.
        inputs: where the address of its input is.
        output: the output, in the same memory at every step.
        cotangents: where the address of the output's cotangent is.
        input_gradient: the gradient of the input, None if it is not computed.
        gradients: the trained weights with their gradients.
        families: the gradients of a program's families, None where not needed.
        before: runs before the forward run.
        key: where the address of the number is that random numbers follow from, if there are any.
        copies: further runs after the backward run.
        after: what is still to be done after these, before the weights change; None for nothing.
        initial: for each state where the addresses of its initial values are.
        final: for each state where the address of its final values is.
        by_time: whether the input must have time before the sequences in memory.
        holds: what the addresses lead to, apart from inputs and cotangents.
    """

    forward: Run
    backward: Run
    inputs: Sequence[Slot]
    output: Tensor
    cotangents: Sequence[Slot]
    input_gradient: Tensor | None
    gradients: Sequence[tuple[Parameter, Tensor]] = ()
    initial: Sequence[Sequence[Slot]] = ()
    final: Sequence[Slot] = ()
    by_time: bool = False
    holds: object = None
    families: Sequence[Tensor | None] = ()
    before: Sequence[Run] = ()
    key: Slot | None = None
    copies: Sequence[Run] = ()
    after: Callable[[], None] | None = None


class BoundLoss(NamedTuple):
    """A loss as a run of a kernel.

    Attributes:
        run: the run.
        targets, outputs: where their addresses are.
        gradient: the gradient for the outputs, in the same memory at every run.
        value: gives the loss after a run.
        loss: where it is, in double precision.
    """

    run: Run
    targets: Slot
    outputs: Slot
    gradient: Tensor
    value: Callable[[], float]
    loss: Slot
