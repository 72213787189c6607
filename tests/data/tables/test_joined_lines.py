"""Quotes that join the lines of a table: each row that takes several lines is named."""

import csv
import io
import warnings

import pytest
from hypothesis import given, settings, strategies as st

from nabi import TextClassifier
from nabi.data import read_pairs, read_table, stream_table
from nabi.errors import TableWarning

STRAY = 'say\tanswer\n"Hi\tHallo\nGo.\tGeh.\nRun!\tLauf!\nBye"\tTschüss\nYes\tJa\n'


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_that_a_stray_quote_swallows_are_counted_and_named(tmp_path):
    path = write(tmp_path / "a.tsv", STRAY)
    message = (
        r"a\.tsv: fields that begin with a quote join lines 2 to 5; 4 of these lines look like separate "
        r"rows\. If quotes are plain characters in this file, read it with quoted=False \(--no-quotes"
    )
    with pytest.warns(TableWarning, match=message):
        table = read_table(path)
    assert (len(table), table.joined) == (2, ((2, 5),))
    assert table.note == "1 row takes several lines, as quotes in the file say: lines 2 to 5"
    plain = read_table(path, quoted=False)
    assert (len(plain), plain.joined, plain.note) == (5, (), "")


@pytest.mark.parametrize("header", [True, False])
def test_several_places_are_named_and_counted(tmp_path, header):
    rows = "".join(f'"{n}\tx\n{n}\ty\n{n}\t{n}"\tz\n' for n in range(7))
    path = write(tmp_path / "a.tsv", ("a\tb\n" if header else "") + rows)
    first = 2 if header else 1
    spans = [(first + 3 * n, first + 3 * n + 2) for n in range(7)]
    named = ", ".join(f"{start} to {end}" for start, end in spans[:5])
    with pytest.warns(TableWarning, match=f"join lines {named} and 2 more spans; "):
        table = read_table(path, header=header)
    assert table.joined == tuple(spans)


def test_a_stream_names_them_with_each_part_and_at_its_end(tmp_path):
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n3,"4\n5,6\n"\n7,8\n')
    with pytest.warns(TableWarning, match="lines 3 to 5"):
        parts = [(part.first_row, part.joined) for part in stream_table(path, rows=1)]
    assert parts == [(1, ()), (2, ((3, 5),)), (3, ())]


def test_texts_of_several_lines_are_counted_without_a_warning(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\n"Slow, but\nlovely, really",good\n"One\n\nmore",bad\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_table(path)
    assert table["text"] == ["Slow, but\nlovely, really", "One\n\nmore"]
    assert table.note == "2 rows take several lines, as quotes in the file say: lines 2 to 3, 4 to 6"


def test_pairs_and_classifiers_pass_it_on(tmp_path, reviews):
    path = write(tmp_path / "a.tsv", STRAY)
    with pytest.warns(TableWarning):
        pairs = read_pairs(path, "say", "answer")
    assert pairs.joined == ((2, 5),)
    assert pairs.note.endswith("1 row takes several lines, as quotes in the file say: lines 2 to 5")
    content = io.StringIO()
    texts = [text.replace(" ", "\n", 1) for text in reviews[0][:40]]
    csv.writer(content, lineterminator="\n").writerows([("t", "l"), *zip(texts, reviews[1], strict=False)])
    write(tmp_path / "b.csv", content.getvalue())
    classifier = TextClassifier("simple-rnn", units=2, embedding_size=2, epochs=1)
    classifier.fit(tmp_path / "b.csv", text="t", label="l", verbose=0)
    assert any(note.startswith("40 rows take several lines") for note in classifier.notes)


def test_the_command_line_says_it_in_a_sentence(tmp_path, capsys, reviews):
    from nabi.cli import main

    classifier = TextClassifier("simple-rnn", units=2, embedding_size=2, epochs=1)
    classifier.fit(*reviews, verbose=0)
    classifier.save(tmp_path / "m.nabi")
    write(tmp_path / "a.tsv", 'text\tid\n"fine\t1\nlovely\t2\ndull"\t3\n')
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["predict", str(tmp_path / "m.nabi"), "--file", str(tmp_path / "a.tsv"), "--text", "text"])
    captured = capsys.readouterr()
    assert end.value.code == 0
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("nabi: ")
    assert "join lines 2 to 4; 3 of these lines look like separate rows" in captured.err


@given(
    st.lists(st.tuples(st.text("ab\n ,.", max_size=8), st.text("ab\n", max_size=8)), min_size=1, max_size=8)
)
@settings(max_examples=60, deadline=None)
def test_what_a_writer_quotes_is_read_back_and_each_long_row_named(tmp_path_factory, rows):
    content = io.StringIO()
    csv.writer(content, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("table") / "a.csv"
    path.write_text(content.getvalue())
    with warnings.catch_warnings():
        # A text such as "a\nb,c" looks like two rows.
        warnings.simplefilter("ignore", TableWarning)
        table = read_table(path)
    assert list(zip(table["a"], table["b"], strict=True)) == rows
    assert len(table.joined) == sum("\n" in a or "\n" in b for a, b in rows)
