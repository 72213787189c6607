"""One step: torch's cells and `step` beside torch's modules, on every way that a step takes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nabi.nn
from nabi import cells
from nabi.errors import ArgumentError, ShapeError
from nabi.nn import _torch_step

from .conftest import leaves

KINDS = pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])


def states_of(kind: str, *shape: int) -> tuple[Tensor, ...]:
    return tuple([torch.randn(shape) for _ in range(2 if kind == "LSTM" else 1)])


def given(kind: str, states: tuple[Tensor, ...]) -> Any:
    return states if kind == "LSTM" else states[0]


@KINDS
@pytest.mark.parametrize("batch", [0, 1, 3, 40])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("learns", [True, False])
def test_cells_agree_with_torch(kind: str, batch: int, bias: bool, learns: bool) -> None:
    torch.manual_seed(0)
    theirs = getattr(nn, f"{kind}Cell")(3, 7, bias=bias)
    ours = getattr(nabi.nn, f"{kind}Cell")(3, 7, bias=bias)
    ours.load_state_dict(theirs.state_dict())
    x, states = torch.randn(batch, 3, requires_grad=learns), states_of(kind, batch, 7)
    for state in (None, given(kind, states)):
        with torch.set_grad_enabled(learns):
            found, wanted = leaves(ours(x, state)), leaves(theirs(x, state))
        torch.testing.assert_close(found, wanted)
        if learns:
            for outputs in (found, wanted):
                sum(output.square().sum() for output in outputs).backward()  # type: ignore[union-attr]
            pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
            for weight, other in pairs:
                torch.testing.assert_close(weight.grad, other.grad)


@KINDS
@torch.no_grad()
def test_a_step_uses_the_weights_of_now(kind: str) -> None:
    cell = getattr(nabi.nn, f"{kind}Cell")(3, 7)
    layer = getattr(nabi.nn, kind)(3, 7)
    x = torch.randn(40, 3)
    for write in (
        lambda weight: weight.add_(0.1),
        lambda weight: weight.data.mul_(2),
        lambda weight: weight.numpy().fill(0.3),
        lambda weight: weight.set_(torch.randn_like(weight)),
    ):
        for module, name in ((cell, "weight_ih"), (layer, "weight_ih_l0")):
            write(getattr(module, name))
        theirs = nabi.nn.as_torch(cell)
        torch.testing.assert_close(leaves(cell(x)), leaves(theirs(x)))
        theirs = nabi.nn.as_torch(layer)
        torch.testing.assert_close(leaves(layer.step(x))[0], leaves(theirs(x[None]))[0][0])


@KINDS
@pytest.mark.parametrize("batch", [1, 3, 40])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("learns", [True, False])
def test_steps_of_a_policy(kind: str, batch: int, layers: int, learns: bool) -> None:
    torch.manual_seed(0)
    ours = getattr(nabi.nn, kind)(3, 7, layers)
    theirs = nabi.nn.as_torch(ours)
    state: Any = None
    other: Any = None
    total: Any = 0
    wanted_total: Any = 0
    with torch.set_grad_enabled(learns):
        for _ in range(4):
            x, done = torch.randn(batch, 3), torch.rand(batch) < 0.4
            output, state = ours.step(x, state, resets=done)
            if other is not None:
                other = given(kind, tuple([s.masked_fill(done[:, None], 0.0) for s in leaves(other)]))
            wanted, other = theirs(x[None], other)
            torch.testing.assert_close(output, wanted[0])
            torch.testing.assert_close(leaves(state), leaves(other))
            total, wanted_total = total + output.square().sum(), wanted_total + wanted.square().sum()
    if learns:
        found = torch.autograd.grad(total, list(ours.parameters()))
        torch.testing.assert_close(found, torch.autograd.grad(wanted_total, list(theirs.parameters())))


def test_steps_of_one_sequence_and_of_a_projection() -> None:
    lstm = nabi.nn.LSTM(3, 5, 2, proj_size=2)
    x = torch.randn(4, 3)
    output, _ = lstm(x)
    state = None
    for t in range(4):
        found, state = lstm.step(x[t], state)
        torch.testing.assert_close(found, output[t])


def test_steps_of_any_cell_with_resets() -> None:
    rnn = nabi.nn.RNN(cells.PeepholeLSTM(5), 3, 2)
    x, resets = torch.randn(2, 4, 3), torch.tensor([[0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)
    output, _ = rnn(x, resets=resets)
    state: Any = None
    for t in range(4):
        found, state = rnn.step(x[:, t], state, resets=resets[:, t])
        torch.testing.assert_close(found, output[:, t])


@KINDS
def test_one_time_step_with_resets(kind: str) -> None:
    module = getattr(nabi.nn, kind)(3, 5)
    x, states = torch.randn(1, 3, 3), states_of(kind, 1, 3, 5)
    resets = torch.tensor([[True], [False], [True]])
    zeroed = tuple([state.masked_fill(resets, 0.0) for state in states])
    torch.testing.assert_close(
        leaves(module(x, given(kind, states), resets=resets)), leaves(module(x, given(kind, zeroed)))
    )


def test_bad_steps() -> None:
    with pytest.raises(ArgumentError, match="bidirectional"):
        nabi.nn.GRU(3, 5, bidirectional=True).step(torch.zeros(2, 3))
    for module in (nabi.nn.GRU(3, 5), nabi.nn.RNN(cells.GRU(5), 3)):
        with pytest.raises(ShapeError, match="resets"):
            module.step(torch.zeros(2, 3), resets=torch.tensor([True]))


def test_kernels_and_torch_take_turns() -> None:
    program = nabi.nn.GRUCell(8, 8)._program
    with torch.no_grad():
        assert _torch_step.is_for_kernel(program, 64)
        assert not _torch_step.is_for_kernel(program, 1)
    assert not _torch_step.is_for_kernel(program, 64)
