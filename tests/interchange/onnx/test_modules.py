"""The modules of `nabi.nn`: lengths, states, stacks, both directions, both layouts."""

from pathlib import Path
from typing import Any

import pytest
import torch

from nabi import cells, nn
from nabi.errors import ArgumentError

from .running import Written, close

MODULES = [
    nn.RNN(cells.PeepholeLSTM(5), 3, 2),
    nn.RNN(cells.LayerNormLSTM(5), 3, 2, bidirectional=True),
    nn.RNN(cells.IndRNN(5), 3, batch_first=False),
    nn.RNN(cells.ProjectedLSTM(5, projection=2), 3, 2),
    nn.LSTM(3, 5, 2),
    nn.LSTM(3, 5, bidirectional=True, batch_first=True),
    nn.LSTM(3, 5, proj_size=2),
    nn.GRU(3, 5, 2, bidirectional=True),
    nn.GRU(3, 5, bias=False),
    nn.RNN(3, 5, nonlinearity="relu"),
]


def turned(module: Any, x: torch.Tensor) -> torch.Tensor:
    return x if module.batch_first else x.transpose(0, 1).contiguous()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_lengths_and_states(tmp_path: Path, module: Any) -> None:
    x, lengths = torch.randn(3, 6, 3), torch.tensor([6, 2, 0])
    feeds = {"input": turned(module, x).numpy(), "lengths": lengths.int().numpy()}
    written = Written(module, tmp_path / "module.onnx", lengths=True)
    output, last = module(turned(module, x), lengths=lengths)
    wanted = [output, *(last if isinstance(last, tuple) else [last])]
    for one, other in zip(written.run(**feeds).values(), wanted, strict=True):
        close(one, other)
    own = written.own()
    assert own.kind == "module"
    assert all(torch.equal(own.tensors[name], one) for name, one in module.state_dict().items())
    if module.bidirectional:
        with pytest.raises(ArgumentError, match="stateful: a module with two directions"):
            Written(module, tmp_path / "module.onnx", stateful=True)


@pytest.mark.parametrize("module", [one for one in MODULES if not one.bidirectional], ids=str)
def test_a_sequence_step_by_step_is_the_whole(tmp_path: Path, module: Any) -> None:
    written = Written(module, tmp_path / "module.onnx", stateful=True)
    x = torch.randn(2, 5, 3)
    output, last = module(turned(module, x))
    states = {one["input"]: torch.zeros(module.num_layers, 2, one["width"]).numpy() for one in written.states}
    steps = []
    for time in range(5):
        found = written.run(input=turned(module, x[:, time : time + 1]).numpy(), **states)
        steps.append(turned(module, torch.from_numpy(found["output"])))
        states = {one["input"]: found[one["output"]] for one in written.states}
    close(turned(module, torch.cat(steps, 1)).numpy(), output)
    for one, other in zip(states.values(), last if isinstance(last, tuple) else [last], strict=True):
        close(one, other)


def test_a_given_state_of_an_empty_row_stays(tmp_path: Path) -> None:
    module = nn.RNN(cells.LSTM(4), 3)
    written = Written(module, tmp_path / "module.onnx", stateful=True, lengths=True)
    x, h, c = torch.randn(2, 5, 3), torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    lengths = torch.tensor([0, 3])
    found = written.run(
        input=x.numpy(), lengths=lengths.int().numpy(), h=h.numpy(), c=c.numpy()
    )  # fmt: skip
    output, state = module(x, (h, c), lengths=lengths)
    for one, other in zip(found.values(), [output, *state], strict=True):
        close(one, other)
