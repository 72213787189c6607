"""What fit shows while it runs: a bar on a terminal, a line per epoch elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import Any

from nabi.errors import ArgumentError

__all__ = ["Display", "make_display"]


class Display:
    """How progress is shown; this one shows nothing."""

    shows_batches = False

    def begin_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        """An epoch starts."""

    def batch(self, done: int, read: Callable[[], dict[str, Any]]) -> None:
        """A batch is done; `read` gives the figures so far."""

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """An epoch is done, with its figures."""

    def close(self) -> None:
        """Nothing more comes."""


class Lines(Display):
    """One line per epoch."""

    def begin_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Remember when it started."""
        self._title = f"Epoch {epoch + 1}/{epochs}" if epochs else ""
        self._start = time.perf_counter()

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Write the line."""
        seconds = time.perf_counter() - self._start
        print(
            " - ".join(part for part in (self._title, f"{seconds:.2f}s", figures(logs)) if part), flush=True
        )


# A terminal is not redrawn more often than this.
_SECONDS_BETWEEN = 0.1
_BAR = 12  # its width, in columns


class Bar(Display):
    """A bar per epoch on a terminal."""

    shows_batches = True

    def begin_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Start a bar."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.table import Column

        # On a narrow terminal the figures go on in a second line; nothing is cut.
        whole, folded = Column(no_wrap=True), Column(overflow="fold")
        self._progress = Progress(
            TextColumn("{task.description}", table_column=whole),
            BarColumn(bar_width=_BAR, table_column=whole),
            MofNCompleteColumn(table_column=whole),
            TimeElapsedColumn(table_column=whole),
            TextColumn("{task.fields[figures]}", table_column=folded),
            auto_refresh=False,
        )
        title = f"Epoch {epoch + 1}/{epochs}" if epochs else ""
        self._task = self._progress.add_task(title, total=steps, figures="")
        self._progress.start()
        self._last = 0.0

    def batch(self, done: int, read: Callable[[], dict[str, Any]]) -> None:
        """Move the bar, if it is time."""
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN:
            self._last = now
            self._progress.update(self._task, completed=done, figures=figures(read()), refresh=True)
        else:
            self._done = done

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Leave the bar full, with the figures of the epoch."""
        total = self._progress.tasks[0].total
        done = total if total is not None else getattr(self, "_done", 0)
        self._progress.update(self._task, total=done, completed=done, figures=figures(logs), refresh=True)
        self._progress.stop()

    def close(self) -> None:
        """Stop a bar that an error left open."""
        progress = getattr(self, "_progress", None)
        if progress is not None:
            progress.stop()


def figures(logs: Any) -> str:
    """Figures in a line: `loss: 0.1234 - accuracy: 0.9000`."""
    return " - ".join(f"{name}: {_figure(value)}" for name, value in logs.items())


def _figure(value: Any) -> str:
    if not isinstance(value, float | int):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.4e}"


def make_display(verbose: int | str | bool) -> Display:
    """The display for Keras' `verbose`: 0 nothing, 1 or "auto" a bar on a terminal, 2 a line per epoch.

    Raises:
        ArgumentError: for anything else.
    """
    if verbose not in (0, 1, 2, "auto"):
        raise ArgumentError(f"verbose: expected 0, 1, 2 or 'auto', got {verbose!r}")
    if verbose == 0:
        return Display()
    # A bar that is redrawn is of no use in a file or a pipe.
    return Bar() if verbose != 2 and sys.stdout.isatty() else Lines()
