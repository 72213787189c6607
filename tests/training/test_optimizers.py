"""Optimizers: Keras' names and defaults, those of torch.optim, clipping, and what is refused."""

import functools
from typing import Any

import numpy as np
import pytest
import torch

from nabi import optimizers
from nabi.errors import ArgumentError, UnknownNameError
from nabi.layers import Dense
from nabi.models import Sequential
from nabi.training._optimizers import _keras_steps
from nabi.training._optimizers._names import serialize

NAMES = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop"]


def weight(*gradient: float) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(torch.zeros(len(gradient)))
    parameter.grad = torch.tensor(gradient)
    return parameter


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_defaults_are_those_of_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    theirs = getattr(pytest.importorskip("keras").optimizers, name)().get_config()
    ours = getattr(optimizers, name)().get_config()
    for option, value in ours.items():
        if option in theirs and option != "name":
            assert theirs[option] == pytest.approx(value), option


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_goes_downhill(name: str) -> None:
    parameter = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = optimizers.get(name.lower())
    optimizer.learning_rate = 0.05
    optimizer.bind([parameter])
    for _ in range(20):
        optimizer.clear_gradients()
        parameter.square().sum().backward()
        optimizer.step()
    assert parameter.square().sum() < 13.0
    assert optimizer.iterations == 20


def test_options_reach_torch() -> None:
    adam = optimizers.Adam(0.01, beta_1=0.8, beta_2=0.9, epsilon=1e-5, amsgrad=True)
    adam.bind([weight(1.0)])
    group = adam.torch_optimizer.param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["amsgrad"]) == (0.01, (0.8, 0.9), 1e-5, True)
    rmsprop = optimizers.RMSprop(rho=0.7, momentum=0.2, centered=True)
    rmsprop.bind([weight(1.0)])
    group = rmsprop.torch_optimizer.param_groups[0]
    assert (group["alpha"], group["momentum"], group["centered"]) == (0.7, 0.2, True)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_one_kernel_for_all_weights_gives_what_single_operations_give(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = weight(0.5, -2e-6), weight(0.5, -2e-6)
    kernel, plain = getattr(optimizers, name)(), getattr(optimizers, name)()
    kernel.bind([one])
    plain.bind([other])
    for _ in range(3):
        kernel.torch_optimizer.step()
    monkeypatch.setattr(_keras_steps, "_for_one_kernel", lambda tensors: False)
    for _ in range(3):
        plain.torch_optimizer.step()
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        ({"clipnorm": 1.0}, [[-0.6, -0.8], [-0.5]]),
        ({"clipvalue": 2.0}, [[-2.0, -2.0], [-0.5]]),
        ({"global_clipnorm": 1.0}, [[-3.0 / 25.25**0.5, -4.0 / 25.25**0.5], [-0.5 / 25.25**0.5]]),
    ],
)
def test_clipping(clip: dict[str, float], expected: list[list[float]]) -> None:
    """Gradients (3, 4) and (0.5) at learning rate 1: `clipnorm` is for each weight by itself, as in Keras."""
    parameters = [weight(3.0, 4.0), weight(0.5)]
    sgd = optimizers.SGD(1.0, **clip)
    sgd.bind(parameters)
    sgd.step()
    for parameter, value in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.detach(), torch.tensor(value), atol=1e-4, rtol=1e-4)


def test_clipping_through_compile() -> None:
    model = Sequential([Dense(1, input_dim=1)])
    model.compile("sgd", "mse", clipvalue=0.25)
    assert (model.optimizer.clipvalue, model.optimizer.clipnorm) == (0.25, None)
    model.compile(torch.optim.SGD, "mse", clipnorm=0.5)
    assert model.optimizer.clipnorm == 0.5
    with pytest.raises(ArgumentError, match="only one of clipnorm and clipvalue"):
        model.compile("sgd", "mse", clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ArgumentError, match="clipnorm: expected a number above 0 or None, got -1"):
        model.compile("sgd", "mse", clipnorm=-1)


def test_decay_divides_the_learning_rate() -> None:
    parameter = weight(1.0)
    sgd = optimizers.SGD(lr=1.0, decay=1.0)
    sgd.bind([parameter])
    for _ in range(3):
        sgd.step()
    assert parameter.item() == pytest.approx(-(1 + 1 / 2 + 1 / 3))


def fitted(optimizer: Any, **options: Any) -> Sequential:
    torch.manual_seed(0)
    model = Sequential([Dense(1, input_dim=2)])
    model.compile(optimizer, "mse", **options)
    x = np.arange(8.0).reshape(4, 2) / 8
    model.fit(x, x.sum(1), epochs=3, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.RAdam, functools.partial(torch.optim.SGD, lr=0.01), lambda p: torch.optim.SGD(p, lr=0.01)],
    ids=["class", "partial", "function"],
)
def test_optimizers_of_torch(optimizer: Any) -> None:
    model = fitted(optimizer)
    assert isinstance(model.optimizer.torch_optimizer, torch.optim.RAdam | torch.optim.SGD)
    assert model.optimizer.iterations == 3


def test_an_optimizer_object_of_torch() -> None:
    expected = fitted(optimizers.SGD(0.1)).get_weights()
    torch.manual_seed(0)
    model = Sequential([Dense(1, input_dim=2)])
    given = torch.optim.SGD(model.parameters(), lr=0.1)
    model.compile(given, "mse")
    x = np.arange(8.0).reshape(4, 2) / 8
    model.fit(x, x.sum(1), epochs=3, shuffle=False, verbose=0)
    assert model.optimizer.torch_optimizer is given
    for a, b in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_schedules_of_torch_move_on_every_epoch_or_batch() -> None:
    halving = functools.partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5)
    assert fitted(optimizers.SGD(0.8), schedule=halving).optimizer.learning_rate == pytest.approx(0.1)
    model = Sequential([Dense(1, input_dim=2)])
    model.compile(optimizers.SGD(0.8), "mse", schedule=halving, schedule_every="batch")
    model.fit(np.ones((4, 2)), np.ones(4), batch_size=2, verbose=0)
    assert model.optimizer.lr == pytest.approx(0.2)


def test_a_schedule_that_looks_at_the_loss() -> None:
    plateau = functools.partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, threshold=10.0)
    assert fitted(optimizers.SGD(0.8), schedule=plateau).optimizer.lr < 0.8


def test_the_learning_rate_can_be_read_and_set() -> None:
    model = fitted("adam")
    model.optimizer.learning_rate = 0.25
    assert model.optimizer.lr == 0.25
    assert model.optimizer.torch_optimizer.param_groups[0]["lr"] == 0.25


def test_an_optimizer_trains_one_model_only() -> None:
    adam = optimizers.Adam()
    model = fitted(adam)
    state = adam.torch_optimizer
    model.compile(adam, "mae")
    model.fit(np.ones((2, 2)), np.ones(2), verbose=0)
    assert adam.torch_optimizer is state
    with pytest.raises(ArgumentError, match="this Adam already trains other weights"):
        fitted(adam)


def test_what_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="optimizer: 'adaam' is not known; did you mean 'adam'"):
        optimizers.get("adaam")
    with pytest.raises(ArgumentError, match=r"optimizer: expected a name .*, got 3"):
        optimizers.get(3)
    with pytest.raises(ArgumentError, match="learning_rate: expected a number of at least 0, got -1"):
        optimizers.Adam(-1)
    with pytest.raises(ArgumentError, match="learning_rate: given twice"):
        optimizers.Adam(0.1, lr=0.1)
    with pytest.raises(ArgumentError, match=r"momentum.* is not an argument.*beta_1"):
        optimizers.Adam(momentum=0.9)
    with pytest.raises(ArgumentError, match="clipnorm: expected only one of"):
        optimizers.Adam(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ArgumentError, match="LBFGS evaluates the loss several times"):
        fitted(torch.optim.LBFGS)
    with pytest.raises(ArgumentError, match=r"expected a torch\.optim optimizer from"):
        fitted(lambda parameters: "adam")
    with pytest.raises(ArgumentError, match="created for weights that are not the model's"):
        fitted(torch.optim.SGD([weight(1.0)], lr=0.1))
    with pytest.raises(ArgumentError, match="schedule: expected a function or None, got 3"):
        fitted("adam", schedule=3)
    with pytest.raises(ArgumentError, match=r"schedule: expected a schedule of .*, got 3"):
        fitted("adam", schedule=lambda optimizer: 3)
    with pytest.raises(ArgumentError, match="schedule_every: expected 'epoch' or 'batch', got 'step'"):
        fitted("adam", schedule_every="step")
    with pytest.raises(ArgumentError, match="Adam has no weights yet"):
        _ = optimizers.Adam().torch_optimizer


@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_comes_back_from_its_description(name: str) -> None:
    made = getattr(optimizers, name)(0.3, clipvalue=0.5)
    again = optimizers.get(serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()
