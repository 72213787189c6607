"""Large weights, of which each worker on a machine updates a piece.

An optimizer does the same to every element, so it need not do it in every worker. The weights themselves lie
in memory that all workers see: what one has updated is there for the others.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nabi.training._workers._group import Workers
from nabi.training._workers._memory import LargeInMemory

if TYPE_CHECKING:
    from nabi.training._optimizers._classes import Optimizer
    from nabi.training._step._fused import PieceSteps

__all__ = ["Pieces"]


class Pieces:
    """The pieces of large weights; `of` makes them where all workers can update pieces.

    Args:
        workers: all of them.
        optimizer: what updates the weights.
        buckets: those of the large weights.
    """

    def __init__(self, workers: Workers, optimizer: "Optimizer", buckets: Sequence[LargeInMemory]) -> None:
        self._workers, self._optimizer, self._buckets = workers, optimizer, buckets
        self._weights = [bucket.weights[0] for bucket in buckets]
        for bucket, weight in zip(buckets, self._weights, strict=True):
            bucket.whole[bucket.part] = weight.detach().view(-1)[bucket.part]
        workers.meet()
        # A worker's own memory, where its weights come back to.
        self._places = [weight.data for weight in self._weights]
        for bucket, weight in zip(buckets, self._weights, strict=True):
            bucket.divide()
            weight.data = bucket.whole.view(weight.shape)
        self._steps: PieceSteps = optimizer.in_pieces(self._parts())

    @classmethod
    def of(
        cls,
        workers: Workers,
        optimizer: "Optimizer",
        buckets: Sequence[LargeInMemory],
        weights: Sequence[Tensor],
    ) -> "Pieces | None":
        """Divide the weights; None in all workers, with nothing done, if one of them cannot.

        Arguments as for the class; `weights` are all that have gradients.
        """
        can = optimizer.can_step_in_pieces(weights)
        return None if workers.any(not can) else cls(workers, optimizer, buckets)

    def _parts(self) -> dict[int, slice]:
        return {id(weight): bucket.part for bucket, weight in zip(self._buckets, self._weights, strict=True)}

    def update(self) -> None:
        """Update this worker's pieces, and all of the small weights."""
        gradients = {}
        for bucket, weight in zip(self._buckets, self._weights, strict=True):
            assert bucket.gradient is not None  # it is divided
            gradients[id(weight)] = bucket.gradient
        self._optimizer.step_in_pieces(self._steps, gradients)

    def leave(self) -> None:
        """Take the weights into this worker's own memory again."""
        with torch.no_grad():
            for bucket, weight, place in zip(self._buckets, self._weights, self._places, strict=True):
                bucket.join()
                place.copy_(weight.data)
                weight.data = place

    def join(self) -> None:
        """Take the weights back, and make whole what the optimizer keeps of them; all workers do."""
        self.leave()
        self._workers.meet()
        for bucket, weight in zip(self._buckets, self._weights, strict=True):
            for state in self._optimizer.states_like(weight):
                self._make_whole(bucket, state)

    def _make_whole(self, bucket: LargeInMemory, state: Tensor) -> None:
        flat = state.view(-1)
        bucket.whole[bucket.part] = flat[bucket.part]
        self._workers.meet()
        flat.copy_(bucket.whole)
        self._workers.meet()
