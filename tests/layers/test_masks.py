"""Masks: what each layer does with them and passes on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from nabi import cells, layers
from nabi.native import runs_now

X = torch.tensor([[[1.0], [2.0], [0.0], [3.0]], [[0.0], [5.0], [6.0], [0.0]]])
MASK = torch.tensor([[True, True, False, True], [False, True, True, False]])


def recurrent(kind: str, **arguments):
    torch.manual_seed(3)
    return {
        "LSTM": lambda: layers.LSTM(3, **arguments),
        "custom": lambda: layers.RNN(Doubling(3), **arguments),
        "nabi": lambda: layers.RNN(cells.CoupledLSTM(3), **arguments),
        "stack": lambda: layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], **arguments),
        "mixed": lambda: layers.RNN([layers.GRUCell(2), Doubling(3)], **arguments),
    }[kind]()


class Doubling(layers.Layer):
    """A cell that the language has no part in."""

    def __init__(self, units, **arguments):
        super().__init__(**arguments)
        self.units = units
        self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "glorot_uniform", "kernel")

    def call(self, inputs, states):
        output = inputs @ self.kernel + states[0] / 2
        return output * 2, [output]


KINDS = ["LSTM", "custom", "nabi", "stack", "mixed"]


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_masked_steps_repeat_the_output_and_carry_the_state(kind, backwards, unroll) -> None:
    arguments = {"return_sequences": True, "return_state": True, "go_backwards": backwards, "unroll": unroll}
    layer = recurrent(kind, **arguments)
    output, *states = layer(X, mask=MASK)
    steps = [3, 2, 1, 0] if backwards else [0, 1, 2, 3]
    for row in range(2):
        kept = [t for t in steps if MASK[row, t]]
        alone, *alone_states = layer(X[row : row + 1, sorted(kept)])
        last = torch.zeros(output.shape[-1])
        done = 0
        for position, t in enumerate(steps):
            if t in kept:
                last = alone[0, done]
                done += 1
            torch.testing.assert_close(output[row, position], last)
        flat = lambda nested: [x for one in nested for x in (one if isinstance(one, list) else [one])]  # noqa: E731
        for state, one in zip(flat(states), flat(alone_states), strict=True):
            torch.testing.assert_close(state[row], one[0])
    zeroed = recurrent(kind, **arguments, zero_output_for_mask=True)
    zeroed.build(X.shape)
    zeroed.set_weights(layer.get_weights())
    order = MASK.flip(1) if backwards else MASK
    torch.testing.assert_close(zeroed(X, mask=MASK)[0], torch.where(order[..., None], output, 0.0))
    single = recurrent(kind, go_backwards=backwards, unroll=unroll)
    single.build(X.shape)
    single.set_weights(layer.get_weights())
    torch.testing.assert_close(single(X, mask=MASK), output[:, -1])
    single.zero_output_for_mask = True
    torch.testing.assert_close(single(X, mask=MASK), torch.where(order[:, -1:], output[:, -1], 0.0))


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_padding_leaks(kind, unroll) -> None:
    layer = recurrent(kind, return_sequences=True, unroll=unroll)
    poisoned = torch.where(MASK[..., None], X, float("nan")).requires_grad_()
    clean = X.clone().requires_grad_()
    for x in (clean, poisoned):
        layer.zero_grad()
        layer(x, mask=MASK).square().sum().backward()
    assert torch.isfinite(poisoned.grad).all()
    torch.testing.assert_close(poisoned.grad, torch.where(MASK[..., None], clean.grad, 0.0))
    assert all(torch.isfinite(weight.grad).all() for weight in layer.weights)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_a_step_gives_zeros_and_its_initial_state(kind) -> None:
    layer = recurrent(kind, return_state=True)
    layer.build(X.shape)
    initial = layer.get_initial_state(2)
    initial = [[x + 1 for x in one] if isinstance(one, list) else one + 1 for one in initial]
    output, *states = layer(X, mask=torch.tensor([[False] * 4, [True] * 4]), initial_state=initial)
    assert (output[0] == 0).all()
    assert (output[1] != 0).any()
    first = states[0][0] if isinstance(states[0], list) else states[0]
    assert (first[0] == 1).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=4))
def test_full_mask_is_no_mask_and_order_of_rows_is_free(rows) -> None:
    mask = torch.tensor(rows)
    torch.manual_seed(0)
    layer = layers.GRU(3, return_sequences=True)
    x = torch.randn(len(rows), 5, 2)
    torch.testing.assert_close(layer(x, mask=torch.ones_like(mask)), layer(x))
    torch.testing.assert_close(layer(x, mask=mask).flip(0), layer(x.flip(0), mask=mask.flip(0)))


def test_masks_are_made_and_passed_on() -> None:
    embedded = layers.Embedding(9, 4, mask_zero=True)(np.array([[3, 4, 0, 0]]))
    mask = torch.tensor([[True, True, False, False]])
    assert torch.equal(embedded._keras_mask, mask)
    for layer in (
        layers.Dropout(0.5),
        layers.SpatialDropout1D(0.5),
        layers.Dense(3),
        layers.Activation("relu"),
        layers.TimeDistributed(layers.Dense(3)),
        layers.LSTM(3, return_sequences=True),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
    ):
        assert torch.equal(layer(embedded)._keras_mask, mask), layer
    assert getattr(layers.LSTM(3)(embedded), "_keras_mask", None) is None
    output, h, c = layers.LSTM(3, return_sequences=True, return_state=True)(embedded)
    assert torch.equal(output._keras_mask, mask)
    assert getattr(h, "_keras_mask", None) is None
    assert getattr(c, "_keras_mask", None) is None
    assert getattr(layers.Embedding(9, 4)(np.array([[3, 0]])), "_keras_mask", None) is None


def test_the_mask_of_a_tensor_is_used() -> None:
    layer = layers.LSTM(3)
    masked = layers.Masking()(X)
    assert torch.equal(masked._keras_mask, X[..., 0] != 0)
    torch.testing.assert_close(layer(masked), layer(X, mask=X[..., 0] != 0))
    assert not torch.equal(layer(masked), layer(X))


def test_a_layer_that_drops_masks_says_so_once() -> None:
    layer, masked = layers.Flatten(), layers.Masking()(X)
    with pytest.warns(UserWarning, match=r"does not support masks"):
        output = layer(masked)
    assert getattr(output, "_keras_mask", None) is None
    layer(masked)


def test_masks_are_taken_as_lists_arrays_and_numbers() -> None:
    layer = layers.GRU(3)
    expected = layer(X, mask=MASK)
    for mask in (MASK.tolist(), MASK.numpy(), MASK.int(), MASK.numpy().astype("float32"), MASK.unsqueeze(-1)):
        torch.testing.assert_close(layer(X, mask=mask), expected)


def test_the_callers_tensor_is_left_alone() -> None:
    x = torch.ones(1, 2, 3)
    output = layers.Dropout(0.5)(x, mask=torch.tensor([[True, False]]))
    assert hasattr(output, "_keras_mask")
    assert not hasattr(x, "_keras_mask")


def test_a_layer_of_ones_own_can_make_a_mask() -> None:
    class Positive(layers.Layer):
        def call(self, inputs):
            return inputs * 2

        def compute_mask(self, inputs, mask=None):
            return inputs[..., 0] > 1

    assert torch.equal(Positive()(X)._keras_mask, X[..., 0] > 1)


def test_bidirectional_gives_zeros_where_masked() -> None:
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    output = both(X, mask=MASK)
    assert (output[~MASK] == 0).all()
    assert (output[MASK] != 0).any()
    assert both.forward_layer.zero_output_for_mask
    assert not layers.Bidirectional(layers.LSTM(3)).forward_layer.zero_output_for_mask


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "PeepholeLSTM"])
def test_predicting_under_a_mask_that_leaves_all_is_a_full_batch_of_the_same_bits(
    name, batch, steps, monkeypatch
) -> None:
    """Both directions; what autograd records goes another way, through a layout of rows."""
    torch.manual_seed(0)
    layer = layers.Bidirectional(
        layers.RNN(getattr(cells, name)(5), return_sequences=True, return_state=True)
    )
    x, mask = torch.randn(batch, steps, 4), torch.ones(batch, steps, dtype=torch.bool)
    recorded = layer(x, mask=mask)
    if not runs_now():
        pytest.skip("no native code here")
    monkeypatch.setattr("nabi.layers._recurrent._equations.scan", None)  # the way of rows
    with torch.no_grad():
        predicted = layer(x, mask=mask)
    for one, other in zip(predicted, recorded, strict=True):
        assert torch.equal(one, other.detach())


def test_a_mask_that_leaves_all_is_passed_on() -> None:
    layer = layers.LSTM(3, return_sequences=True)
    with torch.no_grad():
        output = layer(X, mask=torch.ones(2, 4, dtype=torch.bool))
    assert output._keras_mask.all()
