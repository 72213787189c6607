"""The record of every epoch, as a row of a table."""

import csv
import io
import os
from collections.abc import Iterable
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.errors import ArgumentError, FileFormatError, OutputError
from nabi.files import check_writable, write_atomically
from nabi.training._callbacks._records import EpochRecord, RecordWriter

__all__ = ["CSVLogger"]


class CSVLogger(RecordWriter):
    """Write the loss and metrics of every epoch to a CSV file.

    The first column is the number of the epoch, counted from 0. A row is written as soon as its epoch has
    ended. A figure that comes later, such as one of the validation with `validation_freq=2`, gets a column
    when it comes; fields without a value are empty.

    A training that goes on where an earlier one stopped keeps the rows of the epochs that are not trained
    again. Of several workers only the first writes.

    Args:
        filename: path of the file. Missing folders are created.
        separator: separator of the columns, one character.
        append: whether to append to an existing file; otherwise it is replaced at the end of the first epoch.
        details: whether to write the seconds of each epoch and its learning rate, too, as `seconds` and
            `learning_rate`, after the epoch.

    Raises:
        OutputError: before the first epoch if the file cannot be written, or later if it can no longer be.
        FileFormatError: if rows are to be appended to a file that is no table of text in UTF-8.

    >>> import tempfile, pathlib
    >>> from nabi.models import Sequential
    >>> from nabi.layers import Dense
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "figures.csv"
    >>> model = Sequential([Dense(1, input_shape=(1,), kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> _ = model.fit([[1.0]], [[0.0]], epochs=2, verbose=0, callbacks=[CSVLogger(path)])
    >>> path.read_text().splitlines()
    ['epoch,loss', '0,0.0', '1,0.0']
    """

    only_reads = True

    @public
    def __init__(
        self,
        filename: str | os.PathLike[str],
        separator: str = ",",
        append: bool = False,
        *,
        details: bool = False,
    ) -> None:
        self.filename = _checks.path("filename", filename, wrong=OutputError)
        if len(separator) != 1 or separator in '"\r\n':
            raise ArgumentError(f"separator: expected one character, got {_checks.short(separator)}")
        self.separator, self.append, self.details = separator, append, details
        self._rows: list[dict[str, Any]] = []
        self._columns: list[str] = []
        self._takes_lines = False

    def begin(self, resumed: int | None) -> None:
        """Read the rows that are kept, and look whether the file can be written."""
        self._rows, self._columns, self._takes_lines = [], [], False
        check_writable(self.filename)
        if self.filename.exists() and (self.append or resumed is not None):
            self._read()
        if resumed is not None:
            # An append may have put an earlier training with as many epochs before this one.
            while self._rows and _epoch(self._rows[-1]) >= resumed:
                self._rows.pop()
            self._write_all()

    def write(self, record: EpochRecord) -> None:
        """Add a row."""
        row = record.row() if self.details else {"epoch": record.epoch, **record.logs}
        self._rows.append(row)
        if self._takes_lines and set(row) <= set(self._columns) and self.filename.exists():
            self._write_line(row)
        else:
            self._write_all()

    def _read(self) -> None:
        try:
            with open(self.filename, encoding="utf-8", newline="") as file:
                text = file.read()
            table = csv.DictReader(io.StringIO(text, newline=""), delimiter=self.separator, strict=True)
            self._rows, self._columns = list(table), list(table.fieldnames or ())
        except (UnicodeDecodeError, csv.Error) as problem:
            raise FileFormatError(f"filename: {self.filename} is no table to append to: {problem}") from None
        if any(None in row for row in self._rows):
            raise FileFormatError(
                f"filename: {self.filename} is no table to append to: a row has more fields than the first"
            )
        self._takes_lines = text.endswith("\n")

    def _write_all(self) -> None:
        """Write the file anew, beside the old one."""
        rows = [dict.fromkeys(self._columns), *self._rows]
        self._columns = list(dict.fromkeys(name for row in rows for name in row))
        with write_atomically(self.filename, "w") as file:
            file.write(self._text(self._rows, header=True))
        self._takes_lines = True

    def _write_line(self, row: dict[str, Any]) -> None:
        """Add a line to the file, by one call: whoever reads meanwhile finds it whole or not at all."""
        line = self._text([row], header=False)
        try:
            with open(self.filename, "a", encoding="utf-8", newline="") as file:
                file.write(line)
        except OSError as problem:
            raise OutputError(f"filename: cannot write {self.filename}: {problem.strerror}") from problem

    def _text(self, rows: Iterable[dict[str, Any]], *, header: bool) -> str:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, self._columns, delimiter=self.separator, lineterminator="\n", restval="")
        if header:
            table.writeheader()
        table.writerows(rows)
        return text.getvalue()


def _epoch(row: dict[str, Any]) -> int:
    """The number of the epoch of a row; -1 if it has none."""
    try:
        return int(row["epoch"])
    except (KeyError, TypeError, ValueError):
        return -1
