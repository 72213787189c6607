"""Operations that users add: everywhere the language is used, and what is refused."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from nabi import layers, models
from nabi.cells import GRU, SimpleRNN
from nabi.errors import ArgumentError, UnknownNameError
from nabi.ir import OPERATIONS, Cell, elementwise
from nabi.ir.functions import ACTIVATIONS, absolute, cumulative_sum, mean, sigmoid, tanh
from nabi.scan import scan
from nabi.targets import latex
from nabi.targets.eager import step_function

soft_clip: Any = None
fire: Any = None
mix: Any = None


@pytest.fixture(autouse=True, scope="module")
def operations() -> Iterator[None]:
    """Operations for these tests only: others go through the whole table."""
    global soft_clip, fire, mix
    known = set(OPERATIONS)
    soft_clip = elementwise("soft_clip", lambda v: v / (1 + absolute(v) ** 3) ** (1 / 3))
    surrogate = lambda v: 1 / (1 + 9 * abs(v)) ** 2  # noqa: E731
    fire = elementwise("fire", lambda v: v > 0, derivative=surrogate, latex=r"\Theta")
    mix = elementwise("mix", lambda a, b: a * b, derivative=lambda a, b: (3 * b, 0.5 * a))
    yield
    for name in set(OPERATIONS) - known:
        del OPERATIONS[name]
        ACTIVATIONS.pop(name, None)


class Firing(Cell):
    states = ("h", "v")

    def step(self, x: Any, h: Any, v: Any) -> Any:
        v = 0.9 * v + self.affine("v", x, h) - h
        return soft_clip(mix(fire(v - 0.1), tanh(v))), tanh(v)


def run(cell: Cell, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """Outputs and all gradients under a fixed cotangent."""
    program = cell.program(3)
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> torch.Tensor:
        value = 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
        return value.to(dtype).requires_grad_()

    x, weights = leaf(4, 6, 3), [leaf(*family.shape) for family in program.families]
    output, _, _ = scan(program, x, None, weights)
    cotangent = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(dtype)
    return [output.detach(), *torch.autograd.grad(output, [x, *weights], cotangent)]


@pytest.mark.parametrize(
    "make", [Firing, lambda units: SimpleRNN(units, "soft_clip"), lambda units: GRU(units, "soft_clip")]
)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_native_code_agrees_with_the_eager_kernel(
    make: Any, dtype: torch.dtype, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make(7)
    monkeypatch.delenv("NABI_NATIVE", raising=False)
    found = run(cell, dtype)
    monkeypatch.setenv("NABI_NATIVE", "0")
    for one, expected in zip(found, run(cell), strict=True):
        torch.testing.assert_close(one.double(), expected, rtol=error, atol=error)


def test_an_operation_means_its_expression_and_its_derivative() -> None:
    v = torch.linspace(-3, 3, 7, dtype=torch.float64)[None].requires_grad_()

    class One(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return soft_clip(x) + fire(x) + 0 * h

    (found,) = step_function(One(7).program(7))(v, [torch.zeros_like(v)], (), ())
    clipped = v / (1 + v.abs() ** 3) ** (1 / 3)
    torch.testing.assert_close(found, clipped + (v > 0))
    (slope,) = torch.autograd.grad(found.sum(), v)
    expected = (1 + v.abs() ** 3) ** (-4 / 3) + 1 / (1 + 9 * v.abs()) ** 2
    torch.testing.assert_close(slope, expected.detach())


def test_a_derivative_of_two_arguments_is_declared_for_each() -> None:
    class Two(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return mix(x, h)

    x, h = (torch.tensor([[value]], dtype=torch.float64, requires_grad=True) for value in (2.0, 5.0))
    output, _, _ = scan(Two(1).program(1), x[None], [h], ())
    assert output.item() == 10.0
    assert [g.item() for g in torch.autograd.grad(output.sum(), (x, h))] == [15.0, 1.0]


def test_equations_have_its_name() -> None:
    program = Firing(2).program(3)
    assert program.equations[1].startswith("h_t = soft_clip(mix(fire(")
    assert r"\operatorname{soft\,clip}(\operatorname{mix}(\Theta(" in latex.equations(program)[1]


def test_a_number_in_the_place_of_a_value_is_an_expression() -> None:
    class Half(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return mix(x, 0.5) + soft_clip(2.0) * h

    assert Half(2).program(2).equations[0].startswith("h_t = stop_gradient(x_t 0.5) + 0.96")
    program = Half(2).program(2)
    x = torch.ones(1, 3, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(scan(program, x, None, ())[0][:, -1].sum(), x)
    torch.testing.assert_close(slope[0, -1], torch.full((2,), 1.5))


@pytest.mark.parametrize(
    ("name", "expression", "message"),
    [
        ("tanh", lambda v: v, "name: expected a name that is free, got 'tanh'"),
        ("soft_clip", lambda v: 2 * v, "name: expected a name that is free, got 'soft_clip'"),
        ("two words", lambda v: v, "name: expected an identifier"),
        ("centred", lambda v: v - mean(v), "expected elementwise operations only, got mean"),
        ("summed", lambda v: cumulative_sum(v), "expected elementwise operations only, got cumulative_sum"),
        ("scaled", lambda v: v / v.width, "the same expression for any number of units"),
        ("nothing", lambda v: 3.0, "one value as wide as its arguments, got 3.0"),
        ("others", lambda v: torch.tanh(v), "use tanh of nabi.ir.functions"),
        ("many", lambda *v: v[0], "a function of 1 to 4 values"),
    ],
)
def test_what_is_not_elementwise_or_has_no_free_name_is_refused(
    name: str, expression: Any, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        elementwise(name, expression)
    with pytest.raises(UnknownNameError):
        SimpleRNN(2, activation="centred")


def test_a_derivative_for_each_argument_is_needed() -> None:
    with pytest.raises(ArgumentError, match="derivative: expected one for each of a, b, got 1"):
        elementwise("half_mix", lambda a, b: a * b, derivative=lambda a, b: b)


def test_the_same_operation_may_be_added_again() -> None:
    again = elementwise("soft_clip", lambda v: v / (1 + absolute(v) ** 3) ** (1 / 3))

    class One(Cell):
        def step(self, x: Any, h: Any) -> Any:
            return again(x) + soft_clip(h)

    assert [node.operation for node in One(2).program(2).nodes].count("soft_clip") == 2


def test_programs_with_other_meanings_of_a_name_have_other_keys() -> None:
    """Machine code on the disk is found by the key of a program."""
    line = (
        "from nabi.cells import SimpleRNN; from nabi.ir import elementwise; from nabi.ir.functions import *; "
        "elementwise('warm', lambda v: {}); print(SimpleRNN(2, 'warm').program(3).key)"
    )
    keys = [
        subprocess.run([sys.executable, "-c", line.format(text)], capture_output=True, text=True, check=True)
        for text in ("v * sigmoid(v)", "v * tanh(v)")
    ]
    assert len({found.stdout for found in keys}) == 2
    assert sigmoid.__name__ == "sigmoid"


def test_layers_of_any_kind_take_it_as_an_activation(tmp_path: Any) -> None:
    x = torch.randn(8, 5, 3)
    model = models.Sequential(
        [
            layers.Input((5, 3)),
            layers.LSTM(4, activation="soft_clip"),
            layers.Dense(3, activation="soft_clip"),
        ]
    )
    expected = model.predict(x.numpy(), verbose=0)
    model.save(tmp_path / "model.nabi")
    loaded = models.load_model(tmp_path / "model.nabi")
    np.testing.assert_array_equal(loaded.predict(x.numpy(), verbose=0), expected)
    model.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-5)
