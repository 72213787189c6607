"""Support for torchmetrics; it is imported only when one of its metrics is used."""

import re
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ShapeError

__all__ = ["NAMED", "TorchMetric", "is_torch_metric", "named_metric"]

# Names that Keras has too, for binary classification.
NAMED = {
    "auc": "BinaryAUROC",
    "f1_score": "BinaryF1Score",
    "precision": "BinaryPrecision",
    "recall": "BinaryRecall",
}


def named_metric(name: str) -> Any:
    """Return the torchmetrics object for a name in `NAMED`."""
    from torchmetrics import classification

    return getattr(classification, NAMED[name])()


def is_torch_metric(metric: object) -> bool:
    """Tell whether this is an object of torchmetrics."""
    return isinstance(metric, torch.nn.Module) and all(
        hasattr(metric, method) for method in ("update", "compute", "reset")
    )


class TorchMetric:
    """Adapts a torchmetrics object to nabi's targets and outputs.

    Time steps become samples; masked steps are excluded. For classification metrics, one-hot targets become
    labels if the metric is multiclass ("Multiclass..."), and integers otherwise.
    """

    def __init__(self, metric: Any, name: str | None = None) -> None:
        self.metric = metric
        kind = type(metric).__name__
        self.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
        self._kind = kind
        self._classification = ".classification." in type(metric).__module__

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        """Update the metric with a batch."""
        mask: Tensor | None = getattr(y_pred, "_keras_mask", None)
        outputs = y_pred.detach()
        if self._kind.startswith("Multiclass"):
            one_hot = y_true.ndim == y_pred.ndim and y_true.shape == y_pred.shape and y_pred.shape[-1] > 1
            labels = y_true.argmax(-1) if one_hot else y_true.reshape(y_pred.shape[:-1]).long()
            outputs = outputs.reshape(-1, outputs.shape[-1])
            labels = labels.reshape(-1)
        else:
            if y_true.numel() != y_pred.numel():
                raise ShapeError(
                    f"metrics: {self._kind} expected targets of the shape of the outputs "
                    f"{tuple(y_pred.shape)}, got {tuple(y_true.shape)}"
                )
            width = y_pred.shape[-1]
            labels = y_true.reshape(y_pred.shape)
            labels, outputs = (
                one.reshape(-1) if width == 1 else one.reshape(-1, width) for one in (labels, outputs)
            )
            labels = labels.long() if self._classification else labels.to(outputs.dtype)
        if mask is not None and mask.numel() == outputs.shape[0]:
            outputs, labels = outputs[mask.reshape(-1)], labels[mask.reshape(-1)]
        if outputs.shape[0]:
            self.metric.to(outputs.device).update(outputs, labels)

    def result(self) -> float:
        """Return the value over all batches since the last reset."""
        return float(self.metric.compute())

    def reset_state(self) -> None:
        """Reset the metric."""
        self.metric.reset()
