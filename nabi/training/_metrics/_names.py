"""Metrics by name: values shown with the loss, as means over the samples of an epoch."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.training._data._align import align_labels, align_targets, align_weights
from nabi.training._losses import _functions as losses
from nabi.training._losses._classes import (
    FUNCTIONS as LOSS_FUNCTIONS,
    Loss,
    TorchLoss,
    checked_options,
    loss_function,
)
from nabi.training._losses._left_out import counted, values_where_counted
from nabi.training._metrics._base import Metric as MetricBase
from nabi.training._metrics._running_mean import RunningMean
from nabi.training._metrics._torchmetrics import NAMED, TorchMetric, is_torch_metric, named_metric

__all__ = [
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "MeanMetric",
    "Metric",
    "SparseCategoricalAccuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "resolve",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

MetricFunction = Callable[..., Tensor]
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


def binary_accuracy(y_true: Tensor, y_pred: Tensor, threshold: float = 0.5) -> Tensor:
    """Return the share, over the last axis, of outputs on the correct side of the threshold.

    Targets are 0 and 1; any other target is never matched, as in Keras.

    >>> binary_accuracy(torch.tensor([[1.0], [0.0]]), torch.tensor([[0.8], [0.7]]))
    tensor([1., 0.])
    """
    y_true = align_targets(y_true, y_pred)
    return ((y_pred > threshold).to(y_true.dtype) == y_true).to(y_pred.dtype).mean(-1)


def categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return 1 where the largest output is at the largest target; targets `[B, ..., classes]`."""
    if y_true.shape != y_pred.shape:
        y_true = align_targets(y_true, y_pred)
    return (y_pred.argmax(-1) == y_true.argmax(-1)).to(y_pred.dtype)


def sparse_categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return 1 where the largest output is at the label; labels `[B, ...]` or `[B, ..., 1]`."""
    return (y_pred.argmax(-1) == align_labels(y_true, y_pred)).to(y_pred.dtype)


def top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, k: int = 5) -> Tensor:
    """Return 1 where the largest target is among the `k` largest outputs."""
    return sparse_top_k_categorical_accuracy(align_targets(y_true, y_pred).argmax(-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, k: int = 5) -> Tensor:
    """Return 1 where the label is among the `k` largest outputs."""
    best = y_pred.topk(min(k, y_pred.shape[-1]), dim=-1).indices
    return (best == align_labels(y_true, y_pred).unsqueeze(-1)).any(-1).to(y_pred.dtype)


class MeanMetric(MetricBase):
    """Mean over samples of a function of targets and outputs, weighted by the mask of the outputs.

    Args:
        fn: function of `(y_true, y_pred)` that returns values per sample or one number for the batch.
        name: its key in the history.
        options: keyword arguments of the function.

    >>> metric = MeanMetric(binary_accuracy)
    >>> metric.update_state([[1], [0]], [[0.8], [0.7]])
    >>> metric.result()
    0.5
    """

    def __init__(self, fn: MetricFunction, name: str | None = None, **options: Any) -> None:
        self.fn = fn
        self.name: str = name or str(getattr(fn, "__name__", type(fn).__name__))
        self.options = options
        self._mean = RunningMean()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Update the metric with a batch of tensors, arrays or lists."""
        if not isinstance(y_pred, Tensor):
            y_pred = torch.as_tensor(y_pred, dtype=torch.get_default_dtype())
        if not isinstance(y_true, Tensor):
            y_true = torch.as_tensor(y_true, device=y_pred.device)
        mask: Tensor | None = getattr(y_pred, "_keras_mask", None)
        if sample_weight is not None:
            sample_weight = torch.as_tensor(sample_weight, dtype=y_pred.dtype, device=y_pred.device)
        counts = counted(y_pred, sample_weight, mask)
        values = values_where_counted(lambda a, b: self.fn(a, b, **self.options), y_true, y_pred, counts)
        values = torch.as_tensor(values, device=y_pred.device)
        if mask is None and sample_weight is None:
            count = values.numel()
            if values.ndim == 0:
                self._mean.add(values, y_pred.shape[0])
            else:
                self._mean.add(values if count == 1 else values.mean(), count)
            return
        self._add_weighted(values, mask, sample_weight)

    def _add_weighted(self, values: Tensor, mask: Tensor | None, sample_weight: Any) -> None:
        if values.ndim == 0:
            raise ShapeError(
                f"metrics: {self.name} returns one number for a batch; return one per sample and step to use "
                "a mask or sample weights"
            )
        weights = torch.ones_like(values)
        if mask is not None and mask.shape == values.shape[: mask.ndim]:
            weights = align_weights(mask, values, "mask").to(values.dtype)
            values = torch.where(weights > 0, values, torch.zeros_like(values))
        if sample_weight is not None:
            given = align_weights(sample_weight.to(values.dtype), values)
            weights = torch.where(weights > 0, weights * given, weights)
        values = torch.where(weights != 0, values, torch.zeros_like(values))
        total = float(weights.sum())
        if total:
            self._mean.add((values * weights).sum() / total, total)

    def result(self) -> float:
        """Return the mean over all batches since the last reset."""
        return self._mean.result()

    def reset_state(self) -> None:
        """Reset the metric."""
        self._mean.reset()


class BinaryAccuracy(MeanMetric):
    """`binary_accuracy` as an object."""

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, **checked_options({"threshold": threshold}))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the metric."""
        return {"name": self.name, **self.options}


class CategoricalAccuracy(MeanMetric):
    """`categorical_accuracy` as an object."""

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name)


class SparseCategoricalAccuracy(MeanMetric):
    """`sparse_categorical_accuracy` as an object."""

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name)


FUNCTIONS: dict[str, MetricFunction] = {
    function.__name__: function
    for function in (
        binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy,
    )
} | {name: function for name, function in LOSS_FUNCTIONS.items()
    if name not in ("cosine_similarity", "hinge")  # the metrics of these names are classes
}  # fmt: skip


def check(metrics: Sequence[object] | object | None) -> list[object]:
    """Return the requested metrics as a list; refuse unknown names before training."""
    if metrics is None:
        return []
    asked = list(metrics) if isinstance(metrics, list | tuple) else [metrics]
    for metric in asked:
        if isinstance(metric, str) and metric not in (*ACCURACIES, *FUNCTIONS, *NAMED):
            from nabi.training._metrics import _classes as _metric_classes

            known = [*ACCURACIES, *FUNCTIONS, *NAMED, *_metric_classes.names()]
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
        from nabi.training._metrics import _classes as _metric_classes

        return cast(Metric, _metric_classes.find(metric))
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
        return _logits_accuracy if "ogits" in loss.name else binary_accuracy
    if loss_function(loss) is losses.binary_crossentropy or y_pred.shape[-1] == 1:
        return binary_accuracy
    sparse = y_true.ndim < y_pred.ndim or (y_true.shape[-1] == 1 and y_pred.shape[-1] > 1)
    return sparse_categorical_accuracy if sparse else categorical_accuracy


def _logits_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    y_true = align_targets(y_true, y_pred)
    return ((y_pred > 0) == (y_true > 0.5)).to(y_pred.dtype).mean(-1)


def name_of(metric: object) -> str:
    """Return the name that a metric will have."""
    if isinstance(metric, str):
        return metric
    if is_torch_metric(metric):
        return TorchMetric(metric).name
    found = getattr(metric, "__name__", None) or getattr(metric, "name", None)
    return str(found or type(metric).__name__)
