"""The cell language: widths, errors, folding, names, verification."""

import pickle
from typing import Any

import pytest

from nabi.cells import LSTM, SimpleRNN
from nabi.errors import ArgumentError, CellError, UnknownNameError
from nabi.ir import OPERATIONS, Cell, Trace, apply, verify_nodes
from nabi.ir.functions import mean, sigmoid, tanh, total


class Mismatch(Cell):
    states = ("h",)

    def state_width(self, name: str) -> int:
        return self.units + 1

    def step(self, x: Any, h: Any) -> Any:
        return self.affine("h", x) * h


class WrongCount(Cell):
    states = ("h", "c")

    def step(self, x: Any, h: Any, c: Any) -> Any:
        return tanh(self.affine("h", x, h))


class WrongWidth(Cell):
    def step(self, x: Any, h: Any) -> Any:
        return tanh(self.affine("h", x, h, units=self.units + 1))


class Branching(Cell):
    def step(self, x: Any, h: Any) -> Any:
        return h if mean(h) else -h


class TwoShapes(Cell):
    def step(self, x: Any, h: Any) -> Any:
        return self.affine("h", x) + self.affine("h", x=total(h) * h, units=self.units)


class Nameless(Cell):
    def step(self, x: Any, h: Any) -> Any:
        return self.affine("h", x, sigmoid(h) * h)


class ReturnsNumber(Cell):
    def step(self, x: Any, h: Any) -> Any:
        return 1.0


class TakesText(Cell):
    def step(self, x: Any, h: Any) -> Any:
        return self.affine("h", x, h) + "1"


def test_a_width_mismatch_quotes_the_equation_and_the_widths() -> None:
    with pytest.raises(
        CellError, match=r"Mismatch, line \d+: «return self.affine\(\"h\", x\) \* h».*widths 4 and 5"
    ):
        Mismatch(4).program(3)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (WrongCount(4), r"WrongCount, line \d+: «return tanh.*»: step returned 1 values for the states h, c"),
        (WrongWidth(4), "the new h has width 5, the state has 4"),
        (Branching(4), "cannot branch on a value.*select"),
        (TwoShapes(4), "W_xh is used with shape .* here and .* before"),
        (Nameless(4), "affine needs a name for"),
        (ReturnsNumber(4), "the new h is float, not a value of the step"),
        (TakesText(4), "takes values of the step and numbers, not str"),
        (Cell(4), "Cell has no equations"),
    ],
)
def test_equations_that_do_not_fit_say_so(cell: Cell, message: str) -> None:
    with pytest.raises(CellError, match=message):
        cell.program(3)


def test_equations_outside_a_step_say_so() -> None:
    with pytest.raises(CellError, match="only be used inside step"):
        SimpleRNN(4).gain("h", "x")


@pytest.mark.parametrize("units", [0, -1, 2.0, True, "8"])
def test_units_must_be_a_positive_integer(units: Any) -> None:
    with pytest.raises(ArgumentError, match="units: expected a whole number"):
        SimpleRNN(units)


def test_arguments_of_a_cell_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="activation: 'tahn' is not known; did you mean 'tanh'"):
        SimpleRNN(4, activation="tahn")
    with pytest.raises(UnknownNameError, match="recurrent_activation: 'sigmoidal' is not known"):
        LSTM(4, recurrent_activation="sigmoidal")
    with pytest.raises(
        ArgumentError, match="recurrent_dropout: expected a rate of at least 0 and below 1, got 1"
    ):
        LSTM(4, recurrent_dropout=1)
    with pytest.raises(ArgumentError, match="input_size: expected a whole number of at least 1, got 0"):
        LSTM(4).program(0)


def test_equal_cells_share_one_program_and_survive_pickling() -> None:
    assert LSTM(4) == LSTM(4)
    assert LSTM(4).program(3) is LSTM(4).program(3)
    assert LSTM(4).program(3).key != LSTM(5).program(3).key
    assert pickle.loads(pickle.dumps(LSTM(4, activation="relu"))) == LSTM(4, activation="relu")


def test_equal_values_are_computed_once_and_neutral_operations_vanish() -> None:
    trace = Trace("test")
    a = trace.leaf("state", "a", 3)
    assert sigmoid(a) is sigmoid(a)
    for same in (a + 0, 0 + a, a * 1, 1 * a, a / 1, a - 0, apply("neg", -a)):
        assert same is a
    assert apply("mul", trace.constant(3.0), 2.0).value == 6.0
    assert (a**2).operation == "mul"


def test_a_program_prints_every_node_once() -> None:
    program = LSTM(4).program(3)
    text = str(program)
    assert text.count("linear(") == 8
    assert "# f_t" in text
    assert text.endswith("return h: %39[4], c: %29[4]")


def test_named_values_become_equations_in_the_order_of_the_step() -> None:
    assert LSTM(4).program(3).equations == (
        "i_t = σ(W_xi x_t + W_hi h_{t-1} + b_i)",
        "f_t = σ(W_xf x_t + W_hf h_{t-1} + b_f)",
        "g_t = tanh(W_xc x_t + W_hc h_{t-1} + b_c)",
        "c_t = f_t ∘ c_{t-1} + i_t ∘ g_t",
        "o_t = σ(W_xo x_t + W_ho h_{t-1} + b_o)",
        "h_t = o_t ∘ tanh(c_t)",
    )


def test_tracing_works_under_a_profiler() -> None:
    import cProfile

    with cProfile.Profile():
        program = LSTM(17).program(11)
    assert len(program.equations) == 6


def test_the_values_of_a_list_are_numbered() -> None:
    class Layers(Cell):
        """Three layers in a step (a test)."""

        def step(self, x: Any, h: Any) -> Any:
            g, overwritten = [h], h
            for layer in "abc":
                g.append(tanh(self.linear(layer, "g", g[-1])))
                overwritten = sigmoid(overwritten)
            return g[-1] + overwritten * self.affine("x", x)

    assert Layers(2).program(3).equations == (
        "g1_t = tanh(W_ga h_{t-1})",
        "g2_t = tanh(W_gb g1_t)",
        "g3_t = tanh(W_gc g2_t)",
        "overwritten_t = σ(σ(σ(h_{t-1})))",
        "h_t = g3_t + overwritten_t ∘ (W_xx x_t + b_x)",
    )


def test_verification_finds_a_broken_graph() -> None:
    trace = Trace("test")
    a, b = trace.leaf("state", "a", 3), trace.leaf("state", "b", 3)
    good = a + b
    verify_nodes("test", (a, b, good))
    with pytest.raises(CellError, match="an argument is computed after it"):
        verify_nodes("test", (a, good, b))
    with pytest.raises(CellError, match="expected 2 arguments"):
        verify_nodes("test", (a, trace.make("add", (a,), 3)))
    with pytest.raises(CellError, match=r"widths \[3\] give 4"):
        verify_nodes("test", (a, b, trace.make("mul", (a, b), 4)))
    with pytest.raises(CellError, match="no such operation"):
        verify_nodes("test", (a, trace.make("cosh", (a,), 3)))


def test_every_operation_can_be_rendered_and_differentiated_or_decomposed() -> None:
    for row in OPERATIONS.values():
        assert row.derivative is not None or row.decomposition is not None, row.name
        # Maps along the units are written as products, and a declared derivative has no value of its own.
        written = row.across is not None or row.name == "with_derivative"
        assert row.onnx is not None or row.decomposition is not None or written, row.name
        arguments = ["a", "b", "c"][: row.arity]
        words = dict.fromkeys(
            ("shape", "given", "sizes", "rank", "axis", "name", "size", "first", "second"), 1
        )
        for template in (row.torch, row.text, row.latex)[: 1 if row.name == "with_derivative" else 3]:
            rendered = template.format(*arguments, like="a", width=4, **words)
            assert all(argument in rendered for argument in arguments), (row.name, rendered)
