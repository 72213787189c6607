"""Masks on their way through models."""

from typing import Any

import numpy as np
import torch

from nabi.layers import LSTM, Dense, Embedding, Masking, TimeDistributed
from nabi.models import Model, Sequential

RANDOM = np.random.default_rng(0)


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.tensor(RANDOM.normal(size=(3, 5, 2)), dtype=torch.float32)
    x[0, 3:], x[1, 1:] = 0, 0
    return x, (x != 0).any(-1)


def test_a_mask_that_is_given_works_like_one_that_is_made() -> None:
    x, mask = padded()
    inner = Sequential([LSTM(3, return_sequences=True, input_shape=(None, 2)), LSTM(4)])
    made = Sequential([Masking(input_shape=(None, 2)), *inner.layers])
    assert torch.equal(inner(x, mask=mask), made(x))
    assert not torch.equal(inner(x), made(x))
    assert not hasattr(x, "_keras_mask")


def test_a_nested_model_hands_on_the_mask_of_its_own_outputs() -> None:
    x, mask = padded()
    masking = Masking(input_shape=(None, 2))
    sequences = Sequential([masking, Sequential([LSTM(3, return_sequences=True)]), TimeDistributed(Dense(1))])
    assert torch.equal(sequences(x)._keras_mask, mask)
    ended = Sequential([Masking(input_shape=(None, 2)), Sequential([LSTM(3)]), Dense(1)])
    assert getattr(ended(x), "_keras_mask", None) is None


def test_a_model_of_ones_own_does_so_too() -> None:
    class Reader(Model):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = Embedding(5, 3, mask_zero=True)
            self.memory = LSTM(2, return_sequences=True)

        def call(self, inputs: Any) -> Any:
            return self.memory(self.embedding(inputs))

    words = torch.tensor([[1, 2, 0], [3, 0, 0]])
    assert torch.equal(Reader()(words)._keras_mask, words != 0)


def test_padding_changes_nothing_that_is_learned() -> None:
    """Training on padded sequences gives the weights that training on the sequences themselves gives."""
    sequence, target = RANDOM.normal(size=(1, 3, 2)), [1.0]
    long = np.concatenate([sequence, np.zeros((1, 2, 2))], axis=1)
    results = []
    for x in (sequence, long):
        torch.manual_seed(0)
        model = Sequential([Masking(input_shape=(None, 2)), LSTM(3), Dense(1)])
        model.compile("adam", "mse")
        model.fit(x, target, epochs=3, verbose=0)
        results.append(model.get_weights())
    for short_weight, long_weight in zip(*results, strict=True):
        np.testing.assert_allclose(short_weight, long_weight, rtol=1e-5, atol=1e-7)
