"""`nabi train` on a folder of recordings: a label for each, or the words that are spoken in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import typer

from nabi.cli._train._form import Said
from nabi.cli._train._given import given
from nabi.cli._train._outputs import draw_confusion, say_what_is_left_out
from nabi.cli._train._system import Figures, SystemForm
from nabi.models import SoundSettings, SpeechSettings

__all__ = ["SoundForm", "SpeechForm"]

_PANEL = "Recordings"
_PLACES = ("name", "folder")


class _RecordingsForm(SystemForm):
    """Recordings with what their names, folders or a table say of them."""

    data: ClassVar = {
        "label_from": given(
            str,
            help="Where the label of a recording is: name (the file name up to the first _ or -), folder, or "
            "a table with the columns file and label, or file and text.",
            metavar="name|folder|TABLE",
            panel=_PANEL,
        ),
        "label_pattern": given(
            str,
            help="With --label-from name: a regular expression whose group is the label.",
            metavar="PATTERN",
            panel=_PANEL,
        ),
        "group_pattern": given(
            str,
            help="A regular expression whose group is the speaker in the file name; whole speakers are held "
            "out for validation.",
            metavar="PATTERN",
            panel=_PANEL,
        ),
    }

    def inputs(self, said: Said) -> Mapping[str, Path | None]:
        """Return the table and the folder."""
        table = said["label_from"]
        return {
            "a recording": said["file"],
            "the labels": Path(table) if table not in _PLACES and Path(table).exists() else None,
        }

    def read(self, said: Said, model: Any) -> tuple[Any, Any]:
        """Read the recordings, and say what was left out and what was changed."""
        from nabi.data import read_recordings

        found = read_recordings(
            said["file"],
            said["label_from"],
            label_pattern=said["label_pattern"],
            group_pattern=said["group_pattern"],
            rate=model.asked.sample_rate,
        )
        count = len(found)
        say_what_is_left_out(found.skipped, count, "recordings")
        for note in found.notes:
            typer.echo(note)
        whose = "" if found.groups is None else f" of {len(set(found.groups))} groups"
        seconds = sum(map(len, found.samples)) / found.rate
        typer.echo(f"{count:,} recordings{whose}, {seconds / 60:.1f} minutes, {found.rate:,} Hz")
        return model, found

    def fit(self, said: Said, model: Any, data: Any, how: Mapping[str, Any]) -> Any:
        """Train on the recordings."""
        return model.fit(data, **how)

    def figures(self, said: Said, model: Any, data: Any) -> Figures:
        """Return where the recordings were, and those that were left out."""
        return {
            "folder": str(said["file"]),
            "label_from": said["label_from"],
            "skipped": list(data.skipped),
            "notes": list(data.notes),
        }


class SoundForm(_RecordingsForm):
    """Recordings with a label each."""

    name, short = "a folder of recordings with labels", "sound"
    usage = "nabi train FOLDER --label-from name|folder|TABLE"
    what = (
        "FOLDER: .wav files (.flac, .ogg and .mp3 with the package soundfile); the labels are in their "
        "names, their subfolders, or a table with the columns file and label"
    )
    settings, model, learnt = SoundSettings, "SoundClassifier", "recordings are"
    beside = ((".png", "the confusion matrix"),)

    def is_meant(self, said: Said) -> bool:
        """Whether it is said where labels are."""
        return said["label_from"] is not None

    def try_out(
        self, said: Said, model: Any, data: Any, beside: Sequence[Path]
    ) -> tuple[str, dict[str, Any]]:
        """Draw the confusion matrix."""
        draw_confusion(model, beside[0])
        return "", {}


class SpeechForm(_RecordingsForm):
    """Recordings of several words each, or of single ones that are joined to strings."""

    name, short = "a folder of recordings with texts", "speech"
    usage = "nabi train FOLDER --label-from TABLE, or --label-from name|folder --joined NUMBER"
    what = (
        "FOLDER: sound files; TABLE: file and text of each. With --joined, recordings of single words are "
        "joined to strings"
    )
    settings, model, learnt = SpeechSettings, "SpeechRecognizer", "recordings are"

    def is_meant(self, said: Said) -> bool:
        """Whether there are texts, or strings are wanted."""
        if said["label_from"] is None:
            return False
        return said["joined"] is not None or _has_texts(said["label_from"])


def _has_texts(place: str) -> bool:
    """Whether a table has texts; whoever reads it says what else is wrong with it."""
    from nabi.data import table_columns
    from nabi.errors import NabiError

    if place in _PLACES:
        return False
    try:
        names = table_columns(place)
    except NabiError:
        return False
    return not {"label", "class"} & set(names) and bool({"text", "transcript"} & set(names))
