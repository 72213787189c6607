"""Weights of classes: used as they are given, or refused."""

from typing import Any

import numpy as np
import pytest

import nabi
from nabi import layers
from nabi.errors import ArgumentError

X = np.random.default_rng(0).normal(size=(6, 2)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 2])


def model(
    units: int = 3, loss: str = "sparse_categorical_crossentropy", inputs: str = "numbers"
) -> nabi.Sequential:
    nabi.utils.set_random_seed(0)
    first = layers.Embedding(9, 2, input_length=2) if inputs == "words" else layers.Dense(2)
    last = layers.Dense(units, activation="softmax" if units > 1 else "sigmoid")
    made = nabi.Sequential([first, layers.Flatten(), last])
    made.build((None, 2))
    made.compile("sgd", loss)
    return made


@pytest.mark.parametrize("inputs", ["numbers", "words"])
@pytest.mark.parametrize(
    "weights", [{0: 0.5, 1: 2.5, 2: 0.25}, {2: 0.5}, {np.int64(0): np.float32(0.5), 1.0: 0}]
)
@pytest.mark.parametrize("kind", ["labels", "column", "one-hot"])
def test_they_are_sample_weights(inputs: str, weights: dict[Any, Any], kind: str) -> None:
    x = np.abs(X * 3).astype("int64") % 9 if inputs == "words" else X
    y = {"labels": LABELS, "column": LABELS[:, None], "one-hot": np.eye(3)[LABELS]}[kind]
    loss = "categorical_crossentropy" if kind == "one-hot" else "sparse_categorical_crossentropy"
    by_sample = np.array([float(weights.get(label, 1.0)) for label in LABELS])
    one, other = model(loss=loss, inputs=inputs), model(loss=loss, inputs=inputs)
    options: dict[str, Any] = {"batch_size": 3, "epochs": 2, "shuffle": False, "verbose": 0}
    found = one.fit(x, y, class_weight=weights, **options).history["loss"]
    expected = other.fit(x, y, sample_weight=by_sample, **options).history["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = one.train_on_batch(x, y, class_weight=weights)
    np.testing.assert_allclose(found, other.train_on_batch(x, y, by_sample), rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"0": 5.0}, r"class_weight: expected classes, each a whole number from 0 to 2, got the class '0'"),
        ({3: 1.0}, "got the class 3"),
        ({-1: 1.0}, "got the class -1"),
        ({0.5: 1.0}, "got the class 0.5"),
        ({None: 1.0}, "got the class None"),
        ({True: 1.0}, "got the class True"),
        ({float("nan"): 1.0}, "got the class nan"),
        ({0: "a"}, "class_weight: expected a number of 0 or more for class 0, got 'a'"),
        ({0: None}, "for class 0, got None"),
        ({0: float("nan")}, "for class 0, got nan"),
        ({0: float("inf")}, "for class 0, got inf"),
        ({0: -1}, "for class 0, got -1"),
        ({0: [1.0, 2.0]}, "for class 0, got"),
        ({}, "class_weight: expected a dictionary"),
        ([1.0, 2.0], "class_weight: expected a dictionary"),
        ("balanced", "class_weight: expected a dictionary"),
    ],
)
def test_what_is_refused(weights: Any, message: str) -> None:
    for y, loss in (
        (LABELS, "sparse_categorical_crossentropy"),
        (np.eye(3)[LABELS], "categorical_crossentropy"),
    ):
        made = model(loss=loss)
        for train in (made.fit, made.train_on_batch):
            with pytest.raises(ArgumentError, match=message):
                train(X, y, class_weight=weights)


def test_two_classes_and_one_output() -> None:
    made = model(1, "binary_crossentropy")
    made.fit(X, LABELS > 0, class_weight={0: 1.0, 1: 3.0}, verbose=0)
    with pytest.raises(ArgumentError, match="from 0 to 1, got the class 2"):
        made.fit(X, LABELS > 0, class_weight={2: 3.0}, verbose=0)
