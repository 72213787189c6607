"""A class of each sequence: files and trainings as `task_checks` has them, what it learns and refuses."""

import numpy as np
import pytest

from nabi.errors import ArgumentError, ShapeError
from nabi.models._sequences._baselines import Baselines
from nabi.models._sequences._samples import SequenceSamples

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


def test_numbers_are_standardized_for_the_linear_model_and_one_hot_features_are_not() -> None:
    """A value that occurs once says nothing; standardized, its weight would hardly be penalized."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 200)
    numbers = (targets[:, None] + random.normal(size=(200, 1))) * 1000 + 5000
    values = np.where(random.random(200) < 0.9, targets, 1 - targets)
    values[targets.argmax()] = 2
    features = {"numbers": numbers, "one-hot": np.eye(3)[values]}
    baselines = Baselines({"numbers": 1, "one-hot": 3}, 2)
    baselines.fit(features, targets, None, None, unscaled=["one-hot"])
    scaled, plain = baselines.models
    np.testing.assert_allclose(scaled.mean, numbers.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scaled.deviation, numbers.std(0), rtol=1e-5)
    assert (plain.mean.tolist(), plain.deviation.tolist()) == ([0, 0, 0], [1, 1, 1])
    said = baselines.probabilities("one-hot", np.eye(3))
    # Regularized regression as its definition has it, fitted by other means.
    weight, bias = scikit_like(features["one-hot"], targets)
    np.testing.assert_allclose(said[:, 1], 1 / (1 + np.exp(-(weight + bias))), atol=1e-3)
    baselines.fit(features, targets, None, None)
    assert np.ptp(baselines.probabilities("one-hot", np.eye(3))[2]) > np.ptp(said[2]) + 0.1


def scikit_like(features, targets):
    """Two-class regression with the penalty 1 by Newton's method; with two weights each is half of it."""
    weight, bias = np.zeros(features.shape[1]), 0.0
    for _ in range(50):
        said = 1 / (1 + np.exp(-(features @ weight + bias)))
        held = np.column_stack([features, np.ones(len(features))])
        slope = held.T @ (said - targets) + np.append(weight / 2, 0)
        curve = held.T @ (held * (said * (1 - said))[:, None]) + np.diag([*np.full(len(weight), 0.5), 1e-9])
        step = np.linalg.solve(curve, slope)
        weight, bias = weight - step[:-1], bias - step[-1]
    return weight, bias


def test_a_linear_model_is_averaged_where_that_helps_on_what_was_held_out() -> None:
    inputs, labels = directions(80)
    held_out = directions(24, seed=7)
    weak = small(epochs=1, learning_rate=1e-4, with_linear="auto", linear_share=0.25)
    report = weak.fit(inputs, labels, validation=held_out)
    alone = small(epochs=1, learning_rate=1e-4)
    expected = alone.fit(inputs, labels, validation=held_out)
    assert report.baselines.pop("networks without the linear model") == expected.accuracy
    assert report.baselines == expected.baselines
    assert report.accuracy == 1.0 > expected.accuracy
    samples = SequenceSamples(inputs)
    name = "logistic regression on 8 steps"
    linear = weak.network.baselines.probabilities(name, weak._features(samples)[name])
    mean = 0.75 * np.stack(alone._probabilities(samples)) + 0.25 * linear
    np.testing.assert_allclose(np.stack(weak._probabilities(samples)), mean, atol=1e-6)

    # Not where the networks are better without it, nor without anything held out, unless that is asked for.
    name = "networks without the linear model"
    wrong = [{"up": "down", "down": "up"}[label] for label in held_out[1]]
    worse = small(epochs=1, learning_rate=1e-4, with_linear="auto")
    assert name not in worse.fit(inputs, labels, validation=(held_out[0], wrong)).baselines
    for said, averaged in (("auto", False), ("yes", True), ("no", False)):
        model = small(epochs=1, units=2, with_linear=said)
        model.fit(inputs, labels, validation_share=0)
        assert model._linear == averaged
    # A network that reads in one direction stays alone, so that it can stream.
    stream = small(epochs=1, learning_rate=1e-4, with_linear="auto", bidirectional=False)
    stream.fit(inputs, labels, validation=held_out)
    stream.stream()
    both = small(epochs=1, units=2, with_linear="yes", bidirectional=False)
    both.fit(inputs, labels, validation=held_out)
    with pytest.raises(ArgumentError, match=r"linear model .* whole sequence; train with with_linear='no'"):
        both.stream()


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
