"""The networks of a system that estimates numbers, with the linear model beside them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.models._baselines._ridge import RidgeRegression
from nabi.models._sequences._network import SequenceNetwork, SequenceNetworks

__all__ = ["FeatureRegression", "NumberNetworks"]

_PENALTIES = (100.0, 10.0, 1.0, 0.1, 0.01)
_USUAL_PENALTY = 1.0

Floats = npt.NDArray[np.float64]


class FeatureRegression(torch.nn.Module):
    """Ridge regression on a few features of a sequence. Its weights are buffers, so that a file holds them.

    Args:
        width: number of the features.
        name: what it is called in tables and sentences.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, width: int, name: str) -> None:
        """Make a model that is not fitted yet, and always says 0."""
        super().__init__()
        self.name = name
        self.register_buffer("mean", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("deviation", torch.ones(width, dtype=torch.float64))
        self.register_buffer("weight", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def fit(self, features: Floats, targets: Floats, validation: tuple[Floats, Floats] | None) -> None:
        """Fit to features `[N, F]` and numbers `[N]`; the penalty is the best one for the validation data."""
        read, wanted = torch.from_numpy(features), torch.from_numpy(targets)
        deviation, mean = torch.std_mean(read, 0, correction=0)
        # Rounding leaves a little deviation in a large constant.
        deviation[deviation <= 1e-9 * mean.abs()] = 1.0
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        scaled = (read - mean) / deviation
        least, found = np.inf, None
        for penalty in _PENALTIES if validation is not None else (_USUAL_PENALTY,):
            found = RidgeRegression.fit(scaled, wanted, penalty=penalty, start=found)
            error = 0.0
            if validation is not None:
                others, truth = validation
                unseen = (torch.from_numpy(others) - mean) / deviation
                error = float(np.mean((found.predict(unseen).numpy() - truth) ** 2))
            if error < least:
                least = error
                self.weight.copy_(found.weight)
                self.bias.fill_(found.bias)

    @torch.no_grad()
    def predict(self, features: Floats) -> Floats:
        """Return a number for each row of features `[N, F]`."""
        scaled = (torch.from_numpy(features) - self.mean) / self.deviation
        found: Floats = (scaled @ self.weight + self.bias).numpy()
        return found


class NumberNetworks(SequenceNetworks):
    """Networks that are trained side by side and whose numbers are averaged.

    Args:
        make: makes one of them.
        count: how many there are.
        linear: the linear model beside them.
    """

    def __init__(self, make: Callable[[], SequenceNetwork], count: int, linear: FeatureRegression) -> None:
        """Make the networks with weights from torch's random numbers."""
        super().__init__(make, count)
        self.linear = linear

    def numbers(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean of what they say of padded sequences `[B, T, ...]`: standardized numbers `[B]`."""
        found = self(x, lengths)
        total: Tensor = found[0][0][:, 0]
        for numbers, _ in found[1:]:
            total = total + numbers[:, 0]
        return total / len(found)
