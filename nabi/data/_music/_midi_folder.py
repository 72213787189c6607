"""The music of a folder of MIDI files."""

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
# Steps per beat to choose from, and the share of notes that must begin on a step.
_STEPS, _SHARE_AT_STEPS = (1, 2, 4), 0.9


class MidiFolder(NamedTuple):
    """The music of a folder."""

    pieces: tuple[Piece, ...]
    """In the order of the file names."""
    skipped: tuple[tuple[Path, str], ...]
    """Files that could not be read or have no notes, and the reason."""
    outside: int
    """Notes that were left out because they are outside the range of a piano."""
    steps_per_beat: int
    """Frames per crotchet."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels of the pieces, sorted; empty without labels."""
        return tuple(sorted({str(piece.label) for piece in self.pieces if piece.label is not None}))


@public
def midi_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files in a folder and its subfolders whose names end in .mid or .midi, sorted."""
    found = (path for path in _checks.path("folder", folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
    return sorted(path for path in found if path.is_file())


@public
def read_midi_folder(
    folder: str | os.PathLike[str], steps_per_beat: int | None = None, *, labels: bool | None = None
) -> MidiFolder:
    """Read all MIDI files of a folder and its subfolders, each as `read_midi_frames` does.

    Files that are damaged or have no notes are skipped.

    Args:
        folder: the folder.
        steps_per_beat: frames per crotchet. None: the smallest of 1, 2 and 4 for which nine tenths of all
            notes begin on a frame, or 4.
        labels: whether the top-level subfolder of a file is its label. None: only if all files are in
            subfolders and there are several subfolders.

    Raises:
        MissingFileError: if the folder does not exist.
        ArgumentError: if no piece is left, or if labels are requested and a file is not in a subfolder.

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
        raise ArgumentError(f"folder: expected files that end in .mid or .midi, got none in {place}")
    inside = [path.relative_to(place).parts for path in files]
    if labels is None:
        labels = all(len(parts) > 1 for parts in inside) and len({parts[0] for parts in inside}) > 1
    if labels:
        loose = [path for path, parts in zip(files, inside, strict=True) if len(parts) == 1]
        if loose:
            raise ArgumentError(
                f"labels: expected files in subfolders named after their labels, got {loose[0]}"
                + (f" and {len(loose) - 1} others" if len(loose) > 1 else "")
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
    """Return the smallest number of steps per beat on which most notes begin."""
    for steps in _STEPS:
        counts = [notes.fit(steps) for notes in found]
        if sum(at for at, _ in counts) >= _SHARE_AT_STEPS * sum(count for _, count in counts):
            return steps
    return _STEPS[-1]
