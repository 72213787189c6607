"""Adam in native code, if available; otherwise torch's own kernel is used."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native
from nabi.native.bound import Run

__all__ = ["AdamSteps", "AdamUpdate", "adam_steps"]


class AdamUpdate(Protocol):
    """A step of Adam that is ready to run.

    Attributes:
        run: the run of its kernel.
    """

    run: Run


class AdamSteps(Protocol):
    """Steps of Adam over weights at fixed addresses."""

    def forget_gradients(self) -> None:
        """Treat the gradients of the next step as new ones: their memory may have been reused."""

    def step(
        self,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        *,
        rate: float,
        betas: tuple[float, float],
        epsilon: float,
        decay: float,
        decoupled: bool,
        maximize: bool,
        epsilon_first: bool = False,
    ) -> bool:
        """Increment the counters and update the weights; False, with nothing done, if a weight has moved.

        Args:
            weights: the weights for which this was made.
            gradients: the gradient of each weight, contiguous.
            rate: the learning rate.
            betas: decay rates of the mean of the gradients and of their squares.
            epsilon: added to the root.
            decay: weight decay, added to the gradient unless `decoupled`.
            decoupled: whether weight decay is decoupled from the gradient.
            maximize: whether to maximize.
            epsilon_first: whether epsilon is added to the root before its correction, as in Keras, and not
                after it, as in torch.

        Raises:
            ShapeError, ArgumentError: if a gradient does not match its weight. A gradient at the same address
                as in the last step is not checked, unless `forget_gradients` was called.
        """

    def prepare(
        self,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        *,
        rate: float,
        betas: tuple[float, float],
        epsilon: float,
        decay: float,
        decoupled: bool,
        maximize: bool,
        epsilon_first: bool = False,
    ) -> AdamUpdate | None:
        """Prepare a step for one thread; None if a weight has moved, or more threads are worth it.

        Arguments as for `step`. Whoever runs it holds weights and gradients meanwhile and calls `has_run`
        afterwards.
        """

    def run(self, update: AdamUpdate) -> None:
        """Run a step that `prepare` gave."""

    def are_in_place(self, weights: Sequence[Tensor]) -> bool:
        """Return whether the weights lie where they lay when this was made."""

    def has_run(self, update: AdamUpdate) -> None:
        """Take back what `prepare` gave."""


def adam_steps(
    weights: Sequence[Tensor], means: Sequence[Tensor], squares: Sequence[Tensor], counters: Sequence[Tensor]
) -> AdamSteps | None:
    """Return an object that makes steps of Adam, None if torch must be used.

    Args:
        weights: contiguous, all of one dtype.
        means, squares: the running means of their gradients and of the squares, like the weights.
        counters: the number of steps of each weight, one float32 number each.

    Raises:
        ShapeError, ArgumentError: if a mean, a square or a counter does not match its weight.
    """
    if not runs_native(*weights, *means, *squares):
        return None
    from nabi.kernels._code._adam import NativeAdam

    return made_natively("adam", "Adam", lambda: NativeAdam(weights, means, squares, counters))
