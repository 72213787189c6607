"""Text files as they come: plain or compressed."""

import bz2
import csv
import gzip
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from nabi.errors import FileFormatError

__all__ = ["csv_rows", "open_text"]

_OPENERS: dict[str, Callable[..., IO[Any]]] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


def open_text(path: Path) -> IO[str]:
    """Open a UTF-8 text file, decompressed according to its name."""
    file: IO[str] = _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="")
    return file


def csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the named columns of a CSV file, row by row.

    Raises:
        FileFormatError: if a column is missing or a row is too short.
    """
    with open_text(path) as file:
        rows = csv.reader(file)
        header = next(rows, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise FileFormatError(
                f"path: {path} has the columns {', '.join(header)}; expected are {', '.join(columns)}"
            )
        places = [header.index(column) for column in columns]
        for row in rows:
            if len(row) != len(header):
                raise FileFormatError(
                    f"path: {path}, line {rows.line_num}: {len(row)} fields, expected are {len(header)}"
                )
            yield tuple(row[place] for place in places)
