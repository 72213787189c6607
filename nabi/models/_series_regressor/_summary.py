"""The linear model beside a series regressor: ridge regression on a few figures of a series."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.models._baselines._ridge import RidgeRegression
from nabi.models._sequences._baselines import summary_features

__all__ = ["SummaryRegression", "features_of"]

_PENALTIES = (100.0, 10.0, 1.0, 0.1, 0.01)
_USUAL_PENALTY = 1.0

Floats = npt.NDArray[np.float64]


def features_of(series: Sequence[npt.NDArray[Any]]) -> Floats:
    """Return features `[N, F]` of series `[T, D]`: mean, deviation, 8 steps of each channel; their length."""
    rows = [np.concatenate([*summary_features(one).values(), [len(one)]]) for one in series]
    return np.stack(rows).astype(np.float64)


class SummaryRegression(torch.nn.Module):
    """Ridge regression on the features of `features_of`. Its weights are buffers, so that a file holds them.

    Args:
        width: number of the features.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    name = "ridge regression on simple features"

    def __init__(self, width: int) -> None:
        """Make a model that is not fitted yet, and always says 0."""
        super().__init__()
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
