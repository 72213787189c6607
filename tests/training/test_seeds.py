"""One seed for all random numbers, and labels as columns."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from nabi.errors import ArgumentError
from nabi.layers import LSTM, Dense, Dropout
from nabi.models import Sequential
from nabi.utils import np_utils, set_random_seed, to_categorical


def test_one_seed_for_python_numpy_and_torch() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), torch.rand(1).item()

    set_random_seed(4)
    first = draw()
    set_random_seed(4)
    assert draw() == first
    set_random_seed(5)
    assert draw() != first


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True, None])
def test_seeds_that_are_refused(seed: object) -> None:
    with pytest.raises(ArgumentError, match="seed: expected a whole number"):
        set_random_seed(seed)  # type: ignore[arg-type]


def test_a_run_repeats_from_its_seed() -> None:
    def run(seed: int) -> list[float]:
        set_random_seed(seed)
        model = Sequential([LSTM(4, input_shape=(3, 1)), Dropout(0.5), Dense(1)])
        model.compile("adam", "mse")
        x = np.linspace(0, 1, 30).reshape(10, 3, 1)
        return model.fit(x, x[:, 0, 0], batch_size=2, epochs=3, verbose=0).history["loss"]

    assert run(1) == run(1)
    assert run(1) != run(2)


@given(labels=st.lists(st.integers(0, 12), min_size=1, max_size=20))
def test_to_categorical(labels: list[int]) -> None:
    columns = to_categorical(labels)
    assert columns.shape == (len(labels), max(labels) + 1)
    assert columns.dtype == np.float32
    assert columns.argmax(-1).tolist() == labels
    assert (columns.sum(-1) == 1).all()
    for shaped in (np.array(labels)[:, None], np.array(labels, dtype=float)):
        assert np.array_equal(to_categorical(shaped), columns)
    assert np_utils.to_categorical(labels, 13).shape == (len(labels), 13)


@pytest.mark.parametrize("labels", [[0.5], [float("nan")], ["a"], [-1], []])
def test_labels_that_are_refused(labels: list[object]) -> None:
    with pytest.raises(ArgumentError, match=r"^x: "):
        to_categorical(labels)
    with pytest.raises(ArgumentError, match=r"^x: expected 0 to 2, got 3 to 3"):
        to_categorical([3], num_classes=3)


def test_no_labels() -> None:
    assert to_categorical([], num_classes=3).shape == (0, 3)
