"""An option is used, or refused with a message that names it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import layers, losses
from nabi.errors import ArgumentError

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def fit(**options: Any) -> Any:
    model = nabi.Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    return model.fit(X, Y, verbose=0, **options)


LOADER = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 3), torch.ones(4, 1)), 2)
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: fit(shuffle="batch"), "shuffle: expected True or False, got 'batch'"),
    (lambda: fit(shuffle=None), "shuffle: expected True or False, got None"),
    (
        lambda: fit(validation_steps=2),
        "validation_steps: expected validation_data or validation_split with it, got 2",
    ),
    (lambda: fit(validation_batch_size=2), "validation_batch_size: expected validation_data or"),
    (
        lambda: fit(validation_data=LOADER, validation_batch_size=3),
        "validation_batch_size: expected None; validation_data",
    ),
    (lambda: fit(validation_data=(X, Y), validation_batch_size=0), "batch_size"),
    (lambda: layers.Dense(1, use_bias="no"), "use_bias: expected True or False, got 'no'"),
    (lambda: layers.LSTM(1, return_sequences="no"), "return_sequences: expected True or False, got 'no'"),
    (lambda: layers.GRU(1, stateful=None), "stateful: expected True or False, got None"),
    (lambda: layers.Embedding(3, 2, mask_zero="no"), "mask_zero: expected True or False, got 'no'"),
    (lambda: layers.Dense(1, trainable="no"), "trainable: expected True or False, got 'no'"),
    (lambda: layers.Dot(1, normalize=3), "normalize: expected True or False, got 3"),
    (lambda: layers.Bidirectional(layers.LSTM(1), trainable=2), "trainable: expected True or False, got 2"),
    (lambda: layers.Dropout(0.5, noise_shape="a"), "noise_shape: expected a list or None, got 'a'"),
    (lambda: losses.Huber(delta="a"), "delta: expected a number above 0, got 'a'"),
    (lambda: losses.Huber(0), "delta: expected a number above 0, got 0"),
    (lambda: losses.BinaryCrossentropy(from_logits="x"), "from_logits: expected True or False, got 'x'"),
    (
        lambda: losses.CategoricalCrossentropy(label_smoothing=2.0),
        "label_smoothing: expected a number from 0 to 1, got 2.0",
    ),
    (lambda: losses.CategoricalCrossentropy(axis=1), "'axis' is not known"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_refused(number: int) -> None:
    make, message = REFUSED[number]
    with pytest.raises((ArgumentError, nabi.errors.UnknownNameError), match=message):
        make()


def test_what_is_fine() -> None:
    fit(shuffle=np.bool_(False), validation_split=0.5, validation_batch_size=2, validation_steps=1)
    fit(validation_data=(X, Y), validation_batch_size=2, validation_steps=1)
    fit(validation_data=LOADER, validation_steps=1)
    assert layers.Dense(1, use_bias=np.bool_(False)).use_bias is False
    assert layers.LSTM(1, return_sequences=1).return_sequences is True
    losses.CategoricalCrossentropy(axis=-1)

    class Own(layers.Layer):
        def __init__(self, mode: Any = False, **options: Any) -> None:
            super().__init__(**options)
            self.mode = mode

    assert Own(mode="anything").mode == "anything"
