"""Tables as other programs keep them: arrays of JSON, Excel, ZIP."""

import datetime
import json
import sys
import zipfile

import pytest
from hypothesis import given, settings, strategies as st

from nabi.data import read_table, stream_table, table_columns
from nabi.data._tables._tables import place_of_row
from nabi.errors import ArgumentError, FileFormatError, UnknownNameError

openpyxl = pytest.importorskip("openpyxl")


def sheet(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.create_sheet("another").append(["not read"])
    book.save(path)
    return path


def packed(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
objects = st.lists(st.dictionaries(st.text(max_size=3), values, min_size=1), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(objects, st.sampled_from([None, 2]))
def test_objects_in_an_array_and_in_lines_are_the_same_table(tmp_path_factory, rows, indent):
    """Each with its own keys: what one lacks is None."""
    path = tmp_path_factory.mktemp("any") / "a.json"
    path.write_text(json.dumps(rows, indent=indent))
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    assert read_table(path).columns == columns
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_table(path).columns == columns
    assert [len(part) for part in stream_table(path, rows=1)] == [1] * len(rows)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a JSON array of objects, or an object per line, got an empty file"),
        ("[]", "expected a JSON array of objects, or an object per line, got an empty file"),
        ('[{"a": 1},\n {"a": 2},\n {"a" 3}]', "line 3: this is not JSON"),
        ('[{"a": 1}, 5]', "row 2: expected a JSON object, got int"),
        ('{"data": [\n1]}', "line 1: this is not JSON"),
    ],
)
def test_what_is_no_array_of_objects(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=f"a.json.*{message}"):
        read_table(path)


def test_excel_keeps_types_and_reads_the_first_sheet(tmp_path):
    day = datetime.datetime(2020, 1, 2)
    rows = [["text", "n", "day"], ["나비", 1, day], [None] * 3, ["b", 2.5, None], [None, True]]
    path = sheet(tmp_path / "a.xlsx", rows)
    columns = {"text": ["나비", "b", None], "n": [1, 2.5, True], "day": [day, None, None]}
    assert read_table(path).columns == columns
    assert table_columns(path) == ["text", "n", "day"]
    assert [(part.first_row, part["n"]) for part in stream_table(path, ["n"], rows=2)] == [
        (1, [1, 2.5]),
        (3, [True]),
    ]
    assert place_of_row(path, 1) == "line 4"  # the third is empty
    assert read_table(path, ["0"], header=False).columns == {"0": ["text", "나비", "b", None]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "expected rows in the first sheet, got an empty one"),
        ([["a", "b"]], "has a header but no rows"),
        ([["a", "a"], [1, 2]], "line 1: there is more than one column 'a'"),
        ([["a"], [1], [2, 3]], "line 3: expected 1 cells as in the first row, got 2"),
    ],
)
def test_a_sheet_that_is_no_table(tmp_path, rows, message):
    with pytest.raises(FileFormatError, match=f"a.xlsx.*{message}"):
        read_table(sheet(tmp_path / "a.xlsx", rows))


def test_a_damaged_sheet(tmp_path):
    path = sheet(tmp_path / "a.xlsx", [["a"], *[[number] for number in range(50)]])
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[: len(whole) // 2], packed(tmp_path / "b", {"a": "b"}).read_bytes()):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a.xlsx is damaged or not .xlsx"):
            read_table(path)


def test_without_openpyxl_the_command_to_install_it_is_said(tmp_path, monkeypatch):
    path = sheet(tmp_path / "a.xlsx", [["a"], [1]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ArgumentError, match=r"a.xlsx.*pip install nabi\[xlsx\]"):
        read_table(path)


def test_the_only_file_of_a_zip(tmp_path):
    lines = "a\tb\n1\t2\n"
    path = packed(tmp_path / "a.zip", {"folder/": "", "folder/t.tsv": lines, "__MACOSX/folder/._t.tsv": "x"})
    assert read_table(path).columns == {"a": ["1"], "b": ["2"]}
    path = packed(tmp_path / "b.zip", {"rows.json": '[{"a": 1}]'})
    assert read_table(path).columns == {"a": [1]}
    path = packed(tmp_path / "c.zip", {"rows.txt": "a|b\n1|2"})
    assert read_table(path, separator="|").columns == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "expected one file in .*a.zip, got none"),
        ({"a.csv": "", "b.csv": ""}, r"expected one file in .*a.zip, got 2: a.csv, b.csv; unpack it"),
        ({"a.xlsx": ""}, "path: expected a table"),
        ({"a.png": ""}, "path: expected a table"),
    ],
)
def test_a_zip_that_is_no_table(tmp_path, files, message):
    with pytest.raises(ArgumentError, match=message):
        read_table(packed(tmp_path / "a.zip", files))


def test_a_damaged_zip(tmp_path):
    path = packed(tmp_path / "a.zip", {"a.csv": "a\n" + "\n".join(map(str, range(500)))})
    whole = path.read_bytes()
    for content in (whole[:-30], whole[:60] + bytes(40) + whole[100:]):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a.zip is damaged"):
            read_table(path)


def test_lines_are_counted_from_the_line_that_names_the_separator(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sep=;\na;b\n1;2\n3\n")
    with pytest.raises(FileFormatError, match="line 4: expected 2 fields as in the header, got 1"):
        read_table(path)
    path.write_text('sep=;\na;b\n"1;2\n')
    with pytest.raises(FileFormatError, match="line 3: a field in quotes begins here, and it never ends"):
        read_table(path)
    path.write_text("sep=;\na;b\n1;2\n3;4")
    assert place_of_row(path, 1) == "line 4"
    assert read_table(path, separator=";").columns == {"a": ["1", "3"], "b": ["2", "4"]}


def test_a_column_that_no_object_has(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"b": 2}\n')
    assert read_table(path, ["b"]).columns == {"b": [None, 2]}
    with pytest.raises(UnknownNameError, match=r"columns: .*'c'"):
        read_table(path, ["c"])
