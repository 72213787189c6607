"""How far from the truth are the elementary functions of native code? Over all 2 ** 32 float32 numbers.

    python benchmarks/elementary_errors.py
    python benchmarks/elementary_errors.py --functions tanh sigmoid exp --without fused

For every bit pattern the function in float32 is compared with the same function in float64 (whose own error
is a few billionths of the unit), in native code, on one thread: some ten seconds a function. Printed are the
largest error in units in the last place, where it occurs, and the range of the results.
"""

import argparse
import ctypes
import math
import time
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from llvmlite import ir
from rich.console import Console
from rich.table import Table

from nabi.native import host
from nabi.native._code import _math
from nabi.native._code._compiler import emit_object, load, symbols
from nabi.native._code._machine import FULL, Arithmetic
from nabi.native.operations import apply
from nabi.native.vectors import INDEX, POINTER, Loop, Vectors, index

FUNCTIONS = ("tanh", "sigmoid", "exp", "expm1", "log", "softplus", "erf", "sin", "cos", "elu", "selu")
WITHOUT = {
    "nothing": FULL,
    "fused": FULL._replace(fused=False),
    "double": FULL._replace(double=False),
    "fused and double": FULL._replace(fused=False, double=False),
}
PATTERNS = 2**32
_INT32 = ir.IntType(32)


class Worst(NamedTuple):
    """The largest error of a function in ulp, an argument that has it, and the range of the results."""

    error: float
    argument: float
    least: float
    largest: float


def worst(name: str, arithmetic: Arithmetic = FULL, stride: int = 1) -> Worst:
    """Compare a function in float32 with float64, on every `stride`-th bit pattern.

    A result that is NaN where the other is not counts as an infinite error. Arguments beyond the range of
    `sin` and `cos` are left out.
    """
    measure = _compiled(name, arithmetic)
    lanes = host().lanes("float32")
    results = (ctypes.c_float * (4 * lanes))()
    measure(stride, -(-PATTERNS // (stride * lanes)), results)
    columns = [list(results[at * lanes : (at + 1) * lanes]) for at in range(4)]
    at = max(range(lanes), key=lambda lane: columns[0][lane])
    return Worst(columns[0][at], columns[1][at], min(columns[2]), max(columns[3]))


@cache
def _compiled(name: str, arithmetic: Arithmetic) -> Any:
    """Return a function of stride, number of vectors and the address of the results."""
    library = load(emit_object(_module(name, arithmetic), host()), ["measure"], symbols())
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(library.address("measure"))


def _value(v: Vectors, name: str, x: Any) -> Any:
    function = getattr(_math, name, None)
    return apply(v, name, x) if function is None else function(v, x)


def _module(name: str, arithmetic: Arithmetic) -> ir.Module:
    module = ir.Module("measure")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INDEX, INDEX, POINTER]), "measure")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    stride, count, target = function.args
    lanes = host().lanes("float32")
    v = Vectors(b, "float32", lanes, arithmetic)
    wide = Vectors(b, "float64", lanes)
    step = v.splat(b.trunc(stride, _INT32))
    first = b.mul(ir.Constant(v.integers, list(range(lanes))), step)
    step = b.mul(step, v.integer_constant(lanes))
    none = [v.zero, v.zero, v.constant(math.inf), v.constant(-math.inf)]
    loop = Loop(b, 0, count, 1, [first, *none])
    bits, most, where, least, largest = loop.carried
    x = b.bitcast(bits, v.type)
    if name in ("sin", "cos"):
        end = v.constant(2.0**49 if arithmetic.double else 2.0**20)
        x = v.select(v.compare("<", v.call("llvm.fabs", x), end), x, v.zero)
    result = _value(v, name, x)
    error = b.fptrunc(
        _error(wide, b.fpext(result, wide.type), _value(wide, name, b.fpext(x, wide.type))), v.type
    )
    worse = v.compare(">", error, most)
    loop.close(
        [
            b.add(bits, step),
            v.select(worse, error, most),
            v.select(worse, x, where),
            v.select(v.compare("<", result, least), result, least),
            v.select(v.compare(">", result, largest), result, largest),
        ]
    )
    for at, value in enumerate((most, where, least, largest)):
        v.store(value, target, index(at * lanes))
    b.ret_void()
    return module


def _error(v: Vectors, result: Any, truth: Any) -> Any:
    """Return the error in units in the last place of float32; infinity counts as 2 ** 128."""
    b = v.builder
    result_nan, truth_nan = (b.fcmp_unordered("uno", value, value) for value in (result, truth))
    ends = [v.constant(-(2.0**128)), v.constant(2.0**128)]
    for end, sign in zip(ends, "<>", strict=True):
        result, truth = (v.select(v.compare(sign, value, end), end, value) for value in (result, truth))
    size = v.call("llvm.fabs", truth)
    # The exponent of the unit: that of the number, but at least that of the smallest normal number, and at
    # most that of the largest.
    size = v.select(v.compare("<", size, v.constant(2.0**-126)), v.constant(2.0**-126), size)
    size = v.select(v.compare(">", size, v.constant(2.0**127)), v.constant(2.0**127), size)
    exponent = b.and_(b.bitcast(size, v.integers), v.integer_constant(0x7FF << 52))
    inverse = b.bitcast(b.sub(v.integer_constant((2 * 1023 + 23) << 52), exponent), v.type)
    error = v.mul(v.call("llvm.fabs", v.sub(result, truth)), inverse)
    error = v.select(b.or_(result_nan, truth_nan), v.constant(math.inf), error)
    return v.select(b.and_(result_nan, truth_nan), v.zero, error)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Largest errors of the elementary functions in float32.")
    parser.add_argument("--functions", nargs="+", choices=FUNCTIONS, default=FUNCTIONS)
    parser.add_argument("--without", nargs="+", choices=list(WITHOUT), default=["nothing", "fused"])
    parser.add_argument("--stride", type=int, default=1, help="bit patterns from one argument to the next")
    chosen = parser.parse_args(arguments)
    table = Table("function", "without", "error (ulp)", "at", "least", "largest", "seconds")
    for name in chosen.functions:
        for without in chosen.without:
            start = time.perf_counter()
            found = worst(name, WITHOUT[without], chosen.stride)
            seconds = time.perf_counter() - start
            numbers = (f"{found.error:.3f}", *(f"{number:.9g}" for number in found[1:]), f"{seconds:.1f}")
            table.add_row(name, without, *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
