"""A pass of a training: to the last bit what the general way gives, batch after batch in the same memory."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi import cells
from nabi.ir.functions import tanh
from nabi.layers import SimpleRNN
from nabi.native import NativeError
from nabi.scan import Layout, Options, TrainingPass, backward_pass, forward_pass
from nabi.targets import TorchPasses
from nabi.training._step._recurrent import RecurrentPass

from ..native.machines import needs_native


class Deaf(cells.Cell):
    """An input that no equation reads."""

    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.linear("g", "w", h))


PROGRAMS = [cell.program(3, training=True) for cell in (cells.LSTM(5), cells.GRU(20), Deaf(4))]


def general(
    program: Any, options: Options, mask: Tensor | None, x: Tensor, weights: Any, cotangents: list[Tensor]
) -> list[Tensor | None]:
    """Kept and final states, the gradient of the input and those of the weights."""
    states = tuple([x.new_zeros(x.shape[0], width) for width in program.state_widths])
    kept, finals, rows, record = forward_pass(
        program, options, Layout(mask, None, None), x, states, weights, (), save=True
    )
    others = [None] * (len(finals) - 1)
    given = [*cotangents, None, *others] if kept else [*cotangents, *others]
    found = backward_pass(
        program, rows, record, options.kept(program), x, weights, given, True, (True,) * len(weights),
        need_initial=False,
    )  # fmt: skip
    return [*kept, *finals, found[0], *found[1 + len(finals) :]]


def drawn_mask(data: Any, batch: int, time: int) -> Tensor | None:
    kind = data.draw(st.sampled_from(["none", "behind", "in front", "anywhere"]))
    if kind == "none":
        return None
    if kind == "anywhere":
        return torch.rand(batch, time) < data.draw(st.sampled_from([0.1, 0.5, 0.9]))
    lengths = torch.randint(0, time + 1, (batch, 1))
    steps = torch.arange(time)
    return steps < lengths if kind == "behind" else steps >= time - lengths


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_batch_gives_what_the_general_way_gives(data: Any) -> None:
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    program = data.draw(st.sampled_from(PROGRAMS))
    batch, time = data.draw(st.sampled_from([1, 3, 6])), data.draw(st.sampled_from([1, 7, 11]))
    options = Options(reverse=data.draw(st.booleans()), only_finals=data.draw(st.booleans()))
    weights = tuple([torch.randn(family.shape) / 3 for family in program.families])
    zeros = tuple([torch.zeros(batch, width) for width in program.state_widths])
    made = TrainingPass(
        program, options, torch.zeros(batch, time, 3), zeros, weights, (True,) * len(weights),
        from_zeros=data.draw(st.booleans()),
    )  # fmt: skip
    width = program.state_widths[0]
    for _ in range(4):
        mask, x = drawn_mask(data, batch, time), torch.randn(batch, time, 3)
        if data.draw(st.booleans()):
            x = x.transpose(0, 1).contiguous().transpose(0, 1)
        kept, finals = made.forward(x, zeros, mask)
        shape = (batch, width) if options.only_finals else (batch, time, width)
        cotangent = torch.randn(shape)
        others = (None,) * (len(finals) - 1)
        if options.only_finals:
            dx, gradients = made.backward((), (cotangent, *others), True)
        else:
            dx, gradients = made.backward((cotangent,), (None, *others), True)
        expected = general(program, options, mask, x, weights, [cotangent])
        for number, (one, other) in enumerate(zip([*kept, *finals, dx, *gradients], expected, strict=True)):
            assert one is not None
            assert other is not None
            assert torch.equal(one, other), number
        dx.fill_(7.0)  # whoever is given it may write to it
        for weight in weights:
            weight.mul_(0.9)


@needs_native
def test_zeros_before_the_first_step_are_not_multiplied() -> None:
    """Infinite weights of the states show only where something multiplies them by the zeros."""
    program = cells.SimpleRNN(20).program(3, training=True)
    weights = [torch.randn(family.shape) for family in program.families]
    of_states = [one.name for one in program.families].index("W_h")
    weights[of_states].fill_(torch.inf)
    zeros, needed = (torch.zeros(6, 20),), (True,) * len(weights)
    x, mask = torch.randn(6, 7, 3), torch.arange(7) < torch.ones(6, 1)
    for from_zeros in (False, True):
        made = TrainingPass(program, Options(), x, zeros, weights, needed, from_zeros=from_zeros)
        output = made.forward(x, zeros, mask)[0][0]
        assert bool(output.isfinite().all()) is from_zeros


@needs_native
@pytest.mark.parametrize(("stateful", "finite"), [(False, True), (True, False)])
def test_a_layer_is_trained_from_zeros_unless_it_keeps_states(stateful: bool, finite: bool) -> None:
    layer = SimpleRNN(20, stateful=stateful, batch_input_shape=(6, 1, 3))
    x = torch.randn(6, 1, 3)
    layer(x)
    layer.reset_states()
    with torch.no_grad():
        layer.recurrent_kernel.fill_(torch.inf)
    run = RecurrentPass.of(layer, masked=False)
    assert run is not None
    assert bool(run.forward(x).isfinite().all()) is finite


@pytest.mark.parametrize("fails", ["bind_forward", "bind_backward"])
def test_it_goes_on_by_torch_where_a_kernel_cannot_be_made(fails: str, monkeypatch: Any) -> None:
    from nabi.native import _fallback
    from nabi.targets.llvm._binder import _training

    def fail(*arguments: Any) -> None:
        raise NativeError("no such instruction")

    monkeypatch.setattr(_fallback, "_failed", set())
    torch.manual_seed(0)
    program = PROGRAMS[0]
    weights = tuple([torch.randn(family.shape) / 3 for family in program.families])
    zeros = tuple([torch.zeros(3, width) for width in program.state_widths])
    x, mask = torch.randn(3, 7, 3), torch.rand(3, 7) < 0.5
    cotangent = torch.randn(3, 7, 5)
    expected = general(program, Options(), mask, x, weights, [cotangent])
    monkeypatch.setattr(_training, fails, fail)
    made = TrainingPass(program, Options(), x, zeros, weights, (True,) * len(weights))

    def step() -> list[Tensor | None]:
        kept, finals = made.forward(x, zeros, mask)
        found = [one.clone() for one in (*kept, *finals)]
        dx, gradients = made.backward((cotangent,), (None, None), True)
        return [*found, dx, *gradients]

    with pytest.warns(RuntimeWarning, match="no native code for LSTM"):
        found = step()
    assert isinstance(made._passes, TorchPasses)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
