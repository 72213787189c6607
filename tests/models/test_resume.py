"""A run that goes on from a file gives the numbers of one that was never stopped, bit by bit."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import optimizers
from nabi.callbacks import BackupAndRestore, Callback, ModelCheckpoint
from nabi.layers import GRU, LSTM, Dense, Dropout
from nabi.models import Sequential, load_model
from nabi.utils import set_random_seed

STEP = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)
MILESTONES = functools.partial(torch.optim.lr_scheduler.MultiStepLR, milestones=[1, 3], gamma=0.3)


def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(12, 4, 2)), random.integers(0, 3, size=12)


def with_dropout(**compile_options: Any) -> Sequential:
    model = Sequential(
        [LSTM(5, input_shape=(4, 2), recurrent_dropout=0.2), Dropout(0.3), Dense(3, "softmax")]
    )
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], **compile_options)
    return model


def stateful(**compile_options: Any) -> Sequential:
    model = Sequential(
        [GRU(5, batch_input_shape=(3, 4, 2), stateful=True, return_sequences=True),
         LSTM(4, stateful=True), Dropout(0.2, seed=5), Dense(3, "softmax")]
    )  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", **compile_options)
    return model


def deferred(**compile_options: Any) -> Sequential:
    model = Sequential([LSTM(5), Dropout(0.3), Dense(3)])
    model.compile(loss=torch.nn.CrossEntropyLoss(), **compile_options)
    return model


Maker = Callable[..., Sequential]


def same(one: Sequential, other: Sequential) -> bool:
    weights = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in weights)


def run(model: Sequential, first: int, last: int, shuffle: bool) -> list[float]:
    x, y = data()
    history = model.fit(x, y, batch_size=3, epochs=last, initial_epoch=first, shuffle=shuffle, verbose=0)
    return history.history["loss"]


@pytest.mark.parametrize("make", [with_dropout, stateful, deferred])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam"},
        {"optimizer": "adam", "schedule": STEP, "clipnorm": 0.1},
        {"optimizer": torch.optim.RAdam, "schedule": MILESTONES, "schedule_every": "batch"},
        {"optimizer": optimizers.SGD(0.1, momentum=0.9, decay=0.01)},
    ],
    ids=["adam", "schedule", "torch", "decay"],
)
def test_a_resumed_run_is_bit_identical(
    tmp_path: Path, make: Maker, shuffle: bool, options: dict[str, Any]
) -> None:
    def fresh() -> Sequential:
        given = dict(options)
        if isinstance(given["optimizer"], optimizers.Optimizer):
            given["optimizer"] = optimizers.SGD(0.1, momentum=0.9, decay=0.01)
        set_random_seed(3)
        return make(**given)

    whole = fresh()
    losses = run(whole, 0, 5, shuffle)
    stopped = fresh()
    first = run(stopped, 0, 2, shuffle)
    stopped.save(tmp_path / "model.nabi")
    # What happens between must not matter: other random numbers, another model, a save of the loaded model.
    set_random_seed(99)
    torch.rand(7)
    load_model(tmp_path / "model.nabi").save(tmp_path / "again.nabi")
    resumed = load_model(tmp_path / "again.nabi")
    assert resumed.completed_epoch == 2
    assert first + run(resumed, 2, 5, shuffle) == losses
    assert same(resumed, whole)
    assert resumed.optimizer.learning_rate == whole.optimizer.learning_rate
    for name, state in whole.get_extra().items():
        assert torch.equal(state, resumed.get_extra()[name]), name


def test_a_seed_set_after_loading_wins_over_the_file(tmp_path: Path) -> None:
    set_random_seed(3)
    model = with_dropout(optimizer="adam")
    run(model, 0, 1, False)
    model.save(tmp_path / "model.nabi")
    results = []
    for seed in (1, 1, 2):
        loaded = load_model(tmp_path / "model.nabi")
        set_random_seed(seed)
        results.append(run(loaded, 1, 2, False))
    assert results[0] == results[1] != results[2]


def test_loading_leaves_the_random_numbers_of_the_program_alone(tmp_path: Path) -> None:
    model = with_dropout(optimizer="adam")
    run(model, 0, 1, True)
    model.save(tmp_path / "model.nabi")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(tmp_path / "model.nabi").predict(data()[0])
    assert torch.equal(torch.rand(3), expected)


def test_fit_once_per_epoch_resumes_too(tmp_path: Path) -> None:
    """The song's way of training: many calls of fit, with the states reset between them."""
    x, y = data()

    def epochs(model: Sequential, count: int) -> None:
        for _ in range(count):
            model.fit(x, y, batch_size=3, epochs=1, shuffle=False, verbose=0)
            model.reset_states()

    set_random_seed(0)
    whole = stateful(optimizer="adam")
    epochs(whole, 4)
    set_random_seed(0)
    stopped = stateful(optimizer="adam")
    epochs(stopped, 2)
    stopped.save(tmp_path / "model.nabi")
    resumed = load_model(tmp_path / "model.nabi")
    epochs(resumed, 2)
    assert same(resumed, whole)


def test_a_checkpoint_of_any_epoch_resumes(tmp_path: Path) -> None:
    x, y = data()
    set_random_seed(0)
    whole = with_dropout(optimizer="adam")
    path = tmp_path / "{epoch:02d}-{loss:.4f}.nabi"
    history = whole.fit(x, y, epochs=4, verbose=0, callbacks=[ModelCheckpoint(path)])
    saved = sorted(tmp_path.iterdir())
    assert [file.name for file in saved] == [
        f"{epoch:02d}-{loss:.4f}.nabi" for epoch, loss in enumerate(history.history["loss"], 1)
    ]
    resumed = load_model(saved[1])
    again = resumed.fit(x, y, epochs=4, initial_epoch=2, verbose=0)
    assert again.history["loss"] == history.history["loss"][2:]
    assert again.epoch == [2, 3]


class StopIn(Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise RuntimeError("power cut")


def test_backup_and_restore_goes_on_after_a_crash(tmp_path: Path) -> None:
    x, y = data()
    backup = tmp_path / "run.nabi"

    def program(crash_in: int | None) -> Sequential:
        set_random_seed(0)
        model = deferred(optimizer="adam", schedule=STEP)
        crash = [] if crash_in is None else [StopIn(crash_in)]
        model.fit(x, y, epochs=5, verbose=0, callbacks=[BackupAndRestore(backup), *crash])
        return model

    whole = program(None)
    assert not backup.exists()
    with pytest.raises(RuntimeError, match="power cut"):
        program(3)
    assert backup.exists()
    assert same(program(None), whole)
    assert not backup.exists()


class Transposed:
    """Weights whose rows and columns lie the other way round in memory."""

    def __call__(self, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.randn(shape[::-1], dtype=dtype).permute(*reversed(range(len(shape))))

    def get_config(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("optimizer", ["adam", torch.optim.Adam])
def test_the_optimizers_state_lies_in_memory_as_the_weights_do(optimizer: Any, tmp_path: Path) -> None:
    """A fused step walks through a weight and its state side by side, whatever their layouts."""
    set_random_seed(3)
    model = Sequential([LSTM(5, input_shape=(4, 2), kernel_initializer=Transposed()), Dense(3, "softmax")])
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    run(model, 0, 2, shuffle=False)
    model.save(tmp_path / "model.nabi")
    again = load_model(
        tmp_path / "model.nabi", custom_objects={"Transposed": Transposed, "Adam": torch.optim.Adam}
    )
    weight = again.layers[0].kernel
    assert not weight.is_contiguous()
    assert run(model, 2, 4, shuffle=False) == run(again, 2, 4, shuffle=False)
    assert same(model, again)
    assert again.compiled.optimizer.torch_optimizer.state[weight]["exp_avg"].stride() == weight.stride()
