"""One run of a recipe: settings, timing, progress bar, figures."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from nabi.recipes._run._run_folder import RunFolder
from nabi.training import Announcing, Rounds

__all__ = ["BatchBar", "EpochBar", "Result", "Run"]


@dataclass(frozen=True)
class Result:
    """The result of a run."""

    recipe: str
    seed: int
    seconds: float
    figures: dict[str, Any]
    folder: Path
    interrupted: bool = False


class EpochBar(Announcing):
    """A callback that moves a progress bar by one epoch and shows the epoch's loss.

    How long all epochs take is said above the bar: by a `fit` that goes through all of them, else from what
    the first took.
    """

    def __init__(self, progress: Progress, title: str, epochs: int, steps: int, unit: str = "epoch") -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task(title, total=epochs, loss="")
        self.epochs = 0
        """Epochs completed."""
        self._total, self._steps, self._unit = epochs, steps, unit
        self._seconds, self._start = 0.0, time.perf_counter()
        self._is_said = False
        self._rounds = self._counted()

    @property
    def microseconds_per_step(self) -> float:
        """Mean over the completed epochs, including the time between steps."""
        return self._seconds / max(self.epochs * self._steps, 1) * 1e6

    def _counted(self) -> Rounds:
        return Rounds(self._total, self._unit, self._print, self.epochs)

    def _print(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, markup=False)

    def say(self, line: str) -> None:
        """Print how long a `fit` of all epochs takes, above the bar."""
        if self._is_said:
            self._print(line)

    def on_train_begin(self, logs: Any = None) -> None:
        """See whether this `fit` goes through all epochs."""
        self._is_said = not self.epochs and self.params["epochs"] == self._total

    def on_resume(self, epoch: int, logs: Any = None) -> None:
        """Begin after what was done in an earlier run."""
        self.epochs = epoch
        self._rounds = self._counted()
        self._progress.update(self._task, completed=epoch)

    def close(self) -> None:
        """Say how long it took."""
        if not self._is_said:
            self._rounds.end()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance by one epoch."""
        self.epochs += 1
        if not self._is_said:
            self._rounds.after_round()
        self._seconds = time.perf_counter() - self._start
        loss = (logs or {}).get("loss")
        self._progress.update(self._task, advance=1, loss="" if loss is None else f"loss {float(loss):.5f}")


class BatchBar(Announcing):
    """A callback for long epochs: a progress bar over the batches, and a line after each epoch.

    It shows the batches of `predict` as well, under the title.
    """

    def __init__(self, progress: Progress, title: str, epochs: int) -> None:
        super().__init__()
        self._progress, self._title, self._epochs = progress, title, epochs
        self._task = progress.add_task(title, total=None, loss="")
        self._begun = self._trained = 0.0
        self.seconds: list[float] = []
        """Training time of each epoch, excluding validation."""
        self.total = 0.0
        """Total time of the epochs, including validation."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start a bar; `params` has the number of batches."""
        self._begun = time.perf_counter()
        self._trained = 0.0
        title = f"epoch {epoch + 1} of {self._epochs}"
        self._progress.reset(self._task, total=self.params["steps"], description=title, loss="")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Advance by one batch."""
        self._progress.update(self._task, completed=batch + 1, loss=f"loss {float(logs['loss']):.4f}")

    def on_test_begin(self, logs: Any = None) -> None:
        """Stop the clock: the validation of an epoch begins."""
        self._trained = time.perf_counter() - self._begun

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Show that validation is running."""
        self._progress.update(self._task, loss="validating")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Print a line with the epoch's figures, which stays after the bar is gone."""
        whole = time.perf_counter() - self._begun
        self.total += whole
        self.seconds.append(self._trained or whole)
        trained = {name: float(value) for name, value in (logs or {}).items() if not name.startswith("val_")}
        line = f"epoch {epoch + 1}: " + ", ".join(f"{name} {value:.4f}" for name, value in trained.items())
        validated = [f"{float(logs[f'val_{name}']):.4f}" for name in trained if f"val_{name}" in logs]
        if validated:
            line += f"; validation {', '.join(validated)}"
        self._progress.console.print(f"{line}; {self.seconds[-1]:.1f} s", highlight=False)

    def say(self, line: str) -> None:
        """Print how long the training takes, above the bar."""
        self._progress.console.print(line, highlight=False, markup=False)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Start a bar."""
        self._progress.reset(self._task, total=self.params["steps"], description=self._title, loss="")

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Advance by one batch."""
        self._progress.update(self._task, completed=batch + 1)


class Run:
    """The context of a recipe: output folder, seed, epochs, data and console."""

    def __init__(
        self,
        recipe: str,
        folder: RunFolder,
        seed: int,
        epochs: int,
        console: Console | None = None,
        data: Path | None = None,
        choices: dict[str, str] | None = None,
    ) -> None:
        self.recipe, self.folder, self.seed, self.epochs = recipe, folder, seed, epochs
        self.data = data
        """The file or folder to read; None for the search path of `nabi.datasets`."""
        self.choices = choices or {}
        """The value of each of the recipe's choices."""
        self.console = Console(quiet=True) if console is None else console
        self.figures: dict[str, Any] = {}
        self.interrupted = False
        self._start = time.perf_counter()

    @contextmanager
    def training(self, title: str, epochs: int, steps: int, unit: str = "epoch") -> Iterator[EpochBar]:
        """Show a progress bar over the epochs, and let `Ctrl-C` end the training but not the run.

        The yielded callback moves the bar; `steps` is the number of training steps per epoch, `unit` what an
        epoch is called. `interrupted` tells whether the run was stopped.
        """
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit + "s  {task.fields[loss]}"))
        with self._stoppable(*columns, TimeRemainingColumn()) as progress:
            bar = EpochBar(progress, title, epochs, steps, unit)
            yield bar
            bar.close()

    @contextmanager
    def batches(self, title: str, epochs: int = 1) -> Iterator[BatchBar]:
        """Show a progress bar over the batches of each epoch, or of `predict`; `Ctrl-C` as in `training`."""
        columns = (BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("batches"), TimeElapsedColumn())
        with self._stoppable(*columns, TextColumn("{task.fields[loss]}")) as progress:
            yield BatchBar(progress, title, epochs)

    @contextmanager
    def _stoppable(self, *columns: ProgressColumn) -> Iterator[Progress]:
        title, before = TextColumn("{task.description}"), self.interrupted
        with Progress(title, *columns, console=self.console, refresh_per_second=2) as progress:
            try:
                yield progress
            except KeyboardInterrupt:
                self.interrupted = True
        if self.interrupted and not before:
            self.console.print("Stopped; writing the results so far.")

    def finish(self) -> Result:
        """Write `result.json` and return the result."""
        seconds = round(time.perf_counter() - self._start, 3)
        content: dict[str, Any] = {"recipe": self.recipe, "seed": self.seed, "seconds": seconds}
        if self.choices:
            content["choices"] = self.choices
        if self.interrupted:
            content["interrupted"] = True
        self.folder.write_json("result.json", {**content, "figures": self.figures})
        return Result(self.recipe, self.seed, seconds, self.figures, self.folder.path, self.interrupted)
