import bz2
import csv
import gzip
import io
import json
import lzma
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from nabi.data import Table, read_table, stream_table, table_columns

COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
ROWS = {"text": ["good, really", 'a "quoted"\nword', "나비야"], "label": ["1", "0", ""]}


def write(path, content, encoding="utf-8"):
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def delimited(columns, separator=","):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def json_lines(columns):
    rows = zip(*columns.values(), strict=True)
    return "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)


def write_parquet(path, query):
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path.parent / 'table'}' (FORMAT parquet)")
    os.replace(path.parent / "table", path)
    return path


@pytest.mark.parametrize("packed", COMPRESS)
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".ndjson", ".CSV"])
def test_formats(tmp_path, kind, packed):
    content = json_lines(ROWS) if "j" in kind else delimited(ROWS, "\t" if kind == ".tsv" else ",")
    path = write(tmp_path / f"my.table{kind}{packed}", COMPRESS[packed](content.encode()))
    table = read_table(path)
    assert table.columns == ROWS
    assert (table.path, table.first_row, len(table)) == (path, 1, 3)
    assert table["label"] == ["1", "0", ""]
    assert read_table(str(path), ["label", "label"]).columns == {"label": ROWS["label"]}
    assert read_table(path, ["label", "text"]).columns == ROWS
    assert table_columns(path) == ["text", "label"]
    parts = list(stream_table(path, rows=2))
    assert [(len(part), part.first_row) for part in parts] == [(2, 1), (1, 3)]
    assert [value for part in parts for value in part["text"]] == ROWS["text"]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python packs .zst from 3.14 on")
def test_zst(tmp_path):
    from compression import zstd

    path = write(tmp_path / "a.csv.zst", zstd.compress(delimited(ROWS).encode()))
    assert read_table(path).columns == ROWS


def test_json_keeps_its_types(tmp_path):
    columns = {"a": [1, 2.5, None, True, "x\u2028y\x85"], "b": [["p", "q"], [], {"k": [1]}, "", "\ud800"]}
    path = write(tmp_path / "a.jsonl", json_lines(columns).replace("\n", "\r\n\n"))
    assert read_table(path).columns == columns
    # A name that only some rows have does not matter where it is not asked for.
    write(path, '{"a": 1}\n{"a": 2, "b": 3}\n{"b": 1, "a": 3}')
    assert read_table(path, ["a"]).columns == {"a": [1, 2, 3]}


@pytest.mark.parametrize("name", ["table.parquet", "a [1]'*?;--.PARQUET"])
def test_parquet(tmp_path, name):
    folder = tmp_path / "label=7"
    folder.mkdir()
    query = (
        'SELECT range AS id, \'text \' || range AS text, [range, 2] AS "two "" words", '
        "CASE WHEN range > 1 THEN {'k': [0.5]} END AS s FROM range(5)"
    )
    path = write_parquet(folder / name, query)
    write(folder / "a 1'xx;--.PARQUET", "another file that the name would fit as a pattern")
    assert table_columns(path) == ["id", "text", 'two " words', "s"]
    table = read_table(path, ['two " words', "s", "id"])
    assert table.columns == {
        'two " words': [[n, 2] for n in range(5)],
        "s": [None, None, {"k": [0.5]}, {"k": [0.5]}, {"k": [0.5]}],
        "id": [0, 1, 2, 3, 4],
    }
    parts = list(stream_table(path, ["text"], rows=2))
    assert [(part.first_row, len(part), list(part.columns)) for part in parts] == [
        (1, 2, ["text"]),
        (3, 2, ["text"]),
        (5, 1, ["text"]),
    ]


fields = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
tables = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(fields.filter(lambda name: "\0" not in name), min_size=width, max_size=width, unique=True),
        st.lists(st.lists(fields, min_size=width, max_size=width), min_size=1, max_size=6),
    )
)


# A field with a line break and a separator looks like two rows, which is said; what is read is the same.
@pytest.mark.filterwarnings("ignore:.*fields that begin with a quote join lines")
@settings(max_examples=200, deadline=None)
@example(((["", "0"], [["", "\n|"]])), "|", "utf-8")
@given(tables, st.sampled_from(",;\t|"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_what_csv_writes_is_read(tmp_path_factory, table, separator, encoding):
    header, rows = table
    columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    path = write(tmp_path_factory.mktemp("any") / "a.csv", text.getvalue(), encoding)
    assert read_table(path, separator=separator).columns == columns


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("a;b\n1,5;2\n", {"a": ["1,5"], "b": ["2"]}),
        ("a\tb\n1,5\t2\n", {"a": ["1,5"], "b": ["2"]}),
        ("a|b\n1;5|2\n", {"a": ["1;5"], "b": ["2"]}),
        ("sep=;\na,x;b\n1,5;2\n", {"a,x": ["1,5"], "b": ["2"]}),
        ("SEP=\t\r\na,b\tc\r\n1\t2\r\n", {"a,b": ["1"], "c": ["2"]}),
        ("a;b,c\n1;2,3\n", {"a;b": ["1;2"], "c": ["3"]}),
        ("\n\na;b\r\n\r\n1;2", {"a": ["1"], "b": ["2"]}),
        ("a\n1\n", {"a": ["1"]}),
        ("a,b\r1,2\r", {"a": ["1"], "b": ["2"]}),
        ('a,b\n5" tall,it"s\n', {"a": ['5" tall'], "b": ['it"s']}),
        ('a,b\n"1\x00",\x00\n', {"a": ["1\x00"], "b": ["\x00"]}),
    ],
)
def test_csv_of_many_kinds(tmp_path, content, columns):
    assert read_table(write(tmp_path / "a.csv", content)).columns == columns


def test_a_separator_makes_any_file_a_table(tmp_path):
    path = write(tmp_path / "ratings.txt", 'a\tb\n1\t"2\n"3"\t4\n')
    assert read_table(path, separator="\t", quoted=False).columns == {"a": ["1", '"3"'], "b": ['"2', "4"]}
    assert table_columns(path, separator="\t") == ["a", "b"]
    assert read_table(write(tmp_path / "none", "a b\n1 2"), separator=" ").columns == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("encoding", ["cp949", "latin-1", "utf-16-le"])
def test_another_encoding(tmp_path, encoding):
    text = "나비" if encoding == "cp949" else "é"
    path = write(tmp_path / "a.csv", f"a,b\n{text},1\n", encoding)
    assert read_table(path, encoding=encoding).columns == {"a": [text], "b": ["1"]}


def test_long_fields_do_not_change_csv_for_others(tmp_path):
    before = csv.field_size_limit()
    long = "x" * (before * 8)
    path = write(tmp_path / "a.csv", f'a,b\n"{long}",1\n{long},2\n')
    parts = stream_table(path, rows=1)
    assert next(parts)["a"] == [long]
    assert csv.field_size_limit() == before
    assert next(parts)["a"] == [long]
    assert csv.field_size_limit() == before
    with pytest.raises(csv.Error, match="field larger than field limit"):
        list(csv.reader([long]))


def test_tables_are_read_in_many_threads(tmp_path):
    before = csv.field_size_limit()
    long = "x" * (before + 1)
    path = write(tmp_path / "a.csv", "a,b\n" + f"1,{long}\n" * 50)
    read = []
    threads = [
        threading.Thread(target=lambda: read.append(sum(map(len, stream_table(path, rows=2)))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [50] * 4
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("kind", [".csv", ".jsonl.gz"])
def test_a_stream_needs_little_memory(tmp_path, kind):
    row = {"text": "word " * 200, "label": "1"}
    line = f"{row['text']},1\n" if kind == ".csv" else json.dumps(row) + "\n"
    content = (("text,label\n" if kind == ".csv" else "") + line * 8_000).encode()
    assert len(content) > 8e6
    path = write(tmp_path / f"a{kind}", content if kind == ".csv" else gzip.compress(content, 1))
    del content
    tracemalloc.start()
    try:
        count = sum(len(part) for part in stream_table(path, ["text"], rows=500))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 8_000
    assert peak < 3e6


def test_only_columns_that_were_asked_for_are_kept(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\n" + f"{'word ' * 200},1\n" * 10_000)
    tracemalloc.start()
    try:
        table = read_table(path, ["label"])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == 10_000
    assert kept < 1e6


def test_a_stream_that_is_left_closes_its_file(tmp_path):
    path = write(tmp_path / "a.csv", delimited(ROWS))
    for part in stream_table(path, rows=1):
        assert len(part) == 1
        break
    # An open file would be reported as a warning, and warnings are errors here.
    path.unlink()


def test_a_table_of_nothing_is_empty():
    assert len(Table(Path("a.csv"), {})) == 0


@pytest.mark.skipif("NABI_DATA" not in os.environ, reason="NABI_DATA names no folder with the real data sets")
def test_real_files():
    folder = Path(os.environ["NABI_DATA"]) / "text"
    reviews = read_table(folder / "nsmc_sample.csv.xz", ["text", "label"])
    assert len(reviews) == 40_000
    assert set(reviews["label"]) == {"0", "1"}
    stories = next(stream_table(folder / "reuters21578.jsonl.xz", ["topics"], rows=100))
    assert all(isinstance(topics, list) for topics in stories["topics"])
    tweets = read_table(folder / "covid_fake_news_Constraint_Train.csv", ["tweet", "label"])
    assert len(tweets) == 6420
    assert set(tweets["label"]) == {"fake", "real"}
