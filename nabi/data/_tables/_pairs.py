"""Pairs of texts from a table: sentences and translations, questions and answers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nabi import _checks
from nabi._public import public
from nabi.data._tables._tables import Table, read_table, table_columns
from nabi.errors import ArgumentError, FileFormatError

__all__ = ["Pairs", "read_pairs"]

_NAMED = 5  # rows listed in a note


@dataclass(frozen=True)
class Pairs:
    """Pairs of texts, `sources[n]` and `targets[n]`; `len(pairs)` is their number.

    `left_out` has the rows of the file with an empty side, counted from 1 without the header; `joined` the
    lines that form one row, as in `Table`; `wrong` what is wrong with rows that could not be read, if these
    are passed over.
    """

    path: Path
    sources: list[str]
    targets: list[str]
    left_out: tuple[int, ...] = ()
    joined: tuple[tuple[int, int], ...] = ()
    wrong: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def note(self) -> str:
        """Description of the rows left out and the lines joined; empty if there are none."""
        notes = []
        if self.left_out:
            rows = ", ".join(map(str, self.left_out[:_NAMED]))
            more = ", ..." if len(self.left_out) > _NAMED else ""
            if len(self.left_out) == 1:
                notes.append(f"1 pair with an empty side is left out: row {rows}")
            else:
                notes.append(
                    f"{len(self.left_out):,} pairs with an empty side are left out: rows {rows}{more}"
                )
        if self.joined:
            notes.append(Table(self.path, {}, joined=self.joined).note)
        return "; ".join(notes)


@public
def read_pairs(
    path: str | os.PathLike[str],
    source: int | str,
    target: int | str,
    *,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
    wrong_rows: str = "raise",
) -> Pairs:
    """Read pairs of texts from two columns of a table.

    The formats are those of `read_table`: CSV, TSV, JSON lines, each optionally compressed, and Parquet.
    Whitespace around a text is stripped. Pairs with an empty side are left out and counted.

    Args:
        path: of the file.
        source: the column of the texts to translate, or of the questions: its name in the header; or its
            number from 0, in which case a CSV or TSV file has no header and every line is a pair.
        target: the column of the translations or answers, named or numbered like `source`.
        encoding: as for `read_table`, as are `separator` and `quoted`.
        header: False for a CSV, TSV or Excel file without one, whose columns are given by number, 0 or "0".
        wrong_rows: as for `read_table`; where they are kept, `Pairs.wrong` says what is wrong with them, and
            they are no pairs.

    Raises:
        MissingFileError: if the file does not exist.
        UnknownNameError: if there is no column of that name; the message lists the columns.
        FileFormatError: for a damaged file, a value that is not text (with its row), and a file without a
            complete pair.
        ArgumentError: for a number out of range, the same column twice, a name combined with a number, a
            name without a header, and whatever `read_table` rejects.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pairs.tsv"
    >>> _ = path.write_text("Go.\\tGeh.\\nHi.\\t\\nRun!\\tLauf!\\n")
    >>> pairs = read_pairs(path, 0, 1)
    >>> pairs.sources, pairs.targets
    (['Go.', 'Run!'], ['Geh.', 'Lauf!'])
    >>> pairs.note
    '1 pair with an empty side is left out: row 2'
    """
    if not header:
        source, target = _number("source", source), _number("target", target)
    numbered = _numbered(source, target)
    options: dict[str, Any] = {"encoding": encoding, "separator": separator, "quoted": quoted}
    options["header"] = not numbered
    if numbered:
        names = table_columns(path, **options)
        columns = [_column("source", source, names, path), _column("target", target, names, path)]
    else:
        columns = [str(source), str(target)]
    table = read_table(path, columns, **options, wrong_rows=wrong_rows)
    wrong = dict(table.wrong)
    sources: list[str] = []
    targets: list[str] = []
    left_out = []
    for row, pair in enumerate(zip(*(table[column] for column in columns), strict=True), 1):
        if row - 1 in wrong:
            continue
        try:
            pair = tuple(
                _text(value, table, row, column) for value, column in zip(pair, columns, strict=True)
            )
        except FileFormatError as problem:
            if wrong_rows == "raise":
                raise
            wrong[row - 1] = str(problem).removeprefix(f"path: {table.path}, ")
            continue
        if all(pair):
            sources.append(pair[0])
            targets.append(pair[1])
        else:
            left_out.append(row)
    said = tuple(what for _, what in sorted(wrong.items()))
    pairs = Pairs(table.path, sources, targets, tuple(left_out), table.joined, said)
    if not sources:
        raise FileFormatError(f"path: {path} has no complete pair of texts: {pairs.note or said[0]}")
    return pairs


def _number(name: str, column: Any) -> Any:
    """Return the number of a column of a table without a header."""
    if isinstance(column, str):
        if not column.isdecimal():
            raise ArgumentError(
                f"{name}: expected the number of a column, as the table has no header, got {column!r}"
            )
        return int(column)
    return column


def _numbered(source: Any, target: Any) -> bool:
    """Return whether columns are given by number; raise `ArgumentError` for neither names nor numbers."""
    for name, said in (("source", source), ("target", target)):
        if not isinstance(said, str):
            _checks.whole(name, said, 0, otherwise=" or the name of a column")
    if isinstance(source, str) != isinstance(target, str):
        raise ArgumentError(
            f"source and target: expected two names, or two numbers for a file without a header, "
            f"got {source!r} and {target!r}"
        )
    if source == target:
        raise ArgumentError(f"target: expected another column than source, got {target!r}")
    return not isinstance(source, str)


def _column(name: str, number: int | str, names: list[str], path: Any) -> str:
    if isinstance(number, str) or not 0 <= number < len(names):
        columns = "column 0" if len(names) == 1 else f"a column 0 to {len(names) - 1}"
        raise ArgumentError(f"{name}: expected {columns} of {path}, got {number}")
    return names[number]


def _text(value: Any, table: Table, row: int, column: str) -> str:
    """Return a text, stripped; a missing value is an empty text."""
    if value is not None and not isinstance(value, str):
        raise FileFormatError(f"path: {table.path}, row {row}, {column}: expected a text, got {value!r}")
    return (value or "").strip()
