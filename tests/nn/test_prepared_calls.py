"""Layers that are called again and again: what changes in between is seen, by each way to change it."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import nabi.nn
from nabi import cells
from nabi.errors import ArgumentError
from nabi.native import likeness

from ..native.machines import needs_native

pytestmark = needs_native

MAKERS: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: nabi.nn.LSTM(5, 5),
    "GRU": lambda: nabi.nn.GRU(5, 5, batch_first=True),
    "ElmanRNN": lambda: nabi.nn.ElmanRNN(5, 5, batch_first=True),
    "RNN": lambda: nabi.nn.RNN(cells.GRU2014(5), 5),
}


def flat(found: Any) -> list[Tensor]:
    if found is None or isinstance(found, Tensor):
        return [] if found is None else [found]
    return [one for part in found for one in flat(part)]


def called(module: nn.Module, *given: Any) -> list[Tensor]:
    """Outputs, final states, and all gradients where there are some."""
    results = flat(module(*given))
    if not results[0].requires_grad:
        return results
    wanted = [one for one in (*flat([*given]), *module.parameters()) if one.requires_grad]
    total = sum((one.square().sum() for one in results), torch.zeros(()))
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    return [*(one.detach() for one in results), *(one for one in found if one is not None)]


def prepared(module: nn.Module, *given: Any) -> list[Tensor]:
    for _ in range(2):
        called(module, *given)
    return called(module, *given)


def ready(module: Any) -> bool:
    return module._full_batches._ready[torch.is_grad_enabled()] is not None


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def first(module: nn.Module) -> str:
    return next(name for name, one in module.named_parameters() if one.dim() == 2)


def _transpose(module: nn.Module) -> None:
    weight = getattr(module, first(module))
    if weight.shape[0] == weight.shape[1]:
        weight.data = weight.data.t()  # the same memory, and another matrix
    else:
        weight.data = weight.data.t().contiguous().t()


CHANGES: dict[str, Callable[[Any], Any]] = {
    "written to": lambda m: getattr(m, first(m)).data.mul_(2),
    "other memory": lambda m: setattr(getattr(m, first(m)), "data", 3 * getattr(m, first(m)).data),
    "other strides": _transpose,
    "other object": lambda m: setattr(m, first(m), nn.Parameter(2 * getattr(m, first(m)).detach())),
    "loaded": lambda m: m.load_state_dict({name: one + 1 for name, one in m.state_dict().items()}),
    "frozen": lambda m: getattr(m, first(m)).requires_grad_(False),
    "computed": lambda m: parametrize.register_parametrization(m, first(m), Doubled()),
    "all frozen": lambda m: m.requires_grad_(False),
}


@pytest.mark.rotates(days=3)
@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_changed_weights_are_seen(
    make: Callable[[], nn.Module], change: Callable[[Any], Any], gradients: bool
) -> None:
    module, x = make(), torch.randn(3, 3, 5)
    with torch.set_grad_enabled(gradients):
        before = prepared(module, x)
        assert ready(module)
        change(module)
        # A copy has prepared nothing.
        expected, found = called(copy.deepcopy(module), x), called(module, x)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)
        if change not in (CHANGES["frozen"], CHANGES["all frozen"]):
            assert not torch.equal(before[0], found[0]) or change is CHANGES["other strides"]
        for one, other in zip(prepared(module, x), expected, strict=True):
            assert torch.equal(one, other)


def _inputs() -> dict[str, Any]:
    x, h = torch.randn(3, 3, 5), torch.randn(1, 3, 5)
    return {
        "another": torch.randn(3, 3, 5),
        "wanted gradient": torch.randn(3, 3, 5, requires_grad=True),
        "turned": torch.randn(5, 3, 3).permute(1, 2, 0),
        "gaps": torch.randn(3, 3, 10)[..., ::2],
        "expanded": torch.randn(1, 1, 5).expand(3, 3, 5),
        "negated": torch._neg_view(x),
        "parameter": nn.Parameter(x),
        "longer": torch.randn(3, 4, 5),
        "one sequence": torch.randn(3, 5),
        "empty": torch.randn(3, 0, 5),
        "states": (x, h),
        "states with gradients": (x, h.clone().requires_grad_()),
        "states with gaps": (x, torch.randn(1, 3, 10)[..., ::2]),
        "packed": nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 2, 1]), batch_first=True),
    }


@pytest.mark.parametrize("name", _inputs())
def test_other_inputs_are_seen(name: str) -> None:
    module, given = MAKERS["GRU"](), _inputs()[name]
    given = given if type(given) is tuple else (given,)
    prepared(module, torch.randn(3, 3, 5))
    assert ready(module)
    expected = flat(list(copy.deepcopy(module)(*given)))
    for _ in range(3):
        for one, other in zip(flat(list(module(*given))), expected, strict=True):
            if isinstance(one, Tensor):
                assert torch.equal(one, other)


def test_what_cannot_be_run_is_said() -> None:
    module, x = MAKERS["GRU"](), torch.randn(3, 3, 5)
    prepared(module, x)
    for wrong in (x.double(), x[..., :4], x.long()):
        with pytest.raises((RuntimeError, ValueError), match=r"dtype|input_size"):
            module(wrong)
    with pytest.raises(RuntimeError, match="hidden"):
        module(x, torch.zeros(1, 2, 5))
    module.weight_ih_l0.untyped_storage().resize_(0)  # type: ignore[operator]
    with pytest.raises(ArgumentError, match="given up"):
        module(x)


def test_what_torch_wants_to_see_it_sees() -> None:
    module, x = MAKERS["GRU"](), torch.randn(3, 3, 5)
    prepared(module, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert module(x)[0].dtype is torch.bfloat16
    kept: list[Tensor] = []

    def keep(one: Tensor) -> Tensor:
        kept.append(one)
        return one

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        module(x)
    assert kept
    with torch.inference_mode():
        assert prepared(module, x)[0].is_inference()
    assert not module(x)[0].is_inference()
    gradient = torch.func.grad(lambda x: module(x)[0].sum())(x)
    wanted = x.clone().requires_grad_()
    torch.testing.assert_close(gradient, torch.autograd.grad(module(wanted)[0].sum(), wanted)[0])
    tangent = torch.func.jvp(lambda x: module(x)[0], (x,), (torch.ones_like(x),))[1]
    assert tangent.abs().sum() > 0
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        found = torch.autograd.forward_ad.unpack_dual(module(dual)[0]).tangent
        torch.testing.assert_close(found, tangent)
    (slope,) = torch.autograd.grad(module(wanted)[0].sum(), wanted, create_graph=True)
    assert torch.autograd.grad(slope.square().sum(), wanted)[0].abs().sum() > 0
    output, weight = module(x)[0], module.weight_hh_l0
    with torch.no_grad():
        weight.mul_(2)  # type: ignore[operator]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_a_weight_in_two_places() -> None:
    module: Any = nabi.nn.ElmanRNN(5, 5)
    module.weight_hh_l0 = module.weight_ih_l0
    with torch.no_grad():
        torch.testing.assert_close(
            prepared(module, torch.ones(3, 3, 5)), called(copy.deepcopy(module), torch.ones(3, 3, 5))
        )


def test_copies_and_pickles() -> None:
    module, x = MAKERS["LSTM"](), torch.randn(3, 3, 5)
    expected = prepared(module, x)
    for other in (copy.deepcopy(module), copy.copy(module), pickle.loads(pickle.dumps(module))):
        for one, two in zip(prepared(other, x), expected, strict=True):
            assert torch.equal(one, two)
    old = module.__dict__.copy()
    del old["_full_batches"]  # a pickle from before
    revived = nabi.nn.LSTM.__new__(nabi.nn.LSTM)
    revived.__setstate__(old)  # type: ignore[no-untyped-call]
    assert torch.equal(prepared(revived, x)[0], expected[0])


def test_tensors_are_not_held() -> None:
    first, second = torch.zeros(2, 3), torch.zeros(3)
    alike = likeness((first, second))
    assert alike is not None
    assert alike(torch.ones(2, 3), torch.ones(3))
    assert not alike(torch.ones(3, 2), second)
    assert not alike(second, first)
