"""Metrics, as `keras.metrics`; those of torchmetrics can be used beside them.

>>> from nabi import metrics
>>> accuracy = metrics.CategoricalAccuracy()
>>> accuracy.update_state([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
>>> accuracy.result()
0.5
"""

from nabi.training._metrics import (
    BinaryAccuracy,
    CategoricalAccuracy,
    MeanMetric,
    SparseCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)

__all__ = [
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "MeanMetric",
    "SparseCategoricalAccuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]
