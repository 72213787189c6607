"""Linear regression with an L2 penalty on fixed features, the baseline of every model of numbers."""

from typing import Self

import torch
from torch import Tensor

from nabi.models._baselines._logistic import product, squared

__all__ = ["RidgeRegression"]

_STEPS = 300  # of conjugate gradients at most; they converge in some dozens
_TOLERANCE = 1e-5


class RidgeRegression:
    """Least squares with an L2 penalty, solved by conjugate gradients.

    It minimizes the sum of the squared errors plus `penalty` times the squared norm of the weights; the bias
    is not penalized.

    Attributes:
        weight: `[features]`.
        bias: a number.
    """

    def __init__(self, weight: Tensor, bias: float) -> None:
        self.weight, self.bias = weight, bias

    @classmethod
    def fit(
        cls, features: Tensor, targets: Tensor, *, penalty: float = 1.0, start: Self | None = None
    ) -> Self:
        """Fit to samples.

        Args:
            features: `[N, F]`, dense or sparse (COO), float32 or float64.
            targets: `[N]`.
            penalty: the strength of the L2 penalty, above 0.
            start: where to begin, such as the result of another penalty.

        >>> features = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> line = RidgeRegression.fit(features, torch.tensor([1.0, 3.0, 5.0, 7.0]), penalty=1e-4)
        >>> [round(value, 2) for value in line.predict(torch.tensor([[10.0]])).tolist()]
        [21.0]
        """
        forwards, backwards = product(features), product(features.t())
        dtype, count = features.dtype, features.shape[0]
        mean = targets.to(dtype).mean()
        wanted = (targets.to(dtype) - mean)[:, None]

        def normal(both: Tensor) -> Tensor:
            """Multiply with the matrix of the normal equations; the last row is the bias."""
            error = forwards(both[:-1]) + both[-1]
            return torch.cat([backwards(error) + penalty * both[:-1], error.sum(0, keepdim=True)])

        diagonal = product(squared(features).t())(torch.ones(count, 1, dtype=dtype)) + penalty
        scale = 1 / torch.cat([diagonal, torch.full((1, 1), float(count), dtype=dtype)])
        both = torch.zeros(features.shape[1] + 1, 1, dtype=dtype)
        if start is not None:
            both[:-1, 0], both[-1, 0] = start.weight, start.bias - mean
        aim = torch.cat([backwards(wanted), wanted.sum(0, keepdim=True)])
        rest = aim - normal(both)
        direction = scaled = scale * rest
        left = float((rest * scaled).sum())
        enough = _TOLERANCE**2 * float((aim * scale * aim).sum())
        for _ in range(_STEPS):
            if left <= enough:
                break
            moved = normal(direction)
            length = left / float((direction * moved).sum())
            both = both + length * direction
            rest = rest - length * moved
            scaled = scale * rest
            left, before = float((rest * scaled).sum()), left
            direction = scaled + left / before * direction
        return cls(both[:-1, 0].clone(), float(both[-1, 0] + mean))

    def predict(self, features: Tensor) -> Tensor:
        """Return `[N]` for features as in `fit`."""
        return product(features)(self.weight[:, None])[:, 0] + self.bias
