"""Tables in files of Excel."""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from nabi.data._tables._table_formats import Part
from nabi.errors import ArgumentError, FileFormatError, NabiError

__all__ = ["ExcelReader"]

Row = tuple[int, tuple[Any, ...]]


class ExcelReader:
    """The first sheet of an `.xlsx` file, read by openpyxl row by row.

    Cells keep their types (text, numbers, dates, true and false), an empty one is None, a formula is the
    value that was saved with it. Empty rows are passed over.
    """

    def __init__(self, path: Path, header: bool = True) -> None:
        self.path, self._header = path, header
        self.joined: list[tuple[int, int]] = []
        self.keeps_wrong, self.wrong = False, dict[int, str]()
        with self._rows() as rows:
            number, first = next(rows, (1, ()))
        while first and first[-1] is None:
            first = first[:-1]
        if not first:
            raise FileFormatError(f"path: {path}: expected rows in the first sheet, got an empty one")
        if not header:
            self.columns = [str(place) for place in range(len(first))]
            return
        self.columns = ["" if value is None else str(value) for value in first]
        twice, times = Counter(self.columns).most_common(1)[0]
        if times > 1:
            raise FileFormatError(f"path: {path}, line {number}: there is more than one column {twice!r}")

    @contextmanager
    def _rows(self) -> Iterator[Iterator[Row]]:
        """Give the rows of the sheet that are not empty, with their numbers in it."""
        try:
            import openpyxl
        except ImportError:
            raise ArgumentError(
                f"path: {self.path}: reading .xlsx files needs the package openpyxl; install it with "
                "pip install nabi[xlsx], or save the table as .csv"
            ) from None
        try:
            with _quiet():
                book = openpyxl.load_workbook(self.path, read_only=True, data_only=True)
            try:
                sheet = book.worksheets[0]
                sheet.reset_dimensions()  # some programs write wrong ones
                yield (
                    (number, row)
                    for number, row in enumerate(sheet.iter_rows(values_only=True), 1)
                    if any(value is not None for value in row)
                )
            finally:
                book.close()
        except NabiError:
            raise
        # openpyxl raises what its zip, XML and number readers happen to raise.
        except Exception as problem:
            raise FileFormatError(f"path: {self.path} is damaged or not .xlsx ({problem})") from problem

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """Yield the values of `columns`, of their types in the file, at most `rows` rows at a time."""
        places = [self.columns.index(column) for column in columns or self.columns]
        width = len(self.columns)
        with self._rows() as found:
            if self._header:
                next(found, None)
            while part := _taken(found, rows):
                self.wrong = {}
                for at, (number, row) in enumerate(part):
                    if any(value is not None for value in row[width:]):
                        what = f"line {number}: expected {width} cells as in the first row, got {len(row)}"
                        if not self.keeps_wrong:
                            raise FileFormatError(f"path: {self.path}, {what}")
                        self.wrong[at] = what
                filled = [(*row, *[None] * (width - len(row))) for _, row in part]
                yield [[row[place] for row in filled] for place in places]

    def line_of(self, row: int) -> int | None:
        """Return the row of the sheet, counted from 1, which a row of the table is, counted from 0."""
        with self._rows() as found:
            return next((number for number, _ in islice(found, row + self._header, None)), None)


def _taken(rows: Iterator[Row], number: int) -> list[Row]:
    with _quiet():
        return list(islice(rows, number))


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out warnings about what tables do not need: styles, rules for input."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
