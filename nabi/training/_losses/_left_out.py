"""Steps that do not count, taken out of targets and outputs before a loss or a metric sees them.

To multiply a loss by zero afterwards is not enough: what is masked may be NaN or no label at all, and the
gradient of NaN is NaN. So a step that does not count becomes a copy of one that does.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nabi.training._data._align import align_weights
from nabi.training._losses import _functions as functions

__all__ = ["counted", "values_where_counted", "weighted"]


def counted(y_pred: Tensor, sample_weight: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """Where outputs `[B, ..., D]` count, as the first of their axes; None where all of them do.

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
    """What a function gives for targets and outputs, whatever stands at the steps that do not count.

    A function that does not give a value for each step is called with everything as it is: what it makes of
    several steps at once is not known here.
    """
    if counts is None or y_true.shape[: counts.ndim] != counts.shape or not counts.numel():
        return function(y_true, y_pred)
    # The first step that counts; where none does, the first one, and then zeros stand for its target.
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
    """A tensor with a value where it does not count; a gradient there is zero and never NaN."""
    axes = (1,) * (tensor.ndim - counts.ndim)
    return torch.where(
        counts.reshape(counts.shape + axes), tensor, value.reshape((1,) * counts.ndim + value.shape[1:])
    )


def weighted(
    values: Tensor, sample_weight: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Values per step, times their weights, zero where masked; and the mask as far as it fits them."""
    valid = None
    if mask is not None and mask.shape == values.shape[: mask.ndim]:
        valid = align_weights(mask, values, "mask").bool()
        values = torch.where(valid, values, torch.zeros_like(values))
    if sample_weight is not None:
        weights = align_weights(sample_weight, values)
        # What is masked or has no weight counts nothing, also where it is NaN.
        counts = weights != 0 if valid is None else valid & (weights != 0)
        zero = torch.zeros_like(values)
        values = torch.where(counts, values, zero) * torch.where(counts, weights, zero)
    return values, valid
