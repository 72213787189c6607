"""Outputs that are no states, and inputs of earlier steps: tracing, names, errors."""

import copy
import pickle

import pytest

from nabi.cells import Cell
from nabi.errors import CellError
from nabi.ir import find_program
from nabi.ir.functions import mean, sigmoid, tanh


class Readout(Cell):
    """A leaky state, what is read from it, and the last two inputs."""

    output = "y"
    states = ("h",)

    def state_width(self, name):
        return 2 if name == "y" else self.units

    def step(self, x, h):
        f = sigmoid(self.affine("f", x, self.previous(x)))
        h = f * h + (1 - f) * self.affine("h", self.previous(self.previous(x)))
        return self.linear("o", "c", h, units=2), h


def test_the_output_is_no_state() -> None:
    program = Readout(5).program(3)
    assert program.state_names == ("h", "x1", "x2")
    assert program.state_widths == (5, 3, 3)
    assert (program.output_width, program.readouts, Readout(5).output_width) == (2, 1, 2)
    assert list(program.results) == ["y", "h", "x1", "x2"]
    assert program.equations == (
        "f_t = σ(W_xf x_t + W_x1f x_{t-1} + b_f)",
        "h_t = f_t ∘ h_{t-1} + (1 - f_t) ∘ (W_x2h x_{t-2} + b_h)",
        "y_t = W_co h_t",
    )


def test_weights_of_earlier_inputs_are_weights_of_inputs() -> None:
    roles = {family.name: family.role for family in Readout(5).program(3).families}
    assert roles == {"W_x": "input", "W_x1": "input", "W_x2": "input", "W_c": "recurrent", "b": "bias"}
    dropped = Readout(5, dropout=0.5).program(3, training=True)
    assert {noise.name for noise in dropped.noises} == {"d_xf", "d_x1f", "d_x2h"}


def test_what_runs_it_has_the_output_as_a_state() -> None:
    program = Readout(5).program(3)
    whole = program.as_states
    assert whole.state_names == ("y", "h", "x1", "x2")
    assert whole.readout is None
    assert whole.as_states is whole
    assert program.as_states is whole
    assert whole.key != program.key
    for one in (program, whole):
        assert find_program(one.recipe) is one
        assert copy.deepcopy(one) is one
        assert pickle.loads(pickle.dumps(one)) is one
    plain = Plain(4).program(3)
    assert plain.as_states is plain


class Plain(Cell):
    def step(self, x, h):
        return tanh(self.affine("h", x, h))


def raised(step, **attributes) -> str:
    kind = type("Wrong", (Cell,), {"step": step, **attributes})
    with pytest.raises(CellError) as error:
        kind(4).program(3)
    return str(error.value)


def test_errors_of_an_output() -> None:
    def without(self, x, h):
        return tanh(self.affine("h", x, h))

    def scalar(self, x, h):
        return mean(h), tanh(self.affine("h", x, h))

    def wide(self, x, h):
        return x, tanh(self.affine("h", x, h))

    def number(self, x, h):
        return 1.0, tanh(self.affine("h", x, h))

    assert "returned 1 values for the output y and the states h" in raised(without, output="y")
    assert "the output y is a scalar" in raised(scalar, output="y")
    assert "the output y is of width 3, state_width('y') says 4" in raised(wide, output="y")
    assert "the output y is float, not a value of the step" in raised(number, output="y")
    assert "output: expected another name than x and those of states, got 'h'" in raised(without, output="h")
    assert "output: expected a word that names it, got 'two words'" in raised(without, output="two words")


def test_errors_of_an_earlier_input() -> None:
    def of_a_state(self, x, h):
        return tanh(self.affine("h", x, h)) + self.previous(h)

    def of_a_number(self, x, h):
        return tanh(self.affine("h", x, h)) + self.previous(1.0)

    def of_a_taken_name(self, x, h, x1):
        return tanh(self.affine("h", self.previous(x), h)), x1

    assert "previous: expected the input of the step, or an earlier one, got h[4]" in raised(of_a_state)
    assert "previous: expected the input of the step, or an earlier one, got 1.0" in raised(of_a_number)

    def of_a_taken_input(self, x, h, *, x1):
        return tanh(self.affine("h", self.previous(x), h)) + x1

    taken = "previous: expected no state or input named x1"
    assert taken in raised(of_a_taken_name, states=("h", "x1"))
    assert taken in raised(of_a_taken_input, x1_size=4)
