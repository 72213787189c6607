"""What goes by the type of a module, and what torch allows to be done with one."""

from typing import Any

import pytest
import torch
from torch import nn

import nabi.nn
from nabi.errors import ArgumentError

from .conftest import leaves

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:torch.quantize_per_tensor:UserWarning"
)
KINDS = pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])


def data(kind: str) -> torch.Tensor:
    return torch.randn(2, 3) if kind.endswith("Cell") else torch.randn(5, 2, 3)


@KINDS
def test_as_torch(kind: str) -> None:
    options: dict[str, Any] = {} if kind.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
    module = getattr(nabi.nn, kind)(3, 4, **options)
    found = nabi.nn.as_torch(nn.Sequential(module))[0]
    assert type(found) is getattr(nn, kind)
    x = data(kind)
    torch.testing.assert_close(leaves(found(x)), leaves(module(x)))
    assert all(a is not b for a, b in zip(found.parameters(), module.parameters(), strict=True))
    assert nabi.nn.as_torch(nn.Linear(2, 2)).weight.shape == (2, 2)


def test_weights_that_two_modules_share_stay_shared() -> None:
    first, second = nabi.nn.GRU(3, 4), nabi.nn.GRU(3, 4)
    second.weight_hh_l0 = first.weight_hh_l0
    found = nabi.nn.as_torch(nn.ModuleList([first, second]))
    assert found[0].weight_hh_l0 is found[1].weight_hh_l0


def test_a_computed_weight_is_no_torch_weight() -> None:
    module = nn.utils.parametrizations.weight_norm(nabi.nn.GRU(3, 4), "weight_ih_l0")
    with pytest.raises(ArgumentError, match="computed"):
        nabi.nn.as_torch(module)


@KINDS
def test_quantisation_is_no_silent_nothing(kind: str) -> None:
    torch_type = getattr(nn, kind)
    model = nn.ModuleDict({"rnn": getattr(nabi.nn, kind)(3, 4), "read": nn.Linear(4, 2)})
    quantize = torch.ao.quantization.quantize_dynamic
    with pytest.raises(ArgumentError, match="as_torch"):
        quantize(model, {torch_type})
    found = quantize(model, {nn.Linear})
    assert type(found["rnn"]) is type(model["rnn"])
    assert "quantized" in type(found["read"]).__module__
    if kind != "RNN":  # torch quantises none itself
        found = quantize(nabi.nn.as_torch(model), {torch_type})
        x = data(kind)
        torch.testing.assert_close(
            leaves(found["rnn"](x))[0], leaves(model["rnn"](x))[0], rtol=0.1, atol=0.05
        )


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_flat_weights(kind: str) -> None:
    ours, theirs = getattr(nabi.nn, kind)(3, 4, 2), getattr(nn, kind)(3, 4, 2)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours._flat_weights, theirs._flat_weights)
    torch.testing.assert_close(ours.all_weights, theirs.all_weights)
    ours.flatten_parameters()
    ours.double()
    assert all(weight is ours._parameters[name] for weight, name in
               zip(ours._flat_weights, ours._flat_weights_names, strict=True))  # fmt: skip
    with pytest.raises(ArgumentError, match="_flat_weights"):
        ours._flat_weights = [weight.clone() for weight in ours._flat_weights]


@KINDS
@pytest.mark.parametrize("which", ["first", "last"])
def test_outputs_may_be_changed_where_torch_allows_it(kind: str, which: str) -> None:
    torch.manual_seed(0)
    theirs, ours = getattr(nn, kind)(3, 4), getattr(nabi.nn, kind)(3, 4)
    ours.load_state_dict(theirs.state_dict())
    x = data(kind)

    def gradients(module: nn.Module) -> Any:
        outputs = leaves(module(x))
        torch.relu_(outputs[0 if which == "first" else -1].mul_(2))
        return torch.autograd.grad(sum(o.square().sum() for o in outputs), list(module.parameters()))  # type: ignore[arg-type]

    try:
        wanted = gradients(theirs)
    except RuntimeError:  # of torch's LSTM and RNNCell
        if not kind.endswith("Cell"):
            wanted = None
        else:
            with pytest.raises(RuntimeError, match="inplace"):
                gradients(ours)
            return
    found = gradients(ours)
    if wanted is not None:
        torch.testing.assert_close(found, wanted)
