import contextlib

import mido
import pytest
from hypothesis import given, settings, strategies as st

from nabi.data import read_midi_folder, read_midi_frames, write_midi_frames
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

CHORDS = st.lists(st.frozensets(st.integers(21, 108), max_size=4).map(sorted).map(tuple), max_size=9)
CUT_OFF = b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x01\xe0MTrk\x00\x00"


def write(path, *notes, channel=0, ticks=480):
    """Notes of pitch, beginning and end in beats, each on a track of its own."""
    file = mido.MidiFile(type=1, ticks_per_beat=ticks)
    for pitch, start, end in notes:
        sound = {"note": pitch, "channel": channel}
        on = mido.Message("note_on", velocity=64, time=round(start * ticks), **sound)
        off = mido.Message("note_off", time=round((end - start) * ticks), **sound)
        file.tracks.append(mido.MidiTrack([on, off]))
    path.parent.mkdir(exist_ok=True)
    file.save(path)


@given(CHORDS, st.sampled_from([1, 2, 3, 4, 7]))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory, frames, steps):
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    # The silence around music is not read.
    sounding = [(60,), *frames, (72,)]
    write_midi_frames(path, sounding, steps_per_beat=steps, beats_per_bar=3, tempo=100)
    music = read_midi_frames(path, steps)
    assert music.frames == tuple(sounding)
    assert (music.outside, music.beats_per_bar) == (0, 3)
    assert music.tempo == pytest.approx(100, abs=0.01)


def test_a_pitch_that_goes_on_is_one_note(tmp_path):
    write_midi_frames(tmp_path / "a.mid", [(60, 64), (60,), (), (60,)])
    messages = [m for m in mido.MidiFile(tmp_path / "a.mid").tracks[1] if not m.is_meta]
    assert [(m.type, m.note, m.time) for m in messages] == [
        ("note_on", 60, 0),
        ("note_on", 64, 0),
        ("note_off", 64, 480),
        ("note_off", 60, 480),
        ("note_on", 60, 480),
        ("note_off", 60, 480),
    ]


def test_tracks_lengths_and_late_notes(tmp_path):
    write(tmp_path / "a.mid", (60, 4.1, 6.0), (64, 4.0, 5.0), (67, 5.05, 5.9), (70, 5.3, 5.8))
    assert read_midi_frames(tmp_path / "a.mid").frames == ((60, 64), (60, 67))
    # At semiquavers the note between two beats is there as well.
    assert (60, 67, 70) in read_midi_frames(tmp_path / "a.mid", 4).frames


def test_a_note_that_begins_again_while_it_sounds_and_one_without_an_end(tmp_path):
    on = {"type": "note_on", "velocity": 9}
    track = mido.MidiTrack(
        [
            mido.Message(**on, note=60),
            mido.Message(**on, note=60, time=480),
            mido.Message("note_on", note=60, velocity=0, time=480),
            mido.Message(**on, note=62),
            mido.MetaMessage("end_of_track", time=960),
        ]
    )
    mido.MidiFile(tracks=[track]).save(tmp_path / "a.mid")
    assert read_midi_frames(tmp_path / "a.mid").frames == ((60,), (60,), (62,), (62,))


def test_notes_outside_the_keys_are_counted_and_drums_are_not(tmp_path):
    write(tmp_path / "a.mid", (60, 0, 1), (20, 0, 1), (109, 0, 1), (108, 0, 1), (21, 0, 1))
    music = read_midi_frames(tmp_path / "a.mid")
    assert (music.frames, music.outside) == (((21, 60, 108),), 2)
    write(tmp_path / "drums.mid", (60, 0, 1), channel=9)
    with pytest.raises(FileFormatError, match=r"drums\.mid has no notes \(drums are ignored\)"):
        read_midi_frames(tmp_path / "drums.mid")
    write(tmp_path / "low.mid", (3, 0, 1))
    with pytest.raises(FileFormatError, match="has no notes besides 1 outside the range of a piano"):
        read_midi_frames(tmp_path / "low.mid")


@pytest.mark.parametrize("content", [b"", b"hello", CUT_OFF])
def test_a_damaged_file_is_said(tmp_path, content):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"a\.mid"):
        read_midi_frames(tmp_path / "a.mid")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_damage_raises_anything_else(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    write_midi_frames(path, [(60, 64), (62,), (59, 67)], title="x")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    path.write_bytes(content)
    with contextlib.suppress(FileFormatError):
        assert read_midi_frames(path, 4).frames


def test_music_that_would_last_for_years_is_refused(tmp_path):
    write(tmp_path / "a.mid", (60, 0, 1), (60, 250_000, 250_001))
    with pytest.raises(FileFormatError, match="more than 200,000 frames"):
        read_midi_frames(tmp_path / "a.mid")


@pytest.mark.parametrize("steps", [0, -1, 97, 1.5, True, "4"])
def test_steps_that_cannot_be(tmp_path, steps):
    with pytest.raises(ArgumentError, match="steps_per_beat: expected a whole number"):
        read_midi_frames(tmp_path / "a.mid", steps)
    with pytest.raises(ArgumentError, match="steps_per_beat: expected a whole number"):
        read_midi_folder(tmp_path, steps)


def test_errors_of_writing(tmp_path):
    for arguments, message in (
        ({"frames": [[12]]}, r"frames\[0\]: expected a whole number from 21 to 108, the keys of a piano"),
        ({"tempo": 0}, "tempo: expected .*, got 0"),
        ({"beats_per_bar": 0}, "beats_per_bar: expected .*, got 0"),
    ):
        with pytest.raises(ArgumentError, match=message):
            write_midi_frames(tmp_path / "a.mid", **{"frames": [[60]], **arguments})
    assert not list(tmp_path.iterdir())


def test_a_folder_is_read_and_what_cannot_be_is_named(tmp_path):
    write(tmp_path / "b.mid", (60, 0, 1))
    write(tmp_path / "in" / "a.MIDI", (62, 0, 1), (5, 0, 1))
    (tmp_path / "broken.mid").write_bytes(CUT_OFF)
    (tmp_path / "empty.mid").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no music")
    folder = read_midi_folder(tmp_path)
    assert [piece.frames for piece in folder.pieces] == [((60,),), ((62,),)]
    assert [path.name for path, _ in folder.skipped] == ["broken.mid", "empty.mid"]
    assert "not a readable MIDI file" in folder.skipped[0][1]
    assert (folder.outside, folder.labels) == (1, ())


def test_folders_are_labels_where_all_files_lie_in_some(tmp_path):
    write(tmp_path / "bach" / "a.mid", (60, 0, 1))
    write(tmp_path / "bach" / "b.mid", (61, 0, 1))
    assert read_midi_folder(tmp_path).labels == ()
    assert read_midi_folder(tmp_path, labels=True).labels == ("bach",)
    write(tmp_path / "abba" / "a.mid", (62, 0, 1))
    folder = read_midi_folder(tmp_path)
    assert [piece.label for piece in folder.pieces] == ["abba", "bach", "bach"]
    assert read_midi_folder(tmp_path, labels=False).labels == ()
    write(tmp_path / "loose.mid", (60, 0, 1))
    assert read_midi_folder(tmp_path).labels == ()
    with pytest.raises(ArgumentError, match=r"expected files in subfolders .*loose\.mid"):
        read_midi_folder(tmp_path, labels=True)


@pytest.mark.parametrize(("lengths", "steps"), [((1.0,), 1), ((1.0, 0.5), 2), ((0.25,), 4), ((1 / 3,), 4)])
def test_steps_follow_from_where_notes_begin(tmp_path, lengths, steps):
    now, notes = 0.0, []
    for number in range(24):
        length = lengths[number % len(lengths)]
        notes.append((60 + number, now, now + length))
        now += length
    write(tmp_path / "a.mid", *notes)
    assert read_midi_folder(tmp_path).steps_per_beat == steps


def test_folders_without_music_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="there is no folder"):
        read_midi_folder(tmp_path / "none")
    with pytest.raises(ArgumentError, match=r"expected files that end in \.mid"):
        read_midi_folder(tmp_path)
    (tmp_path / "a.mid").write_bytes(b"hello")
    with pytest.raises(ArgumentError, match=r"none of the 1 MIDI files .* can be used; the first: .*a\.mid"):
        read_midi_folder(tmp_path)
