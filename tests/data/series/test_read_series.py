"""Series from real files: what is found in them, what is done about it, and what is refused."""

import gzip
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from nabi.data import Frequency, SeriesColumns, SeriesSet, read_series
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, NabiError, UnknownNameError


def file_of(folder: Path, text: str, name: str = "sales.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def days(count: int, value: str = "{n}", first: int = 1) -> str:
    return "".join(f"2024-01-{n:02d},{value.format(n=n)}\n" for n in range(first, first + count))


def said(found: SeriesSet) -> str:
    return "\n".join(found.notes)


# What is found ----------------------------------------------------------------------------------------------


def test_a_file_of_times_and_values(tmp_path: Path) -> None:
    found = read_series(file_of(tmp_path, "Month,Passengers\n1949-01,112\n1949-02,118\n1949-03,132\n"))
    assert len(found) == 1
    assert found.frequency == Frequency("month")
    assert found["Passengers"].start == datetime(1949, 1, 1)
    assert found["Passengers"].target.tolist() == [112, 118, 132]
    assert found.notes == (
        "1 series by the month, 3 steps, from 1949-01-01 to 1949-03-01",
        "time: the column 'Month'",
        "target: the column 'Passengers'",
    )


@pytest.mark.parametrize("names", ["unique_id,ds,y", "item_id,timestamp,target"])
def test_long_tables_of_other_libraries(tmp_path: Path, names: str) -> None:
    rows = "".join(f"{shop},2024-01-{n:02d},{n * k}\n" for k, shop in enumerate("ba", 1) for n in range(1, 6))
    found = read_series(file_of(tmp_path, f"{names}\n{rows}"))
    assert [one.name for one in found] == ["b", "a"]
    assert found["a"].target.tolist() == [2, 4, 6, 8, 10]
    assert found.frequency == Frequency("day")


def test_a_group_is_found_by_its_values(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{n:02d},{shop},{n}\n" for n in range(1, 5) for shop in ("north", "south"))
    found = read_series(file_of(tmp_path, f"date,shop,sales\n{rows}"))
    assert [one.name for one in found] == ["north", "south"]
    assert "group: the column 'shop', since with it every time occurs once" in found.notes


def test_a_wide_table_has_a_series_in_each_column(tmp_path: Path) -> None:
    rows = "".join(f"{n},2024-01-{n:02d},{n},{10 * n},text\n" for n in range(1, 5))
    found = read_series(file_of(tmp_path, f"No,date,north,south,remark\n{rows}"))
    assert [one.name for one in found] == ["north", "south"]
    assert found["south"].target.tolist() == [10, 20, 30, 40]
    assert "left out: 'No', which number the rows" in found.notes
    assert "wide table: each of the 2 columns 'north', 'south' is a series" in said(found)


def test_names_of_the_user_win(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{n:02d},2023-06-{2 * n:02d},{n},{100 - n}\n" for n in range(1, 6))
    path = file_of(tmp_path, f"date,ordered,y,price\n{rows}")
    found = read_series(path, time="ordered", target="price", past="y")
    assert found["price"].start == datetime(2023, 6, 2)
    assert found.frequency == Frequency("day", 2)
    assert found["price"].past[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert found.past_names == ("y",)


def test_times_in_several_columns(tmp_path: Path) -> None:
    rows = "".join(f"2024,2,29,{hour},{hour}\n" for hour in range(5))
    found = read_series(file_of(tmp_path, f"year,month,day,hour,y\n{rows}"))
    assert found.frequency == Frequency("hour")
    assert found["y"].start == datetime(2024, 2, 29)
    assert "time: the columns year, month, day, hour" in found.notes


def test_without_times_rows_are_counted(tmp_path: Path) -> None:
    found = read_series(file_of(tmp_path, "y\n1\n2\n3\n"))
    assert found.frequency == Frequency("step")
    assert found["y"].start == 0
    assert "time: no column of times; the rows are numbered from 0" in found.notes


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2024-01-01", "2024-01-08", "2024-01-15"], Frequency("week")),
        (["2024-01-31", "2024-02-29", "2024-03-31"], Frequency("month", month_end=True)),
        (["2024-01-30", "2024-02-29", "2024-03-30"], Frequency("month")),
        (["2023Q4", "2024Q1", "2024Q2"], Frequency("quarter")),
        (["Jan 2024", "Feb 2024", "Mar 2024"], Frequency("month")),
        (["Jan-68", "Feb-68", "Mar-68"], Frequency("month")),
        (["31.12.2023", "01.01.2024", "02.01.2024"], Frequency("day")),
        (["12/31/2023", "1/1/2024", "1/2/2024"], Frequency("day")),
        (["1/1/2024", "1/2/2024", "1/3/2024", "1/4/2024", "1/13/2024"], Frequency("day")),
        (["2024-01-01T00:00", "2024-01-01T00:15", "2024-01-01T00:30"], Frequency("minute", 15)),
        (["1/5/2024 11:00 PM", "1/6/2024 12:00 AM", "1/6/2024 1:00 AM"], Frequency("hour")),
        (["202311", "202312", "202401"], Frequency("month")),
        (["20231231", "20240101", "20240102"], Frequency("day")),
        (["1700000000", "1700000060", "1700000120"], Frequency("minute")),
        (["5", "7", "9"], Frequency("step", 2)),
        (["2021", "2022", "2023"], Frequency("step")),
    ],
)  # fmt: skip
def test_forms_of_times(tmp_path: Path, times: list[str], expected: Frequency) -> None:
    rows = "".join(f"{time},1\n" for time in times)
    assert read_series(file_of(tmp_path, f"when,y\n{rows}"), time="when").frequency == expected


def test_years_in_a_column_of_that_name(tmp_path: Path) -> None:
    found = read_series(file_of(tmp_path, "Year,y\n1901,1\n1902,2\n1903,2\n"))
    assert (found.frequency, found["y"].start) == (Frequency("year"), datetime(1901, 1, 1))


def test_an_order_of_day_and_month_that_is_not_certain_is_said(tmp_path: Path) -> None:
    rows = "".join(f"01/{n:02d}/2024,1\n" for n in range(1, 7))
    found = read_series(file_of(tmp_path, f"date,y\n{rows}"))
    assert "are read as month/day/year" in said(found) or found.frequency == Frequency("month")
    assert "times such as '01/01/2024' are read as" in said(found)


def test_workdays_have_no_weekends(tmp_path: Path) -> None:
    dates = Frequency("workday").times(datetime(2024, 1, 1), 15)
    rows = "".join(f"{date:%Y-%m-%d},1\n" for date in dates if date.day != 16)
    found = read_series(file_of(tmp_path, f"date,y\n{rows}"))
    assert found.frequency == Frequency("workday")
    assert np.flatnonzero(np.isnan(found["y"].target)).tolist() == [11]


@pytest.mark.parametrize("form", ["jsonl", "csv.gz", "semicolon", "parquet"])
def test_every_form_of_table(tmp_path: Path, form: str) -> None:
    rows = [{"date": f"2024-01-0{n}", "y": n} for n in range(1, 6)]
    text = "date,y\n" + "".join(f"{row['date']},{row['y']}\n" for row in rows)
    path = tmp_path / f"sales.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif form == "semicolon":
        path = file_of(tmp_path, text.replace(",", ";"))
    else:
        import duckdb

        source = file_of(tmp_path, text)
        duckdb.sql(f"COPY (SELECT * FROM read_csv('{source}')) TO '{path}' (FORMAT parquet)")
    found = read_series(path)
    assert found["y"].target.tolist() == [1, 2, 3, 4, 5]
    assert found.frequency == Frequency("day")


# What is handled --------------------------------------------------------------------------------------------


def test_gaps_and_empty_targets_are_missing_not_filled(tmp_path: Path) -> None:
    found = read_series(file_of(tmp_path, "date,y\n" + days(3) + "2024-01-04,NA\n" + days(3, first=6)))
    assert np.isnan(found["y"].target).tolist() == [False, False, False, True, True, False, False, False]
    assert "2 of 8 targets are missing; they are neither filled in nor scored" in found.notes
    assert "1 steps have no row" in found.notes


def test_unsorted_rows_and_repeated_rows(tmp_path: Path) -> None:
    lines = days(6).splitlines(keepends=True)
    found = read_series(file_of(tmp_path, "date,y\n" + "".join([*lines[3:], *lines[:4]])))
    assert found["y"].target.tolist() == [1, 2, 3, 4, 5, 6]
    assert "rows are not in the order of time; they are sorted" in found.notes
    assert "1 rows are left out, since they repeat another" in found.notes


def test_two_values_for_a_time_are_refused_with_both_lines(tmp_path: Path) -> None:
    path = file_of(tmp_path, "date,y\n" + days(3) + "2024-01-02,9\n")
    with pytest.raises(FileFormatError, match=r"line 5.*01-02.* again, with other values than in line 3"):
        read_series(path)
    averaged = read_series(path, frequency="day")
    assert averaged["y"].target.tolist() == [1, 5.5, 3]
    assert "several rows fall into a day; they are averaged" in averaged.notes


def test_lines_are_counted_as_in_the_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, 'date,remark,y\n2024-01-01,"two\nlines",1\n\n2024-01-02,,x\n')
    with pytest.raises(FileFormatError, match=r"sales.csv, line 5, y: expected a number or nothing, got 'x'"):
        read_series(path, target="y")


def test_a_longer_step_averages(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-01 {h:02d}:{m:02d},{h}\n" for h in range(6) for m in (7, 22, 37, 52))
    found = read_series(file_of(tmp_path, f"time,y\n{rows}"), frequency="2 hours")
    assert found["y"].start == datetime(2024, 1, 1)
    assert found["y"].target.tolist() == [0.5, 2.5, 4.5]


def test_times_beside_the_step_count_for_the_nearest(tmp_path: Path) -> None:
    times = [f"2024-01-01 00:{n:02d}:00" for n in range(30)]
    times[7] = "2024-01-01 00:07:05"
    found = read_series(file_of(tmp_path, "time,y\n" + "".join(f"{time},1\n" for time in times)))
    assert len(found["y"]) == 30
    assert found.frequency == Frequency("minute")
    assert "1 rows lie between two steps; they count for the nearest one" in found.notes


def test_irregular_steps_have_to_be_named(tmp_path: Path) -> None:
    path = file_of(
        tmp_path, "time,y\n" + "".join(f"2024-01-01 00:{n:02d}:{7 * n * n % 60:02d},1\n" for n in range(8))
    )
    with pytest.raises(ArgumentError, match="frequency: expected times at equal steps, got steps of"):
        read_series(path)
    assert len(read_series(path, frequency="2 minutes")["y"]) == 4


def test_one_zone_keeps_its_clock(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-01T{hour:02d}:00+09:00,1\n" for hour in range(4))
    found = read_series(file_of(tmp_path, f"time,y\n{rows}"))
    assert (found.zone, found["y"].start) == ("+09:00", datetime(2024, 1, 1))
    assert "times are of the zone +09:00" in found.notes


def test_summer_time_is_read_as_utc(tmp_path: Path) -> None:
    times = ["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00", "2024-03-31T04:00+02:00"]
    found = read_series(file_of(tmp_path, "time,y\n" + "".join(f"{time},1\n" for time in times)))
    assert (found.zone, found["y"].start, len(found["y"])) == ("UTC", datetime(2024, 3, 31), 3)
    assert "times have 2 offsets from UTC; they are read as UTC" in found.notes


def test_the_future_of_known_columns(tmp_path: Path) -> None:
    rows = days(4, "{n},{n},{n}") + days(2, ",{n},", first=5)
    found = read_series(
        file_of(tmp_path, f"date,y,price,wind\n{rows}"), target="y", known="price", past="wind"
    )
    one = found["y"]
    assert (len(one), one.future, one.known[:, 0].tolist()) == (4, 2, [1, 2, 3, 4, 5, 6])
    assert one.past.shape == (4, 1)
    found.check_future(2)
    with pytest.raises(
        ArgumentError, match=r"known: expected .* price .*'y' up to 2024-01-07.*end at 2024-01-06"
    ):
        found.check_future(3)


def test_without_known_columns_rows_after_the_last_target_are_no_future(tmp_path: Path) -> None:
    found = read_series(file_of(tmp_path, "date,y\n2024-01-01,\n" + days(3, first=2) + "2024-01-05,\n"))
    assert (len(found["y"]), found["y"].future, found["y"].start) == (3, 0, datetime(2024, 1, 2))


def test_text_becomes_a_column_for_each_value(tmp_path: Path) -> None:
    rows = "2024-01-01,1,rain,5\n2024-01-02,2,sun,5\n2024-01-03,3,,5\n2024-01-04,4,rain,5\n"
    path = file_of(tmp_path, f"date,y,sky,size\n{rows}")
    found = read_series(path, target="y", past="sky", static="size")
    assert found.past_names == ("sky=rain", "sky=sun")
    assert np.array_equal(found["y"].past, [[1, 0], [0, 1], [np.nan, np.nan], [1, 0]], equal_nan=True)
    assert found["y"].static.tolist() == [5]


def test_another_file_is_read_in_the_same_way(tmp_path: Path) -> None:
    first = read_series(
        file_of(tmp_path, "date,y,sky\n2024-01-01,1,rain\n2024-01-02,2,sun\n"), target="y", past="sky"
    )
    columns = SeriesColumns.from_json(json.loads(json.dumps(first.columns.as_json())))
    assert columns == first.columns
    new = file_of(tmp_path, "sky,date,y\nsun,2024-02-01,1\nsnow,2024-02-02,2\n", "new.csv")
    found = read_series(new, columns=columns, frequency=first.frequency)
    assert found.past_names == first.past_names
    assert found["y"].past.tolist() == [[0, 1], [0, 0]]
    note = "sky: values that the model did not see in training are read as none: 'snow' (1 rows)"
    assert note in found.notes


def test_numbers_with_commas(tmp_path: Path) -> None:
    found = read_series(file_of(tmp_path, "date;y\n2024-01-01;1,5\n2024-01-02;2\n2024-01-03;0,25\n"))
    assert found["y"].target.tolist() == [1.5, 2, 0.25]
    assert "y: commas are decimal points, as in 1,5" in found.notes
    found = read_series(file_of(tmp_path, 'date,y\n2024-01-01,"1,234.5"\n2024-01-02,2\n2024-01-03,3\n'))
    assert found["y"].target.tolist() == [1234.5, 2, 3]


def test_a_series_without_observations_is_left_out(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-0{n},{shop},{n if shop == 'a' else ''}\n" for n in range(1, 4) for shop in "ab")
    found = read_series(file_of(tmp_path, f"date,shop,y\n{rows}"), group="shop")
    assert [one.name for one in found] == ["a"]
    assert "1 series without any observation are left out: b" in found.notes


# What is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "given", "error", "message"),
    [
        ("date,y\n", {}, FileFormatError, "has a header but no rows"),
        ("", {}, FileFormatError, "empty file"),
        ("date,y\n2024-01-01,1\nsoon,2\n", {}, FileFormatError,
         "line 3, date: expected a time such as '2024-01-01' in the first row, got 'soon'"),
        ("date,y\n2024-01-01,1\n,2\n", {}, FileFormatError, "line 3, date: expected a time"),
        ("date,y\nred,1\nblue,2\n", {"time": "date"}, FileFormatError,
         "line 2, date: expected a time such as 2024-03-31, got 'red'"),
        ("date,y\n2024-02-30,1\n", {}, FileFormatError, "line 2, date: expected a time"),
        ("date,y\n" + days(2) + "2024-01-03,many\n", {}, FileFormatError,
         "line 4, y: expected a number or nothing, got 'many'"),
        ("date,y\n" + days(2) + "2024-01-03,inf\n", {}, FileFormatError,
         "line 4, y: expected a finite number"),
        ("date,y\n2024-01-01,\n2024-01-02,NA\n", {}, FileFormatError, "got missing values only"),
        ("date,y\n2024-01-01,1\n", {}, ArgumentError, "expected at least two observations"),
        ("date,y\n" + days(3), {"target": "sales"}, UnknownNameError, "'sales' is not known"),
        ("date,y\n" + days(3), {"target": "y", "past": "y"}, ArgumentError, "got 'y' twice"),
        ("date,y\n" + days(3), {"frequency": "fortnight"}, ArgumentError, "frequency: expected a unit"),
        ("date,y\n" + days(3), {"frequency": "step"}, ArgumentError, "does not go with times that are dates"),
        ("date,y\n" + days(3), {"frequency": "second"}, ArgumentError, "steps empty"),
        ("date,shop,u,v\n2024-01-01,a,1,2\n", {"group": "shop"}, ArgumentError,
         "several columns of numbers, u, v"),
        ("date,shop,y\n2024-01-01,,2\n", {"group": "shop"}, FileFormatError,
         "line 2, shop: expected the name"),
        ("date,y,size\n2024-01-01,1,5\n2024-01-02,2,6\n", {"target": "y", "static": "size"}, FileFormatError,
         "line 3, size: expected the same value in all rows of a series, got 6 after 5"),
        ("date,y,id\n" + "".join(f"2024-01-{n // 60 + 1:02d} 00:{n % 60:02d},1,x{n}\n" for n in range(60)),
         {"target": "y", "past": "id"}, ArgumentError, "at most 50 values"),
        ("date,remark\n2024-01-01,good\n2024-01-02,bad\n", {}, FileFormatError,
         "line 2, remark: expected a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    tmp_path: Path, text: str, given: dict[str, str], error: type[NabiError], message: str
) -> None:
    path = file_of(tmp_path, text)
    with pytest.raises(error) as problem:
        read_series(path, **given)
    assert message in str(problem.value)


def test_a_missing_file_and_a_foreign_one(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_series(tmp_path / "none.csv")
    with pytest.raises(ArgumentError, match="expected a table"):
        read_series(file_of(tmp_path, "x", "sales.doc"))
    with pytest.raises(ArgumentError, match="source: expected a file, a data frame"):
        read_series(3)


# Other sources ----------------------------------------------------------------------------------------------


def test_columns_in_memory() -> None:
    table = {"date": [datetime(2024, 1, day) for day in (1, 2, 3)], "y": np.array([1.0, np.nan, 3.0])}
    found = read_series(table)
    assert np.array_equal(found["y"].target, [1, np.nan, 3], equal_nan=True)
    with pytest.raises(ArgumentError, match="columns of the same length"):
        read_series({"date": [1, 2], "y": [1]})


def test_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    index = pandas.date_range("2024-01-01", periods=4)
    frame = pandas.DataFrame({"sales": [1.0, 2.0, None, 4.0]}, index=index)
    found = read_series(frame)
    assert found.frequency == Frequency("day")
    assert found["sales"].start == datetime(2024, 1, 1)
    assert np.array_equal(found["sales"].target, [1, 2, np.nan, 4], equal_nan=True)
    quarters = pandas.DataFrame(
        {"sales": [1.0, 2.0]}, index=pandas.PeriodIndex(["2024Q1", "2024Q2"], freq="Q")
    )
    assert read_series(quarters).frequency == Frequency("quarter")


TSF = """# a comment
@relation tourism
@attribute series_name string
@attribute start_timestamp date
@attribute rooms numeric
@frequency monthly
@horizon 24
@missing true
@data
T1:1979-01-01 00-00-00:12:?,1,2,?,4
T2:1980-03-01 00-00-00:7:5,6
"""


def test_a_tsf_file(tmp_path: Path) -> None:
    found = read_series(file_of(tmp_path, TSF, "tourism.tsf"))
    assert found.frequency == Frequency("month")
    assert found["T1"].start == datetime(1979, 2, 1)
    assert np.array_equal(found["T1"].target, [1, 2, np.nan, 4], equal_nan=True)
    assert found["T2"].static.tolist() == [7]
    assert found.notes == ("horizon of the file: 24",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("5,6", "5,six", "line 11: value 2: expected a number or ?, got 'six'"),
        ("T2:1980-03-01 00-00-00:7", "T2:7", "line 11: expected 3 attributes and the values, got 2"),
        ("1980-03-01 00-00-00", "March", "line 11: start_timestamp: expected a date, got 'March'"),
        ("rooms numeric", "rooms thing", "line 5: expected '@attribute NAME string or numeric or date'"),
        ("@frequency monthly", "frequency monthly", "line 6: expected a line that begins with @"),
        ("@frequency monthly", "@frequency lunar", "frequency: expected a unit"),
    ],
)
def test_damaged_tsf_files(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FileFormatError) as problem:
        read_series(file_of(tmp_path, TSF.replace(old, new), "tourism.tsf"))
    assert message in str(problem.value)


def test_a_step_that_a_tsf_file_does_not_have(tmp_path: Path) -> None:
    path = file_of(tmp_path, TSF, "tourism.tsf")
    assert read_series(path, frequency="month").frequency == Frequency("month")
    with pytest.raises(ArgumentError, match=r"frequency: expected month, as .*tourism\.tsf says, got day"):
        read_series(path, frequency="day")


def test_channels_of_a_ts_file_are_series(tmp_path: Path) -> None:
    text = "@classLabel true up down\n@data\n1,2,3:0,?,?:up\n3,1:?,?:down\n"
    found = read_series(file_of(tmp_path, text, "two.ts"))
    assert [one.name for one in found] == ["two.ts:3:1", "two.ts:3:2", "two.ts:4:1"]
    assert [len(one) for one in found] == [3, 1, 2]
    assert found.notes == (
        "3 series, one for each channel, whose steps are numbered", "class labels are left out"
    )  # fmt: skip
    with pytest.raises(FileFormatError, match="missing values only"):
        read_series(file_of(tmp_path, "@classLabel false\n@data\n?,?\n", "none.ts"))
