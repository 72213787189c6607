"""Notes as short names and codes: a letter of C major from middle C, and 4 or 8 for the length."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import unknown_name

__all__ = ["NABIYA", "NOTES", "decode_notes", "encode_notes", "note_beats", "note_pitch"]

NOTES: tuple[str, ...] = tuple(f"{letter}{length}" for length in (4, 8) for letter in "cdefgab")
"""The 14 notes in code order, 0 to 13: c4 d4 e4 f4 g4 a4 b4 c8 d8 e8 f8 g8 a8 b8."""

_LINES = """
    g8 e8 e4 f8 d8 d4 c8 d8 e8 f8 g8 g8 g4
    g8 e8 e8 e8 f8 d8 d4 c8 e8 g8 g8 e8 e8 e4
    d8 d8 d8 d8 d8 e8 f4 e8 e8 e8 e8 e8 f8 g4
    g8 e8 e4 f8 d8 d4 c8 e8 g8 g8 e8 e8 e4
"""

NABIYA: tuple[str, ...] = tuple(_LINES.split())
"""The song 나비야 (The Butterfly): 54 notes."""

_CODES = {note: code for code, note in enumerate(NOTES)}
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_MIDDLE_C = 60
_BEATS = {"4": 1.0, "8": 0.5}


@public
def encode_notes(notes: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return the codes 0 to 13 of note names, `[N]` for N notes.

    Raises `UnknownNameError` for a name that is not one of `NOTES`.

    >>> encode_notes(["c4", "b4", "c8", "b8"])
    array([ 0,  6,  7, 13])
    """
    codes = []
    for position, note in enumerate(notes):
        if note not in _CODES:
            raise unknown_name(f"notes[{position}]", note, NOTES)
        codes.append(_CODES[note])
    return np.array(codes, dtype=np.int64)


@public
def decode_notes(codes: Iterable[int]) -> list[str]:
    """Return the note names of codes 0 to 13; the inverse of `encode_notes`.

    Raises `ArgumentError` for a code outside 0 to 13.

    >>> decode_notes([11, 9, 2])
    ['g8', 'e8', 'e4']
    """
    notes = []
    for position, code in enumerate(codes):
        notes.append(NOTES[_checks.whole(f"codes[{position}]", code, 0, len(NOTES) - 1)])
    return notes


@public
def note_pitch(note: str) -> int:
    """Return the MIDI pitch of a note; middle C is 60.

    >>> note_pitch("c4"), note_pitch("g8")
    (60, 67)
    """
    if note not in _CODES:
        raise unknown_name("note", note, NOTES)
    return _MIDDLE_C + _SEMITONES[note[0]]


@public
def note_beats(note: str) -> float:
    """Return the length of a note in crotchets: 1.0 for '4' (a crotchet), 0.5 for '8' (a quaver).

    >>> note_beats("g4"), note_beats("g8")
    (1.0, 0.5)
    """
    if note not in _CODES:
        raise unknown_name("note", note, NOTES)
    return _BEATS[note[1]]
