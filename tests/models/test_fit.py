"""fit, evaluate and predict on data of every kind, and what is refused."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nabi.callbacks import LambdaCallback
from nabi.data import TimeseriesGenerator
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.layers import LSTM, Dense, Embedding, Masking, TimeDistributed
from nabi.models import Sequential
from nabi.regularizers import L2
from nabi.utils import set_random_seed

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(10, 4, 2)), RANDOM.normal(size=10)


def compiled(*, loss: Any = "mse", outputs: int = 1, **options: Any) -> Sequential:
    set_random_seed(0)
    model = Sequential([LSTM(3, input_shape=(4, 2)), Dense(outputs)])
    model.compile("adam", loss, **options)
    return model


def losses_of(x: Any, y: Any = None, **options: Any) -> list[float]:
    return compiled().fit(x, y, epochs=2, shuffle=False, verbose=0, **options).history["loss"]


EXPECTED = functools.cache(lambda: losses_of(X, Y, batch_size=5))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X.tolist(), Y.tolist()),
        (X.astype(np.float32), Y[:, None]),
        (torch.tensor(X), torch.tensor(Y)),
        ([X], Y),
        (list(X), list(Y)),
        (np.asfortranarray(X), Y),
        (np.flip(np.flip(X, 0), 0), Y),
        (X.astype(">f8"), Y),
    ],
    ids=[
        "lists",
        "float32",
        "tensors",
        "one input in a list",
        "rows",
        "fortran",
        "negative strides",
        "big-endian",
    ],
)
def test_arrays_of_every_kind(x: Any, y: Any) -> None:
    assert losses_of(x, y, batch_size=5) == pytest.approx(EXPECTED())


def test_a_read_only_array() -> None:
    x = X.copy()
    x.flags.writeable = False
    assert losses_of(x, Y, batch_size=5) == pytest.approx(EXPECTED())


def test_loaders_data_sets_generators_and_indexed_batches() -> None:
    dataset = TensorDataset(torch.tensor(X), torch.tensor(Y))
    assert losses_of(DataLoader(dataset, batch_size=5)) == pytest.approx(EXPECTED())
    assert losses_of(dataset, batch_size=5) == pytest.approx(EXPECTED())

    def forever() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield X[:5], Y[:5]
            yield X[5:], Y[5:]

    assert losses_of(forever(), steps_per_epoch=2) == pytest.approx(EXPECTED())

    class Indexed:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            return X[5 * index : 5 * index + 5], Y[5 * index : 5 * index + 5]

    assert losses_of(Indexed()) == pytest.approx(EXPECTED())


def test_a_timeseries_generator() -> None:
    series = np.linspace(0, 1, 20)[:, None]
    model = Sequential([LSTM(3, input_shape=(4, 1)), Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(TimeseriesGenerator(series, series, length=4, batch_size=5), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.predict(TimeseriesGenerator(series, series, length=4, batch_size=5)).shape == (16, 1)


def test_a_generator_that_is_used_up_is_an_error_not_a_silent_end() -> None:
    with pytest.raises(ArgumentError, match=r"x: it gave no batch in epoch 2; .* steps_per_epoch"):
        losses_of(pair for pair in [(X, Y)])


def test_shuffling_draws_every_sample_once_in_new_orders() -> None:
    seen: list[list[int]] = []

    class Watched(Sequential):
        def training_outputs(self, x: torch.Tensor, logits_of: str | None) -> torch.Tensor:
            seen[-1].extend(x[:, 0].long().tolist())
            return super().training_outputs(x, logits_of)

    set_random_seed(0)
    model = Watched([Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    new = LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append([]))
    x = np.arange(10.0)[:, None]
    model.fit(x, np.zeros(10), batch_size=3, epochs=2, verbose=0, callbacks=[new])
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(10))
    assert seen[0] != seen[1] != list(range(10))
    model.fit(x, np.zeros(10), batch_size=3, shuffle=False, verbose=0, callbacks=[new])
    assert seen[2] == list(range(10))


def test_the_loss_of_an_epoch_is_the_mean_over_samples() -> None:
    """Batches of 4, 4 and 2 count by their sizes; the weights stand still at a tiny learning rate."""
    model = compiled(metrics=["mae"])
    model.optimizer.learning_rate = 1e-30
    history = model.fit(X, Y, batch_size=4, verbose=0).history
    whole = model.evaluate(X, Y, batch_size=10)
    assert [history["loss"][0], history["mae"][0]] == pytest.approx(whole)


def test_evaluate_gives_the_loss_alone_or_a_list() -> None:
    model = compiled()
    value = model.evaluate(X, Y)
    assert value == pytest.approx(((model.predict(X)[:, 0] - Y) ** 2).mean(), rel=1e-5)
    assert model.metrics_names == ["loss"]
    classifier = compiled(loss="sparse_categorical_crossentropy", outputs=3, metrics=["accuracy"])
    assert classifier.metrics_names == ["loss", "accuracy"]
    assert len(classifier.evaluate(X, np.arange(10) % 3)) == 2
    assert list(classifier.evaluate(X, np.arange(10) % 3, return_dict=True)) == ["loss", "accuracy"]


def test_predict_does_not_depend_on_batches() -> None:
    model = compiled()
    whole = model.predict(X, batch_size=10)
    assert whole.shape == (10, 1)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(model.predict(X, batch_size=3), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(X), whole, rtol=1e-5, atol=1e-6)


def test_classes() -> None:
    binary = Sequential([Dense(1, "sigmoid", input_dim=1)])
    binary.layers[0].set_weights([np.ones((1, 1)), np.zeros(1)])
    assert binary.predict_classes([[-1.0], [2.0]]).tolist() == [[0], [1]]
    several = Sequential([Dense(2, input_dim=1)])
    several.layers[0].set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    assert several.predict_classes([[-1.0], [2.0]]).tolist() == [1, 0]


def test_single_batches() -> None:
    model = compiled(metrics=["mae"])
    before = model.test_on_batch(X, Y)
    assert model.train_on_batch(X, Y) == pytest.approx(before)
    for _ in range(50):
        model.train_on_batch(X, Y)
    assert model.test_on_batch(X, Y, return_dict=True)["loss"] < before[0]
    assert model.optimizer.iterations == 51


def test_validation_split_takes_the_end_before_shuffling() -> None:
    model = compiled()
    model.optimizer.learning_rate = 1e-30
    history = model.fit(X, Y, validation_split=0.3, verbose=0).history
    assert history["loss"][0] == pytest.approx(model.evaluate(X[:7], Y[:7]))
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[7:], Y[7:]))
    given = model.fit(X[:7], Y[:7], validation_data=(X[7:], Y[7:]), verbose=0).history
    assert given["val_loss"][0] == pytest.approx(history["val_loss"][0])
    loader = DataLoader(TensorDataset(torch.tensor(X[7:]), torch.tensor(Y[7:])), batch_size=2)
    streamed = model.fit(X[:7], Y[:7], validation_data=loader, verbose=0).history
    assert streamed["val_loss"][0] == pytest.approx(history["val_loss"][0])
    seldom = model.fit(X, Y, epochs=4, validation_split=0.3, validation_freq=2, verbose=0).history
    assert len(seldom["val_loss"]) == 2


def test_weights_of_samples_and_classes() -> None:
    model = compiled(loss="sparse_categorical_crossentropy", outputs=3)
    model.optimizer.learning_rate = 1e-30
    labels = np.arange(10) % 3
    values = np.array([model.evaluate(X[i : i + 1], labels[i : i + 1]) for i in range(10)])
    weights = RANDOM.uniform(size=10)
    history = model.fit(X, labels, sample_weight=weights, batch_size=10, verbose=0).history
    assert history["loss"][0] == pytest.approx((values * weights).mean(), rel=1e-5)
    by_class = {0: 2.0, 2: 0.5}
    expected = values * np.array([by_class.get(label, 1.0) for label in labels])
    for y, loss in (
        (labels, "sparse_categorical_crossentropy"),
        (np.eye(3)[labels], "categorical_crossentropy"),
    ):
        model.compile("adam", loss)
        model.optimizer.learning_rate = 1e-30
        history = model.fit(X, y, class_weight=by_class, batch_size=10, verbose=0).history
        assert history["loss"][0] == pytest.approx(expected.mean(), rel=1e-5)
    both = model.fit(X, y, class_weight=by_class, sample_weight=weights, batch_size=10, verbose=0).history
    assert both["loss"][0] == pytest.approx((expected * weights).mean(), rel=1e-5)
    assert model.evaluate(X, y, sample_weight=weights) == pytest.approx((values * weights).mean(), rel=1e-5)


def test_masked_steps_do_not_count() -> None:
    set_random_seed(0)
    model = Sequential(
        [Masking(input_shape=(None, 2)), LSTM(3, return_sequences=True), TimeDistributed(Dense(1))]
    )
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = RANDOM.normal(size=(3, 5, 2)), RANDOM.normal(size=(3, 5, 1))
    x[0, 3:], x[1, 1:] = 0, 0
    valid = (x != 0).any(-1)
    error = (model.predict(x) - y)[valid]
    assert model.evaluate(x, y) == pytest.approx([(error**2).mean(), np.abs(error).mean()], rel=1e-5)


def test_penalties_are_part_of_the_loss() -> None:
    model = Sequential([Dense(1, input_dim=2, kernel_regularizer=L2(0.1), use_bias=False)])
    model.layers[0].set_weights([np.array([[1.0], [2.0]])])
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2)), np.zeros(4)
    assert model.evaluate(x, y) == pytest.approx(0.5)
    history = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert history[0] == pytest.approx(0.5)
    assert history[2] < history[1] < history[0]


def test_stateful_models_take_their_own_batch_size() -> None:
    model = Sequential([LSTM(3, batch_input_shape=(2, 4, 2), stateful=True), Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    model.reset_states()
    first = model.predict(X)
    assert first.shape == (10, 1)
    assert not np.array_equal(model.predict(X), first)
    model.reset_state()
    assert np.array_equal(model.predict(X), first)
    with pytest.raises(ShapeError, match=r"batch_size: 9 samples in batches of 2 .* batches of exactly 2"):
        model.fit(X[:9], Y[:9], verbose=0)
    with pytest.raises(ShapeError, match=r"batch_size: 10 samples in batches of 5 .* exactly 2"):
        model.predict(X, batch_size=5)


def test_words_as_whole_numbers() -> None:
    model = Sequential([Embedding(6, 4, input_length=3), LSTM(3), Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["acc"])
    history = model.fit(RANDOM.integers(0, 6, (8, 3)), np.arange(8) % 2, epochs=2, verbose=0).history
    assert set(history) == {"loss", "acc"}


def test_an_axis_of_length_one_may_be_missing() -> None:
    model = Sequential([LSTM(3, input_shape=(4, 1)), Dense(1)])
    assert model.predict(X[..., 0]).shape == (10, 1)
    model = Sequential([Dense(3, input_dim=4)])
    assert model.predict(X[..., :1]).shape == (10, 3)


def test_float64_models_train_in_float64() -> None:
    model = Sequential([LSTM(3, input_shape=(4, 2), dtype="float64"), Dense(1, dtype="float64")])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    assert model.predict(X).dtype == np.float64


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 2), ("auto", 2), (2, 2)])
def test_what_is_shown_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], verbose: Any, lines: int
) -> None:
    compiled(metrics=["mae"]).fit(X, Y, epochs=2, verbose=verbose, validation_split=0.2)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == lines
    for number, line in enumerate(printed, 1):
        assert line.startswith(f"Epoch {number}/2 - ")
        assert all(f" - {name}: " in line for name in ("loss", "mae", "val_loss", "val_mae"))


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    compiled().fit(X, Y, epochs=2, batch_size=2, verbose=1)
    printed = capsys.readouterr().out
    assert "Epoch 2/2" in printed
    assert "5/5" in printed
    assert "loss: " in printed


def test_the_device_asked_for() -> None:
    model = compiled(device="cpu")
    assert model.device == torch.device("cpu")
    model.fit(X, Y, device="cpu", verbose=0)
    if not torch.cuda.is_available():
        with pytest.raises(
            ArgumentError, match=r"device: expected one of this machine's devices cpu.*, got 'cuda'"
        ):
            model.fit(X, Y, device="cuda", verbose=0)
    with pytest.raises(ArgumentError, match=r"device: .*, got 'gpu'"):
        compiled(device="gpu")


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"x": X, "y": Y[:9]}, ShapeError, "y: expected 10 samples as in x, got 9"),
    ({"x": X, "y": Y, "sample_weight": np.ones(3)}, ShapeError, "sample_weight: expected 10 .*, got 3"),
    ({"x": X, "y": np.ones((10, 3))}, ShapeError, r"y: .* \(10, 1\).*, got shape \(10, 3\)"),
    ({"x": X[:, :3], "y": Y}, ShapeError, r"shape \(None, 4, 2\) for sequential\w*, got \(10, 3, 2\)"),
    ({"x": X[:, 0], "y": Y}, ShapeError, r"x: .*, got \(10, 2\)"),
    ({"x": X[..., :1], "y": Y}, ShapeError, r"x: .*, got \(10, 4, 1\)"),
    ({"x": X[:0], "y": Y[:0]}, ArgumentError, r"expected at least one sample, got shape \(0, 4, 2\)"),
    ({"x": [[1.0], [1.0, 2.0]], "y": [1, 2]}, ArgumentError, "x: the rows have different lengths"),
    ({"x": [["a"], ["b"]], "y": [1, 2]}, ArgumentError, "x: expected numbers, got values of type <U1"),
    ({"x": X.astype(complex), "y": Y}, ArgumentError, "x: expected numbers, got values of type complex128"),
    ({"x": None}, ArgumentError, "x: expected data, got None"),
    ({"x": X}, ArgumentError, "y: no targets were given"),
    ({"x": X, "y": Y, "epochs": -1}, ArgumentError, "epochs: expected a whole number of at least 0, got -1"),
    ({"x": X, "y": Y, "epochs": 1.5}, ArgumentError, r"epochs: expected a whole number, got 1\.5"),
    ({"x": X, "y": Y, "batch_size": 0}, ArgumentError, "batch_size: expected a whole number of at least 1"),
    ({"x": X, "y": Y, "verbose": 3}, ArgumentError, "verbose: expected 0, 1, 2 or 'auto', got 3"),
    ({"x": X, "y": Y, "validation_split": 1.0}, ArgumentError, r"validation_split: expected a number of at"),
    ({"x": X, "y": Y, "validation_split": 0.95}, ArgumentError, "leaves one part without samples"),
    ({"x": X, "y": Y, "validation_data": (X,)}, ArgumentError, "validation_data: 1 parts were given"),
    ({"x": X, "y": Y, "validation_data": X}, ArgumentError, "validation_data: an array alone was given"),
    ({"x": X, "y": Y, "validation_data": (X, Y[1:])}, ShapeError, "validation_data: y: expected 10 samples"),
    ({"x": X, "y": Y, "class_weight": 3}, ArgumentError, "class_weight: expected a dictionary or None, got"),
    ({"x": iter([(X, Y)]), "y": Y}, ArgumentError, "y: expected None, as the list_iterator given as x"),
    ({"x": iter([(X, Y)]), "validation_split": 0.1}, ArgumentError, "expected x and y as arrays"),
    ({"x": iter([{"x": X}])}, ArgumentError, r"x: expected batches x, \(x, y\) .*, got dict"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    model = compiled()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(**{"verbose": 0, **options})
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.training is False


def test_compiling_comes_first_and_names_are_checked_then() -> None:
    model = Sequential([Dense(1, input_dim=1)])
    with pytest.raises(ArgumentError, match=r"not compiled; call compile\(optimizer, loss\)"):
        model.fit([[1.0]], [1.0])
    with pytest.raises(ArgumentError, match="loss: expected a name"):
        model.compile("adam")
    with pytest.raises(UnknownNameError, match="did you mean 'categorical_crossentropy'"):
        model.compile("adam", "categorical_crosentropy")
    assert model.optimizer is None
    assert model.loss is None


def test_batches_of_a_loader_are_brought_into_shape_too() -> None:
    model = Sequential([LSTM(3, input_shape=(4, 1)), Dense(1)])
    model.compile("adam", "mse")
    assert len(model.fit(iter([(X[..., 0], Y)]), verbose=0).history["loss"]) == 1
    with pytest.raises(ShapeError, match=r"x: expected shape \(None, 4, 1\) .*, got \(10, 4, 2\)"):
        model.fit(iter([(X, Y)]), verbose=0)
