"""The base class: layers of the user's own, weights, names, types, freezing."""

import copy
import pickle

import numpy as np
import pytest
import torch

from nabi import layers
from nabi.errors import ArgumentError, ShapeError, UnknownNameError


class Affine(layers.Layer):
    """As a user writes one: no get_config, weights under names of their own."""

    def __init__(self, units, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.scale = scale

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="ones", name="kernel", regularizer="l2"
        )
        self.count = self.add_weight(shape=(), initializer="zeros", name="count", trainable=False)
        super().build(input_shape)

    def call(self, inputs):
        return inputs @ self.w * self.scale


class Training(layers.Layer):
    def call(self, inputs, training=None):
        return inputs + 1 if training else inputs


def test_a_layer_of_ones_own() -> None:
    layer = Affine(3, scale=2.0, name="mine")
    assert not layer.built
    assert layer([[1.0, 1.0]]).tolist() == [[4.0, 4.0, 4.0]]
    assert layer.built
    assert [tuple(w.shape) for w in layer.weights] == [(2, 3), ()]
    assert layer.trainable_weights == [layer.w]
    assert layer.non_trainable_weights == [layer.count]
    assert dict(layer.named_parameters()).keys() == {"w", "count"}
    assert layer.parameter_sum() == "2 × 3 + 1 = 7"
    assert layer.compute_output_shape((None, None, 2)) == (None, None, 3)
    config = layer.get_config()
    assert config == {"name": "mine", "trainable": True, "dtype": "float32", "units": 3, "scale": 2.0}
    revived = Affine.from_config(config)
    assert (revived.units, revived.scale, revived.name) == (3, 2.0, "mine")
    described = layers.serialize(layer)
    assert described["module"] == __name__
    assert type(layers.deserialize(described)) is Affine
    assert type(layers.deserialize({**described, "class_name": "Other"}, {"Other": Affine})) is Affine
    assert layer.regularization_loss().item() == pytest.approx(0.06)
    assert layers.Dense(2).regularization_loss() is None


def test_weights_that_are_not_assigned_and_names_that_are_taken() -> None:
    class Hidden(layers.Layer):
        def __init__(self):
            super().__init__()
            self.kernel = None

        def build(self, input_shape):
            self.add_weight((2,), "ones", "loose")
            self.kernel = self.add_weight((3,), "ones", "kernel", regularizer="l1")
            self.add_weight((4,), "ones", "name")

        def call(self, inputs):
            return inputs * self.kernel

    layer = Hidden()
    layer(np.ones((1, 3)))
    assert [w.shape[0] for w in layer.weights] == [2, 3, 4]
    assert len(layer.state_dict()) == 3
    assert layer.kernel.shape == (3,)
    assert layer.name == "hidden"
    assert layer.regularization_loss().item() == pytest.approx(0.03)


def test_names() -> None:
    layers.reset_names()
    made = [
        layers.LSTM(1),
        layers.LSTM(1),
        layers.SimpleRNN(1),
        layers.MaxPooling1D(),
        layers.LSTM(1, name="x"),
    ]
    assert [layer.name for layer in made] == ["lstm", "lstm_1", "simple_rnn", "max_pooling1d", "x"]
    layers.reset_names()
    assert layers.LSTM(1).name == "lstm"


def test_a_layer_alone_does_not_train() -> None:
    x, layer = torch.zeros(2), Training()
    assert layer(x).sum() == 0
    assert layer(x, training=True).sum() == 2
    layer.train()
    assert layer(x).sum() == 2
    assert layer(x, training=False).sum() == 0
    outer = torch.nn.Sequential(Training())
    assert outer.train()(x).sum() == 2
    assert outer.eval()(x).sum() == 0


def test_inputs_are_converted_and_cast() -> None:
    dense = layers.Dense(2)
    for inputs in ([[1, 2]], np.array([[1, 2]]), np.array([[1.0, 2.0]]), torch.tensor([[1, 2]])):
        assert dense(inputs).dtype == torch.float32
    assert dense(torch.ones(1, 2, dtype=torch.float64)).dtype == torch.float32
    array = np.arange(6.0).reshape(3, 2)
    expected = dense(array.copy())
    array.flags.writeable = False
    torch.testing.assert_close(dense(array), expected)
    torch.testing.assert_close(dense(array[::-1]), expected.flip(0))
    double = layers.Dense(2, dtype="float64")
    assert double([[1.0]]).dtype == torch.float64
    assert dense.double()(np.ones((1, 2))).dtype == torch.float64
    assert dense.dtype == torch.float64
    assert layers.Dense(1, dtype=torch.float64).get_config()["dtype"] == "float64"


def test_the_mask_survives_a_cast() -> None:
    x = torch.ones(1, 2, 3, dtype=torch.float64)
    x._keras_mask = torch.tensor([[True, False]])
    assert torch.equal(layers.Dense(1)(x)._keras_mask, x._keras_mask)


def test_set_weights() -> None:
    layer = layers.LSTM(2)
    with pytest.raises(ShapeError, match=r"expected 0 arrays, got 3; it is not built"):
        layer.set_weights([0, 0, 0])
    layer.build((None, 4, 1))
    new = [np.full(w.shape, 0.5) for w in layer.get_weights()]
    layer.set_weights(new)
    assert all((a == b).all() for a, b in zip(layer.get_weights(), new, strict=True))
    with pytest.raises(ShapeError, match=r"expected shape \(2, 8\) for array 1, got \(2, 7\)"):
        layer.set_weights([new[0], np.zeros((2, 7)), new[2]])
    assert (layer.get_weights()[0] == 0.5).all()
    with pytest.raises(ShapeError, match=r"expected 3 arrays, got 1"):
        layer.set_weights(new[:1])
    given = layers.Dense(2, weights=[np.ones((3, 2)), np.zeros(2)])
    assert given(np.ones((1, 3))).tolist() == [[3.0, 3.0]]


def test_building_twice_keeps_the_weights() -> None:
    layer = layers.Dense(2)
    layer.build((None, 3))
    before = layer.get_weights()
    layer.build((None, 3))
    layer(np.ones((1, 3)))
    assert all((a == b).all() for a, b in zip(layer.get_weights(), before, strict=True))


def test_freezing() -> None:
    layer = Affine(3, trainable=False)
    layer(np.ones((1, 2)))
    assert layer.trainable_weights == []
    layer.trainable = True
    assert layer.trainable_weights == [layer.w]
    both = layers.Bidirectional(layers.LSTM(2))
    both.build((None, 3, 1))
    both.trainable = False
    assert both.trainable_weights == []
    assert not both.forward_layer.trainable
    assert len(both.non_trainable_weights) == 6


def test_copies_and_pickles() -> None:
    layer = layers.Dense(2, activity_regularizer="l2")
    x = torch.ones(1, 3)
    expected = layer(x)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(twin(x), expected)
        assert twin.kernel is not layer.kernel


def test_layers_in_lists_belong_to_the_layer() -> None:
    class Stack(layers.Layer):
        def __init__(self, blocks, **kwargs):
            super().__init__(**kwargs)
            self.blocks = blocks

        def call(self, inputs):
            for block in self.blocks:
                inputs = block(inputs)
            return inputs

    stack = Stack([layers.Dense(3), layers.Dense(1)])
    assert stack(np.ones((2, 4))).shape == (2, 1)
    assert stack.count_params() == 15 + 4
    revived = layers.deserialize(layers.serialize(stack))
    assert [block.units for block in revived.blocks] == [3, 1]


def test_activity_losses_last_for_one_call() -> None:
    layer = layers.Dense(2, activity_regularizer=lambda output: output.sum() * 0 + 2)
    layer(np.ones((1, 3)))
    layer(np.ones((1, 3)))
    assert layer.regularization_loss() == 2
    assert len(layer.losses) == 1


def test_weights_made_under_inference_mode_can_be_trained() -> None:
    layer = layers.LSTM(2)
    with torch.inference_mode():
        layer(torch.ones(1, 3, 1))
    layer(torch.ones(1, 3, 1)).sum().backward()
    assert layer.kernel.grad is not None


def test_arguments_that_a_layer_does_not_have() -> None:
    with pytest.raises(
        ArgumentError, match=r"Dense\(\.\.\.\): 'activatoin' is not an argument; did you mean 'activation'"
    ):
        layers.Dense(3, activatoin="relu")
    with pytest.raises(ArgumentError, match=r"'return_sequence' .* did you mean 'return_sequences'"):
        layers.LSTM(3, return_sequence=True)
    with pytest.raises(ArgumentError, match=r"unit"):
        Affine(3, unit=1)


def test_configs_that_cannot_be_written() -> None:
    with pytest.raises(
        ArgumentError, match=r"scale: .* cannot be written as JSON; define Affine\.get_config"
    ):
        Affine(3, scale=object()).get_config()
    with pytest.raises(UnknownNameError, match=r"'Dens' is not known; did you mean 'Dense'"):
        layers.deserialize({"class_name": "Dens", "config": {}})
    with pytest.raises(ArgumentError, match=r"expected a dictionary with 'class_name'"):
        layers.deserialize({"name": "Dense"})


def test_not_built_yet() -> None:
    with pytest.raises(ArgumentError, match=r"not built"):
        layers.LSTM(3).count_params()
    with pytest.raises(ArgumentError, match=r"not built"):
        layers.LSTM(3).program()
    with pytest.raises(NotImplementedError, match=r"Layer must define call"):
        layers.Layer()(torch.ones(1))


def test_things_that_are_no_arrays() -> None:
    for inputs in ("text", [[1.0], [1.0, 2.0]], object()):
        with pytest.raises(ShapeError, match=r"inputs: .* expected numbers in a rectangular array"):
            layers.Dense(2)(inputs)
