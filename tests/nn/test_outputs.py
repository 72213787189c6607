"""Cells whose output is no state and that read earlier inputs, in modules: states, steps, transforms."""

import pytest
import torch

import nabi.nn
from nabi.errors import ArgumentError
from nabi.scan import PreparedStep, scan, static_scan

from ..ir.test_outputs import Readout


@pytest.fixture(params=["0", "1"], ids=["torch", "native"])
def rnn(request, monkeypatch):
    monkeypatch.setenv("NABI_NATIVE", request.param)
    torch.manual_seed(0)
    return nabi.nn.RNN(Readout(5), input_size=3, dtype=torch.float64)


def batch(time: int = 9) -> torch.Tensor:
    return torch.randn(4, time, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_hand(rnn, x, state=None):
    """The equations once more, with torch's operations."""
    w_x, w_x1, w_x2 = rnn.W_x_l0, rnn.W_x1_l0, rnn.W_x2_l0
    b_f, b_h = rnn.b_l0.chunk(2)
    h = x.new_zeros(len(x), 5)
    before = [x.new_zeros(len(x), 3)] * 2
    outputs = []
    for now in x.unbind(1):
        f = torch.sigmoid(now @ w_x.T + before[0] @ w_x1.T + b_f)
        h = f * h + (1 - f) * (before[1] @ w_x2.T + b_h)
        outputs.append(h @ rnn.W_c_l0.T)
        before = [now, before[0]]
    return torch.stack(outputs, 1), (h, *before)


def test_the_equations(rnn) -> None:
    x = batch().requires_grad_()
    output, state = rnn(x)
    wanted, states = by_hand(rnn, x)
    assert output.shape == (4, 9, 2)
    assert rnn.output_size == 2
    assert state._fields == ("h", "x1", "x2")
    torch.testing.assert_close(output, wanted)
    for one, other in zip(state, states, strict=True):
        torch.testing.assert_close(one.squeeze(0), other)
    sources = [x, *rnn.parameters()]
    weights = torch.randn_like(output)
    found = torch.autograd.grad((output * weights).sum() + state.h.sum() + state.x2.square().sum(), sources)
    other = torch.autograd.grad(
        (wanted * weights).sum() + states[0].sum() + states[2].square().sum(), sources
    )
    for one, right in zip(found, other, strict=True):
        torch.testing.assert_close(one, right)


def test_a_sequence_in_two_parts(rnn) -> None:
    x = batch()
    whole, last = rnn(x)
    first, state = rnn(x[:, :4])
    second, state = rnn(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    for one, other in zip(state, last, strict=True):
        torch.testing.assert_close(one, other)


def test_step_by_step(rnn) -> None:
    x = batch()
    whole, last = rnn(x)
    state, outputs = None, []
    for now in x.unbind(1):
        output, state = rnn.step(now, state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), whole)
    program, weights = rnn._programs[0][0], rnn._own_weights(0)
    prepared = PreparedStep(program, weights)
    states = prepared.start(4)
    for now, right in zip(x.unbind(1), whole.unbind(1), strict=True):
        output, *states = prepared(now, states)
        torch.testing.assert_close(output, right)
    outputs, finals = static_scan(program, x.unbind(1), None, weights)
    torch.testing.assert_close(torch.stack(outputs, 1), whole)
    torch.testing.assert_close(finals[0], last.h.squeeze(0))


def test_lengths_masks_resets_and_reverse(rnn) -> None:
    x = batch()
    output, state, every = rnn(x, lengths=[9, 4, 0, 1], return_all_states=True)
    for row, length in enumerate((9, 4, 0, 1)):
        alone, last = rnn(x[row : row + 1, :length])
        torch.testing.assert_close(output[row, :length], alone[0])
        assert not output[row, length:].any()
        torch.testing.assert_close(state.x2[0, row], last.x2[0, 0])
    assert every._fields == state._fields
    assert every.x1.shape == (1, 4, 9, 3)
    mask = torch.rand(4, 9, generator=torch.Generator().manual_seed(2)) < 0.6
    masked, _ = rnn(x, mask=mask)
    for row in range(4):
        torch.testing.assert_close(masked[row, mask[row]], rnn(x[row : row + 1, mask[row]])[0][0])
    resets = torch.zeros(4, 9, dtype=torch.bool)
    resets[:, 5] = True
    again, _ = rnn(x, resets=resets)
    torch.testing.assert_close(again[:, 5:], rnn(x[:, 5:])[0])
    program, weights = rnn._programs[0][0], rnn._own_weights(0)
    backwards, _, _ = scan(program, x, None, weights, reverse=True)
    torch.testing.assert_close(backwards, rnn(x.flip(1))[0].flip(1))


def test_transforms_and_recomputing(rnn) -> None:
    x = batch()
    weights = dict(rnn.named_parameters())
    rnn(x)[0].square().sum().backward()

    def loss(values, x):
        return torch.func.functional_call(rnn, values, (x,))[0].square().sum()

    values = {name: weight.detach() for name, weight in weights.items()}
    for name, found in torch.func.grad(loss)(values, x).items():
        torch.testing.assert_close(found, weights[name].grad)
    each = torch.vmap(loss, (None, 0))(values, x.unsqueeze(1))
    torch.testing.assert_close(each.sum(), loss(values, x))
    again = nabi.nn.RNN(Readout(5), input_size=3, dtype=torch.float64, recompute=4)
    again.load_state_dict(rnn.state_dict())
    again(x)[0].square().sum().backward()
    for name, weight in again.named_parameters():
        torch.testing.assert_close(weight.grad, weights[name].grad)


def test_compiled_before_anything_has_run() -> None:
    rnn = nabi.nn.RNN(Readout(6), input_size=3)
    x = torch.randn(2, 5, 3)
    compiled = torch.compile(rnn, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x)[0], rnn(x)[0])


def test_layers_of_other_widths() -> None:
    with pytest.raises(ArgumentError, match="the state x1 is as wide as the input, 3 in layer 0 and 2"):
        nabi.nn.RNN(Readout(5), input_size=3, num_layers=2)
    assert nabi.nn.RNN(Readout(5), input_size=2, num_layers=2)(torch.zeros(1, 4, 2))[0].shape == (1, 4, 2)
