"""`nabi train` on a text: a model that writes on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nabi.cli._train_form import EVERYWHERE, Form, Said, settings_of
from nabi.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from nabi.models import LanguageModel

__all__ = ["FORM"]

_STOPPED = 130
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
    _train_model(task, said["threads"])


FORM = Form(
    "a text to write on from",
    "nabi train FILE.txt",
    "FILE: .txt, also compressed; with --lines each line is a text of its own",
    EVERYWHERE | {"lines", "encoding"} | set(_SETTINGS),
    _is_meant,
    _train,
)


def _train_model(task: _Task, threads: int | None) -> None:
    """Train on the text, show how good it is and what it writes, save it."""
    from nabi.interchange import write_atomically
    from nabi.training import on_threads

    model_path, figures, checkpoint = _targets(task)
    model = _model(task)
    if checkpoint.exists():
        typer.echo(f"going on from {checkpoint}")
    with on_threads(threads):
        report = model.fit(task.file, lines=task.lines, encoding=task.encoding, checkpoint=checkpoint)
        model.save(model_path)
        sample = "".join(model.write(length=_SAMPLE[report.unit], seed=model.settings.seed))
    with write_atomically(figures, "w") as file:
        content = {
            "file": str(task.file),
            "report": report.to_dict(),
            "settings": model.settings.to_dict(),
            "history": model.history,
        }
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    typer.echo(f"\n{report}\n\nIt writes:\n\n{sample}\n")
    typer.echo(f"The model is in {model_path}, its figures in {figures}")
    own = f" --cell {task.cells[0]}" if ":" in task.cells[0] else ""
    typer.echo(f'It writes on with: nabi write {model_path}{own} --start "..."')
    if report.interrupted:
        typer.echo(f"Stopped; the same command goes on from {checkpoint}")
        raise typer.Exit(_STOPPED)


def _targets(task: _Task) -> tuple[Path, Path, Path]:
    """Model, figures and checkpoint, tried out beforehand, so that no training is lost to them."""
    from nabi.recipes._run_folder import RunFolder

    path = task.out or Path(task.file.name.split(".")[0] + ".nabi")
    RunFolder(path.parent)
    targets = path, path.with_suffix(".json"), path.with_suffix(".training")
    for target in targets:
        if target.is_dir():
            raise OutputError(f"out: cannot write {target}: it is a folder, a file name was expected")
        if target.resolve() == task.file.resolve():
            raise OutputError(f"out: {target} would replace the text; give another name")
    return targets


def _model(task: _Task) -> "LanguageModel":
    """The model, with a cell whose equations are tried out."""
    from nabi.cli._cell import find_cell, find_class, trace
    from nabi.models import LanguageModel

    if len(task.cells) > 1:
        raise ArgumentError(f"--cell: {len(task.cells)} were given; a text is learnt by one")
    name = task.cells[0]
    said = {name: value for name, value in task.settings.items() if value is not None}
    kind = find_class(name)
    trace(find_cell(name, said.get("units", 8)), 8)
    return LanguageModel(kind if ":" in name else name, **said)
