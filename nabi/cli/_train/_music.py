"""`nabi train` on a folder of MIDI files: a model that composes."""

import json
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
    from nabi.data import MidiFolder
    from nabi.models import NoteModel, NoteReport

__all__ = ["FORM"]

_SETTINGS = (
    "units", "layers", "embedding_size", "output", "transpose", "dropout", "weight_drop", "batch_size",
    "window", "epochs", "learning_rate", "seed",
)  # fmt: skip
# Skipped files that are named; of more it is said how many there are.
_NAMED = 20


def _is_meant(said: Said) -> bool:
    """Whether it is a folder with MIDI files."""
    from nabi.data import midi_files

    folder: Path = said["file"]
    return folder.is_dir() and bool(midi_files(folder))


def _train(said: Said) -> None:
    """Train on the music, show how good it is, save it."""
    from rich.console import Console

    from nabi.data import read_midi_folder
    from nabi.training import on_threads

    source: Path = said["file"]
    path = said["out"] or Path(source.resolve().name + ".nabi")
    model_path, figures, checkpoint = try_targets(
        path, ".json", ".training", said=said, read={"the music": source}
    )
    cells = said["cell"] or ["lstm"]
    _model(cells, {**settings_of(said, _SETTINGS), "steps_per_beat": said["steps_per_beat"]})
    with Console(stderr=True).status(f"reading the MIDI files of {source}"):
        folder = read_midi_folder(source, said["steps_per_beat"], labels=said["label_folders"])
    model = _model(cells, {**settings_of(said, _SETTINGS), "steps_per_beat": folder.steps_per_beat})
    _describe(folder)
    say_where_it_goes_on(checkpoint)
    with on_threads(said["threads"]):
        report = model.fit(folder.pieces, checkpoint=checkpoint)
    model.save(model_path)
    content = {
        "folder": str(source),
        "skipped": {str(path): why for path, why in folder.skipped},
        "labels": list(model.labels),
        "report": report.to_dict(),
        "settings": model.settings.to_dict(),
        "history": model.history,
    }
    write_figures(figures, content)
    _show(report, model, model_path, figures)
    if ":" in cells[0]:
        typer.echo(f"(with --cell {cells[0]})")
    end_if_interrupted(report.interrupted, checkpoint)


FORM = HandMadeForm(
    "music to compose from",
    "nabi train FOLDER",
    "FOLDER: MIDI files (.mid, .midi), also in folders in it, whose names are then labels",
    EVERYWHERE | {"label_folders", "steps_per_beat"} | set(_SETTINGS),
    _is_meant,
    _train,
)


def _describe(folder: "MidiFolder") -> None:
    """Say what was read, and what was not."""
    frames = sum(len(piece.frames) for piece in folder.pieces)
    typer.echo(f"{len(folder.pieces):,} pieces, {frames:,} frames; frames of a beat: {folder.steps_per_beat}")
    if folder.labels:
        counts = [sum(piece.label == label for piece in folder.pieces) for label in folder.labels]
        named = ", ".join(f"{label} ({count})" for label, count in zip(folder.labels, counts, strict=True))
        typer.echo(f"labels, the names of the folders: {named}")
    if folder.outside:
        typer.echo(f"{folder.outside:,} notes were left out: no piano has such keys")
    if folder.skipped:
        typer.echo(f"skipped, {len(folder.skipped):,} of all files:")
        for _, why in folder.skipped[:_NAMED]:
            typer.echo(f"  {why}")
        if len(folder.skipped) > _NAMED:
            typer.echo(f"  and {len(folder.skipped) - _NAMED:,} others, see the figures")


def _show(report: "NoteReport", model: "NoteModel", path: Path, figures: Path) -> None:
    typer.echo(f"\n{report}\n\nThe model is in {path}, its figures in {figures}")
    label = f" --label {json.dumps(str(model.labels[0]), ensure_ascii=False)}" if model.labels else ""
    typer.echo(f"It composes with: nabi compose {path}{label} -n 16")


def _model(cells: list[str], settings: dict[str, Any]) -> "NoteModel":
    """The model, with a cell whose equations are tried out."""
    from nabi.models import NoteModel

    said = {name: value for name, value in settings.items() if value is not None}
    model: NoteModel = make_model(NoteModel, cells, said, learnt="music is")
    return model
