"""`nabi train` on pairs of texts: a model that translates, or answers."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nabi.cli._train._form import EVERYWHERE, HandMadeForm, Said, columns_of, settings_of
from nabi.cli._train._outputs import (
    end_if_interrupted,
    make_model,
    say_where_it_goes_on,
    try_targets,
    write_figures,
)
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.models import Translator

__all__ = ["FORM"]

Part = tuple[list[str], list[str]]

_SETTINGS = (
    "units", "layers", "vocabulary_size", "embedding_size", "bidirectional", "attention", "input_feeding",
    "dropout", "label_smoothing", "batch_size", "epochs", "patience", "learning_rate", "seed",
)  # fmt: skip
_OPTIONS = {"source", "target", "validation", "test", "encoding", "separator", "quotes"}
_SHARE, _MOST = 0.1, 1000  # of the pairs for validation and for the test, each, and how many at most
_BEAM = 5
_SAMPLES = 5


@dataclass(frozen=True)
class _Task:
    """What the command line says."""

    file: Path
    source: int | str
    target: int | str
    validation: Path | None
    test: Path | None
    table: dict[str, Any]
    """How tables are read."""
    cells: list[str]
    out: Path | None
    settings: dict[str, Any]
    """Arguments of `Translator` besides the cell, as far as something was said."""


@dataclass(frozen=True)
class _Parts:
    """Sources and targets to learn from, to stop by, and to report on."""

    training: Part
    validation: Part
    test: Part
    notes: list[str]
    """What was left out."""


def _is_meant(said: Said) -> bool:
    return said["source"] is not None or said["target"] is not None


def _train(said: Said) -> None:
    for name, other in (("source", "target"), ("target", "source")):
        if said[name] is None:
            raise ArgumentError(
                f"--{name}: the name or number of a column is expected beside --{other}; {columns_of(said)}"
            )
    settings = {name: value for name, value in settings_of(said, _SETTINGS).items() if value is not None}
    if settings.get("attention") == "none":
        settings["attention"] = None
    task = _Task(
        file=said["file"],
        source=_column(said["source"]),
        target=_column(said["target"]),
        validation=said["validation"],
        test=said["test"],
        table={"encoding": said["encoding"], "separator": said["separator"], "quoted": said["quotes"]},
        cells=said["cell"] or ["gru"],
        out=said["out"],
        settings=settings,
    )
    _train_translator(task, said)


FORM = HandMadeForm(
    "pairs of texts: sentences and translations, questions and answers",
    "nabi train FILE --source COLUMN --target COLUMN",
    "FILE: a table as above; numbers from 0 are columns of a table without a header",
    EVERYWHERE | _OPTIONS | set(_SETTINGS),
    _is_meant,
    _train,
)


def _column(said: str) -> int | str:
    """A number says the place of a column, anything else its name."""
    return int(said) if said.isdecimal() else said


def _train_translator(task: _Task, said: Said) -> None:
    """Train on the pairs, show how good the model is and what it says, save it."""
    from nabi.recipes import score
    from nabi.training import on_threads

    path = task.out or Path(task.file.name.split(".")[0] + ".nabi")
    read = {"the data": task.file, "--validation": task.validation, "--test": task.test}
    model_path, figures, checkpoint = try_targets(path, ".json", ".training", said=said, read=read)
    translator = _translator(task)
    parts = _read(task)
    for note in parts.notes:
        typer.echo(f"note: {note}")
    sizes = [len(part[0]) for part in (parts.training, parts.validation, parts.test)]
    typer.echo("{:,} pairs to train on, {:,} to stop by, {:,} to test on".format(*sizes))
    say_where_it_goes_on(checkpoint)
    with on_threads(said["threads"]):
        report = translator.fit(*parts.training, validation=parts.validation, checkpoint=checkpoint)
        translator.save(model_path)
        written = [found.text for found in translator.translate(parts.test[0], beam=_BEAM)]
    scores = score(written, parts.test[1])
    rows = list(zip(*parts.test, written, strict=True))
    # Not the first ones: tables are often sorted by length.
    samples = random.Random(translator.settings.seed).sample(rows, min(_SAMPLES, len(rows)))
    content = {
        "file": str(task.file),
        "source": task.source,
        "target": task.target,
        "notes": parts.notes,
        "report": report.to_dict(),
        "test": {"pairs": sizes[2], "beam": _BEAM, **scores.to_dict()},
        "samples": [dict(zip(("source", "reference", "said"), row, strict=True)) for row in samples],
        "settings": translator.settings.to_dict(),
        "history": translator.history,
    }
    write_figures(figures, content)
    typer.echo(f"\n{report}\ntest, {sizes[2]:,} pairs, beam {_BEAM}:\n{scores}\n")
    for source, reference, text in samples:
        typer.echo(f"{source}\n  says:     {text}\n  expected: {reference}")
    typer.echo(f"\nThe model is in {model_path}, its figures in {figures}")
    own = f" --cell {task.cells[0]}" if ":" in task.cells[0] else ""
    typer.echo(f'It translates with: nabi translate {model_path}{own} "..."')
    end_if_interrupted(report.interrupted, checkpoint)


def _translator(task: _Task) -> "Translator":
    """The model, with a cell whose equations are tried out."""
    from nabi.models import Translator

    model: Translator = make_model(Translator, task.cells, task.settings, learnt="pairs are")
    return model


def _read(task: _Task) -> _Parts:
    """The pairs; where no file says so, a tenth each is held out, with no source in two parts."""
    from nabi.data import apart, random_order, read_pairs

    notes, found = [], []
    for path in (task.file, task.validation, task.test):
        pairs = None if path is None else read_pairs(path, task.source, task.target, **task.table)
        if pairs is not None and pairs.note:
            notes.append(f"{path}: {pairs.note}")
        found.append(None if pairs is None else (pairs.sources, pairs.targets))
    training, validation, test = found
    assert training is not None
    wanted = [given is None for given in (validation, test)]
    count = len(training[0])
    share = max(min(_SHARE, _MOST / count), 1 / count)
    order = random_order(task.settings["seed"])
    *held_out, kept = apart(training, [share] * sum(wanted), order, targets_too=False)
    if not all(part[0] for part in (*held_out, kept)):
        raise ArgumentError(
            f"{task.file}: {count:,} pairs with too few different sources, of which some are to be held out; "
            "name tables of others with --validation and --test"
        )
    parts = iter(held_out)
    return _Parts(kept, validation or next(parts), test or next(parts), notes)
