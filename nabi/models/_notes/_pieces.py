"""Pieces of music for a network of notes: read from where they are, cut into excerpts, put into batches."""

import hashlib
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nabi import _checks
from nabi.data import KEYS, MidiFolder, Piece, read_midi_folder, roll_of
from nabi.errors import ArgumentError, UnknownNameError

__all__ = [
    "Batch",
    "Excerpt",
    "Label",
    "Rolls",
    "all_labels",
    "batch_of",
    "excerpts",
    "number_of",
    "read_pieces",
    "shifts_for",
    "split",
    "to_rolls",
]

Label = str | int

_SHARE_OF_SILENCE, _SHARE_OF_FRAMES = 0.01, 0.999  # for the numbers of keys that sound at once


class Rolls(NamedTuple):
    """Pieces as a network reads them."""

    rolls: tuple[Tensor, ...]
    """Each `[T, 88]` of bytes: 1 where a key sounds."""
    labels: Tensor | None
    """`[N]`, the number of each piece's label; None without labels."""

    @property
    def frames(self) -> int:
        """Of all pieces together."""
        return sum(len(roll) for roll in self.rolls)

    def keys_at_once(self) -> tuple[int, int]:
        """Return how many keys sound in a frame, at least and at most, but for a few frames.

        At least is 1 where fewer than one frame in a hundred is silent, else 0; at most is what 999 of 1,000
        frames keep to.
        """
        counts = torch.cat([roll.sum(1, dtype=torch.int64) for roll in self.rolls])
        fewest = 0 if float((counts == 0).double().mean()) >= _SHARE_OF_SILENCE else 1
        ranked = counts.sort().values
        most = int(ranked[min(int(_SHARE_OF_FRAMES * len(ranked)), len(ranked) - 1)])
        return fewest, max(most, 1)

    def fingerprint(self) -> bytes:
        """Return something that other pieces have otherwise."""
        digest = hashlib.sha256()
        for roll in self.rolls:
            digest.update(len(roll).to_bytes(8, "little") + roll.numpy().tobytes())
        if self.labels is not None:
            digest.update(self.labels.numpy().tobytes())
        return digest.digest()


def read_pieces(
    source: Any, labels: Any, steps_per_beat: int | None, name: str
) -> tuple[list[Piece], MidiFolder | None]:
    """Return the pieces of a folder of MIDI files, and what else there is to say of it, or those of a list.

    Args:
        source: the folder's path, or a list of pieces: `Piece`s or lists of frames.
        labels: of a list: one for each piece; None for those of the `Piece`s.
        steps_per_beat: of the frames that are read from MIDI files.
        name: what the source is, for messages.

    Raises:
        ArgumentError: for something else, for pieces without frames, for labels that only some have.
        MissingFileError: if there is no such folder.
    """
    if isinstance(source, str | os.PathLike):
        if labels is not None:
            raise ArgumentError(f"labels: {name} is a folder; its pieces have the names of their folders")
        folder = read_midi_folder(_checks.path(name, source), steps_per_beat)
        return list(folder.pieces), folder
    if not isinstance(source, Sequence) or not source:
        raise ArgumentError(
            f"{name}: expected the path of a folder of MIDI files, or a list of pieces, each a list of "
            f"frames, got {type(source).__name__ if not isinstance(source, Sequence) else 'nothing'}"
        )
    pieces = [
        _piece(piece if isinstance(piece, Piece) else Piece(piece), f"{name}[{number}]")
        for number, piece in enumerate(source)
    ]
    if labels is not None:
        given = list(labels)
        if len(given) != len(pieces):
            raise ArgumentError(f"labels: {len(given)} were given for {len(pieces)} pieces")
        pieces = [Piece(piece.frames, label) for piece, label in zip(pieces, given, strict=True)]
    for number, piece in enumerate(pieces):
        label = piece.label
        if label is not None and not isinstance(label, str):
            label = _checks.whole(f"labels[{number}]", label, None, otherwise=" or a name")
            pieces[number] = Piece(piece.frames, label)
        if not piece.frames:
            raise ArgumentError(f"{name}[{number}]: the piece has no frames")
    with_label = sum(piece.label is not None for piece in pieces)
    if with_label not in (0, len(pieces)):
        raise ArgumentError(
            f"{name}: {with_label} of {len(pieces)} pieces have a label, expected all or none"
        )
    return pieces, None


def _piece(piece: Piece, name: str) -> Piece:
    """The piece with its frames counted, which may have been an iterator."""
    try:
        return Piece(tuple(piece.frames), piece.label)
    except TypeError as problem:
        raise ArgumentError(f"{name}: expected a list of frames, got {piece.frames!r}") from problem


def all_labels(pieces: Sequence[Piece]) -> tuple[Label, ...]:
    """Return the labels of pieces, each once: numbers first, then names."""
    found = {piece.label for piece in pieces if piece.label is not None}
    return tuple(sorted(found, key=lambda label: (isinstance(label, str), label)))


def to_rolls(pieces: Sequence[Piece], labels: Sequence[Label], name: str) -> Rolls:
    """Return pieces as a network reads them that knows these labels.

    Raises:
        ArgumentError: for pitches that are no keys; for labels that are missing or too many.
        UnknownNameError: for a label that is not known.
    """
    rolls = tuple(
        torch.from_numpy(roll_of(piece.frames, f"{name}[{number}]")) for number, piece in enumerate(pieces)
    )
    if not labels:
        extra = [piece.label for piece in pieces if piece.label is not None]
        if extra:
            raise ArgumentError(f"{name}: it has the label {extra[0]!r}, but nothing was learnt of labels")
        return Rolls(rolls, None)
    numbers = [number_of(piece.label, labels) for piece in pieces]
    return Rolls(rolls, torch.tensor(numbers, dtype=torch.int64))


def number_of(label: object, labels: Sequence[Label]) -> int:
    """Return which of the labels it is.

    Raises:
        ArgumentError: if there is none, though the model knows some, or the other way round.
        UnknownNameError: for one that is not known.
    """
    known = ", ".join(map(repr, labels[:20])) + (", ..." if len(labels) > 20 else "")
    if not labels:
        raise ArgumentError(f"label: expected None, got {label!r}; the model has learnt no labels")
    if label is None:
        raise ArgumentError(f"label: expected one of {known}, got None")
    for number, one in enumerate(labels):
        # True == 1 for Python, and on a command line a number is a text.
        if type(one) is type(label) and one == label:
            return number
    raise UnknownNameError(f"label: expected one of {known}, got {label!r}")


def split(
    pieces: Sequence[Piece], validation_share: float, test_share: float, seed: int
) -> tuple[list[Piece], list[Piece], list[Piece]]:
    """Divide pieces at random into some to learn from, to validate and to test with.

    Raises:
        ArgumentError: for shares that are none, or leave nothing to learn from.
    """
    for name, share in (("validation_share", validation_share), ("test_share", test_share)):
        _checks.rate(name, share)
    counts = [round(share * len(pieces)) for share in (validation_share, test_share)]
    if sum(counts) >= len(pieces):
        raise ArgumentError(
            f"source: its {len(pieces)} pieces leave none to learn from beside {counts[0]} for validation "
            f"and {counts[1]} for the test; take more pieces, or smaller shares"
        )
    order = torch.randperm(len(pieces), generator=torch.Generator().manual_seed(seed)).tolist()
    validation, test, train = order[: counts[0]], order[counts[0] : sum(counts)], order[sum(counts) :]
    return tuple([pieces[number] for number in sorted(part)] for part in (train, validation, test))  # type: ignore[return-value]


class Excerpt(NamedTuple):
    """A part of a piece, or all of it: places from `begin` to before `end`.

    A piece of T frames has T + 1 places, at each of which a network says what comes: T frames, then the end.
    """

    piece: int
    begin: int
    end: int


def excerpts(lengths: Sequence[int], window: int, generator: torch.Generator) -> list[Excerpt]:
    """Cut pieces of so many frames into excerpts of at most `window` places: as few as there can be.

    Long pieces are cut elsewhere each time: the first excerpt is as short as chance will have it.
    """
    found = []
    for piece, length in enumerate(lengths):
        places = length + 1
        shortest = (places - 1) % window + 1
        first = window
        if places > window:
            first = int(torch.randint(shortest, window + 1, (), generator=generator))
        cuts = [0, *range(first, places, window), places]
        found += [Excerpt(piece, begin, end) for begin, end in pairwise(cuts)]
    return found


class Batch(NamedTuple):
    """Excerpts side by side, padded with zeros."""

    frames: Tensor
    """`[B, T, 88]`: what sounded before each place; zeros before the first frame."""
    targets: Tensor
    """`[B, T, 88]`: what sounds there."""
    sounding: Tensor
    """`[B, T]`: 1 where there is a frame, 0 at the end of a piece and in padding."""
    ends: Tensor
    """`[B, T]`: 1 where the piece has ended."""
    lengths: Tensor
    """`[B]`: how many places count."""
    labels: Tensor | None


def batch_of(rolls: Rolls, chosen: Sequence[Excerpt], shifts: Sequence[int] | None = None) -> Batch:
    """Put excerpts side by side, each transposed by so many semitones."""
    longest = max(end - begin for _, begin, end in chosen)
    frames = torch.zeros(len(chosen), longest + 1, KEYS)
    sounding = torch.zeros(len(chosen), longest)
    ends = torch.zeros(len(chosen), longest)
    for row, (piece, begin, end) in enumerate(chosen):
        if begin == end:
            continue
        roll = rolls.rolls[piece]
        # The frame before the excerpt goes in front; there is none before the first.
        first, last = max(begin - 1, 0), min(end, len(roll))
        part = roll[first:last]
        if shifts is not None:
            part = part.roll(shifts[row], 1)
        at = 1 if begin == 0 else 0
        frames[row, at : at + len(part)] = part
        sounding[row, : last - begin] = 1
        if end > len(roll):
            ends[row, end - 1 - begin] = 1
    lengths = torch.tensor([end - begin for _, begin, end in chosen])
    labels = None if rolls.labels is None else rolls.labels[[piece for piece, _, _ in chosen]]
    return Batch(frames[:, :-1], frames[:, 1:], sounding, ends, lengths, labels)


def shifts_for(rolls: Rolls, chosen: Sequence[Excerpt], most: int, generator: torch.Generator) -> list[int]:
    """Draw by how many semitones each excerpt is transposed: up to `most` down or up, as far as keys go."""
    if not most:
        return [0] * len(chosen)
    drawn = torch.randint(-most, most + 1, (len(chosen),), generator=generator).tolist()
    shifts = []
    for (piece, _, _), shift in zip(chosen, drawn, strict=True):
        keys = rolls.rolls[piece].any(0).nonzero().flatten().tolist() or [KEYS // 2]
        shifts.append(max(-keys[0], min(shift, KEYS - 1 - keys[-1])))
    return shifts
