"""The WAV format: what the header of a file or a stream says, and samples from its bytes."""

import struct
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.errors import FileFormatError

__all__ = ["OPEN_ENDED", "Samples", "WavFormat", "read_header"]

Samples = npt.NDArray[np.float32]

OPEN_ENDED = 0xFFFFFFFF
"""The size of the data in the header of a stream whose length was not known when it began; 0 also occurs."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_NAMES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "IMA ADPCM", 0x55: "MP3"}
_MOST_CHANNELS = 64


class WavFormat(NamedTuple):
    """How the samples of a WAV file are written."""

    rate: int
    """Samples per second of each channel."""
    channels: int
    bits: int
    """Of a sample: 8, 16, 24 or 32, and 64 for floats."""
    is_float: bool
    size: int
    """Bytes of the data according to the header; `OPEN_ENDED` or 0 in a stream of unknown length."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8

    @property
    def described(self) -> str:
        """The format for people, such as "16 bit, 2 channels, 44100 Hz"."""
        kind = " float" if self.is_float else ""
        channels = "mono" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.bits} bit{kind}, {channels}, {self.rate} Hz"

    def mono(self, data: bytes) -> Samples:
        """Return whole frames as samples from -1 to 1, the mean of the channels."""
        values: Samples
        if self.is_float:
            values = np.frombuffer(data, f"<f{self.bits // 8}").astype(np.float32)
        elif self.bits == 8:
            values = np.frombuffer(data, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)
        elif self.bits == 24:
            # The three bytes become the upper ones of an int32.
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            values = (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
        else:
            values = (np.frombuffer(data, f"<i{self.bits // 8}") / 2.0 ** (self.bits - 1)).astype(np.float32)
        if self.channels == 1:
            return values
        mean: Samples = values.reshape(-1, self.channels).mean(1, dtype=np.float64).astype(np.float32)
        return mean


def read_header(file: IO[bytes], name: str) -> WavFormat:
    """Read up to the first sample; `name` is that of the file in messages.

    It only reads forwards, so the file may be a pipe.

    Raises:
        FileFormatError: for what is not a WAV file, or one whose samples are compressed.
    """
    start = _read(file, 12)
    if not start:
        raise FileFormatError(f"{name} is empty")
    if len(start) < 12 or start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise FileFormatError(f"{name} is not a WAV file: it begins with {start[:4]!r}, not with b'RIFF'")
    found: tuple[int, int, int, int] | None = None
    while True:
        head = _read(file, 8)
        if len(head) < 8:
            what = "data" if found else "format"
            raise FileFormatError(f"{name} ends before its {what}; it is cut short")
        kind, size = head[:4], int(struct.unpack("<I", head[4:])[0])
        if kind == b"data":
            if found is None:
                raise FileFormatError(f"{name} has no format before its data")
            return _checked(name, *found, size)
        # Chunks of an odd size are followed by a byte that does not count.
        content = _read(file, size + size % 2)
        if kind == b"fmt ":
            found = _format(content, name)


def _format(content: bytes, name: str) -> tuple[int, int, int, int]:
    """Return code, channels, rate and bits."""
    if len(content) < 16:
        raise FileFormatError(f"{name} is cut short in its format")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if code == _EXTENSIBLE and len(content) >= 26:
        code = struct.unpack("<H", content[24:26])[0]
    return code, channels, rate, bits


def _checked(name: str, code: int, channels: int, rate: int, bits: int, size: int) -> WavFormat:
    if code not in (_PCM, _FLOAT):
        kind = _NAMES.get(code, f"format {code}")
        raise FileFormatError(
            f"{name}: expected PCM or float samples, got {kind}; convert it, for instance with "
            "ffmpeg -i OLD.wav NEW.wav"
        )
    known = (32, 64) if code == _FLOAT else (8, 16, 24, 32)
    if bits not in known:
        raise FileFormatError(f"{name}: expected samples of {', '.join(map(str, known))} bits, got {bits}")
    if not 1 <= channels <= _MOST_CHANNELS or not rate:
        raise FileFormatError(f"{name} is damaged: {channels} channels at {rate} Hz")
    return WavFormat(rate, channels, bits, code == _FLOAT, size)


def _read(file: IO[bytes], size: int) -> bytes:
    """Read so many bytes, fewer only at the end; a pipe may give less than was asked for."""
    parts = []
    while size:
        part = file.read(min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
