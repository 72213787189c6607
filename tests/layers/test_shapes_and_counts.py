"""Shapes, parameter counts and their sums, of the lectures' models among others."""

import numpy as np
import pytest
import torch

from nabi import cells, layers

LECTURES = [
    ((10, False, 1), 1, [(120, "(10 + 1 + 1) × 10 = 120"), (11, "(10 + 1) × 1 = 11")], (None, 10), (None, 1)),
    ((2, False, 1), 1, [(8, "(2 + 1 + 1) × 2 = 8"), (3, "(2 + 1) × 1 = 3")], (None, 2), (None, 1)),
    ((3, True, 1), 1, [(15, "(3 + 1 + 1) × 3 = 15"), (4, "(3 + 1) × 1 = 4")], (None, 4, 3), (None, 4, 1)),
    ((10, False, 3), 2, [(140, "(10 + 3 + 1) × 10 = 140"), (22, "(10 + 1) × 2 = 22")], (None, 10), (None, 2)),
]


@pytest.mark.parametrize(("first", "outputs", "counts", "middle", "end"), LECTURES)
def test_models_of_the_lectures(first, outputs, counts, middle, end) -> None:
    units, sequences, width = first
    rnn = layers.SimpleRNN(units, return_sequences=sequences, input_shape=[4, width])
    dense = layers.Dense(outputs)
    assert rnn.declared_input_shape == (None, 4, width)
    rnn.build(rnn.declared_input_shape)
    assert rnn.compute_output_shape(rnn.declared_input_shape) == middle
    dense.build(middle)
    assert dense.compute_output_shape(middle) == end
    assert [(layer.count_params(), layer.parameter_sum()) for layer in (rnn, dense)] == counts
    assert sum(count for count, _ in counts) in (131, 11, 19, 162)
    assert dense(rnn(np.zeros((6, 4, width)))).shape == (6, *end[1:])


@pytest.mark.parametrize(
    ("layer", "shape", "count"),
    [
        (lambda: layers.LSTM(128), (1, 4, 1), 4 * (128 + 1 + 1) * 128),
        (lambda: layers.LSTM(5, use_bias=False), (1, 4, 3), 4 * 8 * 5),
        (lambda: layers.GRU(128), (1, 4, 1), 3 * (128 + 1 + 2) * 128),
        (lambda: layers.GRU(128, reset_after=False), (1, 4, 1), 3 * (128 + 1 + 1) * 128),
        (lambda: layers.RNN(cells.PeepholeLSTM(7)), (1, 4, 2), 4 * (7 + 2 + 1) * 7 + 3 * 7),
        (lambda: layers.RNN(cells.IndRNN(7)), (1, 4, 2), 7 * 2 + 7 + 7),
        (lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), (1, 4, 2), 4 * 6 * 3 + 3 * 7 * 2),
        (lambda: layers.Bidirectional(layers.SimpleRNN(3)), (1, 4, 2), 2 * 6 * 3),
        (lambda: layers.Embedding(20, 3), (1, 4), 60),
        (lambda: layers.TimeDistributed(layers.Dense(2)), (1, 4, 3), 8),
        (lambda: layers.Conv1D(4, 5, padding="same"), (1, 6, 3), 64),
        (lambda: layers.Dropout(0.5), (1, 4), 0),
    ],
)
def test_counts_and_sums(layer, shape, count) -> None:
    made = layer()
    made.build(shape)
    assert made.count_params() == count
    text = made.parameter_sum()
    if count:
        left, _, right = text.partition(" = ")
        assert right == f"{count:,}"
        assert eval(left.replace("×", "*")) == count
    else:
        assert text == ""


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.Dense(3), (2, 5, 4)),
        (lambda: layers.LSTM(3, return_sequences=True, return_state=True), (2, 5, 4)),
        (lambda: layers.GRU(3, return_state=True, time_major=True), (5, 2, 4)),
        (lambda: layers.SimpleRNN(3, return_sequences=True, time_major=True), (5, 2, 4)),
        (lambda: layers.RNN(cells.ProjectedLSTM(6, projection=2), return_state=True), (2, 5, 4)),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode=None), (2, 5, 4)),
        (lambda: layers.Bidirectional(layers.LSTM(3, return_state=True), merge_mode="sum"), (2, 5, 4)),
        (lambda: layers.TimeDistributed(layers.Flatten()), (2, 5, 4, 3)),
        (lambda: layers.Conv1D(3, 2, strides=2, padding="same"), (2, 5, 4)),
        (lambda: layers.Conv1D(3, 2, dilation_rate=2, padding="causal"), (2, 5, 4)),
        (lambda: layers.MaxPooling1D(2, padding="same"), (2, 5, 4)),
        (lambda: layers.AveragePooling1D(3, 1), (2, 5, 4)),
        (lambda: layers.GlobalMaxPooling1D(keepdims=True), (2, 5, 4)),
        (lambda: layers.GlobalAveragePooling1D(), (2, 5, 4)),
        (lambda: layers.SpatialDropout1D(0.5), (2, 5, 4)),
        (lambda: layers.Flatten(), (2, 5, 4)),
        (lambda: layers.RepeatVector(3), (2, 5)),
        (lambda: layers.Masking(), (2, 5, 4)),
        (lambda: layers.Activation("softmax"), (2, 5)),
        (lambda: layers.Embedding(4, 3), (2, 5)),
    ],
)
def test_computed_shape_is_the_real_one(layer, shape) -> None:
    made = layer()
    outputs = made(torch.ones(shape))
    expected = made.compute_output_shape(shape)
    if isinstance(outputs, tuple):
        assert [tuple(one.shape) for one in outputs] == [tuple(one) for one in expected]
    else:
        assert tuple(outputs.shape) == expected
    batch = int(getattr(made, "time_major", False))
    opened = made.compute_output_shape(
        tuple(None if axis == batch else size for axis, size in enumerate(shape))
    )
    first = opened[0] if isinstance(outputs, tuple) else opened
    assert None in first


def test_no_time_steps_and_empty_batch() -> None:
    for make in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        layer = make(3, return_sequences=True, return_state=True)
        output, *states = layer(torch.zeros(2, 0, 4))
        assert output.shape == (2, 0, 3)
        assert all(bool((state == 0).all()) for state in states)
        assert make(3)(torch.ones(2, 0, 4)).abs().sum() == 0
        assert make(3)(torch.zeros(0, 5, 4)).shape == (0, 3)


def test_input_arguments_old_and_new() -> None:
    shapes = [
        layers.LSTM(3, input_shape=(4, 1)),
        layers.LSTM(3, input_dim=1, input_length=4),
        layers.InputLayer((4, 1)),
        layers.InputLayer(input_shape=(4, 1)),
        layers.Bidirectional(layers.LSTM(3, input_shape=(4, 1))),
    ]
    assert [layer.declared_input_shape for layer in shapes] == [(None, 4, 1)] * 5
    fixed = [
        layers.LSTM(3, batch_input_shape=(1, 4, 1)),
        layers.LSTM(3, batch_shape=(1, 4, 1)),
        layers.LSTM(3, input_shape=(4, 1), batch_size=1),
        layers.InputLayer(batch_shape=(1, 4, 1)),
        layers.InputLayer((4, 1), batch_size=1),
    ]
    assert [layer.declared_input_shape for layer in fixed] == [(1, 4, 1)] * 5
    assert layers.Input(batch_shape=(1, 4, 1)).shape == layers.Input((4, 1), batch_size=1).shape == (1, 4, 1)
    assert layers.Dense(3, input_dim=4).declared_input_shape == (None, 4)
    assert layers.Embedding(9, 3, input_length=4).declared_input_shape == (None, 4)
    assert layers.Embedding(9, 3).declared_input_shape is None
    assert layers.CuDNNLSTM is layers.LSTM
    assert layers.CuDNNGRU is layers.GRU
