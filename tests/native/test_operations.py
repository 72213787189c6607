"""Every elementwise operation of the table in native code, against torch."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from nabi.ir import OPERATIONS, Trace, operation
from nabi.ir._graph._axis_operations import AXIS_OPERATIONS
from nabi.ir._graph._nodes import needed
from nabi.native import OTHER_MACHINES
from nabi.native.operations import apply, renders
from nabi.native.vectors import Vectors
from nabi.targets.eager._with_derivative import with_derivative

from .elementwise import Render, compiled, module_of, native_lanes, spacing
from .machines import called_by, needs_native

DTYPES = ["float32", "float64"]
RENDERED = [name for name in OPERATIONS if renders(name)]
# One instruction, or a choice: the same bits as torch, but for the sign of zero.
EXACT = [
    *("add", "sub", "mul", "div", "neg", "maximum", "minimum", "greater", "select", "relu", "abs"),
    *("floor", "round", "sign", "stop_gradient", "with_derivative"),
]
WIDTHS = [(dtype, lanes) for dtype in DTYPES for lanes in sorted({4, 8, native_lanes(dtype)})]
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40, 5e-324, 0.5, 3.5, -20.5, 30.0]
SYSTEMS = [name for name, machine in OTHER_MACHINES.items() if "sse2" not in machine.features]

_renders: dict[str, Render] = {}


def render(name: str) -> Render:
    """`apply` of one name; the same function every time, so that it is compiled once."""
    if name not in _renders:

        def write(v: Vectors, *values: object) -> object:
            return apply(v, name, *values)

        _renders[name] = write
    return _renders[name]


def native(name: str, dtype: str, *arrays: np.ndarray, lanes: int | None = None) -> np.ndarray:
    return compiled(render(name), len(arrays), dtype, lanes or native_lanes(dtype))(*arrays)


def through_torch(name: str, *arrays: np.ndarray) -> np.ndarray:
    names = "abc"[: len(arrays)]
    space = {key: torch.from_numpy(array) for key, array in zip(names, arrays, strict=True)}
    source = operation(name).torch.format(*names, like="a", width=arrays[0].shape[-1])
    return eval(source, space | {"torch": torch, "with_derivative": with_derivative}).numpy()


def grid(arity: int, dtype: str) -> list[np.ndarray]:
    """Every combination of special values."""
    with np.errstate(under="ignore"):
        return [axis.ravel().copy() for axis in np.meshgrid(*[np.array(SPECIAL, dtype)] * arity)]


def test_every_row_is_rendered_or_made_of_what_is() -> None:
    for row in OPERATIONS.values():
        made = row.across is not None or row.definition or row in AXIS_OPERATIONS
        if renders(row.name) or row.reduction or made:
            continue
        assert row.decomposition is not None, row.name
        trace = Trace("test")
        leaves = [trace.leaf("state", name, 4) for name in "abc"[: row.arity]]
        for node in needed((row.decomposition(*leaves),)):
            known = node.operation in ("state", "constant")
            assert known or renders(node.operation) or operation(node.operation).reduction, (row.name, node)


def test_only_operations_of_the_table_are_rendered() -> None:
    assert set(EXACT) <= set(RENDERED)
    assert not any(OPERATIONS[name].reduction for name in RENDERED)
    assert not renders("sum")
    assert not renders("nothing")


@needs_native
@pytest.mark.parametrize(("dtype", "lanes"), WIDTHS)
@pytest.mark.parametrize("name", RENDERED)
def test_special_values_are_those_of_torch(name: str, dtype: str, lanes: int) -> None:
    arrays = grid(OPERATIONS[name].arity, dtype)
    if name == "sigmoid_gradient":  # its second argument is a sigmoid; beyond, infinities cancel differently
        possible = ~((arrays[1] < 0.0) | (arrays[1] > 1.0))
        arrays = [array[possible] for array in arrays]
    result = native(name, dtype, *arrays, lanes=lanes)
    if name == "gelu":  # of infinity it is infinity; torch has that in float64 alone
        arrays = [array.astype(np.float64) for array in arrays]
    truth = through_torch(name, *arrays)
    exact = name in EXACT
    # An error of the logarithm counts as often as the exponent says; 700 is as far as it goes in float64.
    places = 1000 if name == "power" and dtype == "float64" else 16
    tolerance = 0.0 if exact else places * float(np.finfo(dtype).eps)
    least = 0.0 if exact else 4 * float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(result, truth, rtol=tolerance, atol=least, equal_nan=True)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_exact_operations_give_the_bits_of_torch(name: str, dtype: str, data: st.DataObject) -> None:
    numbers = st.floats(width=32 if dtype == "float32" else 64)
    arity = OPERATIONS[name].arity
    rows = data.draw(st.lists(st.tuples(*[numbers] * arity), min_size=1, max_size=30))
    arrays = [np.array(column, dtype) for column in zip(*rows, strict=True)]
    np.testing.assert_array_equal(native(name, dtype, *arrays), through_torch(name, *arrays))


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
def test_sqrt_is_rounded_correctly(dtype: str) -> None:
    # numpy's is; torch's may be off by one unit.
    values = np.random.default_rng(5).lognormal(0.0, 20.0, 10_000).astype(dtype)
    np.testing.assert_array_equal(native("sqrt", dtype, values), np.sqrt(values))


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sigmoid_gradient", "tanh_gradient"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_gradients_keep_small_factors(name: str, dtype: str, data: st.DataObject) -> None:
    width = 32 if dtype == "float32" else 64
    lowest = 0.0 if name == "sigmoid_gradient" else -1.0
    d = np.array(data.draw(st.lists(st.floats(-1e3, 1e3, width=width), min_size=1, max_size=20)), dtype)
    y = np.array([data.draw(st.floats(lowest, 1.0, width=width)) for _ in d], dtype)
    y[-1] = np.nextafter(np.array(1.0, dtype), np.array(0.0, dtype))
    wide_d, wide_y = d.astype(np.longdouble), y.astype(np.longdouble)
    truth = wide_d * (wide_y * (1 - wide_y) if lowest == 0.0 else (1 - wide_y) * (1 + wide_y))
    # Where the factor is a denormal number, so is its error, times the cotangent.
    least = float(np.finfo(dtype).smallest_subnormal) * (1.0 + np.abs(d))
    unit = spacing(truth.astype(np.float64), dtype)
    assert np.all(np.abs(native(name, dtype, d, y) - truth) <= 2.0 * unit + least)


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("first", [False, True])
def test_extremes_with_a_constant(name: str, dtype: str, first: bool) -> None:
    def write(v: Vectors, a: object) -> object:
        constant = v.constant(0.5)
        return apply(v, name, constant, a) if first else apply(v, name, a, constant)

    values = np.array(SPECIAL, dtype)
    result = compiled(write, 1, dtype, native_lanes(dtype))(values)
    np.testing.assert_array_equal(result, through_torch(name, values, np.full_like(values, 0.5)))


@needs_native
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sign_of_zero_is_kept_by_neg_and_abs(dtype: str) -> None:
    zeros = np.array([0.0, -0.0], dtype)
    assert np.signbit(native("neg", dtype, zeros)).tolist() == [True, False]
    assert np.signbit(native("abs", dtype, zeros)).tolist() == [False, False]


@needs_native
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_machine_calls_a_library(dtype: str, system: str) -> None:
    machine = OTHER_MACHINES[system]
    for name in RENDERED:
        module = module_of(render(name), OPERATIONS[name].arity, dtype, machine.lanes(dtype))
        assert called_by(module, machine) <= {"_fltused"}, name


@needs_native
def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="softmax"):
        module_of(render("softmax"), 1, "float32", 4)
