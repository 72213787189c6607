"""Jumps with declared derivatives, values that no gradient passes, powers, the largest unit."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from nabi.errors import CellError, UnknownNameError
from nabi.ir import Cell, functions
from nabi.scan import scan
from nabi.targets.eager import step_function


class Written(Cell):
    """A step whose new state is an expression in `a`, a value of the step."""

    text: str = "a"

    def step(self, x: Any, h: Any) -> Any:
        names = {"a": x + 0 * h, "h": h, "x": x, "round": round, "math": math} | vars(functions)
        return eval(self.text, names)


def gradient(text: str, values: torch.Tensor) -> torch.Tensor:
    """The derivative of each unit of the new state by that of the input, natively where it can be."""
    program = Written(len(values), text=text).program(len(values))
    x = values[None, None].clone().requires_grad_()
    output, _, _ = scan(program, x, None, ())
    (found,) = torch.autograd.grad(output.sum(), x)
    return found[0, 0]


POINTS = torch.tensor([-2.3, -0.7, -0.2, 0.01, 0.3, 0.9, 1.6], dtype=torch.float64)
V, K = POINTS, 3.0
SURROGATES = {
    "straight_through": torch.ones_like(V),
    "fast_sigmoid": 1 / (1 + K * V.abs()) ** 2,
    "triangle": (1 - K * V.abs()).clamp(min=0),
    "atan": K / 2 / (1 + (math.pi / 2 * K * V) ** 2),
    "sigmoid": K * torch.sigmoid(K * V) * (1 - torch.sigmoid(K * V)),
}


@pytest.mark.parametrize("native", ["", "0"])
@pytest.mark.parametrize("name", functions.DERIVATIVES)
def test_a_step_has_the_derivative_that_it_declares(
    name: str, native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    assert set(SURROGATES) == set(functions.DERIVATIVES)
    found = gradient(f"step(a, {name!r}, {K})", POINTS)
    torch.testing.assert_close(found, SURROGATES[name], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient(f"sign(a, {name!r}, {K})", POINTS), found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("step(a)", 0.0), ("floor(a)", 0.0), ("rounded(a)", 0.0), ("sign(a)", 0.0), ("round(a)", 0.0),
        ("frac(a)", 1.0), ("floor(a, 'straight_through')", 1.0), ("rounded(a, 'straight_through')", 1.0),
        ("stop_gradient(a)", 0.0), ("a + stop_gradient(a)", 1.0), ("straight_through(a > 0, 2 * a)", 2.0),
        ("with_derivative(sin(a), a, 3.0)", 3.0), ("with_derivative(a * a, a, 0.0)", 0.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("native", ["", "0"])
def test_derivatives_of_jumps(
    text: str, expected: float, native: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NABI_NATIVE", native)
    torch.testing.assert_close(gradient(text, POINTS), torch.full_like(POINTS, expected))


def test_values_are_those_of_numpy() -> None:
    values = np.array([-2.5, -1.5, -0.5, -0.2, 0.0, 0.5, 1.5, 2.5, 7.0])
    x = torch.from_numpy(values)[None]
    for text, expected in (
        ("floor(a)", np.floor(values)),
        ("rounded(a)", np.round(values)),
        ("sign(a)", np.sign(values)),
        ("frac(a)", values - np.floor(values)),
        ("step(a)", (values > 0) * 1.0),
        ("math.ceil(a)", np.ceil(values)),
        ("abs(a) ** 1.7", np.abs(values) ** 1.7),
        ("(abs(a) + 1) ** a", (np.abs(values) + 1) ** values),
        ("a - largest(a)", values - values.max()),
        ("a - smallest(a)", values - values.min()),
    ):
        program = Written(9, text=text).program(9)
        (found,) = step_function(program)(x, [torch.zeros_like(x)], (), ())
        np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-14, err_msg=text)


def test_powers_and_the_largest_unit_are_differentiated() -> None:
    positive = POINTS.abs() + 0.2
    torch.testing.assert_close(gradient("a ** 1.7", positive), 1.7 * positive**0.7)
    torch.testing.assert_close(gradient("a ** a", positive), positive**positive * (positive.log() + 1))
    torch.testing.assert_close(gradient("0 * a + largest(a)", POINTS)[-1], torch.tensor(7.0).double())
    tied = torch.tensor([1.0, 3.0, 3.0, -1.0], dtype=torch.float64)
    torch.testing.assert_close(
        gradient("0 * a + largest(a)", tied), torch.tensor([0.0, 2, 2, 0], dtype=torch.float64)
    )


def test_second_derivatives_and_forward_mode_are_those_of_the_declared_one() -> None:
    program = Written(7, text="with_derivative(step(a), a, sin(a))").program(7)
    step = step_function(program)

    def spike(v: torch.Tensor) -> torch.Tensor:
        (found,) = step(v[None], [torch.zeros(1, 7, dtype=torch.float64)], (), ())
        return found[0]

    torch.testing.assert_close(torch.func.jacrev(spike)(POINTS), torch.diag(POINTS.sin()))
    torch.testing.assert_close(torch.func.jacfwd(spike)(POINTS), torch.diag(POINTS.sin()))
    second = torch.func.hessian(lambda v: spike(v).sum())(POINTS)
    torch.testing.assert_close(second, torch.diag(POINTS.cos()))
    assert torch.isfinite(spike(torch.full((7,), math.inf, dtype=torch.float64))).all()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("step(a, 'fast')", UnknownNameError, "derivative: 'fast' is not known"),
        ("step(a, 'atan', 0.0)", CellError, "sharpness: expected a positive number, got 0.0"),
        ("with_derivative(1.0, a, a)", CellError, "value: expected a value of the step, got 1.0"),
        ("with_derivative(total(a), a, a)", CellError, "different widths"),
    ],
)
def test_mistakes_say_what_was_expected(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Written(3, text=text).program(3)


@pytest.mark.parametrize("name", ["fast_sigmoid", "atan"])
def test_surrogates_are_those_of_snntorch(name: str) -> None:
    surrogate = pytest.importorskip("snntorch.surrogate")
    theirs = {
        "fast_sigmoid": lambda: surrogate.fast_sigmoid(slope=K),
        "atan": lambda: surrogate.atan(alpha=K),
    }
    v = POINTS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(theirs[name]()(v).sum(), v)
    torch.testing.assert_close(gradient(f"step(a, {name!r}, {K})", POINTS), expected, check_dtype=False)
