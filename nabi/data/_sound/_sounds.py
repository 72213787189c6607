"""One recording from a file, and to a file."""

import os
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nabi import _checks
from nabi._public import public
from nabi.data._sound._resampling import resample
from nabi.data._sound._wav_format import OPEN_ENDED, Samples, read_header
from nabi.data._text_files import check_file
from nabi.errors import ArgumentError, FileFormatError, OutputError, ShapeError
from nabi.files import write_atomically

__all__ = ["OTHER_SOUNDS", "Sound", "read_sound", "write_wav"]

OTHER_SOUNDS = (".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif")
"""Suffixes of files that `soundfile` reads."""


class Sound(NamedTuple):
    """A recording."""

    samples: Samples
    """float32 `[N]` from -1 to 1; several channels were averaged."""
    rate: int
    """Samples per second."""
    channels: int
    """Of the file."""
    file_rate: int
    """Samples per second in the file."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


@public
def read_sound(path: str | os.PathLike[str], rate: int | None = None) -> Sound:
    """Read a recording as one channel.

    WAV files need nothing else: PCM of 8, 16, 24 or 32 bits, and floats. FLAC, Ogg and MP3 files are read by
    the package `soundfile`, which `pip install nabi[sound]` installs. Stereo becomes mono, the mean of the
    channels.

    Args:
        path: of the file.
        rate: samples per second wanted; that of the file by default. See `resample`.

    Raises:
        MissingFileError: if the file does not exist.
        FileFormatError: if it is empty, cut short, without samples, with samples that are NaN or infinite,
            not a WAV file, or one whose samples are compressed.
        ArgumentError: for a folder, a rate below 1, and a file that needs `soundfile` where it is missing.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "tone.wav"
    >>> write_wav(path, np.sin(np.arange(800) / 3), 8000)
    >>> sound = read_sound(path)
    >>> len(sound.samples), sound.rate, sound.seconds
    (800, 8000, 0.1)
    """
    place = _checks.path("path", path)
    if rate is not None:
        rate = _checks.whole("rate", rate, otherwise=" or None")
    check_file(place)
    if place.suffix.lower() in OTHER_SOUNDS:
        samples, file_rate, channels = _by_soundfile(place)
    else:
        samples, file_rate, channels = _wav(place)
    if not len(samples):
        raise FileFormatError(f"path: {place} has no samples (length 0)")
    if not np.isfinite(samples).all():
        raise FileFormatError(f"path: {place} has samples that are NaN or infinite")
    if rate is not None and rate != file_rate:
        samples = resample(samples, file_rate, rate)
    return Sound(samples, rate or file_rate, channels, file_rate)


@public
def write_wav(path: str | os.PathLike[str], samples: Samples, rate: int) -> None:
    """Write one channel as a WAV file of 16 bits; samples beyond -1 and 1 are cut.

    Args:
        path: of the file.
        samples: `[N]`, real numbers.
        rate: samples per second.

    Raises:
        ArgumentError: for a rate below 1; ShapeError for several channels.
        OutputError: if the file can't be written.
    """
    place = _checks.path("path", path, wrong=OutputError)
    rate = _checks.whole("rate", rate)
    array = np.asarray(samples)
    if array.ndim != 1:
        raise ShapeError(f"samples: expected one channel [N], got {array.shape}")
    whole = np.clip(np.rint(array * 32768.0), -32768, 32767).astype("<i2")
    with write_atomically(place) as target, wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(whole.tobytes())


def _wav(place: Path) -> tuple[Samples, int, int]:
    with place.open("rb") as file:
        header = read_header(file, f"path: {place}")
        left = place.stat().st_size - file.tell()
        # Programs that write to a pipe leave the size open.
        size = left if header.size == OPEN_ENDED else header.size
        if size > left:
            raise FileFormatError(
                f"path: {place} is cut short: its header says {header.size:,} bytes of samples, and "
                f"{left:,} are there"
            )
        data = file.read(size - size % header.frame_bytes)
    return header.mono(data), header.rate, header.channels


def _by_soundfile(place: Path) -> tuple[Samples, int, int]:
    try:
        import soundfile
    except ImportError:
        raise ArgumentError(
            f"path: {place}: reading {place.suffix} files needs the package soundfile; install it with "
            "pip install nabi[sound], or convert the file to WAV"
        ) from None
    try:
        values, rate = soundfile.read(str(place), dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as problem:
        raise FileFormatError(f"path: {place} is damaged or not a sound file ({problem})") from problem
    return values.mean(1, dtype=np.float64).astype(np.float32), int(rate), values.shape[1]
