"""Notes in Standard MIDI Files: what overlaps, several tracks on a channel, and all that the standard has."""

import struct

import mido
import pytest
import symusic
from hypothesis import given, settings, strategies as st

from nabi.data import read_midi, read_midi_frames
from nabi.data._music._midi_file import read_score
from nabi.errors import ArgumentError, FileFormatError, MissingFileError

TICKS = 480
ON, OFF = 0x90, 0x80


def number(value: int) -> bytes:
    """A number of variable length."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F | 0x80)
    return bytes(reversed(parts))


def track(*events, end=0):
    """The chunk of a track: events of tick and bytes."""
    body, now = b"", 0
    for tick, content in events:
        body += number(tick - now) + content
        now = tick
    body += number(max(0, end - now)) + b"\xff\x2f\x00"
    return b"MTrk" + struct.pack(">L", len(body)) + body


def header(kind=1, tracks=1, division=TICKS, more=b""):
    return b"MThd" + struct.pack(">LHHH", 6 + len(more), kind, tracks, division & 0xFFFF) + more


def down(pitch=60, channel=0, velocity=64):
    return bytes([ON + channel, pitch, velocity])


def up(pitch=60, channel=0):
    return bytes([OFF + channel, pitch, 64])


def spans(tmp_path, content):
    """Pitch, start and end in beats of the notes of a file."""
    (tmp_path / "a.mid").write_bytes(content)
    return [(note.pitch, note.start, note.end) for note in read_score(tmp_path / "a.mid").notes]


def test_notes_of_one_pitch_that_overlap_sound_until_each_has_ended(tmp_path):
    one = track((0, down()), (480, down()), (960, up()), (1920, up()))
    assert spans(tmp_path, header() + one) == [(60, 0, 2), (60, 1, 4)]
    assert read_midi_frames(tmp_path / "a.mid").frames == ((60,),) * 4


def test_two_tracks_on_one_channel_have_notes_of_their_own(tmp_path):
    long, short = track((0, down()), (1920, up())), track((480, down()), (960, up()))
    assert spans(tmp_path, header(tracks=2) + long + short) == [(60, 0, 4), (60, 1, 2)]
    assert read_midi_frames(tmp_path / "a.mid").frames == ((60,),) * 4


def test_an_end_in_another_track_counts_where_the_own_track_has_none(tmp_path):
    content = header(tracks=2) + track((0, down()), end=1920) + track((480, up()))
    assert spans(tmp_path, content) == [(60, 0, 1)]


def test_a_key_struck_again_without_an_end_begins_a_new_note(tmp_path):
    twice = track((0, down()), (480, down()), (960, up()), (1920, down()), (2400, up()))
    assert spans(tmp_path, header() + twice) == [(60, 0, 1), (60, 1, 2), (60, 4, 5)]


def test_a_note_that_never_ends_sounds_to_the_end(tmp_path):
    assert spans(tmp_path, header() + track((480, down()), end=1920)) == [(60, 1, 4)]


@pytest.mark.parametrize("order", ["end first", "beginning first"])
def test_a_note_that_follows_at_the_same_tick(tmp_path, order):
    middle = [(480, up()), (480, down())]
    if order == "beginning first":
        middle.reverse()
    assert spans(tmp_path, header() + track((0, down()), *middle, (960, up()))) == [(60, 0, 1), (60, 1, 2)]


def test_a_note_on_without_velocity_ends_a_note_under_running_status_too(tmp_path):
    running = track((0, down()), (480, bytes([60, 0])), (480, bytes([62, 9])), (960, bytes([62, 0])))
    assert spans(tmp_path, header() + running) == [(60, 0, 1), (62, 1, 2)]


@pytest.mark.parametrize("controller", [120, 123, 124, 125, 126, 127])
def test_controllers_that_end_all_notes_of_their_channel(tmp_path, controller):
    silence = bytes([0xB0, controller, 0])
    one = track((0, down()), (0, down(64)), (0, down(67, 1)), (480, silence), (960, up()), (1920, up(67, 1)))
    assert spans(tmp_path, header() + one) == [(60, 0, 1), (64, 0, 1), (67, 0, 4)]


def test_the_tracks_of_type_2_follow_each_other_from_whole_beats(tmp_path):
    content = header(2, 2) + track((0, down()), (480, up()), end=700) + track((0, down(62)), (480, up(62)))
    assert spans(tmp_path, content) == [(60, 0, 1), (62, 2, 3)]


def test_unknown_chunks_longer_headers_and_what_follows_the_tracks_are_passed_over(tmp_path):
    strange = b"XFIH" + struct.pack(">L", 3) + b"abc"
    one, two = track((0, down()), (480, up())), track((0, down(62)), (480, up(62)))
    content = header(tracks=2, more=b"\1\2") + strange + one + strange + two + b"\0\0\0"
    assert spans(tmp_path, content) == [(60, 0, 1), (62, 0, 1)]


def test_a_file_in_a_riff_wrapper(tmp_path):
    inner = header() + track((0, down()), (480, up()))
    wrapped = (
        b"RIFF" + struct.pack("<L", len(inner) + 12) + b"RMIDdata" + struct.pack("<L", len(inner)) + inner
    )
    assert spans(tmp_path, wrapped) == [(60, 0, 1)]


@pytest.mark.parametrize(("frames", "second"), [(24, 960), (25, 1000), (30, 1200)])
def test_time_in_frames_of_film(tmp_path, frames, second):
    content = header(division=(-frames << 8) | 40) + track((0, down()), (second, up()))
    # Half a second is a beat.
    assert spans(tmp_path, content) == [(60, 0, 2)]


def test_tempo_and_metre_are_those_at_the_first_note(tmp_path):
    def tempo(beats):
        return b"\xff\x51\x03" + round(6e7 / beats).to_bytes(3, "big")

    later = track((0, tempo(90)), (480, tempo(60)), (480, down()), (960, tempo(200)), (960, up()))
    (tmp_path / "a.mid").write_bytes(header() + later)
    assert read_score(tmp_path / "a.mid").tempo == pytest.approx(60)
    (tmp_path / "a.mid").write_bytes(header() + track((0, down()), (960, tempo(200)), (960, up())))
    assert read_score(tmp_path / "a.mid").tempo == 120
    waltz = track((0, b"\xff\x58\x04\x06\x03\x18\x08"), (0, down()), (480, up()))
    (tmp_path / "a.mid").write_bytes(header() + waltz)
    assert read_score(tmp_path / "a.mid").beats_per_bar == 3


def test_a_song_whose_notes_touch_at_one_tick_is_read_back(tmp_path):
    touching = track((0, down()), (480, down()), (480, up()), (960, up()))
    (tmp_path / "a.mid").write_bytes(header() + touching)
    assert read_midi(tmp_path / "a.mid") == ["c4", "c4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(kind=3) + track(), "expected type 0, 1 or 2, got 3"),
        (header(division=0) + track(), "0 ticks in a beat"),
        (header(division=(-7 << 8) | 40) + track(), "7 frames per second"),
        (header(tracks=2) + track(), "cut short: 1 of 2 tracks"),
        (header() + track()[:-2], "cut short"),
        (b"MThd\0\0\0\2\0\1", "does not begin with a MIDI header"),
        (header() + b"MTrk\0\0\0\1\0", "not a readable MIDI file"),
    ],
)
def test_damage_is_named(tmp_path, content, message):
    (tmp_path / "a.mid").write_bytes(content)
    for read in (read_score, read_midi, read_midi_frames):
        with pytest.raises(FileFormatError, match=message):
            read(tmp_path / "a.mid")


def test_what_is_not_a_file_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="expected a file, got the folder"):
        read_midi(tmp_path)
    for text in ("a" * 5000, "a\0b"):
        with pytest.raises(MissingFileError, match="there is no file 'a"):
            read_midi(text)


NOTES = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 2), st.integers(58, 62), st.integers(0, 40), st.integers(1, 20)
    ),
    max_size=30,
)


@given(NOTES)
@settings(max_examples=60, deadline=None)
def test_notes_are_those_that_another_reader_finds(tmp_path_factory, notes):
    """Several tracks on few channels and pitches, beside symusic, which pairs notes track by track."""
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    for number in range(4):
        events = []
        for place, (where, channel, pitch, start, length) in enumerate(notes):
            if where == number:
                sound = {"channel": channel, "note": pitch}
                # Ends before beginnings at one tick; symusic has no notes that begin and end at one.
                events.append((start, 1, place, mido.Message("note_on", velocity=64, **sound)))
                events.append((start + length, 0, place, mido.Message("note_off", **sound)))
        now, messages = 0, mido.MidiTrack()
        for tick, _, _, message in sorted(events, key=lambda event: event[:3]):
            messages.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(messages)
    file.save(path)
    other = symusic.Score(str(path))
    expected = sorted(
        (note.pitch, note.start, note.start + note.duration) for one in other.tracks for note in one.notes
    )
    found = sorted(
        (note.pitch, round(note.start * TICKS), round(note.end * TICKS)) for note in read_score(path).notes
    )
    assert found == expected
