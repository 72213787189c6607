"""Cells as objects: weights made late and shared, names, layout, initial values, states, saving."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch

import nabi.tf1 as tf


def names_and_shapes(cell):
    return [(variable.name, tuple(variable.shape)) for variable in cell.variables]


def test_weights_are_made_on_first_use_and_then_shared():
    cell = tf.nn.rnn_cell.BasicLSTMCell(5)
    assert cell.weights == []
    x = np.ones([2, 3, 4])
    first, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    weights = cell.weights
    second, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    cell(x[:, 0], cell.zero_state(2, tf.float32))
    np.testing.assert_array_equal(first, second)
    assert all(old is new for old, new in zip(weights, cell.weights, strict=True))


def test_names_and_layout():
    lstm = tf.nn.rnn_cell.LSTMCell(5, use_peepholes=True, num_proj=2)
    lstm.build([None, 3])
    assert names_and_shapes(lstm) == [
        ("lstm_cell/kernel:0", (5, 20)),
        ("lstm_cell/bias:0", (20,)),
        ("lstm_cell/w_f_diag:0", (5,)),
        ("lstm_cell/w_i_diag:0", (5,)),
        ("lstm_cell/w_o_diag:0", (5,)),
        ("lstm_cell/projection/kernel:0", (5, 2)),
    ]
    gru = tf.nn.rnn_cell.GRUCell(5)
    gru.build([None, 3])
    assert names_and_shapes(gru) == [
        ("gru_cell/gates/kernel:0", (8, 10)),
        ("gru_cell/gates/bias:0", (10,)),
        ("gru_cell/candidate/kernel:0", (8, 5)),
        ("gru_cell/candidate/bias:0", (5,)),
    ]
    stack = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicRNNCell(4), tf.nn.rnn_cell.BasicRNNCell(2)])
    stack.build([None, 3])
    assert names_and_shapes(stack) == [
        ("multi_rnn_cell/cell_0/basic_rnn_cell/kernel:0", (7, 4)),
        ("multi_rnn_cell/cell_0/basic_rnn_cell/bias:0", (4,)),
        ("multi_rnn_cell/cell_1/basic_rnn_cell/kernel:0", (6, 2)),
        ("multi_rnn_cell/cell_1/basic_rnn_cell/bias:0", (2,)),
    ]


def test_a_wrapper_adds_nothing_to_the_names():
    wrapped = [tf.DropoutWrapper(tf.nn.rnn_cell.GRUCell(4), output_keep_prob=0.5) for _ in range(2)]
    stack = tf.MultiRNNCell(wrapped)
    stack.build([None, 3])
    assert stack.weights[0].name == "multi_rnn_cell/cell_0/gru_cell/gates/kernel:0"
    assert stack.weights[-1].name == "multi_rnn_cell/cell_1/gru_cell/candidate/bias:0"


def test_initial_values():
    gru = tf.GRUCell(40)
    gru.build([None, 20])
    gates, gates_bias, _, candidate_bias = gru.get_weights()
    limit = np.sqrt(6 / (60 + 80))
    assert 0.9 * limit < np.abs(gates).max() <= limit
    assert (gates_bias == 1).all()
    assert (candidate_bias == 0).all()
    lstm = tf.LSTMCell(40, initializer="zeros")
    lstm.build([None, 20])
    assert all((weight == 0).all() for weight in lstm.get_weights())
    other = tf.GRUCell(4, kernel_initializer="ones", bias_initializer="zeros")
    other.build([None, 2])
    assert [float(weight.mean()) for weight in other.get_weights()] == [1, 0, 1, 0]


def test_state_size_output_size_and_zero_state():
    lstm = tf.LSTMCell(5, num_proj=2)
    assert lstm.state_size == tf.LSTMStateTuple(5, 2)
    assert lstm.output_size == 2
    zero = lstm.zero_state(3, tf.float64)
    assert isinstance(zero, tf.LSTMStateTuple)
    assert zero.c.shape == (3, 5)
    assert zero.h.dtype == torch.float64
    assert tf.BasicLSTMCell(5, state_is_tuple=False).state_size == 10
    assert tf.BasicRNNCell(5).zero_state(3, tf.float32).shape == (3, 5)
    assert tf.MultiRNNCell([lstm, tf.GRUCell(4)]).state_size == (tf.LSTMStateTuple(5, 2), 4)


def test_numpy_in_numpy_out_tensor_in_tensor_out():
    cell = tf.BasicLSTMCell(5)
    outputs, state = tf.nn.dynamic_rnn(cell, [[[1.0, 2.0]]], dtype=tf.float32)
    assert isinstance(outputs, np.ndarray)
    assert isinstance(state, tf.LSTMStateTuple)
    assert isinstance(state.c, np.ndarray)
    outputs, state = tf.nn.dynamic_rnn(cell, torch.ones(1, 1, 2), dtype=tf.float32)
    assert outputs.requires_grad
    assert isinstance(state.h, torch.Tensor)
    output, _ = cell(np.ones([1, 2]), cell.zero_state(1, tf.float32))
    assert isinstance(output, np.ndarray)
    assert output.dtype == np.float32
    asked = cell.zero_state(1, tf.float32).c.requires_grad_()
    outputs, _ = tf.nn.dynamic_rnn(cell, np.ones([1, 3, 2]), initial_state=tf.LSTMStateTuple(asked, asked))
    assert torch.autograd.grad(outputs.sum(), asked)[0].abs().max() > 0


def test_an_array_that_cannot_be_written_to_is_taken():
    x = np.ones([1, 2, 3])
    x.flags.writeable = False
    outputs, _ = tf.nn.dynamic_rnn(tf.BasicRNNCell(2), x, dtype=tf.float64)
    assert outputs.dtype == np.float64


def test_dtype_may_be_written_in_many_ways():
    x = np.ones([1, 2, 3])
    for dtype in (tf.float64, np.float64, "float64", float, np.dtype("float64")):
        outputs, _ = tf.nn.dynamic_rnn(tf.BasicRNNCell(2), x, dtype=dtype)
        assert outputs.dtype == np.float64


def test_the_forget_bias_is_no_part_of_the_learned_bias():
    cell = tf.BasicLSTMCell(5, forget_bias=1.0)
    cell.build([None, 3])
    assert (cell.get_weights()[1] == 0).all()


def test_a_cell_trains_with_a_torch_optimizer():
    torch.manual_seed(0)
    cell = tf.BasicLSTMCell(8)
    x = torch.randn(16, 6, 2)
    target = x.sum(dim=(1, 2))
    cell.build([None, 2])
    readout = torch.nn.Linear(8, 1)
    optimizer = torch.optim.Adam([*cell.parameters(), *readout.parameters()], lr=0.02)
    losses = []
    for _ in range(60):
        _, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
        loss = torch.nn.functional.mse_loss(readout(state.h)[:, 0], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_copies_and_state_dict():
    cell = tf.GRUCell(4)
    x = np.random.default_rng(0).normal(size=(2, 3, 5))
    outputs, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    twin = copy.deepcopy(cell)
    np.testing.assert_array_equal(tf.nn.dynamic_rnn(twin, x, dtype=tf.float32)[0], outputs)
    assert names_and_shapes(twin) == names_and_shapes(cell)
    unpickled = pickle.loads(pickle.dumps(cell))
    np.testing.assert_array_equal(tf.nn.dynamic_rnn(unpickled, x, dtype=tf.float32)[0], outputs)
    assert names_and_shapes(unpickled) == names_and_shapes(cell)
    assert list(cell.state_dict()) == ["gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"]
    file = io.BytesIO()
    torch.save(cell.state_dict(), file)
    file.seek(0)
    other = tf.GRUCell(4)
    other.build([None, 5])
    other.load_state_dict(torch.load(file))
    np.testing.assert_array_equal(tf.nn.dynamic_rnn(other, x, dtype=tf.float32)[0], outputs)


def test_trainable_and_frozen_weights():
    cell = tf.BasicRNNCell(4)
    cell.build([None, 5])
    cell.kernel.requires_grad_(False)
    assert [variable.name for variable in cell.trainable_variables] == ["basic_rnn_cell/bias:0"]
    assert [variable.name for variable in cell.non_trainable_weights] == ["basic_rnn_cell/kernel:0"]


@pytest.mark.parametrize("name", ["BasicRNNCell", "BasicLSTMCell", "LSTMCell", "GRUCell", "MultiRNNCell"])
def test_the_same_cell_under_all_its_names(name):
    cell = getattr(tf.nn.rnn_cell, name)
    assert getattr(tf.contrib.rnn, name) is cell
    assert getattr(tf, name) is cell


def test_functions_under_all_their_names():
    assert tf.contrib.rnn.static_rnn is tf.nn.static_rnn is tf.static_rnn
    assert tf.nn.dynamic_rnn is tf.dynamic_rnn


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "swish"])
def test_activations_are_functions_and_arguments(name):
    function = getattr(tf.nn, name)
    values = np.linspace(-2, 2, 8).reshape(2, 4)
    as_tensor = function(torch.from_numpy(values))
    np.testing.assert_allclose(function(values), as_tensor.numpy())
    cell = tf.BasicRNNCell(4, activation=function, dtype=tf.float64)
    cell.build([None, 4])
    cell.set_weights([np.concatenate([np.eye(4), np.zeros([4, 4])]), np.zeros(4)])
    np.testing.assert_allclose(cell(values, np.zeros([2, 4]))[0], as_tensor.numpy(), atol=1e-12)


def test_unstack_stack_and_transpose_on_tensors():
    x = torch.randn(2, 3, 4, requires_grad=True)
    parts = tf.unstack(x, num=3, axis=1)
    assert torch.equal(tf.stack(parts, axis=1), x)
    assert tf.transpose(x, perm=[1, 0, 2]).shape == (3, 2, 4)
    assert tf.transpose(x).shape == (4, 3, 2)
    assert isinstance(tf.stack(parts), torch.Tensor)
