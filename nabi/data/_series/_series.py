"""One series of observations, and a set of them with the same columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.data._series._frequency import Frequency, Time
from nabi.errors import ArgumentError, ShapeError, unknown_name

__all__ = ["Series", "SeriesColumns", "SeriesSet"]

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Observations at equal steps. A missing value is NaN; nothing is filled in.

    Attributes:
        name: of the series, such as the shop's.
        start: time of the first observation: a datetime without a zone, or the number of a step.
        target: `[T]`, what is forecast. The last value is an observation, not NaN.
        known: `[T + future, K]`, columns whose future is known, such as prices and holidays.
        past: `[T, P]`, columns that are known up to the last observation, such as the weather.
        static: `[S]`, what holds for the whole series, such as the size of the shop.

    Columns that hold text are read as one column of 0 and 1 for each of their values.
    """

    name: str
    start: Time
    target: Numbers
    known: Numbers
    past: Numbers
    static: Numbers

    def __post_init__(self) -> None:
        length = len(self.target)
        if self.target.ndim != 1:
            raise ShapeError(f"target of {self.name!r}: expected the shape [T], got {self.target.shape}")
        if self.known.ndim != 2 or len(self.known) < length:
            raise ShapeError(
                f"known of {self.name!r}: expected the shape [{length} or more, K], got {self.known.shape}"
            )
        if self.past.ndim != 2 or len(self.past) != length:
            raise ShapeError(
                f"past of {self.name!r}: expected the shape [{length}, P], got {self.past.shape}"
            )
        if self.static.ndim != 1:
            raise ShapeError(f"static of {self.name!r}: expected the shape [S], got {self.static.shape}")

    def __len__(self) -> int:
        return len(self.target)

    @property
    def future(self) -> int:
        """Steps after the last observation for which the known columns have rows."""
        return len(self.known) - len(self.target)

    def until(self, length: int) -> "Series":
        """Return the series as it was after `length` observations; known columns keep their future."""
        return replace(self, target=self.target[:length], past=self.past[:length])


@dataclass(frozen=True)
class SeriesColumns:
    """Which columns of a table are what; enough to read another file in the same way.

    Attributes:
        time: the column of times, or several (year, month, day, hour); empty if rows are just counted.
        targets: the column that is forecast; several in a wide table, one for each series.
        group: columns that name the series of a row in a long table; empty if there is one series.
        known, past, static: columns of these kinds, as in the file.
        categories: the values of each column that holds text.
    """

    time: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of the numbers made from the columns of a kind: "known", "past" or "static"."""
        found: list[str] = []
        for column in getattr(self, kind):
            values = self.categories.get(column)
            found += [column] if values is None else [f"{column}={value}" for value in values]
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Return the columns as values that JSON can write; the inverse of `from_json`."""
        plain: dict[str, Any] = {
            kind: list(getattr(self, kind))
            for kind in ("time", "targets", "group", "known", "past", "static")
        }
        return {**plain, "categories": {name: list(values) for name, values in self.categories.items()}}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "SeriesColumns":
        """Return the columns that `as_json` gave.

        Raises:
            ArgumentError: for anything else.
        """
        kinds = ("time", "targets", "group", "known", "past", "static")
        try:
            lists = {kind: _names(found[kind]) for kind in kinds}
            categories = {str(name): _names(values) for name, values in dict(found["categories"]).items()}
        except (KeyError, TypeError, ValueError) as problem:
            raise ArgumentError(f"columns: expected the columns of a table of series ({problem!r})") from None
        return cls(**lists, categories=categories)


def _names(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("expected lists of names")
    return tuple(values)


@dataclass(frozen=True)
class SeriesSet:
    """Series of the same frequency and columns.

    Attributes:
        series: in the order of the file.
        frequency: the step between two observations.
        known_names, past_names, static_names: names of the columns of `Series.known`, `past` and `static`.
        notes: what was found in the file and done about it, one sentence each, for people.
        columns: which columns of the file were read as what.
        zone: what the times of the file said about their zone: "+09:00", "UTC", or nothing.

    `series_set["north"]` is the series of that name; `len` and iteration go over the series.
    """

    series: tuple[Series, ...]
    frequency: Frequency
    known_names: tuple[str, ...] = ()
    past_names: tuple[str, ...] = ()
    static_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    columns: SeriesColumns = SeriesColumns()
    zone: str = ""

    def __post_init__(self) -> None:
        for one in self.series:
            for kind in ("known", "past", "static"):
                width, names = getattr(one, kind).shape[-1], getattr(self, f"{kind}_names")
                if width != len(names):
                    raise ShapeError(
                        f"{kind} of {one.name!r}: expected {len(names)} columns, {list(names)}, got {width}"
                    )

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Series]:
        return iter(self.series)

    def __getitem__(self, name: str) -> Series:
        """Return the series of this name; raise `UnknownNameError` for an unknown one."""
        for one in self.series:
            if one.name == name:
                return one
        raise unknown_name("series", name, [one.name for one in self.series])

    def with_series(self, series: "tuple[Series, ...] | list[Series]") -> "SeriesSet":
        """Return a set of other series with the same frequency and columns."""
        return replace(self, series=tuple(series))

    def check_future(self, horizon: int) -> None:
        """Check that known columns reach `horizon` steps beyond the last observation of every series.

        Raises:
            ArgumentError: naming the series, the last time with known columns, and the time it needs.
        """
        if not self.known_names:
            return
        for one in self.series:
            if one.future < horizon:
                last = self.frequency.time(one.start, len(one.known) - 1)
                needed = self.frequency.time(one.start, len(one) - 1 + horizon)
                names = ", ".join(self.known_names)
                raise ArgumentError(
                    f"known: expected values of {names} for the series {one.name!r} up to {needed}, "
                    f"{horizon} steps after its last observation; they end at {last}"
                )
