"""Figures of a classifier, against their definitions."""

import json

import numpy as np
import pytest

from nabi.errors import ArgumentError, ShapeError
from nabi.models import Report


def one_hot(labels, count):
    return np.eye(count, dtype=np.float32)[labels]


def test_figures_are_those_of_the_definitions():
    truth = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    said = np.array([0, 0, 1, 1, 2, 2, 2, 0])
    report = Report.measure(("a", "b", "c"), truth, one_hot(said, 3))
    assert report.confusion == ((2, 1, 0), (0, 1, 1), (1, 0, 2))
    assert report.accuracy == report.micro_f1 == pytest.approx(5 / 8)
    # Precision and recall by hand; F1 is their harmonic mean.
    by_hand = {"a": (2 / 3, 2 / 3, 3), "b": (1 / 2, 1 / 2, 2), "c": (2 / 3, 2 / 3, 3)}
    for figures in report.by_label:
        precision, recall, rows = by_hand[figures.label]
        assert figures.precision == pytest.approx(precision)
        assert figures.recall == pytest.approx(recall)
        assert figures.f1 == pytest.approx(2 * precision * recall / (precision + recall))
        assert figures.rows == rows
    assert report.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert report.weighted_f1 == pytest.approx((3 * 2 / 3 + 2 * 1 / 2 + 3 * 2 / 3) / 8)


def test_a_label_that_is_neither_there_nor_said_does_not_count():
    report = Report.measure(("a", "b", "never"), np.array([0, 1]), one_hot([0, 1], 3))
    assert (report.accuracy, report.macro_f1) == (1, 1)
    assert (report.by_label[2].f1, report.by_label[2].rows) == (0, 0)


def test_several_labels_at_once():
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=np.float32)
    probabilities = np.array([[0.9, 0.2], [0.6, 0.4], [0.1, 0.2], [0.5, 0.8]])
    report = Report.measure(("a", "b"), truth, probabilities, several=True)
    # a is said of rows 0, 1, 3, rightly of 0, 1; b of row 3, rightly, and not of 1. Rows 0 and 2 are right.
    assert report.accuracy == pytest.approx(2 / 4)
    a, b = report.by_label
    assert (a.precision, a.recall, a.rows) == (pytest.approx(2 / 3), 1, 2)
    assert (b.precision, b.recall, b.rows) == (1, pytest.approx(1 / 2), 2)
    assert report.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert report.micro_f1 == pytest.approx(2 * 3 / (4 + 4))
    assert report.confusion is None
    strict = Report.measure(("a", "b"), truth, probabilities, several=True, threshold=0.85)
    assert [figures.recall for figures in strict.by_label] == [0.5, 0]


@pytest.mark.parametrize("several", [False, True])
def test_a_report_survives_json(several):
    truth = np.array([[1, 0], [0, 1]]) if several else np.array([0, 1])
    report = Report.measure(("a", "b"), truth, one_hot([0, 1], 2), several=several, interrupted=True)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@pytest.mark.parametrize("change", [{"rows": 1, "more": 2}, {"by_label": 3}, {"confusion": 5}])
def test_what_is_no_report_is_refused(change):
    described = Report.measure(("a", "b"), np.array([0, 1]), one_hot([0, 1], 2)).to_dict()
    for wrong in ({**described, **change}, {}, []):
        with pytest.raises(ArgumentError, match="expected a report"):
            Report.from_dict(wrong)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"probabilities: expected the shape .*got \(2, 2\)"):
        Report.measure(("a", "b", "c"), np.array([0, 1]), one_hot([0, 1], 2))
    with pytest.raises(ArgumentError, match="no rows"):
        Report.measure(("a", "b"), np.array([], dtype=int), np.zeros((0, 2)))


def test_as_text():
    report = Report.measure(("[b]lack", "white"), np.array([0, 0, 0, 1]), one_hot([0, 0, 1, 1], 2))
    lines = str(report).splitlines()
    assert lines[0] == "4 held-out rows: accuracy 0.7500, macro F1 0.7333, weighted F1 0.7667"
    assert any(line.split() == ["[b]lack", "1.000", "0.667", "0.800", "3"] for line in lines)
    assert any(line.split() == ["[b]lack", "2", "1"] for line in lines)
    assert any(line.split() == ["white", "0", "1"] for line in lines)
    assert "\x1b" not in str(report)


def test_a_large_confusion_matrix_is_not_for_the_terminal():
    names = tuple(f"label {number}" for number in range(16))
    report = Report.measure(names, np.arange(16), one_hot(np.arange(16), 16))
    assert "right / said" not in str(report)
    assert "right / said" in str(Report.measure(names[:15], np.arange(15), one_hot(np.arange(15), 15)))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize("several", [False, True])
def test_a_picture(tmp_path, suffix, several):
    """Also of labels whose characters no font may have, and with signs that mean something to matplotlib."""
    names = ("부정", "$\\frac$", "a label that is much too long to be written out in full")
    truth = np.eye(3) if several else np.arange(3)
    report = Report.measure(names, truth, one_hot([0, 2, 2], 3), several=several)
    path = report.picture(tmp_path / f"picture{suffix}")
    start = path.read_bytes()[:200]
    assert start.startswith(b"\x89PNG") if suffix == ".png" else b"<svg" in path.read_bytes()
    again = report.picture(tmp_path / f"again{suffix}")
    assert again.read_bytes() == path.read_bytes()
    with pytest.raises(ArgumentError, match=r"\.svg or \.png"):
        report.picture(tmp_path / "picture.gif")
