"""Alignment of targets with the shape of the outputs, as in Keras, but never by broadcasting."""

import torch
from torch import Tensor

from nabi.errors import ShapeError

__all__ = ["align_labels", "align_targets", "align_weights"]


def align_targets(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return targets with the outputs' shape and dtype, adding or dropping only a last axis of length 1.

    >>> import torch
    >>> tuple(align_targets(torch.ones(5), torch.zeros(5, 1)).shape)
    (5, 1)
    """
    wanted = y_pred.shape
    if y_true.shape != wanted:
        given = y_true.shape
        if (*given, 1) != tuple(wanted) and tuple(given) != (*wanted, 1):
            raise ShapeError(
                f"y: expected targets of shape {tuple(wanted)} like the model's outputs, "
                f"got shape {tuple(given)}" + _hint(given, wanted)
            )
        y_true = y_true.reshape(wanted)
    return y_true if y_true.dtype == y_pred.dtype else y_true.to(y_pred.dtype)


def _hint(given: torch.Size, wanted: torch.Size) -> str:
    if len(wanted) > 1 and wanted[-1] > 1 and (given == wanted[:-1] or tuple(given) == (*wanted[:-1], 1)):
        return (
            "; for integer labels use a sparse loss ('sparse_categorical_crossentropy') "
            "or nabi.utils.to_categorical"
        )
    return ""


def align_labels(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return integer labels, one for each position of outputs `[..., classes]`.

    >>> import torch
    >>> tuple(align_labels(torch.ones(5, 1), torch.zeros(5, 3)).shape)
    (5,)
    """
    wanted = y_pred.shape[:-1]
    if y_true.shape != wanted:
        if tuple(y_true.shape) != (*wanted, 1):
            raise ShapeError(
                f"y: expected labels of shape {tuple(wanted)}, one for each of the outputs of shape "
                f"{tuple(y_pred.shape)}, got shape {tuple(y_true.shape)}"
            )
        y_true = y_true.squeeze(-1)
    return y_true if y_true.dtype == torch.int64 else y_true.long()


def align_weights(weights: Tensor, values: Tensor, argument: str = "sample_weight") -> Tensor:
    """Reshape weights `[B]` (for all steps) or of the rank of `values` `[B, ...]` to multiply the values."""
    if weights.shape == values.shape:
        return weights
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        weights = weights.squeeze(-1)
    if weights.ndim > values.ndim or weights.shape != values.shape[: weights.ndim]:
        raise ShapeError(
            f"{argument}: expected shape {tuple(values.shape)} or its first axes, such as "
            f"{tuple(values.shape[:1])}, got {tuple(weights.shape)}"
        )
    return weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim)).expand(values.shape)
