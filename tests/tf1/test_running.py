"""dynamic_rnn, static_rnn and their bidirectional kin: states, lengths, gradients, arrangements."""

import numpy as np
import pytest
import torch

import nabi.tf1 as tf

CELLS = {
    "basic": lambda: tf.BasicRNNCell(6, dtype=tf.float64),
    "lstm": lambda: tf.BasicLSTMCell(6, dtype=tf.float64),
    "joined lstm": lambda: tf.BasicLSTMCell(6, state_is_tuple=False, dtype=tf.float64),
    "peephole projected": lambda: tf.LSTMCell(6, use_peepholes=True, num_proj=3, dtype=tf.float64),
    "gru": lambda: tf.GRUCell(6, dtype=tf.float64),
    "stack": lambda: tf.MultiRNNCell(
        [tf.BasicLSTMCell(6, dtype=tf.float64), tf.GRUCell(5, dtype=tf.float64)]
    ),
    "dropout": lambda: tf.DropoutWrapper(tf.GRUCell(6, dtype=tf.float64)),
    "own": lambda: Leaky(),
}


class Leaky(tf.nn.rnn_cell.RNNCell):
    """A cell of the user's own, with a weight and no equation in nabi's language."""

    state_size = output_size = 4

    def build(self, inputs_shape):
        self.kernel = self.add_weight("kernel", [inputs_shape[-1] + 4, 4], dtype=tf.float64)

    def call(self, inputs, state):
        new = 0.5 * state + torch.sin(torch.cat([inputs, state], dim=1) @ self.kernel)
        return new, new


def leaves(state):
    if isinstance(state, (tuple, list)):
        return [leaf for member in state for leaf in leaves(member)]
    return [state]


def run(function, cell, x, **arguments):
    if function == "dynamic":
        return tf.nn.dynamic_rnn(cell, x, dtype=tf.float64, **arguments)
    outputs, state = tf.nn.static_rnn(cell, tf.unstack(x, axis=1), dtype=tf.float64, **arguments)
    return tf.stack(outputs, axis=1), state


@pytest.fixture(params=CELLS)
def cell(request):
    torch.manual_seed(0)
    return CELLS[request.param]()


@pytest.fixture
def x():
    return torch.randn(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("lengths", [None, [5, 1, 0, 3]])
def test_static_and_dynamic_give_the_same(cell, x, lengths):
    gradients = []
    for function in ("static", "dynamic"):
        fed = x.clone().requires_grad_()
        outputs, state = run(function, cell, fed, sequence_length=lengths)
        total = (outputs * torch.linspace(0, 1, outputs.numel()).view_as(outputs)).sum()
        total = total + sum((leaf**2).sum() for leaf in leaves(state))
        gradients.append(torch.autograd.grad(total, [fed, *cell.parameters()]))
        gradients[-1] += (outputs.detach(), *(leaf.detach() for leaf in leaves(state)))
    for static, dynamic in zip(*gradients, strict=True):
        torch.testing.assert_close(static, dynamic, rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", ["static", "dynamic"])
def test_lengths_are_as_each_sequence_alone(cell, x, function):
    lengths = [5, 1, 0, 3]
    outputs, state = run(function, cell, x, sequence_length=lengths)
    for sample, length in enumerate(lengths):
        assert (outputs[sample, length:] == 0).all()
        if length:
            alone, final = run("static", cell, x[sample : sample + 1, :length])
            torch.testing.assert_close(outputs[sample : sample + 1, :length], alone, rtol=0, atol=1e-12)
            for together, apart in zip(leaves(state), leaves(final), strict=True):
                torch.testing.assert_close(together[sample : sample + 1], apart, rtol=0, atol=1e-12)
        else:
            assert all((leaf[sample] == 0).all() for leaf in leaves(state))


@pytest.mark.parametrize("function", ["static", "dynamic"])
def test_padding_may_be_not_a_number(cell, x, function):
    lengths = [5, 1, 0, 3]
    clean, spoilt = x.clone(), x.clone()
    for sample, length in enumerate(lengths):
        spoilt[sample, length:] = float("nan")
    results = []
    for values in (clean, spoilt):
        fed = values.requires_grad_()
        outputs, _ = run(function, cell, fed, sequence_length=lengths)
        results.append([outputs, *torch.autograd.grad(outputs.sum(), [fed, *cell.parameters()])])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_sequence_in_two_parts_is_the_sequence(cell, x):
    whole, final = run("dynamic", cell, x)
    first, between = run("dynamic", cell, x[:, :2])
    second, end = run("dynamic", cell, x[:, 2:], initial_state=between)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=1e-12)
    for one, other in zip(leaves(end), leaves(final), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_one_step_is_a_call(cell, x):
    outputs, state = run("dynamic", cell, x[:, :1])
    output, new_state = cell(x[:, 0], cell.zero_state(4, tf.float64))
    torch.testing.assert_close(output, outputs[:, 0], rtol=0, atol=1e-12)
    for one, other in zip(leaves(new_state), leaves(state), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_time_major(cell, x):
    outputs, _ = run("dynamic", cell, x)
    turned, _ = run("dynamic", cell, x.transpose(0, 1), time_major=True)
    torch.testing.assert_close(turned.transpose(0, 1), outputs, rtol=0, atol=0)


@pytest.mark.parametrize("lengths", [None, [5, 1, 0, 3]])
def test_bidirectional(x, lengths):
    torch.manual_seed(0)
    forward, backward = tf.BasicLSTMCell(6, dtype=tf.float64), tf.BasicLSTMCell(2, dtype=tf.float64)
    (out_fw, out_bw), (state_fw, state_bw) = tf.nn.bidirectional_dynamic_rnn(
        forward, backward, x, sequence_length=lengths, dtype=tf.float64
    )
    assert out_fw.shape == (4, 5, 6)
    assert out_bw.shape == (4, 5, 2)
    for sample, length in enumerate(lengths or [5] * 4):
        if length:
            real = x[sample : sample + 1, :length]
            turned, final = run("dynamic", backward, real.flip(1))
            torch.testing.assert_close(
                out_bw[sample : sample + 1, :length], turned.flip(1), rtol=0, atol=1e-12
            )
            torch.testing.assert_close(state_bw.c[sample : sample + 1], final.c, rtol=0, atol=1e-12)
    outputs, static_fw, static_bw = tf.nn.static_bidirectional_rnn(
        forward, backward, tf.unstack(x, axis=1), dtype=tf.float64, sequence_length=lengths
    )
    joined = torch.cat([out_fw, out_bw], dim=2)
    torch.testing.assert_close(tf.stack(outputs, axis=1), joined, rtol=0, atol=1e-12)
    torch.testing.assert_close(static_fw.h, state_fw.h, rtol=0, atol=1e-12)
    torch.testing.assert_close(static_bw.h, state_bw.h, rtol=0, atol=1e-12)


def test_a_cell_of_ones_own_learns():
    torch.manual_seed(0)
    cell = Leaky()
    outputs, _ = tf.nn.dynamic_rnn(cell, torch.randn(2, 3, 4, dtype=torch.float64), dtype=tf.float64)
    outputs.sum().backward()
    assert cell.kernel.name == "leaky/kernel:0"
    assert cell.kernel.grad is not None
    assert cell.kernel.grad.abs().max() > 0


def test_dropout_keeps_the_mean_and_is_off_outside_training():
    torch.manual_seed(0)
    inner = tf.GRUCell(8)
    cell = tf.DropoutWrapper(inner, output_keep_prob=0.5, seed=3)
    x = torch.randn(200, 4, 3)
    plain, _ = tf.nn.dynamic_rnn(inner, x, dtype=tf.float32)
    dropped, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    kept = dropped != 0
    assert 0.47 < kept.float().mean() < 0.53
    torch.testing.assert_close(dropped[kept], 2 * plain[kept])
    torch.testing.assert_close(tf.nn.dynamic_rnn(cell.eval(), x, dtype=tf.float32)[0], plain)


def test_dropout_of_the_state_leaves_the_cell_state_alone():
    torch.manual_seed(0)
    cell = tf.DropoutWrapper(tf.BasicLSTMCell(50), state_keep_prob=0.5)
    outputs, state = tf.nn.dynamic_rnn(cell, torch.randn(4, 3, 2), dtype=tf.float32)
    assert (outputs != 0).all()
    assert (state.c != 0).all()
    assert 0.3 < (state.h == 0).float().mean() < 0.7


def test_dropout_of_the_input_differs_from_step_to_step():
    cell = tf.DropoutWrapper(tf.BasicRNNCell(1, activation="linear"), input_keep_prob=0.5, seed=0)
    cell.cell.build((None, 1))
    cell.cell.set_weights([np.array([[1.0], [0.0]]), np.zeros(1)])
    outputs, _ = tf.nn.dynamic_rnn(cell, np.ones([1, 100, 1]), dtype=tf.float32)
    assert set(np.unique(outputs).tolist()) == {0.0, 2.0}


def test_empty_time_and_empty_batch(cell):
    outputs, state = tf.nn.dynamic_rnn(cell, np.zeros([2, 0, 3]), dtype=tf.float64)
    assert outputs.shape == (2, 0, cell.output_size)
    assert all((leaf == 0).all() for leaf in leaves(state))
    outputs, state = tf.nn.dynamic_rnn(cell, np.zeros([0, 4, 3]), dtype=tf.float64, sequence_length=[])
    assert outputs.shape == (0, 4, cell.output_size)
