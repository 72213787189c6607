"""A step that is taken down gives what its parts give, to the last bit, and is left where it must be."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi.callbacks import LambdaCallback
from nabi.errors import ArgumentError, NotFiniteError, ShapeError
from nabi.layers import GRU, LSTM, Activation, Dense, Dropout, Embedding, Flatten, SimpleRNN, SpatialDropout1D
from nabi.models import Sequential
from nabi.native import is_available
from nabi.training._step._step import Chain
from nabi.utils import set_random_seed

pytestmark = pytest.mark.skipif(not is_available(), reason="needs native code")

TIME, WIDTH, CLASSES, BATCH = 4, 3, 5, 4
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(18, TIME, WIDTH))
LABELS = RANDOM.integers(0, CLASSES, 18)
Y = np.eye(CLASSES)[LABELS]
ENTROPY = "categorical_crossentropy"
Make = Callable[[], Sequential]


def model_of(*layers: Any, loss: Any = ENTROPY, optimizer: Any = "adam", **options: Any) -> Sequential:
    set_random_seed(0)
    model = Sequential(list(layers))
    model.compile(optimizer, loss, **options)
    return model


def usual(**options: Any) -> Sequential:
    return model_of(
        LSTM(6, input_shape=(TIME, WIDTH)), Dense(7, "tanh"), Dense(CLASSES, "softmax"), **options
    )


def stateful(size: int = 1) -> Sequential:
    first = LSTM(6, batch_input_shape=(size, TIME, WIDTH), stateful=True)
    return model_of(first, Dense(CLASSES, "softmax"))


def flat_steps(model: Sequential) -> dict[torch.Size, Any]:
    return model.compiled.spare[0].flat


def result(model: Sequential, train: Callable[[Sequential], Any], by_parts: bool) -> tuple[Any, list[Tensor]]:
    """What a training gives and the weights after it, perhaps without taking any step down."""
    with pytest.MonkeyPatch.context() as patch:
        if by_parts:
            patch.setattr(Chain, "shall_be_flat", lambda self, shape: False)
        found = train(model)
    return found, [weight.detach().clone() for weight in model.weights]


def assert_same(make: Make, train: Callable[[Sequential], Any]) -> Sequential:
    """Assert that steps taken down give what the parts give; return the model trained by them."""
    model = make()
    found, weights = result(model, train, by_parts=False)
    expected, others = result(make(), train, by_parts=True)
    assert found == expected
    assert all(map(torch.equal, weights, others))
    return model


def fit(model: Sequential, x: Any = X, y: Any = Y, batch_size: int = BATCH, epochs: int = 3) -> Any:
    return model.fit(x, y, batch_size, epochs, shuffle=False, verbose=0).history


# Which steps are taken down -------------------------------------------------------------------------------

TAKEN = {
    "usual": usual,
    "stacked": lambda: model_of(
        GRU(5, return_sequences=True, input_shape=(TIME, WIDTH)), LSTM(4), Dense(CLASSES, "softmax")
    ),
    "an activation by itself": lambda: model_of(
        SimpleRNN(5, input_shape=(TIME, WIDTH)), Dense(CLASSES), Activation("softmax")
    ),
    "without time": lambda: model_of(
        Flatten(input_shape=(TIME, WIDTH)), Dense(9, "relu"), Dense(CLASSES, use_bias=False), loss="mse"
    ),
    "float64": lambda: model_of(
        LSTM(6, input_shape=(TIME, WIDTH), dtype="float64"),
        Dense(CLASSES, "softmax", dtype="float64"),
    ),
    "dropout": lambda: model_of(
        Dropout(0.5, input_shape=(TIME, WIDTH)),
        Flatten(),
        Dense(6, "relu"),
        Dropout(0.25, seed=3),
        Dense(CLASSES, "tanh"),
        Dropout(0.1),
        loss="mse",
    ),
    "dropout after a layer over time": lambda: model_of(
        GRU(6, input_shape=(TIME, WIDTH)), Dropout(0.5), Dense(CLASSES, "softmax")
    ),
    "states as outputs": lambda: model_of(LSTM(CLASSES, input_shape=(TIME, WIDTH)), loss="mse"),
}


@pytest.mark.parametrize("make", TAKEN.values(), ids=TAKEN)
def test_a_step_taken_down_gives_what_the_parts_give(make: Make) -> None:
    model = assert_same(make, fit)
    # The last batch of an epoch is smaller and has a step of its own.
    assert {shape[0]: step is not None for shape, step in flat_steps(model).items()} == {4: True, 2: True}


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("last", [False, True])
def test_states_go_from_batch_to_batch(size: int, last: bool) -> None:
    def make() -> Sequential:
        if not last:
            return stateful(size)
        layer = GRU(CLASSES, batch_input_shape=(size, TIME, WIDTH), stateful=True)
        return model_of(layer, loss="mse", metrics=["mae"])

    def train(model: Sequential) -> Any:
        found = [fit(model, batch_size=size, epochs=2), [state.tolist() for state in model.layers[0].states]]
        model.reset_states()
        return [*found, fit(model, batch_size=size, epochs=1)]

    model = assert_same(make, train)
    assert None not in flat_steps(model).values()
    assert flat_steps(model)


NUMBERS = RANDOM.integers(0, 9, (18, TIME))
TEXTS = {
    "a layer over time": lambda: [Embedding(9, 5), GRU(6), Dropout(0.5)],
    "several": lambda: [Embedding(9, 17), LSTM(6, return_sequences=True), SimpleRNN(4)],
    "no time": lambda: [Embedding(9, 5, input_length=TIME), Flatten(), Dense(6, "relu")],
    "float64": lambda: [Embedding(9, 3, dtype="float64"), LSTM(6, dtype="float64")],
}


@pytest.mark.parametrize("layers", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("size", [1, 4])
def test_numbers_as_inputs(layers: Any, size: int) -> None:
    def make() -> Sequential:
        made = layers()
        return model_of(*made, Dense(CLASSES, "softmax", dtype=made[0].dtype))

    model = assert_same(make, lambda model: fit(model, NUMBERS, batch_size=size))
    assert all(flat_steps(model).values())
    assert flat_steps(model)


@pytest.mark.parametrize("frozen", [0, 1])
def test_frozen_layers_after_numbers(frozen: int) -> None:
    def make() -> Sequential:
        model = model_of(Embedding(9, 5), LSTM(6), Dense(CLASSES, "softmax"))
        model.layers[frozen].trainable = False
        return model

    assert_same(make, lambda model: fit(model, NUMBERS))


def test_a_number_without_a_vector_is_reported_in_its_batch() -> None:
    numbers = NUMBERS.copy()
    numbers[9, 2] = 9

    def train(model: Sequential) -> Any:
        found = fit(model, NUMBERS)
        with pytest.raises(ArgumentError, match=r"from 0 to 8, got \d to 9"):
            fit(model, numbers)
        return found, model.optimizer.iterations

    assert_same(lambda: model_of(Embedding(9, 5), GRU(6), Dense(CLASSES, "softmax")), train)


def test_dropout_between_layers_over_time_in_batches_of_one() -> None:
    def make() -> Sequential:
        return model_of(
            LSTM(6, return_sequences=True, batch_input_shape=(1, TIME, WIDTH), stateful=True),
            Dropout(0.5),
            LSTM(5),
            Dropout(0.5, seed=1),
            Dense(CLASSES, "softmax"),
        )

    model = assert_same(make, lambda model: fit(model, batch_size=1))
    assert any(flat_steps(model).values())


@pytest.mark.parametrize(("loss", "y"), [("sparse_categorical_crossentropy", LABELS), ("mse", Y)])
def test_targets_are_brought_into_shape(loss: str, y: Any) -> None:
    assert_same(lambda: usual(loss=loss, metrics=["accuracy"]), lambda model: fit(model, y=y))


def test_targets_without_the_axis_of_the_only_output() -> None:
    def make() -> Sequential:
        return model_of(Dense(1, "sigmoid", input_shape=(WIDTH,)), loss="binary_crossentropy")

    model = assert_same(make, lambda model: fit(model, X[:, 0], LABELS % 2))
    assert any(flat_steps(model).values())


LEFT = {
    "dropout between layers over time": lambda: model_of(
        LSTM(6, return_sequences=True, input_shape=(TIME, WIDTH)),
        Dropout(0.5),
        LSTM(6),
        Dense(CLASSES, "softmax"),
    ),
    "dropout of whole features": lambda: model_of(
        LSTM(6, return_sequences=True, input_shape=(TIME, WIDTH)),
        SpatialDropout1D(0.5),
        LSTM(6),
        Dense(CLASSES, "softmax"),
    ),
    "backwards": lambda: model_of(
        SimpleRNN(5, go_backwards=True, input_shape=(TIME, WIDTH)), Dense(CLASSES, "softmax")
    ),
    "an output at every step": lambda: model_of(
        LSTM(6, return_sequences=True, input_shape=(TIME, WIDTH)),
        Dense(3),
        Flatten(),
        Dense(CLASSES),
        loss="mse",
    ),
    "another activation": lambda: model_of(
        LSTM(6, input_shape=(TIME, WIDTH)), Dense(7, "softmax"), Dense(CLASSES, "softmax")
    ),
}


@pytest.mark.parametrize("make", LEFT.values(), ids=LEFT)
def test_what_is_more_than_kernels_is_left_to_the_parts(make: Make) -> None:
    model = assert_same(make, fit)
    assert not any(flat_steps(model).values())


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_random_models(data: st.DataObject) -> None:
    batch, time = data.draw(st.integers(1, 5), "batch"), data.draw(st.integers(1, 9), "time")
    kinds = data.draw(st.lists(st.sampled_from([LSTM, GRU, SimpleRNN]), max_size=2), "recurrent")
    widths = data.draw(st.lists(st.integers(1, 20), max_size=2), "dense")
    activations = data.draw(st.lists(st.sampled_from(["relu", "tanh", "linear"]), min_size=2, max_size=2))
    random = np.random.default_rng(data.draw(st.integers(0, 100), "seed"))
    shape = (time, WIDTH) if kinds else (WIDTH,)
    x, y = random.normal(size=(batch * 3 + 1, *shape)), random.normal(size=(batch * 3 + 1, 2))

    def make() -> Sequential:
        layers: list[Any] = []
        for number, kind in enumerate(kinds):
            layers.append(kind(4, return_sequences=number < len(kinds) - 1, **_input(shape, layers)))
        for width, activation in zip(widths, activations, strict=False):
            layers.append(Dense(width, activation, **_input(shape, layers)))
        return model_of(*layers, Dense(2, **_input(shape, layers)), loss="mse")

    model = assert_same(make, lambda model: fit(model, x, y, batch_size=batch))
    assert all(flat_steps(model).values())


def _input(shape: tuple[int, ...], layers: list[Any]) -> dict[str, Any]:
    return {} if layers else {"input_shape": shape}


# What may change between two steps ------------------------------------------------------------------------


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "rate by step": {"decay": 0.1},
    "weight decay": {"weight_decay": 0.1},
    "clipped": {"clipnorm": 0.1},
    "average": {"use_ema": True},
}


@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_options_of_the_optimizer(options: dict[str, Any]) -> None:
    from nabi.optimizers import Adam

    model = assert_same(lambda: usual(optimizer=Adam(0.01, **options)), fit)
    assert any(flat_steps(model).values())


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "nadam"])
def test_other_optimizers(name: str) -> None:
    model = assert_same(lambda: usual(optimizer=name), fit)
    assert any(flat_steps(model).values())


def stream(change: Callable[[Sequential, int], None]) -> Callable[[Sequential], Any]:
    """A training on a generator that changes the model before each of its batches."""

    def train(model: Sequential) -> Any:
        def generator() -> Iterator[Any]:
            for number in range(12):
                change(model, number)
                rows = slice(number, number + BATCH)
                yield X[rows], Y[rows]

        model.build((BATCH, TIME, WIDTH))
        return [model.fit(generator(), steps_per_epoch=6, verbose=0).history for _ in range(2)]

    return train


def halve(model: Sequential, number: int) -> None:
    if number in (4, 10):
        model.set_weights([0.5 * weight for weight in model.get_weights()])


def move(model: Sequential, number: int) -> None:
    if number == 4:
        for weight in model.weights:
            weight.data = weight.data * 0.5


def slow_down(model: Sequential, number: int) -> None:
    model.optimizer.learning_rate = 0.01 / (1 + number)


def threads(model: Sequential, number: int) -> None:
    torch.set_num_threads(1 + number % 2)


@pytest.mark.parametrize("change", [halve, move, slow_down, threads])
def test_what_changes_between_two_batches_is_seen(change: Callable[[Sequential, int], None]) -> None:
    before = torch.get_num_threads()
    try:
        assert_same(usual, stream(change))
    finally:
        torch.set_num_threads(before)


def test_gradients_can_be_looked_at_after_each_step() -> None:
    def train(model: Sequential) -> Any:
        seen: list[Any] = []

        def look(model: Sequential, number: int) -> None:
            seen.append([None if one.grad is None else one.grad.tolist() for one in model.weights])

        stream(look)(model)
        return seen

    assert_same(usual, train)


def test_a_state_that_someone_keeps_is_not_written_over() -> None:
    def train(model: Sequential) -> Any:
        kept: list[Tensor] = []

        def generator() -> Iterator[Any]:
            for number in range(50):
                kept.extend(model.layers[0].states)
                if number == 20:
                    model.layers[0].reset_state([kept[3].clone(), kept[4].clone()])
                if number == 30:
                    model.reset_states()
                yield X[number % 9 : number % 9 + 1], Y[number % 9 : number % 9 + 1]

        model.fit(generator(), verbose=0)
        return [state.tolist() for state in kept]

    assert_same(stateful, train)


def test_weighted_batches_in_between() -> None:
    def train(model: Sequential) -> Any:
        def generator() -> Iterator[Any]:
            for number in range(12):
                rows = slice(number, number + BATCH)
                weights = (np.arange(BATCH) / BATCH,) if number % 5 == 4 else ()
                yield X[rows], Y[rows], *weights

        return model.fit(generator(), verbose=0).history

    assert_same(usual, train)


def test_layers_frozen_between_two_epochs() -> None:
    def train(model: Sequential) -> Any:
        found = [fit(model)]
        for number, trainable in ((0, False), (0, True), (1, False), (1, True)):
            model.layers[number].trainable = trainable
            found.append(fit(model))
        return found

    assert_same(usual, train)


def test_callbacks_between_the_batches() -> None:
    def train(model: Sequential) -> Any:
        seen: list[float] = []

        def after(batch: int, logs: Any) -> None:
            seen.append(logs["loss"])
            model.layers[-1].bias.data.add_(0.125)
            model.stop_training = len(seen) == 12

        fit(model)
        model.fit(X, Y, BATCH, 4, shuffle=False, verbose=0, callbacks=[LambdaCallback(on_batch_end=after)])
        return seen, fit(model)

    assert_same(usual, train)


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    x = X.copy()
    x[9, 0, 0] = np.nan

    def train(model: Sequential) -> Any:
        fit(model)
        with pytest.raises(NotFiniteError, match="batch 3, because x has a NaN"):
            fit(model, x)
        return None

    model = assert_same(usual, train)
    assert all(bool(weight.isfinite().all()) for weight in model.weights)


def test_targets_of_another_shape_are_refused() -> None:
    model = usual()
    fit(model)
    weights = model.get_weights()
    with pytest.raises(ShapeError):
        fit(model, y=Y[:, :2])
    assert all(map(np.array_equal, weights, model.get_weights()))


def test_more_shapes_than_are_taken_down() -> None:
    def train(model: Sequential) -> Any:
        return [fit(model, X[:size], Y[:size], batch_size=size) for size in (1, 2, 3, 4, 5, 6, 1, 6)]

    model = assert_same(usual, train)
    assert sorted(shape[0] for shape in flat_steps(model)) == [1, 2, 3, 4]
