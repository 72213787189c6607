"""Elementary functions where the processor has no fused multiply-add, no float64 or no rounding."""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import hypothesis.strategies as st
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

from benchmarks.elementary_errors import FUNCTIONS, WITHOUT, worst
from nabi.native import Machine
from nabi.native._code._machine import FULL, WEB_ASSEMBLY, Arithmetic
from nabi.native.operations import apply

from .elementwise import Render, compiled, module_of, native_lanes, spacing
from .machines import called_by, needs_native

pytestmark = needs_native

UNFUSED = FULL._replace(fused=False)
# Every function of one argument that native code has.
RENDERED: dict[str, Render] = {
    name: partial(lambda name, v, x: apply(v, name, x), name)
    for name in (
        *("tanh", "sigmoid", "exp", "log", "softplus", "erf", "sin", "cos", "elu", "selu", "gelu", "silu"),
        *("relu", "abs", "sqrt", "floor", "round", "sign"),
    )
}
# The bounds of docs/native.md, in ulp.
BOUNDS = {
    "tanh": 3.0,
    "sigmoid": 3.0,
    "exp": 2.0,
    "expm1": 2.5,
    "log": 1.0,
    "softplus": 3.0,
    "erf": 3.0,
    "sin": 2.5,
    "cos": 2.5,
    "elu": 3.0,
    "selu": 5.0,
}
RANGES = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "erf": (-1.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
}
# A prime number of bit patterns apart; `python benchmarks/elementary_errors.py` takes every one.
STRIDE = 1021


@cache
def natively(name: str, dtype: str, arithmetic: Arithmetic) -> Callable[..., np.ndarray]:
    return compiled(RENDERED[name], 1, dtype, native_lanes(dtype), arithmetic)


def given_numbers(dtype: str, count: int) -> np.ndarray:
    """Numbers of every size and both signs, small ones more often, and the special ones."""
    generator = np.random.default_rng(count)
    form = np.finfo(dtype)
    integers = generator.integers(0, 2**form.bits, count // 2, dtype=f"uint{form.bits}")
    special = [0.0, -0.0, math.inf, -math.inf, math.nan, 0.5, -0.5, 1.5, 2.5, -2.5, 1e6 + 0.5, 2.0**51 + 0.5]
    near = generator.normal(0, 5, count - count // 2 - len(special))
    return np.concatenate([integers.view(dtype), np.array([*near, *special], dtype)])


@pytest.mark.parametrize("without", [name for name in WITHOUT if name != "nothing"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_are_within_the_documented_bounds(name: str, without: str) -> None:
    found = worst(name, WITHOUT[without], STRIDE)
    bound = 6.0 if name == "sigmoid" and WITHOUT[without].fused else BOUNDS[name]
    assert 0.3 < found.error <= bound
    least, largest = RANGES.get(name, (-math.inf, math.inf))
    assert least <= found.least <= found.largest <= largest


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exp", "log", "softplus", "erf", "sin", "cos"])
@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-700.0, 700.0), min_size=1, max_size=10))
def test_float64_without_fused_multiply_add_against_sixty_digits(name: str, values: list[float]) -> None:
    x = np.array([abs(value) + 1e-3 if name == "log" else value for value in values])
    x = x[x <= 20.0] if name == "softplus" else x
    result = natively(name, "float64", UNFUSED)(x)
    for argument, value in zip(x.tolist(), result.tolist(), strict=True):
        truth = exactly(name, argument)
        assert abs(truth - value) <= BOUNDS[name] * spacing(np.array(float(truth)), "float64")


def exactly(name: str, x: float) -> Any:
    with mpmath.workdps(60):
        value = mpmath.mpf(x)
        if name == "sigmoid":
            return 1 / (1 + mpmath.exp(-value))
        return mpmath.log1p(mpmath.exp(value)) if name == "softplus" else getattr(mpmath, name)(value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_near_multiples_of_half_pi_without_fused_multiply_add(name: str, dtype: str) -> None:
    generator = np.random.default_rng(3)
    turns = np.concatenate([np.arange(1, 60), generator.integers(1, 2**48, 200)])
    x = (turns * (math.pi / 2)).astype(dtype)
    x = np.concatenate([x, -x, np.nextafter(x, np.array(0, dtype))])
    result = natively(name, dtype, UNFUSED)(x)
    truth = [exactly(name, value) for value in x.tolist()]
    errors = [float(abs(exact - value)) for exact, value in zip(truth, result.tolist(), strict=True)]
    assert np.all(errors <= BOUNDS[name] * spacing(np.array([float(exact) for exact in truth]), dtype))


def test_without_float64_the_range_of_waves_is_shorter() -> None:
    x = np.array([2.0**20, -(2.0**20), 2.0**48])
    arithmetic = FULL._replace(double=False)
    assert np.isnan(natively("sin", "float32", arithmetic)(x)).all()
    assert np.isfinite(natively("sin", "float32", FULL)(x)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["floor", "round"])
def test_whole_numbers_without_an_instruction_for_them(name: str, dtype: str) -> None:
    x = given_numbers(dtype, 20_000)
    composed = natively(name, dtype, FULL._replace(rounding=False))(x)
    with np.errstate(invalid="ignore"):  # signaling NaN
        expected = np.floor(x) if name == "floor" else np.round(x)
    assert np.array_equal(composed, expected, equal_nan=True)
    numbers = ~np.isnan(x)
    assert np.array_equal(np.signbit(composed[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RENDERED)
def test_infinities_and_nan_are_those_of_a_processor_that_has_all(name: str, dtype: str) -> None:
    x = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0])
    for arithmetic in WITHOUT.values():
        found, expected = (natively(name, dtype, kind)(x) for kind in (arithmetic, FULL))
        assert np.array_equal(found, expected, equal_nan=True)
        assert np.array_equal(np.signbit(found[3:]), np.signbit(expected[3:]))


@pytest.mark.parametrize("name", RENDERED)
def test_x86_without_fused_multiply_add_calls_nothing(name: str) -> None:
    machine = Machine("x86_64-unknown-linux-gnu", "x86-64", "+sse2", 16, 16)
    assert machine.arithmetic == Arithmetic(fused=False, rounding=False)
    assert called_by(module_of(RENDERED[name], 1, "float32", 4, machine.arithmetic), machine) == frozenset()


@pytest.mark.parametrize(
    ("triple", "cpu", "expected"),
    [
        ("thumbv7em-none-eabihf", "cortex-m4", Arithmetic(double=False, rounding=False)),
        ("thumbv7em-none-eabihf", "cortex-m7", FULL),
        ("thumbv8.1m.main-none-eabihf", "cortex-m55", FULL),
        ("thumbv7m-none-eabi", "cortex-m3", Arithmetic(False, False, False)),
        ("armv7-unknown-linux-gnueabihf", "cortex-a7", Arithmetic(rounding=False)),
        ("aarch64-unknown-linux-gnu", "neoverse-n1", FULL),
    ],
)
def test_small_processors_and_what_they_compute(triple: str, cpu: str, expected: Arithmetic) -> None:
    assert Machine(triple, cpu, "", 16, 32).arithmetic == expected


def test_web_assembly_has_all_but_fused_multiply_add() -> None:
    assert {machine.arithmetic for machine in WEB_ASSEMBLY.values()} == {UNFUSED}
