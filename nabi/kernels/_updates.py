"""Steps of optimizers in native code: Adam, SGD and RMSprop, in torch's form and in Keras'.

Where native code does not run, a function here returns None, and the optimizer takes its own step.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native
from nabi.native.bound import Run

__all__ = [
    "AdamOptions",
    "Options",
    "RMSpropOptions",
    "SGDOptions",
    "Update",
    "UpdateSteps",
    "adam_steps",
    "rmsprop_steps",
    "sgd_steps",
]


class AdamOptions(NamedTuple):
    """What a step of Adam depends on, beside weights and gradients.

    Attributes:
        rate: the learning rate.
        betas: decay rates of the mean of the gradients and of their squares.
        epsilon: added to the root.
        decay: weight decay, added to the gradient unless `decoupled`.
        decoupled: whether weight decay is decoupled from the gradient.
        maximize: whether to maximize.
        epsilon_first: whether epsilon is added to the root before its correction, as in Keras, and not after
            it, as in torch.
    """

    rate: float
    betas: tuple[float, float]
    epsilon: float
    decay: float = 0.0
    decoupled: bool = False
    maximize: bool = False
    epsilon_first: bool = False


class SGDOptions(NamedTuple):
    """What a step of stochastic gradient descent depends on, beside weights and gradients.

    Attributes:
        rate: the learning rate.
        momentum: share of the momentum that is kept at a step; 0 for none.
        dampening: share of the gradient that does not go into the momentum.
        nesterov: whether the momentum is looked ahead (Nesterov 1983).
        decay, decoupled, maximize: as for Adam.
        rate_first: whether gradients are multiplied by the rate before they go into the momentum, as in
            Keras, and not the momentum, as in torch.
    """

    rate: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    decay: float = 0.0
    decoupled: bool = False
    maximize: bool = False
    rate_first: bool = False


class RMSpropOptions(NamedTuple):
    """What a step of RMSprop depends on, beside weights and gradients.

    Attributes:
        rate: the learning rate.
        keep: decay rate of the mean of the squares, and of that of the gradients.
        epsilon: added to the root.
        momentum: share of the momentum that is kept at a step; 0 for none.
        centered: whether the variance of the gradients takes the place of the mean of their squares.
        decay, decoupled, maximize: as for Adam.
        rate_first: as for SGD; then epsilon is added below the root, too.
    """

    rate: float
    keep: float
    epsilon: float
    momentum: float = 0.0
    centered: bool = False
    decay: float = 0.0
    decoupled: bool = False
    maximize: bool = False
    rate_first: bool = False


Options = AdamOptions | SGDOptions | RMSpropOptions


class Update(Protocol):
    """A step of an optimizer that is ready to run.

    Attributes:
        run: the run of its kernel.
    """

    run: Run


class UpdateSteps(Protocol):
    """Steps of an optimizer over weights at fixed addresses."""

    def forget_gradients(self) -> None:
        """Treat the gradients of the next step as new ones: their memory may have been reused."""

    def step(self, weights: Sequence[Tensor], gradients: Sequence[Tensor], options: Options) -> bool:
        """Count the step and update the weights; False, with nothing done, if a weight has moved.

        Args:
            weights: the weights for which this was made.
            gradients: the gradient of each weight, contiguous.
            options: those of the optimizer for which this was made; they may change from step to step.

        Raises:
            ShapeError, ArgumentError: if a gradient does not match its weight. A gradient at the same address
                as in the last step is not checked, unless `forget_gradients` was called.
        """

    def prepare(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], options: Options
    ) -> Update | None:
        """Prepare a step for one thread; None if a weight has moved, or more threads are worth it.

        Arguments as for `step`. Whoever runs it holds weights and gradients meanwhile and calls `has_run`
        afterwards.
        """

    def run(self, update: Update) -> None:
        """Run a step that `prepare` gave."""

    def are_in_place(self, weights: Sequence[Tensor]) -> bool:
        """Return whether the weights lie where they lay when this was made."""

    def has_run(self, update: Update) -> None:
        """Take back what `prepare` gave."""


Tensors = Sequence[Tensor]
States = dict[str, Tensors | None]


def adam_steps(weights: Tensors, means: Tensors, squares: Tensors, counters: Tensors) -> UpdateSteps | None:
    """Return an object that makes steps of Adam, None if torch must be used.

    Args:
        weights: contiguous, all of one dtype.
        means, squares: the running means of their gradients and of the squares, like the weights.
        counters: the number of steps of each weight, one float32 number each.

    Raises:
        ShapeError, ArgumentError: if a mean, a square or a counter does not match its weight.
    """
    states: States = {"exp_avg": means, "exp_avg_sq": squares}
    if not _runs(weights, states):
        return None
    from nabi.kernels._code._adam import ADAM
    from nabi.kernels._code._updates import NativeSteps

    return made_natively("adam", "Adam", lambda: NativeSteps(ADAM, weights, states, counters))


def sgd_steps(
    weights: Tensors, momenta: Tensors | None = None, counters: Tensors | None = None
) -> UpdateSteps | None:
    """Return an object that makes steps of stochastic gradient descent, None if torch must be used.

    Args:
        weights: contiguous, all of one dtype.
        momenta: their momenta, like the weights; without them `momentum` must be 0.
        counters: numbers of steps to be raised, one float32 number for each weight.

    Raises:
        ShapeError, ArgumentError: if a momentum or a counter does not match its weight.
    """
    states: States = {"momentum": momenta}
    if not _runs(weights, states):
        return None
    from nabi.kernels._code._gradient_descent import SGD
    from nabi.kernels._code._updates import NativeSteps

    return made_natively("sgd", "SGD", lambda: NativeSteps(SGD, weights, states, counters))


def rmsprop_steps(
    weights: Tensors,
    squares: Tensors,
    means: Tensors | None = None,
    momenta: Tensors | None = None,
    counters: Tensors | None = None,
) -> UpdateSteps | None:
    """Return an object that makes steps of RMSprop, None if torch must be used.

    Args:
        weights: contiguous, all of one dtype.
        squares: the running means of the squares of their gradients, like the weights.
        means: those of the gradients; without them `centered` must be False.
        momenta: their momenta; without them `momentum` must be 0.
        counters: numbers of steps to be raised, one float32 number for each weight.

    Raises:
        ShapeError, ArgumentError: if a state or a counter does not match its weight.
    """
    states: States = {"square_avg": squares, "grad_avg": means, "momentum": momenta}
    if not _runs(weights, states):
        return None
    from nabi.kernels._code._gradient_descent import RMSPROP
    from nabi.kernels._code._updates import NativeSteps

    return made_natively("rmsprop", "RMSprop", lambda: NativeSteps(RMSPROP, weights, states, counters))


def _runs(weights: Tensors, states: States) -> bool:
    return runs_native(*weights, *(one for several in states.values() for one in several or ()))
