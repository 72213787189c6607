"""Callbacks that save models, and runs that can be resumed."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, MissingFileError, OutputError
from nabi.files import check_counter
from nabi.training._callbacks._base import Callback
from nabi.training._callbacks._monitoring import Monitor
from nabi.training._compiled import KeepsExtra
from nabi.training._workers._group import find_workers, is_first_worker

__all__ = ["BackupAndRestore", "ModelCheckpoint"]


class ModelCheckpoint(Monitor):
    """Save the model at the end of epochs.

    Args:
        filepath: path of the file; may contain values, as in "{epoch:02d}-{loss:.4f}.nabi", with epochs
            counted from 1.
        monitor: the metric that decides which epoch is best.
        verbose: 1 to print a message when a file is written.
        save_best_only: write only when the metric has improved.
        save_weights_only: write only the weights.
        mode: "min", "max" or "auto".
        save_freq: "epoch", or a number of batches.
        period: number of epochs between two files.

    Raises:
        ArgumentError: for a value in the path that is not in the logs.
        OutputError: if a file cannot be written.
    """

    @public
    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        period: int = 1,
    ) -> None:
        super().__init__(monitor, mode)
        if not isinstance(save_freq, str) or save_freq != "epoch":
            save_freq = _checks.whole("save_freq", save_freq, otherwise=" of batches or 'epoch'")
        self.filepath = str(_checks.path("filepath", filepath, wrong=OutputError))
        self.verbose = verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq, self.period = save_freq, _checks.whole("period", period)
        self._batches = self._epoch = 0
        if save_freq != "epoch":
            # Set only here, so that otherwise this callback is not called for every batch.
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Store the number of the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a file if one is due."""
        if self.save_freq == "epoch" and (epoch + 1) % self.period == 0:
            self._save(epoch, logs or {})

    def get_extra(self) -> dict[str, Any]:
        """Return the best figure, and the batches since the beginning."""
        return {**super().get_extra(), "batches": self._batches}

    def set_extra(self, extra: dict[str, Any]) -> None:
        """Go on comparing and counting."""
        self._batches = check_counter("batches", extra["batches"])
        super().set_extra(extra)

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save(self._epoch, {"batch": batch + 1, **(logs or {})})

    def _save(self, epoch: int, logs: dict[str, Any]) -> None:
        if self.save_best_only:
            value = self.monitored(logs)
            if not self.improves(value):
                return
            self.best = value
        try:
            path = self.filepath.format(**{**logs, "epoch": epoch + 1})
        except (KeyError, ValueError, IndexError) as problem:
            raise ArgumentError(
                f"filepath: {self.filepath!r} can't be formatted ({problem}); "
                f"available are epoch, {', '.join(logs)}"
            ) from None
        if not is_first_worker():
            return
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}")


class BackupAndRestore(Callback):
    """Save a run to a file, so that the same program can resume it after an interruption.

    The file holds everything that training depends on, what other callbacks have counted (the patience of
    EarlyStopping) among it, and the order of data that have one of their own: a `LengthGroups`, a DataLoader
    with a generator, a data set that defines `get_extra` and `set_extra`. So the run ends as if it had never
    been stopped, with the history of all its epochs. The file is removed when the run is complete.

    Args:
        path: the file.
        every: epochs between two writes.
        seconds: None, or a time between two writes: then the file is also written within an epoch, after the
            first batch by which so much time has passed since the last write, and by Ctrl-C. The run goes on
            with the next batch. The order of the epoch is drawn again for that, so data must be arrays, or
            have an order of their own as above. (A metric of your own must count in states that `add_weight`
            makes; else its figure of that epoch is of the later batches.)

    Raises:
        ArgumentError: for `seconds` with an iterator, which cannot begin its epoch again.
        FileFormatError: if the file is damaged, or of another model.
        OutputError: if it cannot be written.
    """

    comes_last = True

    @public
    def __init__(self, path: str | os.PathLike[str], every: int = 1, *, seconds: float | None = None) -> None:
        self.path = _checks.path("path", path, wrong=OutputError)
        self.every = _checks.whole("every", every, otherwise=" of epochs")
        self.seconds = seconds
        if seconds is not None:
            self.seconds = _checks.real("seconds", seconds, least=0, otherwise=" or None")
        self._written = time.perf_counter()
        self._beside: dict[str, KeepsExtra] = {}

    def keep_beside(self, beside: Mapping[str, KeepsExtra]) -> None:
        """Keep, beside the model and its training, what these have to keep; their names go into the file."""
        self._beside = dict(beside)

    def on_train_begin(self, logs: Any = None) -> None:
        """Resume from the file, if there is one."""
        self.resumed_epoch = None
        if self._is_there():
            with self._keeping_beside():
                self.model.load_training(self.path)
            self.resumed_epoch = self.model.completed_epoch
        self._written = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the file."""
        if (epoch + 1) % self.every == 0:
            self.write()

    @property
    def is_due(self) -> bool:
        """Whether it is time to write the file within an epoch."""
        return self.seconds is not None and time.perf_counter() - self._written >= self.seconds

    def write(self) -> None:
        """Write the file; of several workers the first does."""
        if is_first_worker():
            with self._keeping_beside():
                self.model.save(self.path)
        self._written = time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        """Remove the file of a complete run."""
        is_complete = self.model.completed_epoch >= int(self.params["epochs"]) or self.model.stop_training
        if is_complete and is_first_worker():
            self.path.unlink(missing_ok=True)

    def _is_there(self) -> bool:
        """Whether there is a file; of several workers all must see it, or none."""
        workers, here = find_workers(), self.path.exists()
        if workers is None:
            return here
        seen = workers.gather(here)
        if any(seen) and not all(seen):
            raise MissingFileError(
                f"path: worker {seen.index(False)} of {workers.count} has no file {self.path}, which others "
                "have; keep it on a disk that all workers see"
            )
        return here

    @contextmanager
    def _keeping_beside(self) -> Iterator[None]:
        compiled = self.model.compiled
        compiled.kept_beside = self._beside
        try:
            yield
        finally:
            compiled.kept_beside = {}
