"""WAV files of every kind of samples, files that are wrong, and other formats by soundfile."""

import io
import struct
import sys
import wave

import numpy as np
import pytest

from nabi.data import WavFormat, read_header, read_sound, write_wav
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, OutputError, ShapeError

TONE = (0.5 * np.sin(np.arange(400) / 5)).astype(np.float32)


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(data: bytes, code=1, channels=1, rate=8000, bits=16, before=b"", after=b"") -> bytes:
    """A file, written by hand."""
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits)
    if code == 0xFFFE:
        form += struct.pack("<HHIH", 22, bits, 0, 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    body = b"WAVE" + chunk(b"fmt ", form) + before + chunk(b"data", data) + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def as_bits(samples, bits: int) -> bytes:
    if bits == 8:
        return np.rint(samples * 127 + 128).astype(np.uint8).tobytes()
    whole = np.rint(samples * (2.0 ** (bits - 1) - 1)).astype("<i4")
    if bits == 24:
        return whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return whole.astype(f"<i{bits // 8}").tobytes()


@pytest.mark.parametrize(("bits", "near"), [(8, 1e-2), (16, 1e-4), (24, 1e-6), (32, 1e-7)])
def test_whole_numbers_of_all_sizes(tmp_path, bits, near) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav(as_bits(TONE.astype(np.float64), bits), bits=bits))
    sound = read_sound(path)
    np.testing.assert_allclose(sound.samples, TONE, atol=near)
    assert sound.samples.dtype == np.float32
    assert (sound.rate, sound.channels, sound.file_rate, sound.seconds) == (8000, 1, 8000, 0.05)
    # Python's own module agrees.
    with wave.open(str(path)) as file:
        assert file.getnframes() == len(sound.samples)


@pytest.mark.parametrize("bits", [32, 64])
def test_floats(tmp_path, bits) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav(TONE.astype(f"<f{bits // 8}").tobytes(), code=3, bits=bits))
    np.testing.assert_array_equal(read_sound(path).samples, TONE)


def test_stereo_becomes_the_mean(tmp_path) -> None:
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav(as_bits(np.stack([TONE, -0.5 * TONE], 1).ravel(), 16), channels=2))
    sound = read_sound(path)
    assert sound.channels == 2
    np.testing.assert_allclose(sound.samples, TONE / 4, atol=1e-4)


def test_other_chunks_and_the_extensible_format(tmp_path) -> None:
    path = tmp_path / "tone.wav"
    data = as_bits(TONE, 16)
    path.write_bytes(wav(data, code=0xFFFE, before=chunk(b"LIST", b"odd"), after=chunk(b"LIST", b"comment")))
    np.testing.assert_allclose(read_sound(path).samples, TONE, atol=1e-4)


def test_a_written_file_is_read_again(tmp_path) -> None:
    path = tmp_path / "tone.wav"
    write_wav(path, np.append(TONE, [2.0, -2.0]), 11_025)
    sound = read_sound(str(path))
    assert sound.rate == 11_025
    np.testing.assert_allclose(sound.samples[:-2], TONE, atol=1 / 65_000)
    assert sound.samples[-2:].tolist() == [32_767 / 32_768, -1.0]
    halved = read_sound(path, 8000)
    assert (halved.rate, halved.file_rate, len(halved.samples)) == (8000, 11_025, 292)


def test_the_header_of_a_stream(tmp_path) -> None:
    data = as_bits(TONE, 16)
    content = wav(data)
    open_ended = content.replace(b"data" + struct.pack("<I", len(data)), b"data\xff\xff\xff\xff")
    stream = io.BytesIO(open_ended)
    header = read_header(stream, "standard input")
    assert header == WavFormat(8000, 1, 16, False, 0xFFFFFFFF)
    assert header.described == "16 bit, mono, 8000 Hz"
    np.testing.assert_allclose(header.mono(stream.read()), TONE, atol=1e-4)
    (tmp_path / "open.wav").write_bytes(open_ended)
    assert len(read_sound(tmp_path / "open.wav").samples) == 400


WRONG = {
    "empty": (b"", "wrong.wav is empty"),
    "text": (b"no sound at all, only words", r"is not a WAV file: it begins with b'no s'"),
    "short": (wav(as_bits(TONE, 16))[:30], "cut short"),
    "no data": (wav(b"")[:36], "ends before its data; it is cut short"),
    "truncated": (
        wav(as_bits(TONE, 16))[:-100],
        "is cut short: its header says 800 bytes of samples, and 700 are there",
    ),
    "length 0": (wav(b""), r"has no samples \(length 0\)"),
    "compressed": (wav(b"abcd", code=0x55), r"expected PCM or float samples, got MP3"),
    "bits": (wav(b"abcd", bits=12), "expected samples of 8, 16, 24, 32 bits, got 12"),
    "channels": (wav(b"abcd", channels=0), "is damaged: 0 channels at 8000 Hz"),
    "rate": (wav(b"abcd", rate=0), "is damaged: 1 channels at 0 Hz"),
    "nan": (wav(np.full(4, np.nan, "<f4").tobytes(), code=3, bits=32), "samples that are NaN or infinite"),
    "data first": (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "has no format before its data"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_that_is_wrong_is_named(tmp_path, kind) -> None:
    content, message = WRONG[kind]
    path = tmp_path / "wrong.wav"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_sound(path)
    assert str(path) in str(caught.value)


def test_other_wrong_arguments(tmp_path) -> None:
    with pytest.raises(MissingFileError, match="there is no file"):
        read_sound(tmp_path / "none.wav")
    with pytest.raises(ArgumentError, match="expected a file, got the folder"):
        read_sound(tmp_path)
    with pytest.raises(ArgumentError, match="rate: expected a whole number of at least 1, got 0"):
        write_wav(tmp_path / "a.wav", TONE, 0)
    with pytest.raises(ShapeError, match=r"samples: expected one channel \[N\], got \(2, 2\)"):
        write_wav(tmp_path / "a.wav", np.zeros((2, 2)), 8000)
    with pytest.raises(OutputError, match="cannot write"):
        write_wav(tmp_path, TONE, 8000)


def test_other_formats_by_soundfile(tmp_path) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "tone.flac"
    soundfile.write(str(path), np.stack([TONE, TONE], 1), 8000)
    sound = read_sound(path)
    assert (sound.rate, sound.channels) == (8000, 2)
    np.testing.assert_allclose(sound.samples, TONE, atol=1e-4)
    path.write_bytes(b"no flac")
    with pytest.raises(FileFormatError, match=r"tone\.flac is damaged or not a sound file"):
        read_sound(path)


def test_without_soundfile_it_says_how_to_install_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    path = tmp_path / "tone.mp3"
    path.write_bytes(b"ID3")
    with pytest.raises(ArgumentError, match=r"needs the package soundfile; .* pip install nabi\[sound\]"):
        read_sound(path)
