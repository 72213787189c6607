"""What Python's operators and other libraries' functions mean for a value of a step."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from nabi.errors import ArgumentError, CellError
from nabi.ir import Cell, Node, Trace
from nabi.ir.functions import (
    equal,
    exp,
    greater_equal,
    less,
    less_equal,
    not_equal,
    select,
    sigmoid,
    softmax,
    tanh,
)


class Written(Cell):
    """A step that is one expression, with `a` a value, and `t` a tensor."""

    text: str = "a"
    use_bias: bool = False

    def step(self, x: Any, h: Any) -> Any:
        a = tanh(self.affine("h", x, h))
        space = {"a": a, "h": h, "x": x, "self": self, "np": np, "torch": torch, "math": math}
        space |= {"t": torch.ones(3), "select": select, "sigmoid": sigmoid, "exp": exp, "softmax": softmax}
        return eval(self.text, space)


def operation(text: str) -> str:
    return Written(3, text=text).program(3).outputs[0].operation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a == 0.5", "equal"), ("a != h", "not_equal"), ("a < h", "less"), ("a <= 0", "less_equal"),
        ("0 < a", "greater"), ("a >= h", "greater_equal"), ("abs(a)", "abs"), ("+a", "tanh"),
        ("(a > 0) & (a < h)", "mul"), ("(a > 0) | (a < h)", "maximum"), ("~(a > 0)", "equal"),
        ("(a > 0) ^ (h > 0)", "not_equal"), ("a ** 3", "mul"), ("a ** 0.5", "sqrt"), ("a ** -1", "div"),
        ("2 ** a", "exp"), ("sum([a, h])", "add"), ("np.float32(2) * a", "mul"), ("a / np.float64(2)", "div"),
        ("np.int64(2) - a", "sub"), ("np.float32(0.5) < a", "less"), ("select(h == 0, a, h)", "select"),
        ("sigmoid(self.bias('z')) * a", "mul"), ("a ** h", "power"), ("a ** 1.5", "power"),
        ("math.floor(a)", "floor"), ("math.ceil(a)", "neg"), ("round(a)", "round"),
    ],
)  # fmt: skip
def test_operators_make_values(text: str, expected: str) -> None:
    assert operation(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a if a > 0 else h", r"select\(condition, a, b\)"),
        ("a and h", "a & b"),
        ("not a", "~a"),
        ("0 < a < 1", r"\(0 < a\) & \(a < 1\)"),
        ("max(a, h)", r"maximum\(a, b\)"),
        ("a in (h, x)", r"select\(condition, a, b\)"),
        ("0.5 in a", "comparisons"),
        ("float(a)", "is no number"),
        ("int(a)", "is no number"),
        ("math.exp(a)", "nabi.ir.functions"),
        ("math.trunc(a)", r"sign\(a\) \* floor\(abs\(a\)\)"),
        ("round(a, 2)", "round\\(100"),
        ("a // 2", r"floor\(a / b\)"),
        ("2 % a", r"frac\(a / b\)"),
        ("divmod(a, 2)", r"frac\(a / b\)"),
        ("a << 1", "shifts"),
        ("(-2) ** a", "positive number"),
        ("a @ h", "self.affine"),
        ("a[:3]", "cannot be taken apart"),
        ("a.__setitem__(0, 1)", "select"),
        ("len(a)", "a.width"),
        ("[u for u in a]", r"total\(a\)"),
        ("sum(a)", r"total\(a\)"),
        ("a.shape", "a.width"),
        ("a.dtype", "all data types"),
        ("a.tanh()", "use tanh of nabi.ir.functions"),
        ("a.sum()", "use total of nabi.ir.functions"),
        ("a.foo", "no attribute 'foo'"),
        ("torch.tanh(a)", "use tanh of nabi.ir.functions"),
        ("torch.nn.functional.relu(a)", "use relu of nabi.ir.functions"),
        ("torch.cat([a, h])", "self.affine"),
        ("torch.where(a, a, h)", "select"),
        ("torch.zeros_like(a)", "write 0"),
        ("t * a", "float\\(t\\)"),
        ("a * t", "float\\(t\\)"),
        ("np.tanh(a)", "use tanh of nabi.ir.functions"),
        ("np.mean(a)", "use mean of nabi.ir.functions"),
        ("np.asarray(a)", "no array"),
        ("np.ones(3) * a", "not ndarray"),
        ("a + None", "not NoneType"),
        ("a + [1.0]", "not list"),
        ("a + 10 ** 400", "float64"),
        ("self.affine('z', x, h=1.0)", "not h=1.0"),
        ("self.affine('z', 1.0)", "not 1.0"),
        ("self.linear('z', 'x', 2.0)", "not 2.0"),
        ("self.linear('z', 'y', a, units=2.5)", r"units: expected a whole number of at least 1, got 2\.5"),
        ("self.linear(3, 'y', a)", "gate: expected a name"),
        ("self.gain('z', 'y', -1)", "units: expected a whole number of at least 1, got -1"),
        ("self.keep('z', 3, 1.5)", "rate: expected a probability"),
        (
            "self.linear('z', 'x', a) + self.linear('z', 'x', a, units=4)",
            "W_xz is used with shape.*another name",
        ),
        ("self.linear('1a', 'h', h) + self.linear('a', 'h1', h)", "give one of them another name"),
    ],
)
def test_everything_else_says_what_to_write_with_the_line(text: str, hint: str) -> None:
    with pytest.raises(CellError, match=rf"(?s)^Written, line \d+: «return eval.*»: .*{hint}"):
        Written(3, text=text).program(3)


class Sets(Cell):
    def step(self, x: Any, h: Any) -> Any:
        h += x
        h *= 2
        return h


def test_in_place_operators_make_new_values() -> None:
    assert Sets(3).program(3).equations == ("h_t = (h_{t-1} + x_t) 2",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("None", "step returned nothing; end it with return and the new states: h"),
        ("1.0", "the new h is float, not a value of the step"),
        ("{'h': a}", "the new h is dict, not a value of the step"),
        ("(a, h)", "step returned 2 values for the states h"),
        ("[]", "step returned 0 values"),
        ("a.trace.constant(1.0)", "the new h is a scalar, one number for all units"),
        ("self._other", "the new h is a value of another step"),
    ],
)
def test_what_a_step_returns_is_checked(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Written, "_other", Trace("other").leaf("state", "h", 3), raising=False)
    with pytest.raises(CellError, match=rf"Written, line \d+: «return eval\(self.text, space\)»: {message}"):
        Written(3, text=text).program(3)


def test_a_list_of_states_and_a_scalar_for_a_state_of_one_unit_are_taken() -> None:
    assert Written(3, text="[a]").program(3).equations == Written(3, text="(a,)").program(3).equations
    assert Written(1, text="a.trace.spread(abs(x ** 2), 1) if 0 else a").program(1).outputs[0].width == 1


class Bad(Cell):
    sizes: Any = ()

    def step(self, x: Any, h: Any) -> Any:
        return h


def test_a_cell_says_what_of_it_cannot_be_used() -> None:
    with pytest.raises(ArgumentError, match=r"sizes: expected a value that can be a dictionary key.*tuple"):
        Bad(3, sizes=[1, 2]).program(3)
    with pytest.raises(ArgumentError, match="dropout: expected a rate of at least 0 and below 1, got 'a'"):
        Bad(3, dropout="a")  # type: ignore[arg-type]

    class TwoArguments(Cell):
        def step(self, x: Any) -> Any:
            return x

    class Width(Cell):
        def state_width(self, name: str) -> int:
            return 0

        def step(self, x: Any, h: Any) -> Any:
            return h

    with pytest.raises(CellError, match=r"step is called with the input and the states, step\(x, h\)"):
        TwoArguments(3).program(3)
    with pytest.raises(CellError, match=r"state_width\('h'\): expected a whole number of at least 1, got 0"):
        Width(3).program(3)


@pytest.mark.parametrize("states", ["h", (), ("h", "h"), ("x",), ("_h",), ("a__b",), ("class",), (1,)])
def test_names_of_states_are_checked(states: Any) -> None:
    cell = type("Named", (Cell,), {"states": states, "step": lambda self, x, *now: now})
    with pytest.raises(CellError, match="Named: states: expected"):
        cell(3).program(3)


def test_nodes_are_told_apart_by_identity_outside_of_a_step() -> None:
    trace = Trace("test")
    a, b = trace.leaf("state", "a", 3), trace.leaf("state", "b", 3)
    with pytest.raises(CellError, match="compared by `is`"):
        a == b  # noqa: B015
    with pytest.raises(CellError, match="compared by `is`"):
        a in (b,)  # noqa: B015
    assert {a: 1, b: 2}[b] == 2
    assert not hasattr(a, "shape")
    assert isinstance(a, Node)


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (equal, torch.eq),
        (not_equal, torch.ne),
        (less, torch.lt),
        (less_equal, torch.le),
        (greater_equal, torch.ge),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_comparisons_are_torchs_for_nan_and_infinities(own: Any, theirs: Any, dtype: torch.dtype) -> None:
    import nabi.nn

    class Compares(Cell):
        name: str = ""

        def step(self, x: Any, h: Any) -> Any:
            return own(x, h)

    rnn = nabi.nn.RNN(Compares(6, name=own.__name__), 6, dtype=dtype)
    special = [0.0, -0.0, 1.0, math.inf, -math.inf, math.nan]
    x = torch.tensor(special, dtype=dtype)[None, None].repeat(6, 1, 1)
    h = torch.tensor(special, dtype=dtype)[None, :, None].repeat(1, 1, 6)
    assert torch.equal(rnn(x, h)[0][:, 0], theirs(x[:, 0], h[0]).to(dtype))


@pytest.mark.parametrize(
    "text", ["sigmoid(0.3)", "exp(-np.inf)", "softmax(2.0)", "abs(tanh(-0.7))", "1 / (0.0 * tanh(1.0))"]
)
def test_numbers_alone_are_computed(text: str) -> None:
    space: dict[str, Any] = {"np": np, "torch": torch}
    names = {"sigmoid": sigmoid, "exp": exp, "softmax": softmax, "tanh": tanh}

    class Constant(Cell):
        text: str = ""

        def step(self, x: Any, h: Any) -> Any:
            return h + eval(self.text, space | names)

    wanted = (
        eval(
            text.replace("softmax(2.0)", "1.0"),
            {
                "np": np,
                "abs": abs,
                "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
                "exp": math.exp,
                "tanh": math.tanh,
            }
            if "1 /" not in text
            else {"tanh": lambda a: np.float64(math.tanh(a))},
        )
        if "1 /" not in text
        else math.inf
    )
    program = Constant(2, text=text).program(1)
    found = program.outputs[0]
    value = found.arguments[1].value if found.operation == "add" else 0.0
    assert value == pytest.approx(float(wanted))
