"""RNN over cells: of nabi, Keras-style, the user's own, stacked."""

import numpy as np
import pytest
import torch

from nabi import cells, layers, models
from nabi.errors import ArgumentError, ShapeError
from nabi.ir.functions import tanh
from tests.cells.sampling import cells_of_today


class Minimal(layers.Layer):
    """The example that Keras' documentation teaches, in torch."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units), initializer="uniform", name="recurrent_kernel"
        )

    def call(self, inputs, states):
        output = inputs @ self.kernel + states[0] @ self.recurrent_kernel
        return output, [output]


class Plain:
    """No layer at all; its output is wider than its state, its state starts at one."""

    state_size = 2
    output_size = 3

    def get_initial_state(self, batch_size):
        return torch.ones(batch_size, 2)

    def call(self, inputs, states):
        new = states[0] + inputs
        return torch.cat([new, inputs[:, :1]], 1), new


class Image(layers.Layer):
    """States and outputs with two axes."""

    state_size = torch.Size([2, 3])

    def call(self, inputs, states):
        return inputs + states[0], [inputs + states[0]]


@pytest.mark.parametrize(
    ("cell", "layer"),
    [
        (lambda: layers.SimpleRNNCell(4), lambda **a: layers.SimpleRNN(4, **a)),
        (lambda: layers.LSTMCell(4), lambda **a: layers.LSTM(4, **a)),
        (lambda: layers.GRUCell(4), lambda **a: layers.GRU(4, **a)),
        (lambda: layers.GRUCell(4, reset_after=False), lambda **a: layers.RNN(cells.GRU2014(4), **a)),
        (lambda: layers.LSTMCell(4), lambda **a: layers.RNN(cells.LSTM(4), **a)),
    ],
)
@pytest.mark.parametrize("unroll", [False, True])
def test_layer_cell_and_steps_agree(cell, layer, unroll) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 2)
    one, over_time = cell(), layer(return_sequences=True, return_state=True, unroll=unroll)
    of_cell = layers.RNN(one, return_sequences=True, return_state=True)
    over_time.build(x.shape)
    of_cell.build(x.shape)
    of_cell.set_weights(over_time.get_weights())
    assert [w.shape for w in of_cell.weights] == [w.shape for w in over_time.weights]
    torch.testing.assert_close(of_cell(x), over_time(x))
    states = one.get_initial_state(batch_size=3)
    states = states if isinstance(states, list) else [states]
    for t in range(5):
        output, states = one(x[:, t], states)
        torch.testing.assert_close(output, over_time(x)[0][:, t])
    torch.testing.assert_close(list(states), list(over_time(x)[1:]))


@pytest.mark.parametrize("name", [n for n in cells_of_today() if not cells.get(n).needed_inputs()])
def test_every_cell_of_nabi(name) -> None:
    kind = cells.get(name)
    cell = kind(units=4, **kind.needed_settings(4, 3))
    layer = layers.RNN(cell, return_sequences=True, return_state=True)
    x = torch.randn(2, 5, 3)
    output, *states = layer(x)
    assert layer.cell is cell
    assert output.shape == (2, 5, cell.output_width)
    assert [tuple(s.shape) for s in states] == [(2, width) for width in cell.program(3).state_widths]
    assert layer.count_params() == layer.program().parameter_count
    assert layer.parameter_sum() == layer.program().parameter_sum
    if layer.trainable_weights:  # an echo state network has none
        output.square().sum().backward()
    assert all(w.grad is not None for w in layer.trainable_weights)
    halves = [layer(x[:, :2])]
    halves.append(layer(x[:, 2:], initial_state=halves[0][1:]))
    torch.testing.assert_close(torch.cat([half[0] for half in halves], 1), output)


def test_names_and_layout_of_a_cells_weights() -> None:
    layer = layers.RNN(cells.PeepholeLSTM(4))
    layer.build((None, None, 3))
    shapes = {name: tuple(weight.shape) for name, weight in layer.named_parameters()}
    assert shapes == {"kernel": (3, 16), "recurrent_kernel": (4, 16), "w_c": (12,), "bias": (16,)}
    families = layer.program().families
    assert [tuple(p.shape) for p in layer.cell_parameters()] == [family.shape for family in families]
    assert layer.bias[4:8].tolist() == [1.0] * 4
    full = layers.RNN(cells.PeepholeLSTM(4, full=True))
    full.build((None, None, 3))
    assert tuple(full.W_c.shape) == (4, 12)


def test_a_cell_of_ones_own() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3)
    layer = layers.RNN(Minimal(5), return_sequences=True)
    rnn = layers.SimpleRNN(5, "linear", use_bias=False, return_sequences=True)
    rnn.build(x.shape)
    layer.build(x.shape)
    rnn.set_weights(layer.get_weights())
    torch.testing.assert_close(layer(x), rnn(x))
    assert layer.parameter_sum() == "3 × 5 + 5 × 5 = 40"
    layer(x).sum().backward()
    assert layer.cell.kernel.grad is not None


def test_a_cell_that_is_no_layer() -> None:
    layer = layers.RNN(Plain(), return_sequences=True, return_state=True)
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    output, state = layer(x)
    assert output.tolist() == [[[2, 3, 1], [5, 7, 3]]]
    assert state.tolist() == [[5, 7]]
    assert layer.compute_output_shape((None, 2, 2)) == ((None, 2, 3), (None, 2))
    masked, _ = layer(x, mask=np.array([[False, True]]))
    assert masked.tolist() == [[[0, 0, 0], [4, 5, 3]]]
    assert layer(torch.zeros(1, 0, 2))[0].shape == (1, 0, 3)


def test_a_cell_with_axes_in_its_state() -> None:
    layer = layers.RNN(Image(), return_sequences=True)
    x = torch.ones(2, 4, 2, 3)
    output = layer(x, mask=torch.tensor([[True, False, True, True]] * 2))
    assert output.shape == (2, 4, 2, 3)
    assert output[0, :, 0, 0].tolist() == [1, 1, 2, 3]
    assert layer.compute_output_shape((None, None, 2, 3)) == (None, None, 2, 3)


def test_stacked_cells_are_stacked_layers() -> None:
    torch.manual_seed(0)
    x, mask = torch.randn(2, 4, 3), torch.tensor([[True, False, True, True], [True, True, False, False]])
    stack = layers.RNN([layers.LSTMCell(4), layers.GRUCell(2)], return_sequences=True, return_state=True)
    assert isinstance(stack.cell, layers.StackedRNNCells)
    first, second = layers.LSTM(4, return_sequences=True, return_state=True), layers.GRU(2, return_state=True)
    stack.build(x.shape)
    first.build(x.shape)
    second.build((2, 4, 4))
    first.set_weights(stack.get_weights()[:3])
    second.set_weights(stack.get_weights()[3:])
    middle, h, c = first(x, mask=mask)
    last, state = second(middle, mask=mask)
    output, lstm_states, gru_state = stack(x, mask=mask)
    torch.testing.assert_close(lstm_states, [h, c])
    torch.testing.assert_close(gru_state, state)
    torch.testing.assert_close(output[:, -1], last)
    again = stack(x, mask=mask, initial_state=[lstm_states, gru_state])
    assert not torch.equal(again[0], output)


def test_cells_are_steps_of_the_same_stack() -> None:
    """A stack with a cell of one's own in it goes step by step, with the same numbers."""
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3)

    class Same(layers.GRUCell):
        def call(self, inputs, states, training=False):
            return super().call(inputs, states, training)

    fast = layers.RNN([layers.LSTMCell(4), layers.GRUCell(2)])
    slow = layers.RNN([layers.LSTMCell(4), Same(2)])
    fast.build(x.shape)
    slow.build(x.shape)
    slow.set_weights(fast.get_weights())
    torch.testing.assert_close(slow(x), fast(x))


def test_dropout_masks_of_a_cell_of_ones_own() -> None:
    class Dropping(layers.Layer, layers.DropoutRNNCell):
        def __init__(self):
            super().__init__()
            self.state_size = 50
            self.dropout, self.recurrent_dropout = 0.5, 0.5
            self.seed_generator = layers.SeedGenerator(1)

        def call(self, inputs, states, training=False):
            if training:
                inputs = inputs * self.get_dropout_mask(inputs)
                states = [states[0] * self.get_recurrent_dropout_mask(states[0])]
            return inputs, [states[0]]

    layer = layers.RNN(Dropping(), return_sequences=True)
    x = torch.ones(3, 4, 50)
    output = layer(x, training=True)
    assert (output == output[:, :1]).all()
    assert set(output.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(layer(x, training=True), output)
    assert (layer(x) == 1).all()


def test_what_is_no_cell() -> None:
    class NoSize:
        def call(self, inputs, states):
            return inputs, states

    with pytest.raises(
        ArgumentError, match=r"cell: expected a nabi.cells cell, or .*, got NoSize without state_size"
    ):
        layers.RNN(NoSize())
    with pytest.raises(ArgumentError, match=r"cell: .* got int without call"):
        layers.RNN(3)
    with pytest.raises(ArgumentError, match=r"cells\[1\]: .*, got NoSize without state_size"):
        layers.RNN([layers.GRUCell(2), NoSize()])
    with pytest.raises(ArgumentError, match=r"cells: expected a list of at least one cell, got \[\]"):
        layers.RNN([])
    wrong = Plain()
    wrong.state_size = "two"
    with pytest.raises(ArgumentError, match=r"expected a whole number or a list of them as state_size"):
        layers.RNN(wrong)


def test_initial_states() -> None:
    layer = layers.LSTM(2)
    x = torch.ones(3, 4, 1)
    zeros = np.zeros((3, 2))
    torch.testing.assert_close(layer(x, initial_state=[zeros, zeros]), layer(x))
    torch.testing.assert_close(layer([x, torch.ones(3, 2), torch.zeros(3, 2)]), layer(x, [zeros + 1, zeros]))
    gru = layers.GRU(2)
    torch.testing.assert_close(gru(x, initial_state=zeros), gru(x))
    with pytest.raises(ArgumentError, match=r"initial_state: .* expected 2 states, got 1"):
        layer(x, initial_state=zeros)
    with pytest.raises(
        ShapeError, match=r"initial_state: .* expected shape \(3, 2\) for state 1, got \(3, 5\)"
    ):
        layer(x, initial_state=[zeros, np.zeros((3, 5))])


class TensorCell:
    """A Keras-style cell of plain functions, whatever its call returns."""

    def __init__(self, returned, state_size=3):
        self.returned, self.state_size = returned, state_size

    def call(self, inputs, states):
        return self.returned(states)


def test_a_cell_may_return_its_one_state_alone():
    rnn = layers.RNN(TensorCell(lambda s: s[0] + 1), return_sequences=True)
    both = layers.RNN(TensorCell(lambda s: (s[0] + 1, [s[0] + 1])), return_sequences=True)
    x = torch.zeros(2, 4, 5)
    assert torch.equal(rnn(x), both(x))
    assert torch.equal(rnn(x)[0, :, 0], torch.arange(1.0, 5.0))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda s: None, "expected call to return the output and the new states"),
        (lambda s: (s[0], s, s), "got 3 values"),
        (lambda s: (s[0], []), "expected call to return 1 new states, tensors, got none"),
        (lambda s: (s[0], [s[0], s[0]]), "expected call to return 1 new states"),
        (lambda s: (1.0, s), "expected a tensor as output, got float"),
        (lambda s: (s[0], [s[0][:, :2]]), "expected the new state 0 in shape"),
        (lambda s: s[0][:, :2], "expected the new state 0 in shape"),
    ],
)
def test_what_a_cell_returns_is_checked(returned, message):
    with pytest.raises(ArgumentError, match=f"TensorCell: .*{message}"):
        layers.RNN(TensorCell(returned))(torch.zeros(2, 4, 5))


class OneNumber(cells.Cell):
    """A cell with a parameter of a name that is chosen with it."""

    parameter_name: str = "alpha"

    def step(self, x, h):
        return tanh(self.affine("h", x, h) + self.parameter(self.parameter_name, init=0.25))


@pytest.mark.parametrize("name", ["float", "train", "to", "half", "forward", "training", "cell", "weights",
                                  "input", "kernel", "bias", "_parameters"])  # fmt: skip
def test_parameters_may_be_called_as_the_attributes_of_a_layer(name, tmp_path) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
    found = []
    for one in ("alpha", name):
        torch.manual_seed(1)
        model = models.Sequential([layers.RNN(OneNumber(4, parameter_name=one), input_shape=(None, 3))])
        layer = model.layers[0]
        weight = "alpha" if one == "alpha" else f"{one}_"
        assert set(layer._parameters) == {"kernel", "recurrent_kernel", "bias", weight}
        layer.float().train().to("cpu")
        model.compile("sgd", "mse")
        model.fit(x, np.ones((2, 4), "float32"), epochs=2, verbose=0)
        found.append(model.predict(x, verbose=0))
    np.testing.assert_array_equal(*found)
    model.save(tmp_path / "model.nabi")
    again = models.load_model(tmp_path / "model.nabi", custom_objects={"OneNumber": OneNumber})
    np.testing.assert_array_equal(again.predict(x, verbose=0), found[1])
