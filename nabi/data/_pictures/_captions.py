"""Pictures and their captions from a folder and a table."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._pictures._images import read_images
from nabi.data._tables._tables import read_table, table_columns
from nabi.errors import ArgumentError, unknown_name

__all__ = ["CaptionedImages", "keep_readable", "read_captioned_images"]

_IMAGE, _CAPTION = "image", "caption"
_SHOWN = 5


class CaptionedImages(NamedTuple):
    """Pictures, what is said of each, and what was left out."""

    images: npt.NDArray[np.uint8]
    """`[N, size, size, 3]`, red, green and blue from 0 to 255."""
    captions: list[str]
    """Of each picture; one with several captions is there several times."""
    skipped: tuple[str, ...]
    """What is wrong with each row that was passed over."""


@public
def read_captioned_images(
    folder: str | os.PathLike[str],
    table: str | os.PathLike[str],
    *,
    size: int,
    image: str | None = None,
    caption: str | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
) -> CaptionedImages:
    """Read pictures of a folder, with the captions that a table has for them.

    Rows whose picture is missing or damaged, or whose caption is empty, are passed over.

    Args:
        folder: in which the pictures are.
        table: a file that `read_table` reads, with a row for each caption. It may do without names of
            columns: if the first field is the name of a picture that is there, it has none.
        size: height and width of the pictures in pixels; see `read_image`.
        image: the column of file names, relative to the folder; "image" by default, or else the first.
        caption: the column of captions; "caption" by default, or else the second.
        encoding, separator, quoted: as `read_table` takes them.

    Raises:
        MissingFileError: if there is no such table.
        FileFormatError: if the table is damaged.
        ArgumentError: if there is no such folder, for a table without such columns, and where half of its
            rows or more cannot be used: it says how many, and names some.
    """
    place = _checks.path("folder", folder)
    if not place.is_dir():
        raise ArgumentError(f"folder: {place} is no folder, the folder of the pictures is expected")
    names = table_columns(table, encoding=encoding, separator=separator, quoted=quoted)
    columns = _choose(names, image, caption, table)
    rows = read_table(table, columns, encoding=encoding, separator=separator, quoted=quoted)
    files, captions = ([_text(value) for value in rows[column]] for column in columns)
    if image is None and columns[0] and (place / columns[0]).is_file():
        files, captions = [columns[0], *files], [columns[1], *captions]
    return keep_readable([place / name if name else None for name in files], captions, size, str(table))


def _choose(
    names: Sequence[str], image: str | None, caption: str | None, table: str | os.PathLike[str]
) -> tuple[str, str]:
    """The columns of file names and of captions."""
    if len(names) < 2:
        raise ArgumentError(
            f"captions: {table} has one column, {names[0]!r}; one of file names and one of captions are "
            "expected"
        )
    found = []
    for argument, said, usual, place in (("image", image, _IMAGE, 0), ("caption", caption, _CAPTION, 1)):
        if said is not None and said not in names:
            raise unknown_name(argument, said, names)
        found.append(said or (usual if usual in names else names[place]))
    if found[0] == found[1]:
        raise ArgumentError(
            f"image, caption: both are the column {found[0]!r} of {table}, which has {', '.join(names)}; say "
            "which is which"
        )
    return found[0], found[1]


def keep_readable(
    paths: Sequence[Path | None], captions: Sequence[str], size: int, source: str
) -> CaptionedImages:
    """Read the pictures of captions; see `read_captioned_images`. None stands for a name that is missing."""
    # A picture with several captions is read once.
    once = list(dict.fromkeys(path for path in paths if path is not None))
    images, readable, problems = read_images(once, size)
    place = {once[number]: position for position, number in enumerate(readable)}
    wrong = dict(zip((path for path in once if path not in place), problems, strict=True))
    kept, chosen, skipped = [], [], []
    for row, (path, caption) in enumerate(zip(paths, captions, strict=True)):
        if path is None or not caption.strip():
            skipped.append(f"row {row + 1} has no {'caption' if path else 'file name'}")
        elif path in wrong:
            skipped.append(wrong[path])
        else:
            kept.append(caption)
            chosen.append(place[path])
    if 2 * len(skipped) >= len(paths):
        shown = "; ".join(skipped[:_SHOWN])
        more = f"; and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        raise ArgumentError(
            f"captions: {len(skipped)} of {len(paths)} rows of {source} cannot be used: {shown}{more}"
        )
    return CaptionedImages(images[chosen], kept, tuple(skipped))


def _text(value: object) -> str:
    return "" if value is None else str(value)
