"""The rows of a table of texts, or of lists: what is in them, and which of them can be learnt from."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from nabi.data import Table, read_table
from nabi.errors import ArgumentError
from nabi.models._classifier._columns import Columns, TableFormat
from nabi.models._classifier._other_columns import OtherColumns, as_cells, taken
from nabi.models._classifier._rows import NAMED, Places, as_list, as_text, counted, is_missing

__all__ = ["KeptRows", "TextRows", "keep_rows", "read_rows"]

_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}

V = TypeVar("V")


@dataclass(frozen=True)
class TextRows:
    """Rows as they were read, N of each column."""

    texts: list[Any]
    values: list[Any] | None
    """Labels or numbers; with several columns of labels, a tuple of those that a row has, None for none."""
    aspects: list[Any] | None
    others: dict[str, list[Any]] | None
    """The cells of other columns by name."""
    places: Places
    """How messages name a row."""
    note: str = ""
    """What a user should know about how the table was read."""


@dataclass(frozen=True)
class KeptRows(Generic[V]):
    """The rows that hold all that a model needs."""

    texts: list[str]
    values: list[V]
    aspects: list[str] | None
    others: dict[str, list[Any]] | None
    positions: tuple[int, ...]
    """Of these among all rows."""
    notes: tuple[str, ...]
    """How the table was read, and how many rows are left out."""


def read_rows(
    source: Any,
    values: Sequence[Any] | None,
    aspects: Sequence[str] | None,
    others: Any,
    *,
    called: str,
    columns: Columns | None,
    table: TableFormat,
    known: OtherColumns | None,
) -> TextRows:
    """Read rows from a table, or take them from lists.

    Args:
        source: a path, or the texts.
        values: labels or numbers, one for each text, where `source` is texts.
        aspects: what each text is asked about, where `source` is texts.
        others: the cells of other columns by name, where `source` is texts.
        called: what a value is in messages, "label" or "target".
        columns: of the table, where `source` is a path; `label` is that of the values.
        table: how the file is to be read.
        known: what is known of the other columns of a table from the training, to check their cells by.

    Raises:
        MissingFileError, FileFormatError: as `nabi.data.read_table`.
        ArgumentError: for a missing column, lists of different lengths, and no rows.
    """
    if isinstance(source, str | os.PathLike):
        if columns is None:
            raise ArgumentError(
                f"text: {os.fspath(source)!r} is taken as the path of a table; give text= (and {called}=), "
                "the names of its columns, or a list of texts"
            )
        if values is not None or aspects is not None:
            raise ArgumentError(
                f"{called}s: expected None for a table, which has its own; name their column with {called}="
            )
        rows = _rows_of_table(source, columns, table)
        if rows.others is not None and known is not None:
            known.check(rows.others, rows.places)
    else:
        texts = as_list("texts", source)
        own = None if values is None else as_list(f"{called}s", values)
        about = None if aspects is None else as_list("aspects", aspects)
        for name, given in ((f"{called}s", own), ("aspects", about)):
            if given is not None and len(given) != len(texts):
                raise ArgumentError(f"{name}: expected {len(texts)}, one for each text, got {len(given)}")
        rows = TextRows(texts, own, about, as_cells(others, len(texts)), Places())
    if not rows.texts:
        raise ArgumentError(f"{rows.places.what}: it has no rows")
    return rows


def _rows_of_table(source: Any, columns: Columns, table: TableFormat) -> TextRows:
    found = read_table(source, columns.names, **asdict(table))
    named = {"text": columns.text} | ({"label": columns.label} if isinstance(columns.label, str) else {})
    places = Places(found, table.wrong_rows == "keep", named)
    return TextRows(
        found[columns.text],
        _labels_of(found, columns, places),
        None if columns.aspect is None else found[columns.aspect],
        {name: found[name] for name in columns.others} or None,
        places,
        found.note,
    )


def _labels_of(table: Table, columns: Columns, places: Places) -> list[Any] | None:
    if columns.label is None:
        return None
    if isinstance(columns.label, str):
        return table[columns.label]
    found: list[Any] = [()] * len(table)
    for name in columns.label:
        for position, value in enumerate(table[name]):
            if found[position] is None or is_missing(value):
                found[position] = None
            elif _truth(value, name, places.row(position)):
                found[position] = (*found[position], name)
    return found


def _truth(value: Any, column: str, row: str) -> bool:
    written = str(value).strip().lower().removesuffix(".0")
    if written not in _TRUE | _FALSE:
        raise ArgumentError(
            f"label: expected 0 or 1 in each of several columns, got {value!r} in {column}, {row}"
        )
    return written in _TRUE


def keep_rows(
    rows: TextRows,
    as_value: Callable[[Any, int], V | None],
    missing: str,
    *,
    nothing: V | None = None,
    named: bool = False,
) -> KeptRows[V]:
    """Check all rows; those without a text, a value or an aspect are left out, which a note says.

    What is wrong with rows that are passed over is noted in `rows.places`.

    Args:
        rows: as they were read.
        as_value: makes a label or a number of what is in a row, with its position; None where there is none.
        missing: what such a row is without, "label".
        nothing: the value of all rows, where none are given.
        named: whether the note names the rows.

    Raises:
        ArgumentError: for a row that cannot be read and is not passed over, and if none are left.
    """
    places, values, aspects = rows.places, rows.values, rows.aspects
    kept: list[tuple[str, V, str]] = []
    positions: list[int] = []
    without: dict[str, list[int]] = {}
    for position, cell in enumerate(rows.texts):
        if position in places.wrong:
            continue
        try:
            text = as_text(cell, "text", places, position)
            value = nothing if values is None else as_value(values[position], position)
            about = "" if aspects is None else as_text(aspects[position], "aspect", places, position)
        except ArgumentError as problem:
            if not places.keeps_wrong:
                raise
            places.wrong[position] = str(problem)
            continue
        if not text or value is None or (aspects is not None and not about):
            what = "text" if not text else missing if value is None else "aspect"
            without.setdefault(what, []).append(position)
            continue
        kept.append((text, value, about))
        positions.append(position)
    if not kept:
        if not without:
            raise ArgumentError(places.told)
        raise ArgumentError(
            f"{places.what}: all {len(rows.texts):,} rows are without {' and '.join(without)}"
        )
    texts, own, asked = map(list, zip(*kept, strict=True))
    return KeptRows(
        texts,
        own,
        None if aspects is None else asked,
        taken(rows.others, positions),
        tuple(positions),
        (*([rows.note] if rows.note else []), *_left_out(without, places, named)),
    )


def _left_out(without: dict[str, list[int]], places: Places, named: bool) -> list[str]:
    """Say how many rows are without something, and which."""
    notes = []
    for missing, rows in sorted(without.items()):
        which = ": " + ", ".join(map(places.row, rows[:NAMED])) + (", …" if len(rows) > NAMED else "")
        are = "is" if len(rows) == 1 else "are"
        notes.append(f"{counted(len(rows))} without {missing} {are} left out{which if named else ''}")
    return notes
