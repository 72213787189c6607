"""What callbacks write of a training: tables, event files of TensorBoard, runs of MLflow, lines of JSON."""

import csv
import io
import json
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from nabi import Input, Model
from nabi.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    LambdaCallback,
    LearningRateScheduler,
    MLflow,
    TensorBoard,
)
from nabi.errors import ArgumentError, FileFormatError, NotFiniteError, OutputError
from nabi.layers import Dense
from nabi.models import LanguageModel, Sequential
from nabi.training import CallbackList, JSONLines

X = np.linspace(0, 1, 24).reshape(6, 4)
Y = X.sum(1)
STEPS = 3  # of an epoch


def compiled(**options: Any) -> Sequential:
    torch.manual_seed(0)
    model = Sequential([Dense(2, input_dim=4), Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], **options)
    return model


def fit(model: Any, epochs: int, *callbacks: Callback, **more: Any) -> dict[str, list[float]]:
    history = model.fit(X, Y, batch_size=2, epochs=epochs, verbose=0, callbacks=list(callbacks), **more)
    return history.history


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def press_in(epoch: int, batch: int = 1) -> LambdaCallback:
    """Press Ctrl-C in a batch of an epoch."""
    now = [0]

    def press(number: int, logs: Any) -> None:
        if (now[0], number) == (epoch, batch):
            signal.raise_signal(signal.SIGINT)

    return LambdaCallback(
        on_epoch_begin=lambda number, logs: now.__setitem__(0, number), on_train_batch_begin=press
    )


# Tables ------------------------------------------------------------------------------------------------


def test_a_row_is_there_as_soon_as_its_epoch_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.csv"
    counts = []
    look = LambdaCallback(on_epoch_begin=lambda epoch, logs: counts.append(len(rows(path)) if epoch else 0))
    rate = LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))
    history = fit(compiled(), 3, look, rate, CSVLogger(path, details=True), validation_data=(X, Y))
    assert counts == [0, 1, 2]
    assert list(rows(path)[0]) == [
        "epoch", "seconds", "learning_rate", "loss", "mae", "val_loss", "val_mae"
    ]  # fmt: skip
    for epoch, row in enumerate(rows(path)):
        assert int(row["epoch"]) == epoch
        assert 0 <= float(row["seconds"]) < 60
        assert float(row["learning_rate"]) == 0.1 / (1 + epoch)
        assert [float(row[name]) for name in history] == [history[name][epoch] for name in history]
    fit(compiled(), 1, CSVLogger(path))
    assert path.read_text().startswith("epoch,loss,mae\n0,")
    assert len(rows(path)) == 1


def test_a_figure_that_comes_later_gets_a_column(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(compiled(), 4, CSVLogger(path, ";"), validation_data=(X, Y), validation_freq=2)
    lines = [line.split(";") for line in path.read_text().splitlines()]
    assert lines[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [bool(line[3]) for line in lines[1:]] == [False, True, False, True]


def test_an_append_goes_on_below_whatever_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("epoch,note\n7,mine")  # without an end of its last line
    model = compiled()
    for _ in range(2):
        fit(model, 1, CSVLogger(path, append=True))
    assert [(row["epoch"], row["note"], bool(row["loss"])) for row in rows(path)] == [
        ("7", "mine", False), ("0", "", True), ("0", "", True)
    ]  # fmt: skip
    for content in (b"\xff\xfe", b"epoch\n1,2,3\n", b'epoch\n"1'):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"filename: .* is no table to append to: "):
            fit(model, 1, CSVLogger(path, append=True))
        assert path.read_bytes() == content


@pytest.mark.parametrize("append", [False, True])
def test_a_resumed_run_keeps_the_rows_before_it(tmp_path: Path, append: bool) -> None:
    path, backup, whole = tmp_path / "log.csv", tmp_path / "run.nabi", tmp_path / "whole.csv"
    fit(compiled(), 6, CSVLogger(whole))
    expected = rows(whole)
    if append:
        # An earlier training of as many epochs.
        fit(compiled(), 6, CSVLogger(path))
        expected = rows(path) + expected
    # Written after every second epoch, so the third is trained again.
    with pytest.raises(KeyboardInterrupt):
        fit(
            compiled(), 6, press_in(3), CSVLogger(path, append=append), BackupAndRestore(backup, every=2),
        )  # fmt: skip
    assert [row["epoch"] for row in rows(path)][-3:] == ["0", "1", "2"]
    resumed: list[int] = []
    hear = LambdaCallback(on_resume=lambda epoch, logs: resumed.append(epoch))
    fit(compiled(), 6, hear, CSVLogger(path, append=append), BackupAndRestore(backup, every=2))
    assert resumed == [2]
    assert rows(path) == expected


def test_a_system_that_goes_on_within_an_epoch_keeps_its_rows(tmp_path: Path) -> None:
    def train(folder: str, *more: Callback) -> None:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        model = LanguageModel(units=2, epochs=4, window=4, batch_size=2)
        writers = [CSVLogger(place / "log.csv", details=True), TensorBoard(place)]
        model.fit(
            ["the clouds are in the sky"] * 20, verbose=0, checkpoint=place / "a.training",
            callbacks=[*more, *writers],
        )  # fmt: skip

    train("whole")
    train("parts", press_in(2))
    assert [row["epoch"] for row in rows(tmp_path / "parts/log.csv")] == ["0", "1"]
    train("parts")
    tables = [
        [{name: value for name, value in row.items() if name != "seconds"} for row in rows(tmp_path / one)]
        for one in ("whole/log.csv", "parts/log.csv")
    ]
    assert tables[0] == tables[1]
    assert len(list((tmp_path / "parts/train").iterdir())) == 2
    for folder, name in (("train", "loss"), ("validation", "val_loss")):
        expected = {epoch: float(row[name]) for epoch, row in enumerate(tables[0])}
        assert curve(read_events(tmp_path / "parts" / folder), "epoch_loss") == pytest.approx(expected)


def test_what_a_table_refuses_before_any_training(tmp_path: Path) -> None:
    for separator in ("", ", ", '"', "\n"):
        with pytest.raises(ArgumentError, match="separator: expected one character, got "):
            CSVLogger(tmp_path / "a.csv", separator)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    model = compiled()
    before = model.get_weights()
    for path in ("file/log.csv", "folder"):
        with pytest.raises(OutputError, match="cannot write"):
            fit(model, 1, CSVLogger(tmp_path / path))
    with pytest.raises(OutputError, match="log_dir: cannot write"):
        fit(model, 1, TensorBoard(tmp_path / "file"))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_logs_do_not_make_training_slower_and_a_subclass_may(tmp_path: Path) -> None:
    class Own(CSVLogger):
        """One that does something more."""

    class Idle(Callback):
        """One of the user's."""

    def only_read(*callbacks: Callback) -> bool:
        return CallbackList(callbacks, None, {}).only_read

    table, board = CSVLogger(tmp_path / "a.csv"), TensorBoard(tmp_path)
    assert only_read(table, board, MLflow(), JSONLines(io.StringIO()))
    for other in (Own(tmp_path / "a.csv"), Idle(), TensorBoard(tmp_path, update_freq="batch")):
        assert not only_read(table, other)
    assert fit(compiled(), 3, table, board) == fit(compiled(), 3)


def test_ones_own_loop_can_call_them(tmp_path: Path) -> None:
    table, board = CSVLogger(tmp_path / "log.csv", details=True), TensorBoard(tmp_path)
    for one in (table, board):
        one.on_train_begin()
        for epoch in range(2):
            one.on_epoch_begin(epoch)
            one.on_epoch_end(epoch, {"loss": 0.5 - epoch})
        one.on_train_end()
    assert (tmp_path / "log.csv").read_text() == "epoch,seconds,learning_rate,loss\n0,,,0.5\n1,,,-0.5\n"
    assert curve(read_events(tmp_path / "train"), "epoch_loss") == {0: 0.5, 1: -0.5}
    board.has_ended("complete")


# Lines of JSON -----------------------------------------------------------------------------------------


def test_lines_of_json_are_json() -> None:
    out = io.StringIO()
    model = compiled()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[JSONLines(out, {"cell": "gru"})])
    infinite = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(worst=float("inf"), name="x"))
    history = fit(model, 1, infinite, JSONLines(out))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = [json.loads(line, parse_constant=refuse) for line in out.getvalue().splitlines()]
    assert [list(one)[:5] for one in found[:2]] == [
        ["cell", "epoch", "epochs", "seconds", "learning_rate"]
    ] * 2
    assert [one["epoch"] for one in found] == [0, 1, 0]
    assert found[2]["worst"] is None
    assert found[2]["loss"] == history["loss"][0]
    assert "name" not in found[2]


# TensorBoard -------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let TensorBoard's reader take its own part of TensorFlow: all of it, if it is there, takes seconds."""
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", ModuleType("notf"))


def read_events(folder: Path) -> Any:
    """What TensorBoard reads in a folder."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), {"tensors": 0})
    found.Reload()
    return found


def curve(events: Any, tag: str) -> dict[int, float]:
    """A figure by step."""
    from tensorboard.util.tensor_util import make_ndarray

    found = events.Tensors(tag)
    assert len({one.step for one in found}) == len(found)
    return {one.step: float(make_ndarray(one.tensor_proto)) for one in found}


def test_curves_of_training_and_validation_as_keras_names_them(tmp_path: Path) -> None:
    seen = []
    look = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(
            len(curve(read_events(tmp_path / "train"), "epoch_loss")) if epoch else 0
        )
    )
    board = TensorBoard(tmp_path, histogram_freq=2, write_steps_per_second=True)
    history = fit(compiled(), 3, board, look, validation_data=(X, Y))
    assert seen == [0, 1, 2]
    train, validation = (read_events(tmp_path / one) for one in ("train", "validation"))
    for name in ("loss", "mae"):
        for events, figures in ((train, history[name]), (validation, history[f"val_{name}"])):
            assert curve(events, f"epoch_{name}") == pytest.approx(dict(enumerate(figures)), rel=1e-6)
    assert curve(train, "epoch_learning_rate") == pytest.approx(dict.fromkeys(range(3), 0.01))
    assert all(0 < value < 1e6 for value in curve(train, "epoch_steps_per_second").values())
    assert set(validation.Tags()["tensors"]) == {"epoch_loss", "epoch_mae"}
    histograms = {name for name in train.Tags()["tensors"] if name.endswith("/histogram")}
    assert histograms == {
        f"{layer.name}/{name}/histogram" for layer in board.model.layers for name in ("kernel", "bias")
    }
    assert [one.step for one in train.Tensors(min(histograms))] == [0, 2]
    assert train.SummaryMetadata("epoch_loss").plugin_data.plugin_name == "scalars"


def test_histograms_are_those_of_the_weights(tmp_path: Path) -> None:
    from tensorboard.util.tensor_util import make_ndarray

    model = compiled()
    fit(model, 1, TensorBoard(tmp_path, histogram_freq=1))
    name = f"{model.layers[0].name}/kernel/histogram"
    buckets = make_ndarray(read_events(tmp_path / "train").Tensors(name)[0].tensor_proto)
    numbers = model.layers[0].kernel.detach().double().numpy()
    assert buckets[:, 2].sum() == numbers.size
    assert (buckets[0, 0], buckets[-1, 1]) == (numbers.min(), numbers.max())


def test_the_layers_are_a_graph(tmp_path: Path) -> None:
    from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
    from tensorboard.util.tensor_util import make_ndarray

    start = Input((4,), name="numbers")
    end = Dense(1, name="end")(Dense(3, name="middle")(start))
    model = Model(start, end, name="three")
    model.compile("sgd", "mse")
    fit(model, 1, TensorBoard(tmp_path))
    events = read_events(tmp_path / "train")
    assert events.SummaryMetadata("keras").plugin_data.plugin_name == "graph_keras_model"
    described = json.loads(make_ndarray(events.Tensors("keras")[0].tensor_proto).item())
    nodes = {node.name: list(node.input) for node in keras_model_to_graph_def(described).node}
    assert nodes == {"three/numbers": [], "three/middle": ["three/numbers"], "three/end": ["three/middle"]}
    fit(compiled(), 1, TensorBoard(tmp_path / "none", write_graph=False))
    assert "keras" not in read_events(tmp_path / "none/train").Tags()["tensors"]


@pytest.mark.parametrize(("frequency", "places"), [("batch", [0, 1, 2, 3, 4, 5]), (2, [1, 3, 5])])
def test_figures_within_an_epoch(tmp_path: Path, frequency: str | int, places: list[int]) -> None:
    logs: list[float] = []
    keep = LambdaCallback(on_train_batch_end=lambda batch, figures: logs.append(figures["loss"]))
    fit(compiled(), 2, keep, TensorBoard(tmp_path, update_freq=frequency))
    expected = {place: logs[place] for place in places}
    assert curve(read_events(tmp_path / "train"), "batch_loss") == pytest.approx(expected)


def test_a_resumed_run_goes_on_with_its_curves(tmp_path: Path) -> None:
    backup, board = tmp_path / "run.nabi", TensorBoard(tmp_path, update_freq="batch")
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(), 4, press_in(3), board, BackupAndRestore(backup, every=2))
    history = fit(compiled(), 4, board, BackupAndRestore(backup, every=2))
    events = read_events(tmp_path / "train")
    assert curve(events, "epoch_loss") == pytest.approx(dict(enumerate(history["loss"])))
    assert list(curve(events, "epoch_loss")) == [0, 1, 2, 3]


def test_earlier_figures_can_be_hidden(tmp_path: Path) -> None:
    fit(compiled(), 3, TensorBoard(tmp_path))
    history = fit(compiled(), 2, TensorBoard(tmp_path, purge_step=0))
    assert curve(read_events(tmp_path / "train"), "epoch_loss") == pytest.approx(
        dict(enumerate(history["loss"]))
    )


def test_after_an_error_all_epochs_are_there(tmp_path: Path) -> None:
    def fail(epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise RuntimeError("no more")

    board = TensorBoard(tmp_path)
    with pytest.raises(RuntimeError, match="no more"):
        fit(compiled(), 5, LambdaCallback(on_epoch_begin=fail), board)
    assert list(curve(read_events(tmp_path / "train"), "epoch_loss")) == [0, 1]
    assert board._files == {}


def test_weights_that_are_no_numbers_have_a_histogram(tmp_path: Path) -> None:
    model = compiled()
    spoil = LambdaCallback(on_epoch_end=lambda epoch, logs: model.layers[0].kernel.data.fill_(float("nan")))
    fit(model, 1, spoil, TensorBoard(tmp_path, histogram_freq=1))
    assert f"{model.layers[0].name}/kernel/histogram" in read_events(tmp_path / "train").Tags()["tensors"]


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="write_images: expected False, got True"):
        TensorBoard(tmp_path, write_images=True)
    for frequency in ("epochs", 0, -1):
        with pytest.raises(
            ArgumentError, match="update_freq: expected a whole number of at least 1 of batch"
        ):
            TensorBoard(tmp_path, update_freq=frequency)  # type: ignore[arg-type]
    for name in ("tensorboard", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ArgumentError, match=r"TensorBoard: .* pip install 'nabi\[tensorboard\]'"):
        TensorBoard(tmp_path)
    with pytest.raises(ArgumentError, match=r"MLflow: .* pip install 'nabi\[mlflow\]'"):
        MLflow()


# MLflow ------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where runs are kept: in files, which need no server and no database."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    place = (tmp_path / "runs").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    return place


def test_runs_of_mlflow(tmp_path: Path, runs: str) -> None:
    import mlflow

    client = mlflow.MlflowClient(runs)
    rate = LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))
    log = MLflow("songs", "first", tags={"by": "hand"})
    history = fit(compiled(), 3, rate, log, validation_data=(X, Y))
    assert log.run_id is not None
    run = client.get_run(log.run_id)
    assert (run.info.status, run.info.run_name, run.data.tags["by"]) == ("FINISHED", "first", "hand")
    assert client.get_experiment(run.info.experiment_id).name == "songs"
    assert run.data.params == {"epochs": "3", "optimizer": "SGD", "learning_rate": "0.1"}
    assert set(run.data.metrics) == {*history, "learning_rate", "seconds"}
    for name, values in history.items():
        found = client.get_metric_history(log.run_id, name)
        assert [(one.step, one.value) for one in found] == list(enumerate(values))

    # A run that goes on, and one that fails.
    for epochs in (1, None):
        log = MLflow(tracking_uri=runs)
        backup = BackupAndRestore(tmp_path / "run.nabi")
        if epochs is not None:
            with pytest.raises(KeyboardInterrupt):
                fit(compiled(), 3, press_in(epochs), log, backup)
            stopped = log.run_id
            assert client.get_run(stopped).info.status == "KILLED"
            continue
        fit(compiled(), 3, log, backup)
        assert log.run_id == stopped
        assert [one.step for one in client.get_metric_history(stopped, "loss")] == [0, 1, 2]
        assert client.get_run(stopped).info.status == "FINISHED"
    failed = MLflow()
    model = compiled()
    with pytest.raises(NotFiniteError):
        model.fit(np.full((4, 4), np.nan), np.ones(4), verbose=0, callbacks=[failed])
    assert client.get_run(failed.run_id).info.status == "FAILED"

    # In a run of the user's, which is left open.
    with mlflow.start_run() as own:
        system = LanguageModel(units=2, epochs=1, window=4, batch_size=2)
        system.fit(["the clouds are in the sky"] * 20, verbose=0, callbacks=[MLflow()])
        fit(compiled(), 2, MLflow())
        assert mlflow.active_run() is not None
    data = client.get_run(own.info.run_id).data
    assert (data.params["units"], data.params["epochs"], data.params["optimizer"]) == ("2", "1", "SGD")
    assert data.metrics["val_loss"] == system.history["val_loss"][0]


def test_a_server_that_is_gone_ends_no_training(
    runs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    def lost(*_: Any, **__: Any) -> None:
        raise ConnectionError("the line is dead")

    broken = LambdaCallback(
        on_epoch_end=lambda epoch, logs: monkeypatch.setattr(mlflow.MlflowClient, "log_batch", lost)
    )
    with pytest.warns(RuntimeWarning, match="MLflow: the figures of epoch 0 could not be written: the line"):
        history = fit(compiled(), 1, broken, MLflow())
    assert len(history["loss"]) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="MLflow: no run can be made: "):
        fit(compiled(), 1, MLflow(tracking_uri=(tmp_path / "file/runs").as_uri()))
