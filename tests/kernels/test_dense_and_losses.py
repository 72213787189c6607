"""Small dense layers and losses in native code: what torch computes, with errors of rounding alone."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from nabi.kernels._code import _dense, _losses
from nabi.native import OTHER_MACHINES
from nabi.targets import small_dense, small_loss
from nabi.training._step import _losses as _loss_gradients

from ..native.machines import called_by, needs_native

pytestmark = needs_native

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
DTYPES = st.sampled_from([torch.float32, torch.float64])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 9),
    inputs=st.integers(1, 40),
    units=st.integers(1, 40),
    activation=st.sampled_from(sorted(FUNCTIONS)),
    dtype=DTYPES,
    biased=st.booleans(),
    need_input=st.booleans(),
)
def test_a_dense_layer_and_its_gradients(
    rows: int, inputs: int, units: int, activation: str, dtype: torch.dtype, biased: bool, need_input: bool
) -> None:
    torch.manual_seed(rows + 10 * inputs + 100 * units)
    x, kernel, bias, cotangent = (
        torch.randn(shape, dtype=dtype) for shape in ((rows, inputs), (inputs, units), units, (rows, units))
    )
    layer = small_dense(kernel, bias if biased else None, activation, rows)
    assert layer is not None
    exact = [one.double().requires_grad_() for one in (x, kernel, bias)]
    expected = FUNCTIONS[activation](exact[0] @ exact[1] + (exact[2] if biased else 0))
    expected.backward(cotangent.double())
    for _ in range(2):  # the second time over what the first left
        found = layer.forward(x)
        slope = layer.backward(cotangent, need_input)
    tolerance = {"rtol": 1e-5, "atol": 2e-5} if dtype is torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    assert torch.allclose(found.double(), expected, **tolerance)
    assert torch.allclose(layer.kernel_gradient.double(), exact[1].grad, **tolerance)
    assert (layer.bias_gradient is not None) is biased
    if layer.bias_gradient is not None:
        assert torch.allclose(layer.bias_gradient.double(), exact[2].grad, **tolerance)
    assert (slope is not None) is need_input
    if slope is not None:
        assert torch.allclose(slope.double(), exact[0].grad, **tolerance)


def test_weights_are_read_anew_and_bad_numbers_pass_through() -> None:
    kernel, x = torch.ones(3, 2), torch.ones(1, 3)
    layer = small_dense(kernel, None, "relu", 1)
    assert layer is not None
    assert layer.forward(x).tolist() == [[3, 3]]
    kernel.mul_(2)
    assert layer.forward(x).tolist() == [[6, 6]]
    kernel[0, 1] = math.nan
    found = layer.forward(x)
    assert found[0, 0] == 6
    assert found[0, 1].isnan()
    layer.backward(torch.ones(1, 2), False)
    assert layer.kernel_gradient.tolist() == [[1, 1]] * 3  # as torch: where there is NaN, slope 1


KINDS = {
    "softmax_crossentropy": _loss_gradients._softmax_crossentropy,
    "sigmoid_crossentropy": _loss_gradients._sigmoid_crossentropy,
    "squared_error": _loss_gradients._squared_error,
}


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    shape=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    dtype=DTYPES,
    scale=st.sampled_from([0.1, 3.0, 40.0]),
    kinds=st.sampled_from(["one-hot", "shares", "zeros"]),
)
def test_a_loss_and_its_gradient(
    kind: str, shape: list[int], dtype: torch.dtype, scale: float, kinds: str
) -> None:
    torch.manual_seed(sum(shape))
    outputs = scale * torch.randn(shape, dtype=dtype)
    y = torch.rand(shape, dtype=dtype)
    if kinds == "one-hot":
        y = (y == y.amax(-1, keepdim=True)).to(dtype)
    elif kinds == "zeros":
        y = torch.zeros_like(y)
    loss = small_loss(kind, outputs)
    assert loss is not None
    found, gradient = loss(y, outputs)
    expected, slope = KINDS[kind](y.double(), outputs.double())
    rounding = torch.finfo(dtype).eps
    assert found == pytest.approx(float(expected), rel=8 * rounding, abs=8 * rounding * scale)
    assert torch.allclose(gradient.double(), slope.double(), rtol=8 * rounding, atol=8 * rounding)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_loss_of_numbers_that_are_not_finite_is_not_finite(kind: str, number: float) -> None:
    outputs = torch.zeros(3, 20)
    outputs[1, 18] = number
    loss = small_loss(kind, outputs)
    assert loss is not None
    assert not math.isfinite(loss(torch.zeros(3, 20), outputs)[0])


@pytest.mark.parametrize("number", [-60.0, -15.0, 0.0, 15.0, 60.0])
def test_a_sure_sigmoid_has_an_exact_loss(number: float) -> None:
    outputs = torch.full((1, 1), number)
    loss = small_loss("sigmoid_crossentropy", outputs)
    assert loss is not None
    for target in (0.0, 1.0):
        exact = math.log1p(math.exp(-abs(number))) + max(number, 0) - number * target
        assert loss(torch.full((1, 1), target), outputs)[0] == pytest.approx(exact, rel=1e-6)


def test_torch_does_what_is_large_or_not_for_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert small_dense(torch.ones(300, 300), None, "linear", 1) is None
    assert small_dense(torch.ones(30, 30), None, "linear", 1000) is None
    assert small_dense(torch.ones(3, 3, dtype=torch.float16), None, "linear", 1) is None
    assert small_dense(torch.ones(3, 3), None, "linear", 0) is None
    assert small_loss("squared_error", torch.ones(200, 200)) is None
    assert small_loss("squared_error", torch.ones(3, 3, dtype=torch.bfloat16)) is None
    assert small_loss("squared_error", torch.ones(())) is None
    monkeypatch.setenv("NABI_NATIVE", "0")
    assert small_dense(torch.ones(3, 3), None, "linear", 1) is None
    assert small_loss("squared_error", torch.ones(3, 3)) is None


@pytest.mark.usefixtures("full_effort")
@pytest.mark.parametrize("name", OTHER_MACHINES)
def test_code_for_other_machines(name: str) -> None:
    machine = OTHER_MACHINES[name]
    allowed = {"_fltused", *(("fma", "fmaf") if "sse" in name else ())}
    modules: list[Any] = [_dense.write(_dense.Shape("tanh", "float32"), machine)]
    modules += [_losses.write(kind, "float64", machine) for kind in _losses.KINDS]
    for module in modules:
        assert called_by(module, machine) <= allowed
