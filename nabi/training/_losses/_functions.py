"""The losses: functions of targets and outputs `[B, ..., D]` that return one number per sample `[B, ...]`."""

import math

from torch import Tensor
from torch.nn import functional as F

from nabi.errors import ArgumentError
from nabi.training._data._align import align_labels, align_targets

__all__ = [
    "attach_logits",
    "binary_crossentropy",
    "categorical_crossentropy",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
]

# Probabilities are clipped this far from 0 and 1, as in Keras, so that their logarithm is finite.
EPSILON = 1e-7
# torch ignores one label, by default -100; here every label must belong to an output.
_NO_LABEL = -(2**62)


def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean over the last axis of `(y_true - y_pred)²`.

    >>> import torch
    >>> mean_squared_error(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 4.0]]))
    tensor([2.5000])
    """
    return F.mse_loss(y_pred, align_targets(y_true, y_pred), reduction="none").mean(-1)


def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean over the last axis of `|y_true - y_pred|`."""
    return F.l1_loss(y_pred, align_targets(y_true, y_pred), reduction="none").mean(-1)


def mean_absolute_percentage_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean over the last axis of `100 · |y_true - y_pred| / |y_true|`."""
    y_true = align_targets(y_true, y_pred)
    return 100 * ((y_true - y_pred).abs() / y_true.abs().clamp(min=EPSILON)).mean(-1)


def mean_squared_logarithmic_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean over the last axis of `(log(1 + y_true) - log(1 + y_pred))²`, negatives taken as 0."""
    y_true = align_targets(y_true, y_pred)
    return (y_true.clamp(min=EPSILON).log1p() - y_pred.clamp(min=EPSILON).log1p()).square().mean(-1)


def huber(y_true: Tensor, y_pred: Tensor, delta: float = 1.0) -> Tensor:
    """Return the mean over the last axis of the Huber loss: quadratic up to `delta`, linear beyond."""
    return F.huber_loss(y_pred, align_targets(y_true, y_pred), reduction="none", delta=delta).mean(-1)


def log_cosh(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean over the last axis of `log(cosh(y_pred - y_true))`."""
    error = y_pred - align_targets(y_true, y_pred)
    return (error + F.softplus(-2 * error) - math.log(2)).mean(-1)


def hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `max(0, 1 - y_true · y_pred)` over the last axis; targets are ±1, or 0 and 1."""
    y_true = align_targets(y_true, y_pred)
    if bool(((y_true == 0) | (y_true == 1)).all()):
        y_true = 2 * y_true - 1
    return F.relu(1 - y_true * y_pred).mean(-1)


def poisson(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean over the last axis of `y_pred - y_true · log(y_pred)`."""
    return (y_pred - align_targets(y_true, y_pred) * (y_pred + EPSILON).log()).mean(-1)


def kl_divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence, `y_true · log(y_true / y_pred)` summed over the last axis."""
    y_true = align_targets(y_true, y_pred).clamp(EPSILON, 1.0)
    return (y_true * (y_true / y_pred.clamp(EPSILON, 1.0)).log()).sum(-1)


def cosine_similarity(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the cosine of the angle between targets and outputs, negated so that -1 is best."""
    return -F.cosine_similarity(align_targets(y_true, y_pred), y_pred, dim=-1)


def categorical_crossentropy(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """Return `-Σ y_true · log(y_pred)` over the classes; targets are one-hot or distributions.

    Args:
        y_true: target distributions `[B, ..., classes]`.
        y_pred: probabilities; logits if `from_logits`. If the probabilities come directly from a softmax
            layer, its logits are used, which stays exact for very small probabilities.
        from_logits: whether the outputs are logits.
        label_smoothing: share of each target that is distributed evenly over the classes.

    >>> import torch
    >>> target, output = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.75, 0.25]])
    >>> round(categorical_crossentropy(target, output).item(), 4)
    1.3863
    """
    y_true = align_targets(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[-1]
    logits = _logits(y_pred, from_logits, "softmax")
    if logits is None:
        probabilities = y_pred / y_pred.sum(-1, keepdim=True)
        return -(y_true * probabilities.clamp(EPSILON, 1.0 - EPSILON).log()).sum(-1)
    if logits.ndim == 2:
        return F.cross_entropy(logits, y_true, reduction="none")
    return -(y_true * logits.log_softmax(-1)).sum(-1)


def sparse_categorical_crossentropy(y_true: Tensor, y_pred: Tensor, from_logits: bool = False) -> Tensor:
    """Return `-log(y_pred[label])`; targets are whole-number labels `[B, ...]` or `[B, ..., 1]`.

    Args:
        y_true: labels from 0 to classes - 1.
        y_pred: probabilities `[B, ..., classes]`; logits if `from_logits`.
        from_logits: whether the outputs are logits.

    Raises:
        ArgumentError: if a label is not below the number of outputs.
    """
    labels = align_labels(y_true, y_pred)
    logits = _logits(y_pred, from_logits, "softmax")
    if logits is None:
        logits = (y_pred / y_pred.sum(-1, keepdim=True)).clamp(EPSILON, 1.0 - EPSILON).log()
        likelihood, negative = logits, F.nll_loss
    else:
        likelihood, negative = logits, F.cross_entropy
    classes = y_pred.shape[-1]
    try:
        values = negative(
            likelihood.reshape(-1, classes), labels.reshape(-1), reduction="none", ignore_index=_NO_LABEL
        )
    except IndexError:
        raise ArgumentError(
            f"y: expected labels from 0 to {classes - 1}, one for each output, "
            f"got {int(labels.min())} to {int(labels.max())}"
        ) from None
    return values.reshape(labels.shape)


def binary_crossentropy(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean over the last axis of `-y_true · log(y_pred) - (1 - y_true) · log(1 - y_pred)`.

    Args:
        y_true: targets from 0 to 1.
        y_pred: probabilities; logits if `from_logits`. If they come directly from a sigmoid layer, its logits
            are used.
        from_logits: whether the outputs are logits.
        label_smoothing: share of each target that is replaced by one half.
    """
    y_true = align_targets(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    logits = _logits(y_pred, from_logits, "sigmoid")
    if logits is not None:
        return F.binary_cross_entropy_with_logits(logits, y_true, reduction="none").mean(-1)
    return F.binary_cross_entropy(y_pred.clamp(EPSILON, 1.0 - EPSILON), y_true, reduction="none").mean(-1)


def attach_logits(y_pred: Tensor, activation: str, logits: Tensor) -> Tensor:
    """Attach to outputs the logits of their "softmax" or "sigmoid", for the cross-entropies."""
    y_pred._nabi_logits = (activation, logits)  # type: ignore[attr-defined]
    return y_pred


def _logits(y_pred: Tensor, from_logits: bool, activation: str) -> Tensor | None:
    if from_logits:
        return y_pred
    known: tuple[str, Tensor] | None = getattr(y_pred, "_nabi_logits", None)
    return known[1] if known is not None and known[0] == activation else None
