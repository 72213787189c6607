"""The loop of every training: epochs of batches, validation, callbacks, progress, and an end on Ctrl-C."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from nabi.training._callbacks._base import CallbackList
from nabi.training._loop._checkpoint import Position
from nabi.training._loop._interrupt import FinishBatch
from nabi.training._loop._progress import Display

__all__ = ["Loop"]


class Loop(ABC):
    """A training, one epoch after the other; a subclass says what a batch is and what is done with it.

    Attributes:
        epochs: number of the last epoch.
        position: where it stands.
        interrupt: whether Ctrl-C has asked for an end.
    """

    goes_on_within_epochs: ClassVar[bool] = False
    """Whether an epoch that Ctrl-C ends is gone on with later; else its last batch completes it even then."""

    epochs: int
    position: Position
    interrupt: FinishBatch

    # What a subclass says -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int | None:
        """How many batches the current epoch has, None where that is not known."""

    @abstractmethod
    def batches(self, first: int) -> Iterator[Any]:
        """Yield the batches of the current epoch from this number on; the last may be smaller."""

    @abstractmethod
    def step(self, batch: Any) -> None:
        """Train on a batch."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """Return the loss, and what else is measured, of the batches of this epoch."""

    def begin(self) -> None:
        """Set the position, after the callbacks' `on_train_begin`."""
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

    def validation_figures(self, callbacks: CallbackList) -> dict[str, Any]:
        """Validate after an epoch; return the figures, none where there is nothing to validate with."""
        return {}

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Take the figures of a complete epoch, before callbacks hear of it."""
        return

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
        try:
            with FinishBatch() as self.interrupt:
                callbacks.call("on_train_begin", {})
                self.begin()
                while not (self.interrupt.asked or self.is_at_its_end()):
                    logs = self._epoch(display, callbacks)
                self.end()
                callbacks.call("on_train_end", logs)
        finally:
            display.close()

    def _epoch(self, display: Display, callbacks: CallbackList) -> dict[str, Any]:
        position = self.position
        if not position.batch:
            self.begin_epoch()
        callbacks.call("on_epoch_begin", position.epoch, {})
        display.begin_epoch(position.epoch, self.epochs, self.batches_per_epoch)
        complete = self._batches(display, callbacks)
        logs = self.figures()
        if not complete:
            return logs
        logs |= self.validation_figures(callbacks)
        self.end_epoch(logs)
        display.end_epoch(logs)
        callbacks.call("on_epoch_end", position.epoch, logs)
        position.epoch += 1
        position.batch, position.total, position.count = 0, 0.0, 0
        self.keep_checkpoint()
        return logs

    def _batches(self, display: Display, callbacks: CallbackList) -> bool:
        """Train on the batches of an epoch; return whether it is complete then."""
        position, step, interrupt = self.position, self.step, self.interrupt
        before, after = (callbacks.methods(f"on_train_batch_{moment}") for moment in ("begin", "end"))
        for batch in self.batches(position.batch):
            for begin in before:
                begin(position.batch, {})
            step(batch)
            position.batch += 1
            if after:
                logs = self.figures()
                for end in after:
                    end(position.batch - 1, logs)
            if display.shows_batches:
                display.batch(position.batch, self.figures)
            if interrupt.asked:
                return not self.goes_on_within_epochs and position.batch == self.batches_per_epoch
            if self.ends_epoch():
                return True
            self.keep_checkpoint()
        self.end_batches()
        return True
