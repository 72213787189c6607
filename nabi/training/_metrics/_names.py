"""Metrics by what `compile` is given: names, functions, objects."""

from collections.abc import Sequence
from typing import Protocol, cast

from torch import Tensor

from nabi.errors import ArgumentError, unknown_name
from nabi.training._losses import _functions as losses
from nabi.training._losses._classes import Loss, TorchLoss, loss_function
from nabi.training._metrics._mean_metric import (
    FUNCTIONS,
    MeanMetric,
    MetricFunction,
    accuracy_of_logits,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
)
from nabi.training._metrics._torchmetrics import NAMED, TorchMetric, is_torch_metric, named_metric

__all__ = ["FUNCTIONS", "Metric", "check", "check_weighted", "name_of", "resolve"]

ACCURACIES = ("accuracy", "acc")


class Metric(Protocol):
    """The interface of metrics used by the training loop."""

    name: str

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Update the metric with a batch."""

    def result(self) -> float:
        """Return the value over all batches since the last reset."""

    def reset_state(self) -> None:
        """Reset the metric."""


def check(metrics: Sequence[object] | object | None) -> list[object]:
    """Return the requested metrics as a list; refuse unknown names before training."""
    if metrics is None:
        return []
    asked = list(metrics) if isinstance(metrics, list | tuple) else [metrics]
    for metric in asked:
        if isinstance(metric, str) and metric not in (*ACCURACIES, *FUNCTIONS, *NAMED):
            from nabi.training._metrics import _classes

            known = [*ACCURACIES, *FUNCTIONS, *NAMED, *_classes.names()]
            if metric not in known:
                raise unknown_name("metrics", metric, known)
        if not (isinstance(metric, str) or callable(metric) or hasattr(metric, "update_state")):
            raise ArgumentError(
                "metrics: expected a name such as 'accuracy', a function (y_true, y_pred) or an object of "
                f"torchmetrics, got {metric!r}"
            )
    return asked


def check_weighted(metrics: Sequence[object]) -> None:
    """Raise `ArgumentError` for metrics that do not support sample weights."""
    for metric in metrics:
        if is_torch_metric(metric):
            raise ArgumentError(
                f"weighted_metrics: {TorchMetric(metric).name} of torchmetrics takes no sample weights; "
                "pass it in metrics, or use one of nabi.metrics"
            )


def resolve(metric: object, loss: Loss, y_true: Tensor, y_pred: Tensor, *, weighted: bool = False) -> Metric:
    """Return the metric for a name, function or object; "accuracy" depends on loss and shapes, as in Keras.

    A `weighted` one takes sample weights.
    """
    if isinstance(metric, str):
        if metric in ACCURACIES:
            return MeanMetric(_accuracy(loss, y_true, y_pred), name=metric)
        if metric in NAMED and not weighted:
            return TorchMetric(named_metric(metric), name=metric)
        if metric in FUNCTIONS:
            return MeanMetric(FUNCTIONS[metric], name=metric)
        from nabi.training._metrics import _classes

        return cast(Metric, _classes.find(metric))
    if isinstance(metric, type):
        metric = metric()
    if is_torch_metric(metric):
        return TorchMetric(metric)
    if hasattr(metric, "update_state"):
        return cast(Metric, metric)
    assert callable(metric)
    return MeanMetric(metric)


def _accuracy(loss: Loss, y_true: Tensor, y_pred: Tensor) -> MetricFunction:
    if isinstance(loss, TorchLoss) and loss.name.startswith(("BCE", "binary_")):
        # The threshold on logits is 0, not 0.5.
        return accuracy_of_logits if "ogits" in loss.name else binary_accuracy
    if loss_function(loss) is losses.binary_crossentropy or y_pred.shape[-1] == 1:
        return binary_accuracy
    sparse = y_true.ndim < y_pred.ndim or (y_true.shape[-1] == 1 and y_pred.shape[-1] > 1)
    return sparse_categorical_accuracy if sparse else categorical_accuracy


def name_of(metric: object) -> str:
    """Return the name that a metric will have."""
    if isinstance(metric, str):
        return metric
    if is_torch_metric(metric):
        return TorchMetric(metric).name
    found = getattr(metric, "__name__", None) or getattr(metric, "name", None)
    return str(found or type(metric).__name__)
