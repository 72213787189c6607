"""Several cells, trained alike on one task."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi import _checks
from nabi._public import public
from nabi.comparison._contender import Contender, as_contenders
from nabi.comparison._memory import step_memory
from nabi.comparison._network import make_network
from nabi.comparison._results import Comparison, described
from nabi.comparison._runs import Run
from nabi.comparison._settings import Settings
from nabi.comparison._task import Task
from nabi.comparison._tasks import find_task
from nabi.comparison._training import best_rate, train
from nabi.errors import MissingFileError, NabiError
from nabi.recipes import RunFolder
from nabi.training import on_threads

if TYPE_CHECKING:
    from rich.console import Console

    from nabi.comparison._showing import Bar

__all__ = ["compare"]


@public
def compare(
    cells: Any,
    task: str | os.PathLike[str] | Task = "adding",
    *,
    units: int = 32,
    steps: int | None = None,
    minutes: float | None = None,
    length: int | None = None,
    batch_size: int = 32,
    learning_rate: float = 5e-3,
    tune: bool = False,
    seeds: int = 1,
    memory: bool = True,
    threads: int = 1,
    text: str | None = None,
    label: str | None = None,
    encoding: str = "utf-8",
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    console: "Console | None" = None,
) -> Comparison:
    """Train several cells alike on a task and say how good, how large and how fast each is.

    Every cell stands in the same network, between its input (a vector as wide as the cell for each symbol)
    and a dense layer, and is trained by Adam on the same batches in the same order; the gradient of a weight
    is clipped to a norm of 1. Twenty times, the network is tried on validation sequences; the figure is that
    of the best weights, on test sequences. Cells start as they declare, and for the rest as in Keras.

    Args:
        cells: names, classes or cells, or a list of them; "lstm,gru" are two names, "all" stands for the
            whole catalogue. `+chrono` after the name of a cell with a forget gate starts its biases for
            memories as long as the sequences (Tallec and Ollivier 2018).
        task: adding, copy, parity, recall, pixels, characters, a file as for `find_task`, or a `Task`.
        units: of every cell.
        steps: of training; 1,500 by default, without end if `minutes` are given.
        minutes: of training of each cell and seed, at most. Drawing, trying out and compiling do not
            count. On one thread it is the time of the processor, otherwise that of the clock.
        length: of the sequences; by default what the task is usually done with.
        batch_size: sequences in a step.
        learning_rate: of Adam, for all cells.
        tune: whether each cell has the best of .001, .003, .01 and .03 instead, which are tried on the first
            seed for a third of the training.
        seeds: how many trainings each cell has, with seeds 0, 1, ...
        memory: whether to measure the memory of a step, which takes some seconds for each cell.
        threads: that compute; one is best for small cells.
        text: of a table: the column of the texts.
        label: of a table: the column of the labels.
        encoding: of a file.
        out: the folder to write result.json, table.csv and learning.png into. The first is written after
            every training.
        resume: whether to go on with what is in the folder: what was trained and did not fail, with the same
            equations, is kept.
        console: where to show progress.

    Returns:
        The comparison. A cell that cannot be trained has a row that says why. After Ctrl-C, `interrupted` is
        True and the trainings that were complete are there.

    Raises:
        UnknownNameError: for an unknown cell or task.
        ArgumentError: for other arguments that do not fit, also those of an earlier comparison.
        MissingFileError, FileFormatError: for the file of a task.
        OutputError: the folder cannot be written.

    Example:
        >>> import nabi
        >>> found = nabi.compare("gru,min-gru", "parity", length=4, units=8, steps=40, memory=False)
        >>> sorted(row.cell for row in found.rows), found.rows[0].steps
        (['gru', 'min-gru'], 40)
    """
    contenders = as_contenders(cells)
    settings = Settings(units, steps, minutes, batch_size, learning_rate, tune, threads, memory)
    seeds = _checks.whole("seeds", seeds)
    if not isinstance(task, Task):
        task = find_task(task, length=length, text=text, label=label, encoding=encoding)
    found = Comparison(described(task), settings.to_dict())
    folder = None if out is None else RunFolder(out).path
    if folder is not None and resume:
        with suppress(MissingFileError):  # if no training was complete
            found.go_on_from(Comparison.read(folder), str(folder))
    with on_threads(settings.threads):
        _train_all(found, contenders, task, settings, seeds, folder, console)
    if folder is not None:
        found.write(folder)
    return found


def _train_all(
    found: Comparison,
    contenders: tuple[Contender, ...],
    task: Task,
    settings: Settings,
    seeds: int,
    folder: Path | None,
    console: "Console | None",
) -> None:
    """Train every cell with every seed, unless that has been done; end after Ctrl-C."""
    from nabi.comparison._showing import showing

    with showing(console, len(contenders) * seeds, settings) as bar:
        try:
            for contender in contenders:
                _train_seeds(found, contender, task, settings, seeds, folder, bar)
        except KeyboardInterrupt:
            found.interrupted = True


def _train_seeds(
    found: Comparison,
    contender: Contender,
    task: Task,
    settings: Settings,
    seeds: int,
    folder: Path | None,
    bar: "Bar",
) -> None:
    bar.begin(contender.name, counts=False)
    try:
        make_network(contender, task, settings.units)
        equations = _equations(contender, task, settings.units)
    except Exception as problem:
        # Of a cell of the user's own, anything may go wrong; the others are compared all the same.
        found.runs = [run for run in found.runs if run.cell != contender.name]
        _keep(found, Run(contender.name, 0, problem=_reason(problem)), folder, bar)
        return
    found.runs = [run for run in found.runs if run.cell != contender.name or run.equations == equations]
    known = {run.seed: run for run in found.runs if run.cell == contender.name}
    earlier = next(iter(known.values()), None)
    rate, memory = (None, None) if earlier is None else (earlier.learning_rate, earlier.memory)
    for seed in range(seeds):
        title = f"{contender.name}, seed {seed}" if seeds > 1 else contender.name
        bar.begin(title)
        if seed in known:
            continue
        try:
            if settings.memory and memory is None:
                memory = step_memory(contender, task, settings)
            if settings.tune and rate is None:
                bar.begin(f"{title}, learning rates", counts=False)
                rate = best_rate(contender, task, settings, seed, bar.look)
                bar.begin(title, counts=False)
            rate = settings.learning_rate if rate is None else rate
            trained = train(contender, task, settings, rate, seed, bar.look)
        except Exception as problem:
            run = Run(contender.name, seed, problem=_reason(problem), equations=equations)
        else:
            best, last = trained.best(task.measure), trained.looks[-1] if trained.looks else None
            run = Run(
                contender.name,
                seed,
                figure=trained.figure,
                validation=None if best is None else best.figure,
                steps=0 if last is None else last.steps,
                seconds=0.0 if last is None else last.seconds,
                milliseconds=trained.milliseconds,
                parameters=trained.parameters,
                memory=memory,
                learning_rate=rate,
                problem=trained.problem,
                equations=equations,
                looks=tuple(trained.looks),
            )
        _keep(found, run, folder, bar)


def _keep(found: Comparison, run: Run, folder: Path | None, bar: "Bar") -> None:
    found.runs.append(run)
    bar.end(run)
    if folder is not None:
        found.keep(folder)


def _equations(contender: Contender, task: Task, units: int) -> str:
    """Return what stands for a cell's equations."""
    width = units if task.symbols else task.features
    program = contender.cell(units, width).program(width, training=True)
    return hashlib.sha256(str(program).encode()).hexdigest()[:16]


def _reason(problem: Exception) -> str:
    text = " ".join(str(problem).split())
    return text if isinstance(problem, NabiError) else f"{type(problem).__name__}: {text}"
