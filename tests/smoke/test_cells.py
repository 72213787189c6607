"""The drop-ins give torch's numbers, and a cell of one's own runs natively and gives the definition's."""

import pytest
import torch

import nabi.nn
from nabi.cells import Cell
from nabi.ir.functions import sigmoid, tanh

from ..native.machines import needs_native
from ..targets.llvm.sweep import Data, Setting, eager, native, worst


class MinimalGatedUnit(Cell):
    def step(self, x, h):
        f = sigmoid(self.affine("f", x, h))
        return (1 - f) * h + f * tanh(self.affine("h", x, h=f * h))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_drop_ins_give_the_numbers_of_torch(name: str) -> None:
    torch.manual_seed(0)
    own = getattr(nabi.nn, name)(3, 4, num_layers=2, bidirectional=True)
    peer = getattr(torch.nn, name)(3, 4, num_layers=2, bidirectional=True)
    peer.load_state_dict(own.state_dict())
    x = torch.randn(5, 2, 3)
    found, expected = own(x)[0], peer(x)[0]
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    for one, other in zip(own.parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@needs_native
def test_a_cell_of_ones_own_runs_natively() -> None:
    data = Data.draw(MinimalGatedUnit(5), 3, Setting(4, 6, "lengths"))
    truth, found = eager(data), native(data, torch.float32)
    assert worst(found.outputs, truth.outputs)[0] < 1e-5
    assert worst(found.gradients, truth.gradients)[0] < 1e-5
