"""MIDI files as frames, read and written with mido."""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi.data._music._midi_file import read_score
from nabi.data._tables._frames import KEYS, LOWEST, Frame, frames_of, roll_of
from nabi.errors import FileFormatError
from nabi.files import write_atomically, writer

__all__ = ["MidiMusic", "MidiNotes", "check_steps", "read_midi_frames", "read_notes", "write_midi_frames"]

_TICKS_PER_BEAT = 480
_VELOCITY = 80
_DRUMS = 9  # the tenth channel, counted from 0
_MOST_STEPS_PER_BEAT = 96
# A file of a few bytes can claim to last for years.
_MOST_FRAMES = 200_000
# A frame has the notes that sound this many steps after its beginning, to include notes played a little late.
_LATE = 0.125


class MidiMusic(NamedTuple):
    """The contents of a MIDI file."""

    frames: tuple[Frame, ...]
    """The pitches that sound at each step."""
    outside: int
    """Notes that were left out because they are outside the range of a piano."""
    tempo: float
    """Beats (crotchets) per minute at the beginning."""
    beats_per_bar: int
    """Of the first time signature, in crotchets; 4 without one."""


@public
def read_midi_frames(path: str | os.PathLike[str], steps_per_beat: int = 1) -> MidiMusic:
    """Read the music of a MIDI file as frames: the pitches that sound at each step.

    All tracks and channels are read except channel 10, the drums. A frame has the notes that sound an eighth
    of a step after its beginning, so notes played a little late are included; notes too short to sound there
    are not. Pedals and velocities are ignored. The silence before the first note and after the last is left
    out.

    Args:
        path: of the file.
        steps_per_beat: 1 for a frame per crotchet (quarter note), 4 for a frame per semiquaver.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged, not a MIDI file, or has no notes other than drums.
        ArgumentError: if `steps_per_beat` is not from 1 to 96.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "cadence.mid"
    >>> write_midi_frames(path, [[55, 59, 62], [48, 55, 60], [48, 55, 60]])
    >>> read_midi_frames(path).frames
    ((55, 59, 62), (48, 55, 60), (48, 55, 60))
    """
    check_steps(steps_per_beat)
    return read_notes(path).music(steps_per_beat)


class MidiNotes(NamedTuple):
    """The notes of a MIDI file, before quantization to steps."""

    path: Path
    notes: tuple[tuple[int, float, float], ...]
    """Pitch, beginning and end of each, in beats."""
    outside: int
    tempo: float
    beats_per_bar: int

    def fit(self, steps_per_beat: int) -> tuple[int, int]:
        """Return how many notes begin on or near a step, and how many there are."""
        starts = np.array([start for _, start, _ in self.notes]) * steps_per_beat
        return int((np.abs(starts - np.round(starts)) <= _LATE).sum()), len(self.notes)

    def music(self, steps_per_beat: int) -> MidiMusic:
        """Return the notes as frames.

        Raises:
            FileFormatError: if no note sounds at a step, or the number of frames is implausible.
        """
        spans: list[tuple[int, int, int]] = []
        for pitch, *span in self.notes:
            first, last = (max(0, math.ceil(beat * steps_per_beat - _LATE)) for beat in span)
            if last > _MOST_FRAMES:
                raise FileFormatError(
                    f"path: {self.path} has more than {_MOST_FRAMES:,} frames of music; it may be damaged"
                )
            if last > first:
                spans.append((pitch - LOWEST, first, last))
        if not spans:
            raise FileFormatError(f"path: {self.path} has no notes that sound at a step")
        begin = min(first for _, first, _ in spans)
        roll = np.zeros((max(last for _, _, last in spans) - begin, KEYS), np.uint8)
        for key, first, last in spans:
            roll[first - begin : last - begin, key] = 1
        return MidiMusic(frames_of(roll), self.outside, self.tempo, self.beats_per_bar)


def read_notes(path: str | os.PathLike[str]) -> MidiNotes:
    """Read the notes of a MIDI file, except drums and pitches outside the range of a piano.

    Raises:
        ArgumentError: for a folder, or anything else that is not a file.
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged, not a MIDI file, or has no such notes.
    """
    place = _checks.path("path", path)
    score = read_score(place)
    sounding = [note for note in score.notes if note.channel != _DRUMS]
    notes = tuple(
        (note.pitch, note.start, note.end) for note in sounding if LOWEST <= note.pitch < LOWEST + KEYS
    )
    outside = len(sounding) - len(notes)
    if not notes:
        why = f" besides {outside} outside the range of a piano" if outside else ""
        raise FileFormatError(f"path: {place} has no notes{why} (drums are ignored)")
    return MidiNotes(place, notes, outside, score.tempo, score.beats_per_bar)


def check_steps(steps_per_beat: object) -> int:
    """Check a number of steps per beat and return it as an int.

    Raises:
        ArgumentError: for anything but a whole number from 1 to 96.
    """
    return _checks.whole("steps_per_beat", steps_per_beat, 1, _MOST_STEPS_PER_BEAT)


@public
def write_midi_frames(
    path: str | os.PathLike[str],
    frames: Iterable[Iterable[int]],
    *,
    steps_per_beat: int = 1,
    beats_per_bar: int = 4,
    tempo: float = 90.0,
    title: str = "",
) -> None:
    """Write frames as a MIDI file of type 1: a track with tempo and metre, a track with the notes.

    A pitch that sounds in consecutive frames is one long note.

    Args:
        path: of the file, usually `*.mid`; written atomically.
        frames: the MIDI pitches that sound at each step, from 21 to 108.
        steps_per_beat: frames per crotchet.
        beats_per_bar: crotchets per bar.
        tempo: crotchets per minute.
        title: the name of the track of notes.

    Raises:
        ArgumentError: for pitches that are not piano keys, and numbers out of range.
        OutputError: if the file cannot be written.
    """
    import mido

    steps_per_beat = check_steps(steps_per_beat)
    beats_per_bar = _checks.whole("beats_per_bar", beats_per_bar, 1, 255)
    tempo = _checks.real("tempo", tempo, least=4, most=1000, what="number of crotchets per minute")
    time = mido.MidiTrack(
        [
            # `nabi compose` overwrites only files with its mark.
            mido.MetaMessage("text", text=f"written by {writer()}"),
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)),
            mido.MetaMessage("time_signature", numerator=beats_per_bar, denominator=4),
        ]
    )
    notes = mido.MidiTrack([mido.MetaMessage("track_name", name=title)])
    before = 0
    for step, kind, pitch in _changes(roll_of(frames)):
        tick = round(step * _TICKS_PER_BEAT / steps_per_beat)
        velocity = _VELOCITY if kind == "note_on" else 0
        notes.append(mido.Message(kind, note=pitch, velocity=velocity, time=tick - before))
        before = tick
    file = mido.MidiFile(type=1, ticks_per_beat=_TICKS_PER_BEAT, tracks=[time, notes], charset="utf-8")
    with write_atomically(path) as unfinished:
        file.save(file=unfinished)


def _changes(roll: Any) -> Iterator[tuple[int, str, int]]:
    """Yield the step, message type and pitch of every note end and beginning, ends first."""
    silence = np.zeros((1, KEYS), np.int8)
    steps = np.diff(np.concatenate([silence, roll.astype(np.int8), silence]), axis=0)
    for step, change in enumerate(steps):
        for kind, sign in (("note_off", -1), ("note_on", 1)):
            for key in np.flatnonzero(change == sign):
                yield step, kind, int(key) + LOWEST
