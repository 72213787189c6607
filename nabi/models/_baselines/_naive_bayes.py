"""Naive Bayes on counts or shares, as a linear model."""

import torch
from torch import Tensor

__all__ = ["naive_bayes"]

_SMOOTHING = 1.0  # of Laplace: each value of each feature is taken to have been seen so often


def naive_bayes(features: Tensor, targets: Tensor, classes: int, values: int) -> tuple[Tensor, Tensor]:
    """Return weight `[features, classes]` and bias `[classes]` of a naive Bayes classifier.

    Args:
        features: `[N, features]`, how much of each value there is: one-hot, shares or counts. Each `values`
            columns that follow one another are the values of one feature.
        targets: `[N]`, from 0 to `classes - 1`.
        classes: how many there are.
        values: how many values a feature has.

    >>> features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> weight, bias = naive_bayes(features, torch.tensor([0, 0, 1]), 2, 2)
    >>> (features @ weight + bias).argmax(1).tolist()
    [0, 0, 1]
    """
    belongs = torch.nn.functional.one_hot(targets, classes).to(features.dtype)
    seen = (features.t() @ belongs + _SMOOTHING).reshape(-1, values, classes)
    weight = (seen / seen.sum(1, keepdim=True)).log().reshape(-1, classes)
    shares = (belongs.sum(0) + _SMOOTHING) / (len(targets) + classes * _SMOOTHING)
    return weight, shares.log()
