"""Bad input: each a sentence that names the argument, what came and what was expected."""

import numpy as np
import pytest
import torch

import nabi.tf1 as tf
from nabi.errors import ArgumentError, NabiError, ShapeError, UnknownNameError

X = np.zeros([4, 2, 3])


def cell():
    return tf.BasicRNNCell(5)


def dynamic(x=X, **arguments):
    return tf.nn.dynamic_rnn(cell(), x, **{"dtype": tf.float32, **arguments})


def static(steps, **arguments):
    return tf.nn.static_rnn(cell(), steps, **{"dtype": tf.float32, **arguments})


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([2, 1, 2], ShapeError, r"sequence_length: .* each of the 4 samples, got the shape \[3\]"),
        ([[2, 1, 2, 2]], ShapeError, r"sequence_length: .*got the shape \[1, 4\]"),
        (2, ShapeError, r"sequence_length: .*got the shape \[\]"),
        ([2, 1, 3, 2], ArgumentError, "sequence_length: expected 0 to 2 time steps, got 3 for sample 2"),
        ([2, -1, 2, 2], ArgumentError, "sequence_length: expected 0 to 2 time steps, got -1 for sample 1"),
        ([2.0, 1.0, 2.0, 2.0], ArgumentError, "sequence_length: expected whole numbers, got torch.float64"),
        (["a", "b", "c", "d"], ArgumentError, "sequence_length: expected an array of numbers"),
    ],
)
def test_sequence_length(lengths, error, message):
    with pytest.raises(error, match=message):
        dynamic(sequence_length=lengths)
    with pytest.raises(error, match=message):
        static(tf.unstack(X, axis=1), sequence_length=lengths)
    with pytest.raises(error, match=message):
        tf.nn.bidirectional_dynamic_rnn(cell(), cell(), X, sequence_length=lengths, dtype=tf.float32)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3, 1)])
def test_rank_of_inputs(shape):
    with pytest.raises(ShapeError, match=r"inputs: expected \[batch, time steps, width\], got the shape"):
        dynamic(np.zeros(shape))


def test_rank_of_inputs_time_major():
    with pytest.raises(ShapeError, match=r"inputs: expected \[time steps, batch, width\]"):
        dynamic(np.zeros([4, 3]), time_major=True)


def test_rank_of_a_step():
    with pytest.raises(ShapeError, match=r"inputs: expected \[batch, width\], got the shape \[3\]"):
        cell()(np.zeros(3), np.zeros([1, 5]))
    with pytest.raises(ShapeError, match=r"inputs\[1\]: expected \[batch, width\]"):
        static([np.zeros([4, 3]), np.zeros(3)])


def test_the_rule_about_dtype():
    for run in (
        lambda: tf.nn.dynamic_rnn(cell(), X),
        lambda: tf.nn.static_rnn(cell(), tf.unstack(X, axis=1)),
        lambda: tf.nn.bidirectional_dynamic_rnn(cell(), cell(), X),
    ):
        with pytest.raises(ArgumentError, match=r"dtype: needed when there is no initial_state.*tf.float32"):
            run()
    with pytest.raises(ArgumentError, match=r"initial_state_fw and initial_state_bw"):
        tf.nn.bidirectional_dynamic_rnn(cell(), cell(), X, initial_state_fw=np.zeros([4, 5]))


@pytest.mark.parametrize("dtype", [tf.int32, "int64", np.int32, "nonsense", bool])
def test_dtype_that_is_none(dtype):
    with pytest.raises(ArgumentError, match=r"dtype: expected a"):
        dynamic(dtype=dtype)


def test_initial_state():
    with pytest.raises(ShapeError, match=r"initial_state: expected the shape \[4, 5\], got \[4, 6\]"):
        dynamic(initial_state=np.zeros([4, 6]))
    with pytest.raises(ShapeError, match=r"initial_state: expected the shape \[4, 5\], got \[3, 5\]"):
        dynamic(initial_state=np.zeros([3, 5]))
    with pytest.raises(ShapeError, match=r"initial_state: expected one array \[4, 5\], got 2 parts"):
        dynamic(initial_state=(np.zeros([4, 5]), np.zeros([4, 5])))
    lstm = tf.BasicLSTMCell(5)
    with pytest.raises(ShapeError, match=r"initial_state: expected a LSTMStateTuple of 2 parts, got ndarray"):
        tf.nn.dynamic_rnn(lstm, X, initial_state=np.zeros([4, 5]))
    with pytest.raises(ShapeError, match=r"initial_state.h: expected the shape \[4, 5\], got \[4, 2\]"):
        tf.nn.dynamic_rnn(lstm, X, initial_state=(np.zeros([4, 5]), np.zeros([4, 2])))
    stack = tf.MultiRNNCell([tf.GRUCell(5), tf.GRUCell(2)])
    with pytest.raises(ShapeError, match=r"initial_state\[1\]: expected the shape \[4, 2\]"):
        tf.nn.dynamic_rnn(stack, X, initial_state=(np.zeros([4, 5]), np.zeros([4, 5])))


def test_inputs_of_static_rnn():
    with pytest.raises(ArgumentError, match=r"inputs: expected a list of .*tf.unstack"):
        static(X)
    with pytest.raises(ArgumentError, match=r"inputs: expected at least one time step"):
        static([])
    with pytest.raises(
        ShapeError, match=r"inputs\[1\]: expected the shape \[4, 3\] of inputs\[0\], got \[4, 2\]"
    ):
        static([np.zeros([4, 3]), np.zeros([4, 2])])


def test_another_width_than_the_first():
    used = cell()
    tf.nn.dynamic_rnn(used, X, dtype=tf.float32)
    with pytest.raises(
        ShapeError, match=r"inputs: expected width 3, for which basic_rnn_cell was built, got 4"
    ):
        tf.nn.dynamic_rnn(used, np.zeros([4, 2, 4]), dtype=tf.float32)


def test_another_dtype_than_the_first():
    used = cell()
    tf.nn.dynamic_rnn(used, X, dtype=tf.float32)
    with pytest.raises(
        ArgumentError,
        match=r"dtype: expected torch.float32, for which basic_rnn_cell was built, got torch.float64",
    ):
        tf.nn.dynamic_rnn(used, X, dtype=tf.float64)


@pytest.mark.parametrize("units", [0, -3, 2.5, True, "5", None])
def test_units(units):
    for kind in (tf.BasicRNNCell, tf.BasicLSTMCell, tf.LSTMCell, tf.GRUCell):
        with pytest.raises(ArgumentError, match="num_units: expected a whole number"):
            kind(units)


def test_options_of_a_cell():
    with pytest.raises(ArgumentError, match="num_proj: expected a whole number of at least 1, got 0"):
        tf.LSTMCell(5, num_proj=0)
    with pytest.raises(ArgumentError, match=r"cell_clip: expected a number above 0 or None, got -1\.0"):
        tf.LSTMCell(5, cell_clip=-1.0)
    with pytest.raises(UnknownNameError, match=r"activation: 'tahn' is not known; did you mean 'tanh'"):
        tf.BasicRNNCell(5, activation="tahn")
    with pytest.raises(ArgumentError, match=r"activation: expected a name or a function such as tf.nn.relu"):
        tf.BasicRNNCell(5, activation=lambda x: x)
    with pytest.raises(ArgumentError, match=r"output_keep_prob: expected a probability"):
        tf.DropoutWrapper(cell(), output_keep_prob=0)


def test_stacks():
    with pytest.raises(ArgumentError, match=r"expected different cells, got the same one twice"):
        tf.MultiRNNCell([cell()] * 3)
    with pytest.raises(ArgumentError, match=r"cells: expected at least one"):
        tf.MultiRNNCell([])
    with pytest.raises(ArgumentError, match=r"cells: expected cells of nabi.tf1, got Linear"):
        tf.MultiRNNCell([torch.nn.Linear(2, 3)])
    with pytest.raises(ArgumentError, match=r"state_is_tuple"):
        tf.MultiRNNCell([cell()], state_is_tuple=False)


def test_something_that_is_no_cell():
    for run in (
        lambda: tf.nn.dynamic_rnn(torch.nn.Linear(3, 5), X, dtype=tf.float32),
        lambda: tf.nn.static_rnn(5, tf.unstack(X), dtype=tf.float32),
    ):
        with pytest.raises(ArgumentError, match=r"cell: expected a cell such as"):
            run()


def test_weights():
    fresh = cell()
    with pytest.raises(
        ArgumentError, match=r"values: expected 0 arrays, got 2; weights are created on first use"
    ):
        fresh.set_weights([np.zeros([8, 5]), np.zeros(5)])
    fresh.build([None, 3])
    with pytest.raises(
        ShapeError, match=r"values: expected the shape \[5\] for basic_rnn_cell/bias:0, got \[4\]"
    ):
        fresh.set_weights([np.zeros([8, 5]), np.zeros(4)])
    with pytest.raises(ShapeError, match=r"inputs_shape: expected \(None, width\)"):
        cell().build([None, None])


def test_arrays():
    with pytest.raises(ShapeError, match=r"axis: expected an axis of the shape .*, got 3"):
        tf.unstack(X, axis=3)
    with pytest.raises(ShapeError, match=r"num: expected 2, the members of axis 1 of value, got 5"):
        tf.unstack(X, num=5, axis=1)
    with pytest.raises(ShapeError, match=r"values: expected arrays of one shape"):
        tf.stack([np.zeros(2), np.zeros(3)])
    with pytest.raises(ShapeError, match=r"values: .* got none"):
        tf.stack([])
    with pytest.raises(ShapeError, match=r"perm: expected an order of the axes 0 to 2"):
        tf.transpose(X, perm=[0, 1])


@pytest.mark.parametrize(
    "name",
    ["placeholder", "Session", "global_variables_initializer", "variable_scope", "get_variable", "train"],
)
def test_names_of_the_graph_say_what_to_write_instead(name):
    with pytest.raises(
        AttributeError, match=rf"tf\.{name} is not in nabi.tf1.*; write .*docs/migrate"
    ) as caught:
        getattr(tf, name)
    assert isinstance(caught.value, NabiError)
    assert not hasattr(tf, name)


def test_names_that_are_near():
    with pytest.raises(AttributeError, match=r"did you mean tf\.nn\.dynamic_rnn\?"):
        tf.nn.dynamic_rn  # noqa: B018
    with pytest.raises(
        AttributeError, match=r"tf\.contrib\.layers is not in nabi.tf1\. For the available names"
    ):
        tf.contrib.layers  # noqa: B018
