"""Logistic regressions on fixed features of sequences, kept with a network and measured beside it."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.models._baselines._logistic import LogisticRegression
from nabi.models._baselines._naive_bayes import naive_bayes

__all__ = ["Baselines", "frame_features", "stack", "summary_features"]

_PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
_USUAL_PENALTY = 1.0
_RESAMPLED = 8
_NEIGHBOURS = 2
# More rows make the fit slower and hardly better.
_MOST_ROWS = 20_000

Array = npt.NDArray[Any]


class _Linear(torch.nn.Module):
    """Standardizes features, or leaves them as they are (mean 0, deviation 1), and weights them."""

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.register_buffer("weight", torch.zeros(width, classes))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, features: Tensor) -> Tensor:
        return ((features - self.mean) / self.deviation) @ self.weight + self.bias


class Baselines(torch.nn.Module):
    """The most frequent class, and a logistic regression or naive Bayes on each kind of features.

    They are fitted once, to the data that the network learns from; the strength of the penalty is chosen by
    the loss on validation data. Their weights are buffers, so that a model file holds them.

    Args:
        widths: number of features by the name of the baseline.
        classes: how many there are.
    """

    shares: Tensor

    def __init__(self, widths: Mapping[str, int], classes: int) -> None:
        """Make baselines that are not fitted yet."""
        super().__init__()
        self.names = tuple(widths)
        self.models = torch.nn.ModuleList(_Linear(width, classes) for width in widths.values())
        self.register_buffer("shares", torch.zeros(classes))

    @torch.no_grad()
    def fit(
        self,
        train: Mapping[str, Array],
        targets: Array,
        validation: tuple[Mapping[str, Array], Array] | None,
        class_weight: Tensor | None,
        counted: Mapping[str, int] = MappingProxyType({}),
        unscaled: Collection[str] = (),
    ) -> None:
        """Fit to features `[N, F]` by the names of the baselines, and targets `[N]`.

        `validation` is such a pair too. `counted` names those that are naive Bayes, with the number of values
        of each of their features.

        Numbers are standardized, so that the penalty treats all units alike. `unscaled` names the baselines
        whose features are one-hot. Those have one scale already, and standardizing would divide a rare value
        by a small deviation: it would be penalized least, though least is known about it.
        """
        classes = len(self.shares)
        self.shares.copy_(torch.from_numpy(np.bincount(targets, minlength=classes) / len(targets)))
        rows = np.random.default_rng(0).permutation(len(targets))[:_MOST_ROWS]
        wanted = torch.from_numpy(targets[rows])
        for name, model in zip(self.names, self.models, strict=True):
            assert isinstance(model, _Linear)
            features = torch.from_numpy(train[name][rows]).float()
            if name in counted:
                weight, bias = naive_bayes(features, wanted, classes, counted[name])
                model.weight.copy_(weight)
                model.bias.copy_(bias)
                continue
            if name not in unscaled:
                deviation, mean = torch.std_mean(features, 0, correction=0)
                deviation[deviation <= 1e-6 * mean.abs()] = 1.0
                model.mean.copy_(mean)
                model.deviation.copy_(deviation)
            scaled = (features - model.mean) / model.deviation
            best = torch.inf
            for penalty in _PENALTIES if validation is not None else (_USUAL_PENALTY,):
                found = LogisticRegression.fit(
                    scaled, wanted, classes, penalty=penalty, class_weight=class_weight
                )
                loss = 0.0
                if validation is not None:
                    held_out, right = (torch.from_numpy(one) for one in (validation[0][name], validation[1]))
                    logits = ((held_out.float() - model.mean) / model.deviation) @ found.weight + found.bias
                    loss = float(torch.nn.functional.cross_entropy(logits, right))
                if loss < best:
                    best = loss
                    model.weight.copy_(found.weight)
                    model.bias.copy_(found.bias)

    @torch.no_grad()
    def predict(self, features: Mapping[str, Array], count: int) -> dict[str, Array]:
        """Return the class of each of `count` rows by the name of the baseline."""
        found = {"majority": np.full(count, int(self.shares.argmax()))}
        for name in self.names:
            found[name] = self.probabilities(name, features[name]).argmax(1)
        return found

    @torch.no_grad()
    def probabilities(self, name: str, features: Array) -> Array:
        """Return the probabilities `[N, classes]` of one of the models for its features `[N, F]`."""
        model = self.models[self.names.index(name)]
        found: Array = model(torch.from_numpy(features).float()).softmax(1).numpy()
        return found


def summary_features(sequence: Array) -> dict[str, Array]:
    """Return features of a sequence `[T, ...]` of numbers: mean and deviation, and eight resampled steps.

    Missing values are left out of means, and interpolated for the steps; a channel without any value is zero.
    """
    steps = sequence.reshape(len(sequence), -1).astype(np.float64)
    seen = ~np.isnan(steps)
    count = np.maximum(seen.sum(0), 1)
    filled = np.where(seen, steps, 0.0)
    mean = filled.sum(0) / count
    deviation = np.sqrt((np.where(seen, steps - mean, 0.0) ** 2).sum(0) / count)
    places, wanted = np.arange(len(steps)), np.linspace(0, len(steps) - 1, _RESAMPLED)
    resampled = [
        np.interp(wanted, places[seen[:, channel]], steps[seen[:, channel], channel])
        if seen[:, channel].any()
        else np.zeros(_RESAMPLED)
        for channel in range(steps.shape[1])
    ]
    return {
        "logistic regression on mean and deviation": np.concatenate([mean, deviation]),
        "logistic regression on 8 steps": np.concatenate(resampled),
    }


def frame_features(sequence: Array) -> dict[str, Array]:
    """Return features of every step of a sequence `[T, ...]`: it and two steps on each side, `[T, F]`.

    Missing values, and steps beyond the ends, are zero.
    """
    steps = np.nan_to_num(sequence.reshape(len(sequence), -1).astype(np.float64), nan=0.0)
    padded = np.pad(steps, ((_NEIGHBOURS, _NEIGHBOURS), (0, 0)))
    windows = [padded[start : start + len(steps)] for start in range(2 * _NEIGHBOURS + 1)]
    return {f"logistic regression on {2 * _NEIGHBOURS + 1} steps": np.concatenate(windows, 1)}


def stack(features: Sequence[Mapping[str, Array]], of_steps: bool) -> dict[str, Array]:
    """Put the features of sequences together: `[N, F]` by the name of the baseline."""
    join = np.concatenate if of_steps else np.stack
    return {name: join([one[name] for one in features]) for name in features[0]}
