"""All the music of a folder of MIDI files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nabi import _checks
from nabi._public import public
from nabi.data._music._midi_frames import MidiNotes, check_steps, read_notes
from nabi.data._tables._frames import Piece
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

__all__ = ["MidiFolder", "midi_files", "read_midi_folder"]

_SUFFIXES = (".mid", ".midi")
# Steps of a beat to choose from, and how many of the notes must begin at one.
_STEPS, _SHARE_AT_STEPS = (1, 2, 4), 0.9


class MidiFolder(NamedTuple):
    """The music of a folder."""

    pieces: tuple[Piece, ...]
    """In the order of the files' names."""
    skipped: tuple[tuple[Path, str], ...]
    """Files that could not be read or hold no notes, and why."""
    outside: int
    """Notes that were left out because a piano has no such key."""
    steps_per_beat: int
    """Frames of a crotchet."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the pieces, each once, sorted; none without labels."""
        return tuple(sorted({str(piece.label) for piece in self.pieces if piece.label is not None}))


@public
def midi_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files whose names end in .mid or .midi, in the folder and in those in it, sorted."""
    found = (path for path in _checks.path("folder", folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
    return sorted(path for path in found if path.is_file())


@public
def read_midi_folder(
    folder: str | os.PathLike[str], steps_per_beat: int | None = None, *, labels: bool | None = None
) -> MidiFolder:
    """Read all MIDI files of a folder, also those in folders in it, as `read_midi_frames` reads each.

    Files that are damaged or hold no notes are skipped.

    Args:
        folder: the folder.
        steps_per_beat: frames of a crotchet. None: the fewest of 1, 2 and 4 for which nine tenths of all
            notes begin with a frame; else 4.
        labels: whether the folder in which a file lies (the one directly in `folder`) is its label. None:
            they are labels where all files lie in such folders and there are several.

    Raises:
        MissingFileError: if there is no such folder.
        ArgumentError: if no piece is left; if labels are wanted and a file lies in no folder of its kind.

    >>> import pathlib, tempfile
    >>> from nabi.data import write_midi_frames
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for kind, pitch in (("high", 90), ("low", 30)):
    ...     (folder / kind).mkdir()
    ...     write_midi_frames(folder / kind / "note.mid", [[pitch]])
    >>> read_midi_folder(folder).pieces
    (Piece(frames=((90,),), label='high'), Piece(frames=((30,),), label='low'))
    """
    if steps_per_beat is not None:
        steps_per_beat = check_steps(steps_per_beat)
    place = _checks.path("folder", folder)
    if not place.is_dir():
        raise MissingFileError(f"folder: there is no folder {place}")
    files = midi_files(place)
    if not files:
        raise ArgumentError(f"folder: {place} has no files whose names end in .mid or .midi")
    inside = [path.relative_to(place).parts for path in files]
    if labels is None:
        labels = all(len(parts) > 1 for parts in inside) and len({parts[0] for parts in inside}) > 1
    if labels:
        loose = [path for path, parts in zip(files, inside, strict=True) if len(parts) == 1]
        if loose:
            raise ArgumentError(
                f"labels: {loose[0]} lies in no folder whose name could be its label"
                + (f"; nor do {len(loose) - 1} others" if len(loose) > 1 else "")
            )
    skipped: list[tuple[Path, str]] = []
    found: list[tuple[MidiNotes, str | None]] = []
    for path, parts in zip(files, inside, strict=True):
        try:
            found.append((read_notes(path), parts[0] if labels else None))
        except (FileFormatError, MissingFileError) as problem:
            skipped.append((path, _why(problem)))
    steps = steps_per_beat or _choose([notes for notes, _ in found])
    pieces, outside = [], 0
    for notes, label in found:
        try:
            pieces.append(Piece(notes.music(steps).frames, label))
        except FileFormatError as problem:
            skipped.append((notes.path, _why(problem)))
            continue
        outside += notes.outside
    if not pieces:
        raise ArgumentError(
            f"folder: none of the {len(files)} MIDI files of {place} can be used; the first: {skipped[0][1]}"
        )
    return MidiFolder(tuple(pieces), tuple(sorted(skipped)), outside, steps)


def _why(problem: Exception) -> str:
    return str(problem).removeprefix("path: ")


def _choose(found: Sequence[MidiNotes]) -> int:
    """The fewest steps of a beat at which most notes begin."""
    for steps in _STEPS:
        counts = [notes.fit(steps) for notes in found]
        if sum(at for at, _ in counts) >= _SHARE_AT_STEPS * sum(count for _, count in counts):
            return steps
    return _STEPS[-1]
