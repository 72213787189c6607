"""What fit shows while it runs: a bar on a terminal, a line per epoch elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import Any

from nabi.errors import ArgumentError

__all__ = ["Display", "duration", "in_words", "make_display"]


class Display:
    """How progress is shown; this one shows nothing."""

    shows_batches = False
    """Whether it shows the figures of every batch, which are then computed batch by batch."""
    seconds_left: Callable[[], float | None] | None = None
    """Says how long it takes to the end, where that is known."""

    def say(self, line: str) -> None:
        """Show a line, beside what is shown."""

    def begin_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        """An epoch starts."""

    def batch(self, done: int, read: Callable[[], dict[str, Any]]) -> None:
        """Batches are done, so many of the epoch; `read` gives the figures so far, if it shows them."""

    def validation_batch(self, number: int, logs: dict[str, Any]) -> None:
        """A batch of the validation is done, the first is 0."""

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """An epoch is done, with its figures."""

    def close(self) -> None:
        """Nothing more comes."""


class Lines(Display):
    """One line per epoch, and one every half minute within a long one."""

    def begin_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Remember when it started."""
        self._title = f"Epoch {epoch + 1}/{epochs}" if epochs else ""
        self._start = self._last = time.perf_counter()
        self._steps = steps

    def say(self, line: str) -> None:
        """Write it."""
        print(line, flush=True)

    def batch(self, done: int, read: Callable[[], dict[str, Any]]) -> None:
        """Write how far it is, if nothing was written for half a minute."""
        if self._is_time():
            self._write(f"batch {done:,}{f'/{self._steps:,}' if self._steps else ''}")

    def validation_batch(self, number: int, logs: dict[str, Any]) -> None:
        """Write how far it is, if nothing was written for half a minute."""
        if self._is_time():
            self._write(f"validation, batch {number + 1:,}")

    def _is_time(self) -> bool:
        return time.perf_counter() - self._last >= _SECONDS_BETWEEN_LINES

    def _write(self, where: str) -> None:
        self._last = now = time.perf_counter()
        left = None if self.seconds_left is None else self.seconds_left()
        parts = [f"  {where}", duration(now - self._start)]
        if left is not None:
            parts.append(f"about {in_words(left)} left")
        print(" - ".join(parts), flush=True)

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Write the line."""
        seconds = time.perf_counter() - self._start
        print(
            " - ".join(part for part in (self._title, f"{seconds:.2f}s", figures(logs)) if part), flush=True
        )
        self._last = time.perf_counter()


_SECONDS_BETWEEN_LINES = 30.0


def duration(seconds: float) -> str:
    """Return a time as it is said: "42 s", "3.5 min", "2.1 h".

    >>> duration(9.6), duration(200), duration(7000)
    ('10 s', '3.3 min', '1.9 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def in_words(seconds: float) -> str:
    """Return a time as a sentence has it: "42 seconds", "3.5 minutes", "2 hours".

    >>> in_words(1.2), in_words(200), in_words(2400), in_words(7200)
    ('1 second', '3.3 minutes', '40 minutes', '2 hours')
    """
    for size, unit in ((1.0, "second"), (60.0, "minute"), (3600.0, "hour")):
        count = seconds / size
        if count < 90 or unit == "hour":
            break
    shown = f"{count:.1f}" if unit != "second" and count < 10 else f"{count:,.0f}"
    shown = shown.removesuffix(".0")
    return f"{shown} {unit}" if shown == "1" else f"{shown} {unit}s"


# A terminal is not redrawn more often than this.
_SECONDS_BETWEEN = 0.1
_BAR = 12  # its width, in columns


class Bar(Display):
    """A bar per epoch on a terminal."""

    shows_batches = True

    def say(self, line: str) -> None:
        """Write it above the bar, where there is one."""
        progress = getattr(self, "_progress", None)
        if progress is not None and progress.live.is_started:
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, flush=True)

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
