"""Pieces of music as frames: which piano keys sound at each time step."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, ShapeError

__all__ = ["KEYS", "LOWEST", "Frame", "Piece", "frames_of", "read_frames", "roll_of"]

KEYS = 88
LOWEST = 21
"""The MIDI pitch of a piano's lowest key, A0; the highest is 108, C8."""

Frame = tuple[int, ...]
"""The MIDI pitches that sound at a step, lowest first."""
Roll = npt.NDArray[np.uint8]


class Piece(NamedTuple):
    """A piece of music."""

    frames: tuple[Frame, ...]
    label: str | int | None = None
    """The kind of piece: a genre, a composer."""


@public
def roll_of(frames: Iterable[Iterable[int]], name: str = "frames") -> Roll:
    """Return the piano roll `[T, 88]` of frames of pitches 21 to 108: 1 where a key sounds.

    Args:
        frames: the pitches that sound at each step, in any order.
        name: of the frames, for error messages.

    Raises:
        ArgumentError: for something that is not a frame, and for a pitch that is not a piano key.

    >>> roll_of([[21], [], [22, 24]])[:, :4].tolist()
    [[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]]
    """
    try:
        steps = [list(frame) for frame in frames]
    except TypeError as problem:
        raise ArgumentError(
            f"{name}: expected a list of frames, each a list of MIDI pitches, got something else ({problem})"
        ) from problem
    roll = np.zeros((len(steps), KEYS), np.uint8)
    for step, frame in enumerate(steps):
        for pitch in frame:
            key = _checks.whole(
                f"{name}[{step}]", pitch, LOWEST, LOWEST + KEYS - 1, otherwise=", the keys of a piano"
            )
            roll[step, key - LOWEST] = 1
    return roll


@public
def frames_of(roll: npt.NDArray[Any]) -> tuple[Frame, ...]:
    """Return the frames of a piano roll `[T, 88]`; the inverse of `roll_of`.

    >>> frames_of(roll_of([[60, 48], []]))
    ((48, 60), ())
    """
    steps = np.asarray(roll)
    if steps.ndim != 2 or steps.shape[1] != KEYS:
        raise ShapeError(f"roll: expected the shape [T, {KEYS}], got {steps.shape}")
    return tuple([tuple([int(key) + LOWEST for key in np.flatnonzero(step)]) for step in steps])


@public
def read_frames(path: str | os.PathLike[str]) -> dict[str, list[tuple[Frame, ...]]]:
    """Read a JSON file of pieces in parts: `{"train": [[[60, 64], ...], ...], "valid": ..., "test": ...}`.

    Each piece is a list of frames, each frame a list of the MIDI pitches that sound. The Bach chorales of
    Boulanger-Lewandowski et al. (2012) are distributed in this form.

    Returns:
        The pieces of each part.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is not JSON, or does not have this form.
    """
    place = _checks.path("path", path)
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise MissingFileError(f"path: there is no file {place}") from problem
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise FileFormatError(f"path: {place} cannot be read as JSON ({problem})") from problem
    if not isinstance(content, dict) or not all(isinstance(part, list) for part in content.values()):
        raise FileFormatError(f"path: {place}: expected parts {{'train': [piece, ...], ...}}, got other JSON")
    parts: dict[str, list[tuple[Frame, ...]]] = {}
    for name, pieces in content.items():
        try:
            parts[name] = [_frames(piece, f"{name}[{number}]") for number, piece in enumerate(pieces)]
        except ArgumentError as problem:
            raise FileFormatError(f"path: {place}: {problem}") from problem
    return parts


def _frames(piece: Sequence[Sequence[int]], name: str) -> tuple[Frame, ...]:
    return frames_of(roll_of(piece, name))
