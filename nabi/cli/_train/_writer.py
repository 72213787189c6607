"""`nabi train` on a text: a model that writes on."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nabi.cli._train._form import EVERYWHERE, HandMadeForm, Said, settings_of
from nabi.cli._train._outputs import (
    end_if_interrupted,
    make_model,
    say_where_it_goes_on,
    try_targets,
    write_figures,
)

if TYPE_CHECKING:
    from nabi.models import LanguageModel

__all__ = ["FORM"]

_SETTINGS = (
    "units", "layers", "unit", "vocabulary_size", "embedding_size", "tied", "dropout", "weight_drop",
    "batch_size", "window", "epochs", "learning_rate", "seed",
)  # fmt: skip
_SUFFIXES = (".txt", ".text")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_SAMPLE = {"characters": 300, "words": 60, "pieces": 100}


@dataclass(frozen=True)
class _Task:
    """What the command line says."""

    file: Path
    lines: bool
    encoding: str
    cells: list[str]
    out: Path | None
    settings: dict[str, Any]
    """Arguments of `LanguageModel` besides the cell; None where nothing was said."""


def _is_meant(said: Said) -> bool:
    """Whether the file is a text by its name."""
    name: str = said["file"].name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return name.endswith(_SUFFIXES)


def _train(said: Said) -> None:
    settings = settings_of(said, _SETTINGS)
    if settings["unit"] == "auto":
        settings["unit"] = "characters"
    task = _Task(
        said["file"], said["lines"], said["encoding"], said["cell"] or ["lstm"], said["out"], settings
    )
    _train_model(task, said)


FORM = HandMadeForm(
    "a text to write on from",
    "nabi train FILE.txt",
    "FILE: .txt, also compressed; with --lines each line is a text of its own",
    EVERYWHERE | {"lines", "encoding"} | set(_SETTINGS),
    _is_meant,
    _train,
)


def _train_model(task: _Task, said: Said) -> None:
    """Train on the text, show how good it is and what it writes, save it."""
    from nabi.training import on_threads

    path = task.out or Path(task.file.name.split(".")[0] + ".nabi")
    model_path, figures, checkpoint = try_targets(
        path, ".json", ".training", said=said, read={"the text": task.file}
    )
    model = _model(task)
    say_where_it_goes_on(checkpoint)
    with on_threads(said["threads"]):
        report = model.fit(task.file, lines=task.lines, encoding=task.encoding, checkpoint=checkpoint)
        model.save(model_path)
        sample = "".join(model.write(length=_SAMPLE[report.unit], seed=model.settings.seed))
    content = {
        "file": str(task.file),
        "report": report.to_dict(),
        "settings": model.settings.to_dict(),
        "history": model.history,
    }
    write_figures(figures, content)
    typer.echo(f"\n{report}\n\nIt writes:\n\n{sample}\n")
    typer.echo(f"The model is in {model_path}, its figures in {figures}")
    own = f" --cell {task.cells[0]}" if ":" in task.cells[0] else ""
    typer.echo(f'It writes on with: nabi write {model_path}{own} --start "..."')
    end_if_interrupted(report.interrupted, checkpoint)


def _model(task: _Task) -> "LanguageModel":
    """The model, with a cell whose equations are tried out."""
    from nabi.models import LanguageModel

    given = {name: value for name, value in task.settings.items() if value is not None}
    model: LanguageModel = make_model(LanguageModel, task.cells, given, learnt="a text is")
    return model
