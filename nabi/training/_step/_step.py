"""One step of training, with everything decided beforehand that is the same at every step."""

from collections.abc import Sequence
from contextlib import suppress
from inspect import signature
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.layers import Embedding, Layer, casts
from nabi.training._compiled import Compiled, Trainable
from nabi.training._data._batches import Batch, SeveralBatches
from nabi.training._data._inputs_outputs import Part, row_count
from nabi.training._losses._classes import FunctionLoss, is_own
from nabi.training._own_steps import as_data, defines, figures_of, reset_own_metrics
from nabi.training._step._chain import Parts, Snapshot, are_known, find_parts, is_unwatched
from nabi.training._step._losses import ClosedForm, closed_form, gradient_by_autograd, predictions

if TYPE_CHECKING:
    from nabi.training._step._flat import FlatStep
    from nabi.training._workers._exchange import GradientExchange, Sums

__all__ = ["Step", "evaluate_batch", "evaluate_by_default", "start_figures"]


# Numbers of weights and outputs up to which a chain may wait for more batches.
_SMALL = 1 << 21
# For how many shapes of batches a step is taken down, and how many are looked at for coming again.
_SHAPES = 4
_SHAPES_SEEN = 64


class Chain:
    """The parts of a model's layers, ready to be called one after the other.

    Attributes:
        snapshot: what it is made from.
        readout: the name and function of the activation that is taken off, if the outputs are its logits.
        closed: the gradient of the loss, where it has a closed form.
        masks: what takes the mask of a batch, one after the other; `mask` is that of the batch just taken.
        forward, backward, last_backward: what a step calls; the last one needs no gradient of its input.
    """

    def __init__(self, parts: Parts, snapshot: Snapshot, closed: ClosedForm | None) -> None:
        self.snapshot, self.readout, self.closed = snapshot, parts.readout, closed
        self._first = first = parts.layers[0][0]
        self.dtype = first.dtype
        self.takes_numbers = isinstance(first, Embedding)  # then inputs are whole numbers, and stay so
        self._passes = [own for _, own in parts.layers]
        trained = [any(weight.requires_grad for weight in layer.parameters()) for layer, _ in parts.layers]
        # Layers before the first one with weights to train need no backward pass.
        start = trained.index(True)
        self.forward = [own.forward for own in self._passes]
        self.backward = [own.backward for own in reversed(self._passes[start + 1 :])]
        self.last_backward = self._passes[start].backward
        # What each of these completes the gradients of, for workers that exchange them meanwhile.
        self.completes = [list(layer.parameters()) for layer, _ in reversed(parts.layers[start:])]
        self.masks = [] if parts.masked is None else [own.mask for own in parts.masked]
        self._padding_last = any(own.needs_padding_last for own in parts.masked or ())
        self.mask: Tensor | None = None
        self._weights, self._addresses = snapshot.weights, snapshot.addresses
        self._shape: torch.Size | None = None
        self._numbers = sum(weight.numel() for weight in snapshot.weights)
        self._largest = 0
        # Steps by the shape of their batch, None where the parts are needed; and the shapes that have come.
        self.flat: dict[torch.Size, FlatStep | None] = {}
        self._seen: set[torch.Size] = set()
        self._start = start
        self._goes_through = closed is not None and not self.masks

    @property
    def is_small(self) -> bool:
        """Whether what it has in memory is too little to matter, so that it may wait for more batches."""
        return (1 + len(self.flat)) * self._largest + self._numbers <= _SMALL

    def shall_be_flat(self, shape: torch.Size) -> bool:
        """Whether a step that the parts are about to make is to be taken down: the second of its shape."""
        if not self._goes_through or shape in self.flat or len(self.flat) >= _SHAPES:
            return False
        if shape in self._seen:
            return True
        if len(self._seen) >= _SHAPES_SEEN:
            self._seen.clear()
        self._seen.add(shape)
        return False

    def take_down(self, shape: torch.Size, flow: Sequence[Tensor]) -> None:
        """Take down the step that the parts just made; `flow` is its input and the output of each part."""
        assert self.closed is not None
        if self.closed.bound() is None:
            self.flat[shape] = None
            return
        from nabi.training._step._flat import FlatStep  # loads what makes native code

        self.flat[shape] = FlatStep.of(self._passes, self._start, self.closed, flow)

    def start_again(self) -> None:
        """Get ready for other batches."""
        self._shape = None  # states may have been set for another batch size

    def takes(self, x: Tensor) -> bool:
        """Whether all layers take such inputs, and their mask; if not, calling the layers says why.

        Nor if weights have other memory: whoever makes the batches may have given it (`weight.data = ...`).
        """
        if list(map(Tensor.data_ptr, self._weights)) != self._addresses:
            return False
        if self.takes_numbers and x.dtype not in (torch.int64, torch.int32):
            return False
        if x.shape != self._shape and not self._fits(x):
            return False
        if self.masks:
            if x.dim() != 2:
                return False
            mask = x != 0
            if self._padding_last and bool((mask[:, 1:] > mask[:, :-1]).any()):
                return False
            self.mask = None if bool(mask.all()) else mask.unsqueeze(-1)
        return True

    def _fits(self, x: Tensor) -> bool:
        if not (self.takes_numbers or casts(self._first, x.dtype)):
            return False
        shape: tuple[int, ...] | None = tuple(x.shape)
        numbers = 0
        for own in self._passes:
            shape = None if shape is None else own.fits(shape)
            numbers += 0 if shape is None else prod(shape)
        if shape is not None:
            self._shape, self._largest = x.shape, max(self._largest, numbers)
        return shape is not None


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
        exchange: what makes the gradients of several workers one; such steps are made by
            `train_with_others` alone.
    """

    def __init__(
        self,
        model: Trainable,
        compiled: Compiled,
        *,
        alone: bool = False,
        exchange: "GradientExchange | None" = None,
    ) -> None:
        self._model, self._compiled, self._optimizer = model, compiled, compiled.optimizer
        self._own_step, self._own_loss = defines(model, "train_step"), defines(model, "compute_loss")
        self._chain: Chain | None = None
        self._exchange = exchange
        # By what a loss that is a sum over rows is multiplied, so that a mean over workers leaves it one.
        self._as_sum = 1.0
        self._sums: Sums | None = None
        # A loss of the user's own may depend on weights too, which only autograd can see.
        if not self._own_loss and is_own(compiled.loss):
            self._find_chain(alone)
        # A chain sets the gradients of the weights that are trained; one just frozen shall have none.
        compiled.optimizer.clear_gradients()
        compiled.optimizer.look_again()

    def _find_chain(self, alone: bool) -> None:
        spare: Chain | None = None
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
        assert isinstance(model, Layer)
        snapshot = Snapshot(model, layers, loss, logits_of)
        if spare is not None and snapshot.is_as(spare.snapshot):
            self._chain = spare
            spare.start_again()
            return
        parts = find_parts(layers, steps.readout, logits_of, snapshot)
        if parts is not None:
            self._chain = Chain(parts, snapshot, closed_form(loss, parts.readout))

    @property
    def without_autograd(self) -> bool:
        """Whether it trains without autograd where the batch lets it."""
        return self._chain is not None

    def keep(self) -> None:
        """Keep what a small model was trained by, for a step `alone` in its next epoch."""
        if self._chain is not None and self._chain.is_small:
            self._compiled.spare.append(self._chain)

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

    def train_with_others(self, batch: Batch | None, rows: int) -> "Sums":
        """Train on this worker's rows of a batch, together with other workers.

        Args:
            batch: its own rows; None if it has none of them.
            rows: how many all workers have.

        Returns:
            what they said of the step. If the loss is not finite, no worker changes its weights.
        """
        exchange = self._exchange
        assert exchange is not None
        if self._compiled.loss.reduction == "sum":
            self._as_sum = float(min(rows, exchange.workers.count))
        if batch is not None:
            self.by_default(batch)
        else:
            exchange.begin(0)
            self._take(exchange.finish(0.0, 0))
        assert self._sums is not None
        return self._sums

    def _take(self, sums: "Sums") -> None:
        """Take the loss of the whole batch, and update the weights if it is finite."""
        self._sums = sums
        self._compiled.mean_loss.add(sums.loss, sums.rows)
        if self._compiled.mean_loss.finite:
            assert self._exchange is not None
            self._exchange.update(self._optimizer)

    def train_several(self, batches: SeveralBatches) -> int:
        """Train on as many of the next batches as one call of native code takes.

        It makes no difference, but for time, whether batches are trained on one by one.

        Returns:
            How many; 0, with nothing done, if the next batch has to be trained on by itself. If the loss of
            the last of them is not finite, it changed no weights.
        """
        chain, size = self._chain, batches.size
        if chain is None or self._own_step or batches.left < 2 * size or not chain.flat:
            return 0
        x, y, weights = batches.rest
        if isinstance(x, tuple) or not isinstance(y, Tensor) or weights is not None:
            return 0
        flat = chain.flat.get(torch.Size((size, *x.shape[1:])))
        if flat is None or not chain.takes(x[:size]):
            return 0
        compiled, metrics = self._compiled, bool(self._compiled.metrics_asked)
        before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            x = x if x.dtype is chain.dtype or chain.takes_numbers else x.to(chain.dtype)
            losses, outputs = flat.train_several(x, y, size, self._optimizer, metrics)
            compiled.mean_loss.add_several(losses, size)
            for number, output in enumerate(outputs[: len(losses)]):
                targets = y[number * size : (number + 1) * size]
                compiled.measure(targets, predictions(output, chain.readout), None)
        finally:
            torch._C._set_grad_enabled(before)
        return len(losses)

    def _train_by_chain(self, chain: Chain, x: Tensor, y: Tensor, weights: Tensor | None) -> None:
        compiled = self._compiled
        # What `torch.no_grad()` does; that takes as long as a small kernel.
        before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            outputs = x if x.dtype is chain.dtype or chain.takes_numbers else x.to(chain.dtype)
            flat = chain.flat.get(x.shape)
            is_flat = flat is not None and weights is None and self._exchange is None
            found = flat.forward(outputs, y) if is_flat and flat is not None else None
            if flat is not None and found is not None:
                compiled.mean_loss.add(found, x.shape[0])
                if compiled.mean_loss.finite:
                    flat.backward(self._optimizer)
                outputs = flat.outputs
            else:
                outputs = self._train_by_parts(chain, outputs, y, weights)
            if compiled.metrics_asked:
                # The next batch's outputs may lie where these do, and a metric may keep what it is given.
                compiled.measure(y, predictions(outputs.clone(), chain.readout), weights)
        finally:
            torch._C._set_grad_enabled(before)

    def _train_by_parts(self, chain: Chain, x: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
        """Train on a batch, layer by layer; return the outputs."""
        compiled, shape = self._compiled, x.shape
        loss: Tensor | float
        passed: Any
        if chain.flat.get(shape) is not None:
            del chain.flat[shape]  # the parts are about to write to the same arguments
        exchange = self._exchange
        shall_be_flat = weights is None and exchange is None and chain.shall_be_flat(shape)
        mask = chain.mask
        for take in chain.masks:
            mask = take(mask)
        outputs, flow = x, [x]
        for forward in chain.forward:
            outputs = forward(outputs)
            if shall_be_flat:
                flow.append(outputs)
        if chain.closed is not None and weights is None:
            loss, passed = chain.closed(y, outputs)
        else:
            loss, passed = gradient_by_autograd(compiled.loss, chain.readout, y, outputs, weights)
        if exchange is not None:
            self._backward_with_others(chain, exchange, x, float(loss), passed)
            return outputs
        compiled.mean_loss.add(loss, shape[0])
        if compiled.mean_loss.finite:
            for backward in chain.backward:
                passed = backward(passed, True)
            chain.last_backward(passed, False)
            if shall_be_flat:
                chain.take_down(shape, flow)
            self._optimizer.step()
        return outputs

    def _backward_with_others(
        self, chain: Chain, exchange: "GradientExchange", x: Tensor, loss: float, passed: Any
    ) -> None:
        """Go backward, and update once the gradients are those of all workers.

        They travel while the layers before go on.
        """
        rows = x.shape[0]
        exchange.begin(1 if self._as_sum != 1.0 else rows)
        if self._as_sum != 1.0:
            loss, passed = loss * self._as_sum, passed * self._as_sum
        *others, last = chain.completes
        for backward, weights in zip(chain.backward, others, strict=True):
            passed = backward(passed, True)
            for weight in weights:
                exchange.ready(weight)
        if not (chain.takes_numbers and exchange.takes_rows(last[0], x, passed)):
            chain.last_backward(passed, False)
            for weight in last:
                if chain.takes_numbers:
                    exchange.reads(weight, x)
                exchange.ready(weight)
        self._take(exchange.finish(loss, rows))

    def _train_by_autograd(self, x: Part, y: Part | None, weights: Part | None) -> None:
        model, compiled, optimizer = self._model, self._compiled, self._optimizer
        y_pred = model.training_outputs(x, compiled.logits_of)
        loss = total_loss(
            model, compiled, x, y, y_pred, weights, self._own_loss, training=True, factor=self._as_sum
        )
        exchange = self._exchange
        if exchange is not None:
            optimizer.clear_gradients()
            exchange.begin(1 if self._as_sum != 1.0 else _things(y_pred, row_count(x)))
            with exchange.listening():
                loss.backward()
            self._take(exchange.finish(float(loss.detach()), row_count(x)))
        else:
            compiled.mean_loss.add(loss, row_count(x))
        if exchange is None and compiled.mean_loss.finite:
            if not optimizer.bound:
                raise ArgumentError("optimizer: the model has no weights to train")
            optimizer.clear_gradients()
            loss.backward()
            optimizer.step()
        if compiled.metrics_asked:
            with torch.no_grad():
                compiled.measure(y, y_pred, weights)


def _things(y_pred: Any, rows: int) -> float:
    """Return what the loss is the mean of: steps where the outputs have a mask, else rows."""
    mask: Tensor | None = getattr(y_pred, "_keras_mask", None)
    if mask is None or mask.shape != y_pred.shape[: mask.dim()]:
        return rows
    return float(mask.sum())


def total_loss(
    model: Trainable,
    compiled: Compiled,
    x: Part,
    y: Part | None,
    y_pred: Any,
    weights: Part | None,
    own_loss: bool,
    training: bool,
    factor: float = 1.0,
) -> Tensor:
    """The loss of a batch, times a factor, with its penalties; or that of the model's own `compute_loss`."""
    if own_loss:
        given = {"x": x, "y": y, "y_pred": y_pred, "sample_weight": weights}
        if "training" in signature(model.compute_loss).parameters:
            given["training"] = training
        value = model.compute_loss(**given)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ArgumentError(f"compute_loss: expected a tensor with one number from it, got {value!r}")
        return value.reshape(())
    loss = compiled.loss(y, y_pred, weights)
    if factor != 1.0:
        loss = loss * factor
    penalty = model.regularization_loss()
    return loss if penalty is None else loss + penalty


def evaluate_batch(model: Trainable, compiled: Compiled, batch: Batch, factor: float = 1.0) -> None:
    """Take the loss, times a factor, and the metrics of a batch into the figures.

    The model's `test_step` says what they are, if it has one.
    """
    if defines(model, "test_step"):
        compiled.take_figures(figures_of("test_step", model.test_step(as_data(batch))))
        return
    evaluate_by_default(model, compiled, batch, factor)


def evaluate_by_default(model: Trainable, compiled: Compiled, batch: Batch, factor: float = 1.0) -> None:
    """Take the loss and the metrics of a batch into the figures as nabi does."""
    x, y, weights = batch
    own_loss = defines(model, "compute_loss")
    if y is None and not own_loss:
        raise ArgumentError("y: no targets were given, evaluating needs them")
    y_pred = model.training_outputs(x, compiled.logits_of)
    loss = total_loss(model, compiled, x, y, y_pred, weights, own_loss, training=False, factor=factor)
    compiled.mean_loss.add(loss, row_count(x))
    compiled.measure(y, y_pred, weights)


def start_figures(model: Trainable, compiled: Compiled) -> None:
    """Start the loss and the metrics anew, those of steps that the model defines too."""
    compiled.reset_figures()
    if defines(model, "train_step") or defines(model, "test_step"):
        reset_own_metrics(model)
