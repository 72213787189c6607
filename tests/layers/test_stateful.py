"""Stateful layers: states go from batch to batch."""

import copy
import pickle

import pytest
import torch

from nabi import cells, layers
from nabi.errors import ArgumentError, ShapeError

MAKERS = {
    "SimpleRNN": lambda **a: layers.SimpleRNN(3, **a),
    "LSTM": lambda **a: layers.LSTM(3, **a),
    "GRU": lambda **a: layers.GRU(3, reset_after=False, **a),
    "nabi": lambda **a: layers.RNN(cells.PeepholeLSTM(3), **a),
    "stack": lambda **a: layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], **a),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_two_halves_are_the_whole(kind) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4)
    layer = MAKERS[kind](stateful=True, return_sequences=True, batch_input_shape=(2, None, 4))
    layer.build(layer.declared_input_shape)
    whole = layer(x)
    layer.reset_states()
    halves = torch.cat([layer(x[:, :3]), layer(x[:, 3:])], 1)
    torch.testing.assert_close(halves, whole)
    layer.reset_state()
    torch.testing.assert_close(layer(x), whole)
    assert not torch.equal(layer(x), whole)


def test_states_are_seen_set_and_kept_out_of_weights() -> None:
    layer = layers.LSTM(3, stateful=True)
    assert layer.states is None
    layer(torch.ones(2, 4, 1))
    assert [state.shape for state in layer.states] == [(2, 3), (2, 3)]
    assert len(layer.weights) == 3
    assert not [name for name in layer.state_dict() if "state" in name]
    new = [torch.full((2, 3), 0.5), torch.full((2, 3), -1.0)]
    layer.reset_states(states=new)
    assert all(torch.equal(a, b) for a, b in zip(layer.states, new, strict=True))
    fresh = layers.LSTM(3, return_state=True)
    fresh.build((2, 4, 1))
    fresh.set_weights(layer.get_weights())
    expected = fresh(torch.ones(2, 4, 1), initial_state=new)
    torch.testing.assert_close(layer(torch.ones(2, 4, 1)), expected[0])
    torch.testing.assert_close(layer.states, list(expected[1:]))


def test_extra_state_goes_out_and_in() -> None:
    layer = layers.Bidirectional(layers.LSTM(3, stateful=True, dropout=0.5, seed=3))
    x = torch.ones(2, 4, 1)
    layer(x, training=True)
    kept = {name: value.clone() for name, value in layer.get_extra().items()}
    assert {"forward_layer.state_0", "backward_layer.state_1", "forward_layer.seed_generator"} <= set(kept)
    expected = layer(x, training=True)
    layer.set_extra(kept)
    torch.testing.assert_close(layer(x, training=True), expected, rtol=0, atol=0)
    with pytest.raises(ArgumentError, match=r"no state 'forward_layer.state_9'"):
        layer.set_extra({"forward_layer.state_9": x})


def test_gradients_stop_between_batches() -> None:
    layer = layers.LSTM(3, stateful=True)
    x = torch.ones(1, 4, 1)
    for _ in range(3):
        layer(x).sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in layer.weights)
    assert all(state.grad_fn is None for state in layer.states)


def test_training_goes_on_after_inference_mode() -> None:
    layer = layers.GRU(3, stateful=True)
    x = torch.ones(1, 4, 1)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert layer.kernel.grad is not None


def test_copies_and_pickles_have_states_of_their_own() -> None:
    layer = layers.GRU(3, stateful=True)
    x = torch.ones(1, 4, 1)
    layer(x)
    twin = copy.deepcopy(layer)
    loaded = pickle.loads(pickle.dumps(layer))
    before = [state.clone() for state in layer.states]
    expected = twin(x)
    torch.testing.assert_close(layer.states, before)
    torch.testing.assert_close(loaded(x), expected)
    assert twin.double().states[0].dtype == torch.float64


def test_changed_batch_size_is_refused() -> None:
    layer = layers.LSTM(3, stateful=True)
    layer(torch.ones(4, 5, 3))
    with pytest.raises(ShapeError, match=r"batch size of 4, got a batch size of 1, shape \(1, 5, 3\)"):
        layer(torch.ones(1, 5, 3))
    layer.reset_state()
    with pytest.raises(ShapeError, match=r"batch size"):
        layer(torch.ones(1, 5, 3))


def test_a_stateful_layer_needs_a_batch_size() -> None:
    layer = layers.LSTM(3, stateful=True, input_shape=(4, 1))
    with pytest.raises(ShapeError, match=r"stateful and expected a fixed batch size, got \(None, 4, 1\)"):
        layer.build(layer.declared_input_shape)


def test_reset_reaches_inner_layers() -> None:
    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = [
                layers.SimpleRNN(2, stateful=True),
                torch.nn.Sequential(layers.GRU(2, stateful=True)),
            ]

        def call(self, inputs):
            return self.inner[0](inputs) + self.inner[1](inputs)

    outer = Outer()
    x = torch.ones(1, 3, 2)
    first = outer(x)
    assert not torch.equal(outer(x), first)
    outer.reset_states()
    torch.testing.assert_close(outer(x), first)
    both = layers.Bidirectional(layers.LSTM(2, stateful=True))
    first = both(x)
    both(x)
    both.reset_state()
    torch.testing.assert_close(both(x), first)
    layers.LSTM(2).reset_states()
