"""Small kernels for the tests: one elementwise function, compiled for this machine and called on arrays."""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from nabi.native import host
from nabi.native._code._compiler import emit_object, load, symbols
from nabi.native._code._machine import FULL, Arithmetic, why_not
from nabi.native.vectors import INDEX, POINTER, Vectors, loop_over

Render = Callable[..., Any]


def native_lanes(dtype: str) -> int:
    return host().lanes(dtype) if why_not() is None else 4


def module_of(render: Render, arity: int, dtype: str, lanes: int, arithmetic: Arithmetic = FULL) -> ir.Module:
    """A function `map(first, ..., result, count)` that applies `render` to whole vectors."""
    module = ir.Module("map")
    kind = ir.FunctionType(ir.VoidType(), [POINTER] * (arity + 1) + [INDEX])
    function = ir.Function(module, kind, "map")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    v = Vectors(builder, dtype, lanes, arithmetic)
    *sources, target, count = function.args
    with loop_over(builder, 0, count, lanes) as at:
        v.store(render(v, *[v.load(source, at) for source in sources]), target, at)
    builder.ret_void()
    return module


@cache
def compiled(
    render: Render, arity: int, dtype: str, lanes: int, arithmetic: Arithmetic = FULL
) -> Callable[..., np.ndarray]:
    """The function on arrays of any length."""
    library = load(
        emit_object(module_of(render, arity, dtype, lanes, arithmetic), host()), ["map"], symbols()
    )
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (arity + 1), ctypes.c_int64)
    function = kind(library.address("map"))

    def call(*arrays: np.ndarray) -> np.ndarray:
        assert len(arrays) == arity
        size = arrays[0].size
        padded = [np.append(array.astype(dtype), np.zeros(-size % lanes, dtype)) for array in arrays]
        result = np.empty_like(padded[0])
        function(*[array.ctypes.data for array in padded], result.ctypes.data, result.size)
        assert library is not None  # the code stays as long as this closure
        return result[:size]

    return call


def spacing(values: np.ndarray, dtype: str) -> np.ndarray:
    """The unit in the last place of `dtype` at these (more exact) values."""
    form = np.finfo(dtype)
    exponent = np.where(values == 0.0, form.minexp, np.frexp(values)[1] - 1)
    return np.ldexp(1.0, np.maximum(exponent, form.minexp) - form.nmant)
