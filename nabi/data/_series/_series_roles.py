"""Which column of a table is the time, which names the series, and which are forecast."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nabi.data._series._series_columns import Rows, is_missing, numbers_of
from nabi.data._series._times import NotATimeError, Times, read_times
from nabi.errors import ArgumentError, FileFormatError, unknown_name

__all__ = ["Roles", "find_roles", "times_of"]

# Names by which a column is known, most certain first, in small letters.
_TIMES = (
    "ds", "timestamp", "datetime", "date", "time", "month", "week", "day", "hour", "year", "quarter",
    "period", "date_time", "ts",
)  # fmt: skip
_GROUPS = (
    "unique_id",
    "item_id",
    "series_id",
    "series",
    "group",
    "ticker",
    "symbol",
    "sensor",
    "station",
    "id",
)
_TARGETS = ("y", "target", "value", "values")
_ROW_NUMBERS = ("", "#", "no", "no.", "nr", "number", "n", "index", "row", "rownames", "unnamed: 0", "id")
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_SAMPLE = 200


class Roles(NamedTuple):
    """Names of columns by what they are."""

    time: tuple[str, ...]
    targets: tuple[str, ...]
    group: tuple[str, ...]


def find_roles(
    rows: Rows,
    time: Sequence[str],
    targets: Sequence[str],
    group: Sequence[str],
    others: Sequence[str],
    notes: list[str],
) -> Roles:
    """Find the columns that were not named, and say in the notes what was found.

    Args:
        rows: of the table.
        time, targets, group: names given by the user; empty where none was given.
        others: covariates, which are none of these.
        notes: what was found is added here.

    Raises:
        UnknownNameError: for a name that is no column.
        ArgumentError: if a column has two roles, or no target is found.
    """
    names = list(rows.columns)
    given = [*time, *targets, *group, *others]
    for name in given:
        if name not in rows.columns:
            raise unknown_name("columns", name, names)
    twice, count = Counter(given).most_common(1)[0] if given else ("", 0)
    if count > 1:
        raise ArgumentError(f"columns: expected one role for each column, got {twice!r} twice")
    free = [name for name in names if name not in given]
    if time:
        # The first few: a column that was named wrongly is to be told before others are missed.
        first = {name: values[:_SAMPLE] for name, values in rows.columns.items()}
        times_of(Rows(first, rows.what, rows.place), time)
    found_time = tuple(time) or _find_time(rows, free, notes)
    free = [name for name in free if name not in found_time]
    found_group = tuple(group) or _find_group(rows, free, found_time, notes)
    free = [name for name in free if name not in found_group]
    found_targets = tuple(targets) or _find_targets(rows, free, found_group, notes)
    return Roles(found_time, found_targets, found_group)


def times_of(rows: Rows, columns: Sequence[str]) -> Times:
    """Read the column of times, or the columns of year, month, day, hour, minute and second.

    Raises:
        FileFormatError: for a value that is no time, with its line.
    """
    if len(columns) == 1:
        name = columns[0]
        values = rows.columns[name]
    else:
        name = " ".join(columns)
        values = _joined(rows, columns)
    try:
        return read_times(values, name)
    except NotATimeError as problem:
        form = _example(values, problem.row)
        raise rows.wrong(problem.row, columns[0], f"a time{form}") from None


def _example(values: Sequence[object], row: int) -> str:
    first = next((value for value in values[:row] if not is_missing(value)), None)
    return f" such as {str(first)!r} in the first row" if first is not None else " such as 2024-03-31"


def _joined(rows: Rows, columns: Sequence[str]) -> list[str]:
    """Return times put together from columns such as year, month, day and hour."""
    places = [_part(name) for name in columns]
    if places != list(range(len(places))):
        raise ArgumentError(
            f"time: expected one column, or columns called {', '.join(_PARTS)} in this order, got "
            f"{', '.join(columns)}"
        )
    parts = []
    for name in columns:
        numbers = numbers_of(rows, name, [])
        for row, number in enumerate(numbers):
            if not float(number).is_integer():
                raise rows.wrong(row, name, "a whole number")
        parts.append(numbers.astype(int).tolist())
    while len(parts) < 3:
        parts.append([1] * len(rows))
    while len(parts) < len(_PARTS):
        parts.append([0] * len(rows))
    return [
        f"{y:04d}-{m:02d}-{d:02d} {H:02d}:{M:02d}:{S:02d}" for y, m, d, H, M, S in zip(*parts, strict=True)
    ]


def _part(name: str) -> int:
    return _PARTS.index(name.lower()) if name.lower() in _PARTS else -1


def _find_time(rows: Rows, free: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    by_part = {name.lower(): name for name in free}
    parts = []
    for part in _PARTS:
        if part not in by_part:
            break
        parts.append(by_part[part])
    if len(parts) > 1:
        try:
            _joined(Rows({name: rows.columns[name][:_SAMPLE] for name in parts}, rows.what), parts)
        except FileFormatError:
            pass
        else:
            notes.append(f"time: the columns {', '.join(parts)}")
            return tuple(parts)
    called = sorted(
        (name for name in free if name.lower() in _TIMES), key=lambda name: _TIMES.index(name.lower())
    )
    for name in called:
        if _reads_as_times(rows, name, numbers=True):
            notes.append(f"time: the column {name!r}")
            return (name,)
    for name in free:
        if _reads_as_times(rows, name, numbers=False):
            notes.append(f"time: the column {name!r}, by its values")
            return (name,)
    if called:
        # A column that is called so but holds something else is a mistake to be told.
        times_of(rows, called[:1])
    notes.append("time: no column of times; the rows are numbered from 0")
    return ()


def _reads_as_times(rows: Rows, name: str, *, numbers: bool) -> bool:
    values = rows.columns[name][:_SAMPLE]
    try:
        times = read_times(values, name)
    except NotATimeError as problem:
        # One wrong value among many times is a mistake in the file, found when all are read.
        return numbers and problem.row > 0
    return numbers or times.values.dtype.kind == "M"


def _find_group(rows: Rows, free: Sequence[str], time: tuple[str, ...], notes: list[str]) -> tuple[str, ...]:
    for name in sorted(
        (name for name in free if name.lower() in _GROUPS), key=lambda name: _GROUPS.index(name.lower())
    ):
        values = rows.columns[name]
        if len(set(map(str, values))) < len(values) or _is_text(values):
            notes.append(f"group: the column {name!r}")
            return (name,)
    if not time:
        return ()
    moments = [tuple(map(str, one)) for one in zip(*(rows.columns[name] for name in time), strict=True)]
    if len(set(moments)) == len(moments):
        return ()
    different_rows = len({tuple(map(str, row)) for row in zip(*rows.columns.values(), strict=True)})
    for name in free:
        if not _is_text(rows.columns[name]):
            continue
        pairs = {(moment, str(value)) for moment, value in zip(moments, rows.columns[name], strict=True)}
        if len(pairs) >= different_rows and len(pairs) > len(set(moments)):
            notes.append(f"group: the column {name!r}, since with it every time occurs once")
            return (name,)
    return ()


def _is_text(values: Sequence[object]) -> bool:
    return any(
        isinstance(value, str) and not is_missing(value) and not _number_like(value) for value in values
    )


def _number_like(value: str) -> bool:
    try:
        float(value.replace(",", ""))
    except ValueError:
        return False
    return True


def _find_targets(
    rows: Rows, free: Sequence[str], group: tuple[str, ...], notes: list[str]
) -> tuple[str, ...]:
    for name in sorted(
        (name for name in free if name.lower() in _TARGETS), key=lambda name: _TARGETS.index(name.lower())
    ):
        notes.append(f"target: the column {name!r}")
        return (name,)
    numeric = [name for name in free if not _is_text(rows.columns[name])]
    counted = [name for name in numeric if _counts_rows(name, rows.columns[name])]
    left = [name for name in numeric if name not in counted]
    if counted and left:
        notes.append(f"left out: {', '.join(map(repr, counted))}, which number the rows")
    else:
        left = numeric
    texts = [name for name in free if name not in numeric]
    if texts and left:
        notes.append(f"left out: {', '.join(map(repr, texts))}, which hold text")
    if len(left) == 1:
        notes.append(f"target: the column {left[0]!r}")
        return (left[0],)
    if not left:
        if texts:
            # Text in what has to be the target: its line is said.
            numbers_of(rows, texts[0], [])
        raise ArgumentError(
            f"target: expected a column of numbers in {rows.what}, found none; columns are "
            f"{', '.join(rows.columns)}"
        )
    if group:
        raise ArgumentError(
            f"target: expected the name of the column to forecast, target= (--target); there are several "
            f"columns of numbers, {', '.join(left)}"
        )
    notes.append(
        f"wide table: each of the {len(left)} columns {_listed(left)} is a series; name one with target= "
        "(--target), and others as known= or past=, if they belong to it"
    )
    return tuple(left)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:4]))
    return shown if len(names) <= 4 else f"{shown}, ..."


def _counts_rows(name: str, values: Sequence[object]) -> bool:
    """Say whether a column numbers the rows, by its name and since it counts 0, 1, 2, ... or 1, 2, 3, ..."""
    if name.strip().lower() not in _ROW_NUMBERS:
        return False
    try:
        first = int(str(values[0]))
        return first in (0, 1) and all(int(str(value)) == first + row for row, value in enumerate(values))
    except ValueError:
        return False
