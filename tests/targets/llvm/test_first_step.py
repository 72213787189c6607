"""Where nobody gives states, products with them are left out at the first step: the same results."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nabi import cells, nn
from nabi.native import threads as _threads

from ...native.machines import needs_native

pytestmark = needs_native

# Of batch, steps, inputs and units: few rows, many, sums in one go and in pieces, and weights read in place.
SIZES = [(2, 1, 34, 11), (7, 3, 9, 20), (36, 1, 5, 70), (5, 2, 190, 20), (3, 1, 200, 21), (6, 1, 300, 9)]
CELLS = [cells.SimpleRNN, cells.LSTM, cells.GRU, cells.PeepholeLSTM, cells.GRU2014]


def layer_of(number: int) -> tuple[nn.RNN, Tensor, tuple[Tensor, ...]]:
    """A layer, an input for it, and zero states."""
    batch, steps, inputs, units = SIZES[number % len(SIZES)]
    torch.manual_seed(number)
    layer = nn.RNN(CELLS[number % len(CELLS)](units), input_size=inputs)
    states = len(layer.cell.program(inputs).state_names)
    zeros = tuple([torch.zeros(1, batch, units) for _ in range(states)])
    return layer, torch.randn(batch, steps, inputs, requires_grad=True), zeros


def results(layer: nn.RNN, x: Tensor, states: Any, lengths: Tensor | None = None) -> list[Tensor]:
    """What a layer gives: in inference, in training, the final states, and all gradients."""
    with torch.no_grad():
        inferred, _ = layer(x, states, lengths=lengths)
    output, final = layer(x, states, lengths=lengths)
    loss = (output * torch.arange(1.0, 1 + output.shape[-1])).sum()
    return [inferred, output, *final, *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("number", range(0, 30, 7))
def test_no_states_are_zero_states(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x, zeros = layer_of(number)
    lengths = torch.arange(x.shape[0]) % (x.shape[1] + 1)
    wanted = [results(layer, x, zeros, given) for given in (None, lengths)]
    monkeypatch.setattr(_threads, "pays", lambda *_: True)
    for threads in (1, 3):
        monkeypatch.setattr(_threads, "threads_for", lambda work, threads=threads: threads)
        for given, expected in zip((None, lengths), wanted, strict=True):
            for value, other in zip(results(layer, x, None, given), expected, strict=True):
                assert torch.equal(value, other)


@pytest.mark.rotates(days=4)
@pytest.mark.parametrize("number", [0, 2, 7, 10])
def test_weights_of_a_state_that_nobody_gave_are_not_read(number: int) -> None:
    """So they may be infinite or NaN; what has no effect has no gradient either."""
    layer, x, _ = layer_of(number)
    first = x[:, :1].detach().requires_grad_()
    right = results(layer, first, None)
    with torch.no_grad():
        layer.W_h_l0.fill_(torch.nan)
    found = results(layer, first, None)
    for value, other in zip(found, right, strict=True):
        assert torch.equal(value, other)
    assert not layer(x, lengths=torch.arange(len(x)).clamp(max=1))[0].isnan().any()
    names = [name for name, _ in layer.named_parameters()]
    assert not found[names.index("W_h_l0") - len(names)].any()
    with torch.no_grad():
        assert layer(x.repeat(1, 2, 1))[0][:, 1].isnan().all()
