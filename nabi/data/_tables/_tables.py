"""Tables of texts and labels from files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.data._standard_input import CALLED, STANDARD_INPUT, kept_input
from nabi.data._tables._excel_table import ExcelReader
from nabi.data._tables._folder_table import FolderReader
from nabi.data._tables._json_tables import JsonReader
from nabi.data._tables._table_formats import DelimitedReader, ParquetReader, Reader, line_numbers
from nabi.data._text_files import COMPRESSED, TextFile, check_file, only_member
from nabi.data._text_folder import folder_files
from nabi.errors import ArgumentError, FileFormatError, unknown_name

__all__ = [
    "TABLE_ENDINGS",
    "Table",
    "is_table",
    "place_of_row",
    "read_table",
    "stream_table",
    "table_columns",
]

_DELIMITED = (".csv", ".tsv")
_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET, _EXCEL, _ZIP = ".parquet", ".xlsx", ".zip"
TABLE_ENDINGS = (*_DELIMITED, *_JSON, _PARQUET, _EXCEL)
"""What the names of tables end in, before the ending of a compression."""
_ROWS_AT_ONCE = 10_000
_WRONG_ROWS = ("raise", "keep")


@dataclass(frozen=True)
class Table:
    """Columns of a file: `table["text"]` is the list of a column's values, `len(table)` the number of rows.

    `first_row` is the number of the first row in the file, counted from 1 without the header. `joined` has
    the first and last line of each row of a CSV or TSV file that spans several lines because of a quoted
    field. `wrong` says what is wrong with rows that could not be read, by their place in the columns, if such
    rows are kept. `left_out` says which files of a folder are no rows.
    """

    path: Path
    columns: dict[str, list[Any]]
    first_row: int = 1
    joined: tuple[tuple[int, int], ...] = ()
    wrong: Mapping[int, str] = field(default_factory=dict)
    left_out: str = ""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @property
    def note(self) -> str:
        """Description of rows that span several lines, or of files left out; empty if there are none."""
        if not self.joined:
            return self.left_out
        rows = "1 row takes" if len(self.joined) == 1 else f"{len(self.joined):,} rows take"
        return f"{rows} several lines, as quotes in the file say: {line_numbers(self.joined)}"

    def __getitem__(self, column: str) -> list[Any]:
        """Return the values of a column; raise `UnknownNameError` for an unknown name."""
        if column not in self.columns:
            raise unknown_name("column", column, self.columns)
        return self.columns[column]


@public
def read_table(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
    wrong_rows: str = "raise",
) -> Table:
    """Read columns of a table; the other columns are not kept.

    The file name determines the format: `.csv` and `.tsv` with a header, `.jsonl` or `.ndjson` with a JSON
    object per line, `.json` with an array of objects or an object per line, `.parquet`, and `.xlsx`, of
    which the first sheet is read (by openpyxl: `pip install nabi[xlsx]`). All but the last two may be
    compressed, as `.csv.gz`, `.bz2`, `.xz` or (Python 3.14) `.zst`, or be the only file in a `.zip`. `-` is
    standard input: JSON if it begins with `{` or `[`, CSV otherwise. Blank lines are skipped. Values are text
    in CSV and TSV files; the others keep types. What a JSON object lacks and an empty cell of Excel are None.

    A folder, and a `.zip` file with several texts, is a table with a row for each text that
    `read_text_folder` finds: `file` (its path in the folder), `label` (the top-level subfolder, if there are
    any) and `text`.

    Args:
        path: of the file.
        columns: names of the columns to read; all by default.
        encoding: of a text file. A byte order mark (BOM) of UTF-8 or UTF-16 is recognized.
        separator: between the fields of a CSV or TSV file. The default is what a first line such as `sep=;`
            says, as Excel writes it; else a comma for `.csv`, or a semicolon, tab or `|` if the header has no
            comma, and a tab for `.tsv`. With a separator, a file of any other
            name is read as CSV.
        quoted: whether a field that begins with `"` extends to the next one, including separators and line
            breaks, as in standard CSV. False if quotes are plain characters. `TableWarning` names lines that
            were joined into one row although they look like separate rows.
        header: whether the first line of a CSV, TSV or Excel file has the column names. Without a header
            the columns are named by number, `"0"`, `"1"`, ...
        wrong_rows: what to do about a row with too few or too many fields, or that is no JSON object:
            "raise" an error, or "keep" its place, with what fields it has; `Table.wrong` then says what is
            wrong, and only a file without a row that can be read is an error.

    Raises:
        MissingFileError: if the file does not exist.
        UnknownNameError: if there is no such column; the message lists the columns.
        FileFormatError: for a file that is damaged, empty, or not of the format of its name, with the line.
        ArgumentError: for a folder without texts, an unsupported file name, an unknown encoding, a separator
            that is not one character, a `.zip` with several files but no texts, and `.xlsx` without openpyxl.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "films.csv"
    >>> _ = path.write_text('text,label\\n"Good, really",1\\nBad,0\\n')
    >>> table = read_table(path, ["text", "label"])
    >>> table["text"]
    ['Good, really', 'Bad']
    >>> len(table)
    2
    >>> _ = path.write_text('text,label\\nGood,really,1\\nBad,0\\n')
    >>> table = read_table(path, wrong_rows="keep")
    >>> table["text"], dict(table.wrong)
    (['Good', 'Bad'], {0: 'line 2: expected 2 fields as in the header, got 3'})
    """
    whole: Table | None = None
    for part in stream_table(
        path,
        columns,
        encoding=encoding,
        separator=separator,
        quoted=quoted,
        header=header,
        wrong_rows=wrong_rows,
    ):
        if whole is None:
            whole = part
        else:
            wrong = {len(whole) + place: what for place, what in part.wrong.items()}
            for name, values in part.columns.items():
                whole.columns[name].extend(values)
            whole = replace(whole, joined=whole.joined + part.joined, wrong={**whole.wrong, **wrong})
    assert whole is not None, "a stream without rows raises"
    return whole


@public
def stream_table(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    rows: int = _ROWS_AT_ONCE,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
    wrong_rows: str = "raise",
) -> Iterator[Table]:
    """Read columns of a table, `rows` rows at a time, so that the file may be larger than memory.

    Errors in the arguments or the header are raised immediately, errors in a row when it is reached. The
    other arguments and errors are those of `read_table`.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "numbers.jsonl"
    >>> _ = path.write_text("".join(f'{{"n": {n}}}\\n' for n in range(5)))
    >>> [(part.first_row, part["n"]) for part in stream_table(path, rows=2)]
    [(1, [0, 1]), (3, [2, 3]), (5, [4])]
    """
    rows = _checks.whole("rows", rows)
    if wrong_rows not in _WRONG_ROWS:
        raise ArgumentError(f"wrong_rows: expected 'raise' or 'keep', got {wrong_rows!r}")
    file, reader = _opened(path, encoding, separator, quoted, header)
    reader.keeps_wrong = wrong_rows == "keep"
    if columns is None:
        wanted = reader.columns
    else:
        wanted = [] if isinstance(columns, str) else list(dict.fromkeys(columns))
        if not wanted:
            raise ArgumentError(f"columns: expected a list of names, got {_checks.short(columns)}")
        for column in wanted:
            if column not in reader.columns:
                raise unknown_name("columns", column, reader.columns)
    return _stream(file, reader, None if columns is None else wanted, rows)


def _stream(path: Path, reader: Reader, columns: list[str] | None, rows: int) -> Iterator[Table]:
    row, unreadable = 1, 0
    first = ""
    for part in reader.parts(columns, rows):
        values = dict(zip(columns or reader.columns, part, strict=True))
        left_out = reader.left_out if isinstance(reader, FolderReader) else ""
        table = Table(path, values, row, tuple(reader.joined), reader.wrong, left_out)
        reader.joined.clear()
        unreadable += len(table.wrong)
        first = first or next(iter(table.wrong.values()), "")
        row += len(table)
        yield table
    if row == 1:
        raise FileFormatError(f"path: {path} has a header but no rows")
    if unreadable == row - 1:
        raise FileFormatError(f"path: {path}: none of its rows can be read: {first}")


@public
def table_columns(
    path: str | os.PathLike[str],
    *,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
) -> list[str]:
    """Return the names of a table's columns; arguments and errors are those of `read_table`."""
    _, reader = _opened(path, encoding, separator, quoted, header)
    return list(reader.columns)


def place_of_row(
    path: str | os.PathLike[str],
    row: int,
    *,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
) -> str:
    """Return where a row is, counted from 0 without the header, for messages: "line 12", or "row 11"."""
    _, reader = _opened(path, encoding, separator, quoted, header)
    line = reader.line_of(row)
    return f"row {row + 1}" if line is None else f"line {line}"


def _opened(
    given: Any, encoding: str, separator: str | None, quoted: bool, header: bool
) -> tuple[Path, Reader]:
    """Return the file, and a reader of its format that has read the columns."""
    path = _checks.path("path", given)
    if path == STANDARD_INPUT:
        return CALLED, _reader_of_input(encoding, separator, quoted, header)
    files = folder_files(path)
    if files is not None:
        if separator is not None:
            raise ArgumentError(f"separator: expected none for a folder of texts, got {separator!r}")
        return path, FolderReader(files, encoding)
    kind, compressed = _kind_of(path)
    packed_whole = compressed and kind in (_PARQUET, _EXCEL)
    if separator is not None:
        if kind in (*_JSON, _PARQUET, _EXCEL):
            raise ArgumentError(f"separator: expected none for {path.name}, got {separator!r}")
        _check_separator(separator)
    elif kind not in TABLE_ENDINGS or packed_whole:
        raise ArgumentError(
            f"path: expected a table, {', '.join((*_DELIMITED, *_JSON))} (also with "
            f"{', '.join((*COMPRESSED, _ZIP))}), {_PARQUET} or {_EXCEL}, got {path.name}; separator= reads "
            "any other name as CSV"
        )
    check_file(path)
    reader: Reader
    if kind == _PARQUET:
        reader = ParquetReader(path)
    elif kind == _EXCEL:
        reader = ExcelReader(path, header)
    elif kind in _JSON:
        reader = JsonReader(TextFile(path, encoding), arrays=kind == ".json")
    else:
        between = "\t" if separator is None and kind == ".tsv" else separator
        reader = DelimitedReader(TextFile(path, encoding), between, quoted, header)
    return path, reader


def _kind_of(path: Path) -> tuple[str, bool]:
    """Return what the name of a file ends in before the ending of a compression, and whether it has one."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] != [] and suffixes[-1] in COMPRESSED
    kind = "".join(suffixes[-2:-1] if compressed else suffixes[-1:])
    if kind == _ZIP and not compressed:
        check_file(path)
        return Path(only_member(path)).suffix.lower(), True
    return kind, compressed


def is_table(path: Path) -> bool:
    """Return whether a file is a table by its name, or by that of the only file in it if it is a `.zip` file.

    A folder is none, though `read_table` reads one of texts as a table. Errors are those of `read_table`.
    """
    return path != STANDARD_INPUT and folder_files(path) is None and _kind_of(path)[0] in TABLE_ENDINGS


def _reader_of_input(encoding: str, separator: str | None, quoted: bool, header: bool) -> Reader:
    """Return a reader of what comes from standard input, in the format that it begins like."""
    if separator is not None:
        _check_separator(separator)
    file = TextFile(kept_input(), encoding, CALLED)
    begins = next((line.lstrip()[0] for line in file.lines() if line.strip()), "")
    if separator is None and begins and begins in "{[":
        return JsonReader(file, arrays=True)
    return DelimitedReader(file, separator, quoted, header)


def _check_separator(separator: Any) -> None:
    if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n\0':
        raise ArgumentError(f"separator: expected one character, got {separator!r}")
