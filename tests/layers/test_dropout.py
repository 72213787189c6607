"""Dropout: its statistics, what shares a mask, and seeds."""

import copy
import pickle

import numpy as np
import pytest
import torch

from nabi import layers
from nabi.errors import ArgumentError, ShapeError


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.ones(200, 500)
    output = layers.Dropout(0.3)(x, training=True)
    assert float((output == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(output.mean()) == pytest.approx(1.0, abs=0.01)
    assert set(np.round(output.unique().numpy(), 5)) == {0.0, np.float32(round(1 / 0.7, 5))}
    assert layers.Dropout(0.0)(x, training=True) is x
    assert layers.Dropout(0.5)(x) is x
    assert (layers.Dropout(1.0)(x, training=True) == 0).all()


@pytest.mark.parametrize("shape", ["ab", 3, [0, 1], [-1], [True], [1.5], {"a": 1}])
def test_noise_shapes_that_are_none(shape: object) -> None:
    with pytest.raises(ArgumentError, match="noise_shape: "):
        layers.Dropout(0.5, noise_shape=shape)


@pytest.mark.parametrize("shape", [(None, 1), (None, 1, 1, 1), (None, 1, 5), (10**12, 1, 1)])
def test_a_noise_shape_fits_its_inputs(shape: tuple[int | None, ...]) -> None:
    layer = layers.Dropout(0.5, noise_shape=shape, name="thin")
    with pytest.raises(ShapeError, match=r"noise_shape: thin .*expected sizes of 1 or .* \(2, 3, 4\), got "):
        layer(torch.ones(2, 3, 4), training=True)


def test_noise_shape_shares_draws() -> None:
    output = layers.Dropout(0.5, noise_shape=(None, 1, None), seed=0)(torch.ones(50, 4, 6), training=True)
    assert (output == output[:, :1]).all()
    assert 0.3 < float((output == 0).float().mean()) < 0.7


def test_spatial_dropout_takes_whole_features() -> None:
    layer = layers.SpatialDropout1D(0.4, seed=0)
    output = layer(torch.ones(100, 4, 50), training=True)
    assert torch.equal(output, output[:, :1].expand_as(output))
    assert float((output == 0).double().mean()) == pytest.approx(0.4, abs=0.02)
    assert float(output.max()) == pytest.approx(1 / 0.6)
    assert not torch.equal(output[0], output[1])
    x = torch.ones(2, 4, 3)
    assert layer(x) is x
    with pytest.raises(ShapeError, match=r"\(SpatialDropout1D\) expected 3 axes \(batch, time, features\)"):
        layer(torch.ones(2, 3))
    with pytest.raises(ArgumentError, match=r"rate: "):
        layers.SpatialDropout1D(1.5)


def test_seeds() -> None:
    x = torch.ones(40)
    first, second = layers.Dropout(0.5, seed=1), layers.Dropout(0.5, seed=1)
    draws = [first(x, training=True) for _ in range(2)]
    torch.manual_seed(99)
    assert torch.equal(second(x, training=True), draws[0])
    assert torch.equal(second(x, training=True), draws[1])
    assert not torch.equal(*draws)
    plain = layers.Dropout(0.5)
    torch.manual_seed(7)
    one = plain(x, training=True)
    torch.manual_seed(7)
    assert torch.equal(plain(x, training=True), one)
    assert len(first.non_trainable_variables) == 1
    assert len(plain.non_trainable_variables) == 0


def test_copies_go_on_where_the_original_is() -> None:
    x, layer = torch.ones(40), layers.Dropout(0.5, seed=1)
    layer(x, training=True)
    twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    expected = layer(x, training=True)
    assert all(torch.equal(twin(x, training=True), expected) for twin in twins)


def zeros_over_time(layer: layers.Layer, width: int) -> torch.Tensor:
    """Return the outputs of an RNN that only adds up its inputs."""
    return layer(torch.ones(300, 5, width), training=True).detach()


def test_the_input_mask_is_the_same_at_every_step() -> None:
    torch.manual_seed(0)
    layer = layers.SimpleRNN(
        8,
        "linear",
        dropout=0.4,
        kernel_initializer="identity",
        recurrent_initializer="zeros",
        return_sequences=True,
    )
    output = zeros_over_time(layer, 8)
    assert (output == output[:, :1]).all()
    assert float((output == 0).float().mean()) == pytest.approx(0.4, abs=0.04)
    assert float(output.mean()) == pytest.approx(1.0, abs=0.06)
    assert (layer(torch.ones(3, 5, 8)) == 1).all()


def test_the_recurrent_mask_is_the_same_at_every_step() -> None:
    torch.manual_seed(0)
    layer = layers.SimpleRNN(
        8,
        "linear",
        recurrent_dropout=0.5,
        kernel_initializer="identity",
        recurrent_initializer="identity",
        return_sequences=True,
    )
    output = zeros_over_time(layer, 8)
    # A dropped unit never remembers: 1, 1, 1, ...; a kept one doubles: 1, 3, 7, 15, 31.
    dropped = torch.ones(5)
    kept = torch.tensor([1.0, 3.0, 7.0, 15.0, 31.0])
    units = output.transpose(1, 2).reshape(-1, 5)
    is_dropped, is_kept = (units == dropped).all(1), (units == kept).all(1)
    assert (is_dropped | is_kept).all()
    assert float(is_kept.float().mean()) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("make", [layers.LSTM, layers.GRU])
def test_each_gate_has_a_recurrent_mask_of_its_own(make) -> None:
    layer = make(4, recurrent_dropout=0.5)
    layer.build((2, 3, 4))
    gates = 4 if make is layers.LSTM else 3
    assert [noise.name[:3] for noise in layer.program(training=True).noises] == ["d_h"] * gates
    assert not layer.program().noises
    shared = make(4, dropout=0.5)
    shared.build((2, 3, 4))
    assert not shared.program(training=True).noises
    own = make(4, dropout=0.5, implementation=1)
    own.build((2, 3, 4))
    assert len(own.program(training=True).noises) == gates


@pytest.mark.parametrize(
    "arguments", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.3}]
)
@pytest.mark.parametrize("unroll", [False, True])
def test_recurrent_seeds(arguments, unroll) -> None:
    x = torch.randn(2, 4, 3)
    first, second = (layers.LSTM(5, seed=3, unroll=unroll, **arguments) for _ in range(2))
    first.build(x.shape)
    second.build(x.shape)
    second.set_weights(first.get_weights())
    assert torch.equal(first(x, training=True), second(x, training=True))
    assert not torch.equal(first(x, training=True), first(x, training=True))
    assert torch.equal(first(x), first(x))


def test_unrolled_and_scanned_draw_the_same() -> None:
    x = torch.randn(2, 4, 3)
    mask = torch.tensor([[True, True, False, True], [False, True, True, True]])
    scanned = layers.GRU(
        5, seed=3, dropout=0.2, recurrent_dropout=0.3, return_sequences=True, go_backwards=True
    )
    config = scanned.get_config() | {"unroll": True}
    for given in (None, mask):
        scanned = layers.GRU.from_config(config | {"unroll": False})
        unrolled = layers.GRU.from_config(config)
        scanned.build(x.shape)
        unrolled.build(x.shape)
        unrolled.set_weights(scanned.get_weights())
        torch.testing.assert_close(
            unrolled(x, mask=given, training=True), scanned(x, mask=given, training=True)
        )


def test_a_cell_keeps_its_masks_until_told() -> None:
    cell = layers.LSTMCell(6, dropout=0.5, recurrent_dropout=0.5, seed=1)
    x, states = torch.ones(3, 4), [torch.ones(3, 6), torch.ones(3, 6)]
    first, _ = cell(x, states, training=True)
    assert torch.equal(cell(x, states, training=True)[0], first)
    cell.reset_dropout_mask()
    assert not torch.equal(cell(x, states, training=True)[0], first)
    assert torch.equal(cell(x, states)[0], cell(x, states)[0])


@pytest.mark.parametrize("rate", [-0.1, 1.5, "half", True])
def test_rates_that_are_none(rate) -> None:
    with pytest.raises(ArgumentError, match="rate: expected a "):
        layers.Dropout(rate)
    with pytest.raises(ArgumentError, match=r"recurrent_dropout: expected a (rate|number)"):
        layers.LSTM(3, recurrent_dropout=rate)
    with pytest.raises(ArgumentError, match=r"dropout: expected a (rate|number)"):
        layers.LSTM(3, dropout=rate)
