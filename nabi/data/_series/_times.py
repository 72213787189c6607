"""Columns of times as they are written in files, turned into moments or numbers of steps."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["NotATimeError", "Times", "read_times", "time_nearest"]

Moments = npt.NDArray[Any]


class NotATimeError(ValueError):
    """A value of a column is no time; `row` is its place, counted from 0."""

    def __init__(self, row: int, value: Any) -> None:
        super().__init__(f"row {row}: {value!r} is no time")
        self.row, self.value = row, value


class Times(NamedTuple):
    """A column of times."""

    values: Moments
    """datetime64[us] without a zone, or int64 where rows have numbers."""
    zone: str = ""
    notes: tuple[str, ...] = ()


def read_times(values: Sequence[Any], name: str) -> Times:
    """Read a column of times: text in one of many forms, dates, moments, or whole numbers.

    Numbers are years where all of them can be (1500 to 2200) and the column is called a year; months as
    194901 and days as 19490131 where all are such; seconds or milliseconds since 1970 where they are that
    large; otherwise numbers of steps.

    Args:
        values: of the column.
        name: of the column.

    Raises:
        NotATimeError: for a value that is missing or no time, or of another form than the others.
    """
    kinds = {type(value) for value in values}
    if kinds <= {int, float} or (kinds <= {str} and all(_WHOLE.match(value) for value in values)):
        return _from_numbers(values, name)
    if str in kinds:
        return _from_texts(values)
    found = []
    for row, value in enumerate(values):
        if isinstance(value, np.datetime64):
            value = value.astype("datetime64[us]").item()
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if not isinstance(value, datetime) or value != value:  # pandas' missing time differs from itself
            raise NotATimeError(row, value)
        found.append(value)
    return _without_zone(found)


def time_nearest(text: str, name: str, expected: datetime) -> datetime | None:
    """Return the reading of a time that is nearest to an expected one; None if it is no time."""
    found: list[datetime] = []
    try:
        one = read_times([text], name).values
        found += one.tolist() if one.dtype.kind == "M" else []
    except NotATimeError:
        return None
    for reader in _FORMS.values():
        try:
            found.append(reader(text.strip()).replace(tzinfo=None))
        except (ValueError, TypeError, OverflowError):
            continue
    return min(found, key=lambda one: abs(one - expected), default=None)


_WHOLE = re.compile(r"\s*[+-]?\d+(\.0*)?\s*$")


def _from_numbers(values: Sequence[Any], name: str) -> Times:
    numbers = []
    for row, value in enumerate(values):
        number = float(value)
        if not number.is_integer() or abs(number) > 2**53:
            raise NotATimeError(row, value)
        numbers.append(int(number))
    low, high = min(numbers, default=0), max(numbers, default=0)
    if low >= 1500 and high <= 2200 and "year" in name.lower():
        return _without_zone([datetime(number, 1, 1) for number in numbers])
    if low >= 150_001 and high <= 220_012 and all(1 <= number % 100 <= 12 for number in numbers):
        return _without_zone([datetime(number // 100, number % 100, 1) for number in numbers])
    if low >= 15_000_101 and high <= 22_001_231:
        try:
            days = [datetime(number // 10_000, number // 100 % 100, number % 100) for number in numbers]
        except ValueError:
            days = []  # numbers of steps after all
        if days:
            return _without_zone(days)
    unit = "s" if 10**8 <= low <= high < 10**11 else "ms" if 10**11 <= low <= high < 10**14 else ""
    if unit:
        moments = np.array(numbers, f"datetime64[{unit}]").astype("datetime64[us]")
        what = "seconds" if unit == "s" else "milliseconds"
        return Times(moments, "UTC", (f"times are {what} since 1970, UTC",))
    return Times(np.array(numbers, np.int64))


def _from_texts(values: Sequence[Any]) -> Times:
    """Read texts by the first form that fits all of them."""
    texts = [value.strip() if isinstance(value, str) else value for value in values]
    furthest = 0
    read: dict[str, list[datetime]] = {}
    for form, reader in _FORMS.items():
        found = []
        for row, text in enumerate(texts):
            try:
                found.append(reader(text))
            except (ValueError, TypeError, AttributeError, OverflowError):
                furthest = max(furthest, row)
                break
        else:
            read[form] = found
            if form != "day/month/year":
                break
    if not read:
        raise NotATimeError(furthest, values[furthest])
    if len(read) == 1:
        return _without_zone(next(iter(read.values())))
    # Day first or month first? In the right order the steps are alike.
    order = min(read, key=lambda form: _unlike_steps(read[form]))
    times = _without_zone(read[order])
    return times._replace(notes=(*times.notes, f"times such as {texts[0]!r} are read as {order}"))


def _unlike_steps(moments: list[datetime]) -> int:
    steps = np.diff(np.sort(np.unique(np.array([moment.replace(tzinfo=None) for moment in moments]))))
    # Months have 28 to 31 days.
    days = {step.days if step.days < 28 else 30 * round(step.days / 30.4) for step in steps}
    return len(days)


def _without_zone(moments: list[datetime]) -> Times:
    """Drop the zone if it is the same everywhere; otherwise go over to UTC."""
    offsets = {moment.utcoffset() for moment in moments}
    if None in offsets and len(offsets) > 1:
        aware = moments[0].tzinfo is not None
        odd = next(row for row, moment in enumerate(moments) if (moment.tzinfo is not None) != aware)
        raise NotATimeError(odd, str(moments[odd]))
    if offsets <= {None}:
        return Times(np.array(moments, "datetime64[us]"))
    if len(offsets) == 1:
        zone = datetime.min.replace(tzinfo=timezone(offsets.pop() or timedelta())).strftime("%z")
        zone = "UTC" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
        local = [moment.replace(tzinfo=None) for moment in moments]
        return Times(np.array(local, "datetime64[us]"), zone, (f"times are of the zone {zone}",))
    universal = [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments]
    note = f"times have {len(offsets)} offsets from UTC; they are read as UTC"
    return Times(np.array(universal, "datetime64[us]"), "UTC", (note,))


# Forms ------------------------------------------------------------------------------------------------------

_CLOCK = r"(?:[T ,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp][Mm])?)?$"
_NUMERIC = re.compile(r"(\d{1,4})[-/. ](\d{1,2})[-/. ](\d{1,4})\.?" + _CLOCK)
_MONTH = re.compile(r"(\d{4})\s*[-/. M]\s*(\d{1,2})$")
_QUARTER = re.compile(r"(\d{4})[-/ ]?Q([1-4])$|Q([1-4])[-/ ]?(\d{4})$", re.IGNORECASE)
_NAMED = tuple(
    re.compile(form.format(m=r"(?P<m>[a-z]{3,9})\.?", d=r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"), re.IGNORECASE)
    for form in (
        r"{m}[-/ ,]+(?P<y>\d\d\d\d|\d\d)$",
        r"(?P<y>\d\d\d\d)[-/ ,]+{m}$",
        r"{m}[-/ ]+{d}[-/ ,]+(?P<y>\d\d\d\d)$",
        r"{d}[-/ ]+{m}[-/ ,]+(?P<y>\d\d\d\d|\d\d)$",
    )
)
_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip


def _year_month(text: str) -> datetime:
    found = _matched(_MONTH, text)
    return datetime(int(found[1]), int(found[2]), 1)


def _quarter(text: str) -> datetime:
    found = _matched(_QUARTER, text)
    year, quarter = (found[1], found[2]) if found[1] else (found[4], found[3])
    return datetime(int(year), 3 * int(quarter) - 2, 1)


def _named_month(text: str) -> datetime:
    found = next((match for form in _NAMED if (match := form.match(text))), None)
    if found is None:
        raise ValueError(text)
    parts = found.groupdict()
    months = [place for place, name in enumerate(_NAMES, 1) if name.startswith(parts["m"].lower())]
    if len(months) != 1:
        raise ValueError(text)
    return datetime(_full_year(parts["y"]), months[0], int(parts.get("d") or 1))


def _numeric(order: str) -> Callable[[str], datetime]:
    """Return a reader of dates such as 3/12/2024 with their numbers in an order such as "dmy"."""

    def read(text: str) -> datetime:
        found = _matched(_NUMERIC, text)
        part = dict(zip(order, found.groups(), strict=False))
        if len(part["m"]) > 2 or len(part["d"]) > 2 or len(part["y"]) not in (2, 4):
            raise ValueError(text)
        hour, minute, second = (int(number or 0) for number in found.groups()[3:6])
        if half := found[7]:
            hour = hour % 12 + 12 * (half.lower() == "pm")
        return datetime(_full_year(part["y"]), int(part["m"]), int(part["d"]), hour, minute, second)

    return read


def _full_year(text: str) -> int:
    """Return a year; two digits are of the hundred years up to 2068, as in POSIX."""
    year = int(text)
    return year if len(text) > 2 else year + (1900 if year > 68 else 2000)


def _matched(form: re.Pattern[str], text: str) -> re.Match[str]:
    found = form.match(text)
    if found is None:
        raise ValueError(text)
    return found


_FORMS: dict[str, Callable[[str], datetime]] = {
    "ISO 8601": datetime.fromisoformat,
    "year-month": _year_month,
    "quarter": _quarter,
    "month by name": _named_month,
    "year/month/day": _numeric("ymd"),
    "day/month/year": _numeric("dmy"),
    "month/day/year": _numeric("mdy"),
}
