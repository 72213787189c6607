"""The elementwise operations as C99, without its mathematical library.

Each has a template of its arguments; what is more than an expression is a function, written out only where a
program calls it. The polynomials are those of nabi's native code (`nabi.native.COEFFICIENTS`), the methods
too, written so that they need no fused multiply-add: ln 2 and pi / 2 are subtracted in parts of few bits.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nabi.native import COEFFICIENTS

__all__ = ["expression", "functions_for", "number", "rows_of"]

_LINE = 8


class _Function(NamedTuple):
    """A C function: what it is for, what it calls, and its text."""

    about: str
    calls: tuple[str, ...]
    text: str


def number(value: float) -> str:
    """Return a number as a float of C, exactly as it is in float32.

    >>> number(1.0), number(0.1)
    ('1.0f', '0.100000001f')
    """
    single = float(np.float32(value))
    if single != single:
        return "(0.0f / 0.0f)"
    if single in (float("inf"), float("-inf")):
        return "(1.0f / 0.0f)" if single > 0 else "(-1.0f / 0.0f)"
    text = f"{single:.9g}"
    return f"{text}f" if any(sign in text for sign in ".e") else f"{text}.0f"


def rows_of(numbers: npt.NDArray[np.float32]) -> str:
    """Return numbers as lines of an initializer.

    >>> rows_of(np.ones((1, 2), np.float32))
    '    1.0f, 1.0f'
    """
    texts = [number(float(one)) for one in numbers.reshape(-1)]
    rows = [", ".join(texts[at : at + _LINE]) for at in range(0, len(texts), _LINE)]
    return ",\n".join(f"    {row}" for row in rows)


def _polynomial(row: Sequence[float], x: str, double: bool = False) -> str:
    """Return a polynomial in Horner's form."""
    texts = [f"{one!r}" if double else number(one) for one in row]
    found = texts[-1]
    for one in reversed(texts[:-1]):
        found = f"({found} * {x} + {one})"
    return found.removeprefix("(").removesuffix(")") if len(row) > 1 else found


_SINGLE, _DOUBLE = COEFFICIENTS["float32"], COEFFICIENTS["float64"]

_EXPRESSIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "greater": "{0} > {1} ? 1.0f : 0.0f",
    "greater_equal": "{0} >= {1} ? 1.0f : 0.0f",
    "less": "{0} < {1} ? 1.0f : 0.0f",
    "less_equal": "{0} <= {1} ? 1.0f : 0.0f",
    "equal": "{0} == {1} ? 1.0f : 0.0f",
    "not_equal": "{0} != {1} ? 1.0f : 0.0f",
    "select": "{0} != 0.0f ? {1} : {2}",
    "relu": "{0} < 0.0f ? 0.0f : {0}",
    "abs": "{0} < 0.0f ? -{0} : {0}",
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}",
    "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}",
    "sign": "{0} > 0.0f ? 1.0f : ({0} < 0.0f ? -1.0f : 0.0f)",
    "spread": "{0}",
    "sigmoid_gradient": "{0} * ({1} * (1.0f - {1}))",
    "tanh_gradient": "{0} * (1.0f - {1} * {1})",
    "silu": "{0} * nabi_sigmoid({0})",
    "gelu": "0.5f * {0} * (1.0f + nabi_erf({0} * 0.707106781f))",
    "elu": "{0} > 0.0f ? {0} : nabi_expm1({0})",
    "selu": "1.05070099f * ({0} > 0.0f ? {0} : 1.67326324f * nabi_expm1({0}))",
}

_FUNCTIONS = {
    "bits": _Function(
        "The bits of a number, and the number of bits.",
        (),
        """typedef union { float number; uint32_t bits; } nabi_bits;""",
    ),
    "power_of_two": _Function(
        "2 to the power of a whole number.",
        ("bits",),
        """static float nabi_power_of_two(int n)
{
    nabi_bits found;
    found.bits = (uint32_t)(n + 127) << 23;
    return found.number;
}""",
    ),
    "reduced": _Function(
        "x = n ln 2 + r, with |r| at most half of ln 2; returns r.",
        (),
        """static float nabi_reduced(float x, int *n)
{
    *n = (int)(x * 1.44269504f + (x < 0.0f ? -0.5f : 0.5f));
    return x - (float)*n * 0.693115234f - (float)*n * 3.19461833e-05f;
}""",
    ),
    "exp": _Function(
        "e to the power of x. The power of two is multiplied in two parts: small results are gradual.",
        ("power_of_two", "reduced"),
        f"""static float nabi_exp(float x)
{{
    int n;
    float r, y;
    if (x != x)
        return x;
    x = x > 89.0f ? 89.0f : (x < -105.0f ? -105.0f : x);
    r = nabi_reduced(x, &n);
    y = 1.0f + (r + r * r * ({_polynomial(_SINGLE.exp, "r")}));
    return y * nabi_power_of_two(n / 2) * nabi_power_of_two(n - n / 2);
}}""",
    ),
    "expm1": _Function(
        "e to the power of x, minus 1, without losing the digits of small results.",
        ("power_of_two", "reduced"),
        f"""static float nabi_expm1(float x)
{{
    int n;
    float r, y;
    if (x != x)
        return x;
    x = x > 89.0f ? 89.0f : (x < -30.0f ? -30.0f : x);
    r = nabi_reduced(x, &n);
    y = r + r * r * ({_polynomial(_SINGLE.exp, "r")});
    if (n == 0)
        return y;
    return (1.0f + y) * nabi_power_of_two(n / 2) * nabi_power_of_two(n - n / 2) - 1.0f;
}}""",
    ),
    "tanh": _Function(
        "The hyperbolic tangent: -e / (2 + e) with e = exp(-2 |x|) - 1.",
        ("expm1",),
        """static float nabi_tanh(float x)
{
    const float e = nabi_expm1(x < 0.0f ? 2.0f * x : -2.0f * x);
    const float y = e / (2.0f + e);
    return x < 0.0f ? y : -y;
}""",
    ),
    "sigmoid": _Function(
        "1 / (1 + exp(-x)), from the power that does not overflow.",
        ("exp",),
        """static float nabi_sigmoid(float x)
{
    const float e = nabi_exp(x < 0.0f ? x : -x);
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}""",
    ),
    "log_near": _Function(
        "log(1 + f) + n ln 2, for 1 + f between the square roots of 1/2 and 2.",
        (),
        f"""static float nabi_log_near(float f, float n)
{{
    const float s = f / (f + 2.0f), z = s * s, half = 0.5f * f * f;
    const float tail = z * ({_polynomial(_SINGLE.log, "z")});
    return n * 0.693115234f + (f - (half - (s * (half + tail) + n * 3.19461833e-05f)));
}}""",
    ),
    "log": _Function(
        "The natural logarithm.",
        ("bits", "log_near"),
        """static float nabi_log(float x)
{
    nabi_bits found;
    uint32_t above;
    float n = 0.0f;
    if (!(x > 0.0f))
        return x == 0.0f ? -1.0f / 0.0f : 0.0f / 0.0f;
    if (x > 3.40282347e+38f)
        return x;
    if (x < 1.17549435e-38f) {
        x *= 33554432.0f;
        n = -25.0f;
    }
    found.number = x;
    above = found.bits - 0x3F3504F3u; /* the square root of 1/2 */
    n += (float)((int32_t)above >> 23);
    found.bits = (above & 0x007FFFFFu) + 0x3F3504F3u;
    return nabi_log_near(found.number - 1.0f, n);
}""",
    ),
    "softplus": _Function(
        "log(1 + exp(x)), and x above 20.",
        ("exp", "log_near"),
        """static float nabi_softplus(float x)
{
    const float e = nabi_exp(x < 0.0f ? x : -x);
    const int far = e > 0.414213562f;
    if (x != x || x > 20.0f)
        return x;
    return (x > 0.0f ? x : 0.0f) + nabi_log_near(far ? (e - 1.0f) * 0.5f : e, far ? 1.0f : 0.0f);
}""",
    ),
    "erf": _Function(
        "The error function: an odd polynomial up to 1, then 1 - exp(-x x) times a slow function.",
        ("exp",),
        f"""static float nabi_erf(float x)
{{
    float a = x < 0.0f ? -x : x, y, t;
    if (x != x)
        return x;
    a = a > {number(_SINGLE.erf_end)} ? {number(_SINGLE.erf_end)} : a;
    if (a < 1.0f) {{
        t = a * a;
        y = a * ({_polynomial(_SINGLE.erf, "t")});
    }} else {{
        t = (a - 2.0f) / (a + 2.0f);
        y = 1.0f - nabi_exp(-a * a) * ({_polynomial(_SINGLE.erfcx, "t")});
    }}
    return x < 0.0f ? -y : y;
}}""",
    ),
    "sqrt": _Function(
        "The square root: a guess from the bits of 1 / sqrt(x), better by Newton's method.",
        ("bits",),
        """static float nabi_sqrt(float x)
{
    nabi_bits guess;
    float y, scale = 1.0f;
    int i;
    if (!(x > 0.0f))
        return x == 0.0f ? x : 0.0f / 0.0f;
    if (x > 3.40282347e+38f)
        return x;
    if (x < 1.17549435e-38f) {
        x *= 16777216.0f;
        scale = 1.0f / 4096.0f;
    }
    guess.number = x;
    guess.bits = 0x5F375A86u - (guess.bits >> 1);
    y = guess.number;
    for (i = 0; i < 3; i++)
        y = y * (1.5f - 0.5f * x * y * y);
    guess.number = x * y;
    return (guess.number + 0.5f * y * (x - guess.number * guess.number)) * scale;
}""",
    ),
    "floor": _Function(
        "The largest whole number that is not above x.",
        (),
        """static float nabi_floor(float x)
{
    float y;
    if (!(x < 8388608.0f && x > -8388608.0f))
        return x;
    y = (float)(int32_t)x;
    return y > x ? y - 1.0f : y;
}""",
    ),
    "round": _Function(
        "The nearest whole number, the even one of two.",
        ("floor",),
        """static float nabi_round(float x)
{
    const float below = nabi_floor(x), rest = x - below;
    if (!(x < 8388608.0f && x > -8388608.0f))
        return x;
    if (rest != 0.5f)
        return rest > 0.5f ? below + 1.0f : below;
    return nabi_floor(below * 0.5f) * 2.0f == below ? below : below + 1.0f;
}""",
    ),
    "wave": _Function(
        "sin(x + quarters pi / 2) up to 2 to the power of 30; pi / 2 is subtracted in double.",
        (),
        f"""static float nabi_wave(float x, int quarters)
{{
    const double turns = (double)x * 0.63661977236758138;
    int32_t n;
    double reduced;
    float r, z, y;
    if (!(x < 1073741824.0f && x > -1073741824.0f))
        return 0.0f / 0.0f;
    n = (int32_t)(turns < 0.0 ? turns - 0.5 : turns + 0.5);
    reduced = (double)x - (double)n * 1.5707963267341256 - (double)n * 6.0771005065061922e-11;
    r = (float)reduced;
    z = r * r;
    n += quarters;
    if (n & 1)
        y = 1.0f + z * (-0.5f + z * ({_polynomial(_SINGLE.cos, "z")}));
    else
        y = r + r * z * ({_polynomial(_SINGLE.sin, "z")});
    return n & 2 ? -y : y;
}}""",
    ),
    "sin": _Function(
        "The sine.", ("wave",), "static float nabi_sin(float x)\n{\n    return nabi_wave(x, 0);\n}"
    ),
    "cos": _Function(
        "The cosine.", ("wave",), "static float nabi_cos(float x)\n{\n    return nabi_wave(x, 1);\n}"
    ),
    "power": _Function(
        "a to the power of b, computed in double; NaN for a below 0.",
        (),
        f"""static float nabi_power(float a, float b)
{{
    double m = (double)a, y, s, z, r, p = 1.0;
    int n = 0, k;
    if (a == 1.0f || b == 0.0f)
        return 1.0f;
    if (a < 0.0f || a != a || b != b)
        return 0.0f / 0.0f;
    if (a == 0.0f)
        return b > 0.0f ? 0.0f : 1.0f / 0.0f;
    if (a > 3.40282347e+38f)
        return b > 0.0f ? a : 0.0f;
    for (; m > 1.4142135623730951; n++)
        m *= 0.5;
    for (; m < 0.70710678118654752; n--)
        m *= 2.0;
    s = (m - 1.0) / (m + 1.0);
    z = s * s;
    y = s * (2.0 + z * ({_polynomial(_DOUBLE.log, "z", True)}));
    y = (double)b * ((double)n * 0.69314718055994531 + y);
    y = y > 90.0 ? 90.0 : (y < -110.0 ? -110.0 : y);
    k = (int)(y * 1.4426950408889634 + (y < 0.0 ? -0.5 : 0.5));
    r = y - (double)k * 0.69314718055994531;
    y = 1.0 + r + r * r * ({_polynomial(_DOUBLE.exp, "r", True)});
    for (; k > 0; k--)
        p *= 2.0;
    for (; k < 0; k++)
        p *= 0.5;
    return (float)(y * p);
}}""",
    ),
}


def expression(operation: str, arguments: Sequence[str]) -> str:
    """Return an operation of arguments, which are names or numbers, as an expression of C."""
    if operation in _EXPRESSIONS:
        return _EXPRESSIONS[operation].format(*arguments)
    return f"nabi_{operation}({', '.join(arguments)})"


_CALLED = {"silu": "sigmoid", "gelu": "erf", "elu": "expm1", "selu": "expm1"}


def functions_for(operations: Iterable[str]) -> list[str]:
    """Return the functions that operations call, in an order in which C may read them."""
    found: dict[str, str] = {}

    def add(name: str) -> None:
        if name in found:
            return
        for other in _FUNCTIONS[name].calls:
            add(other)
        found[name] = f"/* {_FUNCTIONS[name].about} */\n{_FUNCTIONS[name].text}"

    for operation in sorted(operations):
        name = _CALLED.get(operation, operation)
        if name in _FUNCTIONS:
            add(name)
        elif operation not in _EXPRESSIONS:
            raise KeyError(operation)
    return list(found.values())
