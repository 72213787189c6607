"""The loop of every training: epochs of batches, validation, callbacks, progress, Ctrl-C; and `fit`.

`fit` is the loop over a compiled model; `_resumable_training` has that of the task models.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from nabi._checks import as_real
from nabi.errors import ArgumentError, NotFiniteError
from nabi.training._callbacks._base import Callback, CallbackList, History
from nabi.training._callbacks._monitoring import EarlyStopping
from nabi.training._callbacks._records import Ending, EpochRecord, RecordWriter
from nabi.training._callbacks._saving import BackupAndRestore
from nabi.training._compiled import Compiled, KeepsExtra, Trainable
from nabi.training._data._batches import ArrayBatches, Batch, Batches, StreamBatches
from nabi.training._data._inputs_outputs import Part, first_of
from nabi.training._loop._checkpoint import Position
from nabi.training._loop._epoch_part import EpochPart
from nabi.training._loop._evaluation import evaluate_batches
from nabi.training._loop._interrupt import FinishBatch
from nabi.training._loop._progress import Display, make_display
from nabi.training._loop._time_limit import TimeLimit
from nabi.training._loop._timing import Timing
from nabi.training._step._step import Step, start_figures
from nabi.training._workers._group import Workers, find_workers

if TYPE_CHECKING:
    from nabi.training._workers._fit import Together

__all__ = ["Loop", "fit"]


class Loop(ABC):
    """A training, one epoch after the other; a subclass says what a batch is and what is done with it.

    Attributes:
        epochs: number of the last epoch.
        position: where it stands.
        interrupt: whether Ctrl-C has asked for an end.
        limit: the time that it has, if it has one.
        timing: what watches the clock, and knows how many epochs and steps there are to be.
        record: of the epoch that ended last, None before.
    """

    goes_on_within_epochs: ClassVar[bool] = False
    """Whether an epoch that Ctrl-C ends is gone on with later; else its last batch completes it even then."""

    epochs: int
    position: Position
    interrupt: FinishBatch
    limit: TimeLimit | None = None
    timing: Timing
    is_shared: bool = False
    """Whether several workers train together, and end together."""
    workers: Workers | None = None
    """Those that train together; None for this process alone."""
    is_watched_elsewhere: bool = False
    """Whether another worker has a callback that is told the figures of every batch."""
    is_resumed: bool = False
    """Whether it goes on where an earlier run stopped; known when `begin` was called."""
    record: EpochRecord | None = None
    network: torch.nn.Module | None = None
    """What learns."""

    # What a subclass says -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int | None:
        """How many batches the current epoch has, None where that is not known."""

    @property
    def steps(self) -> int | None:
        """Batches of all epochs, if it has all the time; None where that is not known."""
        count = self.batches_per_epoch
        return None if count is None else self.epochs * count

    @property
    def steps_done(self) -> int:
        """How many batches were trained before it begins or goes on."""
        return self.position.epoch * (self.batches_per_epoch or 0) + self.position.batch

    @property
    def validation_share(self) -> float:
        """How much is validated with after an epoch, as a share of what the epoch learns from, about."""
        return 0.0

    @property
    def may_stop_earlier(self) -> bool:
        """Whether something may end it before its last epoch."""
        return False

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights are kept, from 1; None for the last."""
        return None

    @abstractmethod
    def batches(self, first: int) -> Iterator[Any]:
        """Yield the batches of the current epoch from this number on; the last may be smaller."""

    @abstractmethod
    def step(self, batch: Any) -> None:
        """Train on a batch."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """Return the loss, and what else is measured, of the batches of this epoch."""

    @property
    def learning_rate(self) -> float | None:
        """The rate of the last step."""
        return None

    def begin(self) -> None:
        """Set the position, after the callbacks' `on_train_begin`."""
        return

    def draw_alike(self) -> None:
        """Let all workers draw the same random numbers in an epoch that is about to begin or go on."""
        return

    def begin_epoch(self) -> None:
        """Prepare an epoch, before its first batch."""
        return

    def is_at_its_end(self) -> bool:
        """Return whether no further epoch is to come."""
        return self.position.epoch >= self.epochs

    def ends_epoch(self) -> bool:
        """Return whether this epoch, complete or not, is to have no further batch."""
        return False

    def end_batches(self) -> None:
        """Look at what the batches have left, when all of an epoch's were trained."""
        return

    def validation_figures(self, display: Display, callbacks: CallbackList) -> dict[str, Any]:
        """Validate after an epoch; return the figures, none where there is nothing to validate with."""
        return {}

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Take the figures of a complete epoch, before callbacks hear of it."""
        return

    def from_first(self, value: Any) -> Any:
        """Return what the first of several workers gives; without others, the value itself."""
        return value if self.workers is None else self.workers.from_first(value)

    def agree(self) -> None:
        """Agree with other workers on whether to go on, when callbacks have heard of an epoch."""
        return

    def figures_so_far(self) -> dict[str, Any]:
        """Return the figures for a bar to show, without asking other workers."""
        return self.figures()

    def end(self) -> None:
        """Finish, before the callbacks' `on_train_end`."""
        return

    def keep_checkpoint(self) -> None:
        """Write a checkpoint, if it is time; asked after each batch and each epoch."""
        return

    # What it does -------------------------------------------------------------------------------------------

    def run(self, display: Display, callbacks: CallbackList) -> None:
        """Train until the last epoch, an end that comes earlier, or Ctrl-C."""
        logs: dict[str, Any] = {}
        ending: Ending = "failed"
        writers = [one for one in callbacks.callbacks if isinstance(one, RecordWriter)]
        for writer in writers:
            writer.training = self
        try:
            with FinishBatch(self.is_shared) as self.interrupt:
                callbacks.call("on_train_begin", {})
                self.begin()
                if self.is_resumed:
                    callbacks.call("on_resume", self.position.epoch, {})
                workers = 1 if self.workers is None else self.workers.count
                self.timing = Timing(self, self.limit, workers, display, callbacks.callbacks)
                while not (self.interrupt.asked or self.timing.is_up or self.is_at_its_end()):
                    logs = self._epoch(display, callbacks)
                self.timing.say_total()
                self.end()
                callbacks.call("on_train_end", logs)
            ending = "stopped" if self.interrupt.asked else "complete"
        finally:
            display.close()
            for writer in writers:
                writer.has_ended(ending)

    def _epoch(self, display: Display, callbacks: CallbackList) -> dict[str, Any]:
        position, begun = self.position, time.perf_counter()
        self.draw_alike()
        if not position.batch:
            self.begin_epoch()
        callbacks.call("on_epoch_begin", position.epoch, {})
        self.timing.begin_epoch()
        complete = self._batches(display, callbacks)
        logs = self.figures()
        if not complete:
            return logs
        logs |= self.validation_figures(display, callbacks)
        # Before `end_epoch`, with which a schedule goes on to the rate of the next one.
        self.record = EpochRecord(
            position.epoch, time.perf_counter() - begun, self.learning_rate, position.batch, logs
        )
        self.end_epoch(logs)
        display.end_epoch(logs)
        callbacks.call("on_epoch_end", position.epoch, logs)
        self.agree()
        position.epoch += 1
        position.batch, position.total, position.count = 0, 0.0, 0
        self.timing.after_epoch()
        self.keep_checkpoint()
        return logs

    def _batches(self, display: Display, callbacks: CallbackList) -> bool:
        """Train on the batches of an epoch; return whether it is complete then."""
        position, step, interrupt, timing = self.position, self.step, self.interrupt, self.timing
        before, after = callbacks.before_batch, callbacks.after_batch
        watched = bool(after) or self.is_watched_elsewhere
        for batch in self.batches(position.batch):
            for begin in before:
                begin(position.batch, {})
            step(batch)
            position.batch += 1
            if watched:
                logs = self.figures()
                for end in after:
                    end(position.batch - 1, logs)
            display.batch(position.batch, self.figures_so_far)
            timing.after_batch()
            if interrupt.asked:
                return not self.goes_on_within_epochs and position.batch == self.batches_per_epoch
            if timing.is_up or self.ends_epoch():
                return True
            self.keep_checkpoint()
        self.end_batches()
        return True


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
    limit: TimeLimit | None = None,
) -> History:
    """Train for some epochs, or as many as there is time for.

    `prepare` is called with the inputs of the first batch; it builds the model and gives the optimizer its
    weights, where that has not been done before.

    Raises:
        NotFiniteError: if the loss becomes NaN or infinite.
        KeyboardInterrupt: after Ctrl-C, at the end of a batch and of `on_train_end`.
    """
    workers = find_workers()
    display = make_display(verbose if workers is None or workers.is_first else 0)
    history = History()
    params = {"epochs": epochs, "steps": batches.steps, "verbose": verbose}
    # The history comes last, so that it keeps what other callbacks put into the logs.
    callback_list = CallbackList([*callbacks, history], model, params)
    model.history = history
    model.stop_training = False
    training = _Fit(
        model, compiled, batches, callback_list, prepare, epochs, initial_epoch, validation, validation_every
    )
    training.limit = limit
    for backup in training.backups:
        beside = _kept_beside(callback_list.callbacks, batches, validation)
        backup.keep_beside({**beside, "epoch": training.epoch_part})
    if workers is not None:
        training.share_with(workers)
    try:
        training.run(display, callback_list)
    finally:
        training.leave()
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
        prepare: Callable[[Part], None] | None,
        epochs: int,
        initial_epoch: int,
        validation: Batches | None,
        validation_every: int,
    ) -> None:
        self._model, self._compiled, self._data = model, compiled, data
        self.network = model if isinstance(model, torch.nn.Module) else None
        self._callbacks, self._prepare = callbacks, prepare
        self.epochs, self._initial_epoch, self.position = epochs, initial_epoch, Position(initial_epoch)
        self._validation, self._validation_every = validation, validation_every
        # Whether all that is called looks at figures and weights, and leaves them as they are.
        self._exclusive = callbacks.only_read
        # Whether the code of others runs between the batches, which may change the model.
        self._is_watched = bool(callbacks.before_batch or callbacks.after_batch)
        self._step: Step | None = None
        self._together: Together | None = None
        self.backups = [one for one in callbacks.callbacks if isinstance(one, BackupAndRestore)]
        self._backups_within = [one for one in self.backups if one.seconds is not None]
        self.epoch_part = EpochPart(compiled, data, self.position)
        if self._backups_within and isinstance(data, StreamBatches) and data.can_be_read_once:
            raise ArgumentError(
                "seconds: expected None for an iterator, whose epoch cannot begin again; use a DataLoader"
            )

    def share_with(self, workers: Workers) -> None:
        """Train with other workers, each on its rows of every batch; raises as `Together`."""
        from nabi.training._workers._fit import Together  # a training by one worker needs none of it

        self._together = Together(
            workers, self._model, self._compiled, self._data, self._validation, self._callbacks, self.epochs
        )
        self.workers, self.is_shared = workers, True
        # They look at figures at the same batches, whichever of them has the callback.
        self.is_watched_elsewhere = self._together.is_watched
        self._is_watched = self._is_watched or self.is_watched_elsewhere

    def leave(self) -> None:
        """Let this process have all of the weights, however the training ended."""
        if self._together is not None:
            self._together.leave()

    @property
    def batches_per_epoch(self) -> int | None:
        return self._data.steps

    @property
    def learning_rate(self) -> float | None:
        return as_real(self._compiled.optimizer.learning_rate)

    @property
    def validation_share(self) -> float:
        held_out, steps = self._validation, self._data.steps
        if held_out is None or not held_out.steps or not steps:
            return 0.0
        return held_out.steps / steps / self._validation_every

    @property
    def may_stop_earlier(self) -> bool:
        return any(isinstance(callback, EarlyStopping) for callback in self._callbacks.callbacks)

    @property
    def best_epoch(self) -> int | None:
        for callback in self._callbacks.callbacks:
            if isinstance(callback, EarlyStopping) and callback.best_weights is not None:
                return callback.best_epoch + 1
        return None

    def begin(self) -> None:
        # A callback may have brought back a run that stood further on.
        epochs = [callback.resumed_epoch for callback in self._callbacks.callbacks]
        resumed = [epoch for epoch in epochs if epoch is not None]
        self.position.epoch = max(self._initial_epoch, *resumed, 0)
        self.is_resumed = bool(resumed)
        if resumed and max(resumed) == self.position.epoch:
            self.position.batch = self.epoch_part.batch

    def begin_epoch(self) -> None:
        if self._backups_within:
            self.epoch_part.begin()

    def keep_checkpoint(self) -> None:
        # Several workers write where an epoch or the training ends: the clock of one says nothing to others.
        if not self._backups_within or self._together is not None or not self._is_within_epoch:
            return
        for backup in self._backups_within:
            if backup.is_due:
                self._write_within(backup)

    @property
    def _is_within_epoch(self) -> bool:
        return bool(self.position.batch) and self.position.batch != self.batches_per_epoch

    def _write_within(self, backup: BackupAndRestore) -> None:
        self._model.completed_epoch = self.position.epoch
        self.epoch_part.is_open = True
        backup.write()
        self.epoch_part.is_open = False

    def _start(self) -> None:
        start_figures(self._model, self._compiled)
        self._model.train(True)
        self._step = None

    def batches(self, first: int) -> Iterator[Batch]:
        self._start()
        if first:
            self.epoch_part.go_on()
        batches: Iterator[Batch] = islice(self._data.epoch(), first, None)
        if self._together is not None:
            batches = self._together.in_step(batches)
        if self._prepare is None or (batch := next(batches, None)) is None:
            return batches
        self._prepare(batch[0])
        self._model.train(True)
        self._prepare = None
        return chain([batch], batches)

    def _batches(self, display: Display, callbacks: CallbackList) -> bool:
        data = self._data
        by_batch = self._compiled.scheduler is not None and self._compiled.schedule_every == "batch"
        one_by_one = self._is_watched or display.shows_batches or by_batch or self.is_shared
        one_by_one = one_by_one or bool(self._backups_within)
        if one_by_one or not isinstance(data, ArrayBatches):
            return super()._batches(display, callbacks)
        self._start()
        position = self.position
        for several in data.several():
            while several.left:
                if self._step is None:
                    self._step = self._new_step()
                done = self._step.train_several(several)
                if done:
                    if not self._compiled.mean_loss.finite:
                        self._look_at_loss(position.batch + done, several.one_of(done - 1))
                    several.drop(done)
                else:
                    self.step(several.take())
                    done = 1
                position.batch += done
                display.batch(position.batch, self.figures_so_far)
                self.timing.after_batch()
                if self.interrupt.asked:
                    return position.batch == self.batches_per_epoch
                if self.timing.is_up or self.ends_epoch():
                    return True
        self.end_batches()
        return True

    def _new_step(self) -> Step:
        exchange = None if self._together is None else self._together.exchange()
        return Step(self._model, self._compiled, alone=self._exclusive, exchange=exchange)

    def step(self, batch: Batch) -> None:
        compiled = self._compiled
        divided = self._together is not None and self._together.begin_step(self._step is None)
        if self._step is None or self._is_watched or divided:  # weights have moved
            self._step = self._new_step()
        if self._together is None:
            self._step.train(batch)
        else:
            sums = self._together.train(self._step, batch, self.interrupt.heard)
            self.interrupt.asked = sums.asked
            self._model.stop_training = sums.stopping
        self._look_at_loss(self.position.batch + 1, batch)
        if compiled.scheduler is not None:
            compiled.advance_schedule("batch", None)

    def _look_at_loss(self, number: int, batch: Batch | None) -> None:
        """End the training after batch `number`, if its loss is not finite."""
        if not self._compiled.mean_loss.finite:
            if not self._callbacks.handles_not_finite:
                self._join_weights()
                raise self._not_finite(number, batch)
            self._model.stop_training = True

    def figures(self) -> dict[str, Any]:
        if self._together is not None:
            return self._together.figures()
        return self._compiled.figures()

    def figures_so_far(self) -> dict[str, Any]:
        return self._compiled.figures()

    def draw_alike(self) -> None:
        if self._together is not None:
            self._together.draw_alike()

    def agree(self) -> None:
        if self._together is not None:
            self._model.stop_training = self._together.any(self._model.stop_training)

    def is_at_its_end(self) -> bool:
        return self._model.stop_training or self.position.epoch >= self.epochs

    def ends_epoch(self) -> bool:
        return self._model.stop_training

    def end_batches(self) -> None:
        position, compiled = self.position, self._compiled
        if self._step is None:
            raise ArgumentError(
                f"x: it gave no batch in epoch {position.epoch + 1}; a generator can be read only once: "
                "give steps_per_epoch, or a DataLoader"
            )
        if self._exclusive:
            self._step.keep()
        # On an accelerator the last losses are looked at here.
        compiled.mean_loss.result()
        if not compiled.mean_loss.finite and not self._callbacks.handles_not_finite:
            raise self._not_finite(position.batch, None)

    def _join_weights(self) -> None:
        if self._together is not None:
            self._together.join_weights()

    def validation_figures(self, display: Display, callbacks: CallbackList) -> dict[str, Any]:
        self._join_weights()
        if self._validation is None or (self.position.epoch + 1) % self._validation_every:
            return {}
        return evaluate_batches(
            self._model,
            self._compiled,
            self._validation,
            callbacks,
            "val_",
            self._together,
            display.validation_batch,
        )

    def end_epoch(self, logs: dict[str, Any]) -> None:
        self._model.completed_epoch = self.position.epoch + 1
        if self._together is not None:
            self._together.join_states()
        self._compiled.advance_schedule("epoch", logs)

    def end(self) -> None:
        self._join_weights()
        if self.timing.is_up:
            self._model.stop_training = True  # so that callbacks know that this is the end
        if self._together is not None:
            self._together.join_states()
        if self.interrupt.asked and self._is_within_epoch:
            for backup in self._backups_within:
                self._write_within(backup)
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
        rate, found = compiled.optimizer.learning_rate, ""
        if batch is not None and isinstance(self._model, torch.nn.Module):
            from nabi.training._finite import first_not_finite  # a training that goes well needs none of it

            found = first_not_finite(
                self._model, lambda: self._model.training_outputs(batch[0], compiled.logits_of)
            )
        return NotFiniteError(
            f"loss: it became {compiled.mean_loss.last} in {where}, training stops. "
            f"{found and f'{found}. '}Try a smaller learning "
            f"rate (it is {rate:g}), clip the gradients with compile(clipnorm=1.0), or scale the data nearer "
            "to 0 to 1"
        )
