"""Penalties on weights and outputs."""

import pytest
import torch

from nabi import layers, regularizers
from nabi.errors import ArgumentError, UnknownNameError


def test_values_and_names() -> None:
    weight = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    assert regularizers.L1(0.1)(weight) == pytest.approx(0.6)
    assert regularizers.L2(0.1)(weight) == pytest.approx(1.4)
    assert regularizers.L1L2(0.1, 0.1)(weight) == pytest.approx(2.0)
    assert regularizers.get("l1") == regularizers.L1(0.01)
    assert regularizers.get("l1_l2") == regularizers.l1_l2() == regularizers.L1L2(0.01, 0.01)
    assert regularizers.get(regularizers.L2) == regularizers.l2(0.01)
    assert regularizers.get(None) is None
    config = regularizers.serialize(regularizers.L1L2(0.2, 0.3))
    assert regularizers.deserialize(config) == regularizers.L1L2(0.2, 0.3)
    assert len({regularizers.L1(0.1), regularizers.L1(0.1), regularizers.L2(0.1)}) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda **a: layers.LSTM(3, **a),
        lambda **a: layers.GRU(3, **a),
        lambda **a: layers.SimpleRNN(3, **a),
        lambda **a: layers.Bidirectional(layers.LSTM(3, **a)),
        lambda **a: layers.RNN(layers.GRUCell(3, **a)),
    ],
)
def test_each_weight_has_its_penalty(make) -> None:
    layer = make(kernel_regularizer="l2", recurrent_regularizer=regularizers.L1(0.5), bias_regularizer="l1")
    layer(torch.ones(1, 2, 4))
    expected = sum(
        {0: 0.01 * w.square().sum(), 1: 0.5 * w.abs().sum(), 2: 0.01 * w.abs().sum()}[number % 3]
        for number, w in enumerate(layer.weights)
    )
    torch.testing.assert_close(layer.regularization_loss(), expected)
    assert len(layer.losses) == len(layer.weights)
    layer.regularization_loss().backward()
    assert all(w.grad is not None for w in layer.weights)


def test_embedding_and_output() -> None:
    embedding = layers.Embedding(5, 2, embeddings_regularizer="l2", embeddings_initializer="ones")
    embedding(torch.tensor([[1]]))
    assert embedding.regularization_loss().item() == pytest.approx(0.1)
    lstm = layers.LSTM(3, activity_regularizer="l1", return_state=True)
    output, h, c = lstm(torch.ones(1, 2, 4))
    assert lstm.regularization_loss().item() == pytest.approx(
        0.01 * (output.abs().sum() + h.abs().sum() + c.abs().sum()).item(), rel=1e-5
    )


def test_what_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"kernel_regularizer: 'l3'"):
        layers.Dense(2, kernel_regularizer="l3")
    with pytest.raises(ArgumentError, match="l2: expected a number of at least 0, got -1"):
        regularizers.L2(-1)
    with pytest.raises(
        ArgumentError, match=r"^kernel_constraint: expected None, got 'max_norm'; constraints on"
    ):
        layers.LSTM(2, kernel_constraint="max_norm")
