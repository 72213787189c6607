"""What `nabi train` does alike for tables of texts, whatever is learnt from them."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from nabi.cli._messages import in_words_of_options
from nabi.cli._terminal import make_console
from nabi.cli._train._form import Said
from nabi.cli._train._logs import Logs, Trained
from nabi.cli._train._outputs import SECONDS_TO_DRAW, say_where_it_goes_on, write_figures
from nabi.cli._train._system import DataForm
from nabi.cli._uses import quoted, suggestion
from nabi.errors import ArgumentError, NotFiniteError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nabi.training import Stopwatch

__all__ = ["TextsForm", "plain"]


class TextsForm(DataForm):
    """A table of texts. Several cells can be given, which are then compared."""

    model: ClassVar[str]
    """The name of the system in `nabi.models`."""
    figures: ClassVar[tuple[tuple[str, str], ...]]
    """Figures of a comparison of cells: the head of the column, and the name in the report."""
    chosen_by: ClassVar[tuple[str, str]]
    """The figure of the validation rows that the best is chosen by, likewise."""
    lower_is_better: ClassVar[bool] = False
    """Whether that figure is an error."""
    written: ClassVar[str] = ".4f"
    """The format of figures."""

    # What a system says -------------------------------------------------------------------------------------

    @abstractmethod
    def own_settings(self, said: Said) -> dict[str, Any]:
        """Return the settings that the command line says."""

    @abstractmethod
    def read(self, said: Said, seed: int) -> tuple[Any, list[str]]:
        """Return samples to learn from, to stop by and to test on, and notes about them."""

    @abstractmethod
    def columns(self, said: Said) -> dict[str, Any]:
        """Return the columns of the table, for the file of the figures."""

    @abstractmethod
    def pictured(self, report: Any) -> str:
        """Return what the picture shows, "the confusion matrix"; empty for the figures."""

    @abstractmethod
    def beside_network(self, model: Any) -> dict[str, Any]:
        """Return what the file of the figures holds of what decides beside the network."""

    def remarks(self, report: Any, model: Any) -> list[str]:
        """Return what is to be said of the figures."""
        return []

    def reading(self, said: Said, seed: int) -> dict[str, Any]:
        """Return how the tables are to be read, and what is held out of them."""
        from nabi.models import HeldOut, TableFormat

        return {
            "held_out": HeldOut(said["validation"], said["test"], seed=seed),
            "table": TableFormat(said["encoding"], said["separator"], said["quotes"], said["header"]),
        }

    # The way ------------------------------------------------------------------------------------------------

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the tables."""
        return {"the data": said["file"], "--validation": said["validation"], "--test": said["test"]}

    def outputs(self, said: Said) -> list[Path]:
        """Return the model, its figures, its picture, and a checkpoint for each cell."""
        path = self.model_path(said)
        cells = said["cell"] or [self.settings.cell]
        return [path, path.with_suffix(".json"), path.with_suffix(".png"), *_checkpoints(path, cells)]

    def train(self, said: Said, logs: Logs) -> Trained | None:
        """Train each cell on the same rows, show how good they are, save the best."""
        from nabi.training import Stopwatch, is_first_worker, on_threads

        clock = Stopwatch()
        console = make_console()
        targets = self.tried_outputs(said)
        cells = self._made(said)
        parts, notes = self.read(said, cells[0][1].asked.seed)
        options = {name: f"--{name.replace('_', '-')}" for name in said}
        for note in notes:
            self._note(console, in_words_of_options(note, options, ()))
        sizes = [len(part or ()) for part in (parts.train, parts.validation, parts.test)]
        console.print(
            "{:,} rows to train on, {:,} to stop by, {:,} to test on".format(*sizes), highlight=False
        )
        with on_threads(said["threads"]):
            outcomes = _train_all(cells, parts, console, targets[3:], said["minutes"], logs, clock)
        if not is_first_worker():
            return None
        best = self._finish(said, console, targets, outcomes, sizes, clock)
        assert best.model is not None
        return Trained(
            model=targets[0],
            figures=targets[1],
            kind=best.model._kind,
            cell=best.cell,
            epochs=len(best.model.history.get("loss", ())),
            seconds=round(clock.seconds, 3),
            interrupted=any(one.interrupted for one in outcomes),
            report=best.model.report.to_dict(),
        )

    def _made(self, said: Said) -> list[tuple[str, Any]]:
        """Return a model for each cell, whose equations are tried out."""
        from nabi import models
        from nabi.cli._cell import find_cell, find_class, trace

        cells, settings = said["cell"] or [self.settings.cell], self.own_settings(said)
        twice = next((cell for cell in cells if cells.count(cell) > 1), None)
        if twice is not None:
            raise ArgumentError(f"--cell: expected each cell once, got {twice} more than once")
        made = []
        for name in cells:
            kind = find_class(name)
            units = settings.get("units", self.settings.USUAL_UNITS)
            width = settings.get("embedding_size", self.settings.USUAL_EMBEDDING_SIZE)
            trace(find_cell(name, units, inputs=width), width)
            made.append((name, getattr(models, self.model)(kind if ":" in name else name, **settings)))
        return made

    def _finish(
        self,
        said: Said,
        console: "Console",
        targets: list[Path],
        outcomes: list["_Outcome"],
        sizes: list[int],
        clock: "Stopwatch",
    ) -> "_Outcome":
        """Save the best, and show how good it is."""
        best = max(outcomes, key=self._goodness)
        found = best.model
        if found is None:
            raise NotFiniteError(f"none of the cells could be trained: {outcomes[0].problem}")
        model, figures, picture = targets[:3]
        found.save(model)
        found.report.picture(picture)
        write_figures(figures, self._result(said, best, outcomes) | {"rows": sizes})
        console.print()
        if len(outcomes) > 1:
            console.print(self._comparison(outcomes, best))
            console.print(f"\nthe best on the validation rows, {plain(best.cell)}:", highlight=False)
        console.print(found.report)
        for remark in self.remarks(found.report, found):
            console.print()
            self._note(console, remark)
        console.print(f"\n{clock}", highlight=False)
        pictured = self.pictured(found.report)
        console.print(
            f"\nThe model is in {model}, its figures in {figures}, {pictured} in {picture}"
            if pictured
            else f"\nThe model is in {model}, its figures in {figures} and {picture}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
        own = ["--cell", quoted(best.cell)] if ":" in best.cell else []
        data = None if found.other_columns is None else "--file TABLE.csv"
        typer.echo(suggestion(found._kind, model, *own, data=data))
        return best

    def _note(self, console: "Console", note: str) -> None:
        console.print(f"[yellow]note[/yellow] {plain(note)}", highlight=False, soft_wrap=True)

    def _goodness(self, outcome: "_Outcome") -> float:
        """What the best is chosen by: rows that were not trained on, nor are reported on where others are."""
        if outcome.model is None:
            return -math.inf
        figure = float(getattr(outcome.checked, self.chosen_by[1]))
        return -figure if self.lower_is_better else figure

    def _comparison(self, outcomes: list["_Outcome"], best: "_Outcome") -> "Table":
        """A row for each cell."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        table.add_column("cell", overflow="fold")
        chosen_head, chosen_by = self.chosen_by
        heads = [head for head, _ in self.figures]
        for head in (*heads, f"validation {chosen_head}", "epochs", "time", "parameters"):
            table.add_column(head, justify="right", no_wrap=True)
        for outcome in sorted(outcomes, key=self._goodness, reverse=True):
            one = outcome.model
            if one is None:
                table.add_row(plain(outcome.cell), "failed")
                continue
            table.add_row(
                plain(outcome.cell),
                *(f"{getattr(one.report, name):{self.written}}" for _, name in self.figures),
                f"{getattr(outcome.checked, chosen_by):{self.written}}",
                str(len(one.history.get("loss", ()))),
                f"{one.seconds:,.0f} s",
                f"{one.model.count_params():,}",
                style="bold" if outcome is best else "",
            )
        return table

    def _result(self, said: Said, best: "_Outcome", outcomes: list["_Outcome"]) -> dict[str, Any]:
        assert best.model is not None
        cells: dict[str, Any] = {}
        for outcome in outcomes:
            one = outcome.model
            if one is None:
                cells[outcome.cell] = {"problem": outcome.problem}
                continue
            checked = one.validation_report
            cells[outcome.cell] = {
                "report": one.report.to_dict(),
                "validation_report": None if checked is None else checked.to_dict(),
                "seconds": round(one.seconds, 3),
                "parameters": one.model.count_params(),
                **self.beside_network(one),
                "settings": one.settings.to_dict(),
                "history": one.history,
            }
        return {
            "file": str(said["file"]),
            **self.columns(said),
            "notes": list(best.model.notes),
            "best": best.cell,
            "cells": cells,
        }


@dataclass(frozen=True)
class _Outcome:
    """What became of one cell."""

    cell: str
    model: Any
    """None where it could not be trained."""
    problem: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended its training."""
        return self.model is not None and self.model.report.interrupted

    @property
    def checked(self) -> Any:
        """The report on the validation rows, or on all that were held out."""
        return self.model.validation_report or self.model.report


def _checkpoints(model: Path, cells: Sequence[str]) -> list[Path]:
    """Return the file that keeps where training stands, for each cell."""
    suffixes = (
        [".training"] if len(cells) == 1 else [f".{number + 1}.training" for number in range(len(cells))]
    )
    return [model.with_suffix(suffix) for suffix in suffixes]


def _train_all(
    cells: list[tuple[str, Any]],
    parts: Any,
    console: "Console",
    checkpoints: Sequence[Path],
    minutes: float | None,
    logs: Logs,
    clock: "Stopwatch",
) -> list[_Outcome]:
    """Train one after the other; of several, one that fails does not end the comparison.

    Each has an even share of the time.
    """
    from nabi.training import Afterwards

    outcomes: list[_Outcome] = []
    share = None if minutes is None else minutes / len(cells)
    for (cell, model), checkpoint in zip(cells, checkpoints, strict=True):
        if len(cells) > 1:
            console.print(f"\n{plain(cell)}", style="bold", highlight=False)
        say_where_it_goes_on(checkpoint)
        try:
            drawn = Afterwards(seconds=SECONDS_TO_DRAW / len(cells))
            logging = [*logs.callbacks(cell if len(cells) > 1 else None), clock, drawn]
            report = model.fit_parts(parts, checkpoint=checkpoint, minutes=share, callbacks=logging)
        except NotFiniteError as problem:
            if len(cells) == 1:
                raise
            console.print(plain(str(problem)), highlight=False)
            outcomes.append(_Outcome(cell, None, str(problem)))
            continue
        outcomes.append(_Outcome(cell, model))
        if report.interrupted:
            console.print("Stopped: saving what has been learnt.")
            if checkpoint.exists():
                console.print(
                    f"The same command goes on from {plain(str(checkpoint))}",
                    highlight=False,
                    soft_wrap=True,
                )
            break
    return outcomes


def plain(text: str) -> str:
    """Return text in which rich shall see no markup."""
    from rich.markup import escape

    return escape(text)
