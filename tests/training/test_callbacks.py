"""Callbacks: what they hear, and what those that come with nabi do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from nabi.errors import ArgumentError, OutputError
from nabi.layers import Dense
from nabi.models import Sequential, load_model

X = np.linspace(0, 1, 12).reshape(6, 2)
Y = X.sum(1)


def compiled(rate: float = 0.01) -> Sequential:
    torch.manual_seed(0)
    model = Sequential([Dense(1, input_dim=2)])
    model.compile("sgd", "mse", metrics=["mae"])
    model.optimizer.learning_rate = rate
    return model


class Recorder(Callback):
    """Keeps the name of everything it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.logs: dict[str, Any] = {}


def recording(name: str) -> Any:
    def method(self: Recorder, *arguments: Any) -> None:
        number = f" {arguments[0]}" if "epoch" in name or "batch" in name else ""
        self.heard.append(name.removeprefix("on_") + number)
        self.logs[name] = dict(arguments[-1])

    return method


for hook in [name for name in dir(Callback) if name.startswith("on_")]:
    if hook not in ("on_batch_begin", "on_batch_end"):
        setattr(Recorder, hook, recording(hook))


def test_everything_is_heard_in_order() -> None:
    recorder = Recorder()
    model = compiled()
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0, validation_data=(X, Y), callbacks=[recorder])
    test = [
        "test_begin",
        "test_batch_begin 0",
        "test_batch_end 0",
        "test_batch_begin 1",
        "test_batch_end 1",
        "test_end",
    ]
    assert recorder.heard == [
        "train_begin", "epoch_begin 0",
        "train_batch_begin 0", "train_batch_end 0", "train_batch_begin 1", "train_batch_end 1",
        *test, "epoch_end 0", "train_end",
    ]  # fmt: skip
    assert list(recorder.logs["on_train_batch_end"]) == ["loss", "mae"]
    assert list(recorder.logs["on_epoch_end"]) == ["loss", "mae", "val_loss", "val_mae"]
    assert recorder.model is model
    assert recorder.params == {"epochs": 1, "steps": 2, "verbose": 0}
    recorder.heard.clear()
    model.evaluate(X, Y, batch_size=3, callbacks=[recorder])
    assert recorder.heard == test
    recorder.heard.clear()
    model.predict(X, callbacks=recorder)
    assert recorder.heard == ["predict_begin", "predict_batch_begin 0", "predict_batch_end 0", "predict_end"]


def test_the_lectures_loss_history_with_an_init_of_its_own() -> None:
    class LossHistory(Callback):
        def init(self) -> None:
            self.losses: list[float] = []

        def on_epoch_end(self, batch: int, logs: dict[str, float] = {}) -> None:  # type: ignore[override] # noqa: B006
            self.losses.append(logs.get("loss", 0.0))

    history = LossHistory()
    history.init()
    model = compiled()
    for _ in range(3):
        model.fit(X, Y, epochs=1, batch_size=2, verbose=0, shuffle=False, callbacks=[history])
    assert len(history.losses) == 3
    assert history.losses[2] < history.losses[0]


def test_old_and_new_names_of_batch_methods() -> None:
    heard = []

    class Old(Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append(("old", batch, logs["loss"]))

    new = LambdaCallback(on_train_batch_end=lambda batch, logs: heard.append(("new", batch, logs["loss"])))
    history = compiled().fit(X, Y, batch_size=3, verbose=0, callbacks=[Old(), new])
    assert [entry[:2] for entry in heard] == [("old", 0), ("new", 0), ("old", 1), ("new", 1)]
    # The logs hold the mean over the epoch so far.
    assert heard[-1][2] == pytest.approx(history.history["loss"][0])


def test_history_has_a_number_for_each_epoch() -> None:
    model = compiled()
    history = model.fit(X, Y, epochs=5, initial_epoch=2, verbose=0)
    assert isinstance(history, History)
    assert model.history is history
    assert history.epoch == [2, 3, 4]
    assert {name: len(values) for name, values in history.history.items()} == {"loss": 3, "mae": 3}
    assert all(isinstance(value, float) for value in history.history["loss"])


def test_stop_training_ends_after_the_batch_or_epoch() -> None:
    model = compiled()

    def stop(batch: int, logs: Any) -> None:
        model.stop_training = batch == 1

    seen: list[int] = []
    count = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    history = model.fit(
        X, Y, batch_size=2, epochs=5, verbose=0, callbacks=[count, LambdaCallback(on_batch_end=stop)]
    )
    assert seen == [0, 1]
    assert history.epoch == [0]


def scripted(values: list[float], name: str = "val_loss") -> Callback:
    """Puts given figures into the logs, before other callbacks see them."""
    return LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update({name: values[epoch]}))


@pytest.mark.parametrize(
    ("values", "options", "epochs"),
    [
        ([3, 2, 2, 2, 1], {"patience": 2}, 4),
        ([3, 2, 2, 1, 2, 2, 0], {"patience": 2}, 6),
        ([3, 2.9, 2.8, 0], {"patience": 2, "min_delta": 0.5}, 3),
        ([3, 4, 4, 4, 9], {"patience": 2, "mode": "max"}, 4),
        ([3, 2, 1, 0], {"patience": 1}, 4),
        ([3, 4, 5], {"patience": 0}, 2),
        ([5, 6, 7, 8], {"patience": 1, "start_from_epoch": 2}, 4),
    ],
)  # fmt: skip
def test_early_stopping(values: list[float], options: dict[str, Any], epochs: int) -> None:
    model = compiled()
    script = scripted(values)
    history = model.fit(X, Y, epochs=len(values), verbose=0, callbacks=[script, EarlyStopping(**options)])
    assert len(history.epoch) == epochs


def test_early_stopping_puts_the_best_weights_back() -> None:
    model = compiled()
    weights = []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    values = [3.0, 1.0, 2.0, 2.0, 2.0]
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    model.fit(X, Y, epochs=5, verbose=0, callbacks=[scripted(values), keep, stopping])
    assert (stopping.best_epoch, stopping.stopped_epoch, stopping.best) == (1, 3, 1.0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights[1], strict=True))


def test_watching_something_that_is_not_there() -> None:
    with pytest.raises(
        ArgumentError, match="EarlyStopping expected 'val_loss' in the logs, got loss, mae; pass valid"
    ):
        compiled().fit(X, Y, verbose=0, callbacks=[EarlyStopping()])
    with pytest.raises(ArgumentError, match=r"mode: 'low' is not known\. Known are: auto, max, min"):
        EarlyStopping(mode="low")


def test_the_learning_rate_goes_down_on_a_plateau() -> None:
    model = compiled(0.8)
    script = scripted([3] * 7)
    plateau = ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.3)
    history = model.fit(X, Y, epochs=7, verbose=0, callbacks=[script, plateau])
    assert history.epoch == list(range(7))
    assert model.optimizer.learning_rate == 0.3
    with pytest.raises(ArgumentError, match="factor: expected a number between 0 and 1, got 2"):
        ReduceLROnPlateau(factor=2)


def test_learning_rates_by_epoch() -> None:
    rates = []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: rates.append(logs["learning_rate"]))
    model = compiled()
    model.fit(
        X, Y, epochs=3, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)), keep]
    )
    assert rates == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert model.history is not None
    assert model.history.history["learning_rate"] == rates
    model.fit(
        X, Y, epochs=2, verbose=0, callbacks=[LearningRateScheduler(lambda epoch, rate: rate / 2), keep]
    )
    assert rates[3:] == pytest.approx([0.1 / 6, 0.1 / 12])


def test_checkpoints_of_the_best(tmp_path: Path) -> None:
    model = compiled()
    script = scripted([3, 1, 2, 0.5], "score")
    path = tmp_path / "best-{epoch}.nabi"
    best = ModelCheckpoint(path, monitor="score", mode="min", save_best_only=True, save_weights_only=True)
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[script, best])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best-1.nabi", "best-2.nabi", "best-4.nabi"]
    again = compiled()
    again.load_weights(tmp_path / "best-4.nabi")
    assert np.array_equal(again.predict(X), model.predict(X))


def test_checkpoints_every_few_batches_or_epochs(tmp_path: Path) -> None:
    compiled().fit(
        X, Y, batch_size=1, epochs=1, verbose=0,
        callbacks=[ModelCheckpoint(tmp_path / "{batch}.nabi", save_freq=3)],
    )  # fmt: skip
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3.nabi", "6.nabi"]
    compiled().fit(X, Y, epochs=4, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "e{epoch}", period=2)])
    assert load_model(tmp_path / "e4").completed_epoch == 4
    assert not (tmp_path / "e3").exists()


def test_checkpoints_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        compiled().fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "file" / "model")])
    with pytest.raises(
        ArgumentError, match=r"filepath: .* can't be formatted \('accuracy'\); available are epoch, loss, mae"
    ):
        compiled().fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "{accuracy}")])
    with pytest.raises(
        ArgumentError, match="save_freq: expected a whole number of at least 1 of batches or 'epoch'"
    ):
        ModelCheckpoint("x", save_freq="batch")


def test_figures_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log.csv"
    model = compiled()
    first = model.fit(X, Y, epochs=2, verbose=0, callbacks=[CSVLogger(path)]).history
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,mae"
    assert lines[2] == f"1,{first['loss'][1]},{first['mae'][1]}"
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[CSVLogger(path, append=True)], validation_data=(X, Y))
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "0", "1", "0"]
    assert path.read_text().splitlines()[0] == "epoch,loss,mae,val_loss,val_mae"


def test_terminate_on_nan_stops_quietly() -> None:
    model = compiled()
    before = model.get_weights()
    history = model.fit(
        np.full((4, 2), np.nan), np.ones(4), epochs=5, verbose=0, callbacks=[TerminateOnNaN()]
    )
    assert history.epoch == [0]
    assert np.isnan(history.history["loss"][0])
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_what_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match="on_epoch: no such callback method; expected one of on_batch_begin"
    ):
        LambdaCallback(on_epoch=print)
    with pytest.raises(
        ArgumentError, match=r"callbacks: expected objects of .*, got <built-in function print>"
    ):
        compiled().fit(X, Y, verbose=0, callbacks=[print])
    with pytest.raises(ArgumentError, match=r"callbacks: expected a list of .*, got 'history'"):
        compiled().fit(X, Y, verbose=0, callbacks="history")
