"""Exclusion of masked steps from targets and outputs before a loss or a metric is computed.

Multiplying a loss by zero afterwards is not enough: masked values may be NaN or invalid labels, and the
gradient of NaN is NaN. So an excluded step is replaced by a copy of an included one.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nabi.training._data._align import align_weights
from nabi.training._losses import _functions as functions

__all__ = ["counted", "values_where_counted", "weighted"]


def counted(y_pred: Tensor, sample_weight: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """Return which steps of outputs `[B, ..., D]` count, in their leading axes; None if all do.

    A step counts unless it is masked or its weight is 0.
    """
    found = None if mask is None or not _fits(mask, y_pred) else mask.bool()
    if sample_weight is None:
        return found
    weights = sample_weight
    if weights.ndim == y_pred.ndim and weights.shape[-1] == 1:
        weights = weights.squeeze(-1)
    if not _fits(weights, y_pred):
        return found
    by_weight = weights != 0
    if found is None:
        return by_weight
    rank = max(found.ndim, by_weight.ndim)
    one, other = (each.reshape(each.shape + (1,) * (rank - each.ndim)) for each in (found, by_weight))
    return one & other


def _fits(where: Tensor, y_pred: Tensor) -> bool:
    return 0 < where.ndim < y_pred.ndim and where.shape == y_pred.shape[: where.ndim]


def values_where_counted(
    function: Callable[[Tensor, Tensor], Any], y_true: Tensor, y_pred: Tensor, counts: Tensor | None
) -> Any:
    """Call a function on targets and outputs so that excluded steps do not affect the result.

    A function that does not return a value per step is called with the unchanged tensors, since its use of
    several steps at once is unknown.
    """
    if counts is None or y_true.shape[: counts.ndim] != counts.shape or not counts.numel():
        return function(y_true, y_pred)
    # The first step that counts; if none does, the first step, with zeros as its target.
    first = counts.reshape(-1).to(torch.uint8).argmax().reshape(1)
    target = _step(y_true, first, counts.ndim)
    target = torch.where(counts.any(), target, torch.zeros_like(target))
    outputs = _filled(y_pred, counts, _step(y_pred, first, counts.ndim))
    known: tuple[str, Tensor] | None = getattr(y_pred, "_nabi_logits", None)
    if known is not None:
        logits = _filled(known[1], counts, _step(known[1], first, counts.ndim))
        functions.attach_logits(outputs, known[0], logits)
    values = function(_filled(y_true, counts, target), outputs)
    shape = getattr(values, "shape", ())
    return values if tuple(shape[: counts.ndim]) == tuple(counts.shape) else function(y_true, y_pred)


def _step(tensor: Tensor, number: Tensor, axes: int) -> Tensor:
    return tensor.detach().flatten(0, axes - 1).index_select(0, number)


def _filled(tensor: Tensor, counts: Tensor, value: Tensor) -> Tensor:
    """Fill the excluded places of a tensor with a value; the gradient there is zero, never NaN."""
    axes = (1,) * (tensor.ndim - counts.ndim)
    return torch.where(
        counts.reshape(counts.shape + axes), tensor, value.reshape((1,) * counts.ndim + value.shape[1:])
    )


def weighted(
    values: Tensor, sample_weight: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the values per step times their weights, zero where masked, and the mask if it matches them."""
    valid = None
    if mask is not None and mask.shape == values.shape[: mask.ndim]:
        valid = align_weights(mask, values, "mask").bool()
        values = torch.where(valid, values, torch.zeros_like(values))
    if sample_weight is not None:
        weights = align_weights(sample_weight, values)
        # Values that are masked or have weight 0 count nothing, even if they are NaN.
        counts = weights != 0 if valid is None else valid & (weights != 0)
        zero = torch.zeros_like(values)
        values = torch.where(counts, values, zero) * torch.where(counts, weights, zero)
    return values, valid
