"""`check_finite`, and `fit` with a loss that is not finite: the layer, the step, the row, the quantity."""

import re
import weakref

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn.utils.rnn import pack_sequence

import nabi
import nabi.nn
from nabi import layers
from nabi.cells import LSTM, Cell, SimpleRNN
from nabi.errors import ArgumentError, NotFiniteError
from nabi.explain import check_finite
from nabi.ir.functions import tanh

# In single precision, 1e10 to the fourth power is infinite: at step 3, counted from 0.
OVERFLOWS = 3
EQUATION = re.escape("(c_t = c_{t-1} 1e+10 + i_t ∘ g_t)")


class Overflows(Cell):
    """Its state grows by 1e10 at every step, once an input is positive; its output does not show it."""

    states = ("h", "c")
    shows: bool = False

    def step(self, x, h, c):
        i = self.affine("i", x, init={"x": 1.0, "b": 0.0})
        g = tanh(self.affine("g", x, h, init={"b": 5.0}))
        c = c * 1e10 + i * g
        return tanh(c) if not self.shows else tanh(c) + 0 * c, c


def sequences(time: int = 6) -> torch.Tensor:
    x = torch.zeros(3, time, 1)
    x[1] = 1.0  # of three rows, the second is the one that grows
    return x


def report(module, *arguments, **keywords) -> str:
    with pytest.raises(NotFiniteError) as error, check_finite(module):
        module(*arguments, **keywords)
    return str(error.value)


def test_the_first_step_row_unit_and_quantity() -> None:
    rnn = nabi.nn.RNN(Overflows(2), 1)
    assert rnn(sequences())[0].isfinite().all()  # the output alone does not say it
    assert re.fullmatch(
        f"Overflows: step {OVERFLOWS + 1}, row 1, unit 0: c is inf {EQUATION}", report(rnn, sequences())
    )


@settings(max_examples=15)
@given(length=st.integers(0, 9))
def test_only_steps_that_count(length: int) -> None:
    rnn, x = nabi.nn.RNN(Overflows(2), 1), sequences(9)
    x[1, length:] = torch.nan
    lengths = [9, length, 9]
    if length <= OVERFLOWS + 1:
        with check_finite(rnn):
            rnn(x, lengths=lengths)
    else:
        assert f"step {OVERFLOWS + 1}, row 1" in report(rnn, x, lengths=lengths)


def test_layers_directions_and_time_first() -> None:
    rnn = nabi.nn.RNN(Overflows(1), 1, bidirectional=True, batch_first=False)
    torch.nn.init.zeros_(rnn.W_x_l0)
    said = report(rnn, sequences().transpose(0, 1))
    assert said.startswith(f"Overflows, in reverse: step {5 - OVERFLOWS - 1}, row 1: c is inf")
    two = nabi.nn.RNN(Overflows(1, shows=True), 1, num_layers=2)
    torch.nn.init.zeros_(two.W_x_l0)
    with torch.no_grad():
        two.b_l0[0] = 1.0  # of the gate i: all rows grow in the first layer
    assert report(two, sequences()).startswith(f"Overflows, layer 0: step {OVERFLOWS + 1}, row 0: c is inf")
    holder = torch.nn.ModuleDict({"encoder": rnn})
    said = report_of(holder, lambda: holder["encoder"](sequences().transpose(0, 1)))
    assert said.startswith("Overflows 'encoder', in reverse")


def report_of(module, call) -> str:
    with pytest.raises(NotFiniteError) as error, check_finite(module):
        call()
    return str(error.value)


def test_packed_sequences() -> None:
    packed = torch.nn.utils.rnn.pack_sequence(list(sequences()), enforce_sorted=False)
    said = report(nabi.nn.RNN(Overflows(1), 1), packed)
    assert said.startswith(f"Overflows: step {OVERFLOWS + 1}, row 1: c is inf")


def test_inputs_and_weights_are_named() -> None:
    model = nabi.Sequential([layers.Dense(2, name="first"), layers.LSTM(3, name="memory"), layers.Dense(1)])
    x = torch.zeros(2, 4, 2)
    model(x)
    x[1, 2] = torch.nan
    assert report(model, x) == "Dense 'first': the input is nan at [1, 2, 0]"
    assert report(model.layers[1], x) == "LSTM 'memory': step 2, row 1: the input x is nan"
    with torch.no_grad():
        model.layers[1].recurrent_kernel[0, 0] = torch.inf
    assert report(model, torch.zeros(2, 4, 2)) == "LSTM 'memory': the weight recurrent_kernel is inf"


def test_layers_of_keras() -> None:
    layer = layers.RNN(Overflows(1), name="grows")
    assert report(layer, sequences()).startswith(f"RNN 'grows': step {OVERFLOWS + 1}, row 1: c is inf")
    both = layers.Bidirectional(layers.RNN(Overflows(1), name="grows"))
    both(sequences())
    torch.nn.init.zeros_(both.forward_layer.kernel)
    assert report(both, sequences()).startswith(
        f"RNN 'backward_grows': step {5 - OVERFLOWS - 1}, row 1: c is inf"
    )


def test_the_gradient_of_a_weight_and_the_step_it_came_from() -> None:
    rnn = nabi.nn.RNN(SimpleRNN(1, activation="linear"), 1)
    with torch.no_grad():
        rnn.W_h_l0.fill_(1e10)
        rnn.b_l0.zero_()
        rnn.W_x_l0.fill_(1.0)
    said = report_of(rnn, lambda: rnn(torch.zeros(1, 9, 1))[0][:, -1].sum().backward())
    # 1e10 to the fourth power belongs to the fifth step from the end.
    assert re.fullmatch(
        r"SimpleRNN: the gradient of W_\w+ is (nan|inf); going back, the first step is 4", said
    )


def linear_of_1e10(**keywords) -> nabi.nn.RNN:
    """A layer whose gradient is infinite from the fifth step on, counted from where it comes in."""
    rnn = nabi.nn.RNN(SimpleRNN(1, activation="linear"), 1, **keywords)
    with torch.no_grad():
        for name, weight in rnn.named_parameters():
            weight.fill_({"W_x": 1.0, "W_h": 1e10, "b": 0.0}[name.partition("_l")[0]])
    return rnn


@pytest.mark.parametrize(
    ("loss", "step"),
    [
        (lambda rnn, x: rnn(x)[1].h.sum(), 4),  # the state at the end
        (lambda rnn, x: rnn(x=x)[1].h.sum(), 4),
        (lambda rnn, x: rnn(x, lengths=[7])[1].h.sum(), 2),
        (lambda rnn, x: rnn(x, return_values=["h"])[2]["h"][:, 5].sum(), 1),
        (lambda rnn, x: rnn(pack_sequence([x[0]]))[1].h.sum(), 4),
        (lambda rnn, x: rnn(pack_sequence([x[0]]))[0].data[7].sum(), 3),
        (lambda rnn, x: rnn(x)[1].h.sum() + rnn(x[:, :3])[0].sum(), 4),  # the later call is harmless
    ],
)
def test_gradients_of_any_result_of_any_call(loss, step) -> None:
    rnn, x = linear_of_1e10(), torch.zeros(1, 9, 1)
    said = report_of(rnn, lambda: loss(rnn, x).backward())
    assert said.endswith(f"going back, the first step is {step}")


def test_gradients_of_results_are_named() -> None:
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(context, value):
            return value.sum()

        @staticmethod
        def backward(context, gradient):
            return torch.full((1, 2, 3), torch.nan)

    rnn, x = nabi.nn.RNN(LSTM(3), 1), torch.zeros(2, 4, 1)
    said = report_of(rnn, lambda: Loss.apply(rnn(x)[1].c).backward())
    assert said == "LSTM: the gradient of its state c is nan at [0, 0, 0]"
    model = layers.LSTM(3, return_state=True, name="memory")
    said = report_of(model, lambda: Loss.apply(model(x)[2][None]).backward())
    assert said == "LSTM 'memory': the gradient of its result 3 is nan at [0, 0]"


def test_a_loop_in_the_block_keeps_no_calls() -> None:
    rnn, alive = nabi.nn.RNN(LSTM(2), 1), []
    with check_finite(rnn):
        for turn in range(40):
            x = torch.zeros(1, 2, 1)
            alive.append(weakref.ref(x))
            out = rnn(x)[0].sum()
            if turn < 20:
                out.backward()
    assert sum(one() is not None for one in alive) <= 18


def test_what_is_finite_passes_and_nothing_stays() -> None:
    model = nabi.Sequential([layers.LSTM(3, dropout=0.5, seed=1), layers.Dense(1)])
    x = torch.randn(2, 4, 2)
    model(x)
    twin = nabi.models.clone_model(model)
    twin(x)
    twin.set_weights(model.get_weights())
    torch.manual_seed(0)
    with check_finite(model):
        first = model(x, training=True)
        first.sum().backward()
    torch.manual_seed(0)
    torch.testing.assert_close(twin(x, training=True), first)
    assert not model._forward_hooks
    assert not model.layers[0]._forward_pre_hooks
    with pytest.raises(ArgumentError, match=r"module: expected a layer or another torch module, got 3"):
        check_finite(3).__enter__()


@pytest.mark.parametrize("functional", [False, True])
def test_fit_says_what_became_infinite_first(functional: bool) -> None:
    parts = [
        layers.LSTM(2, return_sequences=True),
        layers.RNN(Overflows(2, shows=True), name="grows"),
        layers.Dense(1),
    ]
    if functional:
        x = out = nabi.Input((8, 1))
        for part in parts:
            out = part(out)
        model = nabi.models.Model(x, out)
    else:
        model = nabi.Sequential(parts)
    model.compile("adam", "mse")
    model(torch.zeros(1, 8, 1))
    grows = parts[1]
    with torch.no_grad():
        grows.set_weights([torch.ones_like(torch.as_tensor(one)) for one in grows.get_weights()])
    before = [weight.copy() for weight in model.get_weights()]
    numbers = torch.get_rng_state()
    with pytest.raises(NotFiniteError) as error:
        model.fit(torch.zeros(4, 8, 1), torch.zeros(4, 1), shuffle=False, verbose=0)
    assert re.search(
        rf"^loss: it became nan in epoch 1, batch 1, training stops\. RNN 'grows': step {OVERFLOWS + 1}, "
        rf"row 0, unit 0: c is inf {EQUATION}\. Try a smaller learning rate",
        str(error.value),
    )
    assert all((one == other).all() for one, other in zip(model.get_weights(), before, strict=True))
    assert torch.equal(torch.get_rng_state(), numbers)


def test_fit_of_weights_that_are_no_numbers() -> None:
    model = nabi.Sequential([layers.LSTM(3, name="memory"), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = torch.randn(8, 5, 2)
    model(x)
    with torch.no_grad():
        model.layers[0].kernel[0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match=r"stops\. LSTM 'memory': the weight kernel is nan\. Try"):
        model.fit(x, torch.randn(8, 1), verbose=0)


def test_a_ready_system_says_it_too() -> None:
    from nabi.training._finite import first_not_finite

    rnn = nabi.nn.RNN(Overflows(1), 1)
    assert first_not_finite(rnn, lambda: rnn(sequences())).startswith("Overflows: step")
    assert first_not_finite(rnn, lambda: rnn(sequences(2))) == ""
    assert first_not_finite(rnn, lambda: rnn(torch.zeros(1))) == ""  # what else goes wrong is no matter of it
    assert isinstance(LSTM(2), Cell)
