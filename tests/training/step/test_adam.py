"""The short way to a step of Adam is torch's own: to within rounding, or bit by bit with torch's kernel."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from nabi.native._code._machine import is_supported
from nabi.training._optimizers._classes import Optimizer, TorchOptimizer
from nabi.training._optimizers._names import get
from nabi.training._step._fused import FusedStep

from ...native.machines import needs_native

SHAPES = [(3, 5), (5,), (1, 1), (700, 3)]


def weights(seed: int = 0) -> list[Parameter]:
    torch.manual_seed(seed)
    return [Parameter(torch.randn(shape)) for shape in SHAPES]


def set_gradients(own: list[Parameter], step: int) -> None:
    torch.manual_seed(step)
    for weight in own:
        weight.grad = torch.randn_like(weight)


def bound(name: str = "adam") -> tuple[Optimizer, list[Parameter]]:
    own = weights()
    optimizer = get(name)
    optimizer.bind(own)
    set_gradients(own, 0)
    optimizer.step()
    return optimizer, own


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def close(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=2e-6, atol=1e-6) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("native", ["", "0"])
def test_steps_and_state_are_torchs(name: str, native: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    same_as = equal if native == "0" or not is_supported() else close
    optimizer, own = bound(name)
    plain, other = bound(name)
    for step in range(1, 6):
        for one in (own, other):
            set_gradients(one, step)
        optimizer.learning_rate = plain.learning_rate = 0.1 / step
        optimizer.look_again()
        assert optimizer._fused_step is not None
        assert optimizer._fused_step.step()
        plain.torch_optimizer.step()
        assert same_as(own, other)
    for weight, same in zip(own, other, strict=True):
        state, expected = optimizer.torch_optimizer.state[weight], plain.torch_optimizer.state[same]
        assert state.keys() == expected.keys()
        assert same_as(list(state.values()), list(expected.values()))
    # And torch's own step goes on from there.
    for one, trained in ((optimizer, own), (plain, other)):
        set_gradients(trained, 9)
        one.torch_optimizer.step()
    assert same_as(own, other)


@pytest.mark.parametrize("native", ["", "0"])
def test_autograd_notices_a_step(native: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    optimizer, own = bound()
    optimizer.look_again()
    squared = own[0].square().sum()  # its derivative needs the weights as they are now
    set_gradients(own, 1)
    before = own[0].detach().clone()
    optimizer.step()
    assert optimizer._fused_step is not None
    assert not torch.equal(own[0], before)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        squared.backward()


def test_the_lists_are_kept_while_they_hold() -> None:
    optimizer, _ = bound()
    optimizer.look_again()
    first = optimizer._fused_step
    assert first is not None
    optimizer.look_again()
    assert optimizer._fused_step is first


CHANGES: dict[str, Callable[[torch.optim.Optimizer, list[Parameter]], object]] = {
    "a hook": lambda adam, own: adam.register_step_post_hook(lambda *_: None),
    "amsgrad": lambda adam, own: adam.param_groups[0].update(amsgrad=True),
    "a second group": lambda adam, own: adam.add_param_group({"params": [Parameter(torch.ones(2))]}),
    "a schedule": lambda adam, own: torch.optim.lr_scheduler.StepLR(adam, 1),
    "no state": lambda adam, own: adam.state.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_short_way_does_not_do(change: str) -> None:
    optimizer, own = bound()
    assert FusedStep.of(optimizer.torch_optimizer) is not None
    CHANGES[change](optimizer.torch_optimizer, own)
    assert FusedStep.of(optimizer.torch_optimizer) is None


def test_other_optimizers_take_their_own_step() -> None:
    assert FusedStep.of(bound("nadam")[0].torch_optimizer) is None

    class Own(torch.optim.Adam):
        pass

    own = weights()
    made = TorchOptimizer(Own)
    made.bind(own)
    set_gradients(own, 0)
    made.step()
    assert FusedStep.of(made.torch_optimizer) is None


def test_a_state_that_is_loaded_or_replaced_is_seen() -> None:
    optimizer, own = bound()
    plain, other = bound()
    for one in (optimizer, plain):
        one.look_again()
    saved = copy.deepcopy(optimizer.torch_optimizer.state_dict())
    set_gradients(own, 1)
    optimizer.step()
    optimizer.torch_optimizer.load_state_dict(saved)
    with torch.no_grad():
        for weight, same in zip(own, other, strict=True):
            weight.copy_(same)
    for one, trained in ((optimizer, own), (plain, other)):
        set_gradients(trained, 2)
        one.step()
    assert close(own, other)
    optimizer.look_again()
    optimizer.torch_optimizer.state[own[0]]["exp_avg"] = torch.zeros(SHAPES[0])
    earlier = optimizer._fused_step
    optimizer.look_again()
    assert optimizer._fused_step is not earlier


def test_a_weight_without_a_gradient_is_left_to_torch() -> None:
    optimizer, own = bound()
    plain, other = bound()
    optimizer.look_again()
    for trained in (own, other):
        set_gradients(trained, 1)
        trained[1].grad = None
    optimizer.step()
    plain.torch_optimizer.step()
    assert equal(own, other)
    set_gradients(own, 2)
    steps = [float(optimizer.torch_optimizer.state[weight]["step"]) for weight in own]
    optimizer.step()
    after = [float(optimizer.torch_optimizer.state[weight]["step"]) for weight in own]
    assert after == [number + 1 for number in steps] == [3, 2, 3, 3]


def test_the_first_step_makes_the_state_and_the_second_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer, own = bound()
    plain, other = bound()
    monkeypatch.setattr(torch.optim.Adam, "step", None)
    set_gradients(own, 1)
    optimizer.step()
    monkeypatch.undo()
    set_gradients(other, 1)
    plain.torch_optimizer.step()
    assert close(own, other)


@needs_native
def test_weights_that_have_been_given_other_memory_are_seen() -> None:
    optimizer, own = bound()
    plain, other = bound()
    for trained in (own, other):
        trained[0].data = trained[0].data + 1
        set_gradients(trained, 1)
    optimizer.step()
    plain.torch_optimizer.step()
    assert equal(own, other)


def test_a_copy_goes_its_own_way() -> None:
    optimizer, own = bound()
    optimizer.look_again()
    twin, copies = copy.deepcopy((optimizer, own))
    for step in (1, 2):
        for one, trained in ((optimizer, own), (twin, copies)):
            one.look_again()
            set_gradients(trained, step)
            one.step()
        assert equal(own, copies)
    assert [float(twin.torch_optimizer.state[weight]["step"]) for weight in copies] == [3.0] * len(SHAPES)
