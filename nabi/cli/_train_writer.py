"""`nabi train` on a text: a model that writes on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nabi.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from nabi.models import LanguageModel

__all__ = ["WriterTask", "is_text", "train_writer"]

_STOPPED = 130
_SUFFIXES = (".txt", ".text")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_SAMPLE = {"characters": 300, "words": 60, "pieces": 100}


@dataclass(frozen=True)
class WriterTask:
    """What the command line says."""

    file: Path
    lines: bool
    encoding: str
    cells: list[str]
    out: Path | None
    settings: dict[str, Any]
    """Arguments of `LanguageModel` besides the cell; None where nothing was said."""


def is_text(file: Path) -> bool:
    """Whether a file is a text by its name."""
    name = file.name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return name.endswith(_SUFFIXES)


def train_writer(task: WriterTask, threads: int | None) -> None:
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


def _targets(task: WriterTask) -> tuple[Path, Path, Path]:
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


def _model(task: WriterTask) -> "LanguageModel":
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
