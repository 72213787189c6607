"""Every cell against its equations written out in numpy, which know nothing of nabi."""

import numpy as np
import pytest

import nabi.tf1 as tf

BATCH, TIME, WIDTH, UNITS = 3, 5, 4, 6


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def data(seed=0):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, WIDTH))


def fill(cell, seed=1):
    """Give a cell random weights, biases included, and return them by their last names."""
    cell.build((None, WIDTH))
    random = np.random.default_rng(seed)
    cell.set_weights([random.normal(size=tuple(weight.shape)) * 0.5 for weight in cell.weights])
    return {
        variable.name.split("/", 1)[1].removesuffix(":0"): value
        for variable, value in zip(cell.weights, cell.get_weights(), strict=True)
    }


def basic(x, h, w):
    return np.tanh(np.concatenate([x, h], axis=1) @ w["kernel"] + w["bias"])


def lstm(x, c, h, w, forget_bias, peepholes=False, clip=None, projection_clip=None):
    i, j, f, o = np.split(np.concatenate([x, h], axis=1) @ w["kernel"] + w["bias"], 4, axis=1)
    if peepholes:
        i = i + w["w_i_diag"] * c
        f = f + w["w_f_diag"] * c
    new_c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(j)
    if clip is not None:
        new_c = np.clip(new_c, -clip, clip)
    if peepholes:
        o = o + w["w_o_diag"] * new_c
    new_h = sigmoid(o) * np.tanh(new_c)
    if "projection/kernel" in w:
        new_h = new_h @ w["projection/kernel"]
    if projection_clip is not None:
        new_h = np.clip(new_h, -projection_clip, projection_clip)
    return new_c, new_h


def gru(x, h, w):
    r, u = np.split(sigmoid(np.concatenate([x, h], axis=1) @ w["gates/kernel"] + w["gates/bias"]), 2, axis=1)
    candidate = np.tanh(np.concatenate([x, r * h], axis=1) @ w["candidate/kernel"] + w["candidate/bias"])
    return u * h + (1 - u) * candidate


def test_basic_rnn():
    cell = tf.nn.rnn_cell.BasicRNNCell(UNITS, dtype=tf.float64)
    w, x, h = fill(cell), data(), np.zeros([BATCH, UNITS])
    outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float64)
    for time in range(TIME):
        h = basic(x[:, time], h, w)
        np.testing.assert_allclose(outputs[:, time], h, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state, h, rtol=0, atol=1e-13)


def test_gru():
    cell = tf.nn.rnn_cell.GRUCell(UNITS, dtype=tf.float64)
    w, x, h = fill(cell), data(), np.zeros([BATCH, UNITS])
    outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float64)
    for time in range(TIME):
        h = gru(x[:, time], h, w)
        np.testing.assert_allclose(outputs[:, time], h, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state, h, rtol=0, atol=1e-13)


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, 2.5])
def test_basic_lstm(forget_bias):
    cell = tf.nn.rnn_cell.BasicLSTMCell(UNITS, forget_bias=forget_bias, dtype=tf.float64)
    w, x = fill(cell), data()
    c = h = np.zeros([BATCH, UNITS])
    outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float64)
    for time in range(TIME):
        c, h = lstm(x[:, time], c, h, w, forget_bias)
        np.testing.assert_allclose(outputs[:, time], h, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state.c, c, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state.h, h, rtol=0, atol=1e-13)


@pytest.mark.parametrize("projection", [None, 2, UNITS])
@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("limits", [(None, None), (0.3, 0.1)])
def test_lstm_with_its_options(peepholes, projection, limits):
    clip, projection_clip = limits if projection else (limits[0], None)
    cell = tf.nn.rnn_cell.LSTMCell(
        UNITS,
        use_peepholes=peepholes,
        cell_clip=clip,
        num_proj=projection,
        proj_clip=projection_clip,
        forget_bias=0.7,
        dtype=tf.float64,
    )
    w, x = fill(cell), data()
    assert ("projection/kernel" in w) == (projection is not None)
    c, h = np.zeros([BATCH, UNITS]), np.zeros([BATCH, projection or UNITS])
    outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float64)
    for time in range(TIME):
        c, h = lstm(x[:, time], c, h, w, 0.7, peepholes, clip, projection_clip)
        np.testing.assert_allclose(outputs[:, time], h, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state.c, c, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state.h, h, rtol=0, atol=1e-13)


def test_clipping_is_felt():
    """The options test above would prove nothing if no value ever reached the limits."""
    cell = tf.nn.rnn_cell.LSTMCell(UNITS, cell_clip=0.3, num_proj=2, proj_clip=0.1, dtype=tf.float64)
    fill(cell)
    outputs, state = tf.nn.dynamic_rnn(cell, data(), dtype=tf.float64)
    assert np.abs(state.c).max() == 0.3
    assert np.abs(outputs).max() == 0.1


def test_stacked_cells():
    cell = tf.nn.rnn_cell.MultiRNNCell(
        [
            tf.nn.rnn_cell.BasicLSTMCell(UNITS, dtype=tf.float64),
            tf.nn.rnn_cell.GRUCell(UNITS - 1, dtype=tf.float64),
        ]
    )
    x = data()
    tf.nn.dynamic_rnn(cell, x, dtype=tf.float64)
    random = np.random.default_rng(3)
    cell.set_weights([random.normal(size=tuple(weight.shape)) for weight in cell.weights])
    first, second = (
        {v.name.split("_cell/")[-1].removesuffix(":0"): v.numpy() for v in layer.weights}
        for layer in cell.layers
    )
    c = h = np.zeros([BATCH, UNITS])
    g = np.zeros([BATCH, UNITS - 1])
    outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float64)
    for time in range(TIME):
        c, h = lstm(x[:, time], c, h, first, 1.0)
        g = gru(h, g, second)
        np.testing.assert_allclose(outputs[:, time], g, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state[0].c, c, rtol=0, atol=1e-13)
    np.testing.assert_allclose(state[1], g, rtol=0, atol=1e-13)


def test_activation_of_a_cell():
    cell = tf.nn.rnn_cell.BasicRNNCell(UNITS, activation=tf.nn.relu, dtype=tf.float64)
    w, x = fill(cell), data()
    output, _ = cell(x[:, 0], np.ones([BATCH, UNITS]))
    joined = np.concatenate([x[:, 0], np.ones([BATCH, UNITS])], axis=1)
    np.testing.assert_allclose(output, np.maximum(joined @ w["kernel"] + w["bias"], 0), rtol=0, atol=1e-13)
