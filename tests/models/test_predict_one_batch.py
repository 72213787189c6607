"""`predict` of an array that makes one batch goes straight to the model, with the same result."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nabi import native
from nabi.callbacks import LambdaCallback
from nabi.errors import ArgumentError, ShapeError
from nabi.layers import LSTM, Concatenate, Dense, Dropout, Embedding, Input
from nabi.models import Model, Sequential
from nabi.utils import set_random_seed

RANDOM = np.random.default_rng(0)
STEPS = RANDOM.normal(size=(5, 4, 2))
NUMBERS = RANDOM.integers(0, 9, (5, 4))


def over_time() -> Model:
    return Sequential([LSTM(3, input_shape=(4, 2)), Dropout(0.5), Dense(2, "softmax")])


def texts() -> Model:
    return Sequential([Embedding(9, 3, mask_zero=True), LSTM(3), Dense(1, "sigmoid")])


def several_outputs() -> Model:
    x = Input((4, 2))
    h = LSTM(3)(x)
    return Model(x, [Dense(1, name="a")(h), Dense(2, name="b")(h)])


class Own(Model):
    def __init__(self) -> None:
        super().__init__()
        self.readout = Dense(2)

    def call(self, inputs: Any) -> Any:
        return {"out": self.readout(inputs)}


class OwnStep(Own):
    def predict_step(self, data: Any) -> Any:
        return self(data[0])["out"] + 1


CASES: dict[str, tuple[Callable[[], Model], Any]] = {
    "over time": (over_time, STEPS),
    "float32": (over_time, STEPS.astype("float32")),
    "whole numbers": (over_time, np.arange(40).reshape(5, 4, 2)),
    "not writable": (over_time, np.broadcast_to(STEPS[:1], (5, 4, 2))),
    "texts": (texts, NUMBERS),
    "several outputs": (several_outputs, STEPS),
    "a class of the user's": (Own, STEPS),
    "a step of the user's": (OwnStep, STEPS),
}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return type(one) is type(other) is np.ndarray and one.dtype == other.dtype and np.array_equal(one, other)


@pytest.mark.parametrize(("make", "x"), CASES.values(), ids=CASES)
def test_the_result_is_that_of_the_loop(make: Callable[[], Model], x: Any) -> None:
    set_random_seed(0)
    model = make()
    listened = LambdaCallback(on_predict_begin=lambda logs: None)
    expected = model.predict(x, callbacks=[listened])
    assert same(model.predict(x), expected)
    assert same(model.predict(x, batch_size=5), expected)
    assert same(model.predict_on_batch(x), expected)
    assert not model.training
    first = model.predict(x[:1])
    second = model.predict(x[1:2])
    assert same(first, model.predict(x[:1]))  # no result lies in the memory of another
    assert not same(first, second) or x is CASES["not writable"][1]


def test_dropout_is_off_and_gradients_stay_on() -> None:
    model = over_time()
    expected = model.predict(STEPS)
    model.layers[1].train(True)
    assert np.array_equal(model.predict(STEPS), expected)
    assert torch.is_grad_enabled()
    with pytest.raises(ShapeError):
        model.predict(STEPS[:, :, :1])
    assert torch.is_grad_enabled()


def changed_weights(model: Model) -> None:
    model.set_weights([weight + 1 for weight in model.get_weights()])


def another_memory(model: Model) -> None:
    model.layers[-1].bias.data = torch.ones(2)


def another_activation(model: Model) -> None:
    model.layers[-1].activation = torch.nn.functional.relu


def a_step_of_its_own(model: Model) -> None:
    model.predict_step = lambda data: model(data[0]) + 1  # type: ignore[method-assign]


def one_layer_more(model: Model) -> None:
    model.add(Dense(3))  # type: ignore[attr-defined]


def other_inputs(model: Model) -> None:
    model.declared_input_shape = (5, 4, 2)


def in_training(model: Model) -> None:
    model.train(True)


CHANGES = [
    changed_weights, another_memory, another_activation, a_step_of_its_own, one_layer_more, other_inputs,
    in_training,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_changes_between_two_predictions_is_seen(change: Callable[[Model], None]) -> None:
    set_random_seed(0)
    model, x = over_time(), STEPS.astype("float32")
    for _ in range(4):
        before = model.predict(x)
    if native.is_available():
        with torch.no_grad():
            again = model._prepared_calls.of_array(model.stack, torch.from_numpy(x))
        assert np.array_equal(again, before)
    change(model)
    listened = LambdaCallback(on_predict_begin=lambda logs: None)
    found, wanted = model.predict(x), model.predict(x, callbacks=[listened])
    assert same(found, wanted)
    assert same(found, before) is (change in (other_inputs, in_training))
    assert not model.training
    model.double()
    assert model.predict(x).dtype == model.predict(x, callbacks=[listened]).dtype == np.float64


@pytest.mark.parametrize("x", [STEPS.astype("float32")[:, ::-1], STEPS, STEPS.astype("float32")[:, :, :1]])
def test_arrays_that_are_no_batch_as_they_are(x: Any) -> None:
    model = over_time()
    for _ in range(4):
        usual = model.predict(STEPS.astype("float32"))
    for _ in range(3):
        if x.shape == STEPS.shape:
            assert np.array_equal(model.predict(x), usual) is np.allclose(x, STEPS)
        else:
            with pytest.raises(ShapeError):
                model.predict(x)


def test_what_makes_several_batches_goes_through_the_loop() -> None:
    model = over_time()
    whole = model.predict(np.tile(STEPS, (20, 1, 1)))
    assert whole.shape == (100, 2)
    assert np.allclose(whole[:5], model.predict(STEPS, batch_size=2), atol=1e-6)


def test_several_inputs_and_fixed_batches() -> None:
    one, two = Input((2,)), Input((3,))
    model = Model([one, two], Dense(1)(Concatenate()([one, two])))
    assert model.predict([np.ones((4, 2)), np.ones((4, 3))]).shape == (4, 1)
    fixed = Sequential([LSTM(3, batch_input_shape=(5, 4, 2), stateful=True)])
    assert fixed.predict(STEPS).shape == (5, 3)
    with pytest.raises(ShapeError, match="batches of exactly 5"):
        fixed.predict(STEPS[:4])
    with pytest.raises(ShapeError, match="batches of exactly 5"):
        fixed.predict(STEPS, batch_size=2)


@pytest.mark.parametrize(
    ("x", "options"), [(np.array(["a"]), {}), (np.zeros((0, 4, 2)), {}), (STEPS, {"batch_size": 0})]
)
def test_what_is_wrong_is_said(x: Any, options: Any) -> None:
    with pytest.raises(ArgumentError):
        over_time().predict(x, **options)
    with pytest.raises(ArgumentError):
        over_time().predict(STEPS, verbose=3)
