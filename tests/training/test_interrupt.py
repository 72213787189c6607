"""Ctrl-C, and losses that are not finite."""

import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi.callbacks import CSVLogger, LambdaCallback
from nabi.errors import NotFiniteError
from nabi.layers import Dense
from nabi.models import Sequential, load_model

X = np.linspace(0, 1, 12).reshape(6, 2)
Y = X.sum(1)


def compiled(**options: Any) -> Sequential:
    torch.manual_seed(0)
    model = Sequential([Dense(1, input_dim=2)])
    model.compile("sgd", "mse", **options)
    return model


def test_ctrl_c_finishes_the_batch_and_keeps_history_and_model(tmp_path: Path) -> None:
    model, batches, ended = compiled(), [], []

    def press(batch: int, logs: Any) -> None:
        batches.append(batch)
        if len(batches) == 8:
            signal.raise_signal(signal.SIGINT)

    hear = LambdaCallback(on_train_batch_begin=press, on_train_end=lambda logs: ended.append(dict(logs)))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="stopped by Ctrl-C after a batch"):
        model.fit(X, Y, batch_size=2, epochs=10, verbose=0, callbacks=[hear, CSVLogger(tmp_path / "log.csv")])
    assert batches == [0, 1, 2, 0, 1, 2, 0, 1]
    assert model.optimizer.iterations == 8
    assert model.history is not None
    assert model.history.epoch == [0, 1]
    assert model.completed_epoch == 2
    assert len(ended) == 1
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    assert signal.getsignal(signal.SIGINT) is before
    assert model.training is False
    model.save(tmp_path / "model.nabi")
    assert np.array_equal(load_model(tmp_path / "model.nabi").predict(X), model.predict(X))


def test_a_second_ctrl_c_does_not_wait() -> None:
    model = compiled()
    reached = []

    def press_twice(batch: int, logs: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        reached.append(batch)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_train_batch_begin=press_twice)])
    assert reached == []
    assert signal.getsignal(signal.SIGINT) is before


def test_the_handler_of_the_program_is_called() -> None:
    called = []
    before = signal.signal(signal.SIGINT, lambda number, frame: called.append(number))
    try:
        press = LambdaCallback(on_train_batch_begin=lambda batch, logs: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            compiled().fit(X, Y, verbose=0, callbacks=[press])
        assert called == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_in_another_thread_leaves_signals_alone() -> None:
    model = compiled()
    thread = threading.Thread(target=lambda: model.fit(X, Y, epochs=2, verbose=0))
    thread.start()
    thread.join()
    assert model.history is not None
    assert model.history.epoch == [0, 1]


def test_an_exploding_loss_names_epoch_and_batch_and_what_to_try() -> None:
    model = compiled()
    model.optimizer.learning_rate = 1e25
    with pytest.raises(
        NotFiniteError,
        match=r"loss: it became inf in epoch 2, batch 1, .*\(it is 1e\+25\).*clipnorm=1\.0",
    ):
        model.fit(X, Y, epochs=5, verbose=0)
    assert model.history is not None
    assert model.history.epoch == [0]
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert model.training is False


@pytest.mark.parametrize("name", ["x", "y"])
def test_not_finite_data_is_named(name: str) -> None:
    x, y = X.copy(), Y.copy()
    (x if name == "x" else y)[4] = np.nan
    with pytest.raises(NotFiniteError, match=rf"became nan in epoch 1, batch 3, because {name} has a NaN"):
        compiled().fit(x, y, batch_size=2, shuffle=False, verbose=0)


def test_a_loss_that_is_not_finite_on_one_batch_is_returned() -> None:
    model = compiled()
    before = model.get_weights()
    assert np.isnan(model.train_on_batch(X, np.full(6, np.nan)))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
