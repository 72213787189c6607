import bz2
import csv
import gzip
import lzma
import os
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from nabi.data import Table, read_table, stream_table, table_columns
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            'a,b\n1,"x\n2,"y"\n',
            "line 2: a field in quotes begins here, and a quote in line 3 ends it too soon",
        ),
        ('a,b\n1,2\n1,"x\n2,y\n\n', "line 3: a field in quotes begins here, and it never ends"),
        ('a,b\n1,"x"y\n', "line 2: .* a quote in line 2 ends it too soon; double a quote"),
        ('a,b\n"p\nq","r\n""s"" ""\nt" u\n', "line 3: .* a quote in line 5 ends"),
        ('a,b\n"p\r\n,q","r""\r\n', "line 3: .* it never ends; .* quoted=False"),
        ('a;b\n";";"\n', "line 2: .* it never ends"),
        ('"a,b\n1,2\n', "line 1: .* it never ends"),
        ("a,b\n1,2\n\n1,2,3\n", "line 4: expected 2 fields as in the header, got 3"),
        ('a,b\n"1\n\n",2\n1\n', "line 5: expected 2 fields as in the header, got 1"),
        ("", "expected a header and rows, got an empty file"),
        ("\n\n", "got an empty file"),
        ("a,b\n", "has a header but no rows"),
        ("a,b,a\n1,2,3\n", "line 1: there is more than one column 'a'"),
        (b"a,b\n1,2\n\xe9,2\n", 'line 3: byte 9 of the text, 0xe9, is not utf-8; .* encoding="cp1252"'),
        (b"\xef\xbb\xbfa,b\n1,\xff\n", "line 2: byte 10 of the text, 0xff, is not utf-8"),
        (b"a,\xe9\n1,2", "line 1: byte 3 of the text, 0xe9"),
        (b"a,b\n1,\xec\x95", "line 2: byte 7 of the text, 0xec"),
        (b"a,b\n" + (b"1," + b"x" * 996 + b"\n") * 3000 + b"\xff", "line 3002: byte 2997005 of the text"),
        ("a,b\n1,2".encode("utf-16-le"), 'line 1: this is not text, or not utf-8; .* encoding="utf-16-le"'),
    ],
)
def test_csv(tmp_path, content, message):
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(FileFormatError, match=f"path: .*a.csv.*{message}"):
        read_table(path)
    assert csv.field_size_limit() == 131_072


def test_a_wrong_encoding_is_found_where_it_is(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n1,2\n나,비\n".encode("cp949") + b"\x81\n")
    with pytest.raises(FileFormatError, match="line 4: byte 15 of the text, 0x81, is not cp949"):
        read_table(path, encoding="cp949")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a JSON object per line, got an empty file"),
        ('{"a": 1}\n\n{"a": 2\n', "line 3: this is not JSON .*, at character 8"),
        ('{"a": 1}\n{"a": "x\n', r"line 2: this is not JSON \(Unterminated string starting, at character 7"),
        ('{"a": 1}\n[1]\n', "line 2: expected a JSON object, got list"),
        ('"a"\n', "line 1: expected a JSON object, got str"),
        (
            '{"a": 1}\n' * 1001 + '{"b": 1}',
            "line 1002: the column 'b' is in none of the first 1,000 rows; name",
        ),
        ("[" * 100_000, "line 1: this is not JSON"),
        ('{"a": ' + "1" * 5000 + "}", "line 1: this is not JSON"),
        (b'{"a": "\xff"}\n', "line 1: byte 8 of the text"),
        ("{}\n{}\n", "no columns"),
    ],
)
def test_json_lines(tmp_path, content, message):
    path = write(tmp_path / "a.jsonl", content)
    with pytest.raises(FileFormatError, match=f"path: .*a.jsonl.*{message}"):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100, b"a,b\n1,2\n" * 10])
def test_what_is_no_parquet(tmp_path, content):
    with pytest.raises(FileFormatError, match=r"a.parquet is damaged or not Parquet"):
        read_table(write(tmp_path / "a.parquet", content))


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    import duckdb

    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT range AS id, 'text ' || hash(range) AS text FROM range(1000)) TO '{path}'"
        )
    return path


def test_columns_of_parquet_are_spelt_as_they_are(parquet):
    with pytest.raises(UnknownNameError, match="columns: 'TEXT' is not known; did you mean 'text'"):
        read_table(parquet, ["TEXT"])
    with pytest.raises(UnknownNameError, match="columns: "):
        read_table(parquet, ['text" FROM range(3) --'])


def test_empty_parquet(tmp_path):
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS a WHERE false) TO '{tmp_path}/a.parquet'")
    assert table_columns(tmp_path / "a.parquet") == ["a"]
    with pytest.raises(FileFormatError, match="has a header but no rows"):
        read_table(tmp_path / "a.parquet")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_damaged_parquet_is_an_error_or_a_table(parquet, tmp_path_factory, data):
    content = bytearray(parquet.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path = write(tmp_path_factory.mktemp("damaged") / "a.parquet", bytes(content[:cut]))
    with suppress(FileFormatError):
        assert isinstance(read_table(path), Table)


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("kind", PACK)
def test_damaged_archives(tmp_path, kind):
    content = PACK[kind](b"a,b\n" + os.urandom(20_000).hex().encode() + b",2\n")
    middle = len(content) // 2
    damaged = {
        "cut short": content[:-30],
        "changed": content[:middle]
        + bytes(byte ^ 255 for byte in content[middle : middle + 30])
        + content[middle + 30 :],
        "not packed": b"a,b\n1,2\n",
    }
    for data in damaged.values():
        with pytest.raises(FileFormatError, match=rf"path: .*a.csv\{kind} is damaged or cut short"):
            read_table(write(tmp_path / f"a.csv{kind}", data))
    with pytest.raises(FileFormatError, match=r"got an empty file|is damaged"):
        read_table(write(tmp_path / f"a.csv{kind}", b""))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60),
    st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".zip", ".csv.gz", ".csv.bz2", ".csv.xz"]),
)
def test_any_bytes_are_an_error_or_a_table(tmp_path_factory, content, kind):
    path = write(tmp_path_factory.mktemp("bytes") / f"a{kind}", content)
    with suppress(FileFormatError):
        assert isinstance(read_table(path), Table)


@settings(max_examples=300, deadline=None)
@given(st.text('ab,;"\n\r\t ', max_size=40))
def test_any_quotes_are_an_error_or_a_table(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("quotes") / "a.csv", f"a\n{content}")
    said = ""
    try:
        said = repr(read_table(path))
    except FileFormatError as problem:
        said = str(problem)
    assert said.startswith("Table") or "no rows" in said or "line " in said


def test_columns(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\nx,1\n")
    with pytest.raises(UnknownNameError, match="columns: 'txt' is not known; did you mean 'text'"):
        read_table(path, ["txt"])
    with pytest.raises(UnknownNameError, match="column: 'labels' is not known"):
        read_table(path)["labels"]
    for columns in ("text", []):
        with pytest.raises(ArgumentError, match=r"columns: expected a list of (texts or None|names), got"):
            read_table(path, columns)


def test_a_stream_complains_before_it_starts(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\nx,1\ny\n")
    with pytest.raises(MissingFileError, match="there is no file"):
        stream_table(tmp_path / "b.csv")
    with pytest.raises(UnknownNameError):
        stream_table(path, ["txt"])
    for rows in (0, True, 1.5):
        with pytest.raises(ArgumentError, match="rows: "):
            stream_table(path, rows=rows)
    parts = stream_table(path, rows=1)
    assert next(parts)["text"] == ["x"]
    with pytest.raises(FileFormatError, match="line 3: expected 2 fields as in the header, got 1"):
        next(parts)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("folder.csv", {}, r"path: expected texts in .*folder\.csv .*, got no file"),
        ("a.txt", {}, "path: expected a table, .csv.* got a.txt"),
        ("a", {}, "path: expected a table, .csv.* got a;"),
        (".csv", {}, "path: expected a table"),
        ("a.xls", {}, "path: expected a table"),
        ("a.xlsx.gz", {}, "path: expected a table"),
        ("a.parquet.gz", {}, "path: expected a table"),
        ("a.gz", {}, "path: expected a table"),
        ("a.csv", {"encoding": "utf-9"}, "encoding: expected a text encoding .* got 'utf-9'"),
        ("a.csv", {"encoding": "hex"}, "encoding: expected a text encoding .* got 'hex'"),
        ("a.csv", {"encoding": None}, "encoding: expected a text, got None"),
        ("a.csv", {"separator": ", "}, "separator: expected one character, got ', '"),
        ("a.csv", {"separator": ""}, "separator: expected one character, got ''"),
        ("a.csv", {"separator": '"'}, "separator: expected one character, got '\"'"),
        ("a.csv", {"separator": "\0"}, "separator: "),
        ("a.jsonl", {"separator": ","}, "separator: expected none for a.jsonl, got ','"),
        ("a.json", {"separator": ","}, "separator: expected none for a.json, got ','"),
        ("a.xlsx", {"separator": ","}, "separator: expected none for a.xlsx, got ','"),
        ("a.parquet", {"separator": ","}, "separator: expected none for a.parquet, got ','"),
    ],
)
def test_arguments(tmp_path, name, options, message):
    (tmp_path / "folder.csv").mkdir()
    if name != "folder.csv":
        write(tmp_path / name, "a,b\n1,2\n")
    for read in (read_table, stream_table, table_columns):
        with pytest.raises(ArgumentError, match=message):
            read(tmp_path / name, **options)


@pytest.mark.parametrize("path", [None, 3, ["a.csv"]])
def test_what_is_no_path(path):
    with pytest.raises(ArgumentError, match="path: "):
        read_table(path)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet", "a\0.csv"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(MissingFileError, match="path: there is no file"):
        read_table(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(
        ArgumentError, match=r"expected a regular file, got .*which cannot be read more than once"
    ):
        read_table(tmp_path / "a.csv")


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that the system will not read")
def test_a_file_that_the_system_will_not_read():
    """As one without permission, which the tests cannot make where they run as root."""
    with pytest.raises(FileFormatError, match="path: /proc/self/mem cannot be read: "):
        read_table("/proc/self/mem", separator=",")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python unpacks .zst from 3.14 on")
def test_zst_needs_a_newer_python(tmp_path):
    with pytest.raises(ArgumentError, match=r"needs Python 3.14"):
        read_table(write(tmp_path / "a.csv.zst", "a,b\n1,2\n"))
