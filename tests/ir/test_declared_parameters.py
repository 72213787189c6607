"""Parameters that a step declares: names, shapes, initial values, fixed or trained."""

import pickle
from typing import Any

import pytest

from nabi.errors import ArgumentError, CellError, UnknownNameError
from nabi.ir import Cell, initial
from nabi.ir.functions import sigmoid, tanh, total


class Declared(Cell):
    """A scalar, a fixed vector, an identity, a bias, and gates of another width under one letter."""

    start: Any = initial.Chrono(50)

    def step(self, x: Any, h: Any) -> Any:
        alpha = self.parameter("alpha", (), init=-3)
        tau = self.parameter("tau", init=(1.0,) * self.units, trained=False)
        small = self.affine("s", x, h, units=2)
        f = sigmoid(self.affine("f", x, h, init={"h": "identity", "b": self.start}))
        return f * h + alpha * tanh(self.affine("h", x, h)) * total(small) + tau


def declaring(declare: Any) -> Cell:
    class Step(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return declare(self, x, h)

    return Step(4)


def test_a_step_declares_what_its_parameters_start_with() -> None:
    program = Declared(4).program(3)
    found = {one.name: one for one in program.parameters}
    assert found["alpha"].initial == initial.Constant(-3.0)
    assert (found["alpha"].shape, found["alpha"].scalar, found["alpha"].role) == ((1,), True, "parameter")
    assert found["W_hf"].initial == initial.Identity()
    assert found["W_hh"].initial is None
    assert found["b_f"].initial == initial.Chrono(50)
    assert not found["tau"].trained
    assert found["b_f"].trained
    assert "alpha ∘ tanh" in program.equations[-1]


def test_one_letter_has_a_tensor_for_each_shape() -> None:
    families = {one.name: one for one in Declared(4).program(3).families}
    assert families["W_h"].gates == ("s",)
    assert families["W_h"].shape == (2, 4)
    assert families["W_h_f_h"].gates == ("f", "h")
    assert families["W_h_f_h"].shape == (8, 4)
    assert families["b_f_h"].shape == (8,)
    assert families["b"].shape == (2,)
    assert not families["tau"].trained
    assert families["alpha"].shape == (1,)
    assert "W_hf h_{t-1}" in "".join(Declared(4).program(3).equations)


def test_fixed_and_trained_gates_of_a_letter_are_apart() -> None:
    def step(cell: Any, x: Any, h: Any) -> Any:
        fixed = cell.affine(
            "f", x, h, init={"x": "glorot", "h": "orthogonal"}, trained={"x": False, "h": False}
        )
        return tanh(fixed + cell.affine("h", x, h))

    families = declaring(step).program(3).families
    assert {one.name: (one.gates, one.trained) for one in families} == {
        "W_x": (("f",), False), "W_x_h": (("h",), True), "W_h": (("f",), False), "W_h_h": (("h",), True),
        "b": (("f", "h"), True),
    }  # fmt: skip


def test_cells_with_equal_initial_values_are_equal() -> None:
    assert Declared(4) == Declared(4, start=initial.Chrono(50)) != Declared(4, start=initial.Chrono(60))
    assert Declared(4).program(3) is Declared(4, start=initial.Chrono(50)).program(3)
    assert pickle.loads(pickle.dumps(Declared(4))) == Declared(4)
    values = [
        initial.Uniform(0, 1),
        initial.LogUniform(1, 2),
        initial.Values([1, 2]),
        initial.Opposite("b_f"),
    ]
    assert len({*values, *(pickle.loads(pickle.dumps(one)) for one in values)}) == len(values)


@pytest.mark.parametrize(
    "value",
    [
        initial.Constant(float("-inf")), initial.Values(((1, 2), (3, 4))), initial.Uniform(-1, 1),
        initial.LogUniform(1, 100), initial.Normal(0, 0.1), initial.Glorot(), initial.Identity(0.1),
        initial.Orthogonal(2), initial.Linspace(0, 1), initial.Chrono(9), initial.Opposite("b_f"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_initial_values_go_through_configurations(value: initial.InitialValue) -> None:
    assert initial.from_config(initial.to_config(value)) == value


def test_a_function_is_an_initial_value_that_no_configuration_holds() -> None:
    def function(shape: Any, generator: Any) -> list[float]:
        return [0.0] * shape[0]

    assert initial.as_initial(function) == initial.Drawn(function)
    with pytest.raises(ArgumentError, match="a configuration cannot hold"):
        initial.to_config(initial.Drawn(function))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initial.Uniform(2, 1), "low: expected at most high=1.0, got 2.0"),
        (lambda: initial.LogUniform(0, 1), "low: expected a number above 0"),
        (lambda: initial.Normal(0, -1), "deviation: expected a number of at least 0"),
        (lambda: initial.Chrono(1), "longest: expected a number of at least 2"),
        (lambda: initial.Values(()), "values: expected a tuple of numbers or of rows"),
        (lambda: initial.Values(((1,), (1, 2))), "rows of one length"),
        (lambda: initial.Constant(float("nan")), "value: expected a number, got nan"),
        (lambda: initial.as_initial({}), "init: expected an initial value"),
        (lambda: initial.Drawn(3), "function: expected a function"),  # type: ignore[arg-type]
        (lambda: initial.Opposite(""), "parameter: expected the name"),
        (lambda: initial.from_config({"initial": "Chrono", "of": 3}), "Chrono does not take"),
    ],
)
def test_wrong_initial_values_say_so(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
    with pytest.raises(UnknownNameError, match="did you mean 'orthogonal'"):
        initial.as_initial("ortogonal")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda c, x, h: h * c.parameter("1a", init=0), "name: expected a word such as alpha"),
        (lambda c, x, h: h * c.parameter("a", init=None), "init: expected the initial value of a"),
        (lambda c, x, h: h * c.parameter("a", (3,), init=0), "width: expected a number of units or"),
        (lambda c, x, h: h * c.parameter("a", 2.5, init=0), "units: expected a whole number"),
        (lambda c, x, h: h * c.parameter("a", init="zeroes"), "a: init: 'zeroes' is not known"),
        (lambda c, x, h: h * c.parameter("a", init=0) * c.parameter("a", init=1), "is declared with init="),
        (
            lambda c, x, h: h * c.parameter("a", init=0) * c.parameter("a", (), init=0),
            r"shape \(\) here and \(4,\)",
        ),
        (lambda c, x, h: c.affine("b", x) * c.parameter("b", init=0), "would share the letter b"),
        (lambda c, x, h: c.parameter("b", init=0) * c.affine("f", x), "would share the letter b"),
        (lambda c, x, h: c.affine("h", x, h, init={"y": 0}), "init: expected letters of x, h, b, got 'y'"),
        (lambda c, x, h: c.affine("h", x, h, init=0), "init: expected a dictionary by letter"),
        (lambda c, x, h: c.linear("h", "h", h, trained=False), "W_hh is not trained, so it keeps"),
        (lambda c, x, h: c.affine("h", x, h, trained=False), "is not trained, so it keeps"),
        (lambda c, x, h: c.affine("h", x, h, bias="a.b"), r"line \d+: «.*»: b_a\.bh: expected a name"),
        (lambda c, x, h: c.affine("h", x, **{"a.b": h}), r"W_a\.bh: expected a name without a dot"),
        (lambda c, x, h: c.affine("a.b", x, h), r"W_xa\.b: expected a name without a dot"),
        (lambda c, x, h: c.diagonal("h", "a.b", h), r"w_a\.bh: expected a name without a dot"),
    ],
)  # fmt: skip
def test_wrong_declarations_quote_the_line(step: Any, message: str) -> None:
    with pytest.raises(CellError, match=message):
        declaring(step).program(3)
