"""Rows that commands write: CSV or JSON lines, to a file or to standard output."""

import csv
import json
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

from nabi.errors import ArgumentError

__all__ = ["JSON_LINES", "RowWriter", "check_rows_file", "free_name"]

JSON_LINES = (".jsonl", ".ndjson")
"""What the names of files of JSON lines end in."""


def check_rows_file(out: Path | None, as_json: bool = False) -> str:
    """Return what the name of a file of rows ends in; "" for standard output.

    Raises:
        ArgumentError: for something else than .csv or .jsonl, and than .jsonl with `--json`.
    """
    suffix = "" if out is None else out.suffix.lower()
    allowed = JSON_LINES if as_json else (".csv", *JSON_LINES)
    if out is not None and suffix not in allowed:
        names = ".jsonl with --json" if as_json else ".csv or .jsonl"
        raise ArgumentError(f"--out: expected a name that ends in {names}, got {out}")
    return suffix


class RowWriter:
    """Writes rows part by part, atomically to a file or to standard output.

    Args:
        out: `.csv` or `.jsonl`; None for standard output, as CSV.
        as_json: write JSON lines whatever the name.

    Raises `ArgumentError` for a name that does not fit, `OutputError` if the file cannot be written.
    """

    def __init__(self, out: Path | None, as_json: bool = False) -> None:
        self._out = out
        self.as_json = check_rows_file(out, as_json) in JSON_LINES or as_json
        self._stack = ExitStack()
        self._begun = False

    def __enter__(self) -> Self:
        """Open the file."""
        from nabi.files import write_atomically

        self._file: IO[str] = (
            sys.stdout if self._out is None else self._stack.enter_context(write_atomically(self._out, "w"))
        )
        self._csv = csv.writer(self._file, lineterminator="\n")
        return self

    def __exit__(self, *problem: Any) -> None:
        """Close the file, or discard it after an error."""
        self._stack.__exit__(*problem)

    def begin(self, columns: Iterable[str]) -> None:
        """Write the names of the columns, also where no row comes; JSON needs none."""
        if not self.as_json and not self._begun:
            self._csv.writerow(columns)
        self._begun = True

    def write(self, given: Mapping[str, Any], added: Mapping[str, Any], error: str = "") -> None:
        """Write a row: what was given, then what is added, under names that no given column has.

        As JSON it also says what is wrong with it, if something is.
        """
        if error and self.as_json:
            added = {**added, "error": error}
        row = {**given, **{free_name(name, given): value for name, value in added.items()}}
        if self.as_json:
            self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        else:
            self.begin(row)
            self._csv.writerow(row.values())

    def flush(self) -> None:
        """Hand on what has been written."""
        self._file.flush()


def free_name(name: str, columns: Collection[str]) -> str:
    """Return the name of an added column, which no column of the table has.

    >>> free_name("label", ["text", "label"])
    'predicted label'
    """
    while name in columns:
        name = f"predicted {name}"
    return name
