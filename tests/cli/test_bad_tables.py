"""Tables from which little can be learnt: what `nabi` says of them, and when."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from nabi.cli._never_given import never_given
from nabi.models import Report, TextClassifier

COLUMNS = ("--text", "text", "--label", "label")
SMALL = ("--units", 2, "--embedding-size", 4, "--epochs", 1)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def write(rows, head="text,label"):
    Path("t.csv").write_text("\n".join([head, *rows, ""]))


def test_four_rows_of_two_labels_are_too_few_and_the_way_out_is_named(nabi):
    write(["good,+", "bad,-", "fine,+", "poor,-"])
    refused = nabi("train", "t.csv", *COLUMNS, *SMALL)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == (
        "nabi: --label: 4 rows with 2 labels are too few to learn from and to hold some out to stop by and "
        "to test on: at least two labels need 3 rows or more; add rows, or give others with --validation and "
        "--test\n"
    )


def test_many_long_labels_are_shown_in_part_and_those_never_given_are_counted():
    names = tuple(f"a long label about the subject number {one} of a table" for one in range(70))
    rows = np.arange(140) % 70
    report = Report.measure(names, rows, np.eye(70)[rows % 35])
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(report)
    shown = captured.get()
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("a long label about the subject number") == 60
    assert "and 10 more labels, with no more rows; the figures as JSON have all" in shown
    said = never_given(report, balanced=False)
    assert said.startswith(
        "35 of 70 labels given to none of these rows: a long label about the subject number"
    )
    assert said.count("… (2 rows)") == 5
    assert " and 30 more; --balanced counts rare labels as much as frequent ones" in said


def test_a_label_that_is_never_given_is_named_by_evaluate(nabi):
    texts, labels = ["good", "bad", "good day", "bad day"] * 10, ["+", "-"] * 20
    classifier = TextClassifier(units=2, embedding_size=4, epochs=1, class_weight="balanced")
    classifier.fit([*texts, "odd", "odd", "odd"], [*labels, *["rare"] * 3], verbose=0)
    classifier.save("m.nabi")
    write([*(f"{text},{label}" for text, label in zip(texts, labels, strict=True)), "good,rare", "bad,rare"])
    said = nabi("evaluate", "m.nabi", "t.csv", *COLUMNS).out
    assert "note 1 of 3 labels given to none of these rows: rare (2 rows); more rows of them help" in said


def test_several_labels_in_one_cell_and_texts_that_are_numbers_name_column_row_and_option(nabi):
    write([*(f"{one}.5,{'ab'[one % 2]}" for one in range(40)), "3,a;b"])
    said = nabi("train", "t.csv", *COLUMNS, *SMALL).out
    assert "in the column 'label', such as 'a;b' in row 41 of t.csv" in said
    assert "--label-separator ; takes them apart" in said
    assert "41 of 41 rows hold a number or a date in the column 'text', such as '0.5'" in said
    assert said.index("takes them apart") < said.index("Epoch 1")


def test_an_aspect_that_was_not_learnt_is_said_with_those_that_were(nabi):
    rows = ["good food", "bad food", "good room", "bad room"] * 10
    classifier = TextClassifier(units=2, embedding_size=4, epochs=1)
    classifier.fit(rows, ["+", "-"] * 20, ["food", "food", "room", "room"] * 10, verbose=0)
    classifier.save("m.nabi")
    said = nabi("predict", "m.nabi", "good", "--aspect", "parking")
    assert said.status == 0
    assert said.err.startswith("nabi: --aspect: 'parking' was not among the aspects of the training")
    assert "known are food, room" in said.err
    assert nabi("predict", "m.nabi", "good", "--aspect", "room").err == ""
    assert nabi("predict", "m.nabi", "good").err.startswith("nabi: --aspect: expected one for each text")


def test_series_whose_labels_do_not_repeat_are_refused(nabi):
    write((f"{one},{step},ward {one}" for one in range(12) for step in range(3)), head="id,x,label")
    refused = nabi("train", "t.csv", "--id", "id", "--label", "label", "--units", 2, "--epochs", 1)
    assert refused.status == 2
    assert "--label: 12 different labels in 12 sequences, such as 'ward 0'" in refused.err
