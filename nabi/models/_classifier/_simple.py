"""The simple model beside a text classifier: logistic regression on words and pairs of words."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.models._baselines._logistic import LogisticRegression
from nabi.models._baselines._tfidf import TextFeatures
from nabi.models._classifier._choices import Texts
from nabi.models._classifier._other_columns import OtherColumns, features_of
from nabi.models._classifier._samples import Samples
from nabi.models._classifier._scores import balanced_weights, loss_of, rate_rows

__all__ = [
    "SimpleModel",
    "best_penalty",
    "joined",
    "linear_description",
    "linear_name",
    "rows_to_read",
    "word_features",
]

Floats = npt.NDArray[np.float32]
M = TypeVar("M")

# Each fit begins with what the last has learnt. The penalty falls as long as the validation rows gain by it;
# where they lose at once, it rises. What is chosen is then learnt to the smaller tolerance.
_PENALTY, _FALLING, _RISING = 0.1, (0.03, 0.01, 0.003), (0.5,)
_TOLERANCE_OF_CHOICE, _TOLERANCE, _STEPS = 1e-4, 1e-5, 60
# More would take gigabytes of memory, and more than seconds; rows are drawn.
_MOST_CHARACTERS, _MOST_CHARACTERS_IN_RUNS = 40_000_000, 5_000_000
_MOST_WEIGHTS, _MOST_FEATURES, _FEWEST_FEATURES = 4_000_000, 100_000, 10_000
_CALLED = {"words": "words and pairs of words", "characters": "runs of 2 to 4 characters"}


@dataclass(frozen=True, eq=False)
class SimpleModel:
    """Logistic regression on the TF-IDF weights of words and pairs of words, or of runs of characters."""

    features: TextFeatures
    regression: LogisticRegression
    penalty: float
    seconds: float | None = None
    """How long it took to learn; None for one from a file."""

    @classmethod
    def learn(
        cls,
        samples: Samples,
        targets: npt.NDArray[Any],
        classes: int,
        validation: tuple[Samples, npt.NDArray[Any]] | None,
        columns: OtherColumns | None = None,
        *,
        characters: bool,
        balanced: bool,
        seed: int,
    ) -> Self | None:
        """Choose the penalty, and the kind of features, by the validation rows.

        Args:
            samples: to learn from.
            targets: their labels' numbers `[N]`, or 0 or 1 for each label `[N, classes]`.
            classes: how many labels there are.
            validation: other samples with their targets.
            columns: that count beside the words.
            characters: whether runs of characters are tried beside words.
            balanced: whether rare labels count as much as frequent ones.
            seed: of the choice of rows, where there are too many.

        Returns:
            the model; None where no two texts have a word in common.
        """
        start = time.perf_counter()
        rows = rows_to_read(samples, seed)
        if rows is not None:
            samples, targets = samples.take(rows), targets[rows]
        found: list[tuple[tuple[float, float], TextFeatures, LogisticRegression, float]] = []
        for features in word_features(samples, classes, characters=characters and validation is not None):
            found.append(_choose(features, columns, samples, targets, classes, validation, balanced))
        if not found:
            return None
        _, features, regression, penalty = max(found, key=lambda one: one[0])
        return cls(features, regression, penalty, time.perf_counter() - start)

    @property
    def name(self) -> str:
        """What it is called in tables and sentences."""
        return linear_name(self.features, len(self.regression.weight))

    @property
    def described(self) -> str:
        """What it is, in a line."""
        width = len(self.regression.weight)
        return linear_description(self.features, width, "logistic regression", self.penalty)

    def logits(
        self, texts: Sequence[str], aspects: Sequence[str] | None = None, beside: Floats | None = None
    ) -> Floats:
        """Return `[N, classes]` before softmax, or sigmoid with several labels at once.

        `beside` are features of other columns, if there are some.
        """
        stripped = [text.strip() for text in texts]
        logits: Floats = self.regression.logits(joined(self.features(stripped, aspects), beside)).numpy()
        return logits

    # Files --------------------------------------------------------------------------------------------------

    def to_file(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what a file holds: a description that JSON can hold, and tensors by name."""
        described, tensors = self.features.to_file()
        tensors |= {"weight": self.regression.weight, "bias": self.regression.bias}
        return {"features": described, "penalty": self.penalty}, tensors

    @classmethod
    def from_file(
        cls, described: Mapping[str, Any], tensors: Mapping[str, Tensor], classes: int, beside: int = 0
    ) -> Self:
        """Make the model that `to_file` described, of words and of `beside` features of other columns.

        Raises:
            ArgumentError, FileFormatError: for something else.
        """
        features = TextFeatures.from_file(described["features"], tensors)
        weight, bias = tensors["weight"], tensors["bias"]
        width = len(features) + beside
        if (tuple(weight.shape), tuple(bias.shape)) != ((width, classes), (classes,)) or {
            weight.dtype,
            bias.dtype,
        } != {torch.float32}:
            raise ArgumentError(f"weight, bias: expected {width} features and {classes} labels")
        return cls(features, LogisticRegression(weight, bias), float(described["penalty"]))


def rows_to_read(samples: Texts, seed: int) -> list[int] | None:
    """Return the rows to learn words from, drawn at random; None for all, where they are not too long."""
    length = sum(map(len, samples.texts))
    if length <= _MOST_CHARACTERS:
        return None
    every = len(samples.texts)
    count = int(every * _MOST_CHARACTERS / length)
    chosen: list[int] = np.sort(np.random.default_rng(seed).choice(every, count, replace=False)).tolist()
    return chosen


def word_features(samples: Texts, outputs: int, *, characters: bool) -> Iterator[TextFeatures]:
    """Yield the features that a linear model may read: words and pairs of words, then runs of characters.

    A kind of features that no two texts have in common is left out.

    Args:
        samples: to learn from.
        outputs: of the linear model.
        characters: whether runs of characters are wanted.
    """
    ways: list[tuple[str, tuple[int, ...]]] = [("words", (1, 2))]
    if characters and sum(map(len, samples.texts)) <= _MOST_CHARACTERS_IN_RUNS:
        ways.append(("characters", (2, 3, 4) if samples.aspects is None else (2, 3)))
    for unit, runs in ways:
        try:
            yield TextFeatures.learn(
                samples.texts,
                samples.aspects,
                unit=unit,
                runs=runs,
                most=min(max(_MOST_WEIGHTS // outputs, _FEWEST_FEATURES), _MOST_FEATURES),
            )
        except ArgumentError:  # nothing in common
            continue


def best_penalty(
    fit: Callable[[float, M | None], M],
    rate: Callable[[M], Any],
    usual: float,
    falling: Sequence[float],
    rising: Sequence[float],
) -> tuple[float, M]:
    """Return the penalty of a linear model that is best on other rows, and the model.

    Args:
        fit: learns with a penalty, beginning with what another model has learnt.
        rate: says how good a model is; more is better.
        usual: the penalty that is tried first.
        falling: smaller ones, tried one after the other as long as the rows gain by it.
        rising: larger ones, where the first smaller one loses.
    """
    penalty, model = usual, fit(usual, None)
    good = rate(model)
    for tried in (falling, rising):
        for other in tried:
            changed = fit(other, model)
            rated = rate(changed)
            if rated <= good:
                break
            penalty, model, good = other, changed, rated
        if penalty != usual:
            break
    return penalty, model


def linear_name(features: TextFeatures, width: int) -> str:
    """Return what a linear model is called in tables and sentences.

    Args:
        features: of texts.
        width: how many features it reads; more than those are of other columns.
    """
    return _CALLED[features.vocabulary.unit] + (", columns" if width > len(features) else "")


def linear_description(features: TextFeatures, width: int, kind: str, penalty: float) -> str:
    """Return what a linear model is, in a line; arguments as those of `linear_name`."""
    return (
        f"{_CALLED[features.vocabulary.unit]} weighted by TF-IDF"
        f"{', with the other columns' if width > len(features) else ''}, {kind} "
        f"({len(features):,} features, penalty {penalty:g})"
    )


def joined(words: Tensor, beside: Floats | None) -> Tensor:
    """Return sparse features of words `[N, F]` with those of other columns after them."""
    if beside is None:
        return words
    return torch.cat([words, torch.from_numpy(beside).to_sparse()], 1).coalesce()


def _choose(
    features: TextFeatures,
    columns: OtherColumns | None,
    samples: Samples,
    targets: npt.NDArray[Any],
    classes: int,
    validation: tuple[Samples, npt.NDArray[Any]] | None,
    balanced: bool,
) -> tuple[tuple[float, float], TextFeatures, LogisticRegression, float]:
    """Return how good the best penalty is, the features, what was learnt with it, and the penalty."""
    several = targets.ndim == 2
    read = joined(features(samples.texts, samples.aspects), features_of(columns, samples))
    wanted = torch.from_numpy(np.ascontiguousarray(targets))
    weights = torch.from_numpy(balanced_weights(targets, classes)) if balanced else None

    def fit(penalty: float, tolerance: float, start: LogisticRegression | None = None) -> LogisticRegression:
        return LogisticRegression.fit(
            read,
            wanted,
            classes,
            penalty=penalty,
            class_weight=weights,
            start=start,
            steps=_STEPS,
            tolerance=tolerance,
        )

    if validation is None:
        return (0.0, 0.0), features, fit(_PENALTY, _TOLERANCE), _PENALTY
    others, truth = validation
    unseen = joined(features(others.texts, others.aspects), features_of(columns, others))

    def rate(model: LogisticRegression) -> tuple[float, float]:
        logits = model.logits(unseen).numpy()
        return rate_rows(logits, truth, several).main, -loss_of(logits, truth, several)

    penalty, model = best_penalty(
        lambda tried, start: fit(tried, _TOLERANCE_OF_CHOICE, start), rate, _PENALTY, _FALLING, _RISING
    )
    model = fit(penalty, _TOLERANCE, model)
    return rate(model), features, model, penalty
