"""The system of the lectures: five neurons, three inputs, two steps, one mini-batch of four."""

import numpy as np
import pytest
import torch

import nabi.tf1 as tf

X_BATCH = np.array(
    [[[0, 1, 2], [9, 8, 7]], [[3, 4, 5], [0, 0, 0]], [[6, 7, 8], [6, 5, 4]], [[9, 0, 1], [3, 2, 1]]]
)
LENGTHS = [2, 1, 2, 2]


@pytest.fixture
def cell():
    torch.manual_seed(42)
    return tf.nn.rnn_cell.BasicRNNCell(num_units=5)


def by_hand(cell):
    """Y0 = tanh(X0 Wx + b), Y1 = tanh(Y0 Wy + X1 Wx + b)."""
    kernel, b = cell.get_weights()
    w_x, w_y = kernel[:3], kernel[3:]
    y0 = np.tanh(X_BATCH[:, 0] @ w_x + b)
    return y0, np.tanh(y0 @ w_y + X_BATCH[:, 1] @ w_x + b)


def test_dynamic_static_and_numpy_agree(cell):
    outputs, state = tf.nn.dynamic_rnn(cell, X_BATCH, dtype=tf.float32)
    (y0, y1), static_state = tf.nn.static_rnn(cell, [X_BATCH[:, 0], X_BATCH[:, 1]], dtype=tf.float32)
    hand0, hand1 = by_hand(cell)
    assert outputs.shape == (4, 2, 5)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(y0, hand0, atol=1e-6)
    np.testing.assert_allclose(y1, hand1, atol=1e-6)
    np.testing.assert_allclose(outputs, np.stack([hand0, hand1], axis=1), atol=1e-6)
    # The final state of a basic cell is its last output.
    np.testing.assert_array_equal(state, outputs[:, 1])
    np.testing.assert_array_equal(static_state, y1)


def test_the_whole_batch_in_one_array_through_unstack_and_stack(cell):
    X_seqs = tf.unstack(tf.transpose(X_BATCH, perm=[1, 0, 2]))
    output_seqs, _ = tf.nn.static_rnn(cell, X_seqs, dtype=tf.float32)
    outputs = tf.transpose(tf.stack(output_seqs), perm=[1, 0, 2])
    assert outputs.shape == (4, 2, 5)
    np.testing.assert_allclose(outputs, tf.nn.dynamic_rnn(cell, X_BATCH, dtype=tf.float32)[0], atol=1e-6)


@pytest.mark.parametrize("static", [False, True])
def test_sequence_length(cell, static):
    if static:
        steps, state = tf.nn.static_rnn(
            cell, tf.unstack(X_BATCH, axis=1), dtype=tf.float32, sequence_length=LENGTHS
        )
        outputs = tf.stack(steps, axis=1)
    else:
        outputs, state = tf.nn.dynamic_rnn(cell, X_BATCH, dtype=tf.float32, sequence_length=LENGTHS)
    hand0, hand1 = by_hand(cell)
    np.testing.assert_array_equal(outputs[1, 1], np.zeros(5))
    np.testing.assert_allclose(outputs[1, 0], hand0[1], atol=1e-6)
    # The second sample ends after one step; the others after two.
    np.testing.assert_allclose(state[1], hand0[1], atol=1e-6)
    np.testing.assert_allclose(state[[0, 2, 3]], hand1[[0, 2, 3]], atol=1e-6)


def test_static_copies_share_weights_and_the_graph_grows_with_time(cell):
    def nodes(value):
        seen, waiting = set(), [value.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting.extend(parent for parent, _ in node.next_functions)
        return len(seen)

    def static_and_dynamic(steps):
        x = torch.randn(4, steps, 3)
        unrolled, _ = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float32)
        outputs, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
        return nodes(unrolled[-1].sum()), nodes(outputs.sum())

    short, long = static_and_dynamic(5), static_and_dynamic(50)
    assert long[0] > short[0] + 45
    assert len(cell.weights) == 2
    # Nodes of the dynamic graph: those of one operation, however long the sequence is.
    assert long[1] == short[1]
