"""Frequencies: times, steps between them, seasons and the calendar."""

from datetime import datetime

import numpy as np
import pytest

from nabi.data import Frequency, Series, SeriesColumns, SeriesSet, series_from_arrays
from nabi.errors import ArgumentError, ShapeError, UnknownNameError

STARTS = [
    (Frequency("year"), datetime(2024, 2, 29)),
    (Frequency("year", month_end=True), datetime(2024, 2, 29)),
    (Frequency("quarter"), datetime(2024, 1, 31)),
    (Frequency("month"), datetime(2024, 1, 31, 6)),
    (Frequency("month", 2, month_end=True), datetime(2024, 4, 30)),
    (Frequency("week"), datetime(2024, 1, 3)),
    (Frequency("day", 3), datetime(2024, 1, 3)),
    (Frequency("workday"), datetime(2024, 1, 5)),
    (Frequency("hour", 6), datetime(2024, 1, 5, 6)),
    (Frequency("minute", 15), datetime(2024, 1, 5, 6, 15)),
    (Frequency("second"), datetime(2024, 1, 5, 6, 15, 7)),
]


@pytest.mark.parametrize(("frequency", "start"), STARTS, ids=lambda value: str(value))
def test_steps_undo_times(frequency: Frequency, start: datetime) -> None:
    times = frequency.times(start, 60, first=-20)
    assert times[20] == start
    assert times == sorted(set(times))
    steps = frequency.steps_after(start, np.array(times, "datetime64[us]"))
    assert np.array_equal(steps, np.arange(-20, 40))
    assert [frequency.steps(start, time) for time in times[:3]] == [-20, -19, -18]
    assert frequency.time(start, 7) == times[27]


def test_months_keep_their_day_or_their_end() -> None:
    days = [time.day for time in Frequency("month").times(datetime(2023, 1, 31), 4)]
    assert days == [31, 28, 31, 30]
    days = [time.day for time in Frequency("month", month_end=True).times(datetime(2023, 2, 28), 3)]
    assert days == [28, 31, 30]


def test_times_beside_a_step_are_no_whole_number() -> None:
    assert not Frequency("month").steps(datetime(2024, 1, 1), datetime(2024, 2, 2)).is_integer()
    assert not Frequency("workday").steps(datetime(2024, 1, 5), datetime(2024, 1, 6)).is_integer()
    assert Frequency("hour").steps(datetime(2024, 1, 5), datetime(2024, 1, 5, 0, 30)) == 0.5


def test_seasons_are_whole_numbers_of_steps() -> None:
    assert Frequency("hour").seasons == (24, 168, 8766)
    assert Frequency("minute", 15).seasons == (4, 96, 672)
    assert Frequency("minute", 7).seasons == (1440,)
    assert Frequency("month").seasons == (12,)
    assert Frequency("year").seasons == Frequency("step").seasons == ()


@pytest.mark.parametrize(("frequency", "start"), STARTS, ids=lambda value: str(value))
def test_the_calendar_repeats_and_has_names(frequency: Frequency, start: datetime) -> None:
    found = frequency.calendar(frequency.times(start, 50))
    assert found.shape == (50, len(frequency.calendar_names))
    assert np.abs(found).max(initial=0) <= 1


def test_the_calendar_says_the_month_the_weekday_and_the_hour() -> None:
    month = Frequency("month").calendar(Frequency("month").times(datetime(2023, 1, 31), 24))
    assert np.allclose(month[:12], month[12:])
    assert len(np.unique(month[:12].round(6), axis=0)) == 12
    day = Frequency("day").calendar(Frequency("day").times(datetime(2024, 1, 1), 14))
    week = [place for place, name in enumerate(Frequency("day").calendar_names) if name.startswith("week")]
    assert np.allclose(day[:7, week], day[7:, week])
    assert np.allclose(day[0, week], [0, 1, 0, 1, 0, 1])  # 1 January 2024 was a Monday
    hour = Frequency("hour").calendar([datetime(2024, 1, 1, 6)])
    assert np.allclose(hour[0, -4:], [1, 0, 0, -1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("month", Frequency("month")),
        ("Monthly", Frequency("month")),
        ("MS", Frequency("month")),
        ("ME", Frequency("month", month_end=True)),
        ("W", Frequency("week")),
        ("B", Frequency("workday")),
        ("15min", Frequency("minute", 15)),
        ("15 minutes", Frequency("minute", 15)),
        ("2 hours", Frequency("hour", 2)),
        ("10_seconds", Frequency("second", 10)),
        ("quarterly", Frequency("quarter")),
    ],
)
def test_names_of_frequencies(text: str, expected: Frequency) -> None:
    assert Frequency.of(text) == expected


@pytest.mark.parametrize("text", ["", "lunar", "0 days", "-1 day", "1.5 hours"])
def test_unknown_names_of_frequencies(text: str) -> None:
    with pytest.raises(ArgumentError, match="frequency: expected a unit"):
        Frequency.of(text)


def test_wrong_arguments() -> None:
    with pytest.raises(UnknownNameError, match="'monht' is not known; did you mean 'month'"):
        Frequency("monht")
    with pytest.raises(ArgumentError, match="count: expected a whole number of at least 1, got 0"):
        Frequency("day", 0)
    with pytest.raises(ArgumentError, match="month_end: expected False for the unit 'day'"):
        Frequency("day", month_end=True)
    with pytest.raises(ArgumentError, match="start: expected a datetime"):
        Frequency("day").times(3, 2)
    with pytest.raises(ArgumentError, match="start: expected a whole number"):
        Frequency("step").times(datetime(2024, 1, 1), 2)
    with pytest.raises(ArgumentError, match="leave the calendar"):
        Frequency("year").times(datetime(9990, 1, 1), 20)
    with pytest.raises(ArgumentError, match="Monday to Friday, got Saturday"):
        Frequency("workday").times(datetime(2024, 1, 6), 2)


# Series -----------------------------------------------------------------------------------------------------


def test_series_from_arrays_of_any_lengths() -> None:
    found = series_from_arrays([[np.nan, 1.0, 2.0, np.nan], [3, 4, 5]], start=10)
    first, second = found
    assert (first.start, first.target.tolist(), second.target.tolist()) == (11, [1, 2], [3, 4, 5])
    table = series_from_arrays(np.arange(6.0).reshape(3, 2), names=["a", "b"])
    assert table["b"].target.tolist() == [1, 3, 5]
    known = series_from_arrays([1.0, 2.0], known=np.ones((5, 2)), past=[[1.0], [2.0]], static=[7.0])
    assert (known.series[0].future, known.past_names, known.static_names) == (3, ("past 1",), ("static 1",))
    dated = series_from_arrays([1.0, 2.0], start=datetime(2024, 1, 31), frequency="month")
    assert dated.frequency == Frequency("month")


@pytest.mark.parametrize(
    ("targets", "given", "error", "message"),
    [
        ([], {}, ArgumentError, "targets: expected at least one series"),
        ([["a", "b"]], {}, ArgumentError, r"targets\[0\]: expected numbers"),
        ([1.0, float("inf")], {}, ArgumentError, "targets: expected finite numbers"),
        ([[float("nan")]], {}, ArgumentError, "got missing ones only"),
        (np.zeros((2, 2, 2)), {}, ShapeError, r"expected the shape \[T\] or \[T, series\]"),
        ([[1.0], [2.0]], {"names": ["a", "a"]}, ArgumentError, "names: expected 2 different names"),
        ([[1.0], [2.0]], {"past": [[[1.0]]]}, ArgumentError, "past: expected an array for each of the 2"),
        ([1.0, 2.0], {"past": [[1.0]]}, ShapeError, r"past of 'series 1': expected the shape \[2, P\]"),
        ([1.0, 2.0], {"known": [[1.0]]}, ShapeError, r"known of 'series 1': expected the shape \[2 or more"),
        ([1.0, 2.0], {"frequency": "day"}, ArgumentError, "start: expected a datetime"),
    ],
)
def test_wrong_arrays(
    targets: object, given: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        series_from_arrays(targets, **given)


def test_a_set_of_series_is_of_one_kind() -> None:
    one = Series("one", 0, np.ones(3), np.ones((4, 1)), np.zeros((3, 0)), np.zeros(0))
    found = SeriesSet((one,), Frequency("step"), ("price",))
    assert (len(found), found["one"].future, len(one.until(2)), one.until(2).future) == (1, 1, 2, 2)
    with pytest.raises(UnknownNameError, match="'two' is not known"):
        found["two"]
    with pytest.raises(ShapeError, match=r"known of 'one': expected 0 columns, \[\], got 1"):
        SeriesSet((one,), Frequency("step"))
    with pytest.raises(ArgumentError, match="columns: expected the columns of a table"):
        SeriesColumns.from_json({"time": "date"})
