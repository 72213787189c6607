"""The Free Spoken Digit Dataset, divided for a test."""

import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from nabi.data import Recordings, read_recordings
from nabi.errors import FileFormatError
from nabi.recipes._run._data_file import find_data

__all__ = ["FILE", "SPEAKERS", "Part", "read_parts"]

FILE = "free_spoken_digits.tar.xz"
SPEAKERS = ("known", "unknown")
_TESTED = 5  # of each digit and speaker, the first ones


class Part(NamedTuple):
    """What one network learns from and is tested on."""

    name: str
    train: Recordings
    test: Recordings


def read_parts(recipe: str, said: Path | None, speakers: str) -> list[Part]:
    """Return the official test set for speakers that are "known", else one part for each speaker.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged or holds no recordings.
    """
    file = find_data(recipe, said, FILE, "speech")
    with tempfile.TemporaryDirectory() as place:
        try:
            with tarfile.open(file) as archive:
                archive.extractall(place, filter="data")
        except (tarfile.TarError, EOFError, OSError) as problem:
            raise FileFormatError(f"data: {file} is damaged ({problem})") from problem
        found = read_recordings(place, group_pattern="^[^_]*_(.*)_")
    assert found.groups is not None
    rows = range(len(found))
    if speakers == "known":
        numbers = [int(path.stem.rsplit("_", 1)[1]) for path in found.files]
        return [
            Part(
                "known",
                found.take([row for row in rows if numbers[row] >= _TESTED]),
                found.take([row for row in rows if numbers[row] < _TESTED]),
            )
        ]
    return [
        Part(
            speaker,
            found.take([row for row in rows if found.groups[row] != speaker]),
            found.take([row for row in rows if found.groups[row] == speaker]),
        )
        for speaker in sorted(set(found.groups))
    ]
