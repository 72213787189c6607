"""Readers of the formats that tables come in: columns first, then rows in parts."""

import csv
import glob
import json
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from nabi.data._text_files import TextFile
from nabi.errors import FileFormatError, TableWarning

__all__ = ["DelimitedReader", "JsonLinesReader", "ParquetReader", "Part", "Reader", "line_numbers"]

# Part of a table: the values of each column that was asked for, in their order.
Part = list[list[Any]]

_QUOTES = "a field in quotes begins here"
_INSTEAD = (
    "write a quote inside such a field twice, or read a file whose quotes mean nothing with quoted=False "
    "(--no-quotes on the command line)"
)
_PLAIN = "read it with quoted=False (--no-quotes on the command line)"


_NAMED = 5  # places that a message names


def line_numbers(spans: Sequence[tuple[int, int]]) -> str:
    """Return the first few of the spans of lines, as text.

    >>> line_numbers([(2, 4), (9, 10)])
    'lines 2 to 4, 9 to 10'
    """
    named = ", ".join(f"{first} to {last}" for first, last in spans[:_NAMED])
    more = f" and {len(spans) - _NAMED:,} more spans" if len(spans) > _NAMED else ""
    return f"lines {named}{more}"


class Reader(Protocol):
    """A table in a file."""

    columns: list[str]
    joined: list[tuple[int, int]]
    """First and last line of the rows read so far that take several lines."""

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """The values of `columns` (None: all), at most `rows` rows at a time."""


class DelimitedReader:
    """Comma- or tab-separated values, read by Python's csv as strictly as it can.

    Without a header the columns have their numbers as names. A field in quotes may run over several lines.
    Where one of these lines alone has as many fields as a row, the quote is probably a character like others:
    `TableWarning` names the lines.
    """

    def __init__(self, file: TextFile, separator: str | None, quoted: bool, header: bool = True) -> None:
        self.file, self._quoted, self._header = file, quoted, header
        self.joined: list[tuple[int, int]] = []
        self._swallowed: list[tuple[int, int, int]] = []
        self._options: dict[str, Any] = {
            "delimiter": self._guessed() if separator is None else separator,
            "quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            "strict": True,
        }
        with _long_fields():
            line, self.columns = next(self._records(), (1, []))
        # The first record is read again with the others.
        self.joined.clear()
        self._swallowed.clear()
        if not self.columns:
            expected = "a header and rows are" if header else "rows are"
            raise FileFormatError(f"path: {file.path} is empty, {expected} expected")
        if not header:
            self.columns = [str(number) for number in range(len(self.columns))]
        twice, number = Counter(self.columns).most_common(1)[0]
        if number > 1:
            raise file.wrong(line, f"there is more than one column {twice!r}")

    def _guessed(self) -> str:
        header = next((line for line in self.file.lines() if line.strip()), "")
        return "," if "," in header else next((other for other in ";\t" if other in header), ",")

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Every record with the line that it begins in; blank lines are none."""
        taken: list[str] = []  # the lines of the record that is being read

        def lines() -> Iterator[str]:
            for text in self.file.lines():
                taken.append(text)
                yield text

        reader = csv.reader(lines(), **self._options)
        line = 1
        try:
            for record in reader:
                if record:
                    if len(taken) > 1:
                        self._note_joined(line, taken, len(record))
                    yield line, record
                line = reader.line_num + 1
                taken.clear()
        except csv.Error as problem:
            raise self.file.wrong(*self._misquoted(line, problem)) from problem

    def _note_joined(self, line: int, lines: list[str], fields: int) -> None:
        """Remember a record of several lines, and how many of these look like records of their own."""
        last = line + len(lines) - 1
        self.joined.append((line, last))
        separator = re.escape(self._options["delimiter"])
        # A comma before a space is one of a sentence.
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
                f"look like rows of their own. If quotes are plain characters in this file, {_PLAIN}",
                TableWarning,
                stacklevel=2,
            )

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """The values of `columns` as text, at most `rows` rows at a time."""
        places = [self.columns.index(column) for column in columns or self.columns]
        records = self._records()
        if self._header:
            next(records)
        while True:
            with _long_fields():
                part = []
                for line, record in islice(records, rows):
                    if len(record) != len(self.columns):
                        first = "the header" if self._header else "the first row"
                        raise self.file.wrong(
                            line, f"{len(record)} fields were found, {first} has {len(self.columns)}"
                        )
                    part.append([record[place] for place in places])
            if not part:
                self._warn()
                return
            yield [list(column) for column in zip(*part, strict=True)]

    def _misquoted(self, line: int, problem: Exception) -> tuple[int, str]:
        """Where in the record that begins at `line` the field began whose quotes are wrong, and what is."""
        separator, opened = self._options["delimiter"], line
        state = "new"  # a field; then "plain" or "quoted", and "closed" after a quote in a quoted one
        lines = islice(self.file.lines(), line - 1, None) if self._quoted else iter(())
        for number, text in enumerate(lines, line):
            for character in text:
                if state == "quoted":
                    state = "closed" if character == '"' else "quoted"
                elif character == '"' and state == "new":
                    state, opened = "quoted", number
                elif character == '"' and state == "closed":
                    state = "quoted"  # two quotes stand for one
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
    """Let csv read fields of any length. Its limit is that of the whole process, so it is put back."""
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


class JsonLinesReader:
    """A JSON object in every line; the columns are the names in the first."""

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.joined: list[tuple[int, int]] = []
        first = next(self._objects(), None)
        if first is None:
            raise FileFormatError(f"path: {file.path} is empty, a JSON object in every line is expected")
        self.columns = list(first[1])
        if not self.columns:
            raise file.wrong(first[0], "the JSON object has no columns")

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        # Only "\n" ends a line: the other characters that Python's splitlines knows may stand in a text.
        for number, line in enumerate(self.file.lines("\n"), 1):
            line = line.strip()
            if not line:
                continue
            try:
                found = json.loads(line)
            except json.JSONDecodeError as problem:
                reason = f"{problem.msg.removesuffix(' at')}, at character {problem.colno}"
                raise self.file.wrong(number, f"this is not JSON ({reason})") from problem
            except (ValueError, RecursionError) as problem:
                raise self.file.wrong(number, f"this is not JSON ({problem})") from problem
            if not isinstance(found, dict):
                raise self.file.wrong(number, f"{type(found).__name__} was found, a JSON object is expected")
            yield number, found

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """The values of `columns`, of the types that JSON gives them, at most `rows` rows at a time."""
        wanted = self.columns if columns is None else columns
        objects = self._objects()
        while True:
            part: Part = [[] for _ in wanted]
            for line, found in islice(objects, rows):
                for column, values in zip(wanted, part, strict=True):
                    if column not in found:
                        raise self.file.wrong(line, f"{column!r} is missing, which the first row has")
                    values.append(found[column])
                if columns is None and len(found) > len(wanted):
                    more = next(name for name in found if name not in wanted)
                    raise self.file.wrong(
                        line, f"there is {more!r}, which the first row has not; name the columns to read"
                    )
            if not part[0]:
                return
            yield part


class ParquetReader:
    """A Parquet file, read by duckdb, which keeps a few groups of rows in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.joined: list[tuple[int, int]] = []
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
            # The name goes in as a value, and is a pattern there: * and ? in it would match other files.
            result = connection.execute(
                f"{select} FROM read_parquet(?, hive_partitioning=false)",
                [glob.escape(str(self.path.absolute()))],
            )
            yield iter(lambda: result.fetchmany(rows), [])
        except duckdb.Error as problem:
            reason = str(problem).splitlines()[0]
            raise FileFormatError(f"path: {self.path} is no Parquet file, or damaged ({reason})") from problem
        finally:
            connection.close()

    def parts(self, columns: list[str] | None, rows: int) -> Iterator[Part]:
        """The values of `columns`, of the types that they have in the file, at most `rows` rows at a time."""
        names = ", ".join('"' + column.replace('"', '""') + '"' for column in columns or self.columns)
        with self._rows(f"SELECT {names}", rows) as parts:
            for part in parts:
                yield [list(column) for column in zip(*part, strict=True)]
