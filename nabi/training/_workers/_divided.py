"""Steps of a system's optimizer on several workers, of which each updates a piece of the large weights."""

from typing import TYPE_CHECKING

import torch

from nabi.training._optimizers._classes import TorchOptimizer

if TYPE_CHECKING:
    from nabi.training._workers._exchange import GradientExchange

__all__ = ["DividedSteps"]


class DividedSteps:
    """The steps of an optimizer of torch, with the gradients that the workers exchange.

    Weights are divided from the second step on, as an optimizer that is new keeps nothing yet. `join` is for
    whoever needs what the optimizer keeps, or changes weights: a checkpoint, the end of an epoch. They are
    divided again at the step after it.

    Args:
        exchange: of the gradients of all that the optimizer trains.
        optimizer: the same in every worker.
        is_watched: whether code of others runs between the steps of a worker, which may change weights; none
            is divided then. The same in every worker.
    """

    def __init__(
        self, exchange: "GradientExchange", optimizer: torch.optim.Optimizer, is_watched: bool
    ) -> None:
        self._exchange, self._optimizer, self._is_watched = exchange, optimizer, is_watched
        self._divisible = TorchOptimizer(optimizer)
        self._divisible.bind(optimizer.param_groups[0]["params"])
        self._is_time = True

    def begin(self) -> None:
        """Divide the large weights, if that is possible and has not been tried since they were joined."""
        if self._is_time and not self._is_watched and self._optimizer.state:
            self._is_time = False
            self._divisible.look_again()
            self._exchange.divide(self._divisible)

    def step(self) -> None:
        """Update the weights in all workers."""
        if self._exchange.is_divided:
            self._exchange.update(self._divisible)
        else:
            self._optimizer.step()

    def join(self) -> None:
        """Give every worker all of the weights, and of what the optimizer keeps; all workers do."""
        self._exchange.join()
        self._is_time = True

    def leave(self) -> None:
        """Give this worker all of the weights, without asking others, which may have ended."""
        self._exchange.leave()
