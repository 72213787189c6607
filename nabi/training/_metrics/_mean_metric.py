"""Metrics that are the mean of a function over the samples: the functions, and the objects made of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ShapeError
from nabi.training._data._align import align_labels, align_targets, align_weights
from nabi.training._losses._classes import FUNCTIONS as LOSS_FUNCTIONS, checked_options
from nabi.training._losses._left_out import counted, values_where_counted
from nabi.training._metrics._base import Metric as MetricBase
from nabi.training._metrics._running_mean import RunningMean

__all__ = [
    "FUNCTIONS",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "MeanMetric",
    "MetricFunction",
    "SparseCategoricalAccuracy",
    "accuracy_of_logits",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

MetricFunction = Callable[..., Tensor]


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


def accuracy_of_logits(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """As `binary_accuracy`, of logits, whose threshold is at 0."""
    y_true = align_targets(y_true, y_pred)
    return ((y_pred > 0) == (y_true > 0.5)).to(y_pred.dtype).mean(-1)


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

    _summed = ("_mean",)

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
        """Start anew."""
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

# Pickles of version 0.1 name it so.
_logits_accuracy = accuracy_of_logits
