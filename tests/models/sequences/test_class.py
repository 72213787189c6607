"""A class of each sequence: files and trainings as `task_checks` has them, what it learns and refuses."""

import numpy as np
import pytest

from nabi.errors import ArgumentError, ShapeError

from ..task_checks import *  # noqa: F403
from ..task_checks import Task
from .toy import Toy, directions


def small(**said):
    return Toy(said.pop("cell", "gru"), **{"units": 8, "batch_size": 16, "learning_rate": 0.01, **said})


OTHER = directions(100)[0], directions(100)[1][::-1]

TASK = Task(
    make=lambda **said: small(**{"epochs": 3, "networks": 2, "convolutions": (6,), **said}),
    data=directions(100),
    other_data=OTHER,
    ask=lambda model: model.predict(directions(6, seed=5)[0]),
    material="sequences or labels",
)


@pytest.fixture(scope="module")
def task():
    return TASK


def test_it_learns_and_says_what_simple_models_reach() -> None:
    inputs, labels = directions(120)
    model = small(epochs=20)
    report = model.fit(inputs, labels)
    assert report.accuracy == 1.0
    assert report.baselines["majority"] == pytest.approx(0.5, abs=0.1)
    assert report.baselines["logistic regression on 8 steps"] == 1.0
    assert report.verdict.startswith("No gain over logistic regression")
    assert report.verdict in " ".join(str(report).split())
    assert (report.train, report.held_out) == (96, 24)
    assert report.scores is not None
    assert np.sum(report.scores.confusion) == 24
    said = model.predict(directions(40, seed=3)[0])
    assert [one.label for one in said] == directions(40, seed=3)[1]
    assert said[0].probability == max(said[0].probabilities.values())
    assert sum(said[0].probabilities.values()) == pytest.approx(1)


def test_a_missing_value_is_not_a_zero() -> None:
    """The classes differ only in what is missing."""
    random = np.random.default_rng(0)
    inputs = [random.normal(size=(8, 2)).astype(np.float32) for _ in range(80)]
    for row in range(0, 80, 2):
        inputs[row][2:5, 1] = np.nan
    model = small(epochs=30, learning_rate=0.03)
    assert model.fit(inputs, ["gap", "whole"] * 40).accuracy == 1.0


def test_rare_classes_count_as_much_as_frequent_ones_when_balanced() -> None:
    random = np.random.default_rng(1)
    labels = ["rare" if row % 12 == 0 else "often" for row in range(240)]
    inputs = [
        (random.normal(size=(6, 1)) + (1.0 if label == "rare" else 0.0)).astype(np.float32)
        for label in labels
    ]
    plain, balanced = small(epochs=8), small(epochs=8, class_weight="balanced")
    one, other = plain.fit(inputs, labels), balanced.fit(inputs, labels)
    assert other.measure == "macro F1"
    recall = [report.scores.by_label[1].recall for report in (one, other)]
    assert recall[1] > recall[0]


def test_the_number_of_epochs_follows_from_the_data_and_may_be_none_held_out() -> None:
    inputs, labels = directions(16)
    model = small(units=2, networks=1)
    report = model.fit(inputs, labels, validation_share=0)
    assert model.settings.epochs == 200
    assert (report.held_out, report.scores, report.baselines) == (0, None, {})
    assert str(report) == "nothing was held out"


def test_what_is_wrong_is_said_before_training() -> None:
    inputs, labels = directions(10)
    short = [*inputs[:9], inputs[9][:0]]
    wide = [*inputs[:9], np.ones((5, 3), np.float32)]
    for given, kind, message in [
        (
            (short, labels),
            ArgumentError,
            "line 10: expected a sequence of one step or more, got an empty one",
        ),
        (
            (wide, labels),
            ShapeError,
            r"line 10: expected steps of the shape \(2,\), as line 1 has, got \(3,\)",
        ),
        ((inputs, labels[:9]), ArgumentError, "labels: expected one for each of 10 sequences, got 9"),
        ((inputs, ["up"] * 10), ArgumentError, "expected at least two classes, got only 'up'"),
        ((inputs, [*labels[:9], None]), ArgumentError, "line 10: expected a label, got none"),
        ((inputs, [*labels[:9], " "]), ArgumentError, "line 10: expected a label, got none"),
        ((inputs, [*labels[:9], object()]), ArgumentError, "line 10: expected a label, text or a number"),
    ]:
        with pytest.raises(kind, match=message):
            small().fit(*given)
    with pytest.raises(ArgumentError, match=r"validation_share: 0\.2 of 10 sequences in 1 groups cannot be"):
        small().fit(inputs, labels, groups=("one",) * 10)
    with pytest.raises(
        ArgumentError, match=r"convolutions: expected a list of whole numbers .* or None, got"
    ):
        small(convolutions=())
