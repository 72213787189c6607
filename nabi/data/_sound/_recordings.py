"""A folder of recordings with a label or a text each."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nabi import _checks
from nabi._public import public
from nabi.data._sound._resampling import resample
from nabi.data._sound._sounds import OTHER_SOUNDS, Sound, read_sound
from nabi.data._sound._wav_format import Samples
from nabi.data._tables._tables import read_table, table_columns
from nabi.errors import ArgumentError, MissingFileError, NabiError

__all__ = ["Recordings", "read_recordings", "sound_files"]

_SUFFIXES = (".wav", ".wave", *OTHER_SOUNDS)
_FILE, _LABEL, _TEXT = ("file", "path", "filename"), ("label", "class"), ("text", "transcript")
_GROUP = ("group", "speaker")
_SHOWN = 5
_HIGHEST_RATE = 16_000
"""Speech has nearly nothing that matters above half of it."""


@dataclass(frozen=True)
class Recordings:
    """What was read of a folder."""

    samples: list[Samples]
    """Of each recording, float32 `[N]` from -1 to 1 at `rate`."""
    labels: list[str]
    """Of each, in the same order: a label, or a text if `texts`."""
    groups: list[str] | None
    """Of each, such as its speaker; None if nothing says so."""
    files: list[Path]
    rate: int
    """Samples per second of all."""
    texts: bool
    """Whether the labels are texts that are spoken, of any number of words."""
    skipped: tuple[str, ...]
    """What is wrong with each recording that was left out."""
    notes: tuple[str, ...]
    """What was changed: stereo to mono, another rate."""

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: Sequence[int]) -> "Recordings":
        """Return some of the recordings."""
        return replace(
            self,
            samples=[self.samples[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            groups=self.groups and [self.groups[row] for row in rows],
            files=[self.files[row] for row in rows],
        )


class _Wanted(NamedTuple):
    """A file to read; `problem` says what is wrong before it is opened."""

    path: Path
    label: str
    group: str | None
    problem: str = ""


@public
def sound_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the sound files in a folder and its subfolders, by their suffix, sorted.

    Raises:
        MissingFileError: if there is no such folder.
    """
    place = _checks.path("folder", folder)
    if not place.is_dir():
        raise MissingFileError(f"folder: there is no folder {place}")
    return sorted(path for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


@public
def read_recordings(
    folder: str | os.PathLike[str],
    label_from: str | os.PathLike[str] = "name",
    *,
    label_pattern: str | None = None,
    group_pattern: str | None = None,
    rate: int | None = None,
) -> Recordings:
    """Read all recordings of a folder and its subfolders, with their labels.

    Files that are empty, cut short, no sound files or of length 0 are left out and named in `skipped`. Stereo
    becomes mono, and all recordings get one rate; `notes` says how many were changed.

    Args:
        folder: of the recordings.
        label_from: where labels are: "name", the file name up to the first `_` or `-`; "folder", the
            top-level subfolder; or a table with the columns `file` (relative to the folder) and `label`, or
            `text` if several words are spoken. It may have a column `group` or `speaker`.
        label_pattern: with "name", a regular expression whose group is the label in the name without its
            suffix.
        group_pattern: a regular expression whose group is the speaker, or any other group that is to be held
            out as a whole, in the name without its suffix.
        rate: samples per second wanted. None: the commonest of the files, at most 16,000.

    Raises:
        MissingFileError: if the folder or the table does not exist.
        FileFormatError: if the table is damaged.
        ArgumentError: if there are no sound files, a file has no label or no group, the table lacks a column,
            a pattern is wrong, or at least half of the recordings cannot be used.

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from nabi.data import write_wav
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("yes_ann_0.wav", "no_ann_0.wav", "yes_bob_0.wav"):
    ...     write_wav(folder / name, np.sin(np.arange(800) / 3), 8000)
    >>> found = read_recordings(folder, group_pattern="_(.*)_")
    >>> found.labels, found.groups, found.rate
    (['no', 'yes', 'yes'], ['ann', 'ann', 'bob'], 8000)
    """
    place = _checks.path("folder", folder)
    if rate is not None:
        rate = _checks.whole("rate", rate, otherwise=" or None")
    group = _pattern("group_pattern", group_pattern)
    label = _pattern("label_pattern", label_pattern)
    if label is not None and label_from != "name":
        raise ArgumentError("label_pattern: expected None unless label_from is 'name'")
    texts = False
    if label_from in ("name", "folder"):
        wanted = list(_by_place(place, str(label_from), label, group))
    else:
        texts, wanted = _by_table(place, _checks.path("label_from", label_from), group)
    sounds: list[Sound] = []
    kept: list[_Wanted] = []
    skipped: list[str] = []
    for one in wanted:
        try:
            if one.problem:
                skipped.append(one.problem)
                continue
            sounds.append(read_sound(one.path))
            kept.append(one)
        except ArgumentError:
            raise  # soundfile is not installed: that is wrong with all of them
        except NabiError as problem:
            skipped.append(str(problem).removeprefix("path: "))
    if 2 * len(skipped) >= len(wanted):
        shown = "; ".join(skipped[:_SHOWN])
        more = f"; and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        raise ArgumentError(
            f"folder: {len(skipped)} of {len(wanted)} recordings of {place} cannot be used: {shown}{more}"
        )
    rates = Counter(sound.file_rate for sound in sounds)
    wished = rate or min(rates.most_common(1)[0][0], _HIGHEST_RATE)
    samples = [
        sound.samples if sound.file_rate == wished else resample(sound.samples, sound.file_rate, wished)
        for sound in sounds
    ]
    groups = [one.group for one in kept]
    named = [one for one in groups if one is not None]
    return Recordings(
        samples,
        [one.label for one in kept],
        named if len(named) == len(groups) else None,
        [one.path for one in kept],
        wished,
        texts,
        tuple(skipped),
        tuple(_notes(sounds, rates, wished)),
    )


def _by_place(
    place: Path, label_from: str, label: re.Pattern[str] | None, group: re.Pattern[str] | None
) -> Iterator[_Wanted]:
    """Yield the files of a folder with what their names and folders say."""
    files = sound_files(place)
    if not files:
        raise ArgumentError(
            f"folder: expected sound files (.wav, or {', '.join(OTHER_SOUNDS)}), got none in {place}"
        )
    for path in files:
        parts = path.relative_to(place).parts
        if label_from == "folder":
            if len(parts) == 1:
                raise ArgumentError(f"label_from: expected recordings in subfolders, got {path}")
            named = parts[0]
        elif label is not None:
            named = _found(label, path, "label_pattern")
        else:
            named = re.split("[_-]", path.stem)[0]
            if not named:
                raise ArgumentError(
                    f"label_from: expected a name that begins with the label, such as yes_1.wav, got {path}"
                )
        yield _Wanted(path, named, None if group is None else _found(group, path, "group_pattern"))


def _by_table(place: Path, table: Path, group: re.Pattern[str] | None) -> tuple[bool, list[_Wanted]]:
    """Return whether there are texts, and the files of a table."""
    if not place.is_dir():
        raise MissingFileError(f"folder: there is no folder {place}")
    if not table.suffix and not table.exists():
        raise ArgumentError(f"label_from: expected 'name', 'folder' or a table, got {str(table)!r}")
    names = table_columns(table)
    file = _column("file", _FILE, names, table)
    label = next((name for name in _LABEL if name in names), None)
    text = next((name for name in _TEXT if name in names), None)
    if label is None and text is None:
        raise ArgumentError(
            f"label_from: {table} needs a column 'label', or 'text' if several words are spoken; it has "
            f"{', '.join(names)}"
        )
    speaker = next((name for name in _GROUP if name in names), None)
    rows = read_table(table, [name for name in (file, label or text, speaker) if name])
    wanted = []
    for row, name in enumerate(rows[file]):
        path = place / str(name or "")
        where = f"{table}, row {rows.first_row + row}"
        said = rows[str(label or text)][row]
        value = "" if said is None else str(said).strip()
        if not name or not value:
            problem = f"{where} has no {'label' if name else 'file name'}"
            wanted.append(_Wanted(path, "", None, problem))
            continue
        if not path.is_file():
            wanted.append(_Wanted(path, "", None, f"{where}: there is no file {path}"))
            continue
        whose = None
        if group is not None:
            whose = _found(group, path, "group_pattern")
        elif speaker is not None:
            whose = str(rows[speaker][row])
        wanted.append(_Wanted(path, value, whose))
    if not wanted:
        raise ArgumentError(f"label_from: {table} has no rows")
    return label is None, wanted


def _column(argument: str, usual: Sequence[str], names: Sequence[str], table: Path) -> str:
    found = next((name for name in usual if name in names), None)
    if found is None:
        raise ArgumentError(
            f"label_from: {table} needs a column {argument!r} of file names; it has {', '.join(names)}"
        )
    return found


def _pattern(name: str, pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        made = re.compile(pattern)
    except re.error as problem:
        raise ArgumentError(f"{name}: {pattern!r} is not a regular expression: {problem}") from None
    if made.groups != 1:
        raise ArgumentError(
            f"{name}: expected a regular expression with one group in brackets, such as '_(.*)_', got "
            f"{pattern!r}"
        )
    return made


def _found(pattern: re.Pattern[str], path: Path, name: str) -> str:
    found = pattern.search(path.stem)
    if found is None or not found[1]:
        raise ArgumentError(f"{name}: {pattern.pattern!r} finds nothing in the name {path.stem!r} of {path}")
    return str(found[1])


def _notes(sounds: Sequence[Sound], rates: Counter[int], rate: int) -> Iterator[str]:
    several = sum(sound.channels > 1 for sound in sounds)
    if several:
        yield f"{several} of {len(sounds)} recordings have several channels: their mean is used"
    for other, count in sorted(rates.items()):
        if other != rate:
            yield f"{count} of {len(sounds)} recordings are resampled from {other} Hz to {rate} Hz"
