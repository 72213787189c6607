"""Notes as MIDI files, written and read with mido."""

import os
from collections.abc import Iterable

from nabi import _checks
from nabi._public import public
from nabi.data._music._midi_file import read_score
from nabi.data._music._notes import NOTES, note_beats, note_pitch
from nabi.errors import FileFormatError
from nabi.files import write_atomically

__all__ = ["read_midi", "write_midi"]

_TICKS_PER_BEAT = 480
_VELOCITY = 80
_NOTE_OF = {(note_pitch(note), note_beats(note)): note for note in NOTES}


@public
def write_midi(
    path: str | os.PathLike[str], notes: Iterable[str], *, tempo: float = 110.0, title: str = ""
) -> None:
    """Write notes as a MIDI file of type 1: a track with tempo and metre (2/4), a track with the notes.

    Args:
        path: of the file, usually `*.mid`; written atomically.
        notes: note names, each one of `NOTES`; played one after another, a name ending in 4 as a crotchet,
            in 8 as a quaver.
        tempo: crotchets per minute.
        title: the name of the track of notes.

    Raises `UnknownNameError` for an unknown note, `ArgumentError` for a tempo that is not positive,
    `OutputError` if the file cannot be written.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "song.mid"
    >>> write_midi(path, ["g8", "e8", "e4"])
    >>> read_midi(path)
    ['g8', 'e8', 'e4']
    """
    import mido

    tempo = _checks.real("tempo", tempo, least=4, most=1000, what="number of crotchets per minute")
    time = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)),
            mido.MetaMessage("time_signature", numerator=2, denominator=4),
        ]
    )
    melody = mido.MidiTrack([mido.MetaMessage("track_name", name=title)])
    for note in notes:
        pitch, ticks = note_pitch(note), round(note_beats(note) * _TICKS_PER_BEAT)
        melody.append(mido.Message("note_on", note=pitch, velocity=_VELOCITY))
        melody.append(mido.Message("note_off", note=pitch, velocity=0, time=ticks))
    file = mido.MidiFile(type=1, ticks_per_beat=_TICKS_PER_BEAT, tracks=[time, melody], charset="utf-8")
    with write_atomically(path) as unfinished:
        file.save(file=unfinished)


@public
def read_midi(path: str | os.PathLike[str]) -> list[str]:
    """Read the notes of a MIDI file: one voice of crotchets and quavers from middle C to the B above it.

    Raises `ArgumentError` for a folder, `MissingFileError` if the file does not exist, and `FileFormatError`
    if it is not MIDI or has a note that is not one of `NOTES`.
    """
    notes: list[str] = []
    for note in read_score(path).notes:
        beats = note.end - note.start
        if (note.pitch, beats) not in _NOTE_OF:
            raise FileFormatError(
                f"path: {path}: expected pitches of C major from 60 to 71 with 1 or 0.5 beats, "
                f"got pitch {note.pitch} with {beats:g} beats"
            )
        notes.append(_NOTE_OF[note.pitch, beats])
    return notes
