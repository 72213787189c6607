"""Both directions."""

import pytest
import torch

from nabi import cells, layers
from nabi.errors import ArgumentError, UnknownNameError

X = torch.arange(24.0).reshape(2, 4, 3) / 10


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mode", ["sum", "mul", "ave", "concat", None])
def test_merge_modes(mode, sequences) -> None:
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=sequences), merge_mode=mode)
    merged = both(X)
    forward, backward = both.forward_layer(X), both.backward_layer(X)
    backward = backward.flip(1) if sequences else backward
    expected = {
        "sum": lambda: forward + backward,
        "mul": lambda: forward * backward,
        "ave": lambda: (forward + backward) / 2,
        "concat": lambda: torch.cat([forward, backward], -1),
        None: lambda: (forward, backward),
    }[mode]()
    torch.testing.assert_close(merged, expected)


def test_states_forward_first() -> None:
    both = layers.Bidirectional(layers.LSTM(3, return_state=True), name="both")
    output, *states = both(X)
    expected = [*both.forward_layer(X)[1:], *both.backward_layer(X)[1:]]
    torch.testing.assert_close(states, expected)
    again = both(X, initial_state=states)
    torch.testing.assert_close(again[0][:, :3], both.forward_layer(X, initial_state=states[:2])[0])
    assert not torch.equal(again[0], output)
    with pytest.raises(ArgumentError, match=r"initial_state: both expected as many backward states"):
        both(X, initial_state=states[:3])


def test_both_directions_meet_at_the_same_time() -> None:
    """With the same weights, turning the input around turns the output around."""
    both = layers.Bidirectional(layers.RNN(cells.CoupledLSTM(3), return_sequences=True), merge_mode="sum")
    both.build(X.shape)
    both.backward_layer.set_weights(both.forward_layer.get_weights())
    torch.testing.assert_close(both(X.flip(1)), both(X).flip(1))


def test_copies_have_weights_and_names_of_their_own() -> None:
    layer = layers.GRU(3, name="gru", kernel_initializer="ones")
    layer.build((None, 4, 3))
    both = layers.Bidirectional(layer)
    assert (both.forward_layer.name, both.backward_layer.name) == ("forward_gru", "backward_gru")
    assert not both.forward_layer.built
    both.build((None, 4, 3))
    assert len(both.weights) == 6
    assert set(dict(both.named_parameters())) == {
        f"{way}_layer.{name}"
        for way in ("forward", "backward")
        for name in ("kernel", "recurrent_kernel", "bias")
    }
    assert both.layer is both.forward_layer
    weights = [weight + 1 for weight in both.get_weights()]
    given = layers.Bidirectional(layer, weights=weights)
    given.build((None, 4, 3))
    assert all((a == b).all() for a, b in zip(given.get_weights(), weights, strict=True))


def test_what_no_config_holds_is_copied() -> None:
    class Adding:
        state_size = 3

        def call(self, inputs, states):
            return states[0] + inputs, [states[0] + inputs]

    both = layers.Bidirectional(layers.RNN(Adding(), return_sequences=True), merge_mode=None)
    forward, backward = both(X)
    torch.testing.assert_close(forward, X.cumsum(1))
    torch.testing.assert_close(backward, X.flip(1).cumsum(1).flip(1))
    ones = layers.Bidirectional(layers.GRU(2, kernel_initializer=lambda shape, dtype: torch.ones(shape)))
    ones.build(X.shape)
    assert (ones.backward_layer.kernel == 1).all()
    assert ones.backward_layer.kernel is not ones.forward_layer.kernel


def test_two_different_directions() -> None:
    both = layers.Bidirectional(layers.LSTM(3), backward_layer=layers.GRU(2, go_backwards=True))
    assert both(X).shape == (2, 5)
    assert both.parameter_sum() == "4 × (3 + 3 + 1) × 3 + 3 × (2 + 3 + 1 + 1) × 2 = 126"


def test_what_does_not_fit() -> None:
    with pytest.raises(ArgumentError, match=r"layer: expected a recurrent layer, got Dense"):
        layers.Bidirectional(layers.Dense(3))
    with pytest.raises(ArgumentError, match=r"expected the other direction .* go_backwards=False in both"):
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3))
    with pytest.raises(ArgumentError, match=r"backward_layer: expected return_sequences=False"):
        layers.Bidirectional(
            layers.LSTM(3), backward_layer=layers.LSTM(3, return_sequences=True, go_backwards=True)
        )
    with pytest.raises(UnknownNameError, match=r"merge_mode: 'cat' is not known; did you mean 'concat'\?"):
        layers.Bidirectional(layers.LSTM(3), merge_mode="cat")


def test_time_major() -> None:
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, time_major=True))
    plain = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    both.build((4, 2, 3))
    plain.build((2, 4, 3))
    both.set_weights(plain.get_weights())
    torch.testing.assert_close(both(X.transpose(0, 1)), plain(X).transpose(0, 1))
