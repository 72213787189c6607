"""Trainings, and what those of a cell have in common."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nabi.comparison._training import Look

__all__ = ["Row", "Run", "row_of"]


@dataclass(frozen=True)
class Run:
    """One training: of a cell with a seed.

    Attributes:
        cell: its name.
        seed: of weights and data.
        figure: on the test sequences; None if it failed.
        validation: the best figure on the validation sequences; `looks` has all of them.
        steps: that were trained, and `seconds`, how long that took.
        milliseconds: of a step, the median.
        parameters: of the whole network.
        memory: bytes by which a step raises the peak memory of a process; None if it was not measured.
        learning_rate: of Adam.
        problem: why it failed, else empty.
        equations: stands for the equations of the cell: others, another text.
    """

    cell: str
    seed: int
    figure: float | None = None
    validation: float | None = None
    steps: int = 0
    seconds: float = 0.0
    milliseconds: float | None = None
    parameters: int = 0
    memory: int | None = None
    learning_rate: float | None = None
    problem: str = ""
    equations: str = ""
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True)
class Row:
    """What the runs of a cell have in common: medians, and the range of the figures.

    Attributes:
        cell: its name.
        runs: how many there are, and `failed`, how many of them failed.
        figure: the median of the figures, from `lowest` to `highest`; None if every run failed.
        parameters: of the whole network.
        milliseconds: of a step.
        memory: bytes by which a step raises the peak memory of a process.
        steps: that were trained, and `seconds`, how long that took.
        learning_rate: of Adam.
        problem: why runs failed, else empty.
    """

    cell: str
    runs: int
    failed: int
    figure: float | None
    lowest: float | None
    highest: float | None
    parameters: int
    milliseconds: float | None
    memory: int | None
    steps: int
    seconds: float
    learning_rate: float | None
    problem: str


def row_of(runs: Sequence[Run]) -> Row:
    """Return the row of the runs of a cell."""
    good = [run for run in runs if run.figure is not None]
    figures = [run.figure for run in good if run.figure is not None]
    failed = [run for run in runs if run.problem]
    shown = good or list(runs)
    memories = [run.memory for run in runs if run.memory is not None]
    times = [run.milliseconds for run in shown if run.milliseconds is not None]
    problem = failed[0].problem if failed else ""
    if failed and good:
        problem = f"{len(failed)} of {len(runs)} seeds: {problem}"
    return Row(
        cell=runs[0].cell,
        runs=len(runs),
        failed=len(failed),
        figure=statistics.median(figures) if figures else None,
        lowest=min(figures, default=None),
        highest=max(figures, default=None),
        parameters=shown[0].parameters,
        milliseconds=round(statistics.median(times), 4) if times else None,
        memory=memories[0] if memories else None,
        steps=round(statistics.median(run.steps for run in shown)),
        seconds=round(statistics.median(run.seconds for run in shown), 3),
        learning_rate=shown[0].learning_rate,
        problem=problem,
    )
