"""Elementary functions on vectors, in plain LLVM arithmetic without library calls.

Every function takes a `Vectors` and a value of its vector type and returns one. NaN yields NaN, infinities
yield their limits, and denormal arguments and results are accurate to the last places. The methods are those
of J.-M. Muller, Elementary Functions (2016): the argument is reduced by a multiple of ln 2 or pi / 2 in parts
(chapter 11), a polynomial covers the rest (`_coefficients`), powers of two are built from exponent bits.
Errors below are the largest found, in units in the last place (ulp), for float32 and for float64. Results are
the same bit for bit for every number of lanes and on every machine: no approximate instructions are used. (On
Zen 4, a division of 16 lanes was also faster than an estimate with its correction, alone or among others.)

Where the processor has no fused multiply-add (`Arithmetic.fused`), `Vectors.fma` multiplies and adds. Nearly
everywhere this costs a fraction of an ulp. Only the reduction of the argument needs exact products: there
constants have so few bits that a product with a whole number is exact (the split of Cody and Waite, Software
Manual for the Elementary Functions, 1980), or the product is computed in two parts (Dekker, Numerische
Mathematik 18, 1971). The results are the same on all such processors, and differ in the last places from
those with fused multiply-add. docs/native.md has the bounds of both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nabi.native._code._coefficients import COEFFICIENTS
from nabi.native.vectors import Vectors

__all__ = ["cos", "erf", "exp", "expm1", "log", "sigmoid", "sin", "softplus", "tanh", "wave", "widened"]


Exp = Callable[[Vectors, Any], Any]


@dataclass(frozen=True)
class _Format:
    """Constants of an element type.

    Attributes:
        bits: explicit bits of the mantissa; `bias`: of the exponent.
        ln2: ln 2 in two parts, the second being the remainder of the first.
        short_ln2: the same with a first part whose product with an exponent is exact.
        least: below the logarithm of half the smallest denormal; `most`: above that of the largest number.
        one: an argument from which sigmoid, and tanh of half of it, safely round to 1.
        shift: a power of two that keeps sigmoid's numerator a normal number.
        half_pi: pi / 2 in three parts. The first two are truncated, not rounded, so that all are positive and
            no part turns -0 into 0.
        farthest: from here on, `sin` and `cos` are NaN.
    """

    bits: int
    bias: int
    ln2: tuple[float, float]
    short_ln2: tuple[float, float]
    least: float
    most: float
    one: float
    shift: int
    half_pi: tuple[float, float, float]
    farthest: float


_FORMATS = {
    "float32": _Format(
        bits=23,
        bias=127,
        ln2=(0.693147182464599609375, -1.904654299957768e-09),
        short_ln2=(0.693115234375, 3.194618329871446e-05),
        least=-105.0,
        most=89.0,
        one=30.0,
        shift=64,
        half_pi=(1.570796251296997, 7.549789415861596e-08, 5.390302953474238e-15),
        farthest=2.0**20,
    ),
    "float64": _Format(
        bits=52,
        bias=1023,
        ln2=(0.6931471805599453, 2.3190468138462996e-17),
        short_ln2=(0.6931471805592082, 7.371002565167799e-13),
        least=-746.0,
        most=710.0,
        one=60.0,
        shift=512,
        half_pi=(1.5707963267948966, 6.123233995736765e-17, 1.082856673921914e-32),
        farthest=2.0**49,
    ),
}


def _polynomial(v: Vectors, x: Any, coefficients: tuple[float, ...]) -> Any:
    value = v.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = v.fma(value, x, v.constant(coefficient))
    return value


def _at_most(v: Vectors, x: Any, bound: float) -> Any:
    """Return the smaller of both; NaN stays NaN (the argument order of x86's `min`)."""
    limit = v.constant(bound)
    return v.select(v.compare("<", limit, x), limit, x)


def _at_least(v: Vectors, x: Any, bound: float) -> Any:
    limit = v.constant(bound)
    return v.select(v.compare(">", limit, x), limit, x)


def _rounded(v: Vectors, x: Any, factor: float, shift: int = 0) -> tuple[Any, Any]:
    """Return `n = x * factor` rounded to a whole number, and 2 to the power of `n + shift`.

    Adding 1.5 · 2^(mantissa bits) leaves the whole number in the lowest bits, with the exponent's bias
    already added; shifted left, they are the bits of the power.
    """
    form = _FORMATS[v.dtype]
    magic = v.constant(1.5 * 2.0**form.bits + form.bias + shift)
    moved = v.fma(x, v.constant(factor), magic)
    bits = v.builder.shl(v.builder.bitcast(moved, v.integers), v.integer_constant(form.bits))
    return v.sub(moved, magic), v.builder.bitcast(bits, v.type)


def _less_ln2(v: Vectors, x: Any, n: Any, factor: float, exact: bool) -> Any:
    """Return `x - n * factor * ln 2`, with a tiny second part of ln 2 only if `exact`."""
    high, low = _ln2(v)
    x = v.fma(n, v.constant(-factor * high), x)
    return v.fma(n, v.constant(-factor * low), x) if exact or not v.arithmetic.fused else x


def _ln2(v: Vectors) -> tuple[float, float]:
    form = _FORMATS[v.dtype]
    return form.ln2 if v.arithmetic.fused else form.short_ln2


def widened(v: Vectors) -> Vectors:
    """Return vectors of float64 with as many lanes; the same vectors if they are, or if there are none."""
    if v.double or not v.arithmetic.double:
        return v
    return Vectors(v.builder, "float64", v.lanes, v.arithmetic)


def tanh(v: Vectors, x: Any) -> Any:
    """Return the hyperbolic tangent.

    With |x| = m (ln 2) / 2 + r, s = 2 ** m and o = tanh(r), the addition theorem gives
    ((s - 1) + (s + 1) o) / ((s + 1) + (s - 1) o): near 0, where m = 0, it is o, with no cancellation. The
    numerator is never larger, even rounded, so the result stays within 1. Error: 2.6 and 2.5 ulp.
    """
    form = _FORMATS[v.dtype]
    size = _at_most(v, v.call("llvm.fabs", x), form.one / 2)
    m, s = _rounded(v, size, 2.0 / math.log(2.0))
    r = _less_ln2(v, size, m, 0.5, v.double)
    z = v.mul(r, r)
    o = v.mul(r, v.fma(z, _polynomial(v, z, COEFFICIENTS[v.dtype].tanh), v.constant(1.0)))
    less, more = v.sub(s, v.constant(1.0)), v.add(s, v.constant(1.0))
    return v.call("llvm.copysign", v.div(v.fma(more, o, less), v.fma(less, o, more)), x)


def sigmoid(v: Vectors, x: Any) -> Any:
    """Return 1 / (1 + exp(-x)).

    With x = m ln 2 + r, s = 2 ** m and o = tanh(r / 2), it is s (1 + o) / (s (1 + o) + (1 - o)). The
    numerator is kept `shift` powers of two higher, so that only the last product can round to a denormal;
    it is never larger than the denominator, even rounded, so the result stays within 1.

    Error: 5.4 and 2.5 ulp. In float32 only the first part of ln 2 is subtracted, which costs 4 ulp for
    results near 1e-38 and nothing for results near 1.
    """
    form = _FORMATS[v.dtype]
    x = _at_most(v, _at_least(v, x, form.least), form.one)
    m, s = _rounded(v, x, 1.0 / math.log(2.0), form.shift)
    r = _less_ln2(v, x, m, 1.0, v.double)
    z = v.mul(r, r)
    halved = tuple(c / 2.0 ** (2 * k + 3) for k, c in enumerate(COEFFICIENTS[v.dtype].tanh))
    o = v.mul(r, v.fma(z, _polynomial(v, z, halved), v.constant(0.5)))
    scale = v.constant(2.0**-form.shift)
    above = v.fma(s, o, s)
    below = v.fma(above, scale, v.sub(v.constant(1.0), o))
    return v.mul(v.div(above, below), scale)


def exp(v: Vectors, x: Any) -> Any:
    """Return e to the power of x; underflow is gradual.

    With x = 2 n ln 2 + r the power of two is multiplied twice: half of the exponent never overflows, and
    only the last product can round to a denormal. Error: 1.6 and 1.5 ulp.
    """
    form = _FORMATS[v.dtype]
    x = _at_most(v, _at_least(v, x, form.least), form.most)
    n, power = _rounded(v, x, 0.5 / math.log(2.0))
    r = _less_ln2(v, x, n, 2.0, True)
    tail = _polynomial(v, r, COEFFICIENTS[v.dtype].exp)
    value = v.add(v.fma(v.mul(r, r), tail, r), v.constant(1.0))
    return v.mul(v.mul(value, power), power)


def expm1(v: Vectors, x: Any) -> Any:
    """Return e to the power of x, minus one, without losing the digits of small results.

    With x = 2 n ln 2 + r, p = 2 ** n and q = exp(r) - 1 it is p (p q + (p - 1 / p)): where n = 0 it is q, and
    elsewhere nothing cancels. 1 / p has the exponent of p with the other sign. Error: 2.2 and 2.0 ulp.
    """
    form, build = _FORMATS[v.dtype], v.builder
    # Below, the result is certainly -1.
    x = _at_most(v, _at_least(v, x, -form.one), form.most)
    n, power = _rounded(v, x, 0.5 / math.log(2.0))
    r = _less_ln2(v, x, n, 2.0, True)
    q = v.fma(v.mul(r, r), _polynomial(v, r, COEFFICIENTS[v.dtype].exp), r)
    twice_one = v.integer_constant(2 * form.bias << form.bits)
    inverse = build.bitcast(build.sub(twice_one, build.bitcast(power, v.integers)), v.type)
    return v.mul(v.fma(power, q, v.sub(power, inverse)), power)


def _log_near(v: Vectors, f: Any, n: Any) -> Any:
    """Return `log(1 + f) + n ln 2` for 1 + f between the square roots of 1/2 and 2.

    With s = f / (2 + f), log(1 + f) = 2 artanh(s) = f - (f f / 2 - s (f f / 2 + R(s))): the leading term f
    is exact (the arrangement of Sun's fdlibm).
    """
    s = v.div(f, v.add(f, v.constant(2.0)))
    z = v.mul(s, s)
    tail = v.mul(z, _polynomial(v, z, COEFFICIENTS[v.dtype].log))
    square = v.mul(v.mul(f, f), v.constant(0.5))
    high, low = _ln2(v)
    rest = v.fma(s, v.add(square, tail), v.mul(n, v.constant(low)))
    return v.fma(n, v.constant(high), v.sub(f, v.sub(square, rest)))


def log(v: Vectors, x: Any) -> Any:
    """Return the natural logarithm: minus infinity at 0, NaN below. Error: 0.8 and 0.9 ulp."""
    form, build = _FORMATS[v.dtype], v.builder
    tiny = v.compare("<", x, v.constant(2.0 ** (1 - form.bias)))
    scaled = v.select(tiny, v.mul(x, v.constant(2.0 ** (form.bits + 2))), x)
    # The bits of sqrt(1/2), truncated; subtracting them from a number's bits leaves its exponent and
    # mantissa.
    root = int(math.sqrt(0.5) * 2.0 ** (form.bits + 1)) - 2**form.bits + ((form.bias - 1) << form.bits)
    above = build.sub(build.bitcast(scaled, v.integers), v.integer_constant(root))
    exponent = build.sitofp(build.ashr(above, v.integer_constant(form.bits)), v.type)
    n = v.select(tiny, v.sub(exponent, v.constant(float(form.bits + 2))), exponent)
    mantissa = build.add(build.and_(above, v.integer_constant(2**form.bits - 1)), v.integer_constant(root))
    value = _log_near(v, v.sub(build.bitcast(mantissa, v.type), v.constant(1.0)), n)
    value = v.select(v.compare("<", x, v.constant(math.inf)), value, x)
    value = v.select(v.compare("==", x, v.zero), v.constant(-math.inf), value)
    return v.select(v.compare("<", x, v.zero), v.constant(math.nan), value)


def softplus(v: Vectors, x: Any, exp: Exp = exp) -> Any:
    """Return log(1 + exp(x)), and x above 20, torch's threshold. Error: 2.4 and 2.4 ulp.

    `exp` writes its exponential function.
    """
    small = exp(v, v.neg(v.call("llvm.fabs", x)))
    far = v.compare(">", small, v.constant(math.sqrt(2.0) - 1.0))
    half = v.mul(v.sub(small, v.constant(1.0)), v.constant(0.5))
    near = _log_near(v, v.select(far, half, small), v.select(far, v.constant(1.0), v.zero))
    value = v.add(_at_least(v, x, 0.0), near)
    return v.select(v.compare(">", x, v.constant(20.0)), x, value)


def erf(v: Vectors, x: Any, exp: Exp = exp) -> Any:
    """Return the error function: an odd polynomial up to 1, then 1 - exp(-x x) times a slow function.

    `exp` writes its exponential function. Error: 2.4 and 1.7 ulp.
    """
    rows = COEFFICIENTS[v.dtype]
    size = _at_most(v, v.call("llvm.fabs", x), rows.erf_end)
    square = v.mul(size, size)
    near = v.mul(size, _polynomial(v, square, rows.erf))
    place = v.div(v.sub(size, v.constant(2.0)), v.add(size, v.constant(2.0)))
    slow = _polynomial(v, place, rows.erfcx)
    far = v.fma(v.neg(exp(v, v.neg(square))), slow, v.constant(1.0))
    return v.call("llvm.copysign", v.select(v.compare("<", size, v.constant(1.0)), near, far), x)


def sin(v: Vectors, x: Any) -> Any:
    """Return the sine; see `wave` for the range."""
    return wave(v, x, v.integer_constant(0))


def cos(v: Vectors, x: Any) -> Any:
    """Return the cosine; see `wave` for the range."""
    return wave(v, x, v.integer_constant(1))


def wave(v: Vectors, x: Any, quarters: Any) -> Any:
    """Return sin(x + quarters * pi / 2), `quarters` being whole numbers, for |x| up to 2 ** 49; NaN beyond.

    The multiple of pi / 2 is subtracted in float64 and in three parts for every element type, so in this
    range no argument loses digits, however close to a multiple it is. Beyond, NaN means that the phase is
    unknown; neighbouring float64 numbers are then at least 1/8 apart. Error: 2.0 and 1.9 ulp. Processors that
    do not compute in float64 subtract it in float32, and the range ends at 2 ** 20.
    """
    build, wide = v.builder, widened(v)
    form = _FORMATS[wide.dtype]
    in_range = v.compare("<", v.call("llvm.fabs", x), v.constant(form.farthest))
    value = x if wide is v else build.fpext(x, wide.type)
    magic = wide.constant(1.5 * 2.0**form.bits)
    moved = wide.fma(value, wide.constant(2.0 / math.pi), magic)
    n = wide.sub(moved, magic)
    for part in form.half_pi:
        value = _less_multiple(wide, value, n, part)
    turn = build.bitcast(moved, wide.integers)
    if wide is not v:
        value, turn = build.fptrunc(value, v.type), build.trunc(turn, v.integers)
    turn = build.add(turn, quarters)
    rows, z = COEFFICIENTS[v.dtype], v.mul(value, value)
    one = v.constant(1.0)
    sine = v.mul(value, v.fma(z, _polynomial(v, z, rows.sin), one))
    cosine = v.fma(z, v.fma(z, _polynomial(v, z, rows.cos), v.constant(-0.5)), one)
    odd = build.trunc(turn, v.flags)
    chosen = build.bitcast(v.select(odd, cosine, sine), v.integers)
    second = build.and_(turn, v.integer_constant(2))
    sign = build.shl(second, v.integer_constant(8 * v.size - 2))
    result = build.bitcast(build.xor(chosen, sign), v.type)
    return v.select(in_range, result, v.constant(math.nan))


def _less_multiple(v: Vectors, x: Any, n: Any, part: float) -> Any:
    """Return `x - n * part` as if the product were exact."""
    if v.arithmetic.fused:
        return v.fma(n, v.constant(-part), x)
    # Dekker: numbers of half the bits multiply exactly, so the error of a product is a sum of such products.
    split = 2.0 ** ((_FORMATS[v.dtype].bits + 2) // 2) + 1.0
    moved = v.mul(n, v.constant(split))
    n_high = v.sub(moved, v.sub(moved, n))
    n_low = v.sub(n, n_high)
    high, low = _halves(part, v.dtype)
    product = v.mul(n, v.constant(part))
    error = v.sub(v.mul(n_high, v.constant(high)), product)
    error = v.add(error, v.mul(n_high, v.constant(low)))
    error = v.add(error, v.mul(n_low, v.constant(high)))
    error = v.add(error, v.mul(n_low, v.constant(low)))
    return v.sub(v.sub(x, product), error)


def _halves(number: float, dtype: str) -> tuple[float, float]:
    """Return a number of `dtype` as the sum of two with half as many bits."""
    half = (_FORMATS[dtype].bits + 2) // 2
    mantissa, exponent = math.frexp(number)
    high = math.ldexp(round(math.ldexp(mantissa, half)), exponent - half)
    return high, number - high
