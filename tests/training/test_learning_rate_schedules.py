"""Learning rates that depend on the step: Keras' numbers, in training and after a file."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nabi
from nabi import layers, optimizers
from nabi.errors import ArgumentError
from nabi.optimizers import schedules

PROGRAM = """
import pickle, sys
import keras
results = []
for name, arguments, options, steps in pickle.load(sys.stdin.buffer):
    schedule = getattr(keras.optimizers.schedules, name)(*arguments, **options)
    results.append([float(schedule(step)) for step in steps])
sys.stdout.buffer.write(pickle.dumps(results))
"""
STEPS = [0, 1, 3, 9, 10, 11, 19, 20, 25, 29, 31, 45, 69, 71, 150]
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], list[int]]] = [
    ("ExponentialDecay", (0.1, 10, 0.5), {}, STEPS),
    ("ExponentialDecay", (0.1, 10, 0.5), {"staircase": True}, STEPS),
    ("InverseTimeDecay", (0.1, 10, 0.5), {}, STEPS),
    ("InverseTimeDecay", (0.1, 10, 0.5), {"staircase": True}, STEPS),
    ("PolynomialDecay", (0.1, 10), {}, STEPS),
    ("PolynomialDecay", (0.1, 10), {"end_learning_rate": 0.01, "power": 0.5}, STEPS),
    ("PolynomialDecay", (0.1, 10), {"power": 2.0, "cycle": True}, STEPS),
    ("CosineDecay", (0.1, 20), {}, STEPS),
    ("CosineDecay", (0.1, 20), {"alpha": 0.2}, STEPS),
    ("CosineDecay", (0.0, 20), {"warmup_target": 0.3, "warmup_steps": 10, "alpha": 0.1}, STEPS),
    ("CosineDecayRestarts", (0.1, 10), {}, STEPS),
    ("CosineDecayRestarts", (0.1, 10), {"t_mul": 1.0, "m_mul": 0.5, "alpha": 0.1}, STEPS),
    ("CosineDecayRestarts", (0.1, 10), {"t_mul": 1.5, "m_mul": 0.9}, [0, 9, 11, 24, 26, 47, 48]),
    ("PiecewiseConstantDecay", ([10, 20, 70], [1.0, 0.5, 0.25, 0.1]), {}, STEPS),
]


@pytest.fixture(scope="module")
def by_keras(in_keras: Callable[..., bytes]) -> Any:
    return pickle.loads(in_keras(PROGRAM, pickle.dumps(CASES)))


@pytest.mark.parametrize("number", range(len(CASES)))
def test_rates_are_those_of_keras(number: int, by_keras: Any) -> None:
    name, arguments, options, steps = CASES[number]
    schedule = getattr(schedules, name)(*arguments, **options)
    np.testing.assert_allclose([schedule(step) for step in steps], by_keras[number], rtol=1e-5, atol=1e-7)
    again = schedules.deserialize(schedules.serialize(schedule))
    assert [again(step) for step in steps] == [schedule(step) for step in steps]


def line(optimizer: Any) -> Any:
    model = nabi.Sequential([layers.Dense(1, input_shape=(1,), kernel_initializer="zeros", use_bias=False)])
    model.compile(optimizer, "mse")
    return model


X, Y = np.ones((1, 1), "float32"), np.ones((1, 1), "float32")


def test_each_step_has_its_rate() -> None:
    model = line(optimizers.SGD(schedules.PiecewiseConstantDecay([0, 1], [0.25, 0.125, 0.0])))
    weights = []
    for _ in range(4):
        model.fit(X, Y, verbose=0)
        weights.append(float(model.get_weights()[0][0, 0]))
    # The gradient of (w - 1)² is 2 (w - 1).
    assert weights == [0.5, 0.5 + 0.125, 0.625, 0.625]
    assert model.optimizer.learning_rate == 0.0
    assert model.optimizer.iterations == 4


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam"]
)
def test_a_constant_schedule_is_the_number(name: str) -> None:
    """For every optimizer, on both ways of training."""
    found = []
    for rate in (0.05, schedules.PiecewiseConstantDecay([10], [0.05, 0.01])):
        for watched in (False, True):
            model = nabi.Sequential(
                [layers.Dense(2, input_shape=(1,), kernel_initializer="ones"), layers.Dense(1)]
            )
            model.set_weights([np.full(w.shape, 0.3, "float32") for w in model.get_weights()])
            if watched:
                model.layers[0].register_forward_hook(lambda *_: None)  # then autograd trains
            model.compile(getattr(optimizers, name)(rate), "mse")
            model.fit(np.tile(X, (8, 1)), np.tile(Y, (8, 1)), batch_size=2, verbose=0)
            found.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-5)


class Warm(schedules.LearningRateSchedule):
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, step: Any) -> Any:
        return np.float32(self.scale) * (step + 1)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale}


def test_training_goes_on_from_a_file(tmp_path: Path) -> None:
    for schedule, custom in ((schedules.ExponentialDecay(0.1, 2, 0.5), None), (Warm(0.01), {"Warm": Warm})):
        model = line(optimizers.SGD(schedule))
        model.fit(X, Y, epochs=3, verbose=0)
        model.save(tmp_path / "m.nabi")
        again = nabi.models.load_model(tmp_path / "m.nabi", custom_objects=custom)
        assert again.optimizer.learning_rate == model.optimizer.learning_rate
        for one in (model, again):
            one.fit(X, Y, epochs=6, initial_epoch=3, verbose=0)
        assert again.get_weights()[0] == model.get_weights()[0]
    with pytest.raises(ArgumentError, match="Warm"):
        nabi.models.load_model(tmp_path / "m.nabi")


def test_what_a_schedule_rules_cannot_be_set() -> None:
    model = line(optimizers.SGD(schedules.ExponentialDecay(0.1, 2, 0.5)))
    with pytest.raises(
        ArgumentError,
        match=r"^learning_rate: SGD uses the schedule ExponentialDecay\(initial_learning_rate=0\.1, decay_s",
    ):
        model.optimizer.learning_rate = 0.1
    with pytest.raises(ArgumentError, match="decay: learning_rate is already a schedule"):
        optimizers.SGD(schedules.ExponentialDecay(0.1, 2, 0.5), decay=0.1)
    with pytest.raises(ArgumentError, match=r"decay_steps: expected a number above 0, got 0"):
        schedules.ExponentialDecay(0.1, 0, 0.5)
    with pytest.raises(ArgumentError, match="expected 2 increasing numbers for 3 values"):
        schedules.PiecewiseConstantDecay([1], [1.0, 0.5, 0.1])
    with pytest.raises(ArgumentError, match="got nan for step 0"):
        optimizers.SGD(Warm(float("nan")))


def test_switches_are_true_or_false() -> None:
    for make, name in (
        (lambda value: schedules.ExponentialDecay(0.1, 10, 0.5, staircase=value), "staircase"),
        (lambda value: schedules.InverseTimeDecay(0.1, 10, 0.5, staircase=value), "staircase"),
        (lambda value: schedules.PolynomialDecay(0.1, 10, cycle=value), "cycle"),
    ):
        assert make(np.bool_(True)).get_config()[name] is True
        for wrong in ("no", None, 2):
            with pytest.raises(ArgumentError, match=f"^{name}: expected True or False, got {wrong!r}"):
                make(wrong)
