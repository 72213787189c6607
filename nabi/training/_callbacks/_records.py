"""The record of an epoch, and the base of all callbacks that write it: to a table, to events, to a server."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from nabi._checks import as_real
from nabi.training._callbacks._base import Callback
from nabi.training._workers._group import is_first_worker

__all__ = ["Ending", "EpochRecord", "RecordWriter", "Recorded"]

Ending = Literal["complete", "stopped", "failed"]
"""How a training ended: by itself, by Ctrl-C, or by an error."""


@dataclass(frozen=True)
class EpochRecord:
    """What is to be known of an epoch: one for all that write it."""

    epoch: int
    """Counted from 0, over all runs of a training that was interrupted."""
    seconds: float | None
    """It took, with its validation; of an epoch that an earlier run began, this run's. None if not known."""
    learning_rate: float | None
    """Of its last step; None if not known."""
    batches: int | None
    """It had; None if not known."""
    logs: Mapping[str, Any]
    """The figures as callbacks hear of them; a callback before this one may have added some."""

    @property
    def figures(self) -> dict[str, float]:
        """The figures that are numbers, without the learning rate."""
        numbers = {name: as_real(value) for name, value in self.logs.items() if name != "learning_rate"}
        return {name: value for name, value in numbers.items() if value is not None}

    def row(self) -> dict[str, Any]:
        """Return everything by name: epoch, seconds and learning rate come first."""
        seconds = None if self.seconds is None else round(self.seconds, 3)
        first = {"epoch": self.epoch, "seconds": seconds, "learning_rate": self.learning_rate}
        return first | self.figures


class Recorded(Protocol):
    """A training, as far as its writers look at it."""

    record: EpochRecord | None
    """Of the epoch that has just ended."""
    epochs: int
    """The number of the last one, counted from 1."""
    network: Any
    """The torch module that learns; None where it is none."""


class RecordWriter(Callback, ABC):
    """Base of callbacks that write the record of every epoch somewhere.

    Of several workers only the first writes. A run that goes on where another stopped also goes on with what
    that one wrote: `begin` is told so.
    """

    training: Recorded | None = None
    """Set by the loop; None where somebody's own loop calls the methods."""
    _resumed: int | None = None
    _has_begun = False

    @abstractmethod
    def begin(self, resumed: int | None) -> None:
        """Get ready before the first epoch; `resumed` is how many an earlier run has completed, or None."""

    @abstractmethod
    def write(self, record: EpochRecord) -> None:
        """Write a record, so that it is there whatever happens next."""

    def end(self, ending: Ending) -> None:
        """Finish; called after a training that had begun, also after an error."""
        return

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget an earlier training."""
        self._resumed, self._has_begun = None, False

    def on_resume(self, epoch: int, logs: Any = None) -> None:
        """Go on with what an earlier run wrote."""
        self._resumed = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Get ready, before the first epoch."""
        if not self._has_begun and is_first_worker():
            self._has_begun = True
            self.begin(self._resumed)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the record."""
        self.on_epoch_begin(epoch)
        if not self._has_begun:
            return
        record = None if self.training is None else self.training.record
        self.write(EpochRecord(epoch, None, None, None, logs or {}) if record is None else record)

    def has_ended(self, ending: Ending) -> None:
        """Hear from the loop how a training ended."""
        self.training = None
        if self._has_begun:
            self._has_begun = False
            self.end(ending)
