"""Support for torchmetrics; it is imported only when one of its metrics is used."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError

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
        # Workers ask for the value of all their batches when each has come to the end of an epoch; asked in
        # between by one of them, torchmetrics would wait for the others.
        metric.sync_on_compute = False
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

    def sums(self) -> dict[str, Any]:
        """Return the state of the metric, which torchmetrics knows how to merge."""
        return {
            name: [one.cpu() for one in value] if isinstance(value, list) else value.cpu()
            for name, value in self.metric.metric_state.items()
        }

    def take_sums(self, sums: Sequence[dict[str, Any]]) -> None:
        """Be the metric of everything that these states, from `sums` of several workers, have counted."""
        first, *others = sums
        self.metric.reset()
        for name, value in first.items():
            setattr(self.metric, name, value)
        self.metric._update_count = 1
        for number, state in enumerate(others, 2):
            self.metric._update_count = number  # a state that is a mean is weighted by it
            try:
                self.metric.merge_state(state)
            except (RuntimeError, TypeError) as problem:
                raise ArgumentError(
                    f"metrics: what {self._kind} counts cannot be added up over several workers ({problem})"
                ) from None

    def reset_state(self) -> None:
        """Reset the metric."""
        self.metric.reset()
