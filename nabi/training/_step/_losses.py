"""The gradient of a loss for the outputs: in closed form where that is short, else by autograd."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nabi.errors import ShapeError
from nabi.kernels import SmallLoss, small_loss
from nabi.native.bound import BoundLoss
from nabi.training._data._align import align_labels, align_targets
from nabi.training._losses import _functions as functions
from nabi.training._losses._classes import FunctionLoss, Loss, is_own

__all__ = ["ClosedForm", "Readout", "closed_form", "gradient_by_autograd", "predictions"]

Readout = tuple[str, Callable[[Tensor], Tensor]]
_Formula = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class ClosedForm:
    """A function of targets and outputs that gives the loss, one number, and its gradient.

    The gradient of the next call may lie in the memory of this one's.

    Args:
        kind: its name in native code.
        formula: the same, by torch.
        loss, readout: what it is the closed form of.
    """

    def __init__(self, kind: str, formula: _Formula, loss: FunctionLoss, readout: Readout | None) -> None:
        self._kind, self._formula = kind, formula
        self._loss, self._readout = loss, readout
        self._sparse = loss.fn is functions.sparse_categorical_crossentropy
        self._shape: torch.Size | None = None  # of outputs
        # Shapes of targets and outputs, other than the same, that were found to fit last.
        self._fitting: tuple[torch.Size, torch.Size] | None = None
        self._native: SmallLoss | None = None

    def __call__(self, y: Tensor, outputs: Tensor) -> tuple[Tensor | float, Tensor]:
        """The loss and its gradient; raises `ShapeError` if the targets do not fit."""
        shape = outputs.shape
        if shape != self._shape:
            self._shape, self._native = shape, small_loss(self._kind, outputs)
        native = self._native
        if native is not None and y.is_cpu and outputs.is_contiguous():
            targets = self.targets(y, outputs)
            if targets is not None:
                return native(targets, outputs)
        if not self._sparse:
            return self._formula(y, outputs)
        columns = None if native is None else _as_columns(y, outputs)
        if columns is None:
            return gradient_by_autograd(self._loss, self._readout, y, outputs, None)
        return self._formula(columns, outputs)

    def targets(self, y: Tensor, outputs: Tensor) -> Tensor | None:
        """Return targets as native code reads them, None if it does not.

        Raises:
            ShapeError: if they do not fit the outputs.
        """
        if not y.is_cpu:
            return None
        if self._sparse:
            return _as_columns(y, outputs)
        shape = outputs.shape
        if y.shape != shape or y.dtype is not outputs.dtype:
            fitting = y.shape, shape
            if fitting == self._fitting and y.dtype is outputs.dtype:
                y = y.reshape(shape)
            else:
                y, self._fitting = align_targets(y, outputs), fitting
        return y if y.is_contiguous() else y.contiguous()

    def targets_of_several(self, y: Tensor, outputs: Tensor, count: int) -> Tensor | None:
        """Return the targets of batches that lie side by side; None if each has to be looked at by itself.

        Args:
            y: all of them.
            outputs: the outputs of one batch.
            count: the number of batches.
        """
        size, *others = outputs.shape
        usual = not self._sparse and y.is_cpu and y.dtype is outputs.dtype
        if usual and y.shape == (count * size, *others):
            return y.contiguous()
        with suppress(ShapeError):  # what is wrong with a batch is said of it alone
            return self.targets(y, outputs.new_empty((count * size, *others)))
        return None

    def bound(self) -> BoundLoss | None:
        """Return the last call as a run of a kernel; None if it was more than that."""
        return None if self._native is None else self._native.bound()


def closed_form(loss: Loss, readout: Readout | None) -> ClosedForm | None:
    """The loss and its gradient in closed form, or None.

    Args:
        loss: what the model is compiled with.
        readout: what the outputs are the logits of.

    It holds for outputs without a mask and for targets without weights.
    """
    if not is_own(loss) or loss.reduction not in ("sum_over_batch_size", "mean"):
        return None
    assert isinstance(loss, FunctionLoss)
    name = None if readout is None else readout[0]
    if loss.options.get("from_logits", False):
        name = "sigmoid" if loss.fn is functions.binary_crossentropy else "softmax"
    if any(value for option, value in loss.options.items() if option != "from_logits"):
        return None
    if loss.fn is functions.mean_squared_error:
        return ClosedForm("squared_error", _squared_error, loss, readout)
    if loss.fn in _OF_A_SOFTMAX and name == "softmax":
        return ClosedForm("softmax_crossentropy", _softmax_crossentropy, loss, readout)
    if loss.fn is functions.binary_crossentropy and name == "sigmoid":
        return ClosedForm("sigmoid_crossentropy", _sigmoid_crossentropy, loss, readout)
    return None


_OF_A_SOFTMAX = (functions.categorical_crossentropy, functions.sparse_categorical_crossentropy)


def _as_columns(y: Tensor, outputs: Tensor) -> Tensor | None:
    """Labels as zeros with a one at the label; None if one of them is that of no output."""
    labels = align_labels(y, outputs).unsqueeze(-1)
    try:
        return torch.zeros_like(outputs).scatter_(-1, labels, 1.0)
    except RuntimeError:
        return None


def _softmax_crossentropy(y: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    y = align_targets(y, logits)
    samples = logits.numel() // logits.shape[-1]
    weights = y.neg() if samples == 1 else y * (-1.0 / samples)
    logarithms = torch.log_softmax(logits, -1)
    if samples == 1 and weights.dim() == 2:
        # A product that the model computes anyway: a kernel that no one else calls is never in the caches.
        loss = torch.mm(weights, logarithms.t())
    else:
        loss = (weights * logarithms).sum()
    return loss, torch._log_softmax_backward_data(weights, logarithms, -1, logits.dtype)


def _sigmoid_crossentropy(y: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    y = align_targets(y, logits)
    loss = F.binary_cross_entropy_with_logits(logits, y)
    return loss, logits.sigmoid().sub_(y).div_(logits.numel())


def _squared_error(y: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    y = align_targets(y, outputs)
    gradient = outputs - y
    # A dot product is the shortest way to a sum of squares.
    flat = gradient.reshape(-1)
    loss = torch.dot(flat, flat).div_(flat.shape[0])
    return loss, gradient.mul_(2.0 / flat.shape[0])


def gradient_by_autograd(
    loss: Loss, readout: Readout | None, y: Tensor, outputs: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The loss and its gradient, for any loss that depends on nothing but outputs, targets and weights."""
    leaf = outputs.detach().requires_grad_()
    with torch.enable_grad():
        value = loss(y, predictions(leaf, readout), weights)
        (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def predictions(outputs: Tensor, readout: Readout | None) -> Tensor:
    """The model's outputs, with their logits attached where `outputs` are the logits."""
    if readout is None:
        return outputs
    name, function = readout
    # The loss takes the logits; gradients through the probabilities are not needed.
    made: Any = function(outputs.detach())
    return functions.attach_logits(made, name, outputs)
