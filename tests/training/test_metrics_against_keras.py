"""Metric classes give Keras' numbers, with and without weights, over several batches."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nabi import metrics

PROGRAM = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
import keras
results = []
for name, options, batches, weighted in pickle.load(sys.stdin.buffer):
    metric = getattr(keras.metrics, name)(**options)
    for y_true, y_pred, weights in batches:
        given = (y_true, y_pred) if y_true is not None else (y_pred,)
        metric.update_state(*given, **({"sample_weight": weights} if weighted else {}))
    results.append(keras.ops.convert_to_numpy(metric.result()))
sys.stdout.buffer.write(pickle.dumps(results))
"""

rng = np.random.default_rng(3)


def softmax(x: Any) -> Any:
    return (np.exp(x) / np.exp(x).sum(-1, keepdims=True)).astype("float32")


def batches(kind: str) -> list[tuple[Any, Any, Any]]:
    found = []
    for rows in (6, 3, 9):
        weights = rng.random(rows).astype("float32") * 2
        y_pred: Any
        y_true: Any
        if kind == "numbers":
            y_true, y_pred = rng.random((2, rows, 4)).astype("float32") + 0.1
        elif kind == "flat":
            y_true, y_pred = rng.integers(0, 2, rows).astype("float32"), rng.random(rows).astype("float32")
        elif kind == "binary":
            y_true = rng.integers(0, 2, (rows, 3)).astype("float32")
            y_pred = rng.random((rows, 3)).astype("float32")
        elif kind == "classes":
            y_true = np.eye(7, dtype="float32")[rng.integers(0, 7, rows)]
            y_pred = softmax(rng.normal(size=(rows, 7)))
        elif kind == "labels":
            y_true, y_pred = rng.integers(0, 7, rows), softmax(rng.normal(size=(rows, 7)))
        elif kind == "equal":
            y_true, y_pred = rng.integers(0, 3, (2, rows, 1)).astype("float32")
        else:
            y_true, y_pred = None, rng.random((rows, 4)).astype("float32")
        found.append((y_true, y_pred, weights))
    return found


KINDS = [
    ("Accuracy", {}, "equal"),
    ("AUC", {}, "flat"),
    ("AUC", {"num_thresholds": 7}, "flat"),
    ("AUC", {"num_thresholds": 7, "summation_method": "minoring"}, "flat"),
    ("AUC", {"num_thresholds": 7, "summation_method": "majoring"}, "binary"),
    ("AUC", {"num_thresholds": 9, "curve": "PR"}, "flat"),
    ("AUC", {"num_thresholds": 9, "curve": "PR", "summation_method": "majoring"}, "flat"),
    ("AUC", {"thresholds": [0.6, 0.25, 0.5]}, "flat"),
    ("AUC", {"num_thresholds": 9, "from_logits": True}, "flat"),
    ("BinaryAccuracy", {"threshold": 0.4}, "binary"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "binary"),
    ("CategoricalAccuracy", {}, "classes"),
    ("CategoricalCrossentropy", {}, "classes"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "classes"),
    ("CosineSimilarity", {}, "numbers"),
    ("F1Score", {}, "classes"),
    ("F1Score", {"average": "macro"}, "classes"),
    ("F1Score", {"average": "micro"}, "classes"),
    ("F1Score", {"average": "weighted", "threshold": 0.3}, "binary"),
    ("FBetaScore", {"average": "macro", "beta": 2.0}, "classes"),
    ("FalseNegatives", {}, "binary"),
    ("FalsePositives", {"thresholds": [0.7, 0.2]}, "flat"),
    ("Hinge", {}, "binary"),
    ("KLDivergence", {}, "classes"),
    ("LogCoshError", {}, "numbers"),
    ("Mean", {}, "values"),
    ("MeanAbsoluteError", {}, "numbers"),
    ("MeanAbsolutePercentageError", {}, "numbers"),
    ("MeanSquaredError", {}, "numbers"),
    ("MeanSquaredLogarithmicError", {}, "numbers"),
    ("Poisson", {}, "numbers"),
    ("Precision", {}, "flat"),
    ("Precision", {"thresholds": [0.1, 0.9, 0.5]}, "binary"),
    ("Precision", {"top_k": 2}, "classes"),
    ("Precision", {"class_id": 1, "thresholds": 0.2}, "classes"),
    ("Recall", {}, "binary"),
    ("Recall", {"top_k": 3, "class_id": 2}, "classes"),
    ("RootMeanSquaredError", {}, "numbers"),
    ("SparseCategoricalAccuracy", {}, "labels"),
    ("SparseCategoricalCrossentropy", {}, "labels"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels"),
    ("Sum", {}, "values"),
    ("TopKCategoricalAccuracy", {"k": 2}, "classes"),
    ("TrueNegatives", {}, "flat"),
    ("TruePositives", {"thresholds": 0.3}, "flat"),
]  # fmt: skip
CASES = [
    (name, options, batches(kind), weighted) for weighted in (False, True) for name, options, kind in KINDS
]


@pytest.fixture(scope="module")
def by_keras(in_keras: Callable[..., bytes]) -> list[Any]:
    results: list[Any] = pickle.loads(in_keras(PROGRAM, pickle.dumps(CASES)))
    return results


@pytest.mark.parametrize(
    "number",
    range(len(CASES)),
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(CASES)],
)
def test_figure(number: int, by_keras: list[Any]) -> None:
    name, options, given, weighted = CASES[number]
    metric = getattr(metrics, name)(**options)
    assert isinstance(metric, metrics.Metric)
    for attempt in range(2):  # the second time after a reset
        for y_true, y_pred, weights in given:
            parts = (y_true, y_pred) if y_true is not None else (y_pred,)
            metric.update_state(*parts, **({"sample_weight": weights} if weighted else {}))
        np.testing.assert_allclose(
            metric.result(), by_keras[number], rtol=2e-5, atol=2e-6, err_msg=str(attempt)
        )
        metric.reset_state()
    if name not in ("Mean", "Sum"):
        again = metrics.deserialize(metrics.serialize(metric))
        assert again.get_config() == metric.get_config()
