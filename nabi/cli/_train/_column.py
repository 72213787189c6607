"""Whether the column that a model of texts shall predict holds labels or numbers."""

import os
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from nabi.cli._train._form import Said, columns_of
from nabi.errors import ArgumentError, NabiError

__all__ = ["Task", "check_columns", "one_target", "taken_as_labels", "why_numbers"]

# Whole numbers of more different values are numbers, such as ages; of fewer they are labels, such as stars.
_MOST_LABELS = 50
# So are those that hardly repeat.
_MOST_OF_ROWS = 0.5
_ROWS_AT_ONCE = 1000


class Task(StrEnum):
    """What is learnt from the column."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class _Values(NamedTuple):
    """What stands in a column in which every cell is a number, or empty."""

    rows: int
    different: int
    decimal: float | None
    """The first number that is not whole."""
    least: float
    most: float

    @property
    def counts_rows(self) -> bool:
        """Whether it holds each whole number of a range once, as the numbers of rows do."""
        return self.decimal is None and self.rows == self.different == self.most - self.least + 1


def check_columns(said: Said, wanted: str) -> None:
    """Refuse a command line that lacks the column of texts, or the one that is wanted.

    Raises:
        ArgumentError: with the columns that the table has.
    """
    if said["text"] is None or not (said["label"] or (wanted == "target" and said["target"])):
        missing = "text" if said["text"] is None else wanted
        raise ArgumentError(f"--{missing}: expected the name of a column, got none; {columns_of(said)}")


def one_target(said: Said) -> str | None:
    """Return the column of numbers, which --label names too; None if neither is given.

    Raises:
        ArgumentError: for both, and for several.
    """
    labels = said["label"] or []
    if said["target"] is not None and labels:
        raise ArgumentError("--target: expected the column of numbers by one option, got --label too")
    if len(labels) > 1:
        raise ArgumentError(f"--label: expected one column for --task regression, got {len(labels)}")
    target: str | None = said["target"]
    return labels[0] if labels else target


def why_numbers(said: Said, called: str = "label") -> str:
    """Return why the column of labels is one of numbers, in a note; empty if it is not.

    `called` is the argument that names the column.
    """
    found = _numbers_of(said, called)
    if found is None or found.counts_rows:
        return ""
    column = _columns(said, called)[0]
    if found.decimal is not None:
        what = f"holds numbers with decimals, such as {found.decimal:g}"
    elif found.different > _MOST_LABELS:
        what = f"holds {found.different:,} different whole numbers"
    elif found.different > _MOST_OF_ROWS * found.rows:
        what = f"holds {found.different:,} different numbers in {found.rows:,} rows"
    else:
        return ""
    return (
        f"{called}: the column {column!r} {what}, so numbers are learnt; task='classification' learns each "
        "as a label"
    )


def taken_as_labels(said: Said) -> list[str]:
    """Say that whole numbers are taken as labels, if they are; two of them are yes and no."""
    found = _numbers_of(said, "label")
    if found is None or said["task"] is not None or found.different <= 2:
        return []
    return [
        f"label: the column {said['label'][0]!r} holds {found.different:,} different whole numbers from "
        f"{found.least:g} to {found.most:g}, each learnt as a label; task='regression' learns them as numbers"
    ]


def _columns(said: Said, called: str) -> list[str]:
    """Return the columns that an argument names."""
    given = said[called] or []
    return [given] if isinstance(given, str) else given


def _numbers_of(said: Said, called: str) -> _Values | None:
    """Return what the one column of labels holds; None if that is not numbers, or cannot be read."""
    labels = _columns(said, called)
    if len(labels) != 1 or said["file"] is None or not said["file"].is_file():
        return None
    about = os.stat(said["file"])
    return _scanned(
        said["file"].resolve(),
        (about.st_mtime_ns, about.st_size),
        labels[0],
        said["encoding"],
        said["separator"],
        said["quotes"],
        said["header"],
    )


@lru_cache(maxsize=8)
def _scanned(
    file: Path,
    version: Any,
    column: str,
    encoding: str,
    separator: str | None,
    quoted: bool,
    header: bool,
) -> _Values | None:
    """Read a column up to the first cell that is no number; `version` tells files of one name apart."""
    from nabi.data import stream_table

    rows, decimal = 0, None
    different: set[float] = set()
    try:
        for table in stream_table(
            file,
            [column],
            rows=_ROWS_AT_ONCE,
            encoding=encoding,
            separator=separator,
            quoted=quoted,
            header=header,
        ):
            for value in table[column]:
                number = _number(value)
                if number is None:
                    return None
                if number == number:
                    rows += 1
                    different.add(number)
                    if decimal is None and not number.is_integer():
                        decimal = number
    except NabiError:
        # Whoever trains says what is wrong with the table.
        return None
    return _Values(rows, len(different), decimal, min(different), max(different)) if different else None


def _number(value: Any) -> float | None:
    """Return the number in a cell, NaN for an empty cell, None for something else."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return float("nan")
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    # "nan" and "inf" as texts are labels as good as others.
    return number if number - number == 0 or not isinstance(value, str) else None
