"""A program with weights, input and states to run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nabi import cells
from nabi.cells import Cell
from nabi.ir import Program
from nabi.scan import _fast_path, _operator, sample_noise
from nabi.scan._way import Way
from nabi.targets import _run


@dataclass
class Case:
    program: Program
    x: Tensor
    states: list[Tensor]
    weights: list[Tensor]
    noise: tuple[Tensor, ...]

    @property
    def learned(self) -> list[Tensor]:
        return [self.x, *self.states, *self.weights]


def make_case(
    cell: Cell,
    batch: int = 4,
    time: int = 6,
    features: int = 3,
    *,
    training: bool = False,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Case:
    program = cell.program(features, training)
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=dtype).requires_grad_()

    return Case(
        program,
        draw(batch, time, features),
        [draw(batch, width) for width in program.state_widths],
        [draw(*family.shape) for family in program.families],
        sample_noise(program, batch, time, dtype=dtype, generator=g),
    )


@contextmanager
def through_definition() -> Iterator[None]:
    """Send every scan through the definition, as torch.func does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_operator, "way_of", lambda *_: Way.DEFINITION)
        for module in (_operator, _fast_path):
            patch.setattr(module, "runs_native", lambda *_: False)
        yield


@contextmanager
def without_native_code() -> Iterator[None]:
    """Send every scan through the kernel on torch."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (_operator, _fast_path, _run):
            patch.setattr(module, "runs_native", lambda *_: False)
        yield


ALL_CELLS: list[Cell] = [
    cells.SimpleRNN(5),
    cells.SimpleRNN(5, activation="gelu"),
    cells.LSTM(5),
    cells.PeepholeLSTM(5),
    cells.PeepholeLSTM(5, full=True),
    cells.CoupledLSTM(5),
    cells.GRULecture(5),
    cells.GRU2014(5),
    cells.GRU(5),
    cells.GRU(5, activation="softsign", recurrent_activation="hard_sigmoid", use_bias=False),
    cells.LayerNormLSTM(5),
    cells.IndRNN(5),
    cells.ProjectedLSTM(5, projection=2, cell_clip=1.5, projection_clip=1.0),
    cells.ZoneoutLSTM(5, zoneout_h=0.2, zoneout_c=0.4),
    cells.LSTM(5, dropout=0.2, recurrent_dropout=0.3),
    cells.GRU2014(5, recurrent_dropout=0.3),
    cells.SimpleRNN(5, activation="softmax"),
]
