"""A run that goes on from a file gives the numbers of one that was never stopped, bit by bit."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nabi import TextClassifier, optimizers
from nabi.callbacks import BackupAndRestore, Callback, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from nabi.data import LengthGroups
from nabi.errors import FileFormatError
from nabi.files import read_model_file, write_model_file
from nabi.layers import GRU, LSTM, Dense, Dropout, Embedding
from nabi.metrics import Precision
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


def groups() -> Any:
    """Codes in an order that follows from the number of the epoch."""
    random = np.random.default_rng(1)
    codes = [random.integers(1, 9, size) for size in random.integers(2, 7, 24)]
    return LengthGroups(codes, [int(code[0] > 4) for code in codes], batch_size=4, seed=2)


def loader() -> Any:
    """Codes in an order that a generator of its own draws."""
    codes = torch.arange(96).reshape(24, 4) * 5 % 8 + 1
    own = torch.utils.data.TensorDataset(codes, (codes[:, 0] > 4).long())
    return torch.utils.data.DataLoader(own, 4, shuffle=True, generator=torch.Generator().manual_seed(5))


class Counting:
    """A data set that remembers which epoch it is at."""

    def __init__(self) -> None:
        self.epoch = 0

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Any:
        codes = torch.arange(24).reshape(6, 4)
        for part in codes:
            yield (part[:, None].repeat(1, 3) + self.epoch) % 8 + 1, part % 2
        self.epoch += 1

    def get_extra(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def set_extra(self, extra: dict[str, Any]) -> None:
        self.epoch = extra["epoch"]


class StopAfterBatches(Callback):
    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("power cut")


def arrays() -> Any:
    """Codes in an order that the model draws."""
    codes = np.arange(96).reshape(24, 4) * 5 % 8 + 1
    return {"x": codes, "y": (codes[:, 0] > 4).astype(int), "batch_size": 4}


@pytest.mark.parametrize(
    ("make_data", "seconds"), [(groups, None), (Counting, None), (groups, 0), (loader, 0), (arrays, 0)]
)
def test_the_order_of_the_data_and_what_callbacks_have_counted_go_on(
    tmp_path: Path, make_data: Callable[[], Any], seconds: float | None
) -> None:
    backup = tmp_path / "run.nabi"
    restored: list[EarlyStopping] = []

    def program(batches: int | None) -> tuple[Sequential, Any]:
        set_random_seed(0)
        model = Sequential([Embedding(9, 3), LSTM(4), Dense(1, "sigmoid")])
        metrics = ["accuracy", Precision(name="precision")]
        model.compile(optimizers.Adam(0.1), "binary_crossentropy", metrics=metrics)
        # The backup is made last, wherever it stands, so that it has what the others say of the epoch.
        stopping = EarlyStopping("loss", patience=3, min_delta=0.2, restore_best_weights=True)
        callbacks = [
            *([] if batches is None else [StopAfterBatches(batches)]),
            BackupAndRestore(backup, seconds=seconds),
            stopping,
            ReduceLROnPlateau("loss", patience=2, min_delta=0.2, cooldown=1),
        ]
        restored.append(stopping)
        given = make_data()
        given = given if isinstance(given, dict) else {"x": given}
        history = model.fit(**given, epochs=12, verbose=0, callbacks=callbacks)
        return model, history

    whole, history = program(None)
    assert 4 < len(history.epoch) < 12  # its patience ended it
    for batches in (15, 10):  # in the third epoch, and two epochs later
        with pytest.raises(RuntimeError, match="power cut"):
            program(batches)
        assert backup.exists()
        within = "epoch/batch" in read_model_file(backup).header["training"]["extra"]
        assert within == (seconds == 0)
    resumed, again = program(None)
    assert same(resumed, whole)
    assert again.history == history.history
    assert again.epoch == history.epoch
    assert restored[-1].best_epoch == restored[0].best_epoch
    assert not backup.exists()


def test_a_text_classifier_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = ["good", "bad", "fine", "dull", "film", "story", "plot", "the", "a", "of"]
    texts = [" ".join(random.choice(words, length)) for length in random.integers(3, 15, 60)]
    labels = ["pos" if "good" in text else "neg" for text in texts]

    def program(*callbacks: Callback) -> TextClassifier:
        classifier = TextClassifier(units=4, embedding_size=4, epochs=6, batch_size=8, patience=3)
        classifier.fit(texts, labels, verbose=0, callbacks=list(callbacks))
        return classifier

    whole = program()
    for epoch in (1, 3):
        with pytest.raises(RuntimeError, match="power cut"):
            program(BackupAndRestore(tmp_path / "run.nabi"), StopIn(epoch))
    resumed = program(BackupAndRestore(tmp_path / "run.nabi"))
    assert same(resumed.model, whole.model)
    assert resumed.history == whole.history


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("callbacks/EarlyStopping/0/wait", -1),
        ("callbacks/EarlyStopping/0/best", "low"),
        ("callbacks/EarlyStopping/0/weights/0", torch.zeros(2)),
        ("callbacks/History/0/history", [1]),
        ("data/epoch", 1.5),
    ],
)
def test_what_callbacks_and_data_cannot_have_kept_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    backup = tmp_path / "run.nabi"

    def program(*callbacks: Callback) -> None:
        model = Sequential([Embedding(9, 3), LSTM(4), Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy")
        stopping = EarlyStopping("loss", restore_best_weights=True)
        model.fit(groups(), epochs=4, verbose=0, callbacks=[BackupAndRestore(backup), stopping, *callbacks])

    with pytest.raises(RuntimeError, match="power cut"):
        program(StopIn(1))
    file = read_model_file(backup)
    header = {key: one for key, one in file.header.items() if key not in ("format", "layout", "kind")}
    tensors = dict(file.tensors)
    if isinstance(value, torch.Tensor):
        tensors[f"extra/{name}"] = value
    else:
        assert name in header["training"]["extra"]
        header["training"]["extra"][name] = value
    write_model_file(backup, "model", header, tensors)
    with pytest.raises(FileFormatError, match=r"training cannot go on from it .*: expected"):
        program()


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
