"""Every layer comes back from its config, through JSON, and computes the same with the same weights."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from nabi import cells, layers
from nabi.errors import ArgumentError, UnknownNameError

EVERY = {
    "InputLayer": (lambda: layers.InputLayer((4, 3)), (2, 4, 3)),
    "Dense": (lambda: layers.Dense(3, "relu", False, "he_normal", kernel_regularizer="l1_l2"), (2, 4)),
    "Activation": (lambda: layers.Activation("softplus"), (2, 4)),
    "Dropout": (lambda: layers.Dropout(0.3, noise_shape=(None, 1), seed=3), (2, 4)),
    "SpatialDropout1D": (lambda: layers.SpatialDropout1D(0.3, seed=3), (2, 4, 3)),
    "Flatten": (lambda: layers.Flatten(input_shape=(4, 3)), (2, 4, 3)),
    "RepeatVector": (lambda: layers.RepeatVector(3), (2, 4)),
    "Masking": (lambda: layers.Masking(-1), (2, 4, 3)),
    "Embedding": (lambda: layers.Embedding(9, 3, mask_zero=True, input_length=4), (2, 4)),
    "Conv1D": (lambda: layers.Conv1D(3, 2, 2, "same", activation="tanh", bias_regularizer="l2"), (2, 4, 3)),
    "MaxPooling1D": (lambda: layers.MaxPooling1D(2, 1, "same"), (2, 4, 3)),
    "AveragePooling1D": (lambda: layers.AveragePooling1D(2, 1, "same"), (2, 4, 3)),
    "GlobalAveragePooling1D": (lambda: layers.GlobalAveragePooling1D(keepdims=True), (2, 4, 3)),
    "GlobalMaxPooling1D": (lambda: layers.GlobalMaxPooling1D(keepdims=True), (2, 4, 3)),
    "Conv2D": (
        lambda: layers.Conv2D(4, (3, 2), (1, 2), "same", groups=2, use_bias=False, kernel_regularizer="l1"),
        (2, 5, 4, 2),
    ),
    "MaxPooling2D": (lambda: layers.MaxPooling2D((2, 3), 1, "same"), (2, 4, 5, 3)),
    "AveragePooling2D": (lambda: layers.AveragePooling2D(2, (1, 2), "same"), (2, 4, 5, 3)),
    "GlobalAveragePooling2D": (lambda: layers.GlobalAveragePooling2D(keepdims=True), (2, 4, 5, 3)),
    "GlobalMaxPooling2D": (lambda: layers.GlobalMaxPooling2D(keepdims=True), (2, 4, 5, 3)),
    "Add": (lambda: layers.Add(), [(2, 4), (2, 4)]),
    "Subtract": (lambda: layers.Subtract(), [(2, 4), (2, 4)]),
    "Multiply": (lambda: layers.Multiply(), [(2, 4), (2, 4)]),
    "Average": (lambda: layers.Average(), [(2, 4), (2, 4)]),
    "Maximum": (lambda: layers.Maximum(), [(2, 4), (2, 4)]),
    "Minimum": (lambda: layers.Minimum(), [(2, 4), (2, 4)]),
    "Concatenate": (lambda: layers.Concatenate(1), [(2, 4, 3), (2, 5, 3)]),
    "Dot": (lambda: layers.Dot((2, 1), normalize=True), [(2, 4, 3), (2, 3, 5)]),
    "Attention": (
        lambda: layers.Attention(True, "concat", dropout=0.2, seed=3),
        [(2, 3, 4), (2, 5, 4), (2, 5, 4)],
    ),
    "AdditiveAttention": (
        lambda: layers.AdditiveAttention(False, 0.2, 3),
        [(2, 3, 4), (2, 5, 4)],
    ),
    "ActivityRegularization": (lambda: layers.ActivityRegularization(0.1, 0.2), (2, 4)),
    "BatchNormalization": (
        lambda: layers.BatchNormalization(1, 0.9, 0.1, False, gamma_regularizer="l2", trainable=False),
        (2, 4, 3),
    ),
    "ELU": (lambda: layers.ELU(0.5), (2, 4)),
    "GaussianDropout": (lambda: layers.GaussianDropout(0.3, seed=3), (2, 4)),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.3, seed=3), (2, 4)),
    "Identity": (lambda: layers.Identity(), (2, 4)),
    "LayerNormalization": (lambda: layers.LayerNormalization([1, 2], 0.1, scale=False), (2, 4, 3)),
    "LeakyReLU": (lambda: layers.LeakyReLU(0.1), (2, 4)),
    "PReLU": (lambda: layers.PReLU("ones", "l1", shared_axes=[1]), (2, 4, 3)),
    "RMSNormalization": (lambda: layers.RMSNormalization(1, 0.1), (2, 4, 3)),
    "ReLU": (lambda: layers.ReLU(2.0, 0.1, 0.5), (2, 4)),
    "TorchModuleWrapper": (lambda: layers.TorchModuleWrapper(torch.nn.Linear(4, 3, bias=False)), (2, 4)),
    "TorchModuleWrapper of several": (
        lambda: layers.TorchModuleWrapper(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())),
        (2, 4),
    ),
    "UnitNormalization": (lambda: layers.UnitNormalization([1, 2]), (2, 4, 3)),
    "Reshape": (lambda: layers.Reshape((-1, 2)), (2, 4, 3)),
    "Permute": (lambda: layers.Permute((2, 1)), (2, 4, 3)),
    "Softmax": (lambda: layers.Softmax(1), (2, 4, 3)),
    "Arithmetic": (lambda: layers.Arithmetic("divide", (1, 3), True), (2, 4, 3)),
    "Elementwise": (lambda: layers.Elementwise("hard_sigmoid", [0.3, 0.4]), (2, 4)),
    "Reduce": (lambda: layers.Reduce("norm", [1], keepdims=True), (2, 4, 3)),
    "Slice": (lambda: layers.Slice(1, -2, step=1), (2, 4, 3)),
    "StartState": (lambda: layers.StartState(3), (2, 4, 3)),
    "TimeDistributed": (lambda: layers.TimeDistributed(layers.Dense(2)), (2, 4, 3)),
    "SimpleRNN": (
        lambda: layers.SimpleRNN(3, "relu", recurrent_initializer="identity", go_backwards=True),
        (2, 4, 3),
    ),
    "LSTM": (
        lambda: layers.LSTM(
            3,
            None,
            torch.sigmoid,
            unit_forget_bias=False,
            stateful=True,
            unroll=True,
            batch_input_shape=(2, 4, 3),
        ),
        (2, 4, 3),
    ),
    "GRU": (lambda: layers.GRU(3, reset_after=False, dropout=0.1, recurrent_dropout=0.2, seed=4), (2, 4, 3)),
    "time_major": (lambda: layers.GRU(3, implementation=1, dropout=0.1, time_major=True), (2, 4, 3)),
    "RNN of a nabi cell": (
        lambda: layers.RNN(cells.PeepholeLSTM(3, full=True), return_sequences=True),
        (2, 4, 3),
    ),
    "RNN of a layer": (lambda: layers.RNN(layers.GRUCell(3), zero_output_for_mask=True), (2, 4, 3)),
    "RNN of a list": (
        lambda: layers.RNN([layers.LSTMCell(3), layers.SimpleRNNCell(2)], return_state=True),
        (2, 4, 3),
    ),
    "ConvLSTM1D": (lambda: layers.ConvLSTM1D(2, 3, dilation_rate=2, kernel_regularizer="l2"), (2, 4, 6, 3)),
    "ConvLSTM2D": (
        lambda: layers.ConvLSTM2D(
            2,
            (3, 2),
            (1, 2),
            "same",
            "channels_first",
            activation="relu",
            recurrent_activation="hard_sigmoid",
            use_bias=False,
            return_sequences=True,
            stateful=True,
            batch_input_shape=(2, 4, 3, 5, 6),
        ),
        (2, 4, 3, 5, 6),
    ),
    "ConvLSTM3D": (
        lambda: layers.ConvLSTM3D(2, 2, dropout=0.1, recurrent_dropout=0.2, seed=4, unit_forget_bias=False),
        (2, 3, 4, 4, 3, 1),
    ),
    "Bidirectional": (lambda: layers.Bidirectional(layers.LSTM(3), "mul"), (2, 4, 3)),
    "Bidirectional of two": (
        lambda: layers.Bidirectional(
            layers.RNN(cells.IndRNN(3)), None, backward_layer=layers.GRU(3, go_backwards=True)
        ),
        (2, 4, 3),
    ),
}


@pytest.mark.parametrize("name", EVERY)
def test_round_trip(name) -> None:
    make, shape = EVERY[name]
    layer = make()
    described = json.loads(json.dumps(layers.serialize(layer)))
    assert set(described) == {"class_name", "config"}
    twin = layers.deserialize(described)
    assert type(twin) is type(layer)
    assert twin.get_config() == layer.get_config()
    assert twin.declared_input_shape == layer.declared_input_shape
    random = np.random.default_rng(0)
    several = isinstance(shape, list)
    inputs: Any = [np.abs(random.normal(size=one)) for one in (shape if several else [shape])]
    inputs = inputs if several else inputs[0]
    expected = layer(inputs)
    twin.build(shape)
    twin.set_weights(layer.get_weights())
    torch.testing.assert_close(twin(inputs), expected)
    before = [str(penalty) for penalty in layer._weight_regularizers.values()]
    assert [str(penalty) for penalty in twin._weight_regularizers.values()] == before


def test_every_public_layer_is_covered() -> None:
    made = {type(make()).__name__ for make, _ in EVERY.values()}
    public = {
        kind.__name__
        for kind in [getattr(layers, name) for name in layers.__all__]
        if isinstance(kind, type) and issubclass(kind, layers.Layer)
    }
    inside = {"ConvLSTMCell", "LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"}
    inside.add("SequenceMask")  # it reads lengths: see its own example
    inside.add(
        "Lambda"
    )  # its function comes from custom_objects: see tests/models/test_small_layers_in_models.py
    assert public - made - inside == {"Layer", "Wrapper"}


def test_what_a_config_cannot_hold() -> None:
    with pytest.raises(ArgumentError, match=r"has no name to store in a config"):
        layers.Dense(2, activation=lambda x: x).get_config()
    # An array it can: see tests/layers/test_dtypes.py.
    assert layers.Dense(2, kernel_initializer=np.zeros((2, 2))).get_config()["units"] == 2
    with pytest.raises(ArgumentError, match=r"has no get_config\(\)"):
        layers.Dense(2, kernel_initializer=lambda shape, dtype: torch.zeros(shape)).get_config()

    class Bare:
        state_size = 2

        def call(self, inputs, states):
            return states[0], states

    with pytest.raises(ArgumentError, match=r"is not a layer, so a config can't hold it"):
        layers.RNN(Bare()).get_config()


def shifted(x):
    return x + 1


def sevens(shape, dtype=None):
    return torch.full(shape, 7.0, dtype=dtype)


class Heavy:
    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, weight):
        return self.factor * weight.abs().max()

    def get_config(self):
        return {"factor": self.factor}


def test_functions_and_objects_of_ones_own_come_back() -> None:
    own = {"shifted": shifted, "sevens": sevens, "Heavy": Heavy}
    layer = layers.TimeDistributed(
        layers.Dense(2, activation=shifted, kernel_initializer=sevens, kernel_regularizer=Heavy(3.0))
    )
    described = json.loads(json.dumps(layers.serialize(layer)))
    twin = layers.deserialize(described, own)
    assert twin.get_config() == layer.get_config()
    assert torch.equal(twin(np.ones((1, 1, 2))), torch.full((1, 1, 2), 15.0))
    assert twin.regularization_loss() == 21.0
    for name in own:
        with pytest.raises(UnknownNameError, match=f"'{name}' is not known"):
            layers.deserialize(described, {key: value for key, value in own.items() if key != name})


def test_cells_of_ones_own_come_back() -> None:
    class Leaky(cells.Cell):
        states = ("h",)

        def step(self, x, h):
            return self.affine("h", x) + 0.5 * h

    config = layers.RNN(Leaky(3)).get_config()
    assert layers.RNN.from_config(config).cell == Leaky(3)
    config["cell"]["class_name"] = "Leeky"
    with pytest.raises(UnknownNameError, match=r"'Leeky'"):
        layers.RNN.from_config(config)
    assert layers.RNN.from_config(config, {"Leeky": Leaky}).cell == Leaky(3)


def test_nothing_is_imported_for_a_config() -> None:
    with pytest.raises(UnknownNameError, match=r"'system' is not known"):
        layers.deserialize({"class_name": "system", "config": {"command": "true"}, "module": "os"})
