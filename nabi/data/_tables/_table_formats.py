"""Readers for the file formats of tables: columns first, then rows in parts."""

import csv
import glob
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nabi.data._text_files import TextFile
from nabi.errors import FileFormatError, TableWarning

__all__ = ["DelimitedReader", "ParquetReader", "Part", "Reader", "WrongRow", "line_numbers"]

# Part of a table: the values of each requested column, in that order.
Part = list[list[Any]]

_QUOTES = "a field in quotes begins here"
_INSTEAD = (
    "double a quote inside such a field, or read a file with plain quotes with quoted=False "
    "(--no-quotes on the command line)"
)
_PLAIN = "read it with quoted=False (--no-quotes on the command line)"


_DECLARED = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # a first line that Excel reads and writes
_NAMED = 5  # places listed in a message


def line_numbers(spans: Sequence[tuple[int, int]]) -> str:
    """Return the first few line spans as text.

    >>> line_numbers([(2, 4), (9, 10)])
    'lines 2 to 4, 9 to 10'
    """
    named = ", ".join(f"{first} to {last}" for first, last in spans[:_NAMED])
    more = f" and {len(spans) - _NAMED:,} more spans" if len(spans) > _NAMED else ""
    return f"lines {named}{more}"


class WrongRow(NamedTuple):
    """A row that cannot be read: its line, or in an array its number, and what is wrong with it."""

    place: int
    what: str
    is_line: bool = True

    def __str__(self) -> str:
        return f"{'line' if self.is_line else 'row'} {self.place}: {self.what}"


class Reader(Protocol):
    """A table in a file."""

    columns: list[str]
    joined: list[tuple[int, int]]
    """First and last line of each row read so far that spans several lines."""
    keeps_wrong: bool
    """Whether a row that cannot be read has its place, with nothing in it; otherwise it is an error."""
    wrong: dict[int, str]
    """What is wrong with rows of the part that was read last, by their place in it."""

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """Yield the values of `columns` (None: all), at most `rows` rows at a time."""

    def line_of(self, row: int) -> int | None:
        """Return the line that a row begins in, counted from 0 without the header; None if not a text."""


class DelimitedReader:
    """Comma- or tab-separated values, read by Python's csv module in strict mode.

    Without a header the columns are named by their numbers. A first line such as `sep=;`, which Excel
    understands, says what the separator is where none is given, and is no row. A quoted field may span
    several lines. If one of these lines on its own has as many fields as a row, the quote is probably a plain
    character: `TableWarning` names the lines.
    """

    def __init__(self, file: TextFile, separator: str | None, quoted: bool, header: bool = True) -> None:
        self.file, self._quoted, self._header = file, quoted, header
        self.joined: list[tuple[int, int]] = []
        self.keeps_wrong, self.wrong = False, dict[int, str]()
        self._swallowed: list[tuple[int, int, int]] = []
        declared = _DECLARED.fullmatch(next(file.lines(), ""))
        self._above = 0 if declared is None else 1  # lines before the table
        if separator is None and declared is not None:
            separator = declared[1]
        self._options: dict[str, Any] = {
            "delimiter": self._guessed() if separator is None else separator,
            "quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            "strict": True,
        }
        with _long_fields():
            line, first = next(self._records(), (1, []))
        self.columns: list[str] = [] if isinstance(first, WrongRow) else first
        # The first record is read again with the others.
        self.joined.clear()
        self._swallowed.clear()
        if not self.columns:
            expected = "a header and rows" if header else "rows"
            raise FileFormatError(f"path: {file.path}: expected {expected}, got an empty file")
        if not header:
            self.columns = [str(number) for number in range(len(self.columns))]
        twice, number = Counter(self.columns).most_common(1)[0]
        if number > 1:
            raise file.wrong(line, f"there is more than one column {twice!r}")

    def _guessed(self) -> str:
        header = next((line for line in self.file.lines() if line.strip()), "")
        return "," if "," in header else next((other for other in ";\t|" if other in header), ",")

    def _records(self) -> Iterator[tuple[int, list[str] | WrongRow]]:
        """Yield every record with the line it begins in, skipping blank lines.

        Where wrong rows are kept, one whose quotes are wrong comes as what is wrong with it, unless it spans
        several lines: then it is not known where the next row begins.
        """
        taken: list[str] = []  # the lines of the record being read

        def lines() -> Iterator[str]:
            for text in islice(self.file.lines(), self._above, None):
                taken.append(text)
                yield text

        reader = csv.reader(lines(), **self._options)
        line = self._above + 1
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as problem:
                place, what = self._misquoted(line, problem)
                if not self.keeps_wrong or len(taken) > 1:
                    raise self.file.wrong(place, what) from problem
                yield line, WrongRow(place, what)
            else:
                if record:
                    if len(taken) > 1:
                        self._note_joined(line, taken, len(record))
                    yield line, record
            line = self._above + reader.line_num + 1
            taken.clear()

    def _note_joined(self, line: int, lines: list[str], fields: int) -> None:
        """Remember a record that spans several lines, and how many of them look like separate records."""
        last = line + len(lines) - 1
        self.joined.append((line, last))
        separator = re.escape(self._options["delimiter"])
        # A comma before a space is punctuation.
        between = re.compile(separator + r"(?! )" if separator == "," else separator)
        rows = sum(len(between.findall(text)) + 1 == fields for text in lines)
        if fields > 1 and rows > 1:
            self._swallowed.append((line, last, rows))

    def _warn(self) -> None:
        if self._swallowed:
            rows = sum(rows for *_, rows in self._swallowed)
            lines = line_numbers([(first, last) for first, last, _ in self._swallowed])
            warnings.warn(
                f"{self.file.path}: fields that begin with a quote join {lines}; {rows:,} of these lines "
                f"look like separate rows. If quotes are plain characters in this file, {_PLAIN}",
                TableWarning,
                stacklevel=2,
            )

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """Yield the values of `columns` as text, at most `rows` rows at a time."""
        places = [self.columns.index(column) for column in columns or self.columns]
        records = self._records()
        if self._header:
            next(records)
        while True:
            with _long_fields():
                part: list[list[str]] = []
                self.wrong = {}
                for line, found in islice(records, rows):
                    record = [] if isinstance(found, WrongRow) else found
                    if isinstance(found, WrongRow):
                        self.wrong[len(part)] = str(found)
                    elif len(record) != len(self.columns):
                        first = "the header" if self._header else "the first row"
                        what = f"expected {len(self.columns)} fields as in {first}, got {len(record)}"
                        if not self.keeps_wrong:
                            raise self.file.wrong(line, what)
                        self.wrong[len(part)] = f"line {line}: {what}"
                    part.append([record[place] if place < len(record) else "" for place in places])
            if not part:
                self._warn()
                return
            yield [list(column) for column in zip(*part, strict=True)]

    def line_of(self, row: int) -> int | None:
        """Return the line that a row begins in, counted from 0 without the header."""
        with _long_fields():
            found = next(islice(self._records(), row + self._header, None), None)
        return None if found is None else found[0]

    def _misquoted(self, line: int, problem: Exception) -> tuple[int, str]:
        """Return the line of the misquoted field in the record that begins at `line`, and what is wrong."""
        separator, opened = self._options["delimiter"], line
        state = "new"  # of a field: then "plain" or "quoted", and "closed" after a quote in a quoted one
        lines = islice(self.file.lines(), line - 1, None) if self._quoted else iter(())
        for number, text in enumerate(lines, line):
            for character in text:
                if state == "quoted":
                    state = "closed" if character == '"' else "quoted"
                elif character == '"' and state == "new":
                    state, opened = "quoted", number
                elif character == '"' and state == "closed":
                    state = "quoted"  # a doubled quote is a quote
                elif character in (separator, "\r", "\n"):
                    state = "new"
                elif state == "closed":
                    return opened, f"{_QUOTES}, and a quote in line {number} ends it too soon; {_INSTEAD}"
                else:
                    state = "plain"
        if state == "quoted":
            return opened, f"{_QUOTES}, and it never ends; {_INSTEAD}"
        return line, str(problem)


_limit_lock = threading.Lock()
_limit_users = 0
_usual_limit = csv.field_size_limit()


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let csv read fields of any length, then restore its process-wide limit."""
    global _limit_users, _usual_limit
    with _limit_lock:
        if _limit_users == 0:
            _usual_limit = csv.field_size_limit(2**31 - 1)
        _limit_users += 1
    try:
        yield
    finally:
        with _limit_lock:
            _limit_users -= 1
            if _limit_users == 0:
                csv.field_size_limit(_usual_limit)


class ParquetReader:
    """A Parquet file, read by duckdb, which keeps a few row groups in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.joined: list[tuple[int, int]] = []
        self.keeps_wrong, self.wrong = False, dict[int, str]()  # its rows have their types
        with self._rows("DESCRIBE SELECT *", 1000) as parts:
            self.columns = [row[0] for part in parts for row in part]

    @contextmanager
    def _rows(self, select: str, rows: int) -> Iterator[Iterator[list[tuple[Any, ...]]]]:
        import duckdb

        settings: dict[str, Any] = {
            "threads": 1,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        connection = duckdb.connect(":memory:", config=settings)
        try:
            connection.execute("SET enable_progress_bar = false")
            # read_parquet takes a glob pattern: * and ? in the name would match other files.
            result = connection.execute(
                f"{select} FROM read_parquet(?, hive_partitioning=false)",
                [glob.escape(str(self.path.absolute()))],
            )
            yield iter(lambda: result.fetchmany(rows), [])
        except duckdb.Error as problem:
            reason = str(problem).splitlines()[0]
            raise FileFormatError(f"path: {self.path} is damaged or not Parquet ({reason})") from problem
        finally:
            connection.close()

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """Yield the values of `columns`, of their types in the file, at most `rows` rows at a time."""
        names = ", ".join('"' + column.replace('"', '""') + '"' for column in columns or self.columns)
        with self._rows(f"SELECT {names}", rows) as parts:
            for part in parts:
                yield [list(column) for column in zip(*part, strict=True)]

    def line_of(self, row: int) -> int | None:
        """Return None: such a file has no lines."""
        return None
