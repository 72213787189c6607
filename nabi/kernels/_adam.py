"""Adam on native code, where that runs; elsewhere torch's own kernel has to do it."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from nabi.native import made_natively, runs_native

__all__ = ["AdamSteps", "adam_steps"]


class AdamSteps(Protocol):
    """Steps of Adam over weights that stay where they are."""

    def forget_gradients(self) -> None:
        """Look at the gradients of the next step as at new ones: their memory may have become another's."""

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
        """Raise the counters and update the weights; False, with nothing done, if a weight lies elsewhere.

        Args:
            weights: those that this was made for.
            gradients: of each weight, contiguous.
            rate: the learning rate.
            betas: of the mean of the gradients, and of their squares.
            epsilon: added to the root.
            decay: of the weights, added to the gradient unless `decoupled`.
            decoupled: whether weights decay by themselves.
            maximize: whether to climb.
            epsilon_first: whether epsilon is added to the root before its correction, as in Keras, and not
                after it, as in torch.

        Raises:
            ShapeError, ArgumentError: a gradient is not as its weight. One that lies where that of the last
                step lay is not looked at, unless `forget_gradients` was called.
        """


def adam_steps(
    weights: Sequence[Tensor], means: Sequence[Tensor], squares: Sequence[Tensor], counters: Sequence[Tensor]
) -> AdamSteps | None:
    """Return what makes steps of Adam, None where torch has to.

    Args:
        weights: contiguous, all of one type.
        means, squares: the running means of their gradients and of the squares, as the weights.
        counters: how many steps each weight has made, one number each, float32.

    Raises:
        ShapeError, ArgumentError: a mean, a square or a counter is not as its weight needs it.
    """
    if not runs_native(*weights, *means, *squares):
        return None
    from nabi.kernels._code._adam import NativeAdam

    return made_natively("adam", "Adam", lambda: NativeAdam(weights, means, squares, counters))
