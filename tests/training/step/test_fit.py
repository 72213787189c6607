"""A whole fit without autograd: the same history as with it, and what changes between steps counts."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nabi.callbacks import LambdaCallback
from nabi.layers import GRU, LSTM, Dense, Dropout
from nabi.models import Sequential
from nabi.training import Step
from nabi.utils import set_random_seed

TIME, WIDTH, CLASSES = 4, 2, 5


def without(model: Sequential) -> Sequential:
    """A copy that is trained with autograd, because a hook listens."""
    other = copy.deepcopy(model)
    other.register_forward_hook(lambda module, inputs, outputs: None)
    return other


def is_direct(model: Sequential) -> bool:
    return Step(model, model.compiled).without_autograd


def test_whole_numbers_as_inputs() -> None:
    x, y = np.arange(12).reshape(3, 4), np.zeros((3, 1))
    model = Sequential([Dense(2, "tanh", input_dim=4), Dense(1)])
    other = without(model)
    for one in (model, other):
        one.compile("sgd", "mse")
        one.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_fit_gives_the_same_history_either_way() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(11, TIME, WIDTH)), np.eye(3)[random.integers(0, 3, 11)]
    histories = []
    for listen in (False, True):
        set_random_seed(0)
        model = Sequential([GRU(4, input_shape=(TIME, WIDTH)), Dropout(0.2), Dense(3, "softmax")])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy", "categorical_crossentropy"])
        model = without(model) if listen else model
        assert is_direct(model) is not listen
        history = model.fit(x, y, batch_size=4, epochs=4, validation_split=0.2, verbose=0)
        histories.append(history.history)
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4)


def test_what_a_callback_changes_counts_from_the_next_batch_on() -> None:
    """A layer that is frozen, and a hook that is set, between two batches of one epoch."""
    model = Sequential([Dense(2, "tanh", input_dim=2), Dense(1)])
    model.compile("sgd", "mse")
    called: list[int] = []
    seen: list[np.ndarray] = []

    def act(batch: int, logs: Any) -> None:
        seen.append(model.layers[0].kernel.detach().numpy().copy())
        if batch == 0:
            model.layers[0].kernel.requires_grad_(False)
            model.layers[1].register_forward_hook(lambda *_: called.append(batch))

    model.fit(
        np.ones((3, 2)),
        np.ones(3),
        batch_size=1,
        verbose=0,
        callbacks=[LambdaCallback(on_train_batch_end=act)],
    )
    assert len(called) == 2
    assert np.array_equal(seen[0], seen[2])


def test_gradients_are_there_for_callbacks_and_gone_afterwards() -> None:
    model = Sequential([LSTM(2, input_shape=(TIME, WIDTH)), Dense(1)])
    model.compile("adam", "mse")
    norms: list[float] = []

    def read(batch: int, logs: Any) -> None:
        norms.extend(float(weight.grad.norm()) for weight in model.trainable_weights)

    x, y = np.random.default_rng(0).normal(size=(2, TIME, WIDTH)), np.ones(2)
    model.fit(x, y, batch_size=1, verbose=0, callbacks=[LambdaCallback(on_train_batch_end=read)])
    assert len(norms) == 10
    assert all(norm > 0 for norm in norms)
    assert all(weight.grad is None for weight in model.weights)


def test_a_loss_that_is_not_finite_changes_no_weights() -> None:
    model = Sequential([Dense(1, input_dim=1)])
    model.compile("adam", "mse")
    assert is_direct(model)
    before = model.get_weights()
    assert np.isnan(model.train_on_batch(np.full((1, 1), np.nan), np.ones(1)))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def changed_by_data(weight: torch.Tensor) -> None:
    weight.data = weight.data * 0.5


def changed_by_numpy(weight: torch.Tensor) -> None:
    weight.detach().numpy()[...] *= 0.5


def changed_in_place(weight: torch.Tensor) -> None:
    weight.data.mul_(0.5)


@pytest.mark.parametrize("change", [changed_by_data, changed_by_numpy, changed_in_place])
@pytest.mark.parametrize("where", ["batches", "callback", "epoch"])
def test_weights_changed_between_two_steps_are_seen(change: Callable[[Any], None], where: str) -> None:
    x, y = np.random.default_rng(0).random((4, TIME, WIDTH)), np.zeros((4, CLASSES))
    trained = []
    for own in (True, False):
        set_random_seed(1)
        model = Sequential([LSTM(6, input_shape=(TIME, WIDTH)), Dense(CLASSES)])
        model.compile("adam", "mse")
        assert is_direct(model) is own or not own
        if not own:
            model.register_forward_hook(lambda module, inputs, outputs: None)

        def halve(model: Sequential = model) -> None:
            for weight in model.weights:
                change(weight)

        def batches() -> Any:
            for number in range(4):
                if where == "batches" and number:
                    halve()
                yield x[number : number + 1], y[number : number + 1]

        hears = {
            "batches": [],
            "callback": [LambdaCallback(on_train_batch_end=lambda batch, logs: halve())],
            "epoch": [LambdaCallback(on_epoch_end=lambda epoch, logs: halve())],
        }[where]
        for _ in range(2):
            model.fit(batches(), verbose=0, callbacks=hears)
        trained.append(model.get_weights())
    for one, other in zip(*trained, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
