"""`nabi train` on a table of texts and labels."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from nabi.cli._messages import in_words_of_options
from nabi.cli._terminal import make_console
from nabi.cli._train._folders import is_of_labelled_texts
from nabi.cli._train._form import Said, columns_of
from nabi.cli._train._given import given
from nabi.cli._train._logs import Logs, Trained
from nabi.cli._train._options import TABLE
from nabi.cli._train._outputs import say_where_it_goes_on, write_figures
from nabi.cli._train._system import DataForm
from nabi.cli._uses import quoted, suggestion
from nabi.errors import ArgumentError, NotFiniteError
from nabi.models import TextSettings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nabi.models import TextClassifier

__all__ = ["LabelsForm"]

_NAMED = 5  # labels in a note


class LabelsForm(DataForm):
    """A table of texts and labels. Several cells can be given, which are then compared."""

    name, short = "a table of texts and labels", "labels"
    usage = "nabi train FILE --text COLUMN --label COLUMN, or nabi train FOLDER --label-from folder"
    what = (
        "FILE: .csv, .tsv, .jsonl, .json, .parquet, .xlsx, all but the last two may be compressed; FOLDER: a "
        "folder of texts for each label, also as .zip"
    )
    settings = TextSettings
    # --label-from belongs to recordings, too.
    shared = frozenset({"validation", "test", "encoding", "separator", "quotes", "header", "label_from"})
    data: ClassVar = {
        "text": given(str, help="Text column.", metavar="COLUMN", panel=TABLE),
        "label": given(
            list[str],
            help="Label column; repeat it for several columns of 0 and 1.",
            metavar="COLUMN",
            panel=TABLE,
        ),
        "aspect": given(
            str, help="Column with the aspect to judge a text by.", metavar="COLUMN", panel=TABLE
        ),
        "balanced": given(
            bool,
            "--balanced/--not-balanced",
            help="Weight rare labels as much as frequent ones in training; or leave decisions as they are.",
            show_default="decisions are moved where a label is rare",
            panel=TABLE,
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether a column of texts or of labels is named, or texts lie in folders of labels."""
        return said["text"] is not None or bool(said["label"]) or is_of_labelled_texts(said)

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the tables."""
        return {"the data": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def outputs(self, said: Said) -> list[Path]:
        """Return the model, its figures, and the picture of its confusions."""
        path = self.model_path(said)
        cells = said["cell"] or [self.settings.cell]
        return [path, path.with_suffix(".json"), path.with_suffix(".png"), *_checkpoints(path, cells)]

    def train(self, said: Said, logs: Logs) -> Trained | None:
        """Train each cell on the same rows, show how good they are, save the best."""
        from nabi.models import read_text_parts
        from nabi.training import is_first_worker, on_threads

        if not is_of_labelled_texts(said) and (said["text"] is None or not said["label"]):
            missing = "--text" if said["text"] is None else "--label"
            raise ArgumentError(f"{missing}: expected the name of a column, got none; {columns_of(said)}")
        console = make_console()
        targets = self.tried_outputs(said)
        settings = self.said_settings(said)
        if said["balanced"] is not None:
            settings["class_weight"] = "balanced" if said["balanced"] else None
        classifiers = _classifiers(said["cell"] or [self.settings.cell], settings)
        parts = read_text_parts(
            said["file"],
            text=said["text"],
            label=said["label"] or None,
            aspect=said["aspect"],
            validation=said["validation"],
            test=said["test"],
            encoding=said["encoding"],
            separator=said["separator"],
            quoted=said["quotes"],
            header=said["header"],
            label_separator=said["label_separator"],
            seed=classifiers[0][1].asked.seed,
        )
        options = {name: f"--{name.replace('_', '-')}" for name in said}
        for note in (in_words_of_options(one, options, ()) for one in parts.notes):
            console.print(f"[yellow]note[/yellow] {_plain(note)}", highlight=False, soft_wrap=True)
        sizes = [len(part or ()) for part in (parts.train, parts.validation, parts.test)]
        console.print(
            "{:,} rows to train on, {:,} to stop by, {:,} to test on".format(*sizes), highlight=False
        )
        begun = time.perf_counter()
        with on_threads(said["threads"]):
            outcomes = _train_all(classifiers, parts, console, targets[3:], said["minutes"], logs)
        took = time.perf_counter() - begun
        if not is_first_worker():
            return None
        best = _finish(said, console, targets, outcomes, sizes, took)
        assert best.classifier is not None
        return Trained(
            model=targets[0],
            figures=targets[1],
            kind=best.classifier._kind,
            cell=best.cell,
            epochs=len(best.classifier.history.get("loss", ())),
            seconds=round(time.perf_counter() - begun, 3),
            interrupted=any(one.interrupted for one in outcomes),
            report=best.classifier.report.to_dict(),
        )


@dataclass(frozen=True)
class _Outcome:
    """What became of one cell."""

    cell: str
    classifier: "TextClassifier | None"
    problem: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended its training."""
        return self.classifier is not None and self.classifier.report.interrupted

    @property
    def goodness(self) -> float:
        """What the best is chosen by: rows that were not trained on, nor are reported on where others are."""
        if self.classifier is None:
            return -1.0
        return (self.classifier.validation_report or self.classifier.report).macro_f1


def _classifiers(cells: Sequence[str], settings: dict[str, Any]) -> list[tuple[str, "TextClassifier"]]:
    """A classifier for each cell, whose equations are tried out."""
    from nabi.cli._cell import find_cell, find_class, trace
    from nabi.models import TextClassifier

    twice = next((cell for cell in cells if cells.count(cell) > 1), None)
    if twice is not None:
        raise ArgumentError(f"--cell: expected each cell once, got {twice} more than once")
    made = []
    for name in cells:
        kind = find_class(name)
        units = settings.get("units", TextSettings.USUAL_UNITS)
        width = settings.get("embedding_size", TextSettings.USUAL_EMBEDDING_SIZE)
        trace(find_cell(name, units, inputs=width), width)
        made.append((name, TextClassifier(kind if ":" in name else name, **settings)))
    return made


def _checkpoints(model: Path, cells: Sequence[str]) -> list[Path]:
    """Return the file that keeps where training stands, for each cell."""
    suffixes = (
        [".training"] if len(cells) == 1 else [f".{number + 1}.training" for number in range(len(cells))]
    )
    return [model.with_suffix(suffix) for suffix in suffixes]


def _train_all(
    classifiers: list[tuple[str, "TextClassifier"]],
    parts: Any,
    console: "Console",
    checkpoints: Sequence[Path],
    minutes: float | None,
    logs: Logs,
) -> list[_Outcome]:
    """Train one after the other; of several, one that fails does not end the comparison.

    Each has an even share of the time.
    """
    outcomes: list[_Outcome] = []
    share = None if minutes is None else minutes / len(classifiers)
    for (cell, classifier), checkpoint in zip(classifiers, checkpoints, strict=True):
        if len(classifiers) > 1:
            console.print(f"\n{_plain(cell)}", style="bold", highlight=False)
        say_where_it_goes_on(checkpoint)
        try:
            logging = logs.callbacks(cell if len(classifiers) > 1 else None)
            report = classifier.fit_parts(parts, checkpoint=checkpoint, minutes=share, callbacks=logging)
        except NotFiniteError as problem:
            if len(classifiers) == 1:
                raise
            console.print(_plain(str(problem)), highlight=False)
            outcomes.append(_Outcome(cell, None, str(problem)))
            continue
        outcomes.append(_Outcome(cell, classifier))
        if report.interrupted:
            console.print("Stopped: saving what has been learnt.")
            if checkpoint.exists():
                console.print(
                    f"The same command goes on from {_plain(str(checkpoint))}",
                    highlight=False,
                    soft_wrap=True,
                )
            break
    return outcomes


def _finish(
    said: Said,
    console: "Console",
    targets: list[Path],
    outcomes: list[_Outcome],
    sizes: list[int],
    took: float,
) -> _Outcome:
    """Save the best, and show how good it is."""
    from nabi.training import duration

    best = max(outcomes, key=lambda outcome: outcome.goodness)
    classifier = best.classifier
    if classifier is None:
        raise NotFiniteError(f"none of the cells could be trained: {outcomes[0].problem}")
    model, figures, picture = targets[:3]
    classifier.save(model)
    classifier.report.picture(picture)
    write_figures(figures, _result(said, best, outcomes) | {"rows": sizes})
    console.print()
    if len(outcomes) > 1:
        console.print(_comparison(outcomes, best))
        console.print(f"\nthe best on the validation rows, {_plain(best.cell)}:", highlight=False)
    console.print(classifier.report)
    never = _never_given(classifier.report)
    if never:
        console.print(f"\n[yellow]note[/yellow] {_plain(never)}", highlight=False, soft_wrap=True)
    console.print(f"\nTraining and evaluation took {duration(took)}.", highlight=False)
    console.print(
        f"\nThe model is in {model}, its figures in {figures}, the confusion matrix in {picture}"
        if classifier.report.confusion is not None
        else f"\nThe model is in {model}, its figures in {figures} and {picture}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    own = ["--cell", quoted(best.cell)] if ":" in best.cell else []
    typer.echo(suggestion(classifier._kind, model, *own))
    return best


def _never_given(report: Any) -> str:
    """Say which labels were given to no test row, if there are such."""
    if report.confusion is None:
        return ""
    given = [sum(column) for column in zip(*report.confusion, strict=True)]
    names = [one.label for one, count in zip(report.by_label, given, strict=True) if one.rows and not count]
    if not names:
        return ""
    listed = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
    return (
        f"given to no test row: {listed}. --balanced counts rare labels as much as frequent ones in "
        "training; more rows of them help most"
    )


def _comparison(outcomes: list[_Outcome], best: _Outcome) -> "Table":
    """A row for each cell."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("cell", overflow="fold")
    for head in ("accuracy", "macro F1", "validation F1", "epochs", "time", "parameters"):
        table.add_column(head, justify="right", no_wrap=True)
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


def _result(said: Said, best: _Outcome, outcomes: list[_Outcome]) -> dict[str, Any]:
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
            "seconds_of_words": None if one.simple is None else one.simple.seconds,
            "decisions": None if one.decisions is None else one.decisions.to_dict(),
            "settings": one.settings.to_dict(),
            "history": one.history,
        }
    return {
        "file": str(said["file"]),
        "text": said["text"],
        "label": None if not said["label"] else said["label"] if len(said["label"]) > 1 else said["label"][0],
        "aspect": said["aspect"],
        "notes": list(best.classifier.notes),
        "best": best.cell,
        "cells": cells,
    }


def _plain(text: str) -> str:
    """Text in which rich shall see no markup."""
    from rich.markup import escape

    return escape(text)
