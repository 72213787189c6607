"""Optimizers under Keras' names beside Keras: weights after every step, at large and at tiny gradients."""

import copy
import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from nabi import optimizers
from nabi.errors import ArgumentError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"momentum": 0.5, "weight_decay": 0.1, "clipnorm": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.5, "momentum": 0.9, "epsilon": 1e-3}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "epsilon": 1e-4}),
    ("RMSprop", {"weight_decay": 0.05}),
    ("Adam", {}),
    ("Adam", {"epsilon": 1e-3, "beta_1": 0.5, "beta_2": 0.9}),
    ("Adam", {"amsgrad": True}),
    ("Adam", {"weight_decay": 0.1, "clipvalue": 1e-3}),
    ("Adam", {"global_clipnorm": 0.01, "epsilon": 1e-4}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.2, "amsgrad": True, "epsilon": 1e-3}),
    ("Nadam", {}),
    ("Nadam", {"beta_1": 0.7, "epsilon": 1e-3, "weight_decay": 0.01}),
    ("Adamax", {}),
    ("Adamax", {"epsilon": 1e-3, "beta_2": 0.5}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 1e-3}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "epsilon": 1e-3, "weight_decay": 0.01}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7}),
    ("SGD", {"use_ema": True, "ema_momentum": 0.5}),
]
SHAPES = [(3, 2), (4,), (1,)]
STEPS = 40


@functools.cache
def keras() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def gradients(step: int, size: float) -> list[np.ndarray]:
    rng = np.random.default_rng(step)
    # Some of a weight's gradients are always zero.
    return [(size * rng.normal(size=shape)).astype("float32") * (step % 3 > 0) for shape in SHAPES]


def begun() -> list[np.ndarray]:
    rng = np.random.default_rng(99)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def rate_at(step: int) -> float:
    return 0.01 if step < 20 else 0.002


def theirs(name: str, options: dict[str, Any], size: float) -> list[list[np.ndarray]]:
    variables = [keras().Variable(value) for value in begun()]
    optimizer = getattr(keras().optimizers, name)(0.01, **options)
    optimizer.build(variables)
    found = []
    for step in range(STEPS):
        optimizer.learning_rate = rate_at(step)
        optimizer.apply([torch.tensor(one) for one in gradients(step, size)], variables)
        found.append([variable.numpy().copy() for variable in variables])
    optimizer.finalize_variable_values(variables)
    return [*found, [variable.numpy().copy() for variable in variables]]


def ours(name: str, options: dict[str, Any], size: float) -> list[list[np.ndarray]]:
    weights = [Parameter(torch.tensor(value)) for value in begun()]
    optimizer = getattr(optimizers, name)(0.01, **options)
    optimizer.bind(weights)
    found = []
    for step in range(STEPS):
        optimizer.learning_rate = rate_at(step)
        for weight, gradient in zip(weights, gradients(step, size), strict=True):
            weight.grad = torch.tensor(gradient)
        optimizer.step()
        found.append([weight.detach().numpy().copy() for weight in weights])
    optimizer.finish()
    return [*found, [weight.detach().numpy().copy() for weight in weights]]


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{name}-{'-'.join(o)}" for name, o in CASES])
def test_every_step_is_keras(name: str, options: dict[str, Any], size: float) -> None:
    found, expected = ours(name, options, size), theirs(name, options, size)
    moved = max(float(np.abs(one - start).max()) for one, start in zip(expected[-2], begun(), strict=True))
    for step, (own, other) in enumerate(zip(found, expected, strict=True)):
        for one, wanted in zip(own, other, strict=True):
            # Keras computes its corrections in single precision, which shows at the first steps.
            np.testing.assert_allclose(
                one, wanted, rtol=1e-6, atol=1e-6 + 2e-5 * moved, err_msg=f"step {step}"
            )


@pytest.mark.parametrize("native", ["", "0"])
@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_the_short_step_of_adam_is_keras_too(
    native: str, epsilon: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `fit` runs from the second step on: native code, or torch's kernel where that is off."""
    monkeypatch.setenv("NABI_NATIVE", native)
    expected = theirs("Adam", {"epsilon": epsilon}, 1e-5)
    weights = [Parameter(torch.tensor(value)) for value in begun()]
    optimizer = optimizers.Adam(0.01, epsilon=epsilon)
    optimizer.bind(weights)
    for step in range(STEPS):
        optimizer.learning_rate = rate_at(step)
        optimizer.look_again()
        assert (optimizer._fused_step is None) == (step == 0)
        for weight, gradient in zip(weights, gradients(step, 1e-5), strict=True):
            weight.grad = torch.tensor(gradient)
        optimizer.step()
        for weight, wanted in zip(weights, expected[step], strict=True):
            np.testing.assert_allclose(weight.detach().numpy(), wanted, rtol=1e-6, atol=1e-6)


# What torch's optimizer of that name keeps, and how many steps ours then agrees with it for: files written
# when nabi took torch's optimizers hold such states.
OLDER: list[tuple[str, dict[str, Any], Callable[..., torch.optim.Optimizer], dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {"momentum": 0.5}, torch.optim.RMSprop, {"alpha": 0.9, "momentum": 0.5, "eps": 1e-7}),
    (
        "RMSprop",
        {"momentum": 0.5, "centered": True},
        torch.optim.RMSprop,
        {"alpha": 0.9, "momentum": 0.5, "eps": 1e-7, "centered": True},
    ),
    ("Adam", {}, torch.optim.Adam, {"eps": 1e-7}),
    ("AdamW", {}, torch.optim.AdamW, {"eps": 1e-7, "weight_decay": 0.004}),
    ("Adamax", {}, torch.optim.Adamax, {"eps": 1e-7}),
    ("Adadelta", {}, torch.optim.Adadelta, {"rho": 0.95, "eps": 1e-7}),
    ("Adagrad", {}, torch.optim.Adagrad, {"initial_accumulator_value": 0.1, "eps": 1e-7}),
]


@pytest.mark.parametrize(("name", "options", "kind", "given"), OLDER)
def test_a_state_of_torchs_optimizer_is_taken_over(
    name: str, options: dict[str, Any], kind: Any, given: dict[str, Any]
) -> None:
    weights, others = ([Parameter(torch.tensor(value)) for value in begun()] for _ in range(2))
    optimizer, older = getattr(optimizers, name)(0.01, **options), kind(others, lr=0.01, **given)
    optimizer.bind(weights)
    for step in range(12):
        for one, other, gradient in zip(weights, others, gradients(3 * step + 1, 1.0), strict=True):
            one.grad, other.grad = torch.tensor(gradient), torch.tensor(gradient)
        if step == 6:
            optimizer.load_state(copy.deepcopy(older.state_dict()))
            with torch.no_grad():
                for one, other in zip(weights, others, strict=True):
                    one.copy_(other)
        optimizer.step()
        older.step()
    for one, other in zip(weights, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_state_of_torchs_nadam_goes_on_with_keras_momenta() -> None:
    weights, others = ([Parameter(torch.tensor(value)) for value in begun()] for _ in range(2))
    older = torch.optim.NAdam(others, lr=0.01)
    for other, gradient in zip(others, gradients(1, 1.0), strict=True):
        other.grad = torch.tensor(gradient)
    older.step()
    optimizer, same = optimizers.Nadam(0.01), optimizers.Nadam(0.01)
    twins = [Parameter(torch.tensor(value)) for value in begun()]
    for one, own in ((optimizer, weights), (same, twins)):
        one.bind(own)
        for weight, gradient in zip(own, gradients(1, 1.0), strict=True):
            weight.grad = torch.tensor(gradient)
        if one is optimizer:
            one.load_state(copy.deepcopy(older.state_dict()))
        else:
            one.step()
            with torch.no_grad():
                for weight, value in zip(own, begun(), strict=True):
                    weight.copy_(torch.tensor(value))
        one.step()
    for weight, twin in zip(weights, twins, strict=True):
        torch.testing.assert_close(weight, twin, rtol=1e-6, atol=1e-7)


def test_frozen_weights_are_neither_decayed_nor_moved() -> None:
    for name, options in CASES:
        weights = [Parameter(torch.tensor(value)) for value in begun()]
        optimizer = getattr(optimizers, name)(0.1, **(options | {"weight_decay": 0.5}))
        optimizer.bind(weights)
        for step in range(3):
            for weight, gradient in zip(weights, gradients(1, 1.0), strict=True):
                weight.grad = torch.tensor(gradient)
            if step:
                weights[0].grad = None
            before = weights[0].detach().clone()
            state = {key: value.clone() for key, value in optimizer.torch_optimizer.state[weights[0]].items()}
            optimizer.step()
            if step:
                assert torch.equal(weights[0], before) or options.get("ema_overwrite_frequency")
                after = optimizer.torch_optimizer.state[weights[0]]
                assert all(torch.equal(after[key], value) for key, value in state.items() if key != "average")
            assert not torch.equal(weights[1].detach(), torch.tensor(begun()[1]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Adam", {"beta_1": 1.0}, "beta_1: expected a rate of at least 0 and below 1, got 1.0"),
        ("Adam", {"epsilon": "small"}, "epsilon: expected a number of at least 0, got 'small'"),
        ("Adam", {"epsilon": -1.0}, "epsilon: expected a number of at least 0, got -1.0"),
        ("Adam", {"amsgrad": "yes"}, "amsgrad: expected True or False, got 'yes'"),
        ("SGD", {"momentum": 1.5}, "momentum: expected a rate from 0 to 1, got 1.5"),
        ("SGD", {"nesterov": None}, "nesterov: expected True or False, got None"),
        ("RMSprop", {"rho": None}, "rho: expected a rate of at least 0 and below 1, got None"),
        ("AdamW", {"weight_decay": None}, "weight_decay: expected a number, got None"),
        ("SGD", {"loss_scale_factor": 2.0}, "loss_scale_factor: expected None; the option is not supported"),
        (
            "SGD",
            {"gradient_accumulation_steps": 2},
            "gradient_accumulation_steps: expected None; the option is not supported",
        ),
        (
            "SGD",
            {"use_ema": True, "ema_momentum": 2.0},
            "ema_momentum: expected a rate of at least 0 and below 1, got 2.0",
        ),
        ("SGD", {"use_ema": True, "ema_overwrite_frequency": 0}, "ema_overwrite_frequency: expected"),
    ],
)
def test_what_an_option_cannot_be(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(optimizers, name)(**options)


def test_gradients_of_ones_own() -> None:
    weights = [Parameter(torch.zeros(2)), Parameter(torch.zeros(1))]
    optimizer = optimizers.SGD(0.5)
    optimizer.apply([torch.ones(2), torch.ones(1)], weights)
    optimizer.apply_gradients([(torch.ones(1), weights[1])])
    assert weights[0].tolist() == [-0.5, -0.5]
    assert weights[1].tolist() == [-1.0]
    assert optimizer.iterations == 2
    with pytest.raises(ArgumentError, match="grads: expected one for each of 2 weights, got 1"):
        optimizer.apply([torch.ones(2)])
    with pytest.raises(ArgumentError, match="trainable_variables: this SGD does not train all of them"):
        optimizer.apply([torch.ones(3)], [Parameter(torch.zeros(3))])
