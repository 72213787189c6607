"""Means over the batches of an epoch that cost next to nothing per batch."""

import math

import torch
from torch import Tensor

__all__ = ["RunningMean"]

# So many values wait on an accelerator before they are fetched together.
_WAITING = 128


class RunningMean:
    """Weighted mean of numbers that arrive one by one, perhaps still being computed on an accelerator.

    Reading a number from an accelerator stops the program until all work before it is done, so numbers are
    collected there and fetched many at a time; on the processor they are read at once.

    >>> mean = RunningMean()
    >>> mean.add(torch.tensor(1.0), 1)
    >>> mean.add(torch.tensor(4.0), 2)
    >>> mean.result()
    3.0
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        self._sum = 0.0
        # The number that came last, as far as it has been fetched.
        self.last = 0.0
        self._weight = 0.0
        self._waiting: list[Tensor] = []
        self._weights: list[float] = []

    def add(self, value: Tensor | float, weight: float) -> None:
        """Take in a number with its weight."""
        if isinstance(value, float) or value.device.type == "cpu":
            self.last = number = value if isinstance(value, float) else value.item()
            self._sum += number * weight
            self._weight += weight
            return
        self._waiting.append(value.detach().reshape(()))
        self._weights.append(weight)
        if len(self._waiting) >= _WAITING:
            self._fetch()

    def _fetch(self) -> None:
        values = torch.stack(self._waiting).tolist()
        self.last = values[-1]
        self._sum += sum(value * weight for value, weight in zip(values, self._weights, strict=True))
        self._weight += sum(self._weights)
        self._waiting, self._weights = [], []

    @property
    def finite(self) -> bool:
        """Whether no number fetched since the last reset was NaN or infinite."""
        return math.isfinite(self._sum)

    def result(self) -> float:
        """The mean of what came since the last reset; 0 if nothing did."""
        if self._waiting:
            self._fetch()
        return self._sum / self._weight if self._weight else 0.0
