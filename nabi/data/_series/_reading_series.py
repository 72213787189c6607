"""Series from tables: files, data frames and mappings of columns, long or wide."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi import _checks
from nabi._public import public
from nabi.data._series._finding_frequency import find_frequency
from nabi.data._series._frequency import Frequency, Time
from nabi.data._series._series import Series, SeriesColumns, SeriesSet
from nabi.data._series._series_arrays import series_from_arrays
from nabi.data._series._series_columns import Rows, categories_of, is_missing, numbers_of, one_hot_of
from nabi.data._series._series_grid import Grid, lay_out
from nabi.data._series._series_roles import find_roles, times_of
from nabi.data._series._times import Times
from nabi.data._series._ts_file import is_ts_file, read_ts
from nabi.data._series._tsf_file import read_tsf
from nabi.data._tables._tables import place_of_row, read_table
from nabi.errors import ArgumentError, FileFormatError, unknown_name

__all__ = ["read_series"]

Numbers = npt.NDArray[np.float64]
Names = str | Sequence[str] | None


@public
def read_series(
    source: Any,
    *,
    time: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    group: str | Sequence[str] | None = None,
    known: str | Sequence[str] = (),
    past: str | Sequence[str] = (),
    static: str | Sequence[str] = (),
    frequency: Frequency | str | None = None,
    columns: SeriesColumns | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    quoted: bool = True,
    header: bool = True,
) -> SeriesSet:
    """Read series from a table, long or wide, and say in `notes` what was found and done.

    A *long* table has a row for each observation of a series: a time, a value, and columns that name the
    series (`ds, y, unique_id`; `item_id, timestamp, target`; any others). A *wide* table has a row for each
    time and a column for each series. Columns that are not named are found by their names and values.

    Rows may be in any order. Steps without a row become missing values (NaN), and so do empty targets;
    nothing is filled in. Repeated rows are left out once they are the same. Rows after the last target are
    the future of the `known` columns. Times with a zone keep their clock if the zone is the same everywhere,
    and are read as UTC otherwise. With a `frequency` that is longer than the steps of the file, the values
    within a step are averaged.

    Args:
        source: a file (`.csv`, `.tsv`, `.jsonl`, `.parquet` as in `read_table`, `.tsf` or `.ts`), a data
            frame, a mapping of columns, or arrays as in `series_from_arrays`.
        time: the column of times; or columns called year, month, day, hour, minute, second, in this order.
        target: the column to forecast; several for a wide table.
        group: the column, or columns, that name the series of a row.
        known: columns whose future is known, such as prices. Text becomes a column for each value.
        past: columns known up to the last observation, such as the weather.
        static: columns that are the same in all rows of a series.
        frequency: the step between observations, such as "month" or "15 minutes"; found by default.
        columns: the columns of another set; this table is then read in the same way. It replaces the names
            above.
        encoding, separator, quoted, header: of a text file, as in `read_table`.

    Raises:
        MissingFileError: if the file does not exist.
        UnknownNameError: if there is no such column.
        FileFormatError: for a time that is none, text in a column of numbers, and two different rows of the
            same series and time, with their lines; for a table without rows or observations.
        ArgumentError: if columns have to be named, or the steps are not equal.

    >>> table = {"month": ["2024-01", "2024-02", "2024-04"], "sales": [3, 4, 6]}
    >>> series_set = read_series(table)
    >>> series_set.frequency.unit, series_set["sales"].target.tolist()
    ('month', [3.0, 4.0, nan, 6.0])
    """
    step = Frequency.of(frequency) if isinstance(frequency, str) else frequency
    rows = _rows(source, {"encoding": encoding, "separator": separator, "quoted": quoted, "header": header})
    if rows is None:
        return _without_table(source, step, encoding)
    if not len(rows):
        raise FileFormatError(f"{rows.what}: expected rows, got none")
    notes: list[str] = []
    if columns is None:
        kinds = (_names("known", known), _names("past", past), _names("static", static))
        others = [name for names in kinds for name in names]
        roles = find_roles(
            rows, _names("time", time), _names("target", target), _names("group", group), others, notes
        )
        categories = {name: values for name in others if (values := categories_of(rows, name)) is not None}
        found = SeriesColumns(roles.time, roles.targets, roles.group, *kinds, categories)
    else:
        found = columns
        every = (*found.time, *found.targets, *found.group, *found.known, *found.past, *found.static)
        for name in every:
            if name not in rows.columns:
                raise unknown_name("columns", name, rows.columns)
    return _Reading(rows, found, step, notes).read()


def _names(argument: str, given: Names) -> tuple[str, ...]:
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else tuple(given)
    if len(set(names)) < len(names):
        raise ArgumentError(f"{argument}: expected different columns, got {', '.join(names)}")
    return names


def _rows(source: Any, reading: dict[str, Any]) -> Rows | None:
    """Return the rows of a table; None for what is no table."""
    if isinstance(source, str | os.PathLike):
        path = _checks.path("path", source)
        if path.suffix.lower() == ".tsf" or is_ts_file(path):
            return None
        table = read_table(path, **reading)

        def place(row: int) -> str:
            return place_of_row(path, row, **reading)

        return Rows(table.columns, f"path: {path}", place)
    if isinstance(source, Mapping):
        table_columns = {str(name): list(values) for name, values in source.items()}
    elif hasattr(source, "columns") and hasattr(source, "__getitem__"):
        table_columns = _frame_columns(source)
    else:
        return None
    if len({len(values) for values in table_columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in table_columns.items())
        raise ArgumentError(f"source: expected columns of the same length, got {lengths}")
    return Rows(table_columns, "source")


def _frame_columns(frame: Any) -> dict[str, list[Any]]:
    """Return the columns of a data frame of pandas or polars; times in a pandas index become a column."""
    found: dict[str, list[Any]] = {}
    index: Any = getattr(frame, "index", None)
    if hasattr(index, "to_timestamp"):  # periods
        index = index.to_timestamp()
    if getattr(getattr(index, "dtype", None), "kind", "") == "M":
        found[str(getattr(index, "name", None) or "time")] = [*index]
    for name in frame.columns:
        column = frame[name]
        found[str(name)] = column.to_list() if hasattr(column, "to_list") else list(column)
    return found


def _without_table(source: Any, step: Frequency | None, encoding: str) -> SeriesSet:
    if isinstance(source, str | os.PathLike):
        path = _checks.path("path", source)
        read = _from_ts_file(path, encoding) if is_ts_file(path) else read_tsf(path, encoding)
        if step is not None and step != read.frequency:
            raise ArgumentError(f"frequency: expected {read.frequency}, as {path} says, got {step}")
        return read
    if isinstance(source, np.ndarray | list | tuple):
        return series_from_arrays(source, frequency=step or "step")
    raise ArgumentError(
        f"source: expected a file, a data frame, a mapping of columns or arrays, got {_checks.short(source)}"
    )


def _from_ts_file(path: Path, encoding: str) -> SeriesSet:
    """Return the channels of a `.ts` file as series, whose steps are numbered; class labels are left out."""
    file = read_ts(path, encoding=encoding)
    names, targets = [], []
    for name, channels in zip(file.names, file.series, strict=True):
        for number, channel in enumerate(channels.T, 1):
            if not np.isnan(channel).all():
                names.append(f"{name}:{number}" if channels.shape[1] > 1 else name)
                targets.append(channel)
    if not targets:
        raise FileFormatError(f"path: {path}: expected numbers, got missing values only")
    notes = [f"{len(targets):,} series, one for each channel, whose steps are numbered"]
    if file.labels is not None:
        notes.append("class labels are left out")
    return replace(series_from_arrays(targets, names=names), notes=tuple(notes))


class _Reading:
    """The reading of one table, its columns known."""

    def __init__(
        self, rows: Rows, columns: SeriesColumns, frequency: Frequency | None, notes: list[str]
    ) -> None:
        self.rows, self.columns, self.notes = rows, columns, notes
        self.times = times_of(rows, columns.time) if columns.time else Times(np.arange(len(rows)))
        notes += self.times.notes
        self.groups = self._groups()
        self.named = frequency is not None
        self.frequency = frequency or find_frequency(
            [np.unique(self.times.values[places]) for places in self.groups.values()]
        )
        counted = self.times.values.dtype.kind == "i"
        if counted != (self.frequency.unit == "step"):
            got = "numbers" if counted else "dates"
            raise ArgumentError(f"frequency: {self.frequency} does not go with times that are {got}")

    def _groups(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return the rows of each series by its name, in the order of the table."""
        found: dict[str, list[int]] = {}
        if not self.columns.group:
            return {"": np.arange(len(self.rows))}
        keys = zip(*(self.rows.columns[name] for name in self.columns.group), strict=True)
        for row, key in enumerate(keys):
            if any((is_missing(part) and not isinstance(part, str)) or part == "" for part in key):
                raise self.rows.wrong(row, self.columns.group[0], "the name of a series")
            found.setdefault(" / ".join(str(part).strip() for part in key), []).append(row)
        return {name: np.array(rows, np.int64) for name, rows in found.items()}

    def read(self) -> SeriesSet:
        """Return the series of the table."""
        targets = np.stack([numbers_of(self.rows, name, self.notes) for name in self.columns.targets], 1)
        known, past, static = (self._covariates(kind) for kind in ("known", "past", "static"))
        widths = np.cumsum([targets.shape[1], known.shape[1]])
        values = np.concatenate([targets, known, past], 1)
        series: list[Series] = []
        empty: list[str] = []
        grids: list[Grid] = []
        for name, places in self.groups.items():
            grid = lay_out(
                self.times.values[places],
                values[places],
                self.frequency,
                averaged=self.named,
                repeated=partial(self._repeated, places),
            )
            grids.append(grid)
            own_targets, own_known, own_past = np.split(grid.values, widths, 1)
            fixed = self._constant(static[places], places)
            for column, target in zip(self.columns.targets, own_targets.T, strict=True):
                parts = [name, column] if name and len(self.columns.targets) > 1 else [name or column]
                called = " / ".join(parts)
                found = self._cut(called, grid.start, target, own_known, own_past, fixed)
                if found is None:
                    empty.append(called)
                else:
                    series.append(found)
        if not series:
            named = ", ".join(self.columns.targets)
            raise FileFormatError(f"{self.rows.what}: expected numbers in {named}, got missing values only")
        self._note_counts(series, grids, empty)
        return SeriesSet(
            tuple(series),
            self.frequency,
            self.columns.names("known"),
            self.columns.names("past"),
            self.columns.names("static"),
            tuple(self.notes),
            self.columns,
            self.times.zone,
        )

    def _covariates(self, kind: str) -> Numbers:
        parts = [np.zeros((len(self.rows), 0))]
        for name in getattr(self.columns, kind):
            values = self.columns.categories.get(name)
            if values is None:
                parts.append(numbers_of(self.rows, name, self.notes)[:, None])
            else:
                parts.append(one_hot_of(self.rows, name, values, self.notes))
        return np.concatenate(parts, 1)

    def _repeated(self, places: npt.NDArray[np.int64], before: int, after: int) -> Exception:
        one, other = places[before], places[after]
        when = str(self.times.values[one]).removesuffix(".000000")
        called = "" if self.columns.group else "; name the column of the series with group= (--group)"
        return FileFormatError(
            f"{self.rows.what}, {self.rows.place(int(other))}: expected one row of each series and time, got "
            f"{when} again, with other values than in {self.rows.place(int(one))}{called}, or average them "
            "with frequency= (--frequency)"
        )

    def _constant(self, values: Numbers, places: npt.NDArray[np.int64]) -> Numbers:
        """Return the static values of a series, which have to be the same in all rows that have them."""
        found = np.full(values.shape[1], np.nan)
        for column in range(values.shape[1]):
            there = np.flatnonzero(~np.isnan(values[:, column]))
            if len(there):
                found[column] = values[there[0], column]
                odd = there[values[there, column] != found[column]]
                if len(odd):
                    name = self.columns.names("static")[column]
                    where = self.rows.place(int(places[odd[0]]))
                    raise FileFormatError(
                        f"{self.rows.what}, {where}, {name}: expected the same value "
                        f"in all rows of a series, got {values[odd[0], column]:g} after "
                        f"{found[column]:g}; a column that changes belongs to known= or past="
                    )
        return found

    def _cut(
        self, name: str, start: Time, target: Numbers, known: Numbers, past: Numbers, static: Numbers
    ) -> Series | None:
        """Return the series from its first to its last observation; None if there is none."""
        there = np.flatnonzero(~np.isnan(target))
        if not len(there):
            return None
        first, last = int(there[0]), int(there[-1]) + 1
        begins = self.frequency.time(start, first)
        ahead = known[first:] if known.shape[1] else known[first:last]
        return Series(name, begins, target[first:last].copy(), ahead.copy(), past[first:last].copy(), static)

    def _note_counts(self, series: list[Series], grids: list[Grid], empty: list[str]) -> None:
        first, last = self._span(series)
        count = "1 series" if len(series) == 1 else f"{len(series):,} series"
        total = sum(len(one) for one in series)
        self.notes.insert(0, f"{count} by the {self.frequency}, {total:,} steps, from {first} to {last}")
        missing = sum(int(np.isnan(one.target).sum()) for one in series)
        gaps, moved, same = (
            sum(getattr(grid, what) for grid in grids) for what in ("missing", "moved", "same")
        )
        if missing:
            self.notes.append(
                f"{missing:,} of {total:,} targets are missing; they are neither filled in nor scored"
            )
        if gaps:
            self.notes.append(f"{gaps:,} steps have no row")
        if moved:
            self.notes.append(f"{moved:,} rows lie between two steps; they count for the nearest one")
        if same:
            self.notes.append(f"{same:,} rows are left out, since they repeat another")
        unsorted = any(
            (np.diff(self.times.values[places].astype(np.int64)) < 0).any() for places in self.groups.values()
        )
        if unsorted:
            self.notes.append("rows are not in the order of time; they are sorted")
        if sum(grid.rows for grid in grids) > sum(len(grid.values) for grid in grids) + same:
            self.notes.append(f"several rows fall into a {self.frequency}; they are averaged")
        if empty:
            named = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
            self.notes.append(f"{len(empty):,} series without any observation are left out: {named}")
        if series[0].known.shape[1]:
            shortest = min(one.future for one in series)
            self.notes.append(f"known columns reach {shortest:,} steps beyond the last observation")

    def _span(self, series: list[Series]) -> tuple[str, str]:
        begins = min(one.start for one in series)
        ends = max(self.frequency.time(one.start, len(one) - 1) for one in series)
        return _plain(begins), _plain(ends)


def _plain(time: Time) -> str:
    return str(time).removesuffix(" 00:00:00")
