"""`fit` on several workers is `fit` on one, up to rounding: losses, metrics, weights, dropout, states."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import layers, losses, models, optimizers
from nabi.callbacks import BackupAndRestore, Callback, LambdaCallback
from nabi.errors import ArgumentError, WorkerError
from nabi.utils import set_random_seed
from tests.workers.processes import on_workers

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(50, 6, 3)).astype(np.float32)
Y = X.sum((1, 2))[:, None]
CODES = RANDOM.integers(0, 9, size=(50, 7))
CODES[:, 5:] *= RANDOM.integers(0, 2, size=(50, 2))


def _without_autograd() -> Any:
    return _fitted([layers.LSTM(5), layers.Dropout(0.3), layers.Dense(1)], X, Y, "mse", ["mae"], 0.2)


def _by_autograd() -> Any:
    network = [
        layers.GRU(5, return_sequences=True, dropout=0.2),
        layers.LayerNormalization(),
        layers.LSTM(4),
        layers.Dense(1, kernel_regularizer="l2"),
    ]
    return _fitted(network, X, Y, "mse", ["mae"], 0.2)


def _masked_inputs() -> Any:
    network = [
        layers.Embedding(9, 4, mask_zero=True),
        layers.LSTM(5),
        layers.Dense(1, activation="sigmoid"),
    ]
    return _fitted(network, CODES, Y > 0, "binary_crossentropy", ["accuracy", "AUC"], 0.2)


def _masked_outputs() -> Any:
    network = [
        layers.Embedding(9, 4, mask_zero=True),
        layers.LSTM(5, return_sequences=True),
        layers.Dense(9, activation="softmax"),
    ]
    return _fitted(network, CODES, CODES, "sparse_categorical_crossentropy", ["accuracy"], 0.0)


def _sums() -> Any:
    network = [layers.LSTM(5), layers.Dense(1, kernel_regularizer="l2")]
    return _fitted(network, X, Y, losses.MeanSquaredError(reduction="sum"), ["mae"], 0.2, rate=0.001)


def _a_row_for_one() -> Any:
    network = [layers.LSTM(5, dropout=0.2), layers.Dropout(0.3), layers.Dense(1)]
    return _fitted(network, X[:17], Y[:17], "mse", ["mae"], 0.0)


def _stateful() -> Any:
    network = [layers.LSTM(5, stateful=True, batch_input_shape=(10, 6, 3)), layers.Dense(1)]
    return _fitted(network, X, Y, "mse", ["mae"], 0.0, batch_size=10, shuffle=False)


def _fitted(
    network: Any, x: Any, y: Any, loss: Any, metrics: Any, split: float, rate: float = 0.1, **how: Any
) -> Any:
    set_random_seed(5)
    model = models.Sequential(network)
    model.compile(optimizers.SGD(rate), loss, metrics=metrics)
    how = {"batch_size": 8, **how}
    history = model.fit(x, y, epochs=2, verbose=0, validation_split=split, **how).history
    kept = [state for layer in model.layers for state in getattr(layer, "states", None) or []]
    states = [state.numpy() for state in kept]
    return history, [weight.detach().numpy() for weight in model.parameters()], states


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "train",
    [_without_autograd, _by_autograd, _masked_inputs, _masked_outputs, _sums, _a_row_for_one, _stateful],
)
def test_workers_compute_what_one_does(train: Any, count: int) -> None:
    history, weights, states = train()
    for found, its_weights, its_states in on_workers(count, train):
        assert found.keys() == history.keys()
        for name, values in history.items():
            np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=1e-6, err_msg=name)
        for one, other in zip(its_weights, weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-6)
        for one, other in zip(its_states, states, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def _small(x: Any = X, **how: Any) -> Any:
    set_random_seed(1)
    model = models.Sequential([layers.LSTM(3), layers.Dense(1)])
    model.compile(optimizers.Adam(0.01), "mse")
    model.fit(x, Y, verbose=0, **{"batch_size": 10, "epochs": 2, **how})
    return model.history.history["loss"], [weight.detach().numpy() for weight in model.parameters()]


def _other_data() -> Any:
    return _small(X + torch.distributed.get_rank())


def _own_step() -> Any:
    class Own(models.Sequential):
        def train_step(self, data: Any) -> Any:
            return {"loss": 0.0}

    model = Own([layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X[:, 0], Y, verbose=0)


def _too_small_batches() -> Any:
    return _small(batch_size=1)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (_other_data, "the data: expected the same in all 2 workers"),
        (_own_step, "train_step: a model's own step is that of one worker"),
        (_too_small_batches, "batch_size: expected at least 2, a row for each worker, got batches of 1"),
    ],
)
def test_what_cannot_be_divided_ends_every_worker(train: Any, message: str) -> None:
    for problem in on_workers(2, train):
        assert isinstance(problem, ArgumentError)
        assert message in str(problem)


def _one_wants_to_stop() -> Any:
    def stop(batch: int, logs: Any) -> None:
        if batch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    callbacks = [LambdaCallback(on_train_batch_end=stop)] if torch.distributed.get_rank() else []
    with pytest.raises(KeyboardInterrupt):
        _small(callbacks=callbacks, epochs=50)
    return "stopped"


def test_ctrl_c_in_one_worker_ends_all_after_the_same_batch() -> None:
    assert on_workers(2, _one_wants_to_stop) == ["stopped", "stopped"]


class _Killed(Callback):
    """Kills worker 1 in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self.now = epoch, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.now == self.epoch and batch == 1 and torch.distributed.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def _with_backup(path: Path, epoch: int | None) -> Any:
    callbacks: list[Callback] = [] if epoch is None else [_Killed(epoch)]
    return _small(callbacks=[*callbacks, BackupAndRestore(path)], epochs=5)


def test_a_killed_worker_ends_the_others_and_training_goes_on(tmp_path: Path) -> None:
    """Also with another number of workers; the weights are those of a training that never stopped."""
    path = tmp_path / "run.training"
    for epoch in (1, 3):
        survivor, killed = on_workers(2, _with_backup, path, epoch)
        assert killed is None
        assert isinstance(survivor, WorkerError)
        assert "Start all of them again" in str(survivor)
    uninterrupted = _small(epochs=5)
    for losses_found, weights in on_workers(3, _with_backup, path, None):
        np.testing.assert_allclose(losses_found, uninterrupted[0], rtol=1e-5)
        for one, other in zip(weights, uninterrupted[1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert not path.exists()
