"""What programs do with modules: copies, state dicts, parametrizations, frozen weights."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import nabi.nn
from nabi import cells

from .conftest import EVERY, MAKERS, data, gradients, leaves, make, same, total


@pytest.mark.rotates(days=3)
@EVERY
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_are_independent_and_equal(name: str, how: str) -> None:
    module = make(name)
    x = data(name)
    module(x)
    if how == "deepcopy":
        twin = copy.deepcopy(module)
    elif how == "pickle":
        twin = pickle.loads(pickle.dumps(module))
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    same(twin(x), module(x))
    assert repr(twin) == repr(module)
    before = leaves(module(x))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    same(module(x), before)
    assert not torch.equal(leaves(twin(x))[0], before[0])


@EVERY
def test_state_dict_round_trip_and_dtype(name: str) -> None:
    module = make(name)
    other = MAKERS[name]()
    other.load_state_dict(module.state_dict())
    x = data(name)
    same(other(x), module(x))
    narrow = copy.deepcopy(module).float()
    assert leaves(narrow(x.float()))[0].dtype == torch.float32
    same(narrow.double()(x.float().double()), copy.deepcopy(module).float().double()(x.float().double()))


@EVERY
def test_meta_device(name: str) -> None:
    module = make(name)
    skeleton = copy.deepcopy(module).to("meta")
    outputs = leaves(skeleton(data(name).to("meta")))
    assert [value.shape for value in outputs] == [value.shape for value in leaves(module(data(name)))]
    assert all(value.is_meta for value in outputs)
    skeleton.to_empty(device="cpu").load_state_dict(module.state_dict())
    same(skeleton(data(name)), module(data(name)))


def test_built_on_the_meta_device() -> None:
    for module in (
        nabi.nn.LSTM(3, 5, device="meta"),
        nabi.nn.RNN(cells.GRU(5), 3, device="meta"),
        nabi.nn.RNN(cells.LSTM(5), 3, device="meta", initializer="keras"),
        nabi.nn.GRUCell(3, 5, device="meta"),
    ):
        assert all(parameter.is_meta for parameter in module.parameters())


WEIGHT = {
    "RNN": "weight_hh_l0",
    "LSTM": "weight_hh_l1_reverse",
    "GRU": "weight_ih_l0",
    "GRUCell": "weight_ih",
    "cell LSTM": "W_h_l1_reverse",
    "cell peephole": "W_x_l0",
}


@pytest.mark.parametrize("name", WEIGHT)
def test_weight_norm_parametrization(name: str) -> None:
    module = make(name)
    x = data(name)
    expected = module(x)
    torch.nn.utils.parametrizations.weight_norm(module, WEIGHT[name])
    same(module(x), expected)
    magnitude = getattr(module.parametrizations, WEIGHT[name]).original0
    total(module(x)).backward()
    assert magnitude.grad.any()
    with torch.no_grad():
        magnitude.mul_(2)
    assert not torch.equal(leaves(module(x))[0], leaves(expected)[0])
    same(copy.deepcopy(module)(x), module(x))
    changed = module(x)
    torch.nn.utils.parametrize.remove_parametrizations(module, WEIGHT[name])
    same(module(x), changed)


@pytest.mark.parametrize("name", WEIGHT)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_old_weight_norm(name: str) -> None:
    module = make(name)
    x = data(name)
    expected = module(x)
    torch.nn.utils.weight_norm(module, WEIGHT[name])
    same(module(x), expected)
    magnitude = getattr(module, WEIGHT[name] + "_g")
    total(module(x)).backward()
    assert magnitude.grad.any()
    with torch.no_grad():
        magnitude.mul_(2)
    changed = module(x)
    assert not torch.equal(leaves(changed)[0], leaves(expected)[0])
    torch.nn.utils.remove_weight_norm(module, WEIGHT[name])
    same(module(x), changed)


@pytest.mark.parametrize("name", WEIGHT)
def test_pruning_and_spectral_norm(name: str) -> None:
    module = make(name)
    x = data(name)
    expected = module(x)
    prune.l1_unstructured(module, WEIGHT[name], 0.5)
    pruned = module(x)
    assert not torch.equal(leaves(pruned)[0], leaves(expected)[0])
    prune.remove(module, WEIGHT[name])
    same(module(x), pruned)
    torch.nn.utils.parametrizations.spectral_norm(module, WEIGHT[name])
    total(module(x)).backward()
    assert getattr(module.parametrizations, WEIGHT[name]).original.grad.any()


@pytest.mark.rotates(days=3)
@EVERY
def test_partly_frozen_weights(name: str) -> None:
    module = make(name)
    wanted = gradients(module, data(name))
    for frozen, _ in enumerate(wanted):
        for index, parameter in enumerate(module.parameters()):
            parameter.grad = None
            parameter.requires_grad_(index != frozen)
        total(module(data(name))).backward()
        for index, (parameter, gradient) in enumerate(zip(module.parameters(), wanted, strict=True)):
            if index == frozen:
                assert parameter.grad is None
            else:
                torch.testing.assert_close(parameter.grad, gradient)
    module.requires_grad_(False)
    assert not leaves(module(data(name)))[0].requires_grad
    x = data(name).requires_grad_()
    total(module(x)).backward()
    assert x.grad is not None


@EVERY
def test_inference_mode_and_module_hooks(name: str) -> None:
    module = make(name)
    expected = module(data(name))
    with torch.inference_mode():
        same(module(data(name)), expected)
    seen: list[Any] = []
    module.register_forward_hook(lambda _m, _i, output: seen.append(output))
    same(module(data(name)), seen[0])


def test_fused_optimizer_and_training() -> None:
    torch.manual_seed(0)
    module = nn.ModuleList([nabi.nn.GRU(1, 8, batch_first=True), nn.Linear(8, 1)])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05, fused=True)
    x = torch.randn(16, 5, 1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (module[1](module[0](x)[0][:, -1]) - x.sum(1)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 10


class ReturnsWhatItIsTold(torch.nn.Module):
    """A step of torch tensors with one state or two, whatever it returns."""

    def __init__(self, widths, returned):
        super().__init__()
        self.state_widths, self.returned = widths, returned

    def forward(self, x, *states):
        return self.returned(states)


@pytest.mark.parametrize(
    ("widths", "returned", "message"),
    [
        ({"h": 3, "c": 3}, lambda s: s[0], "expected the 2 new states as a tuple of tensors, got one tensor"),
        ({"h": 3}, lambda s: (s[0], s[0]), "expected the 1 new states as a tuple of tensors, got 2 values"),
        ({"h": 3}, lambda s: None, "got NoneType"),
        ({"h": 3}, lambda s: {"h": s[0]}, "got dict"),
        ({"h": 3}, lambda s: (1.0,), "got float for state 0"),
        ({"h": 3}, lambda s: s[0][:, :2], r"the new state 0 has shape \(1, 2\), expected \(1, 3\)"),
    ],
)
def test_what_a_step_module_returns_is_checked(widths, returned, message):
    rnn = nabi.nn.RNN(ReturnsWhatItIsTold(widths, returned))
    with pytest.raises(nabi.errors.ArgumentError, match=message):
        rnn(torch.randn(1, 4, 2))


@pytest.mark.parametrize(
    "given",
    [
        {"recompute": 4},
        {"dropout": 0.5},
        {"initializer": "keras"},
        {"device": "cpu"},
        {"dtype": torch.float64},
    ],
)
def test_what_a_step_module_would_ignore_is_refused(given):
    with pytest.raises(nabi.errors.ArgumentError, match=f"{next(iter(given))}: not for a step that is"):
        nabi.nn.RNN(ReturnsWhatItIsTold({"h": 3}, lambda s: s[0]), **given)


def test_a_dropout_that_does_nothing_is_said():
    with pytest.warns(UserWarning, match="does nothing with num_layers=1"):
        nabi.nn.RNN(nabi.cells.GRU(3), 2, dropout=0.5)


def test_a_packed_sequence_is_recomputed(monkeypatch):
    from nabi.scan import _operator

    calls, run = [], _operator.run_forward_lightly
    monkeypatch.setattr(_operator, "run_forward_lightly", lambda *a, **k: calls.append(1) or run(*a, **k))
    saving = nabi.nn.RNN(nabi.cells.LSTM(3), 2).double()
    again = nabi.nn.RNN(nabi.cells.LSTM(3), 2, recompute=2).double()
    again.load_state_dict(saving.state_dict())
    packed = torch.nn.utils.rnn.pack_sequence([torch.randn(n, 2).double() for n in (5, 3, 1)])
    for rnn in (saving, again):
        rnn(packed)[0].data.square().sum().backward()
    assert calls == [1]
    for one, two in zip(saving.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
