"""The linear model beside a text regressor: ridge regression on words and pairs of words."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.models._baselines._ridge import RidgeRegression
from nabi.models._baselines._tfidf import TextFeatures
from nabi.models._classifier._other_columns import OtherColumns, features_of
from nabi.models._classifier._simple import (
    best_penalty,
    joined,
    linear_description,
    linear_name,
    rows_to_read,
    word_features,
)
from nabi.models._regressor._samples import NumberSamples

__all__ = ["WordRegression"]

# Each fit begins with what the last has learnt. The penalty falls, or rises, as long as the validation rows
# gain by it.
_PENALTY, _FALLING, _RISING = 1.0, (0.5, 0.25, 0.1), (2.0, 4.0, 8.0, 16.0)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WordRegression:
    """Ridge regression on the TF-IDF weights of words and pairs of words, or of runs of characters."""

    features: TextFeatures
    regression: RidgeRegression
    penalty: float
    seconds: float | None = None
    """How long it took to learn; None for one from a file."""

    @classmethod
    def learn(
        cls,
        samples: NumberSamples,
        targets: Floats,
        validation: tuple[NumberSamples, Floats] | None,
        columns: OtherColumns | None = None,
        *,
        characters: bool,
        seed: int,
    ) -> Self | None:
        """Choose the penalty, and the kind of features, by the validation rows.

        Args:
            samples: to learn from.
            targets: their numbers, standardized `[N]`.
            validation: other samples with their standardized numbers.
            columns: that count beside the words.
            characters: whether runs of characters are tried beside words.
            seed: of the choice of rows, where there are too many.

        Returns:
            the model; None where no two texts have a word in common.
        """
        start = time.perf_counter()
        rows = rows_to_read(samples, seed)
        if rows is not None:
            samples, targets = samples.take(rows), targets[rows]
        best: tuple[float, TextFeatures, RidgeRegression, float] | None = None
        for features in word_features(samples, 1, characters=characters and validation is not None):
            found = _choose(features, columns, samples, targets, validation)
            if best is None or found[0] < best[0]:
                best = found
        if best is None:
            return None
        _, features, regression, penalty = best
        return cls(features, regression, penalty, time.perf_counter() - start)

    @property
    def name(self) -> str:
        """What it is called in tables and sentences."""
        return linear_name(self.features, len(self.regression.weight))

    @property
    def described(self) -> str:
        """What it is, in a line."""
        width = len(self.regression.weight)
        return linear_description(self.features, width, "ridge regression", self.penalty)

    def predict(
        self,
        texts: Sequence[str],
        aspects: Sequence[str] | None = None,
        beside: npt.NDArray[np.float32] | None = None,
    ) -> Floats:
        """Return standardized numbers `[N]`; `beside` are features of other columns, if there are some."""
        stripped = [text.strip() for text in texts]
        read = joined(self.features(stripped, aspects), beside)
        return self.regression.predict(read).numpy().astype(np.float64)

    # Files --------------------------------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what a file holds: a description that JSON can hold, and tensors by name."""
        described, tensors = self.features.to_file()
        return (
            {"features": described, "penalty": self.penalty, "bias": self.regression.bias},
            {**tensors, "weight": self.regression.weight},
        )

    @classmethod
    def from_file(cls, described: Mapping[str, Any], tensors: Mapping[str, Tensor], beside: int = 0) -> Self:
        """Make the model that `to_file` described, of words and of `beside` features of other columns.

        Raises:
            ArgumentError, FileFormatError: for something else.
        """
        features = TextFeatures.from_file(described["features"], tensors)
        weight, width = tensors["weight"], len(features) + beside
        if tuple(weight.shape) != (width,) or weight.dtype != torch.float32:
            raise ArgumentError(f"weight: expected {width} numbers, one for each feature")
        return cls(features, RidgeRegression(weight, float(described["bias"])), float(described["penalty"]))


def _choose(
    features: TextFeatures,
    columns: OtherColumns | None,
    samples: NumberSamples,
    targets: Floats,
    validation: tuple[NumberSamples, Floats] | None,
) -> tuple[float, TextFeatures, RidgeRegression, float]:
    """Return the squared error of the best penalty, the features, what was learnt, and the penalty."""
    read = joined(features(samples.texts, samples.aspects), features_of(columns, samples))
    wanted = torch.from_numpy(targets)

    def fit(penalty: float, start: RidgeRegression | None = None) -> RidgeRegression:
        return RidgeRegression.fit(read, wanted, penalty=penalty, start=start)

    if validation is None:
        return 0.0, features, fit(_PENALTY), _PENALTY
    others, truth = validation
    unseen = joined(features(others.texts, others.aspects), features_of(columns, others))

    def error(one: RidgeRegression) -> float:
        return float(np.mean((one.predict(unseen).numpy() - truth) ** 2))

    penalty, model = best_penalty(fit, lambda one: -error(one), _PENALTY, _FALLING, _RISING)
    return error(model), features, model, penalty
