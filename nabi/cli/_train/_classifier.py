"""`nabi train` on a table of texts and labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nabi.cli._train._form import EVERYWHERE, HandMadeForm, Said, columns_of, settings_of
from nabi.cli._train._outputs import try_targets, write_figures
from nabi.errors import ArgumentError, NotFiniteError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nabi.models import TextClassifier
    from nabi.models._classifier._samples import Columns
    from nabi.models._classifier._split import Parts

__all__ = ["FORM"]

_STOPPED = 130
_SETTINGS = (
    "units", "unit", "vocabulary_size", "maxlen", "truncating", "bidirectional", "pooling", "embedding_size",
    "dropout", "batch_size", "epochs", "patience", "learning_rate", "label_separator", "seed",
)  # fmt: skip
_OPTIONS = {"text", "label", "aspect", "validation", "test", "encoding", "separator", "quotes", "balanced"}


@dataclass(frozen=True)
class _Task:
    """What the command line says."""

    file: Path
    text: str
    labels: list[str]
    aspect: str | None
    validation: Path | None
    test: Path | None
    encoding: str
    separator: str | None
    quoted: bool
    cells: list[str]
    out: Path | None
    settings: dict[str, Any]
    """Arguments of `TextClassifier` besides the cell."""


@dataclass(frozen=True)
class _Outcome:
    """What became of one cell."""

    cell: str
    classifier: "TextClassifier | None"
    problem: str = ""

    @property
    def goodness(self) -> float:
        """What the best is chosen by: rows that were not trained on, nor are reported on where others are."""
        if self.classifier is None:
            return -1.0
        return (self.classifier.validation_report or self.classifier.report).macro_f1


def _is_meant(said: Said) -> bool:
    return said["text"] is not None or bool(said["label"])


def _train(said: Said) -> None:
    if said["text"] is None or not said["label"]:
        missing = "--text" if said["text"] is None else "--label"
        raise ArgumentError(f"{missing}: the name of a column is expected; {columns_of(said)}")
    task = _Task(
        file=said["file"],
        text=said["text"],
        labels=said["label"],
        aspect=said["aspect"],
        validation=said["validation"],
        test=said["test"],
        encoding=said["encoding"],
        separator=said["separator"],
        quoted=said["quotes"],
        cells=said["cell"] or ["lstm"],
        out=said["out"],
        settings={
            **settings_of(said, _SETTINGS),
            "class_weight": "balanced" if said["balanced"] else None,
        },
    )
    _train_cells(task, said)


FORM = HandMadeForm(
    "a table of texts and labels",
    "nabi train FILE --text COLUMN --label COLUMN",
    "FILE: .csv, .tsv, .jsonl, .parquet, the first three also compressed",
    EVERYWHERE | _OPTIONS | set(_SETTINGS),
    _is_meant,
    _train,
)


def _train_cells(task: _Task, said: Said) -> None:
    """Train each cell on the same rows, show how good they are, save the best."""
    from rich.console import Console

    from nabi.training import on_threads

    console = Console()
    path = task.out or Path(task.file.name.split(".")[0] + ".nabi")
    read = {"the data": task.file, "--validation": task.validation, "--test": task.test}
    targets = try_targets(path, ".json", ".png", said=said, read=read)
    classifiers = _classifiers(task)
    parts, columns = _read(task)
    for note in parts.notes:
        console.print(f"[yellow]note[/yellow] {_plain(note)}", highlight=False, soft_wrap=True)
    sizes = [len(part or ()) for part in (parts.train, parts.validation, parts.test)]
    console.print("{:,} rows to train on, {:,} to stop by, {:,} to test on".format(*sizes), highlight=False)
    outcomes: list[_Outcome] = []
    with on_threads(said["threads"]):
        for cell, classifier in classifiers:
            if len(classifiers) > 1:
                console.rule(_plain(cell), align="left")
            try:
                report = classifier.fit_parts(parts, columns)
            except NotFiniteError as problem:
                if len(classifiers) == 1:
                    raise
                console.print(_plain(str(problem)), highlight=False)
                outcomes.append(_Outcome(cell, None, str(problem)))
                continue
            outcomes.append(_Outcome(cell, classifier))
            if report.interrupted:
                console.print("Stopped: saving what has been learnt.")
                break
    _finish(task, console, targets, outcomes)


def _classifiers(task: _Task) -> list[tuple[str, "TextClassifier"]]:
    """A classifier for each cell, whose equations are tried out."""
    from nabi.cli._cell import find_cell, find_class, trace
    from nabi.models import TextClassifier
    from nabi.models._classifier._settings import EMBEDDING_SIZE, UNITS

    twice = next((cell for cell in task.cells if task.cells.count(cell) > 1), None)
    if twice is not None:
        raise ArgumentError(f"--cell: {twice} was given more than once")
    made = []
    for name in task.cells:
        kind = find_class(name)
        units, inputs = task.settings["units"] or UNITS, task.settings["embedding_size"] or EMBEDDING_SIZE
        trace(find_cell(name, units), inputs)
        made.append((name, TextClassifier(kind if ":" in name else name, **task.settings)))
    return made


def _read(task: _Task) -> "tuple[Parts, Columns]":
    from nabi.models._classifier._samples import Columns, TableFormat, collect_samples
    from nabi.models._classifier._split import divide

    columns = Columns(task.text, task.labels[0] if len(task.labels) == 1 else tuple(task.labels), task.aspect)
    samples, validation, test = (
        None
        if path is None
        else collect_samples(
            path,
            columns=columns,
            label_separator=task.settings["label_separator"],
            table=TableFormat(task.encoding, task.separator, task.quoted),
        )
        for path in (task.file, task.validation, task.test)
    )
    assert samples is not None
    return divide(samples, validation, test, seed=task.settings["seed"]), columns


def _finish(task: _Task, console: "Console", targets: list[Path], outcomes: list[_Outcome]) -> None:
    best = max(outcomes, key=lambda outcome: outcome.goodness)
    classifier = best.classifier
    if classifier is None:
        raise NotFiniteError(f"none of the cells could be trained: {outcomes[0].problem}")
    model, figures, picture = targets
    classifier.save(model)
    classifier.report.picture(picture)
    write_figures(figures, _result(task, best, outcomes))
    console.print()
    if len(outcomes) > 1:
        console.print(_comparison(outcomes, best))
        console.print(f"\nthe best on the validation rows, {_plain(best.cell)}:", highlight=False)
    console.print(classifier.report)
    console.print(
        f"\nThe model is in {model}, its figures in {figures}, the confusion matrix in {picture}"
        if classifier.report.confusion is not None
        else f"\nThe model is in {model}, its figures in {figures} and {picture}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    if any(outcome.classifier is not None and outcome.classifier.report.interrupted for outcome in outcomes):
        raise typer.Exit(_STOPPED)


def _comparison(outcomes: list[_Outcome], best: _Outcome) -> "Table":
    """A row for each cell."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("cell", overflow="fold")
    for head in ("accuracy", "macro F1", "validation F1", "epochs", "time", "parameters"):
        table.add_column(head, justify="right")
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.goodness):
        one = outcome.classifier
        if one is None:
            table.add_row(_plain(outcome.cell), "failed")
            continue
        table.add_row(
            _plain(outcome.cell),
            f"{one.report.accuracy:.4f}",
            f"{one.report.macro_f1:.4f}",
            f"{outcome.goodness:.4f}",
            str(len(one.history.get("loss", ()))),
            f"{one.seconds:,.0f} s",
            f"{one.model.count_params():,}",
            style="bold" if outcome is best else "",
        )
    return table


def _result(task: _Task, best: _Outcome, outcomes: list[_Outcome]) -> dict[str, Any]:
    assert best.classifier is not None
    cells: dict[str, Any] = {}
    for outcome in outcomes:
        one = outcome.classifier
        if one is None:
            cells[outcome.cell] = {"problem": outcome.problem}
            continue
        checked = one.validation_report
        cells[outcome.cell] = {
            "report": one.report.to_dict(),
            "validation_report": None if checked is None else checked.to_dict(),
            "seconds": round(one.seconds, 3),
            "parameters": one.model.count_params(),
            "settings": one.settings.to_dict(),
            "history": one.history,
        }
    return {
        "file": str(task.file),
        "text": task.text,
        "label": task.labels if len(task.labels) > 1 else task.labels[0],
        "aspect": task.aspect,
        "notes": list(best.classifier.notes),
        "best": best.cell,
        "cells": cells,
    }


def _plain(text: str) -> str:
    """Text in which rich shall see no markup."""
    from rich.markup import escape

    return escape(text)
