"""`torch.onnx.export` of a trace: ONNX's recurrent operators, for sequences of any length."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nabi import cells, nn
from nabi.errors import ArgumentError


class Net(torch.nn.Module):
    """A module that holds one of nabi: torch's exporter gives the outermost one its own arguments."""

    def __init__(self, inner: torch.nn.Module, with_lengths: bool = False) -> None:
        super().__init__()
        self.inner, self.with_lengths = inner, with_lengths

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = torch.full((x.shape[0],), 2) if self.with_lengths else None
        found: torch.Tensor = self.inner(x, lengths=lengths)[0]
        return found


def export(net: torch.nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's: it would rather use its other exporter
        torch.onnx.export(
            net.eval(), (torch.randn(2, 5, 3),), str(path), dynamo=False, opset_version=17,
            input_names=["input"], dynamic_axes={"input": {0: "batch", 1: "time"}},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("inner", "operator", "count"),
    [
        (nn.RNN(cells.PeepholeLSTM(4), 3, bidirectional=True), "LSTM", 2),
        (nn.RNN(cells.CoupledLSTM(4), 3), "LSTM", 1),
        (nn.RNN(cells.GRULecture(4, recurrent_activation="hard_sigmoid"), 3), "GRU", 1),
        (nn.RNN(cells.IndRNN(4), 3), "RNN", 1),
        (nn.LSTM(3, 4, batch_first=True), "LSTM", 1),
        (nn.GRU(3, 4, 2, batch_first=True), "GRU", 2),
    ],
    ids=str,
)
def test_a_trace_is_an_operator_of_any_length(tmp_path: Path, inner: Any, operator: str, count: int) -> None:
    export(Net(inner), tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    kinds = [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert kinds.count(operator) == count
    assert not {"MatMul", "Slice"} & set(kinds)  # weights are folded into constants
    x = torch.randn(3, 8, 3)
    (found,) = onnxruntime.InferenceSession(str(tmp_path / "net.onnx")).run(None, {"input": x.numpy()})
    np.testing.assert_allclose(found, inner.eval()(x)[0].detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Net(nn.RNN(cells.LayerNormLSTM(4), 3)), "LayerNormLSTM has the equations of no operator of ONNX"),
        (Net(nn.RNN(cells.LSTM(4), 3), with_lengths=True), "mask of LSTM cannot be traced"),
    ],
    ids=str,
)
def test_what_a_trace_cannot_say_is_refused(tmp_path: Path, net: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=rf"torch\.onnx\.export: {message}.*write_onnx"):
        export(net, tmp_path / "net.onnx")
