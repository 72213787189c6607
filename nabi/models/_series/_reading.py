"""Series with their labels from `.ts` files, long tables and arrays."""

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.data import Table, is_ts_file, read_table, read_ts, table_columns
from nabi.errors import ArgumentError, ShapeError, unknown_name
from nabi.models._task._described import Described

__all__ = ["Series", "SeriesColumns", "read_series"]

_MISSING = ("", "?", "NA", "NaN", "nan", "null", "None")

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SeriesColumns(Described):
    """The columns of a long table, which has a row for each step of each series."""

    _called: ClassVar[str] = "columns"

    id: str
    """Says which rows are one series."""
    channels: tuple[str, ...] = ()
    """Numbers; all other columns by default."""
    time: str | None = None
    """Numbers or dates that say the order of the steps; the order of the rows by default."""
    label: str | None = None
    group: str | None = None
    """What is never divided between training and validation."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))


class Series(NamedTuple):
    """Series that were read, not yet checked against each other."""

    inputs: list[Array]
    """`[T, channels]` each."""
    labels: list[Any] | None
    """Of each series, or a list of those of its steps."""
    names: tuple[str, ...]
    groups: tuple[Hashable, ...] | None = None
    columns: SeriesColumns | None = None
    """Of a table, with the channels that were read."""


def read_series(
    source: Any,
    labels: Any = None,
    groups: Any = None,
    *,
    columns: SeriesColumns | None = None,
    per_step: bool = False,
    numbers: bool | None = False,
    called: str = "labels",
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
) -> Series:
    """Read series from a file, or take those given.

    Args:
        source: a file, or arrays.
        labels: of arrays: a label or a number each, or a list of labels.
        groups: of arrays.
        columns: of a table; `label` is that of labels or numbers.
        per_step: whether each step has a label.
        numbers: whether a `.ts` file must have numbers in place of class labels; None for either.
        called: what messages call `labels`.
        encoding, separator, quoted: of the file.

    Raises:
        MissingFileError, FileFormatError: for a file that is not there or wrong.
        ArgumentError, ShapeError: for what are no series, naming the series or the row of the table.
    """
    if not isinstance(source, str | os.PathLike):
        if columns is not None:
            raise ArgumentError("id: expected none for arrays, got the name of a column")
        return _arrays(source, labels, groups, called)
    if labels is not None or groups is not None:
        raise ArgumentError(f"{called}: expected none for a file, which has its own")
    path = _checks.path("source", source)
    if is_ts_file(path):
        if columns is not None:
            raise ArgumentError(f"id: expected none for {path.name}, whose format has no columns")
        if per_step:
            raise ArgumentError(
                f"label_per_step: {path.name} has a label for each series; use a long table for labels of "
                "steps"
            )
        file = read_ts(path, encoding=encoding)
        if numbers is False and file.header.has_targets:
            raise ArgumentError(
                f"source: {path.name} has numbers to predict (@targetlabel), not classes; a SeriesRegressor "
                "learns them"
            )
        if numbers and file.header.classes:
            raise ArgumentError(
                f"source: {path.name} has class labels (@classLabel), not numbers (@targetlabel); a "
                "SeriesClassifier learns them"
            )
        return Series(
            [one.astype(np.float32) for one in file.series],
            None if file.labels is None else list(file.labels),
            file.names,
        )
    options: dict[str, Any] = {
        "encoding": encoding,
        "separator": separator,
        "quoted": quoted,
        "header": header,
    }
    if columns is None:
        found = ", ".join(table_columns(path, **options))
        raise ArgumentError(
            f"id: expected the column that says which rows are one series, got none; {path} has the columns "
            f"{found}"
        )
    return _table(path, columns, per_step, bool(numbers), options)


# Arrays -----------------------------------------------------------------------------------------------------


def _arrays(source: Any, labels: Any, groups: Any, called: str) -> Series:
    if isinstance(source, dict) or not hasattr(source, "__len__"):
        raise ArgumentError(
            f"source: expected a file, or a list of arrays [T, channels], got {type(source).__name__}"
        )
    inputs = [_array(f"series {row}", one) for row, one in enumerate(source)]
    names = tuple(f"series {row}" for row in range(len(inputs)))
    for name, one in ((called, labels), ("groups", groups)):
        if one is not None and (not hasattr(one, "__len__") or len(one) != len(inputs)):
            count = len(one) if hasattr(one, "__len__") else one
            raise ArgumentError(f"{name}: expected one for each of {len(inputs)} series, got {count}")
    return Series(
        inputs, None if labels is None else list(labels), names, None if groups is None else tuple(groups)
    )


def _array(name: str, given: Any) -> Array:
    try:
        array = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as problem:
        raise ArgumentError(
            f"{name}: expected numbers [T, channels], got something else ({problem})"
        ) from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ShapeError(f"{name}: expected the shape [T, channels] or [T], got {array.shape}")
    if np.isinf(array).any():
        raise ArgumentError(f"{name}: expected finite numbers or NaN, got an infinite one")
    return array


# Long tables ------------------------------------------------------------------------------------------------


def _table(
    path: Path, columns: SeriesColumns, per_step: bool, numbers: bool, options: dict[str, Any]
) -> Series:
    others = [one for one in (columns.id, columns.time, columns.label, columns.group) if one is not None]
    names = table_columns(path, **options)
    for name in (*others, *columns.channels):
        if name not in names:
            raise unknown_name(f"source: {path}: column", name, names)
    channels = columns.channels or tuple(name for name in names if name not in others)
    if not channels:
        raise ArgumentError(f"channels: {path} has no other columns than {', '.join(others)}")
    table = read_table(path, list(dict.fromkeys([*others, *channels])), **options)
    values = np.stack([_numbers(table, name) for name in channels], axis=1)
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(table[columns.id]):
        rows_of.setdefault(_text(table, columns.id, row, key), []).append(row)
    if columns.time is not None:
        times = _times(table, columns.time)
        for key, rows in rows_of.items():
            rows.sort(key=lambda row: times[row])
            for one, other in pairwise(rows):
                if times[one] == times[other]:
                    raise ArgumentError(
                        f"{path}, row {other + 1}: series {key!r} has the time {table[columns.time][other]} "
                        f"twice, also in row {one + 1}"
                    )
    labels = None if columns.label is None else _labels(table, columns.label, rows_of, per_step, numbers)
    groups = None
    if columns.group is not None:
        groups = tuple(_one(table, columns.group, key, rows) for key, rows in rows_of.items())
    return Series(
        [values[rows] for rows in rows_of.values()],
        labels,
        tuple(rows_of),
        groups,
        SeriesColumns(columns.id, channels, columns.time, columns.label, columns.group),
    )


def _numbers(table: Table, column: str) -> Array:
    found = np.empty(len(table), np.float32)
    for row, value in enumerate(table[column]):
        if value is None or (isinstance(value, str) and value.strip() in _MISSING):
            found[row] = np.nan
            continue
        try:
            found[row] = float(value)
        except (TypeError, ValueError):
            raise ArgumentError(
                f"{table.path}, row {row + 1}: column {column}: expected a number, got {value!r}; name the "
                "columns that are channels if this is none"
            ) from None
        if np.isinf(found[row]):
            raise ArgumentError(
                f"{table.path}, row {row + 1}: column {column}: expected a finite number, got {value}"
            )
    return found


def _times(table: Table, column: str) -> list[Any]:
    """The values of a column of numbers or dates, to be sorted."""
    values = table[column]
    made: Callable[[Any], Any] = float
    if not _is_number(values[0]):
        made = _date
    found = []
    for row, value in enumerate(values):
        try:
            found.append(made(value))
        except (TypeError, ValueError):
            what = "a number" if made is float else "a number or a date such as 2024-05-31"
            raise ArgumentError(
                f"{table.path}, row {row + 1}: column {column}: expected {what}, got {value!r}"
            ) from None
    return found


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _date(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _labels(
    table: Table, column: str, rows_of: dict[str, list[int]], per_step: bool, numbers: bool
) -> list[Any]:
    values = table[column]
    if per_step:
        return [
            [None if _is_missing(values[row]) else values[row] for row in rows] for rows in rows_of.values()
        ]
    if numbers:
        return [_one(table, column, key, rows) for key, rows in rows_of.items()]
    otherwise = "; label_per_step= is for a label in every row"
    return [_one(table, column, key, rows, otherwise) for key, rows in rows_of.items()]


def _one(table: Table, column: str, key: str, rows: Sequence[int], otherwise: str = "") -> Any:
    """The value that all rows of a series have; `otherwise` ends the message about one that differs."""
    values = table[column]
    first = values[rows[0]]
    for row in rows:
        if values[row] != first:
            raise ArgumentError(
                f"{table.path}, row {row + 1}: series {key!r}: column {column}: expected {first!r}, as in "
                f"its other rows, got {values[row]!r}{otherwise}"
            )
    return None if _is_missing(first) else first


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(table: Table, column: str, row: int, value: Any) -> str:
    if _is_missing(value):
        raise ArgumentError(f"{table.path}, row {row + 1}: column {column}: expected a series, got nothing")
    return str(value)
