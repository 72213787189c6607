"""A comparison on a terminal: its progress and its table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from nabi.comparison._runs import Row, Run
from nabi.comparison._settings import Settings

__all__ = ["Bar", "showing", "shown", "table"]

_WIDTH = 24
"""That the column of names has at least, if a name is so long."""


class Bar:
    """The progress of a comparison: which training it is, how far it is, and its last figure."""

    def __init__(self, progress: Progress, runs: int, settings: Settings) -> None:
        self._progress, self._runs, self._settings = progress, runs, settings
        self._count = 0
        self._task = progress.add_task("", total=None, figure="")

    def begin(self, what: str, *, counts: bool = True) -> None:
        """Start a training; a trial before it does not count."""
        self._count += counts
        title = f"{min(max(self._count, 1), self._runs)} of {self._runs}: {what}"
        minutes = self._settings.minutes
        total = 1.0 if minutes is None or self._settings.steps else None
        self._progress.reset(self._task, total=total, description=escape(title), figure="")

    def look(self, steps: int, seconds: float, figure: float) -> None:
        """Show a look at the validation sequences."""
        settings = self._settings
        shares = [steps / settings.steps if settings.steps else 0.0]
        if settings.minutes is not None:
            shares.append(seconds / (60 * settings.minutes))
        self._progress.update(
            self._task, total=1.0, completed=min(max(shares), 1.0), figure=f"{shown(figure)}  {steps:,} steps"
        )

    def end(self, run: Run) -> None:
        """Print what has become of a training."""
        result = run.problem or f"{shown(run.figure)}  {run.steps:,} steps, {run.seconds:.1f} s"
        self._progress.console.print(
            f"{run.cell}, seed {run.seed}: {result}", highlight=False, markup=False, soft_wrap=True
        )


@contextmanager
def showing(console: Console | None, runs: int, settings: Settings) -> Iterator[Bar]:
    """Show a bar; nothing without a console."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    quiet = Console(quiet=True) if console is None else console
    with Progress(
        *columns, TextColumn("{task.fields[figure]}"), console=quiet, refresh_per_second=2, transient=True
    ) as progress:
        yield Bar(progress, runs, settings)


def shown(figure: float | None) -> str:
    """Return a figure, shortened."""
    if figure is None:
        return ""
    return f"{figure:.4f}" if abs(figure) >= 0.01 or figure == 0 else f"{figure:.2g}"


def table(task: Mapping[str, Any], settings: Mapping[str, Any], rows: Sequence[Row]) -> Table:
    """Return the table of a comparison, with its baseline and what failed."""
    ranges = any(row.runs > 1 for row in rows)
    lengths = sorted({row.steps for row in rows if row.figure is not None})
    tuned = bool(settings["tune"])
    found = Table(
        title=f"{task['name']}: {task['data']}; {settings['units']} units"
        + (f", {lengths[0]:,} steps" if len(lengths) == 1 else ""),
        caption="\n".join(
            [
                f"{task['baseline_of']}: {shown(task['baseline'])}",
                *(escape(f"{row.cell}: {row.problem}") for row in rows if row.problem),
            ]
        ),
        box=None,
        pad_edge=False,
        title_justify="left",
        caption_justify="left",
    )
    found.add_column(
        "cell", overflow="fold", min_width=min(max((len(row.cell) for row in rows), default=0), _WIDTH)
    )
    several = (("range", ranges), ("steps", len(lengths) > 1), ("rate", tuned))
    left_out = {name for name, wanted in several if not wanted}
    for head in (task["measure"], "range", "parameters", "ms a step", "MB a step", "steps", "rate"):
        if head not in left_out:
            found.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        if row.figure is None:
            found.add_row(escape(row.cell), "failed")
            continue
        columns = {
            "figure": shown(row.figure),
            "range": f"{shown(row.lowest)} to {shown(row.highest)}",
            "parameters": f"{row.parameters:,}",
            "ms": "" if row.milliseconds is None else f"{row.milliseconds:.2f}",
            "MB": _memory(row.memory),
            "steps": f"{row.steps:,}",
            "rate": f"{row.learning_rate:g}",
        }
        found.add_row(escape(row.cell), *(text for name, text in columns.items() if name not in left_out))
    return found


def _memory(size: int | None) -> str:
    """Return a number of bytes in megabytes; less than a quarter cannot be told from nothing."""
    if size is None:
        return ""
    return "< 0.3" if size < 2**18 else f"{size / 1e6:.1f}"
