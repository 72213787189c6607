"""Initializers: Keras' names and distributions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from nabi import initializers, layers
from nabi.errors import ArgumentError, ShapeError, UnknownNameError

SHAPE = (300, 500)
DEVIATIONS = {
    "glorot_uniform": math.sqrt(2 / 800),
    "glorot_normal": math.sqrt(2 / 800),
    "he_uniform": math.sqrt(2 / 300),
    "he_normal": math.sqrt(2 / 300),
    "lecun_uniform": math.sqrt(1 / 300),
    "lecun_normal": math.sqrt(1 / 300),
    "variance_scaling": math.sqrt(1 / 300),
    "random_normal": 0.05,
    "truncated_normal": 0.05 * 0.87962566,
    "random_uniform": 0.05 / math.sqrt(3),
    "orthogonal": 1 / math.sqrt(500),
}
LIMITS = {
    "glorot_uniform": math.sqrt(6 / 800),
    "he_uniform": math.sqrt(6 / 300),
    "lecun_uniform": math.sqrt(3 / 300),
    "random_uniform": 0.05,
    "truncated_normal": 0.1,
    "glorot_normal": 2 * math.sqrt(2 / 800) / 0.87962566,
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_statistics(name) -> None:
    torch.manual_seed(0)
    values = initializers.get(name)(SHAPE)
    assert values.shape == SHAPE
    assert float(values.mean()) == pytest.approx(0, abs=DEVIATIONS[name] / 50)
    assert float(values.std()) == pytest.approx(DEVIATIONS[name], rel=0.01)
    if name in LIMITS:
        assert LIMITS[name] * 0.99 < float(values.abs().max()) <= LIMITS[name]


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), gain=st.floats(0.1, 3))
def test_orthogonal(rows, columns, gain) -> None:
    matrix = initializers.Orthogonal(gain)((rows, columns), dtype=torch.float64) / gain
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    torch.testing.assert_close(product, torch.eye(min(rows, columns), dtype=torch.float64))


def test_fixed_values() -> None:
    assert (initializers.get("zeros")((2, 3)) == 0).all()
    assert (initializers.get("one")((2, 3)) == 1).all()
    assert (initializers.Constant(0.5)((2,)) == 0.5).all()
    assert torch.equal(initializers.get("identity")((2, 3)), torch.eye(2, 3))
    assert initializers.get("zeros")((2,), dtype=torch.float64).dtype == torch.float64


def test_fan_of_a_convolution() -> None:
    torch.manual_seed(0)
    assert float(initializers.HeNormal()((5, 30, 200)).std()) == pytest.approx(math.sqrt(2 / 150), rel=0.02)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_seeds(name) -> None:
    config = {"class_name": name, "config": {"seed": 5}}
    make = initializers.get(config)
    assert torch.equal(make((4, 3)), make((4, 3)))
    plain = initializers.get(name)
    torch.manual_seed(1)
    first = plain((4, 3))
    assert not torch.equal(plain((4, 3)), first)
    torch.manual_seed(1)
    assert torch.equal(plain((4, 3)), first)
    assert initializers.deserialize(initializers.serialize(make)) == make
    assert make != plain
    assert len({make, initializers.get(config), plain}) == 2


def test_what_get_takes() -> None:
    assert initializers.get("GlorotUniform") == initializers.get(initializers.GlorotUniform)
    assert initializers.get("uniform") == initializers.RandomUniform()
    assert initializers.get("normal") == initializers.RandomNormal()
    own = lambda shape, dtype=None: torch.full(shape, 3.0)  # noqa: E731
    assert initializers.get(own) is own
    dense = layers.Dense(2, kernel_initializer=own, bias_initializer=np.array([1.0, 2.0]))
    assert dense(np.ones((1, 1))).tolist() == [[4.0, 5.0]]


def test_what_it_refuses() -> None:
    with pytest.raises(
        UnknownNameError, match=r"kernel_initializer: 'glorot_unifrom' .* did you mean 'glorot_uniform'"
    ):
        layers.Dense(2, kernel_initializer="glorot_unifrom")
    with pytest.raises(ArgumentError, match=r"recurrent_initializer: expected an initializer, got None"):
        layers.LSTM(2, recurrent_initializer=None)
    with pytest.raises(ArgumentError, match=r"bias_initializer: expected a name"):
        layers.LSTM(2, bias_initializer=3)
    with pytest.raises(ArgumentError, match=r"expected a config with 'class_name'"):
        initializers.get({"name": "zeros"})
    with pytest.raises(UnknownNameError, match=r"mode: 'fan_on'"):
        initializers.VarianceScaling(mode="fan_on")
    with pytest.raises(UnknownNameError, match=r"distribution"):
        initializers.VarianceScaling(distribution="cauchy")
    with pytest.raises(ArgumentError, match=r"scale"):
        initializers.VarianceScaling(scale=0)
    with pytest.raises(ShapeError, match=r"orthogonal .* needs two axes"):
        initializers.Orthogonal()((3,))
    with pytest.raises(ShapeError, match=r"identity .* needs a matrix"):
        initializers.Identity()((3,))
    with pytest.raises(ShapeError, match=r"values of shape \(2,\) for a weight of shape \(3,\)"):
        layers.Dense(3, bias_initializer=np.zeros(2)).build((None, 1))
    with pytest.raises(ShapeError, match=r"initializer: expected values of shape"):
        layers.Dense(3, bias_initializer=lambda shape, dtype: torch.zeros(9)).build((None, 1))


def test_initial_weights_of_recurrent_layers() -> None:
    torch.manual_seed(0)
    lstm = layers.LSTM(50)
    lstm.build((None, 4, 30))
    assert [tuple(w.shape) for w in lstm.weights] == [(30, 200), (50, 200), (200,)]
    # Glorot's limit and the orthogonal matrix are those of all gates together, as in Keras.
    assert lstm.kernel.abs().max().item() == pytest.approx(math.sqrt(6 / 230), rel=0.01)
    torch.testing.assert_close(
        lstm.recurrent_kernel @ lstm.recurrent_kernel.T, torch.eye(50), atol=1e-5, rtol=0
    )
    assert lstm.bias.reshape(4, 50)[1].tolist() == [1.0] * 50
    assert lstm.bias.sum().item() == 50
    plain = layers.LSTM(5, unit_forget_bias=False, bias_initializer="ones")
    plain.build((None, 4, 3))
    assert (plain.bias == 1).all()
    gru = layers.GRU(5)
    gru.build((None, 4, 3))
    assert [tuple(w.shape) for w in gru.weights] == [(3, 15), (5, 15), (2, 15)]
    before = layers.GRU(5, reset_after=False)
    before.build((None, 4, 3))
    assert tuple(before.bias.shape) == (15,)
    assert len(layers.SimpleRNN(5, use_bias=False)(torch.ones(1, 2, 3)).shape) == 2


def test_weights_follow_torchs_seed() -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        layer = layers.Bidirectional(layers.GRU(4))
        layer.build((None, 4, 3))
        made.append(layer.get_weights())
    assert all((a == b).all() for a, b in zip(*made, strict=True))
