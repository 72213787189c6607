"""The modules that every test of this folder's transforms goes through, and what they are compared with."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nabi.nn
from nabi import cells

DOUBLE = torch.float64
MAKERS: dict[str, Callable[[], nn.Module]] = {
    "RNN": lambda: nabi.nn.RNN(3, 5, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "LSTM": lambda: nabi.nn.LSTM(3, 5, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "LSTM projected": lambda: nabi.nn.LSTM(3, 5, proj_size=2, batch_first=True, dtype=DOUBLE),
    "GRU": lambda: nabi.nn.GRU(3, 5, 2, bidirectional=True, batch_first=True, dtype=DOUBLE),
    "cell LSTM": lambda: nabi.nn.RNN(cells.LSTM(5), 3, 2, bidirectional=True, dtype=DOUBLE),
    "cell GRU": lambda: nabi.nn.RNN(cells.GRU(5), 3, dtype=DOUBLE),
    "cell GRU2014": lambda: nabi.nn.RNN(cells.GRU2014(5), 3, dtype=DOUBLE),
    "cell peephole": lambda: nabi.nn.RNN(cells.PeepholeLSTM(5), 3, dtype=DOUBLE),
    "cell layer norm": lambda: nabi.nn.RNN(cells.LayerNormLSTM(5), 3, dtype=DOUBLE),
    "RNNCell": lambda: nabi.nn.RNNCell(3, 5, dtype=DOUBLE),
    "LSTMCell": lambda: nabi.nn.LSTMCell(3, 5, dtype=DOUBLE),
    "GRUCell": lambda: nabi.nn.GRUCell(3, 5, dtype=DOUBLE),
}
EVERY = pytest.mark.parametrize("name", MAKERS)
LAYERS = pytest.mark.parametrize("name", [name for name in MAKERS if not name.endswith("Cell")])


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MAKERS[name]()


def data(name: str, batch: int = 4, steps: int = 6, seed: int = 0) -> Tensor:
    shape = (batch, 3) if name.endswith("Cell") else (batch, steps, 3)
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def leaves(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [leaf for part in value for leaf in leaves(part)]


def total(value: Any) -> Tensor:
    """A number that weighs every output differently."""
    parts = leaves(value)
    return sum((part * torch.linspace(0.5, 1.5, part.shape[-1], dtype=part.dtype)).sum() for part in parts)  # type: ignore[return-value]


def gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(total(module(x)), list(module.parameters())))


def same(left: Any, right: Any) -> None:
    for a, b in zip(leaves(left), leaves(right), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
