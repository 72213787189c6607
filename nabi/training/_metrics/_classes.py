"""Metrics as classes with Keras' names and defaults: means, errors and accuracies."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nabi._named import snake_case
from nabi.errors import ArgumentError, unknown_name
from nabi.training._data._align import align_targets, align_weights
from nabi.training._losses import _functions as losses
from nabi.training._losses._classes import checked_options
from nabi.training._metrics._base import Metric, as_tensor
from nabi.training._metrics._counts import (
    AUC,
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from nabi.training._metrics._mean_metric import (
    FUNCTIONS,
    BinaryAccuracy,
    CategoricalAccuracy,
    MeanMetric,
    SparseCategoricalAccuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from nabi.training._metrics._running_mean import RunningMean

__all__ = [
    "CLASSES",
    "Accuracy",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "Sum",
    "TopKCategoricalAccuracy",
    "deserialize",
    "get",
    "serialize",
]


class Sum(Metric):
    """The weighted sum of values.

    >>> total = Sum()
    >>> total.update_state([1, 3, 5, 7], sample_weight=[1, 1, 0, 0])
    >>> total.result()
    4.0
    """

    _summed = ("_sum",)

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self._sum = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add one or more values."""
        numbers, weights = _weighed(values, sample_weight)
        self._sum += float(numbers.sum() if weights is None else (numbers * weights).sum())

    def result(self) -> float:
        """Return the sum since the last reset."""
        return self._sum

    def reset_state(self) -> None:
        """Reset the metric."""
        self._sum = 0.0


class Mean(Metric):
    """The weighted mean of values: over samples, then their axes.

    >>> mean = Mean()
    >>> mean.update_state([1, 3, 5, 7])
    >>> mean.result()
    4.0
    """

    _summed = ("_mean",)

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self._mean = RunningMean()

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add one or more values."""
        numbers, weights = _weighed(values, sample_weight)
        rows = numbers.shape[0] if numbers.dim() else 1
        if weights is None:
            self._mean.add(numbers.mean(), rows)
            return
        # A sample counts by the mean of its weights, however many values it has.
        total = float(weights.sum())
        if total:
            self._mean.add((numbers * weights).sum() / total, total * rows / numbers.numel())

    def result(self) -> float:
        """Return the mean since the last reset."""
        return self._mean.result()

    def reset_state(self) -> None:
        """Reset the metric."""
        self._mean.reset()


def _weighed(values: Any, sample_weight: Any) -> tuple[Tensor, Tensor | None]:
    numbers = as_tensor(values).to(torch.float64)
    if sample_weight is None:
        return numbers, None
    weights = as_tensor(sample_weight, numbers).to(torch.float64)
    return numbers, align_weights(weights, numbers) if weights.dim() else weights.expand(numbers.shape)


class MeanMetricWrapper(MeanMetric):
    """The mean of a function `(y_true, y_pred)` that returns a value per sample, as a metric.

    Keyword arguments other than `name` and `dtype` are passed to the function.

    >>> import torch
    >>> distance = MeanMetricWrapper(lambda y_true, y_pred: (y_true - y_pred).abs(), name="distance")
    >>> distance.update_state([1.0, 2.0], [2.0, 4.0])
    >>> distance.result()
    1.5
    """

    def __init__(
        self, fn: Callable[..., Tensor], name: str | None = None, dtype: Any = None, **options: Any
    ) -> None:
        super().__init__(fn, name, **options)


def _accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    return (align_targets(y_true, y_pred) == y_pred).to(torch.get_default_dtype())


def _cosine(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    return torch.nn.functional.cosine_similarity(align_targets(y_true, y_pred), y_pred, dim=axis)


class _Named(MeanMetricWrapper):
    """The mean of one of the functions in this file."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, **options: Any) -> None:
        super().__init__(fn, name, **checked_options(options))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        return {"name": self.name, **self.options}


class Accuracy(_Named):
    """The share of outputs that equal their targets.

    >>> accuracy = Accuracy()
    >>> accuracy.update_state([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    >>> accuracy.result()
    0.75
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(_accuracy, name)


class TopKCategoricalAccuracy(_Named):
    """The share of samples whose class (the largest target) is among the `k` largest outputs."""

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, k=k)


class SparseTopKCategoricalAccuracy(_Named):
    """The share of samples whose label is among the `k` largest outputs."""

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        if from_sorted_ids:
            raise ArgumentError("from_sorted_ids: expected False, the only supported value, got True")
        super().__init__(sparse_top_k_categorical_accuracy, name, k=k)


class MeanSquaredError(_Named):
    """The mean of `(y_true - y_pred)²`."""

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name)


class RootMeanSquaredError(_Named):
    """The square root of the mean of `(y_true - y_pred)²` over all batches.

    >>> error = RootMeanSquaredError()
    >>> error.update_state([0.0, 0.0], [3.0, 4.0])
    >>> round(error.result(), 4)
    3.5355
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(_squared_error, name)

    def result(self) -> float:
        """Return the root of the mean over all batches since the last reset."""
        return math.sqrt(super().result())


def _squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    values = (align_targets(y_true, y_pred) - y_pred).square()
    return values.mean(-1) if values.dim() > 1 else values


class MeanAbsoluteError(_Named):
    """The mean of `|y_true - y_pred|`."""

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name)


class MeanAbsolutePercentageError(_Named):
    """The mean of `100 · |y_true - y_pred| / |y_true|`."""

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name)


class MeanSquaredLogarithmicError(_Named):
    """The mean of `(log(1 + y_true) - log(1 + y_pred))²`."""

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name)


class CosineSimilarity(_Named):
    """The mean cosine of the angle between targets and outputs; 1 is best, unlike the loss of that name.

    >>> cosine = CosineSimilarity()
    >>> cosine.update_state([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])
    >>> round(cosine.result(), 4)
    0.5
    """

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, axis=axis)


class LogCoshError(_Named):
    """The mean of `log(cosh(y_pred - y_true))`."""

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name)


class Hinge(_Named):
    """The mean of `max(0, 1 - y_true · y_pred)`; targets are -1 and 1, or 0 and 1."""

    def __init__(self, name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name)


class Poisson(_Named):
    """The mean of `y_pred - y_true · log(y_pred)`."""

    def __init__(self, name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(losses.poisson, name)


class KLDivergence(_Named):
    """The mean of `Σ y_true · log(y_true / y_pred)`."""

    def __init__(self, name: str = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(losses.kl_divergence, name)


class BinaryCrossentropy(_Named):
    """The mean cross-entropy of targets of 0 and 1; `from_logits`, `label_smoothing` as in the loss."""

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy, name, from_logits=from_logits, label_smoothing=label_smoothing
        )


class CategoricalCrossentropy(_Named):
    """The mean cross-entropy of one-hot targets; `from_logits`, `label_smoothing` as in the loss."""

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy, name, from_logits=from_logits, label_smoothing=label_smoothing
        )


class SparseCategoricalCrossentropy(_Named):
    """The mean cross-entropy of labels; `from_logits` as in the loss."""

    def __init__(
        self, name: str = "sparse_categorical_crossentropy", dtype: Any = None, from_logits: bool = False
    ) -> None:
        super().__init__(losses.sparse_categorical_crossentropy, name, from_logits=from_logits)


CLASSES: dict[str, Callable[..., Any]] = {
    made.__name__: made
    for made in (
        AUC, Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy,
        CosineSimilarity, F1Score, FBetaScore, FalseNegatives, FalsePositives, Hinge, KLDivergence,
        LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, Poisson, Precision, Recall, RootMeanSquaredError,
        SparseCategoricalAccuracy, SparseCategoricalCrossentropy, SparseTopKCategoricalAccuracy, Sum,
        TopKCategoricalAccuracy, TrueNegatives, TruePositives,
    )
}  # fmt: skip
# Mean and Sum take values without targets, so they can't be metrics of a model.
OF_MODELS = {name: made for name, made in CLASSES.items() if name not in ("Mean", "Sum")}
_BY_NAME = {
    **OF_MODELS,
    **{snake_case(name): made for name, made in OF_MODELS.items() if name not in ("AUC", "F1Score")},
    "auc": AUC,
    "f1_score": F1Score,
    "fbeta_score": FBetaScore,
    "logcosh": LogCoshError,
    "rmse": RootMeanSquaredError,
}


def find(name: str) -> Any:
    """Return the metric with this class name, or this name in lower case; None if there is none."""
    made = _BY_NAME.get(name)
    if made is None:
        return None
    metric = made()
    metric.name = name
    return metric


def names() -> list[str]:
    """Return all names that `find` knows."""
    return list(_BY_NAME)


def serialize(metric: Any) -> dict[str, Any]:
    """Describe a metric as a JSON-able dictionary `{"class_name", "config"}`.

    Raises:
        ArgumentError: if the metric has no `get_config`.

    >>> serialize(RootMeanSquaredError())
    {'class_name': 'RootMeanSquaredError', 'config': {'name': 'root_mean_squared_error'}}
    """
    if not isinstance(metric, Metric):
        raise ArgumentError(f"metric: expected an object of nabi.metrics, got {metric!r}")
    return {"class_name": type(metric).__name__, "config": metric.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make the metric that `serialize` described; your own classes come from `custom_objects`.

    Raises:
        UnknownNameError: for an unknown class.
        ArgumentError: for an invalid description.
    """
    if not isinstance(config, Mapping) or not {"class_name", "config"} <= set(config):
        raise ArgumentError(f"config: expected a dictionary with 'class_name' and 'config', got {config!r}")
    known = {**CLASSES, **(custom_objects or {})}
    name = config["class_name"]
    if name not in known:
        raise unknown_name("class_name", name, known)
    return known[name](**config["config"])


def get(identifier: Any) -> Any:
    """Return the metric for a name, a serialized metric, a class, an object or a function.

    Raises:
        UnknownNameError: for an unknown name; the message suggests the nearest known one.
        ArgumentError: for anything else.

    >>> get("MeanSquaredError").name
    'MeanSquaredError'
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier in FUNCTIONS and identifier not in _BY_NAME:
            return MeanMetricWrapper(FUNCTIONS[identifier], identifier)
        found = find(identifier)
        if found is None:
            raise unknown_name("identifier", identifier, [*_BY_NAME, *FUNCTIONS])
        return found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier) or hasattr(identifier, "update_state"):
        return identifier
    raise ArgumentError(f"identifier: expected a name, a class, an object or a function, got {identifier!r}")
