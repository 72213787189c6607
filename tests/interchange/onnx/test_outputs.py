"""Cells whose output is no state and that read earlier inputs, as ONNX files."""

import numpy as np
import pytest
import torch

import nabi.nn
from nabi import layers, models
from nabi.interchange import write_onnx

from ...ir.test_outputs import Readout
from ...scan.test_outputs_and_inputs import Everything

runtime = pytest.importorskip("onnxruntime")


def test_a_module(tmp_path) -> None:
    torch.manual_seed(0)
    rnn = nabi.nn.RNN(Readout(5), input_size=3)
    x = torch.randn(3, 6, 3)
    lengths = torch.tensor([6, 2, 0], dtype=torch.int32)
    write_onnx(rnn, tmp_path / "plain.onnx")
    write_onnx(rnn, tmp_path / "lengths.onnx", lengths=True)
    for name, given in (("plain", {}), ("lengths", {"lengths": lengths})):
        with torch.no_grad():
            output, state = rnn(x, **given)
        session = runtime.InferenceSession(tmp_path / f"{name}.onnx")
        names = [one.name for one in session.get_outputs()]
        assert names == ["output", "h_last", "x1_last", "x2_last"]
        inputs = {"input": x.numpy()} | {key: value.numpy() for key, value in given.items()}
        for found, wanted in zip(session.run(None, inputs), (output, *state), strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


def test_a_model_whose_output_is_that_of_the_last_step(tmp_path) -> None:
    torch.manual_seed(0)
    model = models.Sequential([layers.Input((6, 3)), layers.RNN(Readout(5)), layers.Dense(2)])
    x = torch.randn(3, 6, 3).numpy()
    write_onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


def test_a_module_that_goes_on_from_its_states(tmp_path) -> None:
    torch.manual_seed(0)
    rnn = nabi.nn.RNN(Readout(5), input_size=3)
    write_onnx(rnn, tmp_path / "stateful.onnx", stateful=True)
    session = runtime.InferenceSession(tmp_path / "stateful.onnx")
    x = torch.randn(2, 6, 3)
    names = [one.name for one in session.get_inputs()]
    assert names == ["input", "h", "x1", "x2"]
    states = [np.zeros((1, 2, width), np.float32) for width in (5, 3, 3)]
    outputs = []
    for part in (x[:, :2], x[:, 2:]):
        output, *states = session.run(None, dict(zip(names, [part.numpy(), *states], strict=True)))
        outputs.append(output)
    np.testing.assert_allclose(np.concatenate(outputs, 1), rnn(x)[0].detach().numpy(), atol=1e-5)


def test_a_module_with_further_inputs_and_older_states(tmp_path) -> None:
    torch.manual_seed(0)
    rnn = nabi.nn.RNN(Everything(5), input_size=4)
    inputs = {"x": torch.randn(2, 6, 4), "delta": torch.rand(2, 6), "static": torch.randn(2, 2)}
    write_onnx(rnn, tmp_path / "further.onnx")
    session = runtime.InferenceSession(tmp_path / "further.onnx")
    names = [one.name for one in session.get_inputs()]
    given = {name: inputs["x" if name == "input" else name].numpy() for name in names}
    with torch.no_grad():
        output, state = rnn(inputs.pop("x"), **inputs)
    for found, wanted in zip(session.run(None, given), (output, *state), strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
