"""Pairs of texts from tables: what is read, what is left out, what is refused."""

import gzip
import json
from pathlib import Path

import pytest

from nabi.data import Pairs, read_pairs
from nabi.errors import ArgumentError, FileFormatError, MissingFileError, UnknownNameError

ROWS = [("Go.", "가.", "by A"), ("Hi, you!", "안녕.", "by B"), ('Say "hi".', '"안녕"이라고 해.', "by C")]


@pytest.fixture
def tsv(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_without_a_header_every_line_is_a_pair(tsv: Path) -> None:
    pairs = read_pairs(tsv, 0, 1, quoted=False)
    assert pairs == Pairs(tsv, [row[0] for row in ROWS], [row[1] for row in ROWS])
    assert (len(pairs), pairs.note) == (3, "")
    assert read_pairs(tsv, "0", "1", quoted=False, header=False) == pairs
    turned = read_pairs(tsv, 1, 0, quoted=False)
    assert (turned.sources, turned.targets) == (pairs.targets, pairs.sources)


def test_a_header_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text('answer,who,question\n"Yes, really.",x, Is it? \n', encoding="utf-8")
    pairs = read_pairs(path, "question", "answer")
    assert (pairs.sources, pairs.targets) == (["Is it?"], ["Yes, really."])
    with pytest.raises(UnknownNameError, match="'questoin' is not known; did you mean 'question'"):
        read_pairs(path, "questoin", "answer")


def test_json_lines_and_compressed_files(tmp_path: Path, tsv: Path) -> None:
    lines = tmp_path / "pairs.jsonl.gz"
    with gzip.open(lines, "wt", encoding="utf-8") as file:
        for row in ROWS:
            file.write(json.dumps({"en": row[0], "ko": row[1]}) + "\n")
    by_name = read_pairs(lines, "en", "ko")
    assert (by_name.sources, by_name.targets) == ([row[0] for row in ROWS], [row[1] for row in ROWS])
    by_number = read_pairs(lines, 0, 1)
    assert (by_number.sources, by_number.targets) == (by_name.sources, by_name.targets)
    packed = tmp_path / "packed.tsv.gz"
    packed.write_bytes(gzip.compress(tsv.read_bytes()))
    assert read_pairs(packed, 0, 1, quoted=False).sources == by_name.sources


def test_parquet(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "pairs.parquet"
    duckdb.sql("SELECT 'Go.' AS en, '가.' AS ko UNION ALL SELECT 'Hi.', NULL ORDER BY en").write_parquet(
        str(path)
    )
    pairs = read_pairs(path, "en", "ko")
    assert (pairs.sources, pairs.targets, pairs.left_out) == (["Go."], ["가."], (2,))


def test_other_encodings_and_separators(tmp_path: Path) -> None:
    path = tmp_path / "pairs.dat"
    path.write_bytes("Go.|가.\n".encode("cp949"))
    assert read_pairs(path, 0, 1, encoding="cp949", separator="|").targets == ["가."]


def test_empty_sides_are_left_out_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("a\tA\n \tB\nc\t\nd\tD\n" + "\tX\n" * 5, encoding="utf-8")
    pairs = read_pairs(path, 0, 1)
    assert (pairs.sources, pairs.targets) == (["a", "d"], ["A", "D"])
    assert pairs.left_out == (2, 3, 5, 6, 7, 8, 9)
    assert pairs.note == "7 pairs with an empty side are left out: rows 2, 3, 5, 6, 7, ..."


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ((0, 3), ArgumentError, r"target: expected a column 0 to 2 of .*pairs\.tsv, got 3"),
        ((-1, 1), ArgumentError, "source: expected a whole number of at least 0 or the name of a column,"),
        ((0, 0), ArgumentError, "target: expected another column than source, got 0"),
        ((0, "ko"), ArgumentError, "source and target: expected two names, or two numbers .*got 0 and 'ko'"),
        ((True, 1), ArgumentError, "source: expected a whole number or a text, got True"),
        (("en", None), ArgumentError, "target: expected a whole number or a text, got None"),
    ],
)
def test_columns_that_are_none(tsv: Path, columns: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_pairs(tsv, *columns, quoted=False)


def test_files_without_pairs(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no file"):
        read_pairs(tmp_path / "none.tsv", 0, 1)
    path = tmp_path / "pairs.tsv"
    path.write_text("", encoding="utf-8")
    with pytest.raises(FileFormatError, match="expected rows, got an empty file"):
        read_pairs(path, 0, 1)
    path.write_text("a\t\n\tB\n", encoding="utf-8")
    with pytest.raises(
        FileFormatError, match="has no complete pair of texts: 2 pairs with an empty side are left out"
    ):
        read_pairs(path, 0, 1)
    path.write_text("a\tA\nb\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match="line 2: expected 2 fields as in the first row, got 1"):
        read_pairs(path, 0, 1)
    lines = tmp_path / "pairs.jsonl"
    lines.write_text('{"a": "x", "b": "X"}\n{"a": "y", "b": 3}\n', encoding="utf-8")
    with pytest.raises(FileFormatError, match="row 2, b: expected a text, got 3"):
        read_pairs(lines, "a", "b")
