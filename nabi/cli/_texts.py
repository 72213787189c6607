"""Texts that a command reads part by part: lines of a file or of standard input, or a column of a table."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nabi.cli._bad_rows import BadRows
from nabi.errors import ArgumentError

if TYPE_CHECKING:
    from nabi.data import Table
    from nabi.models import OtherColumns, TextClassifier, TextRegressor

__all__ = [
    "HEADER_HELP",
    "STANDARD_INPUT",
    "Reading",
    "TextPart",
    "holds_lines",
    "line_parts",
    "table_parts",
    "text_parts",
]

HEADER_HELP = "Whether the first line of a table names its columns; without, they are 0, 1, ..."
STANDARD_INPUT = Path("-")
_LINES = (".txt", ".text")
_ROWS_AT_ONCE = 1000  # in memory


@dataclass(frozen=True)
class Reading:
    """How a table is read."""

    encoding: str = "utf-8"
    separator: str | None = None
    quoted: bool = True
    header: bool = True

    def options(self) -> dict[str, Any]:
        """Return the arguments of `nabi.data.read_table`."""
        return {
            "encoding": self.encoding,
            "separator": self.separator,
            "quoted": self.quoted,
            "header": self.header,
        }

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Reading":
        """Return what a command line says."""
        return cls(said["encoding"], said["separator"], said["quotes"], said.get("header", True))


@dataclass(frozen=True)
class TextPart:
    """Some texts, in the order of the file."""

    texts: list[str]
    aspects: list[str] | None = None
    columns: dict[str, list[Any]] | None = None
    """Of the table that they are from, by name; None for texts by themselves."""
    wrong: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with rows that cannot be read, by their place."""
    others: tuple[str, ...] = ()
    """Columns that the model reads beside the text."""

    @property
    def readable(self) -> list[int]:
        """The places of the others."""
        return [place for place in range(len(self.texts)) if place not in self.wrong]

    def arguments(self) -> tuple[list[str], list[str] | None, dict[str, list[Any]] | None]:
        """Return the texts, aspects and other columns of the rows that can be read, for `predict`."""
        places = self.readable
        found = self.columns or {}
        return (
            [self.texts[place] for place in places],
            None if self.aspects is None else [self.aspects[place] for place in places],
            {name: [found[name][place] for place in places] for name in self.others} or None,
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the columns of each row; of texts by themselves `text` and `aspect`."""
        columns = self.columns
        if columns is None:
            columns = {"text": self.texts, **({} if self.aspects is None else {"aspect": self.aspects})}
        for row in zip(*columns.values(), strict=True):
            yield dict(zip(columns, row, strict=True))


def holds_lines(file: Path, reading: Reading, text: str | None) -> bool:
    """Return whether a file has a text per line, and is no table: one named .txt, or standard input.

    A column or a separator that is named makes a table of standard input; a separator, of every file.
    """
    if file == STANDARD_INPUT:
        return text is None and reading.separator is None and reading.header
    return any(suffix.lower() in _LINES for suffix in file.suffixes) and reading.separator is None


def line_parts(file: Path, encoding: str, at_once: int) -> Iterator[TextPart]:
    """Yield the lines of a file, or of standard input."""
    if file == STANDARD_INPUT:
        lines: Iterator[str] = iter(sys.stdin)
    else:
        from nabi.data import TextFile, check_file

        check_file(file)
        lines = TextFile(file, encoding).lines("\n")
    while part := [line.rstrip("\r\n") for line in islice(lines, at_once)]:
        yield TextPart(part)


def table_parts(
    file: Path,
    text: str,
    aspect: str | None,
    reading: Reading,
    bad: BadRows,
    at_once: int,
    others: "OtherColumns | None" = None,
) -> Iterator[TextPart]:
    """Yield the rows of a table, with all its columns; rows that cannot be read keep their places.

    Args:
        file: the table.
        text: the column of the texts.
        aspect: the column of the aspects, if there are some.
        reading: how it is read.
        bad: which hears of rows that cannot be read.
        at_once: rows of a part.
        others: columns that the model reads beside the text.

    Raises:
        ArgumentError, UnknownNameError, MissingFileError, FileFormatError: as `nabi.data.stream_table`.
    """
    from nabi.data import stream_table, table_columns

    read = [text] if aspect is None else [text, aspect]
    beside = () if others is None else others.names
    first = [*read, *beside]
    every = table_columns(file, **reading.options())
    # A column that is named twice cannot be told from the other; then only those that are read are kept.
    names = list(every) if len(set(every)) == len(every) and set(first) <= set(every) else first
    held: list[TextPart] | None = []
    for table in stream_table(file, names, rows=at_once, **reading.options(), wrong_rows="keep"):
        part = TextPart(
            _as_texts(table[text]),
            None if aspect is None else _as_texts(table[aspect]),
            {name: table[name] for name in names},
            {place: bad.add(f"{table.path}, {what}") for place, what in _wrong_rows(table, read, others)},
            beside,
        )
        if held is None:
            yield part
            continue
        # Nothing is written before there is a row that can be read: perhaps there is none.
        held.append(part)
        if part.readable:
            yield from held
            held = None
    if held:
        bad.end(sum(len(part.texts) for part in held))


def _wrong_rows(
    table: "Table", columns: Sequence[str], others: "OtherColumns | None"
) -> Iterator[tuple[int, str]]:
    """Yield the places of rows that cannot be read, and of those with something else than is expected."""
    faults = {} if others is None else dict(others.faults({name: table[name] for name in others.names}))
    for place in range(len(table)):
        if place in table.wrong:
            yield place, table.wrong[place]
            continue
        for column in columns:
            value = table[column][place]
            if isinstance(value, list | dict):
                what = f"expected a text in the column {column!r}, got a {type(value).__name__}"
                yield place, f"row {table.first_row + place}: {what}"
                break
        else:
            if place in faults:
                yield place, f"row {table.first_row + place}: {faults[place]}"


def _as_texts(values: Sequence[Any]) -> list[str]:
    return ["" if value is None else str(value) for value in values]


def text_parts(
    said: Mapping[str, Any], model: "TextClassifier | TextRegressor", bad: BadRows
) -> Iterator[TextPart]:
    """Yield the texts that a command line names: by themselves, in a file of lines, or in a table.

    Raises:
        ArgumentError: for columns that the model needs and that are not known.
    """
    texts, file, aspect, reading = said["texts"], said["file"], said["aspect"], Reading.of(said)
    others = model.other_columns
    if others is not None and (file is None or holds_lines(file, reading, said["text"])):
        raise ArgumentError(
            f"{'TEXT' if file is None else '--file'}: expected a table with the column of the texts and "
            f"{', '.join(others.names)}, as `--file TABLE.csv`, because the model was trained with "
            f"{'this column' if len(others.names) == 1 else 'these columns'} beside the text; got "
            f"{'texts alone' if file is None else 'lines'}"
        )
    if file is None:
        return iter([TextPart(texts, None if aspect is None else [aspect] * len(texts))])
    if holds_lines(file, reading, said["text"]):
        if model.has_aspects:
            raise ArgumentError(
                "--file: expected a table with a column of aspects, got lines; the model was trained with "
                "aspects"
            )
        return line_parts(file, said["encoding"], _ROWS_AT_ONCE)
    columns = model.columns_of(file, said["text"], None, aspect)
    if columns is None:
        raise ArgumentError(
            "--text: expected the column of the texts, as the model was not trained on a table, got none"
        )
    return table_parts(file, columns.text, columns.aspect, reading, bad, _ROWS_AT_ONCE, others)
