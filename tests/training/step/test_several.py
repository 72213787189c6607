"""Several steps by one call: the same as one by one, and left as soon as somebody looks on."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nabi.callbacks import LambdaCallback, TerminateOnNaN
from nabi.errors import ArgumentError, NotFiniteError
from nabi.layers import GRU, LSTM, Dense, Dropout
from nabi.models import Sequential
from nabi.native import is_available
from nabi.optimizers import SGD, Adam, RMSprop, schedules
from nabi.training._step._several import SeveralSteps
from nabi.training._step._step import Step
from nabi.utils import set_random_seed

pytestmark = pytest.mark.skipif(not is_available(), reason="needs native code")

TIME, WIDTH, CLASSES = 3, 2, 4
RANDOM = np.random.default_rng(0)
X, LABELS = RANDOM.normal(size=(70, TIME, WIDTH)), RANDOM.integers(0, CLASSES, 70)
Y = np.eye(CLASSES)[LABELS]
Make = Callable[[], Sequential]


def model_of(
    *layers: Any, optimizer: Any = "adam", loss: Any = "categorical_crossentropy", **options: Any
) -> Any:
    set_random_seed(0)
    model = Sequential(list(layers))
    model.compile(optimizer, loss, **options)
    return model


def stateful(**options: Any) -> Sequential:
    first = LSTM(5, batch_input_shape=(1, TIME, WIDTH), stateful=True)
    return model_of(first, Dropout(0.2), Dense(CLASSES, "softmax"), **options)


def usual(**options: Any) -> Sequential:
    return model_of(GRU(5, input_shape=(TIME, WIDTH)), Dense(CLASSES, "softmax"), **options)


class Count:
    """How many steps were made several at a time, and by how many calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[int] = []
        run = SeveralSteps.run

        def counted(several: Any, x: Any, targets: Any, count: int, keep: bool) -> Any:
            self.steps.append(count)
            return run(several, x, targets, count, keep)

        monkeypatch.setattr(SeveralSteps, "run", counted)


def train(make: Make, one_by_one: bool, train: Callable[[Sequential], Any]) -> tuple[Any, list[torch.Tensor]]:
    with pytest.MonkeyPatch.context() as patch:
        if one_by_one:
            patch.setattr(Step, "train_several", lambda self, batches: 0)
        model = make()
        found = train(model)
    return (found, model.optimizer.iterations), [weight.detach().clone() for weight in model.weights]


def fit(
    model: Sequential, x: Any = X, y: Any = Y, size: int = 1, shuffle: bool = False, **options: Any
) -> Any:
    found = [model.fit(x, y, size, 2, shuffle=shuffle, verbose=0, **options).history for _ in range(2)]
    return found, [layer.states for layer in model.layers if getattr(layer, "stateful", False)]


def assert_same(make: Make, work: Callable[[Sequential], Any]) -> None:
    (found, weights), (expected, others) = (train(make, by_one, work) for by_one in (False, True))
    assert str(found) == str(expected)
    assert all(map(torch.equal, weights, others))


OPTIMIZERS: dict[str, Any] = {
    "adam": lambda: "adam",
    "sgd": lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": lambda: RMSprop(momentum=0.5),
    "adamw": lambda: "adamw",
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("metrics", [None, ["accuracy", "mae"]], ids=["", "metrics"])
def test_several_are_as_one_by_one(optimizer: Any, metrics: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    count = Count(monkeypatch)
    assert_same(lambda: stateful(optimizer=optimizer(), metrics=metrics), fit)
    assert max(count.steps) > 10
    count.steps.clear()
    assert_same(lambda: usual(optimizer=optimizer(), metrics=metrics), lambda model: fit(model, size=4))
    assert max(count.steps) > 10


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("size", [1, 3, 32])
def test_shuffled_samples_and_smaller_last_batches(size: int, shuffle: bool) -> None:
    def make() -> Sequential:
        return usual(loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    assert_same(make, lambda model: fit(model, y=LABELS, size=size, shuffle=shuffle))


def test_states_that_are_the_outputs() -> None:
    def make() -> Sequential:
        first = LSTM(CLASSES, batch_input_shape=(2, TIME, WIDTH), stateful=True)
        return model_of(first, loss="mse", metrics=["mae"])

    assert_same(make, lambda model: fit(model, size=2))


ALONE: dict[str, Callable[[], tuple[Make, dict[str, Any]]]] = {
    "a callback after batches": lambda: (
        usual,
        {"callbacks": [LambdaCallback(on_batch_end=lambda batch, logs: None)]},
    ),
    "a rate by step": lambda: (lambda: usual(optimizer=Adam(decay=0.1)), {}),
    "a schedule of Keras": lambda: (
        lambda: usual(optimizer=Adam(schedules.ExponentialDecay(0.01, 10, 0.5))),
        {},
    ),
    "a schedule of torch": lambda: (
        lambda: usual(schedule=lambda one: torch.optim.lr_scheduler.StepLR(one, 5), schedule_every="batch"),
        {},
    ),
    "clipping": lambda: (lambda: usual(clipnorm=0.1), {}),
    "an average": lambda: (lambda: usual(optimizer=Adam(use_ema=True)), {}),
    "weights of samples": lambda: (usual, {"sample_weight": np.linspace(0, 1, len(X))}),
}


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE)
def test_where_a_step_is_more_batches_come_one_by_one(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make, options = case()
    count = Count(monkeypatch)
    assert_same(make, lambda model: fit(model, **options))
    assert not count.steps


def test_callbacks_after_epochs_see_the_same() -> None:
    def work(model: Sequential) -> Any:
        seen: list[Any] = []

        def after(epoch: int, logs: Any) -> None:
            seen.append((epoch, dict(logs), model.layers[-1].bias.tolist()))
            model.optimizer.learning_rate /= 2

        return seen, fit(model, callbacks=[LambdaCallback(on_epoch_end=after)], validation_split=0.2)

    assert_same(usual, work)


@pytest.mark.parametrize("place", [0, 7, 69])
def test_a_loss_that_is_not_finite_ends_before_its_batch(place: int) -> None:
    x = X.copy()
    x[place, 0, 0] = np.nan

    def work(model: Sequential) -> Any:
        fit(model)
        with pytest.raises(NotFiniteError, match=f"epoch 1, batch {place + 1}, because x has a NaN"):
            fit(model, x)
        return model.optimizer.iterations

    assert_same(usual, work)

    def go_on(model: Sequential) -> Any:
        found = fit(model)
        model.fit(x, Y, 1, 3, shuffle=False, verbose=0, callbacks=[TerminateOnNaN()])
        return found, model.optimizer.iterations

    assert_same(usual, go_on)


def test_a_label_of_no_output_is_reported_as_ever() -> None:
    labels = LABELS.copy()
    labels[40] = CLASSES

    def work(model: Sequential) -> Any:
        fit(model, y=LABELS)
        with pytest.raises((ArgumentError, IndexError, RuntimeError)) as problem:
            fit(model, y=labels)
        return str(problem.value), model.optimizer.iterations

    assert_same(lambda: usual(loss="sparse_categorical_crossentropy"), work)


def test_weights_that_move_and_threads_that_change_are_seen() -> None:
    def work(model: Sequential) -> Any:
        found = []
        before = torch.get_num_threads()
        try:
            for number in range(4):
                found.append(fit(model))
                torch.set_num_threads(1 + number % 2)
                for weight in model.weights:
                    weight.data = weight.data.clone()
        finally:
            torch.set_num_threads(before)
        return found

    assert_same(usual, work)


def test_ctrl_c_ends_between_two_calls() -> None:
    model = usual()
    fit(model)
    x, y = np.repeat(X, 200, 0), np.repeat(Y, 200, 0)
    done = model.optimizer.iterations
    timer = threading.Timer(0.05, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="stopped by Ctrl-C after a batch"):
        model.fit(x, y, 1, epochs=100_000, shuffle=False, verbose=0)
    assert time.monotonic() - start < 30
    assert done < model.optimizer.iterations < 100_000 * len(x)
    timer.join()


def test_a_call_takes_some_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Count(monkeypatch)
    model = model_of(LSTM(256, input_shape=(20, 8)), Dense(1), loss="mse")
    x, y = RANDOM.normal(size=(64, 20, 8)), RANDOM.normal(size=(64, 1))
    model.fit(x, y, 1, 3, shuffle=False, verbose=0)
    assert count.steps[0] == 1
    assert max(count.steps) < 64
