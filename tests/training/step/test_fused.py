"""The short way to a step of SGD and RMSprop is Keras' and torch's own, to within rounding."""

from typing import Any

import pytest
import torch
from torch.nn import Parameter

from nabi.optimizers import SGD, Optimizer, RMSprop
from nabi.training._optimizers._names import get
from nabi.training._step._fused import FusedStep

from ...native.machines import needs_native

pytestmark = needs_native

SHAPES = [(3, 5), (5,), (1, 1), (70, 3)]
OWN: dict[str, Any] = {
    "sgd": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda: SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda: RMSprop(0.01),
    "rmsprop with everything": lambda: RMSprop(0.01, momentum=0.5, centered=True, weight_decay=0.1),
}
TORCHS: dict[str, Any] = {
    "torch's sgd": lambda own: torch.optim.SGD(own, 0.1, 0.9, weight_decay=0.1, nesterov=True),
    "torch's plain sgd": lambda own: torch.optim.SGD(own, 0.1, maximize=True),
    "torch's rmsprop": lambda own: torch.optim.RMSprop(own, 0.01, momentum=0.5, centered=True),
}
MAKERS = OWN | {name: lambda make=make: get(make) for name, make in TORCHS.items()}


def bound(make: Any) -> tuple[Optimizer, list[Parameter]]:
    torch.manual_seed(0)
    own = [Parameter(torch.randn(shape)) for shape in SHAPES]
    optimizer = make()
    optimizer.bind(own)
    return optimizer, own


def set_gradients(own: list[Parameter], step: int) -> None:
    torch.manual_seed(100 + step)
    for weight in own:
        weight.grad = torch.randn_like(weight)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_steps_and_state_are_the_optimizers_own(make: Any) -> None:
    (optimizer, own), (plain, other) = bound(make), bound(make)
    for step in range(6):
        for one in (own, other):
            set_gradients(one, step)
        optimizer.learning_rate = plain.learning_rate = 0.01 / (1 + step)
        optimizer.look_again()
        assert step == 0 or optimizer._fused_step is not None
        optimizer.step()
        plain.torch_optimizer.step()
        for one, same in zip(own, other, strict=True):
            assert torch.allclose(one, same, rtol=2e-6, atol=1e-6)
    for weight, same in zip(own, other, strict=True):
        state, expected = optimizer.torch_optimizer.state[weight], plain.torch_optimizer.state[same]
        assert state.keys() == expected.keys()
        for name, value in state.items():
            assert torch.allclose(value, expected[name], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("option", ["momentum", "centered"])
def test_a_state_that_options_ask_for_later_is_made_by_the_optimizer(option: str) -> None:
    make = OWN["rmsprop"]
    (optimizer, own), (plain, other) = bound(make), bound(make)
    for step in range(4):
        for one, weights in ((optimizer, own), (plain, other)):
            set_gradients(weights, step)
            if step == 2:
                one.torch_optimizer.param_groups[0][option] = 0.5
        optimizer.step()
        plain.torch_optimizer.step()
    for one, same in zip(own, other, strict=True):
        assert torch.allclose(one, same, rtol=2e-6, atol=1e-6)
    optimizer.look_again()
    assert optimizer._fused_step is not None


def test_without_native_code_the_optimizer_takes_its_own_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_NATIVE", "0")
    optimizer, own = bound(OWN["rmsprop"])
    set_gradients(own, 0)
    optimizer.step()
    assert FusedStep.of(optimizer.torch_optimizer) is None
