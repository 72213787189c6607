"""Means over the batches of an epoch, at negligible cost per batch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["RunningMean"]

# The number of values collected on an accelerator before they are fetched together.
_WAITING = 128


class RunningMean:
    """Weighted mean of numbers added one by one, possibly still being computed on an accelerator.

    Reading a number from an accelerator blocks until all earlier work is done, so numbers are collected there
    and fetched many at a time; on the CPU they are read immediately.

    >>> mean = RunningMean()
    >>> mean.add(torch.tensor(1.0), 1)
    >>> mean.add(torch.tensor(4.0), 2)
    >>> mean.result()
    3.0
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Reset the mean."""
        self._sum = 0.0
        # The last number fetched.
        self.last = 0.0
        self._weight = 0.0
        self._waiting: list[Tensor] = []
        self._weights: list[float] = []

    def add(self, value: Tensor | float, weight: float) -> None:
        """Add a number with its weight."""
        if isinstance(value, float) or value.device.type == "cpu":
            self.last = number = value if isinstance(value, float) else value.item()
            self._sum += number * weight
            self._weight += weight
            return
        self._waiting.append(value.detach().reshape(()))
        self._weights.append(weight)
        if len(self._waiting) >= _WAITING:
            self._fetch()

    def add_several(self, values: Sequence[float], weight: float) -> None:
        """Add numbers with the same weight, in their order."""
        total = self._sum
        for value in values:
            total += value * weight
        self._sum, self.last = total, values[-1] if values else self.last
        self._weight += weight * len(values)

    def _fetch(self) -> None:
        values = torch.stack(self._waiting).tolist()
        self.last = values[-1]
        self._sum += sum(value * weight for value, weight in zip(values, self._weights, strict=True))
        self._weight += sum(self._weights)
        self._waiting, self._weights = [], []

    def sums(self) -> tuple[float, float]:
        """Return the sum of the numbers times their weights, and that of the weights."""
        if self._waiting:
            self._fetch()
        return self._sum, self._weight

    def take_sums(self, sums: Sequence[tuple[float, float]]) -> None:
        """Be the mean of all numbers that these sums are of."""
        self._sum, self._weight = (sum(part) for part in zip(*sums, strict=True))

    @property
    def finite(self) -> bool:
        """Whether all numbers fetched since the last reset were finite."""
        return math.isfinite(self._sum)

    def result(self) -> float:
        """Return the mean of the numbers since the last reset; 0 if there were none."""
        if self._waiting:
            self._fetch()
        return self._sum / self._weight if self._weight else 0.0
