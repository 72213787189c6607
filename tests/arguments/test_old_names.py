"""Keyword arguments that are not there: the nearest name, and what Keras 1 called otherwise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nabi
from nabi import layers
from nabi.errors import ArgumentError

X, Y = np.ones((4, 2)), np.ones((4, 1))


def model() -> nabi.Sequential:
    made = nabi.Sequential([layers.Dense(1, input_dim=2)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: model().fit(X, Y, nb_epoch=2), r"fit\(\.\.\.\): 'nb_epoch' is an old name; use epochs"),
        (lambda: model().fit(X, Y, samples_per_epoch=4), "use steps_per_epoch, which counts batches"),
        (lambda: model().fit(X, Y, epoch=2), "'epoch' is not an argument; did you mean 'epochs'"),
        (lambda: model().fit(X, Y, workers=2), "'workers' is not needed here; leave it out"),
        (lambda: layers.Dense(output_dim=3), "'output_dim' is an old name; use units"),
        (lambda: layers.Dense(3, init="uniform"), "'init' is an old name; use kernel_initializer"),
        (lambda: layers.Dense(3, W_regularizer="l2"), "use kernel_regularizer"),
        (lambda: layers.LSTM(3, inner_activation="relu"), "use recurrent_activation"),
        (lambda: layers.LSTM(3, dropout_U=0.5), "use recurrent_dropout"),
        (lambda: layers.Conv1D(nb_filter=3, filter_length=2), "'nb_filter' is an old name; use filters"),
        (lambda: layers.Conv1D(3, 2, border_mode="same"), "use padding"),
        (lambda: nabi.Model(input=nabi.Input((2,)), output=None), "'input' is an old name; use inputs"),
        (lambda: nabi.optimizers.Adam(lrate=0.1), "did you mean 'learning_rate'"),
        (lambda: nabi.LanguageModel(learning_rat=9), "did you mean 'learning_rate'"),
        (lambda: nabi.callbacks.EarlyStopping(patient=3), "did you mean 'patience'"),
    ],
)
def test_the_right_name_is_said(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_a_text_in_the_place_of_its_file() -> None:
    with pytest.raises(nabi.errors.MissingFileError, match=r"expected a path of a file or a list of texts"):
        nabi.LanguageModel().fit("abc " * 2000)
