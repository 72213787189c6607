"""Gates over time: the values of the equations, for every kind of layer and every cell."""

import numpy as np
import pytest
import torch

from nabi import cells, layers
from nabi.errors import ArgumentError, OutputError, ShapeError, UnknownNameError
from nabi.explain import gates, gates_picture
from nabi.ir import named_nodes
from nabi.nn import RNN
from tests.cells.sampling import cells_of_today


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_an_lstm_by_hand():
    torch.manual_seed(0)
    layer = layers.LSTM(4)
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    layer.build((None, None, 3))
    kernel, recurrent, bias = layer.get_weights()
    values = gates(layer, x)
    assert list(values) == ["i", "f", "g", "c", "o", "h"]
    h, c = np.zeros((2, 4)), np.zeros((2, 4))
    for t in range(6):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)  # Keras' order
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, expected in {"i": i, "f": f, "g": g, "c": c, "o": o, "h": h}.items():
            np.testing.assert_allclose(values[name][:, t].numpy(), expected, atol=1e-6)
    for name in "ifo":
        assert values[name].min() >= 0
        assert values[name].max() <= 1


@pytest.mark.parametrize("name", [n for n in cells_of_today() if not cells.get(n).needed_inputs()])
def test_every_cell_has_named_values(name):
    torch.manual_seed(1)
    kind = cells.get(name)
    cell = kind(4, **kind.needed_settings(4, 3))
    rnn = RNN(cell, 3, dtype=torch.float64)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    rnn.eval()
    output, _, every = rnn(x, return_all_states=True)
    values = gates(rnn, x)
    assert list(values) == list(named_nodes(cell.program(3)))
    named = cell.output or cell.states[0]
    torch.testing.assert_close(values[named], output.detach(), rtol=0, atol=1e-12)
    for state, each in zip(cell.program(3).state_names, every, strict=True):
        if state in cell.states:  # not an earlier input
            torch.testing.assert_close(values[state], each[0].detach(), rtol=0, atol=1e-12)
    assert all(
        value.shape == (2, 5, named_nodes(cell.program(3))[k].width or 1) for k, value in values.items()
    )


def test_program_and_weights_states_and_one_sequence():
    torch.manual_seed(2)
    rnn = RNN(cells.GRU(4), 3)
    x, h = torch.randn(1, 5, 3), torch.randn(1, 4)
    program = cells.GRU(4).program(3)
    pair = (program, [getattr(rnn, f"{family.name}_l0") for family in program.families])
    expected = rnn(x, h[None])[0].detach()
    torch.testing.assert_close(gates(pair, x, states=[h])["h"], expected)
    torch.testing.assert_close(gates(rnn, x[0], states=[h])["h"], expected)
    assert not torch.allclose(gates(rnn, x)["h"], expected)


def test_a_layer_that_goes_backwards():
    torch.manual_seed(3)
    layer = layers.GRU(4, return_sequences=True, go_backwards=True)
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(gates_of(layer, x), layer(x).detach())


def gates_of(layer, x):
    layer.build(tuple(x.shape))
    return gates(layer, x)["h"]


def test_one_number_a_row():
    from nabi.ir import Cell
    from nabi.ir.functions import mean, tanh

    class Centred(Cell):
        def step(self, x, h):
            centre = mean(h)
            return tanh(self.affine("h", x, h)) - centre

    values = gates(RNN(Centred(4), 3), torch.randn(2, 5, 3))
    assert values["centre"].shape == (2, 5, 1)
    torch.testing.assert_close(values["centre"][:, 1:], values["h"][:, :-1].mean(2, keepdim=True))


def test_no_steps():
    assert gates(RNN(cells.LSTM(4), 3), torch.zeros(2, 0, 3))["f"].shape == (2, 0, 4)


def test_stateful_layers_keep_their_states():
    layer = layers.LSTM(4, stateful=True, batch_input_shape=(1, 5, 3))
    x = torch.randn(1, 5, 3)
    layer(x)
    before = [state.clone() for state in layer.states]
    gates(layer, x)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.states, strict=True))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (torch.nn.Linear(3, 4), "expected a recurrent layer"),
        (layers.Dense(3), "expected a recurrent layer"),
        (layers.LSTM(3), "not built"),
        (RNN(cells.LSTM(3), 3, num_layers=2), "RNN of 2 layers"),
        (RNN(cells.LSTM(3), 3, bidirectional=True), "both directions"),
    ],
)
def test_what_is_not_one_recurrent_layer(layer, message):
    with pytest.raises(ArgumentError, match=message):
        gates(layer, torch.zeros(1, 2, 3))


def test_wrong_inputs():
    rnn = RNN(cells.LSTM(3), 3)
    with pytest.raises(ShapeError, match="inputs"):
        gates(rnn, torch.zeros(3))
    with pytest.raises(ShapeError, match="2"):
        gates(rnn, torch.zeros(1, 2, 2))


def test_picture(tmp_path):
    rnn = RNN(cells.LSTM(4), 3)
    labels = ["g8", "e8", "e4", "f8", "d8"]
    text = gates_picture(
        rnn, torch.randn(1, 5, 3), tmp_path / "g.svg", labels=labels, title="Song"
    ).read_text()
    written = text.split("<!-- ")
    for name in ["i", "f", "g", "c", "o", "h"]:
        assert any(part.startswith(f"${name}_{{t}}$ -->") for part in written)
    for label in [*labels, "Song", "mean"]:
        assert any(part.startswith(f"{label} -->") for part in written)


def test_picture_of_some_gates_and_steps(tmp_path):
    rnn = RNN(cells.LSTM(4), 3)
    x = torch.randn(1, 12, 3)
    path = tmp_path / "g.svg"
    text = gates_picture(
        rnn, x, path, gates=["f"], steps=slice(3, None, 4), labels=["a", "b", "c"]
    ).read_text()
    assert "<!-- $f_{t}$ -->" in text
    assert "<!-- $i_{t}$ -->" not in text
    assert gates_picture(gates(rnn, x), None, tmp_path / "values.png", steps=[0, 5]).is_file()


def test_one_unit_far_out_does_not_make_the_others_pale(tmp_path):
    value = torch.linspace(0, 1, 32).expand(1, 6, 32).clone()
    value[..., 0] = -400
    written = gates_picture({"c": value}, None, tmp_path / "c.svg").read_text()
    assert "<!-- 0.97 -->" in written
    assert "<!-- 4e+02 -->" not in written


def test_picture_errors(tmp_path):
    rnn, x = RNN(cells.LSTM(4), 3), torch.randn(1, 5, 3)
    with pytest.raises(ArgumentError, match="one for each of the 5 steps, got 2"):
        gates_picture(rnn, x, tmp_path / "g.svg", labels=["a", "b"])
    with pytest.raises(UnknownNameError, match="gates: 'z' is not known"):
        gates_picture(rnn, x, tmp_path / "g.svg", gates=["z"])
    with pytest.raises(ShapeError, match="at least one time step"):
        gates_picture(rnn, x[:, :0], tmp_path / "g.svg")
    with pytest.raises(ArgumentError, match=r"\.svg or \.png"):
        gates_picture(rnn, x, tmp_path / "g.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="path: cannot write"):
        gates_picture(rnn, x, tmp_path / "file" / "g.svg")


def test_a_cell_that_reads_more_than_its_input():
    torch.manual_seed(4)
    rnn = RNN(cells.EALSTM(4, static_size=2), 3)
    x, static = torch.randn(2, 5, 3), torch.randn(2, 2)
    values = gates(rnn, x, extra={"static": static})
    torch.testing.assert_close(values["h"], rnn(x, static=static)[0].detach())
    # What is computed once for a sequence is shown at every step.
    torch.testing.assert_close(values["i"], values["i"][:, :1].expand(-1, 5, -1))
    layer = layers.RNN(cells.CfC(4), return_sequences=True, go_backwards=True)
    delta = torch.rand(2, 5)
    torch.testing.assert_close(layer(x, delta=delta).detach(), gates(layer, x, extra={"delta": delta})["h"])
    with pytest.raises(ArgumentError, match="static: expected"):
        gates(rnn, x)
