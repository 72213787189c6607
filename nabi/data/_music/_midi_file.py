"""The notes of a Standard MIDI File, as a synthesiser would play them.

This module parses the chunks of the file, mido the events in them. Reference: Standard MIDI Files 1.0 (MIDI
Manufacturers Association, RP-001): types 0, 1 and 2, longer headers, unknown chunk types, time in beats or
in film frames (SMPTE).
"""

import io
import os
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nabi.data._text_files import check_file
from nabi.errors import FileFormatError

__all__ = ["MidiNote", "MidiScore", "read_score"]

_LARGEST = 1 << 24  # bytes; the longest symphonies have a sixteenth of it
_DEFAULT_TEMPO = 120.0
# Controllers that end all notes of their channel: all sound off, all notes off, the four mode changes.
_ENDS_ALL_NOTES = (120, *range(123, 128))


class MidiNote(NamedTuple):
    """A note; `start` and `end` in beats (crotchets)."""

    channel: int
    pitch: int
    start: float
    end: float


class MidiScore(NamedTuple):
    """The contents of a file: notes sorted by start and pitch, beats per minute, crotchets per bar."""

    notes: tuple[MidiNote, ...]
    tempo: float
    beats_per_bar: int


class _Event(NamedTuple):
    """A key press or release; `pitch` is None for the release of all keys of the channel."""

    tick: int
    track: int
    channel: int
    pitch: int | None
    down: bool


def read_score(path: str | os.PathLike[str]) -> MidiScore:
    """Read the notes of a MIDI file.

    Each note-off ends one note of its track, channel and pitch: the earliest that still sounds. A note-on
    without a note-off in its own track takes one from another track. A note that never ends sounds until the
    same key is struck again, or to the end of the music. The tracks of a type 2 file are independent pieces;
    they are played one after another, each starting on a whole beat. In a file that counts film frames
    (SMPTE) instead of beats, a beat is half a second.

    Raises:
        ArgumentError: for a folder, or anything else that is not a file.
        MissingFileError: if the file does not exist.
        FileFormatError: if it is damaged or not a MIDI file.
    """
    place = Path(path)
    kind, ticks_per_beat, tracks = _tracks(place, _content(place))
    if kind == 2:
        tracks = _one_after_another(tracks, ticks_per_beat)
    events, tempos, bars, last = _events(tracks)
    ticks = _paired(events, last)
    notes = sorted(
        (
            MidiNote(channel, pitch, start / ticks_per_beat, end / ticks_per_beat)
            for channel, pitch, start, end in ticks
        ),
        key=lambda note: (note.start, note.pitch, note.channel, note.end),
    )
    first = min((start for _, _, start, _ in ticks), default=0)
    return MidiScore(tuple(notes), _at(tempos, first, _DEFAULT_TEMPO), _at(bars, first, 4))


def _content(place: Path) -> bytes:
    check_file(place)
    try:
        with place.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as problem:
        raise FileFormatError(f"path: {place} cannot be read: {problem.strerror}") from problem
    if len(content) > _LARGEST:
        raise FileFormatError(f"path: {place} is larger than {_LARGEST >> 20} MiB, too large for a MIDI file")
    return content


def _tracks(place: Path, content: bytes) -> tuple[int, float, list[list[Any]]]:
    """Return the file type, the ticks per beat, and the events of each track with their absolute ticks."""
    import mido
    from mido.midifiles.meta import KeySignatureError

    def damaged(what: object) -> FileFormatError:
        return FileFormatError(f"path: {place} is not a readable MIDI file ({what})")

    chunks = _chunks(content)
    try:
        name, header = next(chunks, (b"", b""))
        if name != b"MThd" or len(header) < 6:
            raise damaged("it does not begin with a MIDI header")
        kind, announced, division = struct.unpack(">HHh", header[:6])
        if kind > 2:
            raise damaged(f"expected type 0, 1 or 2, got {kind}")
        bodies: list[bytes] = []
        while len(bodies) < announced:
            name, body = next(chunks, (b"", b""))
            if not name:
                raise damaged(f"cut short: {len(bodies)} of {announced} tracks")
            if name == b"MTrk":
                bodies.append(body)
    except EOFError as problem:
        raise damaged("cut short") from problem
    if division == 0:
        raise damaged("0 ticks in a beat")
    ticks_per_beat = float(division)
    if division < 0:
        frames, ticks = -(division >> 8), division & 0xFF
        if frames not in (24, 25, 29, 30) or ticks == 0:
            raise damaged(f"{frames} frames per second of {ticks} ticks")
        ticks_per_beat = (30000 / 1001 if frames == 29 else frames) * ticks * 60 / _DEFAULT_TEMPO
    # Reassemble the file without the chunks that mido cannot read.
    clean = struct.pack(">4sLHHh", b"MThd", 6, 1, len(bodies), 480)
    clean += b"".join(struct.pack(">4sL", b"MTrk", len(body)) + body for body in bodies)
    try:
        file = mido.MidiFile(file=io.BytesIO(clean), clip=True)
    except (
        OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, KeySignatureError,
    ) as problem:  # fmt: skip
        raise damaged(str(problem) or type(problem).__name__) from problem
    return kind, ticks_per_beat, [list(_from_the_start(track)) for track in file.tracks]


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of each chunk; raise `EOFError` if the last one is cut short."""
    place = 0
    if content[:4] == b"RIFF" and content[8:16] == b"RMIDdata":
        place = 20  # a MIDI file in a RIFF container
    while place + 8 <= len(content):
        name, size = struct.unpack_from(">4sL", content, place)
        place += 8
        if place + size > len(content):
            raise EOFError
        yield name, content[place : place + size]
        place += size


def _from_the_start(track: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    now = 0
    for message in track:
        now += message.time
        yield now, message


def _one_after_another(tracks: list[list[Any]], ticks_per_beat: float) -> list[list[Any]]:
    moved, begin = [], 0
    for track in tracks:
        moved.append([(begin + tick, message) for tick, message in track])
        if track:
            beats = -(-track[-1][0] // ticks_per_beat)
            begin += round(beats * ticks_per_beat)
    return moved


def _events(
    tracks: list[list[Any]],
) -> tuple[list[_Event], list[tuple[int, float]], list[tuple[int, int]], int]:
    """Return the key events by time, the tempo changes (beats per minute) and bar changes, the last tick."""
    import mido

    events: list[_Event] = []
    tempos: list[tuple[int, float]] = []
    bars: list[tuple[int, int]] = []
    last = 0
    for number, track in enumerate(tracks):
        for tick, message in track:
            last = max(last, tick)
            if message.type == "set_tempo" and message.tempo > 0:
                tempos.append((tick, mido.tempo2bpm(message.tempo)))
            elif message.type == "time_signature":
                bars.append((tick, max(1, round(4 * message.numerator / message.denominator))))
            elif message.type in ("note_on", "note_off"):
                down = message.type == "note_on" and message.velocity > 0
                events.append(_Event(tick, number, message.channel, message.note, down))
            elif message.type == "control_change" and message.control in _ENDS_ALL_NOTES:
                events.append(_Event(tick, number, message.channel, None, False))
    # The sort is stable: events at the same tick stay in file order.
    return sorted(events, key=lambda event: event.tick), tempos, bars, last


def _at(changes: list[tuple[int, Any]], tick: int, default: Any) -> Any:
    """Return the value in effect at `tick`: the last change up to it."""
    held = [change for change in sorted(changes, key=lambda change: change[0]) if change[0] <= tick]
    return held[-1][1] if held else default


def _paired(events: list[_Event], last: int) -> list[tuple[int, int, int, int]]:
    """Return the channel, pitch, first and last tick of every note."""
    everything_up = defaultdict(list)
    own: defaultdict[tuple[int, int, int], list[_Event]] = defaultdict(list)
    for event in events:
        if event.pitch is None:
            everything_up[event.channel].append(event.tick)
        else:
            own[event.track, event.channel, event.pitch].append(event)
    found: list[tuple[int, int, int, int]] = []
    shared: defaultdict[tuple[int, int], list[_Event]] = defaultdict(list)
    struck: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for (_, channel, pitch), keys in own.items():
        spans, rest = _matched(keys)
        found += [(channel, pitch, *span) for span in spans]
        shared[channel, pitch] += rest
        struck[channel, pitch] += [event.tick for event in keys if event.down]
    for (channel, pitch), keys in shared.items():
        # At the same tick an end comes before a beginning: it belongs to an earlier note.
        spans, rest = _matched(sorted(keys, key=lambda event: (event.tick, event.down)))
        found += [(channel, pitch, *span) for span in spans]
        later = sorted(struck[channel, pitch])
        for event in rest:
            if event.down:
                again = _next(later, event.tick, last)
                found.append((channel, pitch, event.tick, again))
    return [
        (channel, pitch, start, min(end, _next(everything_up[channel], start, end)))
        for channel, pitch, start, end in found
    ]


def _next(ticks: list[int], tick: int, default: int) -> int:
    """Return the first of the sorted `ticks` after `tick`."""
    place = bisect_right(ticks, tick)
    return ticks[place] if place < len(ticks) else default


def _matched(keys: list[_Event]) -> tuple[list[tuple[int, int]], list[_Event]]:
    """Match key presses and releases into notes; return their first and last ticks and the unmatched events.

    Which presses have a release is decided as with brackets, each release closing the nearest press before
    it: a key struck twice and released once sounds from the second press. Among the matched ones, the
    earliest press takes the earliest release.
    """
    open_keys: list[_Event] = []
    starts: list[int] = []
    ends: list[int] = []
    rest: list[_Event] = []
    for event in keys:
        if event.down:
            open_keys.append(event)
        elif open_keys:
            starts.append(open_keys.pop().tick)
            ends.append(event.tick)
        else:
            rest.append(event)
    rest = sorted([*rest, *open_keys], key=lambda event: event.tick)
    return list(zip(sorted(starts), sorted(ends), strict=True)), rest
