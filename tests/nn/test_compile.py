"""torch.compile and torch.export: one graph, no recompiling, the same numbers."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nabi.nn
from nabi import cells

from .conftest import EVERY, LAYERS, data, make, same, total

pytestmark = pytest.mark.rotates(days=5)


@EVERY
def test_compile_fullgraph_without_recompiling(name: str) -> None:
    torch._dynamo.reset()
    module = make(name)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for batch, steps in ((4, 6), (3, 9), (5, 7), (2, 12)):
            x = data(name, batch, steps).requires_grad_()
            same(compiled(x), module(x))
            wanted = torch.autograd.grad(total(module(x)), [x, *module.parameters()])
            same(torch.autograd.grad(total(compiled(x)), [x, *module.parameters()]), wanted)


@LAYERS
def test_compile_with_aot_eager_lengths_and_states(name: str) -> None:
    torch._dynamo.reset()
    module = make(name)

    def run(x: Tensor, lengths: Tensor) -> Any:
        output, state = module(x, lengths=lengths)
        return module(x + output.mean(), state, lengths=lengths)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    lengths = torch.tensor([6, 0, 3, 5])
    same(compiled(data(name), lengths), run(data(name), lengths))
    same(gradients_of(compiled, module, data(name), lengths), gradients_of(run, module, data(name), lengths))


def gradients_of(function: Any, module: nn.Module, *arguments: Any) -> list[Tensor]:
    return list(torch.autograd.grad(total(function(*arguments)), list(module.parameters())))


@torch.no_grad()
def test_compile_a_stream() -> None:
    torch._dynamo.reset()
    module = nabi.nn.RNN(cells.PeepholeLSTM(5), 3, 2, dtype=torch.float64)
    compiled = torch.compile(module.step, fullgraph=True, backend="aot_eager")
    # The first call knows no state yet and is compiled apart.
    output, state = compiled(torch.zeros(2, 3, dtype=torch.float64))
    other = state
    for x in torch.randn(4, 2, 3, dtype=torch.float64):
        output, state = compiled(x, state)
        wanted, other = module.step(x, other)
        same(output, wanted)
    assert type(state) is type(other)


def test_compile_with_noise() -> None:
    torch._dynamo.reset()
    module = nabi.nn.RNN(cells.LSTM(5, recurrent_dropout=0.5), 3)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 6, 3)
    assert not torch.equal(compiled(x)[0], compiled(x)[0])
    compiled(x)[0].sum().backward()
    assert module.W_h_l0.grad.any()


def test_autocast_in_compile() -> None:
    torch._dynamo.reset()
    module = nabi.nn.GRU(3, 5)
    x = torch.randn(6, 4, 3)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def run(x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return module(x)[0]

    assert run(x).dtype == torch.bfloat16
    torch.testing.assert_close(run(x).float(), module(x)[0], rtol=0.05, atol=0.02)


@EVERY
def test_export(name: str) -> None:
    module = make(name).eval()
    exported = torch.export.export(module, (data(name),))
    same(exported.module()(data(name, seed=2)), module(data(name, seed=2)))


def test_export_with_a_dynamic_length() -> None:
    module = nabi.nn.LSTM(3, 5, batch_first=True)
    shapes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("time")},)
    exported = torch.export.export(module, (torch.randn(4, 6, 3),), dynamic_shapes=shapes)
    x = torch.randn(2, 9, 3)
    same(exported.module()(x), module(x))
