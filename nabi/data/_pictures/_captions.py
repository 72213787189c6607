"""Captioned images from a folder and a table."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

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
    """Images, their captions, and the rows that were skipped."""

    images: npt.NDArray[np.uint8]
    """`[N, size, size, 3]`, red, green and blue from 0 to 255."""
    captions: list[str]
    """One for each image; an image with several captions is repeated."""
    skipped: tuple[str, ...]
    """The reason for each skipped row."""


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
    header: bool = True,
) -> CaptionedImages:
    """Read the images of a folder, with their captions from a table.

    Rows whose image is missing or damaged, whose caption is empty, or that cannot be read, are skipped.

    Args:
        folder: of the images.
        table: a file that `read_table` reads, with a row for each caption. The header is optional: if the
            first field is the name of an existing image, the table has no header.
        size: height and width of the images in pixels; see `read_image`.
        image: the column of file names, relative to the folder; by default "image", or else the first.
        caption: the column of captions; by default "caption", or else the second.
        encoding, separator, quoted, header: as for `read_table`; without a header the columns are "0", "1"
            and so on.

    Raises:
        MissingFileError: if the table does not exist.
        FileFormatError: if the table is damaged.
        ArgumentError: if the folder or a column does not exist, and if at least half of the rows cannot be
            used; the message says how many and lists some.
    """
    place = _checks.path("folder", folder)
    if not place.is_dir():
        raise ArgumentError(f"folder: expected the folder of the images, got {place}")
    options: dict[str, Any] = {
        "encoding": encoding,
        "separator": separator,
        "quoted": quoted,
        "header": header,
    }
    columns = _choose(table_columns(table, **options), image, caption, table)
    rows = read_table(table, columns, **options, wrong_rows="keep")
    files, captions = ([_text(value) for value in rows[column]] for column in columns)
    wrong = dict(rows.wrong)
    if header and image is None and columns[0] and (place / columns[0]).is_file():
        files, captions = [columns[0], *files], [columns[1], *captions]
        wrong = {row + 1: what for row, what in wrong.items()}
    return keep_readable(
        [place / name if name else None for name in files], captions, size, str(table), wrong
    )


def _choose(
    names: Sequence[str], image: str | None, caption: str | None, table: str | os.PathLike[str]
) -> tuple[str, str]:
    """Return the columns of file names and of captions."""
    if len(names) < 2:
        raise ArgumentError(
            f"captions: expected a column of file names and one of captions, got only {names[0]!r} in {table}"
        )
    found = []
    for argument, said, usual, place in (("image", image, _IMAGE, 0), ("caption", caption, _CAPTION, 1)):
        if said is not None and said not in names:
            raise unknown_name(argument, said, names)
        found.append(said or (usual if usual in names else names[place]))
    if found[0] == found[1]:
        raise ArgumentError(
            f"image, caption: expected two of the columns {', '.join(names)} of {table}, got {found[0]!r} "
            "for both"
        )
    return found[0], found[1]


def keep_readable(
    paths: Sequence[Path | None],
    captions: Sequence[str],
    size: int,
    source: str,
    wrong_rows: Mapping[int, str] = MappingProxyType({}),
) -> CaptionedImages:
    """Read the images of captions; see `read_captioned_images`. A path of None is a missing file name.

    `wrong_rows` says what is wrong with rows, by their place.
    """
    # An image with several captions is read once.
    once = list(
        dict.fromkeys(path for row, path in enumerate(paths) if path is not None and row not in wrong_rows)
    )
    images, readable, problems = read_images(once, size)
    place = {once[number]: position for position, number in enumerate(readable)}
    wrong = dict(zip((path for path in once if path not in place), problems, strict=True))
    kept, chosen, skipped = [], [], []
    for row, (path, caption) in enumerate(zip(paths, captions, strict=True)):
        if row in wrong_rows:
            skipped.append(f"{source}, {wrong_rows[row]}")
        elif path is None or not caption.strip():
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
