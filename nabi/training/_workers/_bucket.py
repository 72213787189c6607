"""Gradients that workers make one together; kinds of buckets differ in how they come to the others."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Bucket", "places_in", "rows_read", "set_gradient"]


class Bucket(ABC):
    """Gradients that are complete together.

    A step is `begin`, then `take` for each weight, `send`, and when all workers have sent, `receive` and
    `collect`. Between the last two, workers whose `meets` is set wait for one another.

    Attributes:
        weights: those that they belong to.
        codes: of an embedding, which rows this worker has read; None where that is not known.
        meets: whether a worker receives only a part, and collects the others'.
    """

    meets = False

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        self.codes: Tensor | None = None
        self._missing: set[int] = set()
        self._factor = 0.0

    def begin(self, factor: float) -> None:
        """Begin a step in which this worker's gradients count so much."""
        self._missing, self._factor = set(map(id, self.weights)), factor

    @property
    def is_complete(self) -> bool:
        """Whether all gradients have been taken."""
        return not self._missing

    def take(self, weight: Tensor) -> None:
        """Take the gradient of a weight, times what it counts."""
        self._missing.discard(id(weight))

    def fill(self) -> None:
        """Take what has not been taken: gradients of weights that no part has told of, zeros for others."""
        for weight in self.weights:
            if id(weight) in self._missing:
                self.take(weight)

    def has_gradient(self, weight: Tensor) -> bool:
        """Whether this worker has found a gradient of a weight."""
        return weight.grad is not None

    @abstractmethod
    def send(self) -> None:
        """Begin to give the gradients to the others."""

    @abstractmethod
    def receive(self, things: float, used: dict[int, float]) -> None:
        """Make them one.

        Args:
            things: by which they are divided.
            used: in how many workers a weight has a gradient, by the weight's id.
        """

    def collect(self, used: dict[int, float]) -> None:
        """Take from others what they received."""
        return


def set_gradient(weight: Tensor, gradient: Tensor) -> None:
    """Give a weight a gradient, in the memory that its gradient has."""
    if weight.grad is None:
        weight.grad = gradient.clone()
    elif weight.grad.data_ptr() != gradient.data_ptr():
        weight.grad.copy_(gradient)


def places_in(flat: Tensor, weights: Sequence[Tensor]) -> dict[int, Tensor]:
    """Return the place of each weight in memory for all of them, by the weight's id."""
    parts = flat.split([one.numel() for one in weights])
    return {id(one): part.view(one.shape) for one, part in zip(weights, parts, strict=True)}


def rows_read(gradient: Tensor, codes: Tensor | None) -> Tensor:
    """Return which rows of an embedding have been read, uint8 `[rows]`.

    Args:
        gradient: that of the embedding, which is looked through without `codes`.
        codes: the rows, in any order and number.
    """
    if codes is None:
        return (gradient.abs().amax(1) != 0).to(torch.uint8)  # `any` of booleans takes ten times as long
    read = torch.zeros(len(gradient), dtype=torch.uint8, device=gradient.device)
    return read.index_fill_(0, codes.reshape(-1).long(), 1)
