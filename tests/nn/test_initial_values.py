"""What weights start with: declared by the cell, by name, or by a convention; and that fixed ones stay."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies

import nabi.nn
from nabi import cells, layers
from nabi.errors import ArgumentError, ShapeError, UnknownNameError
from nabi.ir import Cell, initial
from nabi.ir.functions import sigmoid, tanh
from nabi.models import Sequential, load_model
from nabi.nn._drawing import draw
from nabi.scan import scan
from nabi.targets import eager


class FastRNN(Cell):
    """Kusupati et al. 2018, with a fixed matrix as well."""

    start: Any = initial.Constant(-3.0)

    def step(self, x: Any, h: Any) -> Any:
        alpha, beta = self.parameter("alpha", (), init=self.start), self.parameter("beta", (), init=3.0)
        leak = self.parameter("leak", init=initial.Linspace(0.1, 0.9), trained=False)
        fixed = self.linear("r", "h", h, init=initial.Orthogonal(0.5), trained=False)
        new = tanh(self.affine("h", x, h, init={"h": "identity"}) + fixed)
        return leak * sigmoid(alpha) * new + sigmoid(beta) * h


@pytest.mark.parametrize("initializer", ["torch", "keras", "paper"])
def test_declared_values_come_before_a_convention(initializer: str) -> None:
    rnn = nabi.nn.RNN(FastRNN(4), 3, 2, bidirectional=True, initializer=initializer)
    for suffix in ("l0", "l0_reverse", "l1"):
        assert torch.equal(getattr(rnn, f"W_h_h_{suffix}"), torch.eye(4))
        assert getattr(rnn, f"alpha_{suffix}").tolist() == [-3.0]
        fixed = getattr(rnn, f"W_h_{suffix}")
        torch.testing.assert_close(fixed @ fixed.T, 0.25 * torch.eye(4))
    assert bool(rnn.b_l0.any()) == (initializer == "torch")


def test_the_papers_values_leave_a_forget_gate_closed() -> None:
    biases = {name: nabi.nn.RNN(cells.LSTM(4), 3, initializer=name).b_l0 for name in ("keras", "paper")}
    assert biases["keras"][4:8].tolist() == [1.0] * 4
    assert not biases["paper"].any()


def test_given_values_come_before_declared_ones() -> None:
    rnn = nabi.nn.RNN(FastRNN(4), 3, initial_values={"alpha": 2, "W_hh": 0.5, "leak": (1, 2, 3, 4), "W_x": 0})
    assert rnn.alpha_l0.tolist() == [2.0]
    assert rnn.leak_l0.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert (rnn.W_h_h_l0 == 0.5).all()
    assert not rnn.W_x_l0.any()
    assert "initial_values={'alpha': Constant(value=2.0)" in repr(rnn)


def test_chrono_values_of_an_lstm() -> None:
    given = {"b_f": initial.Chrono(100), "b_i": initial.Opposite("b_f")}
    bias = nabi.nn.RNN(cells.LSTM(500), 3, initial_values=given).b_l0.reshape(4, 500)
    program = cells.LSTM(500).program(3)
    order = program.families[-1].gates
    f, i = (bias[order.index(gate)] for gate in "fi")
    assert torch.equal(f, -i)
    assert f.min() >= 0
    assert f.max() <= math.log(99)
    assert abs(f.exp().mean() - 50) < 6  # uniform between 1 and 99
    layer = layers.LSTM(6, initial_values=given)
    layer.build((None, 5, 3))
    twin = layers.LSTM.from_config(layer.get_config())
    assert twin.initial_values == layer.initial_values
    assert torch.equal(layer.bias[:6], -layer.bias[6:12])
    assert layer.bias[6:12].min() > 0


def test_fixed_parameters_are_stored_and_not_trained() -> None:
    rnn = nabi.nn.RNN(FastRNN(4), 3)
    assert {name for name, _ in rnn.named_buffers()} == {"W_h_l0", "leak_l0"} <= set(rnn.state_dict())
    assert not {"W_h_l0", "leak_l0"} & {name for name, _ in rnn.named_parameters()}
    before = {name: value.clone() for name, value in rnn.state_dict().items()}
    optimizer = torch.optim.Adam(rnn.parameters(), 0.1)
    output, _ = rnn(torch.randn(2, 5, 3))
    output.sum().backward()
    optimizer.step()
    moved = {name for name, value in rnn.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"W_x_l0", "W_h_h_l0", "b_l0", "alpha_l0", "beta_l0"}
    other = nabi.nn.RNN(FastRNN(4), 3)
    other.load_state_dict(rnn.state_dict())
    assert torch.equal(other(torch.ones(1, 2, 3))[0], rnn(torch.ones(1, 2, 3))[0])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_fit_leaves_fixed_weights_alone_and_files_hold_them(optimizer: str, tmp_path: Any) -> None:
    model = Sequential([layers.Input((5, 3)), layers.RNN(FastRNN(4)), layers.Dense(1)])
    layer = model.layers[0]
    assert [w.shape for w in layer.non_trainable_weights] == [(4, 4), (4,)]
    before = [weight.copy() for weight in layer.get_weights()]
    model.compile(optimizer, "mse")
    model.fit(torch.randn(16, 5, 3), torch.randn(16, 1), epochs=3, batch_size=8, verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, layer.get_weights(), strict=True)]
    assert same == [False] * 5 + [True, True]
    model.save(tmp_path / "model.nabi")
    again = load_model(tmp_path / "model.nabi")
    x = torch.randn(2, 5, 3)
    assert np.array_equal(again.predict(x), model.predict(x))
    assert again.layers[0].equations == layer.equations
    lines: list[str] = []
    again.summary(print_fn=lines.append)
    assert "Not trainable: 20" in "\n".join(lines)


def test_initializers_of_layers_and_declared_values() -> None:
    declared = layers.RNN(FastRNN(4))
    declared.build((None, 5, 3))
    assert torch.equal(declared.W_h_h, torch.eye(4))
    own = layers.RNN(FastRNN(4), recurrent_initializer="zeros", initial_values={"alpha": 7})
    own.build((None, 5, 3))
    assert not own.W_h_h.any()
    assert own.alpha.tolist() == [7.0]
    assert own.recurrent_kernel.any(), "a fixed matrix starts as declared"
    twin = layers.RNN.from_config(own.get_config())
    twin.build((None, 5, 3))
    assert not twin.W_h_h.any()
    assert twin.alpha.tolist() == [7.0]


@given(strategies.sampled_from(["float32", "float64"]), strategies.integers(1, 9), strategies.integers(0, 99))
def test_values_lie_where_they_are_said_to(name: str, units: int, seed: int) -> None:
    dtype = getattr(torch, name)
    torch.manual_seed(seed)
    for value, low, high in (
        (initial.Uniform(-2, 3), -2, 3), (initial.LogUniform(1, 1000), 1, 1000),
        (initial.Chrono(9), 0, math.log(8)),
        (initial.Linspace(-1, 4), -1, 4), (initial.Constant(2), 2, 2), (initial.Glorot(), -3, 3),
    ):  # fmt: skip
        found = draw(value, (units, units), dtype)
        assert found.dtype == dtype
        assert found.shape == (units, units)
        assert found.min() >= low - 1e-6
        assert found.max() <= high * (1 + 1e-6)
    reservoir = draw(initial.SpectralRadius(0.9), (units, units), dtype)
    assert abs(float(torch.linalg.eigvals(reservoir.double()).abs().max()) - 0.9) < 1e-4
    tall = draw(initial.Orthogonal(), (units + 3, units), dtype)
    torch.testing.assert_close(tall.T @ tall, torch.eye(units, dtype=dtype), atol=1e-5, rtol=0)
    torch.manual_seed(seed)
    first = draw(initial.Normal(), (units,), dtype)
    torch.manual_seed(seed)
    assert torch.equal(first, draw(initial.Normal(), (units,), dtype))


def test_a_function_draws_with_torchs_generator() -> None:
    class Own(Cell):
        def step(self, x: Any, h: Any) -> Any:
            def shifted(shape: Any, generator: torch.Generator) -> torch.Tensor:
                return 10 + torch.rand(shape, generator=generator)

            return tanh(self.affine("h", x, h, init={"b": shifted}))

    values = []
    for _ in range(2):
        torch.manual_seed(3)
        values.append(nabi.nn.RNN(Own(4), 3).b_l0)
    assert torch.equal(*values)
    assert values[0].min() >= 10


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"b_g": 1}, UnknownNameError, "initial_values: 'b_g' is not known"),
        ({"b_f": None}, ArgumentError, r"initial_values\['b_f'\]: expected an initial value"),
        (3, ArgumentError, "initial_values: expected a dictionary"),
        ({"b_f": "identity"}, ShapeError, "b_f: Identity.*expected a matrix"),
        ({"W_xf": initial.SpectralRadius(1)}, ShapeError, "W_xf: .*expected a square matrix"),
        ({"b_f": initial.Learned()}, ShapeError, "b_f: Learned.*expected a matrix"),
        ({"b_f": (1, 2)}, ShapeError, r"gives shape \(2,\), expected \(4,\)"),
        ({"b_f": initial.Opposite("b_z")}, ArgumentError, "b_f: expected the opposite of"),
        ({"b_f": lambda shape, generator: "?"}, ArgumentError, "gives no numbers"),
    ],
)
def test_wrong_values_say_so(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nabi.nn.RNN(cells.LSTM(4), 3, initial_values=given)
    with pytest.raises(error, match=message):
        layers.LSTM(4, initial_values=given).build((None, 2, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scalars_and_shapes_of_a_letter_in_native_code(dtype: torch.dtype) -> None:
    class Mixed(Cell):
        def step(self, x: Any, h: Any) -> Any:
            alpha = self.parameter("alpha", (), init=1)
            small = tanh(self.affine("s", x, h, units=3))
            return tanh(self.affine("h", x, h, s=small)) * sigmoid(alpha) + alpha * h

    program = Mixed(17).program(5)
    torch.manual_seed(0)
    weights = [torch.randn(one.shape, dtype=dtype).mul_(0.3).requires_grad_() for one in program.families]
    x = torch.randn(4, 6, 5, dtype=dtype, requires_grad=True)
    cotangent = torch.randn(4, 6, 17, dtype=dtype)
    output, _, _ = scan(program, x, None, weights)
    found = torch.autograd.grad((output * cotangent).sum(), [x, *weights])
    h, outputs = x.new_zeros(4, 17), []
    for t in range(6):
        (h,) = eager.step_function(program)(x[:, t], (h,), weights, ())
        outputs.append(h)
    expected = torch.autograd.grad((torch.stack(outputs, 1) * cotangent).sum(), [x, *weights])
    tolerance = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 1e-10, "rtol": 1e-10}
    torch.testing.assert_close(output, torch.stack(outputs, 1), **tolerance)
    torch.testing.assert_close(found, expected, **tolerance)


def test_a_cell_of_the_user_may_have_the_name_of_one_of_the_catalogue(tmp_path: Any) -> None:
    for cell, parameters in ((FastRNN(4), 7), (cells.get("fast-rnn")(4), 5)):
        model = Sequential([layers.Input((5, 3)), layers.RNN(cell)])
        model.save(tmp_path / "model.nabi")
        again = load_model(tmp_path / "model.nabi")
        assert type(again.layers[0].cell) is type(cell)
        assert len(again.get_weights()) == parameters
