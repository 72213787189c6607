"""One step of training, with everything decided beforehand that is the same at every step."""

from contextlib import suppress
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.training._compiled import Compiled, Trainable
from nabi.training._data._batches import Batch
from nabi.training._data._inputs_outputs import Part, row_count
from nabi.training._losses._classes import FunctionLoss, is_own
from nabi.training._own_steps import as_data, defines, figures_of, reset_own_metrics
from nabi.training._step._chain import Chain, Snapshot, are_known, is_unwatched, make_chain
from nabi.training._step._losses import ClosedForm, closed_form, gradient_by_autograd, predictions

__all__ = ["Step", "evaluate_batch", "evaluate_by_default", "start_figures"]


class Step:
    """How a model is trained on a batch.

    There are two ways, with the same results up to rounding: autograd, which does everything; and without it,
    where the model's layers and the loss know their derivatives and nothing needs a graph. What is decided
    here holds until somebody's code may have changed the model: `fit` makes a new one for every epoch, and
    for every batch when a callback runs between the batches.

    Args:
        model: what is trained.
        compiled: how.
        alone: whether no one looks on until the epoch ends and all that the model learned is in its weights.
            Gradients then lie where they lay in the epoch before.
    """

    def __init__(self, model: Trainable, compiled: Compiled, *, alone: bool = False) -> None:
        self._model, self._compiled, self._optimizer = model, compiled, compiled.optimizer
        self._own_step, self._own_loss = defines(model, "train_step"), defines(model, "compute_loss")
        self._chain: Chain | None = None
        self._closed: ClosedForm | None = None
        # A loss of the user's own may depend on weights too, which only autograd can see.
        if not self._own_loss and is_own(compiled.loss):
            self._find_chain(alone)
        # A chain sets the gradients of the weights that are trained; one just frozen shall have none.
        compiled.optimizer.clear_gradients()
        compiled.optimizer.look_again()

    def _find_chain(self, alone: bool) -> None:
        spare = None
        if alone:
            # Taken out: it has memory of its own, which another thread that trains the model must not use.
            with suppress(IndexError):
                spare = self._compiled.spare.pop()
        model, loss, logits_of = self._model, self._compiled.loss, self._compiled.logits_of
        assert isinstance(loss, FunctionLoss)
        steps = model.steps()
        layers = None if steps is None else steps.as_chain()
        if steps is None or layers is None or not are_known(layers) or not is_unwatched():
            return
        snapshot = Snapshot(model, layers, loss, logits_of)
        if spare is not None and snapshot.is_as(spare[0].snapshot):
            self._chain, self._closed = spare
            self._chain.start_again()
            return
        self._chain = chain = make_chain(layers, steps.readout, logits_of, snapshot)
        self._closed = None if chain is None else closed_form(loss, chain.readout)

    @property
    def without_autograd(self) -> bool:
        """Whether it trains without autograd where the batch lets it."""
        return self._chain is not None

    def keep(self) -> None:
        """Keep what a small model was trained by, for a step `alone` in its next epoch."""
        if self._chain is not None and self._chain.is_small:
            self._compiled.spare.append((self._chain, self._closed))

    def train(self, batch: Batch) -> None:
        """Train on a batch, whose loss goes into the mean. One that is not finite changes no weights."""
        if self._own_step:
            figures = figures_of("train_step", self._model.train_step(as_data(batch)))
            self._compiled.take_figures(figures)
        else:
            self.by_default(batch)

    def by_default(self, batch: Batch) -> None:
        """Train on a batch as nabi does, whatever `train_step` the model defines."""
        x, y, weights = batch
        if y is None and not self._own_loss:
            raise ArgumentError("y: no targets were given, training needs them")
        chain = self._chain
        if chain is not None and not isinstance(x, tuple) and chain.takes(x):
            assert isinstance(y, Tensor)
            assert not isinstance(weights, tuple)
            self._train_by_chain(chain, x, y, weights)
        else:
            self._train_by_autograd(x, y, weights)

    def _train_by_chain(self, chain: Chain, x: Tensor, y: Tensor, weights: Tensor | None) -> None:
        compiled = self._compiled
        loss: Tensor | float
        passed: Tensor | None
        # What `torch.no_grad()` does; that takes as long as a small kernel.
        before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            outputs = x if x.dtype is chain.dtype or chain.takes_numbers else x.to(chain.dtype)
            for forward in chain.forward:
                outputs = forward(outputs)
            if self._closed is not None and weights is None:
                loss, passed = self._closed(y, outputs)
            else:
                loss, passed = gradient_by_autograd(compiled.loss, chain.readout, y, outputs, weights)
            compiled.mean_loss.add(loss, x.shape[0])
            if compiled.mean_loss.finite:
                for backward in chain.backward:
                    passed = backward(passed, True)
                chain.last_backward(passed, False)
                self._optimizer.step()
            if compiled.metrics_asked:
                # The next batch's outputs may lie where these do, and a metric may keep what it is given.
                compiled.measure(y, predictions(outputs.clone(), chain.readout), weights)
        finally:
            torch._C._set_grad_enabled(before)

    def _train_by_autograd(self, x: Part, y: Part | None, weights: Part | None) -> None:
        model, compiled, optimizer = self._model, self._compiled, self._optimizer
        y_pred = model.training_outputs(x, compiled.logits_of)
        loss = total_loss(model, compiled, x, y, y_pred, weights, self._own_loss, training=True)
        compiled.mean_loss.add(loss, row_count(x))
        if compiled.mean_loss.finite:
            if not optimizer.bound:
                raise ArgumentError("optimizer: the model has no weights to train")
            optimizer.clear_gradients()
            loss.backward()
            optimizer.step()
        if compiled.metrics_asked:
            with torch.no_grad():
                compiled.measure(y, y_pred, weights)


def total_loss(
    model: Trainable,
    compiled: Compiled,
    x: Part,
    y: Part | None,
    y_pred: Any,
    weights: Part | None,
    own_loss: bool,
    training: bool,
) -> Tensor:
    """The loss of a batch with its penalties, or what the model's own `compute_loss` gives."""
    if own_loss:
        given = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": weights}
        if "training" in signature(model.compute_loss).parameters:
            given["training"] = training
        value = model.compute_loss(**given)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ArgumentError(f"compute_loss: expected a tensor with one number from it, got {value!r}")
        return value.reshape(())
    loss = compiled.loss(y, y_pred, weights)
    penalty = model.regularization_loss()
    return loss if penalty is None else loss + penalty


def evaluate_batch(model: Trainable, compiled: Compiled, batch: Batch) -> None:
    """Take the loss and the metrics of a batch into the figures, by the model's `test_step` if it has one."""
    if defines(model, "test_step"):
        compiled.take_figures(figures_of("test_step", model.test_step(as_data(batch))))
        return
    evaluate_by_default(model, compiled, batch)


def evaluate_by_default(model: Trainable, compiled: Compiled, batch: Batch) -> None:
    """Take the loss and the metrics of a batch into the figures as nabi does."""
    x, y, weights = batch
    own_loss = defines(model, "compute_loss")
    if y is None and not own_loss:
        raise ArgumentError("y: no targets were given, evaluating needs them")
    y_pred = model.training_outputs(x, compiled.logits_of)
    loss = total_loss(model, compiled, x, y, y_pred, weights, own_loss, training=False)
    compiled.mean_loss.add(loss, row_count(x))
    compiled.measure(y, y_pred, weights)


def start_figures(model: Trainable, compiled: Compiled) -> None:
    """Start the loss and the metrics anew, those of steps that the model defines too."""
    compiled.reset_figures()
    if defines(model, "train_step") or defines(model, "test_step"):
        reset_own_metrics(model)
