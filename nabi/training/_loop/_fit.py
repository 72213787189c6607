"""`fit`: the loop over a compiled model."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch

from nabi.errors import ArgumentError, NotFiniteError
from nabi.training._callbacks._base import Callback, CallbackList, History
from nabi.training._callbacks._saving import BackupAndRestore
from nabi.training._compiled import Compiled, KeepsExtra, Trainable
from nabi.training._data._batches import Batch, Batches, StreamBatches
from nabi.training._data._inputs_outputs import Part, first_of
from nabi.training._loop._checkpoint import Position
from nabi.training._loop._evaluation import evaluate_batches
from nabi.training._loop._loop import Loop
from nabi.training._loop._progress import make_display
from nabi.training._step._step import Step, start_figures

__all__ = ["fit"]


def fit(
    model: Trainable,
    compiled: Compiled,
    batches: Batches,
    *,
    prepare: Callable[[Part], None] | None,
    epochs: int,
    initial_epoch: int = 0,
    verbose: int | str = "auto",
    callbacks: Sequence[Callback] = (),
    validation: Batches | None = None,
    validation_every: int = 1,
) -> History:
    """Train for some epochs.

    `prepare` is called with the inputs of the first batch; it builds the model and gives the optimizer its
    weights, where that has not been done before.

    Raises:
        NotFiniteError: if the loss becomes NaN or infinite.
        KeyboardInterrupt: after Ctrl-C, at the end of a batch and of `on_train_end`.
    """
    history = History()
    display = make_display(verbose)
    # The history comes after what others put into the logs, and backups after all that they keep.
    backups = [callback for callback in callbacks if isinstance(callback, BackupAndRestore)]
    heard = [*(callback for callback in callbacks if callback not in backups), history]
    for backup in backups:
        backup.keep_beside(_kept_beside(heard, batches, validation))
    callback_list = CallbackList(
        [*heard, *backups], model, {"epochs": epochs, "steps": batches.steps, "verbose": verbose}
    )
    model.history = history
    model.stop_training = False
    training = _Fit(
        model,
        compiled,
        batches,
        callback_list,
        prepare=prepare,
        epochs=epochs,
        initial_epoch=initial_epoch,
        validation=validation,
        validation_every=validation_every,
    )
    try:
        training.run(display, callback_list)
    finally:
        model.train(False)
        compiled.optimizer.clear_gradients()
    if training.interrupt.asked:
        training.interrupt.raise_now()
    return history


def _kept_beside(
    callbacks: Sequence[Callback], batches: Batches, validation: Batches | None
) -> dict[str, KeepsExtra]:
    """What keeps something of a run, by names that are the same when its program starts again."""
    found: dict[str, KeepsExtra] = {}
    count: Counter[str] = Counter()
    for callback in callbacks:
        kind = type(callback).__name__
        found[f"callbacks/{kind}/{count[kind]}"] = callback
        count[kind] += 1
    data = {"data": batches, "validation data": validation}
    return found | {name: one for name, one in data.items() if isinstance(one, StreamBatches)}


class _Fit(Loop):
    """One call of `fit`."""

    def __init__(
        self,
        model: Trainable,
        compiled: Compiled,
        data: Batches,
        callbacks: CallbackList,
        *,
        prepare: Callable[[Part], None] | None,
        epochs: int,
        initial_epoch: int,
        validation: Batches | None,
        validation_every: int,
    ) -> None:
        self.epochs, self.position = epochs, Position(initial_epoch)
        self._model, self._compiled, self._data = model, compiled, data
        self._callbacks, self._prepare = callbacks, prepare
        self._validation, self._validation_every = validation, validation_every
        # Whether the history, which looks at figures, is all that hears of it.
        self._exclusive = all(type(callback) is History for callback in callbacks.callbacks)
        # Whether the code of others runs between the batches, which may change the model.
        self._is_watched = any(callbacks.methods(f"on_train_batch_{moment}") for moment in ("begin", "end"))
        self._step: Step | None = None
        self._initial_epoch = initial_epoch

    @property
    def batches_per_epoch(self) -> int | None:
        """How many batches an epoch has, where the data know."""
        return self._data.steps

    def begin(self) -> None:
        """Go on after the epochs that a callback has brought back."""
        resumed = [callback.resumed_epoch or 0 for callback in self._callbacks.callbacks]
        self.position.epoch = max(self.position.epoch, *resumed)

    def batches(self, first: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        start_figures(self._model, self._compiled)
        self._model.train(True)
        self._step = None
        batches = self._data.epoch()
        if self._prepare is None:
            return batches
        batch = next(batches, None)
        if batch is None:
            return batches
        self._prepare(batch[0])
        self._model.train(True)
        self._prepare = None
        return chain([batch], batches)

    def step(self, batch: Batch) -> None:
        """Train on a batch, and see whether its loss is a number."""
        compiled = self._compiled
        if self._step is None or self._is_watched:
            self._step = Step(self._model, compiled, alone=self._exclusive)
        self._step.train(batch)
        if not compiled.mean_loss.finite:
            if not self._callbacks.handles_not_finite:
                raise self._not_finite(self.position.batch + 1, batch)
            self._model.stop_training = True
        if compiled.scheduler is not None:
            compiled.advance_schedule("batch", None)

    def figures(self) -> dict[str, Any]:
        """Return the loss and the metrics of the batches of this epoch."""
        return self._compiled.figures()

    def is_at_its_end(self) -> bool:
        """Return whether the last epoch is done, or a callback stops."""
        return self._model.stop_training or self.position.epoch >= self.epochs

    def ends_epoch(self) -> bool:
        """Return whether a callback stops."""
        return self._model.stop_training

    def end_batches(self) -> None:
        """Refuse an epoch without a batch, and look at losses that an accelerator has not told yet."""
        position, compiled = self.position, self._compiled
        if not position.batch:
            raise ArgumentError(
                f"x: it gave no batch in epoch {position.epoch + 1}; a generator can be read only once: "
                "give steps_per_epoch, or a DataLoader"
            )
        if self._exclusive and self._step is not None:
            self._step.keep()
        compiled.mean_loss.result()
        if not compiled.mean_loss.finite and not self._callbacks.handles_not_finite:
            raise self._not_finite(position.batch, None)

    def validation_figures(self, callbacks: CallbackList) -> dict[str, Any]:
        """Evaluate on what was held out, after every so many epochs."""
        if self._validation is None or (self.position.epoch + 1) % self._validation_every:
            return {}
        return evaluate_batches(self._model, self._compiled, self._validation, callbacks, "val_")

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Count the epoch, and step a schedule of epochs."""
        self._model.completed_epoch = self.position.epoch + 1
        self._compiled.advance_schedule("epoch", logs)

    def end(self) -> None:
        """Put averaged weights in their place, if there was anything to average."""
        if self.position.batch or self.position.epoch > self._initial_epoch:
            self._compiled.optimizer.finish()

    def _not_finite(self, number: int, batch: Batch | None) -> NotFiniteError:
        compiled, where = self._compiled, f"epoch {self.position.epoch + 1}, batch {number}"
        if batch is None or first_of(batch[0]).device.type != "cpu":
            where += " at the latest"
        for name, part in zip(("x", "y"), batch or (), strict=False):
            tensors = [one for one in (part if isinstance(part, tuple) else (part,)) if one is not None]
            if any(one.is_floating_point() and not bool(torch.isfinite(one).all()) for one in tensors):
                return NotFiniteError(
                    f"loss: it became {compiled.mean_loss.last} in {where}, because {name} has a NaN "
                    "or infinite number there; clean the data"
                )
        rate = compiled.optimizer.learning_rate
        return NotFiniteError(
            f"loss: it became {compiled.mean_loss.last} in {where}, training stops. Try a smaller learning "
            f"rate (it is {rate:g}), clip the gradients with compile(clipnorm=1.0), or scale the data nearer "
            "to 0 to 1"
        )
