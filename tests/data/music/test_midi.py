import mido
import pytest

from nabi.data import NABIYA, NOTES, read_midi, write_midi
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, OutputError, UnknownNameError


@pytest.mark.parametrize("notes", [NABIYA, NOTES, ("c4",), ()])
def test_what_is_written_is_read_back(tmp_path, notes):
    write_midi(tmp_path / "song.mid", notes, title="나비야")
    assert tuple(read_midi(tmp_path / "song.mid")) == tuple(notes)


def test_the_file_as_mido_sees_it(tmp_path):
    write_midi(tmp_path / "song.mid", NABIYA, tempo=120, title="Nabiya")
    file = mido.MidiFile(tmp_path / "song.mid")
    assert file.type == 1
    assert len(file.tracks) == 2
    assert file.tracks[1].name == "Nabiya"
    crotchets = sum(1.0 if note.endswith("4") else 0.5 for note in NABIYA)
    assert file.length == pytest.approx(crotchets * 60 / 120)
    starts = [message for message in file.tracks[1] if message.type == "note_on"]
    assert [message.note for message in starts[:7]] == [67, 64, 64, 65, 62, 62, 60]


def test_errors_of_writing(tmp_path):
    with pytest.raises(UnknownNameError, match="note"):
        write_midi(tmp_path / "a.mid", ["c4", "x9"])
    with pytest.raises(
        ArgumentError, match="tempo: expected a number of crotchets per minute from 4 to 1000, got 0"
    ):
        write_midi(tmp_path / "a.mid", ["c4"], tempo=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_midi(tmp_path / "file" / "a.mid", ["c4"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


CUT_OFF = b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x01\xe0MTrk\x00\x00"


@pytest.mark.parametrize("content", [b"", b"hello", CUT_OFF])
def test_a_file_that_is_not_midi_is_refused(tmp_path, content):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a\.mid"):
        read_midi(tmp_path / "a.mid")


def test_a_note_that_has_no_name_is_refused(tmp_path):
    track = mido.MidiTrack([mido.Message("note_on", note=61), mido.Message("note_off", note=61, time=480)])
    mido.MidiFile(tracks=[track]).save(tmp_path / "a.mid")
    with pytest.raises(FileFormatError, match="got pitch 61 with 1 beats"):
        read_midi(tmp_path / "a.mid")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(MissingFileError, match="there is no file"):
        read_midi(tmp_path / "a.mid")
