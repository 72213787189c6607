"""Readers of the formats that tables come in: columns first, then rows in parts."""

import csv
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from nabi.data._text_files import TextFile
from nabi.errors import ArgumentError, FileFormatError

__all__ = ["DelimitedReader", "JsonLinesReader", "ParquetReader", "Reader"]

# Part of a table: the values of each column that was asked for, in their order.
Part = list[list[Any]]


class Reader(Protocol):
    """A table in a file."""

    columns: list[str]

    def parts(self, columns: list[str], rows: int) -> Iterator[Part]:
        """The values of `columns`, at most `rows` rows at a time."""


class DelimitedReader:
    """Comma- or tab-separated values with a header, read by Python's csv as strictly as it can."""

    def __init__(self, file: TextFile, separator: str | None, quoted: bool) -> None:
        self.file = file
        self._line = 1  # where the record that is being read began
        self._options: dict[str, Any] = {
            "delimiter": self._guessed() if separator is None else separator,
            "quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            "strict": True,
        }
        with _long_fields():
            self.columns = next((record for _, record in self._records()), [])
        if not self.columns:
            raise FileFormatError(f"path: {file.path} is empty, a header and rows are expected")

    def _guessed(self) -> str:
        name = self.file.path.name.lower()
        if ".tsv" in name:
            return "\t"
        header = next((line for line in self.file.lines() if line.strip()), "")
        return "," if "," in header else next((other for other in ";\t" if other in header), ",")

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Every record with the line that it begins in; blank lines are none."""
        reader = csv.reader(self.file.lines(), **self._options)
        line = 1
        try:
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as problem:
            raise FileFormatError(self._misquoted(line, problem)) from problem

    def parts(self, columns: list[str], rows: int) -> Iterator[Part]:
        """The values of `columns` as text, at most `rows` rows at a time."""
        places = [self.columns.index(column) for column in columns]
        records = self._records()
        next(records)
        while True:
            with _long_fields():
                part = []
                for line, record in islice(records, rows):
                    if len(record) != len(self.columns):
                        raise FileFormatError(
                            f"path: {self.file.path}, line {line}: {len(record)} fields were found, "
                            f"the header has {len(self.columns)}"
                        )
                    part.append([record[place] for place in places])
            if not part:
                return
            yield [list(column) for column in zip(*part, strict=True)]

    def _misquoted(self, line: int, problem: Exception) -> str:
        """What is wrong in the record that begins at `line`, and where its last quoted field began."""
        separator, opened = self._options["delimiter"], line
        quoted, fresh = False, True  # inside quotes; at the beginning of a field
        for number, text in enumerate(islice(self.file.lines(), line - 1, None), line):
            for position, character in enumerate(text):
                if quoted:
                    quoted = character != '"'
                elif character == '"' and fresh:
                    quoted, fresh, opened = True, False, number
                elif character == '"' and position and text[position - 1] == '"':
                    quoted = True  # the second of two quotes: one that belongs to the text
                elif position and text[position - 1] == '"' and character not in f"{separator}\r\n":
                    return self._quote_message(opened, f"a quote in line {number} ends it too soon")
                else:
                    fresh = character == separator
        if quoted:
            return self._quote_message(opened, "it never ends")
        return f"path: {self.file.path}, line {line}: {problem}"

    def _quote_message(self, line: int, what: str) -> str:
        return (
            f"path: {self.file.path}, line {line}: a field in quotes begins here, and {what}; write a quote "
            "inside such a field twice, or read a file whose quotes mean nothing with quoted=False"
        )


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
        first = next(self._objects(), None)
        if first is None:
            raise FileFormatError(f"path: {file.path} is empty, a JSON object in every line is expected")
        self.columns = list(first[1])

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        # Only "\n" ends a line: the other characters that Python's splitlines knows may stand in a text.
        for number, line in enumerate(self.file.lines("\n"), 1):
            if not line.strip():
                continue
            where = f"path: {self.file.path}, line {number}"
            try:
                found = json.loads(line)
            except json.JSONDecodeError as problem:
                reason = f"{problem.msg}, at character {problem.colno}"
                raise FileFormatError(f"{where}: this is not JSON ({reason})") from problem
            except (ValueError, RecursionError) as problem:
                raise FileFormatError(f"{where}: this is not JSON ({problem})") from problem
            if not isinstance(found, dict):
                raise FileFormatError(f"{where}: {type(found).__name__} was found, a JSON object is expected")
            yield number, found

    def parts(self, columns: list[str], rows: int) -> Iterator[Part]:
        """The values of `columns`, of the types that JSON gives them, at most `rows` rows at a time."""
        everything = len(columns) == len(self.columns)
        objects = self._objects()
        while part := list(islice(objects, rows)):
            for line, found in part:
                where = f"path: {self.file.path}, line {line}"
                for column in columns:
                    if column not in found:
                        raise FileFormatError(f"{where}: {column!r} is missing, which the first row has")
                if everything and len(found) > len(columns):
                    more = next(name for name in found if name not in columns)
                    raise FileFormatError(
                        f"{where}: there is {more!r}, which the first row has not; name the columns to read"
                    )
            yield [[found[column] for _, found in part] for column in columns]


class ParquetReader:
    """A Parquet file, read by duckdb, which keeps a few groups of rows in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
            # The name goes in as a value, and is a pattern there: * and ? in it would match other files.
            result = connection.execute(
                f"{select} FROM read_parquet(?, hive_partitioning=false)", [_no_pattern(self.path)]
            )
            yield iter(lambda: result.fetchmany(rows), [])
        except duckdb.Error as problem:
            reason = str(problem).splitlines()[0]
            raise FileFormatError(f"path: {self.path} is no Parquet file, or damaged ({reason})") from problem
        finally:
            connection.close()

    def parts(self, columns: list[str], rows: int) -> Iterator[Part]:
        """The values of `columns`, of the types that they have in the file, at most `rows` rows at a time."""
        names = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
        with self._rows(f"SELECT {names}", rows) as parts:
            for part in parts:
                yield [list(column) for column in zip(*part, strict=True)]


def _no_pattern(path: Path) -> str:
    import glob

    try:
        return glob.escape(str(path.absolute()))
    except ValueError as problem:
        raise ArgumentError(f"path: {path} cannot be a file ({problem})") from problem
