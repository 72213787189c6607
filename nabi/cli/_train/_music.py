"""`nabi train` on a folder of MIDI files: a model that composes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from nabi.cli._terminal import make_console
from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._system import Figures, SystemForm
from nabi.cli._uses import quoted
from nabi.models import NoteSettings

if TYPE_CHECKING:
    from nabi.data import MidiFolder

__all__ = ["MusicForm"]

# Skipped files that are named; of more it is said how many there are.
_NAMED = 20


class MusicForm(SystemForm):
    """Music to compose from."""

    name, short = "music to compose from", "music"
    usage = "nabi train FOLDER"
    what = "FOLDER: MIDI files (.mid, .midi), also in subfolders, whose names become labels"
    settings, model, learnt = NoteSettings, "NoteModel", "music is"
    data: ClassVar = {
        "label_folders": given(
            bool,
            "--label-folders/--no-labels",
            help="Use the name of a MIDI file's folder as its label.",
            show_default="where all lie in some",
            panel="Folder of MIDI files",
        ),
    }

    def is_meant(self, said: Said) -> bool:
        """Whether it is a folder with MIDI files."""
        from nabi.data import midi_files

        folder: Path = said["file"]
        return folder.is_dir() and bool(midi_files(folder))

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the folder."""
        return {"the music": said["file"]}

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the files, and say what was found; the model has frames as long as suit them."""
        from nabi.data import read_midi_folder

        with make_console(stderr=True).status(f"reading the MIDI files of {said['file']}"):
            folder = read_midi_folder(said["file"], said["steps_per_beat"], labels=said["label_folders"])
        _describe(folder)
        return self.make(said, steps_per_beat=folder.steps_per_beat), folder

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the pieces."""
        return model.fit(data.pieces, **how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return where the music was, what was skipped, and the labels."""
        return {
            "folder": str(said["file"]),
            "skipped": {str(path): why for path, why in data.skipped},
            "labels": list(model.labels),
        }

    def next_command(self, model: Any, path: Path, own: Sequence[str]) -> str:
        """Say how it composes, and what kind of music."""
        label = ["--label", quoted(str(model.labels[0]))] if model.labels else []
        return super().next_command(model, path, [*own, *label, "-n", "16"])


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
