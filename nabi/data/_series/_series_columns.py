"""Columns of a table as numbers: targets, and covariates that hold numbers or text."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi.errors import ArgumentError, FileFormatError

__all__ = ["MISSING", "Rows", "categories_of", "numbers_of", "one_hot_of"]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", ".", "nat"})
"""What stands for a missing value in a text file, in small letters."""

_MOST_CATEGORIES = 50
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*$")
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(,\d{3})+(\.\d*)?\s*$")


class Rows:
    """Columns of a table in memory.

    Args:
        columns: the values of each column by its name.
        what: the table, for messages: "path: sales.csv".
        place: returns where a row is, counted from 0: "line 12".
    """

    def __init__(
        self, columns: dict[str, list[Any]], what: str, place: Callable[[int], str] | None = None
    ) -> None:
        self.columns, self.what = columns, what
        self._place = place or (lambda row: f"row {row + 1}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def wrong(self, row: int, column: str, expected: str) -> FileFormatError:
        """Return the error for a value, with its place."""
        value = _checks.short(self.columns[column][row])
        where = ", ".join(part for part in (self.what, self._place(row), column) if part)
        return FileFormatError(f"{where}: expected {expected}, got {value}")

    def place(self, row: int) -> str:
        """Return where a row is."""
        return self._place(row)


def is_missing(value: Any) -> bool:
    """Say whether a value stands for none."""
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or value != value


def numbers_of(rows: Rows, column: str, notes: list[str]) -> npt.NDArray[np.float64]:
    """Return a column as numbers, NaN where a value is missing.

    Raises:
        FileFormatError: for text and infinite numbers, with the line.
    """
    values = rows.columns[column]
    try:
        found = np.array([_number(value) for value in values], np.float64)
    except (ValueError, TypeError):
        found = _with_commas(rows, column, notes)
    if np.isinf(found).any():
        raise rows.wrong(int(np.flatnonzero(np.isinf(found))[0]), column, "a finite number")
    return found


def _number(value: Any) -> float:
    if isinstance(value, str):
        return math.nan if value.strip().lower() in MISSING else float(value)
    if value is None or value != value:
        return math.nan
    if isinstance(value, bool | int | float) or hasattr(value, "__float__"):
        return float(value)
    raise TypeError(value)


def _with_commas(rows: Rows, column: str, notes: list[str]) -> npt.NDArray[np.float64]:
    """Return numbers that have commas for thousands, as in 1,234.5, or for decimals, as in 1,5."""
    values = rows.columns[column]
    with_comma = [value for value in values if isinstance(value, str) and "," in value]
    if with_comma and all(_THOUSANDS.match(value) for value in with_comma):
        notes.append(f"{column}: commas stand between thousands, as in {with_comma[0].strip()}")
        comma = ""
    elif with_comma and all(_DECIMAL_COMMA.match(value) for value in with_comma):
        notes.append(f"{column}: commas are decimal points, as in {with_comma[0].strip()}")
        comma = "."
    else:
        comma = ","
    found = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            found[row] = _number(value.replace(",", comma) if isinstance(value, str) else value)
        except (ValueError, TypeError):
            raise rows.wrong(row, column, "a number or nothing") from None
    return found


def categories_of(rows: Rows, column: str) -> tuple[str, ...] | None:
    """Return the different values of a column of text, sorted; None for a column of numbers.

    Raises:
        ArgumentError: if there are too many values for a column each.
    """
    values = rows.columns[column]
    try:
        for value in values:
            _number(value)
    except (ValueError, TypeError):
        different = sorted({str(value).strip() for value in values if not is_missing(value)})
        if all(_DECIMAL_COMMA.match(text) or _THOUSANDS.match(text) for text in different if "," in text):
            plain = [text for text in different if "," not in text]
            if all(_is_number(text) for text in plain):
                return None
        if len(different) > _MOST_CATEGORIES:
            raise ArgumentError(
                f"{rows.what}, {column}: expected numbers, or text of at most {_MOST_CATEGORIES} values, got "
                f"{len(different)} values, such as {', '.join(map(repr, different[:3]))}"
            ) from None
        return tuple(different)
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def one_hot_of(
    rows: Rows, column: str, categories: Sequence[str], notes: list[str]
) -> npt.NDArray[np.float64]:
    """Return a column of text as `[rows, categories]` of 0 and 1; NaN where it is missing.

    Values that are not among the categories are all 0, and named in the notes.
    """
    places = {category: place for place, category in enumerate(categories)}
    found = np.zeros((len(rows), len(categories)))
    unknown: dict[str, int] = {}
    for row, value in enumerate(rows.columns[column]):
        if is_missing(value):
            found[row] = np.nan
            continue
        place = places.get(str(value).strip())
        if place is None:
            unknown[str(value).strip()] = unknown.get(str(value).strip(), 0) + 1
        else:
            found[row, place] = 1
    if unknown:
        first = ", ".join(f"{value!r} ({count} rows)" for value, count in list(unknown.items())[:3])
        notes.append(f"{column}: values that the model did not see in training are read as none: {first}")
    return found
