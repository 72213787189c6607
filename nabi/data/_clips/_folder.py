"""A folder of clips with their labels."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._clips._frames import MOST_FRAMES, clip_frames, is_clip, natural
from nabi.data._tables._tables import read_table, table_columns
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, NabiError

__all__ = ["Clips", "find_clips", "keep_readable_clips", "read_clips"]

_TABLE = "labels.csv"
_NAMES = {
    "clip": ("clip", "file", "video", "name", "path"),
    "label": ("label", "class"),
    "group": ("group",),
}
_SHOWN = 5


class LabelledPaths(NamedTuple):
    """Where clips are, and what they are labelled with; nothing of them is read yet."""

    paths: list[Path]
    labels: list[str]
    groups: list[str] | None
    """What belongs together, from the column group of labels.csv; None if there is none."""
    skipped: tuple[str, ...]
    """Rows of labels.csv that name no clip or label, and what is wrong with them."""


class Clips(NamedTuple):
    """Clips in one size, with their labels."""

    clips: list[npt.NDArray[np.uint8]]
    """Each `[T, size, size, 3]`, red, green and blue from 0 to 255."""
    labels: list[str]
    names: tuple[str, ...]
    """The path of each, within the folder."""
    groups: list[str] | None
    """What belongs together; None if nothing was said of it."""
    sizes: dict[tuple[int, int], int]
    """How many of the clips had frames of a width and height."""
    thinned: int
    """How many clips had more frames than were wanted."""
    skipped: tuple[str, ...]
    """The reason for each clip that was left out."""


def find_clips(folder: str | os.PathLike[str]) -> LabelledPaths:
    """Find the clips of a folder.

    A file `labels.csv` in it names clips and labels. Without one, each folder inside is a class, and what is
    inside of that is its clips: folders of images, animated images, video files.

    Raises:
        ArgumentError: if there is no such folder, or no clip in it.
        FileFormatError, UnknownNameError: for a damaged labels.csv, or one without the columns.
    """
    root = _checks.path("folder", folder)
    if not root.is_dir():
        raise ArgumentError(f"folder: expected the folder of the clips, got {root}")
    table = root / _TABLE
    found = _of_table(root, table) if table.is_file() else _of_folders(root)
    if not found.paths:
        loose = sum(1 for one in root.iterdir() if is_clip(one))
        what = f", only {loose} files beside each other" if loose else ""
        raise ArgumentError(
            f"folder: expected in {root} a folder for each class with clips in it, or {_TABLE} with the "
            f"columns clip and label, got no clips{what}"
        )
    return found


@public
def read_clips(folder: str | os.PathLike[str], size: int, *, frames: int = MOST_FRAMES) -> Clips:
    """Read a folder of labelled clips.

    Either the folder has a folder for each class, with the clips of the class in it; or it has a table
    `labels.csv` with the columns clip (a path within the folder) and label, and if wanted group (clips of a
    group, such as those cut from one recording, are never divided between training and validation). A clip
    is what `read_clip` reads.

    Clips that cannot be read, and those with a single frame, are left out; `skipped` says why.

    Args:
        folder: the folder.
        size, frames: see `read_clip`.

    Raises:
        ArgumentError: if there is no such folder or no clip in it, and if half of the clips or more cannot
            be used; the message names some.
        FileFormatError, UnknownNameError: for a damaged labels.csv, or one without the columns.
    """
    found = find_clips(folder)
    root = _checks.path("folder", folder)
    names = [
        path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path) for path in found.paths
    ]
    read = keep_readable_clips("folder", found.paths, names, size, frames, found.skipped)
    return Clips(
        read.clips,
        [found.labels[row] for row in read.rows],
        tuple(names[row] for row in read.rows),
        None if found.groups is None else [found.groups[row] for row in read.rows],
        read.sizes,
        read.thinned,
        read.skipped,
    )


class ReadableClips(NamedTuple):
    """Clips that can be used."""

    clips: list[npt.NDArray[np.uint8]]
    rows: list[int]
    """The place of each in what was given."""
    sizes: dict[tuple[int, int], int]
    thinned: int
    skipped: tuple[str, ...]


def keep_readable_clips(
    name: str,
    clips: Sequence[Any],
    names: Sequence[str],
    size: int,
    frames: int,
    skipped: Sequence[str] = (),
) -> ReadableClips:
    """Read clips, files or arrays, and leave out files that cannot be used.

    Args:
        name: of the argument, for messages.
        clips: paths or arrays.
        names: of the clips, for messages about arrays.
        size, frames: see `read_clip`.
        skipped: what was left out before.

    Raises:
        ArgumentError, ShapeError: for an array that is no clip, and if half of all or more is left out.
    """
    kept, rows, problems, thinned = [], [], list(skipped), 0
    sizes: Counter[tuple[int, int]] = Counter()
    for row, clip in enumerate(clips):
        try:
            found = clip_frames(names[row], clip, size, frames)
        except NabiError as problem:
            # Without the package that reads videos, none of them can be read.
            if isinstance(problem, FileFormatError | MissingFileError):
                problems.append(str(problem).removeprefix("path: "))
                continue
            raise
        kept.append(found.frames)
        rows.append(row)
        sizes.update(found.sizes)
        thinned += found.total > len(found.frames)
    total = len(clips) + len(skipped)
    if total and 2 * len(problems) >= total:
        shown = "; ".join(problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ArgumentError(f"{name}: {len(problems)} of {total} clips cannot be used: {shown}{more}")
    return ReadableClips(kept, rows, dict(sizes), thinned, tuple(problems))


def _of_folders(root: Path) -> LabelledPaths:
    """A folder for each class."""
    paths, labels = [], []
    for folder in _visible(root):
        if not folder.is_dir():
            continue
        for one in _visible(folder):
            if one.is_dir() or is_clip(one):
                paths.append(one)
                labels.append(folder.name)
    return LabelledPaths(paths, labels, None, ())


def _visible(folder: Path) -> list[Path]:
    found = (one for one in folder.iterdir() if one.name[0] not in "._")
    return sorted(found, key=lambda one: natural(one.name))


def _of_table(root: Path, table: Path) -> LabelledPaths:
    """A table of clips and labels."""
    columns = table_columns(table)
    chosen = {}
    for what, known in _NAMES.items():
        name = next((one for one in columns if one.strip().lower() in known), None)
        if name is None and what != "group":
            raise ArgumentError(
                f"{table}: expected the columns clip and label, got {', '.join(columns)}; none of them is "
                f"called {' or '.join(known)}"
            )
        chosen[what] = name
    rows = read_table(table, [name for name in chosen.values() if name is not None])
    values = {
        what: [("" if one is None else str(one)).strip() for one in rows[name]]
        for what, name in chosen.items()
        if name is not None
    }
    paths, labels, groups, skipped = [], [], [], []
    for row, (clip, label) in enumerate(zip(values["clip"], values["label"], strict=True)):
        if not clip or not label:
            skipped.append(f"{table}, row {row + 1} has no {'label' if clip else 'clip'}")
            continue
        paths.append(root / clip)
        labels.append(label)
        # A clip without a group is one by itself.
        groups.append(values["group"][row] or f"row {row + 1}" if "group" in values else "")
    return LabelledPaths(paths, labels, groups if "group" in values else None, tuple(skipped))
