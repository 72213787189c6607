"""Bad input: each error names the argument, what came and what was expected."""

import numpy as np
import pytest
import torch

from nabi import activations, layers
from nabi.errors import ArgumentError, ShapeError, UnknownNameError


def built(layer, *shape):
    layer.build(shape)
    return layer


@pytest.mark.parametrize("make", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_recurrent_inputs(make) -> None:
    with pytest.raises(
        ShapeError, match=r"expected 3 axes \(batch, time, features\), got 2 axes, shape \(2, 4\)"
    ):
        make(3, name="mine")(np.zeros((2, 4)))
    layer = built(make(3, name="mine"), None, 4, 1)
    with pytest.raises(
        ShapeError, match=r"inputs: mine .* built for 1 features in the last axis, got 2, shape \(5, 4, 2\)"
    ):
        layer(np.zeros((5, 4, 2)))
    with pytest.raises(ShapeError, match=r"expected 3 axes"):
        layer(np.zeros((5, 4)))
    with pytest.raises(ShapeError, match=r"mask: mine .* expected the shape \(5, 4\).*, got \(5, 3\)"):
        layer(np.zeros((5, 4, 1)), mask=np.ones((5, 3), bool))
    with pytest.raises(
        ShapeError, match=r"input_shape: .* needs the size of the last axis .* got \(None, 4, None\)"
    ):
        make(3).build((None, 4, None))


def test_other_inputs() -> None:
    with pytest.raises(
        ShapeError, match=r"inputs: .* \(Dense\) was built for 4 features .* got 3, shape \(2, 3\)"
    ):
        built(layers.Dense(2), None, 4)(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"\(Dense\) expected 2 axes or more"):
        layers.Dense(2)(np.zeros(3))
    with pytest.raises(ShapeError, match=r"\(Dense\) expected 2 axes or more"):
        built(layers.Dense(2), None, 3)(np.zeros(3))
    with pytest.raises(ShapeError, match=r"\(Conv1D\) expected 3 axes"):
        layers.Conv1D(2, 3)(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"\(Conv1D\) expected at least 5 time steps for its window, got 4"):
        layers.Conv1D(2, 5)(np.zeros((2, 4, 3)))
    with pytest.raises(ShapeError, match=r"built for 3 features .* got 2"):
        built(layers.Conv1D(2, 3), None, 5, 3)(np.zeros((1, 5, 2)))
    for layer in (layers.MaxPooling1D(), layers.AveragePooling1D(), layers.GlobalMaxPooling1D()):
        with pytest.raises(ShapeError, match=r"expected 3 axes \(batch, time, features\)"):
            layer(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"expected at least one time step"):
        layers.GlobalMaxPooling1D()(np.zeros((2, 0, 3)))
    with pytest.raises(ShapeError, match=r"expected 2 axes \(batch, features\)"):
        layers.RepeatVector(2)(np.zeros((2, 3, 4)))
    with pytest.raises(ShapeError, match=r"\(TimeDistributed\) expected 3 axes or more"):
        layers.TimeDistributed(layers.Dense(2))(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"mask: .* shape \(2, 4\)"):
        layers.TimeDistributed(layers.Dense(2))(np.zeros((2, 3, 4)), mask=np.ones((2, 4), bool))
    with pytest.raises(ArgumentError, match=r"\(Embedding\) expected whole numbers from 0 to 9, got 3 to 10"):
        layers.Embedding(10, 2)(np.array([[3, 10]]))
    with pytest.raises(ShapeError, match=r"\(LSTMCell\) expected 2 axes"):
        layers.LSTMCell(3)(torch.zeros(2, 3, 4), [torch.zeros(2, 3)] * 2)


def test_a_layer_is_no_input() -> None:
    with pytest.raises(ArgumentError, match=r"inputs: dense.* got the layer Dense itself\. Call it first"):
        layers.Dense(2)(layers.Dense(3))


def test_names() -> None:
    with pytest.raises(UnknownNameError, match=r"activation: 'tahn' is not known; did you mean 'tanh'"):
        layers.LSTM(3, activation="tahn")
    with pytest.raises(UnknownNameError, match=r"recurrent_activation: 'sigmod' .* did you mean 'sigmoid'"):
        layers.GRU(3, recurrent_activation="sigmod")
    with pytest.raises(UnknownNameError, match=r"activation: 'rleu' .* did you mean 'relu'"):
        layers.Dense(3, activation="rleu")
    with pytest.raises(ArgumentError, match=r"activation: expected a name or a function, got 3"):
        layers.Dense(3, activation=3)
    with pytest.raises(
        ArgumentError, match=r"activation: expected one of .* for a recurrent layer, .* write a cell"
    ):
        layers.SimpleRNN(3, activation=lambda x: x)
    with pytest.raises(UnknownNameError, match=r"padding: 'sam' is not known; did you mean 'same'\?"):
        layers.Conv1D(2, 3, padding="sam")
    with pytest.raises(UnknownNameError, match=r"dtype: 'float23' .* did you mean 'float32'"):
        layers.Dense(2, dtype="float23")
    with pytest.raises(ArgumentError, match=r"implementation: expected a whole number from 0 to 2, got 3"):
        layers.GRU(2, implementation=3)
    with pytest.raises(ArgumentError, match=r"^name: expected a text or None, got 3$"):
        layers.Dense(2, name=3)
    with pytest.raises(ArgumentError, match=r"seed: expected a whole number or None"):
        layers.Dropout(0.5, seed="one")


@pytest.mark.parametrize("number", [0, -3, 2.5, "three", None, True])
def test_sizes(number) -> None:
    for argument, make in [
        ("units", layers.Dense),
        ("units", layers.LSTM),
        ("units", layers.GRUCell),
        ("n", layers.RepeatVector),
        ("filters", lambda n: layers.Conv1D(n, 3)),
        ("kernel_size", lambda n: layers.Conv1D(3, n)),
        ("pool_size", layers.MaxPooling1D),
        ("pool_size", layers.AveragePooling1D),
        ("input_dim", lambda n: layers.Embedding(n, 3)),
        ("output_dim", lambda n: layers.Embedding(3, n)),
    ]:
        with pytest.raises(ArgumentError, match=rf"{argument}: expected a whole number"):
            make(number)


def test_shapes_that_are_declared() -> None:
    with pytest.raises(ArgumentError, match=r"shape: expected shape="):
        layers.InputLayer()
    with pytest.raises(
        ArgumentError, match=r"input_shape: the input shape is already given by batch_input_shape"
    ):
        layers.Dense(2, input_shape=(3,), batch_input_shape=(1, 3))
    with pytest.raises(ShapeError, match=r"input_shape: expected whole numbers or None, got 'x' in \('x',\)"):
        layers.Dense(2, input_shape=("x",))
    with pytest.raises(ShapeError, match=r"input_shape: expected a list or tuple"):
        layers.Dense(2, input_shape="x")
    with pytest.raises(ShapeError, match=r"batch_input_shape: expected at least the batch size"):
        layers.Dense(2, batch_input_shape=())
    with pytest.raises(ArgumentError, match=r"filters: expected a multiple of groups=2, got 3"):
        layers.Conv1D(3, 2, groups=2)
    with pytest.raises(ShapeError, match=r"expected a multiple of groups=2 features, got 3"):
        layers.Conv1D(4, 2, groups=2).build((None, 5, 3))
    with pytest.raises(ArgumentError, match=r"strides: expected 1 together with dilation_rate=2, got 2"):
        layers.Conv1D(4, 2, strides=2, dilation_rate=2)
    for make in (layers.Flatten, layers.MaxPooling1D, layers.AveragePooling1D, layers.GlobalMaxPooling1D):
        with pytest.raises(ArgumentError, match=r"data_format: expected 'channels_last'"):
            make(data_format="channels_first")


def test_activations() -> None:
    x = torch.linspace(-3, 3, 7)
    assert activations.get("hard_sigmoid")(x).tolist() == pytest.approx([(v + 3) / 6 for v in range(-3, 4)])
    assert activations.get("leaky_relu")(x).tolist() == pytest.approx([-0.6, -0.4, -0.2, 0, 1, 2, 3])
    assert activations.get("softsign")(x).tolist() == pytest.approx([v / (1 + abs(v)) for v in range(-3, 4)])
    assert activations.get("softmax")(x).sum() == pytest.approx(1)
    assert activations.get(torch.nn.functional.relu) is activations.relu
    assert activations.serialize(activations.swish) == "silu"
    own = torch.nn.PReLU()
    assert activations.get(own) is own


def test_wrappers_want_layers() -> None:
    with pytest.raises(ArgumentError, match=r"^layer: expected a layer or a torch module, got 3$"):
        layers.TimeDistributed(3)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Conv1D(3, 7), "at least 7 time steps"),
        (layers.Conv1D(3, 4, dilation_rate=2), "at least 7 time steps"),
        (layers.MaxPooling1D(7), "at least 7 time steps"),
        (layers.RepeatVector(3), "expected 2 axes"),
    ],
)
def test_what_cannot_follow_is_found_when_the_shape_is_known(layer, message) -> None:
    with pytest.raises(ShapeError, match=message):
        layer.compute_output_shape((None, 4, 1))
    with pytest.raises(ShapeError, match=message):
        layer(np.zeros((2, 4, 1)))
