"""One run of a recipe: its settings, its clock, its progress bar, its figures."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nabi.callbacks import Callback
from nabi.recipes._run_folder import RunFolder

__all__ = ["EpochBar", "Result", "Run"]


@dataclass(frozen=True)
class Result:
    """What a run showed."""

    recipe: str
    seed: int
    seconds: float
    figures: dict[str, Any]
    folder: Path
    interrupted: bool = False


class EpochBar(Callback):
    """A callback that moves a progress bar by one epoch and shows the epoch's loss."""

    def __init__(self, progress: Progress, title: str, epochs: int, steps: int) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task(title, total=epochs, loss="")
        self.epochs = 0
        """How many are done."""
        self._steps = steps
        self._seconds, self._start = 0.0, time.perf_counter()

    @property
    def microseconds_per_step(self) -> float:
        """Of the epochs done, all that happens between two steps included."""
        return self._seconds / max(self.epochs * self._steps, 1) * 1e6

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Advance by one epoch."""
        self.epochs += 1
        self._seconds = time.perf_counter() - self._start
        loss = (logs or {}).get("loss")
        self._progress.update(self._task, advance=1, loss="" if loss is None else f"loss {float(loss):.5f}")


class Run:
    """What a recipe is given: where to write, the seed, how many epochs, and a console to show on."""

    def __init__(
        self, recipe: str, folder: RunFolder, seed: int, epochs: int, console: Console | None = None
    ) -> None:
        self.recipe, self.folder, self.seed, self.epochs = recipe, folder, seed, epochs
        self.console = Console(quiet=True) if console is None else console
        self.figures: dict[str, Any] = {}
        self.interrupted = False
        self._start = time.perf_counter()

    @contextmanager
    def training(self, title: str, epochs: int, steps: int) -> Iterator[EpochBar]:
        """Show a bar over the epochs, and let a `Ctrl-C` end the training but not the run.

        The callback that the block receives moves the bar; `steps` is how many training steps an epoch has.
        Whether the run was stopped is `interrupted`.
        """
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs  {task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, refresh_per_second=2) as progress:
            try:
                yield EpochBar(progress, title, epochs, steps)
            except KeyboardInterrupt:
                self.interrupted = True
        if self.interrupted:
            self.console.print("Stopped: writing what there is.")

    def finish(self) -> Result:
        """Write `result.json` and return the same."""
        seconds = round(time.perf_counter() - self._start, 3)
        content: dict[str, Any] = {"recipe": self.recipe, "seed": self.seed, "seconds": seconds}
        if self.interrupted:
            content["interrupted"] = True
        self.folder.write_json("result.json", {**content, "figures": self.figures})
        return Result(self.recipe, self.seed, seconds, self.figures, self.folder.path, self.interrupted)
