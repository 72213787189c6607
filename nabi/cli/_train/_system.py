"""How `nabi train` trains a system, whichever it is: one way from the command line to a model file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import typer

from nabi.cli._terminal import make_console
from nabi.cli._texts import STANDARD_INPUT
from nabi.cli._train._form import Said
from nabi.cli._train._given import Given
from nabi.cli._train._logs import Logs, Trained
from nabi.cli._train._options import option_names
from nabi.cli._train._outputs import (
    SECONDS_TO_DRAW,
    make_model,
    say_where_it_goes_on,
    write_figures,
)
from nabi.cli._uses import quoted, suggestion
from nabi.errors import ArgumentError

__all__ = ["DataForm", "Figures", "SystemForm"]

Figures = Mapping[str, Any]

_ALWAYS = frozenset({"file", "cell", "threads", "minutes", "log_dir", "log", "as_json", "out", "overwrite"})


class DataForm(ABC):
    """A kind of data whose system has a `Settings` class; see `Form` for what the command asks of it."""

    name: ClassVar[str]
    short: ClassVar[str]
    usage: ClassVar[str]
    what: ClassVar[str]
    settings: ClassVar[Any]
    """The `Settings` class of the system: its options are those of the command."""
    data: ClassVar[Mapping[str, Given]] = {}
    """Options that say where the data lies, which no other kind has."""
    shared: ClassVar[frozenset[str]] = frozenset()
    """Those that other kinds have too, such as "encoding"."""

    @property
    def options(self) -> frozenset[str]:
        """Arguments of `train` that mean something here."""
        return _ALWAYS | self.data.keys() | self.shared | set(option_names(self.settings))

    @abstractmethod
    def is_meant(self, said: Said) -> bool:
        """Whether it is what the command line says."""

    @abstractmethod
    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return files and folders that are learnt from, by what messages call them."""

    @abstractmethod
    def train(self, said: Said, logs: Logs) -> Trained | None:
        """Train a model, say how good it is, save it."""

    @abstractmethod
    def outputs(self, said: Said) -> list[Path]:
        """Return the files that are written: the model, and those beside it."""

    def tried_outputs(self, said: Said) -> list[Path]:
        """Return the files that are written, whose folder is tried out so that no training is lost to it."""
        from nabi.recipes import RunFolder

        outputs = self.outputs(said)
        RunFolder(outputs[0].parent)
        return outputs

    def said_settings(self, said: Said) -> dict[str, Any]:
        """Return the settings that the command line says, by name."""
        return _settings(said, self.settings)

    def model_path(self, said: Said) -> Path:
        """Return where the model is saved.

        Raises:
            ArgumentError: for data without a name, if it is not said.
        """
        if said["file"] == STANDARD_INPUT and said["out"] is None:
            raise ArgumentError(
                "--out: expected a name for the model of what comes from standard input, got none"
            )
        return said["out"] or Path(_stem(said["file"]) + ".nabi")


class SystemForm(DataForm):
    """A kind of data whose system is trained by `ResumableTraining`: all of them in the same way."""

    model: ClassVar[str]
    """The name of the system in `nabi.models`."""
    learnt: ClassVar[str]
    """Begins the message about several cells: "captions are"."""
    beside: ClassVar[Sequence[tuple[str, str]]] = ()
    """Files beside the model and its figures: suffix, and what is in it."""

    @abstractmethod
    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the data and say what there is to say of it; return the model, or another, and the data."""

    @abstractmethod
    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train the model; return its report. `how` are more arguments of its `fit`."""

    @abstractmethod
    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return what is written beside report, settings and history: names of files, what was left out."""

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Try the trained model; return a text to show after the report, and more figures."""
        return "", {}

    def try_out_takes(self, said: Said, data: Any) -> Callable[[Any], float] | None:
        """Return what says, with a model that still learns, how many seconds `try_out` takes.

        None where it takes no time to speak of.
        """
        return None

    def next_command(self, model: Any, path: Path, own: Sequence[str]) -> str:
        """Return what can be done with the model: "It captions pictures with: nabi caption ...".

        `own` is what the command needs for a custom cell.
        """
        return suggestion(type(model)._kind, path, *own)

    def outputs(self, said: Said) -> list[Path]:
        """Return the model, its figures, those beside it, and the checkpoint."""
        path = self.model_path(said)
        suffixes = [".json", *(suffix for suffix, _ in self.beside), ".training"]
        return [path, *map(path.with_suffix, suffixes)]

    # The way ------------------------------------------------------------------------------------------------

    def train(self, said: Said, logs: Logs) -> Trained | None:
        """Train on the data, show how good the model is, save it with its figures."""
        from nabi.training import Afterwards, Stopwatch, is_first_worker, on_threads

        clock = Stopwatch()
        model_path, figures, *beside, checkpoint = self.tried_outputs(said)
        model, data = self.read(said, self.make(said))
        say_where_it_goes_on(checkpoint)
        with on_threads(said["threads"]):
            takes = self.try_out_takes(said, data)
            drawn = SECONDS_TO_DRAW if any(one == ".png" for one, _ in self.beside) else 0.0
            heard = [*logs.callbacks(), clock, Afterwards(rehearsal=takes, seconds=drawn)]
            how = {"checkpoint": checkpoint, "minutes": said["minutes"], "callbacks": heard}
            report = self.fit(said, model, data, how)
            if not is_first_worker():
                return None
            model.save(model_path)
            text, more = self.try_out(said, model, data, beside)
        content = {
            **self.figures(said, model, data),
            "report": report.to_dict(),
            **more,
            "settings": model.settings.to_dict(),
            "history": model.history,
        }
        write_figures(figures, content)
        typer.echo()
        # Some reports are tables, which are as wide as the terminal; others are lines.
        if hasattr(report, "__rich_console__"):
            make_console().print(report)
        else:
            typer.echo(str(report))
        typer.echo(f"{text}\n\n{clock}")
        others = "".join(f", {what} in {one}" for (_, what), one in zip(self.beside, beside, strict=True))
        typer.echo(f"The model is in {model_path}, its figures in {figures}{others}")
        cell = (said["cell"] or [self.settings.cell])[0]
        own = ["--cell", quoted(cell)] if ":" in cell else []
        typer.echo(self.next_command(model, model_path, own))
        if report.interrupted:
            typer.echo(f"Stopped; the same command goes on from {checkpoint}")
        return Trained(
            model=model_path,
            figures=figures,
            kind=type(model)._kind,
            cell=cell,
            epochs=len(next(iter(model.history.values()), ())),
            seconds=round(clock.seconds, 3),
            interrupted=report.interrupted,
            report=report.to_dict(),
        )

    def make(self, said: Said, **chosen: Any) -> Any:
        """Make the model that the command line asks for, with a cell whose equations are tried out."""
        from nabi import models

        wanted = {**self.said_settings(said), **chosen}
        cells = said["cell"] or [self.settings.cell]
        return make_model(getattr(models, self.model), cells, wanted, learnt=self.learnt)


def _settings(said: Said, settings: Any) -> dict[str, Any]:
    """What was said of the settings of a system."""
    offered = option_names(settings)
    found = {}
    for one in fields(settings):
        if one.name not in offered:
            continue
        value = said.get(one.name)
        if value is None:
            value = one.metadata["option"].default
        if value is None:
            continue
        choices = one.metadata["check"].choices
        if value == "auto" and "auto" not in choices:
            continue
        found[one.name] = None if value == "none" and None in choices else value
    return found


def _stem(file: Path) -> str:
    """The name of a file up to its first dot, of a folder all of it."""
    return file.resolve().name if file.is_dir() else file.name.split(".")[0]
