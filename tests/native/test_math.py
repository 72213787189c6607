"""Elementary functions in native code, against float64 and sixty digits."""

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from nabi.native._code import _math

from .elementwise import compiled, native_lanes, spacing
from .machines import needs_native

DTYPES = ["float32", "float64"]
FUNCTIONS = ["tanh", "sigmoid", "exp", "log", "softplus", "erf", "sin", "cos"]
# The largest errors that we allow, in units in the last place; the bound for tanh and sigmoid is 8.
ULP = {
    "float32": {
        "tanh": 3.0,
        "sigmoid": 6.0,
        "exp": 2.0,
        "log": 1.0,
        "softplus": 3.0,
        "erf": 3.0,
        "sin": 2.5,
        "cos": 2.5,
    },
    "float64": {
        "tanh": 3.0,
        "sigmoid": 3.0,
        "exp": 2.0,
        "log": 1.0,
        "softplus": 3.0,
        "erf": 3.0,
        "sin": 2.5,
        "cos": 2.5,
    },
}
WIDTHS = [(dtype, lanes) for dtype in DTYPES for lanes in sorted({4, 8, native_lanes(dtype)})]
# A prime number of bit patterns apart: every exponent and both signs, 16.7 million numbers.
STRIDE = 257
LIMITS = {
    "tanh": (1.0, -1.0),
    "sigmoid": (1.0, 0.0),
    "exp": (math.inf, 0.0),
    "log": (math.inf, math.nan),
    "softplus": (math.inf, 0.0),
    "erf": (1.0, -1.0),
    "sin": (math.nan, math.nan),
    "cos": (math.nan, math.nan),
}

pytestmark = needs_native


def native(name: str, dtype: str, lanes: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    return compiled(getattr(_math, name), 1, dtype, lanes or native_lanes(dtype))


def reference(name: str, x: np.ndarray) -> np.ndarray:
    """The value in float64 for arguments in float32."""
    value = torch.from_numpy(x.astype(np.float64))
    if name in ("sigmoid", "softplus"):
        small = torch.exp(-value.abs())
        if name == "softplus":
            return (value.clamp(min=0.0) + torch.log1p(small)).numpy()
        return (torch.where(value < 0, small, torch.ones_like(small)) / (1.0 + small)).numpy()
    return getattr(torch, name)(value).numpy()


def exactly(name: str, x: float) -> Any:
    """The value with sixty digits."""
    with mpmath.workdps(60):
        value = mpmath.mpf(x)
        if name == "sigmoid":
            return 1 / (1 + mpmath.exp(-value))
        if name == "softplus":
            return mpmath.log1p(mpmath.exp(value))
        return getattr(mpmath, name)(value)


def allowed(name: str, x: np.ndarray) -> np.ndarray:
    """The arguments for which the function has a number and promises it."""
    if name in ("sin", "cos"):
        return x[np.abs(x) < 2.0**49]
    if name == "softplus":
        return x[x <= 20.0]
    return x[x > 0.0] if name == "log" else x


def errors(name: str, dtype: str, x: np.ndarray, lanes: int | None = None) -> np.ndarray:
    """Errors in ulp against sixty digits; results beyond the largest number must be infinite."""
    result = native(name, dtype, lanes)(x)
    found = []
    for argument, value in zip(x.tolist(), result.tolist(), strict=True):
        truth = exactly(name, argument)
        if not math.isfinite(value):
            assert truth > float(np.finfo(dtype).max), (name, argument, value)
        else:
            found.append(float(abs(truth - value)) / spacing(np.array(float(truth)), dtype))
    return np.array(found)


def spread(dtype: str) -> np.ndarray:
    """Arguments of every size, and many where the functions change."""
    generator = np.random.default_rng(7)
    form = np.finfo(dtype)
    sizes = np.ldexp(
        generator.uniform(1, 2, 300), generator.integers(form.minexp - form.nmant, form.maxexp, 300)
    )
    near = np.concatenate([generator.normal(0, scale, 150) for scale in (0.1, 1.0, 5.0, 60.0)])
    edges = np.array([-745.2, -708.5, -104.0, -103.0, -88.0, -87.0, 88.72283, 709.78, 1.0, 20.0, 0.34657])
    signs = generator.choice([-1.0, 1.0], 300)
    return np.concatenate([sizes * signs, near, edges]).astype(dtype)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_activations_over_the_whole_float32_range(name: str) -> None:
    function, lowest, worst = native(name, "float32"), {"tanh": -1.0, "sigmoid": 0.0}[name], 0.0
    for start in range(0, 2**32, 2**28):
        bits = np.arange(start + -start % STRIDE, start + 2**28, STRIDE, dtype=np.int64).astype(np.uint32)
        x = bits.view(np.float32)
        x = x[~np.isnan(x)]
        result, truth = function(x), reference(name, x)
        assert result.min(initial=0.5) >= lowest
        assert result.max(initial=0.5) <= 1.0
        if x.size:
            worst = max(worst, float(np.max(np.abs(result - truth) / spacing(truth, "float32"))))
    assert 0.5 <= worst <= ULP["float32"][name]


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("tanh", "sigmoid")])
@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_float32_is_near_float64(name: str, values: list[float]) -> None:
    x = allowed(name, np.array(values, dtype=np.float32))
    result, truth = native(name, "float32")(x), reference(name, x)
    with np.errstate(over="ignore"):
        rounded = truth.astype(np.float32)
    finite = np.isfinite(rounded)
    assert np.array_equal(result[~finite], rounded[~finite], equal_nan=True)
    error = np.abs(result[finite] - truth[finite]) / spacing(truth[finite], "float32")
    assert error.max(initial=0.0) <= ULP["float32"][name]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_against_sixty_digits(name: str, dtype: str) -> None:
    assert errors(name, dtype, allowed(name, spread(dtype))).max() <= ULP[dtype][name]


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=10))
def test_float64_against_sixty_digits(name: str, values: list[float]) -> None:
    x = allowed(name, np.array(values))
    assert errors(name, "float64", x).max(initial=0.0) <= ULP["float64"][name]


@pytest.mark.parametrize(("dtype", "lanes"), WIDTHS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_width_gives_the_same_bits(name: str, dtype: str, lanes: int) -> None:
    x = spread(dtype)
    narrow, wide = native(name, dtype, lanes)(x), native(name, dtype)(x)
    assert np.array_equal(narrow, wide, equal_nan=True)


@pytest.mark.parametrize(("dtype", "lanes"), WIDTHS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_and_infinities(name: str, dtype: str, lanes: int) -> None:
    result = native(name, dtype, lanes)(np.array([math.nan, math.inf, -math.inf]))
    assert np.array_equal(result, np.array([math.nan, *LIMITS[name]], dtype), equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "sin", "erf"])
def test_odd_functions_keep_the_sign_and_denormal_numbers(name: str, dtype: str) -> None:
    least = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([0.0, -0.0, least, -least, 1000 * least, -1000 * least])
    result = native(name, dtype)(x)
    factor = 2.0 / math.sqrt(math.pi) if name == "erf" else 1.0
    assert np.array_equal(result, (x * factor).astype(dtype))
    assert np.array_equal(np.signbit(result), np.signbit(x))
    assert np.array_equal(
        native(name, dtype)(-spread(dtype)), -native(name, dtype)(spread(dtype)), equal_nan=True
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_exp_and_softplus_go_down_through_the_denormal_numbers(dtype: str) -> None:
    form = np.finfo(dtype)
    last = math.log(2.0) * (form.minexp - form.nmant)
    x = np.linspace(last - 2.0, last + 30.0, 500).astype(dtype)
    truth = np.array([float(mpmath.exp(value)) for value in x.tolist()])
    for name in ("sigmoid", "exp", "softplus"):
        result = native(name, dtype)(x)
        assert np.all(np.abs(result - truth) <= ULP[dtype][name] * spacing(truth, dtype)), name
        assert result[0] == 0.0
        assert result[x > last + 1.0].min() > 0.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_at_the_ends(dtype: str) -> None:
    form = np.finfo(dtype)
    x = np.array([0.0, -0.0, -form.smallest_subnormal, -1.0, 1.0, form.smallest_subnormal, form.max])
    result = native("log", dtype)(x)
    assert np.array_equal(
        result[:5], np.array([-math.inf, -math.inf, math.nan, math.nan, 0.0]), equal_nan=True
    )
    truth = [float(mpmath.log(float(form.smallest_subnormal))), float(mpmath.log(float(form.max)))]
    assert np.abs(result[5:] - truth).max() <= spacing(np.array(truth), dtype).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_overflows_where_it_must(dtype: str) -> None:
    form = np.finfo(dtype)
    edge = np.array(math.log(float(form.max)), dtype)
    beyond = np.nextafter(np.nextafter(edge, np.array(np.inf, dtype)), np.array(np.inf, dtype))
    result = native("exp", dtype)(np.array([np.nextafter(edge, np.array(0, dtype)), beyond]))
    assert np.isfinite(result[0])
    assert result[1] == math.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_near_multiples_of_half_pi_and_at_the_end_of_their_range(name: str, dtype: str) -> None:
    generator = np.random.default_rng(3)
    turns = np.concatenate([np.arange(1, 60), generator.integers(1, 2**48, 200)])
    x = (turns * (math.pi / 2)).astype(dtype)
    x = np.concatenate([x, -x, np.nextafter(x, np.array(0, dtype))])
    assert errors(name, dtype, allowed(name, x)).max() <= ULP[dtype][name]
    assert np.isnan(native(name, dtype)(np.array([2.0**49, -(2.0**60)]))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_softplus_is_the_identity_above_the_threshold_of_torch(dtype: str) -> None:
    x = np.array([20.0, np.nextafter(np.array(20.0, dtype), np.array(21.0, dtype)), 30.0, 1000.0], dtype)
    result = native("softplus", dtype)(x)
    assert np.array_equal(result[1:], x[1:])
    truth = torch.nn.functional.softplus(torch.from_numpy(x)).numpy()
    assert np.abs(result - truth).max() <= 2 * np.spacing(x).max()
