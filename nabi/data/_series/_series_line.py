"""One line of a stream of observations, read as the table of a model was."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.data._series._frequency import Frequency, Time
from nabi.data._series._series import SeriesColumns
from nabi.data._series._series_columns import Rows, numbers_of, one_hot_of
from nabi.data._series._series_roles import times_of
from nabi.data._series._times import time_nearest
from nabi.errors import FileFormatError

__all__ = ["SeriesLine", "read_series_line", "time_of_line"]

Numbers = npt.NDArray[np.float64]


class SeriesLine(NamedTuple):
    """What a line says."""

    series: tuple[str, ...]
    """The name of the series of each value."""
    values: tuple[float, ...]
    """NaN where nothing was observed."""
    known: Numbers
    past: Numbers


def read_series_line(fields: Mapping[str, str], columns: SeriesColumns, line: int) -> SeriesLine:
    """Read the fields of a line by their names; columns that are missing count as missing values.

    Raises:
        FileFormatError: for text where a number belongs, with the line.
    """
    rows = Rows({name: [value] for name, value in fields.items()}, f"line {line}", lambda row: "")
    group = " / ".join(fields.get(name, "").strip() for name in columns.group)
    names, values = [], []
    for target in columns.targets:
        parts = [group, target] if group and len(columns.targets) > 1 else [group or target]
        names.append(" / ".join(parts))
        values.append(float(numbers_of(rows, target, [])[0]) if target in fields else float("nan"))
    return SeriesLine(
        tuple(names), tuple(values), _covariates(rows, columns, "known"), _covariates(rows, columns, "past")
    )


def time_of_line(
    fields: Mapping[str, str], columns: SeriesColumns, frequency: Frequency, expected: Time, line: int
) -> Time | None:
    """Return the time of a line, or None where it has none.

    Of the readings of a date such as 1/2/2024 the one nearest to the expected time is meant.

    Raises:
        FileFormatError: for a field that is no time.
    """
    named = [name for name in columns.time if name in fields]
    if not named:
        return None
    if len(named) > 1 or frequency.unit == "step" or not isinstance(expected, datetime):
        rows = Rows({name: [fields[name]] for name in named}, f"line {line}", lambda row: "")
        found: Time = times_of(rows, named).values[0].item()
        return found
    nearest = time_nearest(fields[named[0]], named[0], expected)
    if nearest is None:
        raise FileFormatError(f"line {line}, {named[0]}: expected a time, got {fields[named[0]]!r}")
    return nearest


def _covariates(rows: Rows, columns: SeriesColumns, kind: str) -> Numbers:
    names: Sequence[str] = getattr(columns, kind)
    parts = [np.zeros(0)]
    for name in names:
        categories = columns.categories.get(name)
        if name not in rows.columns:
            parts.append(np.full(1 if categories is None else len(categories), np.nan))
        elif categories is None:
            parts.append(numbers_of(rows, name, []))
        else:
            parts.append(one_hot_of(rows, name, categories, [])[0])
    return np.concatenate(parts)
