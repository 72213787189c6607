"""Cells that read more than their input: further inputs of a file, beside ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nabi
from nabi import cells, layers, models, nn
from nabi.errors import ArgumentError
from nabi.interchange import write_onnx
from nabi.ir import Cell
from nabi.ir.functions import tanh

from .running import Written, close

B, T, D = 3, 6, 3


def inputs(module: Any) -> dict[str, torch.Tensor]:
    kinds = {
        "delta": torch.rand(B, T, D) if isinstance(module.cell, cells.GRUD) else torch.rand(B, T),
        "observed": (torch.rand(B, T, D) < 0.5).float(),
        "static": torch.randn(B, 5),
    }
    return {one.name: kinds[one.name] for one in module.cell.program(D).inputs[1:]}


MODULES = [
    nn.RNN(cells.CfC(4, backbone=5), D, 2, bidirectional=True),
    nn.RNN(cells.TLSTM(4), D, batch_first=False),
    nn.RNN(cells.GRUD(4, features=D), D),
    nn.RNN(cells.EALSTM(4, static_size=5), D, 2),
    nn.RNN(cells.CTRNN(4, substeps=2), D),
    nn.RNN(cells.ODERNN(4, solver="rk4"), D),
]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_modules(tmp_path: Path, module: Any) -> None:
    torch.manual_seed(0)
    x, lengths, more = torch.randn(B, T, D), torch.tensor([6, 2, 0]), inputs(module)
    if not module.batch_first:
        x = x.transpose(0, 1).contiguous()
        more = {name: value.transpose(0, 1).contiguous() for name, value in more.items()}
    written = Written(module, tmp_path / "module.onnx", lengths=True)
    output, last = module(x, lengths=lengths, **more)
    feeds = {"input": x.numpy(), "lengths": lengths.int().numpy()}
    feeds.update({name: value.numpy() for name, value in more.items()})
    for one, other in zip(written.run(**feeds).values(), [output, *last], strict=True):
        close(one, other)


def test_a_model_with_a_mask(tmp_path: Path) -> None:
    x, delta, static = nabi.Input((None, D)), nabi.Input((None,)), nabi.Input((2,))
    masked = layers.Masking()(x)
    hidden = layers.RNN(cells.CfC(4, backbone=5), return_sequences=True)(masked, delta=delta)
    hidden = layers.RNN(cells.EALSTM(4, static_size=2))(hidden, static=static)
    model = models.Model([x, delta, static], hidden)
    given = [torch.randn(B, T, D), torch.rand(B, T), torch.randn(B, 2)]
    given[0][1, 2:] = 0
    given[0][2, 1:4] = 0
    written = Written(model, tmp_path / "model.onnx")
    names = [one.name for one in written.session.get_inputs()]
    (found,) = written.run(**{n: v.numpy() for n, v in zip(names, given, strict=True)}).values()
    close(found, torch.from_numpy(np.asarray(model.predict([v.numpy() for v in given], verbose=0))))


def test_what_is_not_written(tmp_path: Path) -> None:
    class Counts(Cell):
        def step(self, x: Any, h: Any, *, position: Any) -> Any:
            return tanh(self.affine("h", x, h)) + position

    with pytest.raises(
        ArgumentError, match="Counts reads position, the number of a step, which is not written"
    ):
        write_onnx(nn.RNN(Counts(2), D), tmp_path / "counts.onnx")
    model = nabi.Sequential([layers.RNN(cells.EALSTM(2, static_size=1), input_shape=(T, D))])
    with pytest.raises(ArgumentError, match="EALSTM reads static, which is not given"):
        write_onnx(model, tmp_path / "model.onnx")
